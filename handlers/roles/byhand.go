package roles

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"maps"
	"math"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers"
	"github.com/projectionist/projectionist/handlers/react"
	"github.com/projectionist/projectionist/internal/blob"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/ml"
	"github.com/projectionist/projectionist/ml/features"
	"github.com/projectionist/projectionist/ml/recipe"
	"github.com/projectionist/projectionist/ml/recipe/all"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/projections/trainset"
	"github.com/projectionist/projectionist/streams"
)

// ByHand trains and registers for somebody who asks and waits, outside of a workflow run: the same data, runs and
// versions by the same events, but nothing is judged, and nothing is deployed. What is cut off ends as a failed run.
type ByHand struct {
	Config     Config // of which Log, Sets and Files are used; without Sets nothing that was read is kept
	Dispatcher react.Dispatcher
	Blobs      *blob.Store
	Now        func() time.Time
}

// Training is what to train.
type Training struct {
	Algorithm string            // a recipe's name, "" for the first; or movie_predictor
	Params    map[string]string // of it
	Actor     string            // who asks
	Request   string            // by which request
}

// Epoch is a step of a training. A loss that there is none of is nil.
type Epoch struct {
	Stage      string   `json:"stage"`
	Done       int      `json:"done"`
	Total      int      `json:"total"`
	Loss       *float64 `json:"loss,omitempty"`
	Validation *float64 `json:"validation_loss,omitempty"`
}

// Told is how a training goes. Both may be nil.
type Told struct {
	Progress func(stage string, done, of int64) // of what comes before and between
	Sizes    func([]recipe.Size)
	Epoch    func(Epoch)
}

// Registered is a version that was made by hand.
type Registered struct {
	Model        string             `json:"model"`
	Version      int                `json:"version"`
	RunID        string             `json:"run_id"`
	ExperimentID string             `json:"experiment_id"`
	Blob         string             `json:"blob"`
	Bytes        int64              `json:"bytes"`
	Figures      map[string]float64 `json:"figures,omitempty"`
	Position     string             `json:"position"`
	File         string             `json:"file,omitempty"`    // the weights, from the root
	NoFile       string             `json:"no_file,omitempty"` // why there is none
}

// hand is one training.
type hand struct {
	*ByHand
	Training
	told Told

	run, experiment string
	set             *trainset.Set
	datasetID       string
	given           given

	as named // "": a training by itself
}

// named is how a run is called that belongs to something, and what more it says of itself.
type named struct {
	run    string // its id
	source string
	tags   map[string]string
}

// Train trains and registers a version. Errors: an algorithm or parameters there are not, before anything is in the
// log; a log without what it takes; those of training, which the run then says too.
func (b *ByHand) Train(ctx context.Context, t Training, told Told) (*Registered, error) {
	if told.Progress == nil {
		told.Progress = func(string, int64, int64) {}
	}
	if told.Sizes == nil {
		told.Sizes = func([]recipe.Size) {}
	}
	if told.Epoch == nil {
		told.Epoch = func(Epoch) {}
	}
	h := &hand{ByHand: b, Training: t, told: told}
	if t.Algorithm == runMLP {
		p, err := mlpParams(t.Params)
		if err != nil {
			return nil, err
		}
		return h.baseline(ctx, p)
	}
	r, err := all.Find(t.Algorithm)
	if err != nil {
		f, ok := err.(*fault.Error)
		if ok {
			f.Message += ", " + runMLP
		}
		return nil, err
	}
	p, err := r.Parse(t.Params)
	if err != nil {
		return nil, err
	}
	return h.recipe(ctx, r, p)
}

func (h *hand) dispatch(ctx context.Context, c commands.Command) (handlers.Result, error) {
	return h.Dispatcher.Dispatch(ctx, c, handlers.Meta{Actor: h.Actor, Correlation: h.Request})
}

// ensure is for what may be there already.
func (h *hand) ensure(ctx context.Context, c commands.Command) error {
	if _, err := h.dispatch(ctx, c); !fault.Is(err, fault.Conflict) {
		return err
	}
	return nil
}

