package roles

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/ml/recipe"
)

// What a training says of itself to those who look at its run as MLflow shows runs: where it came from, what it was given,
// what its weights are and how they are loaded, and how it was judged. All of it follows from the log, to the byte.

// Tags that MLflow's pages know (mlflow.utils.mlflow_tags).
const (
	tagSourceName = "mlflow.source.name"
	tagSourceType = "mlflow.source.type"
	tagUser       = "mlflow.user"
	tagNote       = "mlflow.note.content"
	tagContext    = "mlflow.data.context"
	tagWorkflow   = "projectionist.workflow_run"

	sourceJob   = "JOB"
	sourceLocal = "LOCAL"
)

// Files of a run, beside its weights.
const (
	fileMLmodel = "model/MLmodel"
	fileReport  = "evaluation/report.json"
)

// given is what a training was given: a data set of the log up to a cut.
type given struct {
	DatasetID    string `json:"dataset_id"`
	Cut          string `json:"cut"`
	FeaturesHash string `json:"features_hash"`
	Blob         string `json:"sha256"`
	users, items int
	rows         int
}

func givenOf(d *dataset, id, blob string) given {
	return given{DatasetID: id, Cut: d.Cut, FeaturesHash: d.FeaturesHash, Blob: blob, users: len(d.Users), items: len(d.Items), rows: len(d.Samples)}
}

// given is what the run's first task has prepared.
func (w *job) given() (g given, err error) {
	var users, items, rows string
	err = w.Inputs(opDataset, map[string]*string{"dataset_id": &g.DatasetID, "cut": &g.Cut, "features_hash": &g.FeaturesHash, "blob": &g.Blob,
		"users": &users, "items": &items, "interactions": &rows})
	for text, into := range map[string]*int{users: &g.users, items: &g.items, rows: &g.rows} {
		if err == nil {
			*into, err = strconv.Atoi(text)
		}
	}
	return g, err
}

// column is a column of a data set or a model, as MLflow describes them (mlflow.types.schema).
type column struct {
	Type     string `json:"type"`
	Name     string `json:"name"`
	Required bool   `json:"required"`
}

func columnsOf(kind string, names ...string) (all []column) {
	for _, name := range names {
		all = append(all, column{kind, name, true})
	}
	return all
}

// interactions are the columns of what people did.
func interactions() []column {
	return slices.Concat(columnsOf("datetime", "time"), columnsOf("string", "user_id", "movie_id"), columnsOf("double", "signal"))
}

// digestChars is how much of a data set's SHA-256 stands for it.
const digestChars = 16

// input is the command to say that a run was given this, in columns and so many rows.
func (g given) input(run, name string, columns []column, rows int) *commands.LogInputs {
	d := events.Dataset{Name: name, Digest: g.Blob[:min(digestChars, len(g.Blob))], SourceType: "projectionist", Source: string(jsonOf(g)),
		Schema:  string(jsonOf(map[string]any{"mlflow_colspec": columns})),
		Profile: string(jsonOf(map[string]any{"num_rows": rows, "num_users": g.users, "num_items": g.items})),
		Tags:    map[string]string{tagContext: "training"}}
	return &commands.LogInputs{RunID: run, Datasets: []events.Dataset{d}}
}

// jsonOf is a value that always has a JSON form, with its keys in order.
func jsonOf(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.Encode(v) //nolint:errcheck // of texts and numbers
	return bytes.TrimSpace(b.Bytes())
}

// sourceTags say where a run came from, and who made it.
func sourceTags(kind, name, who, note string) map[string]string {
	tags := map[string]string{tagSourceType: kind, tagSourceName: name, tagNote: note}
	if who != "" {
		tags[tagUser] = who
	}
	return tags
}

// weights are a trained model for whoever reads its MLmodel.
type weights struct {
	name, algorithm, run string
	code                 string // that trained, without the machine, so that every machine writes the same
	sha256               string
	bytes                int64
	params               map[string]string
	predicts             bool // ratings
	inputs, outputs      []column
}

