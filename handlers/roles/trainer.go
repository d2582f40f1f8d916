package roles

import (
	"bytes"
	"context"
	"maps"
	"math"
	"runtime"
	"slices"
	"strconv"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers/react"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/ml"
	"github.com/projectionist/projectionist/ml/recipe"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/projections/trainset"
)

const (
	// Experiment holds the runs of the training pipeline.
	Experiment = "movie_recommendation_experiment"

	// runMLP is the name of the neural baseline's run; the other one is called as its recipe.
	runMLP = "movie_predictor"

	// metWithin is how far, in stars, a predicted rating may be off and still count for the baseline's accuracy: the
	// step of most scales.
	metWithin = .5

	// mlpCode is the version of the baseline's training: other code is another number.
	mlpCode = "movie-predictor/1"

	// mlpRowsMin is the least to train the neural baseline on: two batches.
	mlpRowsMin = 64
)

const nameTrainer = "trainer"

// trainer trains the model, and the neural baseline beside it.
func (c *Config) trainer() react.Role {
	return react.Role{Name: nameTrainer, Tasks: map[string]react.TaskFunc{opTrain: c.task(trainMovieModel)}, Failed: c.closeTraining}
}

// runID is the id of one of the two runs of a task of training: every try has the same, until the task is cleared.
func runID(w *react.Work, name string) string {
	parts := []string{"run", w.RunID(), name}
	if w.Task() != "train_movie_model" { // whose ids are those of before there could be others
		parts = append(parts, w.Task())
	}
	if n := w.Cleared(); n > 0 {
		parts = append(parts, strconv.Itoa(n))
	}
	return react.HashID(parts...)
}

// trainMovieModel trains the model, going on from an earlier try's checkpoint, and then the neural
// baseline. The model's run stays active: its evaluation is logged to it.
func trainMovieModel(ctx context.Context, w *job) (map[string]string, error) {
	g, err := w.given()
	if err != nil {
		return nil, err
	}
	r, p, err := w.recipe()
	if err != nil {
		return nil, err
	}
	err = w.Ensure(ctx, "experiment", &commands.CreateExperiment{Name: Experiment, Description: "Models of the training pipeline"})
	if err != nil {
		return nil, err
	}
	experiment, err := w.cfg.experiment(ctx)
	if err != nil {
		return nil, err
	}
	run := runID(w.Work, r.Name)
	if err := w.openRun(ctx, r.Name, experiment, &g, p); err != nil {
		return nil, err
	}
	if err := w.Once(ctx, r.Name+"/input", g.input(run, "interactions", interactions(), g.rows)); err != nil {
		return nil, err
	}
	set, err := w.trainset(ctx)
	if err != nil {
		return nil, err
	}
	trained, err := w.train(ctx, r, set, run, p)
	if err != nil {
		return nil, err
	}
	blob, size, err := w.PutBlob(ctx, trained.Bytes)
	if err != nil {
		return nil, err
	}
	if blob != trained.SHA256 {
		return nil, fault.New(fault.Internal, "the weights were stored as %s, trained as %s", blob, trained.SHA256)
	}
	out := map[string]string{}
	if figures := trained.Model.Figures(); len(figures) > 0 {
		if err := w.Once(ctx, r.Name+"/figures", &commands.LogMetrics{RunID: run, Metrics: w.metrics(figures, 0)}); err != nil {
			return nil, err
		}
		for name, v := range figures {
			out[name] = strconv.FormatFloat(v, 'g', -1, 64)
		}
	}
	if _, err := w.Dispatch(ctx, "artifact", &commands.LogArtifact{RunID: run, Path: "model/" + r.Name + ".bin", Blob: blob, Bytes: size}); err != nil {
		return nil, err
	}
	if err := w.file(ctx, r.Name+"/mlmodel", run, fileMLmodel, weightsOf(r, r.Name, run, p, blob, size).mlmodel()); err != nil {
		return nil, err
	}
	maps.Copy(out, map[string]string{"run_id": run, "experiment_id": experiment, "blob": blob,
		"bytes": strconv.FormatInt(size, 10), "code_version": r.CodeVersion()})
	return out, w.trainBaseline(ctx, set, experiment, &g, out)
}