// head is the log as it stands, and the hash of the feature definitions in force there: those the program comes with
// are put in force where there are none.
func (h *hand) head(ctx context.Context) (streams.Cut, string, error) {
	definitions, err := features.Parse([]byte(features.DefaultYAML()))
	if err != nil {
		return nil, "", err
	}
	none := streams.NoStream
	_, err = h.Dispatcher.Dispatch(ctx, &commands.DefineFeatures{Definitions: features.DefaultYAML(), Hash: definitions.Hash()},
		handlers.Meta{Actor: h.Actor, Correlation: h.Request, IfMatch: &none})
	if err != nil && !fault.Is(err, fault.Conflict) {
		return nil, "", err
	}
	cut, err := fold.HeadCut(ctx, h.Config.Log, time.Time{})
	if err != nil {
		return nil, "", err
	}
	inForce, ok, err := projections.FoldDefinitions(h.Config.Log.Ledger().ReadStream(ctx, "features/definitions", 0), fold.At{Cut: cut})
	if err == nil && !ok {
		err = fault.New(fault.Internal, "no feature definitions are in force at %s", cut)
	}
	return cut, inForce.Hash, err
}

// data folds the log as it stands, and keeps the training set of it as the pipeline does.
func (h *hand) data(ctx context.Context) (*dataset, error) {
	cut, _, err := h.head(ctx)
	if err != nil {
		return nil, err
	}
	return h.dataAt(ctx, cut)
}

// dataAt is data up to a cut.
func (h *hand) dataAt(ctx context.Context, cut streams.Cut) (*dataset, error) {
	var err error
	sets := h.Config.Sets
	if sets == nil {
		sets = &trainset.Cache{}
	}
	h.set, err = sets.LoadActs(ctx, h.Config.Log, cut, func(done, total int64) { h.told.Progress("read the log", done, total) })
	if err != nil {
		return nil, err
	}
	d := newDataset(h.set)
	if err := (reader{&h.Config, h.told.Progress}).join(ctx, h.set, d); err != nil {
		return nil, err
	}
	h.set.Acts, h.set.People = nil, nil // the joined rows have them
	blob, _, err := h.Blobs.Put(ctx, bytes.NewReader(d.encode()))
	if err != nil {
		return nil, err
	}
	h.datasetID = react.HashID("dataset", d.Cut, d.FeaturesHash)
	h.given = givenOf(d, h.datasetID, blob)
	return d, h.ensure(ctx, &commands.RecordDataset{DatasetID: h.datasetID, Cut: d.Cut, FeaturesHash: d.FeaturesHash, Blob: blob,
		Users: len(d.Users), Items: len(d.Items), Interactions: len(d.Samples), Rows: len(d.Rows)})
}

// open starts the run.
func (h *hand) open(ctx context.Context, name string, params map[string]string) error {
	err := h.ensure(ctx, &commands.CreateExperiment{Name: Experiment, Description: "Models of the training pipeline"})
	if err != nil {
		return err
	}
	if h.experiment, err = h.Config.experiment(ctx); err != nil {
		return err
	}
	source := h.as.source
	if h.run = h.as.run; h.run == "" {
		h.run, source = react.HashID("run by hand", h.Request, name, strconv.FormatInt(h.Now().UnixNano(), 10)), "projectionist train "+name
	}
	note := "Trained at once, on the log up to " + h.given.Cut
	if h.given.Cut == "" {
		note = "Weights that were trained elsewhere"
	}
	tags := sourceTags(sourceLocal, source, h.Actor, note)
	maps.Copy(tags, h.as.tags)
	_, err = h.dispatch(ctx, &commands.StartRun{RunID: h.run, ExperimentID: h.experiment, Name: name, Params: params, DatasetID: h.datasetID, Tags: tags})
	return err
}