// weightsOf are those of a recipe's model, which is asked for a person and answers films.
func weightsOf(r *recipe.Recipe, name, run string, p map[string]string, sha256 string, size int64) weights {
	return weights{name: name, algorithm: r.Name, run: run, code: r.Code, sha256: sha256, bytes: size, params: p, predicts: r.Predicts,
		inputs:  slices.Concat(columnsOf("string", "user_id"), columnsOf("long", "k")),
		outputs: slices.Concat(columnsOf("string", "movie_id"), columnsOf("double", "score"))}
}

// baselineWeights are those of the neural baseline, which is asked for a row of features and answers a rating.
func baselineWeights(run string, p map[string]string, features []string, sha256 string, size int64) weights {
	return weights{name: runMLP, algorithm: runMLP, run: run, code: mlpCode, sha256: sha256, bytes: size, params: p,
		inputs: columnsOf("float", features...), outputs: columnsOf("double", "rating")}
}

// loadedBy says how the weights are put to use.
func (m weights) loadedBy() string {
	with := "projectionist models export " + m.name + " VERSION FILE writes them as safetensors"
	switch {
	case m.algorithm == runMLP: // it serves nothing
		return with
	case m.predicts:
		return "POST /predict?model=" + m.name + "&version=VERSION on port 8001 asks for ratings; " + with
	}
	return "GET /api/v1/recommendations?user_id=ID asks the version that is deployed; " + with
}

// mlmodel is the model as MLflow's file of that name describes one (https://mlflow.org/docs/latest/ml/model/): its flavour
// is this program's, which says what the weights are and how they are loaded.
func (m weights) mlmodel() []byte {
	var b bytes.Buffer
	quoted := func(v any) string { return "'" + strings.ReplaceAll(fmt.Sprint(v), "'", "''") + "'" }
	fmt.Fprintf(&b, "artifact_path: model\nflavors:\n  projectionist:\n    algorithm: %s\n    code: %s\n    data: %s\n", quoted(m.algorithm), quoted(m.code), quoted(m.name+".bin"))
	fmt.Fprintf(&b, "    loaded_by: %s\n", quoted(m.loadedBy()))
	b.WriteString("    params:")
	if len(m.params) == 0 {
		b.WriteString(" {}")
	}
	for _, name := range slices.Sorted(maps.Keys(m.params)) {
		fmt.Fprintf(&b, "\n      %s: %s", quoted(name), quoted(m.params[name]))
	}
	fmt.Fprintf(&b, "\n    sha256: %s\nmodel_size_bytes: %d\nrun_id: %s\nsignature:\n  inputs: %s\n  outputs: %s\n  params: null\n",
		quoted(m.sha256), m.bytes, quoted(m.run), quoted(string(jsonOf(m.inputs))), quoted(string(jsonOf(m.outputs))))
	return b.Bytes()
}

// evaluation is how a training was judged, as a file: beside what, on what, and every figure.
type evaluation struct {
	Algorithm string                   `json:"algorithm"`
	Params    map[string]string        `json:"params"`
	Cut       string                   `json:"cut"`
	Champion  string                   `json:"champion"` // what served then, "als/1"; "" for nothing
	Unjudged  string                   `json:"champion_unjudged,omitempty"`
	Figures   map[string]events.Number `json:"figures"` // as the run logs them
}

func (r evaluation) encode() []byte {
	var b bytes.Buffer
	json.Indent(&b, jsonOf(r), "", "  ") //nolint:errcheck // of what was encoded just now
	b.WriteByte('\n')
	return b.Bytes()
}

func numbers(values map[string]float64) map[string]events.Number {
	all := make(map[string]events.Number, len(values))
	for name, v := range values {
		all[name] = events.Number(v)
	}
	return all
}