// experiment is the id of the one of the training pipeline; where it was renamed between two tries, of the first so called.
func (c *Config) experiment(ctx context.Context) (string, error) {
	e, ok, err := projections.ExperimentNamed(ctx, c.Log.Ledger(), Experiment, fold.At{})
	if err != nil || ok {
		return e.ExperimentID, err
	}
	return events.ExperimentID(Experiment, 1), nil
}

// openRun starts one of the pipeline's runs, unless an earlier try has.
func (w *job) openRun(ctx context.Context, name, experiment string, g *given, params map[string]string) error {
	id := runID(w.Work, name)
	tags := sourceTags(sourceJob, w.Workflow(), nameTrainer, "Trained by the workflow run "+w.RunID()+" on the log up to "+g.Cut)
	tags[tagWorkflow] = w.RunID()
	err := w.Ensure(ctx, name+"/start", &commands.StartRun{RunID: id, ExperimentID: experiment, Name: name, DatasetID: g.DatasetID, WorkflowRun: w.RunID(), Tags: tags})
	if err != nil {
		return err
	}
	_, err = w.Dispatch(ctx, name+"/params", &commands.LogParams{RunID: id, Params: params})
	return err
}

// file keeps a small file of a run. A repeat finds it, also after the run's end.
func (w *job) file(ctx context.Context, step, run, path string, content []byte) error {
	blob, size, err := w.PutBlob(ctx, content)
	if err != nil {
		return err
	}
	return w.Once(ctx, step, &commands.LogArtifact{RunID: run, Path: path, Blob: blob, Bytes: size, Late: true})
}

func (w *job) train(ctx context.Context, r *recipe.Recipe, set *trainset.Set, run string, p recipe.Params) (*recipe.Trained, error) {
	var hooks recipe.Hooks
	saved, err := w.Resume(ctx)
	if err != nil {
		return nil, err
	}
	if saved != nil {
		// A checkpoint is a line that says the code which can go on from it, and a state.
		code, state, ok := bytes.Cut(saved, []byte{'\n'})
		if !ok || !r.SameCode(string(code)) {
			w.Log().Warn("the checkpoint is another program's; training begins anew", "workflow_run", w.RunID())
		} else {
			hooks.Resume = state
		}
	}
	var failed error // of a hook that cannot say so itself
	hooks.Progress = func(stage string, done, of int, loss float64) {
		w.Progress(stage, int64(done), int64(of))
		if math.IsNaN(loss) || math.IsInf(loss, 0) {
			return // no metric: training says itself if it diverged
		}
		name := stage + "_loss"
		if stage == recipe.StageFit {
			name = "loss"
		}
		failed = w.Once(ctx, r.Name+"/"+name+"/"+strconv.Itoa(done), &commands.LogMetrics{RunID: run, Metrics: w.metrics(map[string]float64{name: loss}, int64(done))})
	}
	hooks.Save = func(state func() ([]byte, error)) error {
		if failed != nil || !w.Due() {
			return failed
		}
		b, err := state()
		if err != nil {
			return err
		}
		return w.Save(ctx, slices.Concat([]byte(r.CodeVersion()+"\n"), b))
	}
	return r.Make(ctx, set.Input(), p, hooks)
}