// ended closes the run after work that has failed; without a fault it is closed by register.
func (h *hand) ended(ctx context.Context, err error) error {
	if err == nil || h.run == "" {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endTimeout)
	defer cancel()
	_, again := h.dispatch(ctx, &commands.EndRun{RunID: h.run, Status: "FAILED", Reason: react.Trace(err.Error())})
	if fault.Is(again, fault.Conflict) { // it had ended well: only what came after went wrong
		return err
	}
	return errors.Join(err, again)
}

// endTimeout bounds how long a training whose asker is gone takes to say so.
const endTimeout = 10 * time.Second

func (h *hand) log(ctx context.Context, values map[string]float64, step int64) error {
	if len(values) == 0 {
		return nil
	}
	_, err := h.dispatch(ctx, &commands.LogMetrics{RunID: h.run, Metrics: metricsOf(values, step, h.Now())})
	return err
}

func (h *hand) recipe(ctx context.Context, r *recipe.Recipe, p recipe.Params) (*Registered, error) {
	if _, err := h.data(ctx); err != nil {
		return nil, err
	}
	return h.fit(ctx, r, p)
}

// predictable says that there is nothing to learn from, where that is so.
func (h *hand) predictable(r *recipe.Recipe) error {
	if r.Predicts && !rated(h.set) {
		return fault.New(fault.Conflict, "the log holds no ratings: %s predicts ratings, and has nothing to learn from", r.Name).
			WithHint("import ratings first: projectionist import PATH")
	}
	return nil
}

// fit trains a recipe on the data, in a run, and registers what comes of it.
func (h *hand) fit(ctx context.Context, r *recipe.Recipe, p recipe.Params) (done *Registered, err error) {
	if err := h.predictable(r); err != nil {
		return nil, err
	}
	if err := h.open(ctx, r.Name, p); err != nil {
		return nil, err
	}
	defer func() { err = h.ended(ctx, err) }()
	if _, err := h.dispatch(ctx, h.given.input(h.run, "interactions", interactions(), h.given.rows)); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var validation *float64
	hooks := recipe.Hooks{Sizes: h.told.Sizes}
	hooks.Progress = func(stage string, done, of int, loss float64) {
		if math.IsNaN(loss) || math.IsInf(loss, 0) {
			h.told.Progress(stage, int64(done), int64(of))
			return
		}
		name := stage + "_loss"
		switch stage {
		case recipe.StageFit:
			name = "loss"
		case recipe.StageValidate:
			validation = &loss // told with the step it belongs to
		}
		if err := h.log(ctx, map[string]float64{name: loss}, int64(done)); err != nil {
			cancel(err)
		}
		if stage != recipe.StageValidate {
			h.told.Epoch(Epoch{stage, done, of, &loss, validation})
			validation = nil
		}
	}
	trained, err := r.Make(ctx, h.set.Input(), p, hooks)
	if err != nil {
		return nil, failed(ctx, r.Name, err)
	}
	return h.register(ctx, version{name: r.Name, description: r.Description, params: p, seed: r.Seed(p), code: r.CodeVersion(), slot: events.ProductionSlot,
		weights: trained.Bytes, figures: trained.Model.Figures(), featuresHash: h.set.FeaturesHash, views: noViews,
		described: func(sha256 string, size int64) weights { return weightsOf(r, r.Name, h.run, p, sha256, size) }})
}

// failed is why a training ended: what cut it off, or what is wrong with its parameters on this data.
func failed(ctx context.Context, name string, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	if fault.CodeOf(err) != fault.Internal {
		return err
	}
	return fault.Wrap(fault.Invalid, err, "training %s failed", name)
}

func rated(s *trainset.Set) bool {
	for _, sig := range s.Signals {
		if sig.RatingCenti() > 0 {
			return true
		}
	}
	return false
}

// version is what is about to be registered.
type version struct {
	name, description, algorithm string // the algorithm is the name where it is ""
	params                       map[string]string
	seed                         uint64
	code, slot, featuresHash     string
	views                        []events.ViewRead // it was trained on
	cut                          string            // of the data, where it is not the set's
	weights                      []byte
	figures                      map[string]float64
	described                    func(sha256 string, size int64) weights
}

