package roles

import (
	"bytes"
	"embed"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers/workflow"
	recipes "github.com/projectionist/projectionist/ml/recipe/all"
)

// Names of the workflows that the program comes with, and of the operators. They are in the log: never change one.
const (
	TrainingPipeline = "movie_training_pipeline"
	DataCollection   = "movie_data_collection"

	opDataset  = "dataset"
	opTrain    = "train"
	opEvaluate = "evaluate"
	opRegister = "register"
	opPromote  = "promote"
	opFetch    = "fetch"
	opWatchLog = "watch_log"
	opNotify   = "notify"
	opImport   = "import"
	opDeploy   = "deploy"
	opBackup   = "backup"
	opFeatures = "features"
	opExport   = "export"
	opTry      = "try"
	opDrift    = "drift"
)

//go:embed workflows
var files embed.FS

// Definitions are the workflows that the program comes with.
func Definitions() []*workflow.Definition {
	names, err := fs.Glob(files, "workflows/*.yaml")
	if err != nil {
		panic(err)
	}
	var named []string
	for _, r := range recipes.Recipes() {
		named = append(named, fmt.Sprintf("event.model_name == %q", r.Name))
	}
	operators, all := Operators(), []*workflow.Definition{}
	for _, name := range names {
		source, err := files.ReadFile(name)
		if err != nil {
			panic(err)
		}
		source = bytes.ReplaceAll(source, []byte("RECIPES"), []byte(strings.Join(named, " or "))) // whether an event is of one
		d, err := workflow.Parse(source, operators)
		if err != nil {
			panic(path.Base(name) + ": " + err.Error())
		}
		all = append(all, d)
	}
	return all
}

// Names of arguments.
const (
	argPath    = "path"
	argMerge   = "merge"
	argBadRows = "bad_rows"
	argModel   = "model"
	argVersion = "version"
	argSlot    = "slot"
	argReason  = "reason"
	argTo      = "to"

	argWhat      = "what"
	argDataset   = "dataset"
	argTopic     = "topic"
	argPeople    = "people"
	argK         = "k"
	argThreshold = "threshold"
	argLeast     = "least"
	argOf        = "of"
)

func text(s string) *string { return &s }

func bound(x float64) *float64 { return &x }