// trainBaseline trains the small neural predictor of ratings on the training set's rows, the newest of
// them held out, and adds its figures to out. It is there for comparison: what is wrong with it is its
// own run's failure, not the task's.
func (w *job) trainBaseline(ctx context.Context, set *trainset.Set, experiment string, g *given, out map[string]string) error {
	d, err := w.dataset(ctx, set, g.Blob)
	if err != nil {
		return err
	}
	if len(d.Rows) < mlpRowsMin {
		w.Log().Info("too few ratings for the neural baseline", "rows", len(d.Rows), "least", mlpRowsMin)
		return nil
	}
	p := *w.cfg.MLP
	run := runID(w.Work, runMLP)
	params := baselineParams(p)
	params["features"] = strconv.Itoa(len(d.Features))
	if err := w.openRun(ctx, runMLP, experiment, g, params); err != nil {
		return err
	}
	if err := w.Once(ctx, runMLP+"/input", g.input(run, "ratings with features", d.columns(), len(d.Rows))); err != nil {
		return err
	}
	features, ratings := d.examples(set.Signals)
	var last ml.EpochReport
	var failed error
	m, err := ml.TrainMoviePredictor(ctx, features, ratings, p, func(e ml.EpochReport) {
		last = e
		w.Progress("neural baseline", int64(e.Epoch), int64(e.Of))
		if err := w.Once(ctx, runMLP+"/epoch/"+strconv.Itoa(e.Epoch), &commands.LogMetrics{RunID: run, Metrics: w.metrics(epochFigures(e), int64(e.Epoch))}); err != nil {
			failed = err
		}
	})
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case failed != nil:
		return failed
	case err != nil:
		w.Log().Warn("the neural baseline failed", "workflow_run", w.RunID(), "error", err)
		return w.Ensure(ctx, runMLP+"/end", &commands.EndRun{RunID: run, Status: "FAILED", Reason: react.Trace(err.Error())})
	}
	if values := baselineErrors(m, features[last.TrainRows:], ratings[last.TrainRows:]); values != nil {
		if err := w.Once(ctx, runMLP+"/metrics", &commands.LogMetrics{RunID: run, Metrics: w.metrics(values, int64(last.Epoch))}); err != nil {
			return err
		}
		for name, v := range values {
			out[runMLP+"."+name] = strconv.FormatFloat(v, 'g', -1, 64)
		}
	}
	weights, err := encodeBaseline(m, d)
	if err != nil {
		return err
	}
	blob, size, err := w.PutBlob(ctx, weights)
	if err != nil {
		return err
	}
	if _, err := w.Dispatch(ctx, runMLP+"/artifact", &commands.LogArtifact{RunID: run, Path: "model/movie_predictor.bin", Blob: blob, Bytes: size}); err != nil {
		return err
	}
	if err := w.file(ctx, runMLP+"/mlmodel", run, fileMLmodel, baselineWeights(run, params, d.Features, blob, size).mlmodel()); err != nil {
		return err
	}
	if err := w.Ensure(ctx, runMLP+"/end", &commands.EndRun{RunID: run, Status: "FINISHED"}); err != nil {
		return err
	}
	out[runMLP+".run_id"], out[runMLP+".blob"], out[runMLP+".bytes"] = run, blob, strconv.FormatInt(size, 10)
	out[runMLP+".code_version"] = mlpCode + " " + runtime.GOARCH + " " + ml.Kernel()
	out[runMLP+".train_rows"], out[runMLP+".validation_rows"] = strconv.Itoa(last.TrainRows), strconv.Itoa(last.ValidationRows)
	return nil
}

// closeTraining ends as failed what runs of a training are still active.
func (c *Config) closeTraining(ctx context.Context, w *react.Work, reason string) error {
	ids := map[string]string{runMLP: runID(w, runMLP)}
	if r, _, err := (&job{w, c}).recipe(); err == nil { // else none of it was started
		ids[r.Name] = runID(w, r.Name)
	}
	return endRuns(ctx, w, ids, reason)
}

// closeRuns ends as failed what runs of the training before a task are still active.
func closeRuns(ctx context.Context, w *react.Work, reason string) error {
	ids := map[string]string{}
	for name, output := range map[string]string{"model": "run_id", runMLP: runMLP + ".run_id"} {
		if id, err := w.Input(opTrain, output); err == nil { // else there was no such run
			ids[name] = id
		}
	}
	return endRuns(ctx, w, ids, reason)
}

func endRuns(ctx context.Context, w *react.Work, ids map[string]string, reason string) error {
	for _, name := range slices.Sorted(maps.Keys(ids)) {
		err := w.Ensure(ctx, name+"/failed", &commands.EndRun{RunID: ids[name], Status: "FAILED", Reason: react.Trace(reason)})
		if err != nil && !fault.Is(err, fault.NotFound) { // it was never started
			return err
		}
	}
	return nil
}