// register keeps the weights, ends the run with its figures, and registers the version.
func (h *hand) register(ctx context.Context, v version) (*Registered, error) {
	hash, size, err := h.Blobs.Put(ctx, bytes.NewReader(v.weights))
	if err != nil {
		return nil, err
	}
	if _, err := h.dispatch(ctx, &commands.LogArtifact{RunID: h.run, Path: "model/" + v.name + ".bin", Blob: hash, Bytes: size}); err != nil {
		return nil, err
	}
	described, describedBytes, err := h.Blobs.Put(ctx, bytes.NewReader(v.described(hash, size).mlmodel()))
	if err != nil {
		return nil, err
	}
	if _, err := h.dispatch(ctx, &commands.LogArtifact{RunID: h.run, Path: fileMLmodel, Blob: described, Bytes: describedBytes}); err != nil {
		return nil, err
	}
	if err := h.log(ctx, v.figures, 0); err != nil {
		return nil, err
	}
	if _, err := h.dispatch(ctx, &commands.EndRun{RunID: h.run, Status: "FINISHED"}); err != nil {
		return nil, err
	}
	if err := h.ensure(ctx, &commands.RegisterModel{Name: v.name, Description: v.description}); err != nil {
		return nil, err
	}
	if v.algorithm == "" {
		v.algorithm = v.name
	}
	if v.cut == "" {
		v.cut = h.set.Cut.String()
	}
	res, err := h.dispatch(ctx, &commands.RegisterModelVersion{Name: v.name, RunID: h.run, Algorithm: v.algorithm, Params: v.params, Seed: v.seed,
		CodeVersion: v.code, DatasetID: h.datasetID, DatasetCut: v.cut, FeaturesHash: v.featuresHash, Blob: hash, Bytes: size, Slot: v.slot,
		FeatureViews: v.views})
	if err != nil {
		return nil, err
	}
	e, ok := res.Events[0].Data.(*events.ModelVersionRegistered)
	if !ok {
		return nil, fault.New(fault.Internal, "RegisterModelVersion was answered with a %s", res.Events[0].Type())
	}
	done := &Registered{Model: v.name, Version: e.Version, RunID: h.run, ExperimentID: h.experiment, Blob: hash, Bytes: size, Figures: v.figures,
		Position: res.Position.String()}
	if path, err := h.Config.writeModel(v.name, e.Version, v.weights); err != nil {
		done.NoFile = err.Error()
	} else {
		done.File = filepath.Join(h.Config.folder(), filepath.FromSlash(path))
	}
	return done, nil
}

// mlpParams are the baseline's parameters with those given, "movie_predictor.epochs" or shorter "epochs".
func mlpParams(given map[string]string) (ml.MLPParams, error) {
	p := ml.DefaultMLPParams()
	var errs []error
	for name, text := range given {
		var err error
		switch short := strings.TrimPrefix(name, runMLP+"."); short {
		case "hidden":
			p.Hidden, err = strconv.Atoi(text)
		case "batch":
			p.Batch, err = strconv.Atoi(text)
		case "epochs":
			p.Epochs, err = strconv.Atoi(text)
		case "learning_rate":
			p.LearningRate, err = strconv.ParseFloat(text, 64)
		case "validation_share":
			p.ValidationShare, err = strconv.ParseFloat(text, 64)
		case "seed":
			p.Seed, err = strconv.ParseUint(text, 10, 64)
		default:
			err = fault.Field(name, "is no parameter of %s; it has hidden, batch, epochs, learning_rate, validation_share and seed", runMLP)
			errs = append(errs, err)
			continue
		}
		if err != nil {
			errs = append(errs, fault.Field(name, "is %q; want a number", text))
		}
	}
	if len(errs) == 0 {
		if err := p.Validate(); err != nil {
			errs = append(errs, fault.New(fault.Invalid, "%s", strings.ReplaceAll(err.Error(), "ml: ", "")))
		}
	}
	return p, errors.Join(errs...)
}

