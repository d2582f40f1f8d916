package roles

import (
	"context"
	"maps"
	"slices"
	"strconv"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers/react"
	"github.com/projectionist/projectionist/ml/recipe"
	"github.com/projectionist/projectionist/projections/trainset"
	"github.com/projectionist/projectionist/streams"
)

const nameEvaluator = "evaluator"

// evaluator judges what was trained.
func (c *Config) evaluator() react.Role {
	return react.Role{Name: nameEvaluator, Tasks: map[string]react.TaskFunc{taskEvaluate: c.task(evaluateTrainedModel)}, Failed: closeRuns}
}

// evaluateTrainedModel judges the recipe on the last part of the data beside its baselines. The metrics
// go to the training's run, which ends here: the model's under their own names, a baseline's as
// "popularity.ndcg@10".
func evaluateTrainedModel(ctx context.Context, w *job) (map[string]string, error) {
	run, err := w.Input(taskTrain, "run_id")
	if err != nil {
		return nil, err
	}
	set, err := w.trainset(ctx)
	if err != nil {
		return nil, err
	}
	r, p, err := w.recipe()
	if err != nil {
		return nil, err
	}
	report, err := r.Evaluate(ctx, set.Input(), p, func(stage string, done, of int) { w.Progress(stage, int64(done), int64(of)) })
	if err != nil {
		return nil, err
	}
	w.cfg.fits.Forget() // nobody else judges this training
	values := map[string]float64{"moments": float64(report.Moments)}
	maps.Copy(values, report.Figures)
	maps.Copy(values, report.Model)
	for name, metrics := range report.Baselines {
		for metric, v := range metrics {
			values[name+"."+metric] = v
		}
	}
	if err := w.Once(ctx, "metrics", &commands.LogMetrics{RunID: run, Metrics: w.metrics(values, 0)}); err != nil {
		return nil, err
	}
	if _, err := w.Dispatch(ctx, "end_run", &commands.EndRun{RunID: run, Status: "FINISHED"}); err != nil {
		return nil, err
	}
	out := map[string]string{"run_id": run, gateMetric: "0", "popularity." + gateMetric: "0"}
	for name, v := range values {
		out[name] = strconv.FormatFloat(v, 'g', -1, 64)
	}
	w.Log().Info("model evaluated", "workflow_run", w.RunID(), "recipe", r.Name, "moments", report.Moments, gateMetric, out[gateMetric],
		"popularity", out["popularity."+gateMetric], "figures", report.Figures)
	return out, nil
}

// metrics are values as a run logs them, by name.
func (w *job) metrics(values map[string]float64, step int64) []events.Metric {
	now := w.Now().UnixMilli()
	list := make([]events.Metric, 0, len(values))
	for _, name := range slices.Sorted(maps.Keys(values)) {
		list = append(list, events.Metric{Key: name, Value: values[name], Step: step, TimestampMillis: now})
	}
	return list
}

// trainset reads the log up to the cut that the run pinned.
func (w *job) trainset(ctx context.Context) (*trainset.Set, error) {
	text, err := w.Input(taskPrepare, "cut")
	if err != nil {
		return nil, err
	}
	cut, err := streams.ParseCut(text)
	if err != nil {
		return nil, err
	}
	set, err := w.cfg.Sets.Load(ctx, w.cfg.Log, cut, w.reading)
	if err == nil {
		set.Fits = w.cfg.fits
	}
	return set, err
}

func (w *job) reading(done, total int64) { w.Progress("read the log", done, total) }

// recipe is the run's recipe with its parameters.
func (w *job) recipe() (*recipe.Recipe, recipe.Params, error) {
	return recipeOf(w.cfg.Params, w.Conf())
}