// Operators are what tasks of workflows can be made of.
func Operators() workflow.Operators {
	all := workflow.Operators{}
	for _, o := range []workflow.Operator{
		{
			Name: opDataset, Description: "Pins the position in the log and materialises the training set",
			Outputs: []string{"dataset_id", "cut", "features_hash", "blob", "bytes", "users", "items", "interactions", "rows"},
		}, {
			Name: opTrain, Description: "Trains a model by its recipe, and the neural baseline beside it", Inputs: []string{opDataset},
			Args:     []workflow.Param{{Name: confAlgorithm, Type: workflow.Text, Default: text(""), Description: "the recipe; the one of the run's conf without it"}},
			OpenArgs: true, Outputs: []string{"run_id", "blob", "bytes", "code_version"}, OpenOutputs: true, Conf: checkRecipe,
		}, {
			Name: opEvaluate, Description: "Judges the recipe against the baselines, and against what serves, on the last part of the data",
			Inputs: []string{opDataset, opTrain}, OpenOutputs: true,
		}, {
			Name: opRegister, Description: "Registers the model version, with all it takes to train it again", Inputs: []string{opDataset, opTrain},
			Outputs: []string{"model", "version"}, OpenOutputs: true,
		}, {
			Name: opPromote, Description: "Promotes and deploys the version, or keeps the present one and says why",
			Inputs: []string{opTrain, opEvaluate, opRegister}, Outputs: []string{"promoted", "reason", "model", "version"}, OpenOutputs: true,
		}, {
			Name: opFetch, Description: "Fetches popular and top rated films with their details from TMDB",
			Args:        []workflow.Param{{Name: argPages, Type: workflow.Whole, Default: text("5"), Least: bound(1), Most: bound(pagesMax), Description: "of each list, 20 films a page; 500 is TMDB's own limit"}},
			OpenOutputs: true,
		}, {
			Name: opImport, Description: "Imports a MovieLens or MovieTweetings data set that lies on the server's machine; the same twice adds nothing",
			Args: []workflow.Param{{Name: argPath, Type: workflow.Text, Description: "folder or .zip, absolute or below the data folder"},
				{Name: argMerge, Type: workflow.Boolean, Default: text("false"), Description: "ids mean the same people and films as in the data sets that are there already"},
				{Name: argBadRows, Type: workflow.Whole, Default: text("0"), Least: bound(0), Most: bound(commands.BadRowsMax), Description: "lines that cannot be read and go to the quarantine; at the next it stops"}},
			Outputs: []string{"import_id", "dataset", "already_imported", "movies_added", "users_described", "interactions_added", "interactions_already_there", "bad_rows"},
		}, {
			Name: opDeploy, Description: "Has a version of a model serve a slot, without asking the gate",
			Args: []workflow.Param{{Name: argModel, Type: workflow.Text, Description: "a registered model"},
				{Name: argVersion, Type: workflow.Text, Default: text(latestVersion), Description: "its number, an alias, or latest"},
				{Name: argSlot, Type: workflow.Text, Default: text(events.ProductionSlot)}, {Name: argReason, Type: workflow.Text, Default: text("")}},
			Outputs: []string{"model", "version", "slot"},
		}, {
			Name: opBackup, Description: "Copies the running log and the blobs into a new folder, which can be served",
			Args:    []workflow.Param{{Name: argTo, Type: workflow.Text, Description: "absolute path of the folder that backups are in, apart from the data folder; each is a folder in it"}},
			Outputs: []string{"folder", "records", "blobs", "bytes"}, OpenOutputs: true,
		}, {
			Name: opWatchLog, Description: "Writes data/processed/watch_log.csv from the log", Outputs: []string{"path", "rows"}, OpenOutputs: true,
		}, {
			Name: opFeatures, Description: "Waits until features have all that the log has, after putting definitions in force where a file of them is named; says which, and up to where",
			Args:    []workflow.Param{{Name: argPath, Type: workflow.Text, Default: text(""), Description: "a .yaml file of definitions below the data folder; without it those in force"}},
			Outputs: []string{"cut", "features_hash", "views", "features", "services", "waited_ms"},
		}, {
			Name: opExport, Description: "Writes a training set, the weights of a model version, or a topic of the log as a file below data/exports of the folder of files",
			Args: []workflow.Param{{Name: argWhat, Type: workflow.Text, OneOf: []string{exportDataset, exportModel, exportTopic}, Description: "a table as CSV, safetensors (ONNX where the path ends in .onnx), or a line of JSON a record"},
				{Name: argPath, Type: workflow.Text, Description: "of the file, below data/exports; one that is there is replaced"},
				{Name: argDataset, Type: workflow.Text, Default: text(""), Description: "id of the training set, as the operator dataset puts it out"},
				{Name: argModel, Type: workflow.Text, Default: text("")}, {Name: argVersion, Type: workflow.Text, Default: text(latestVersion), Description: "its number, an alias, or latest"},
				{Name: argTopic, Type: workflow.Text, Default: text(events.LedgerTopic)}},
			Outputs: []string{"path", "folder", "bytes", "sha256"}, OpenOutputs: true,
		}, {
			Name: opTry, Description: "Has a version of a model answer for some people beside what serves, and says what differs; deploys nothing",
			Args: []workflow.Param{{Name: argModel, Type: workflow.Text, Description: "a registered model"},
				{Name: argVersion, Type: workflow.Text, Default: text(latestVersion), Description: "its number, an alias, or latest"},
				{Name: argPeople, Type: workflow.Whole, Default: text("100"), Least: bound(1), Most: bound(triedMax), Description: "spread evenly over all who are known"},
				{Name: argK, Type: workflow.Whole, Default: text("10"), Least: bound(1), Most: bound(triedFilmsMax), Description: "films of each list"}},
			Outputs: []string{"model", "version", "serving", "people", "k", "same", "same_first", "overlap", "overlap_least", "most_different", "films", "serving_films", "films_only_tried"},
		}, {
			Name: opDrift, Description: "Measures how far what has come since a model version was trained is from what it was trained on, and raises an alert of drift at the threshold",
			Args: []workflow.Param{{Name: argModel, Type: workflow.Text, Default: text(""), Description: "a registered model; without it what serves"},
				{Name: argVersion, Type: workflow.Text, Default: text(latestVersion), Description: "of the model: its number, an alias, or latest"},
				{Name: argThreshold, Type: workflow.Number, Default: text("0.3"), Least: bound(0), Most: bound(1), Description: "distance from which on it is an alert: 0 is the same, 1 wholly other"},
				{Name: argLeast, Type: workflow.Whole, Default: text("500"), Least: bound(1), Description: "acts that must have come, below which nothing is measured"},
				{Name: argOf, Type: workflow.Text, Default: text("films, genres, people, ratings"), Description: "what counts: of films, genres, people, ratings, kinds"}},
			Outputs: []string{"model", "version", "cut", "until", "acts", outMeasured, outAlert, outScore, argThreshold, outWhy}, OpenOutputs: true,
		}, {
			Name: opNotify, Description: "Tells those who run the program: a warning in its log",
			Args:    []workflow.Param{{Name: argMessage, Type: workflow.Text, Description: "what is said"}},
			Outputs: []string{argMessage},
		},
		httpOperator, commandOperator,
	} {
		all[o.Name] = &o
	}
	return all
}