// baseline trains the neural baseline on the newest ratings with the features that they had before them.
func (h *hand) baseline(ctx context.Context, p ml.MLPParams) (done *Registered, err error) {
	d, err := h.data(ctx)
	if err != nil {
		return nil, err
	}
	if len(d.Rows) < mlpRowsMin {
		return nil, fault.New(fault.Conflict, "the log holds %d ratings; %s is trained on %d or more", len(d.Rows), runMLP, mlpRowsMin).
			WithHint("import ratings first: projectionist import PATH")
	}
	params := baselineParams(p)
	if err := h.open(ctx, runMLP, params); err != nil {
		return nil, err
	}
	defer func() { err = h.ended(ctx, err) }()
	if _, err := h.dispatch(ctx, h.given.input(h.run, "ratings with features", d.columns(), len(d.Rows))); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	examples, ratings := d.examples(h.set.Signals)
	validation := int(float64(len(ratings)) * p.ValidationShare)
	h.told.Sizes([]recipe.Size{{Name: "features", N: len(d.Features)}, {Name: "training ratings", N: len(ratings) - validation},
		{Name: "validation ratings", N: validation, Note: "the newest"}, {Name: "parameters", N: p.Parameters(len(d.Features))}})
	train := len(ratings) - validation
	m, err := ml.TrainMoviePredictor(ctx, examples, ratings, p, func(e ml.EpochReport) {
		if err := h.log(ctx, epochFigures(e), int64(e.Epoch)); err != nil {
			cancel(err)
		}
		line := Epoch{Stage: recipe.StageFit, Done: e.Epoch, Total: e.Of, Loss: &e.TrainLoss}
		if e.ValidationRows > 0 {
			line.Validation = &e.ValidationLoss
		}
		h.told.Epoch(line)
	})
	if err != nil {
		return nil, failed(ctx, runMLP, err)
	}
	encoded, err := encodeBaseline(m, d)
	if err != nil {
		return nil, err
	}
	figures := baselineErrors(m, examples[train:], ratings[train:])
	views, err := h.Config.viewsOfBaseline(ctx, d.Cut)
	if err != nil {
		return nil, err
	}
	return h.register(ctx, version{name: runMLP, description: "The neural baseline: a small network that predicts ratings from features", params: params,
		seed: p.Seed, code: mlpCode + " " + ml.Kernel(), weights: encoded, figures: figures, featuresHash: d.FeaturesHash, views: views,
		described: func(sha256 string, size int64) weights {
			return baselineWeights(h.run, params, d.Features, sha256, size)
		}})
}

// Import registers a version from weights that were trained elsewhere: a model as its recipe reads it. Its data is
// not in the log, so it can be served and not trained again; what its file says of how good it is are parameters,
// imported.rmse and so on, and no metrics.
func (b *ByHand) Import(ctx context.Context, name string, r *recipe.Recipe, m recipe.Model, source []byte, t Training) (*Registered, error) {
	if err := (&commands.RegisterModel{Name: name, Description: r.Description}).Validate(); err != nil {
		return nil, err
	}
	encoded, err := m.Encode()
	if err != nil {
		return nil, err
	}
	h := &hand{ByHand: b, Training: t}
	cut, hash, err := h.head(ctx)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(source)
	from := hex.EncodeToString(sum[:])
	h.datasetID = "imported:" + from
	params := map[string]string{"imported.sha256": from}
	figures := map[string]float64{}
	for name, x := range m.Figures() {
		if name == "parameters" { // which were counted here; the others nobody here has measured
			figures[name] = x
		} else {
			params["imported."+name] = strconv.FormatFloat(x, 'g', -1, 64)
		}
	}
	if err := h.open(ctx, name, params); err != nil {
		return nil, err
	}
	done, err := h.register(ctx, version{name: name, description: r.Description, algorithm: r.Name, params: params,
		code: recipe.CodeImported, slot: events.ProductionSlot, cut: cut.String(), weights: encoded, figures: figures, featuresHash: hash,
		described: func(sha256 string, size int64) weights {
			w := weightsOf(r, name, h.run, params, sha256, size)
			w.code = recipe.CodeImported
			return w
		}})
	return done, h.ended(ctx, err)
}
