package roles

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"time"

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
	return react.Role{Name: nameEvaluator, Tasks: map[string]react.TaskFunc{opEvaluate: c.task(evaluateTrainedModel), opTry: c.task(tryModel), opDrift: c.task(checkDrift)}, Failed: closeRuns}
}

// What evaluateTrainedModel puts out, beside its metrics, for the gate. They are in the log: never change one.
const (
	outMoments       = "moments"
	outPeople        = "people"
	outVsPopularity  = "vs_popularity." + gateMetric // with ".low" and ".high"
	outVsChampion    = "vs_champion." + gateMetric   // with ".low" and ".high"; only of a champion that was judged
	outChampion      = "champion"                    // what served: "als/1"; "" for nothing
	outConfiguration = "champion.configuration"      // its [configurationID], "" for none
	outUnjudged      = "champion.unjudged"           // why it was not judged; "" where it was, or need not be
)

// figureOfJudged begins the names of figures of the model that was judged. Those of the registered one, which was
// trained on more, have their own names, and the trainer logs them.
const figureOfJudged = "judged."

// evaluateTrainedModel judges the recipe on the last part of the data beside its baselines and, where another recipe
// or other parameters serve, beside these. The metrics go to the training's run, which ends here: the model's
// under their own names, a baseline's as "popularity.ndcg@10".
func evaluateTrainedModel(ctx context.Context, w *job) (map[string]string, error) {
	run, err := w.Input(opTrain, "run_id")
	if err != nil {
		return nil, err
	}
	serving, err := w.championThen(ctx, w.Task())
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
	out := map[string]string{"run_id": run, gateMetric: "0", "popularity." + gateMetric: "0", outChampion: "", outConfiguration: "", outUnjudged: ""}
	var rival *recipe.Configuration
	if serving != nil {
		out[outChampion], out[outConfiguration], out[outUnjudged] = serving.name, configurationID(serving.by), serving.why
		if rival = serving.by; rival != nil && rival.Equal(recipe.Configuration{Recipe: r, Params: p}) {
			rival = nil // there is nothing to compare
		}
	}
	report, err := r.Evaluate(ctx, set.Input(), p, rival, func(stage string, done, of int) { w.Progress(stage, int64(done), int64(of)) })
	if err != nil {
		return nil, err
	}
	w.cfg.fits.Forget() // nobody else judges this training
	if report.ChampionError != nil {
		out[outUnjudged] = "it could not be trained on what is before the judged part: " + brief(report.ChampionError)
	}
	values := measured(report)
	if err := w.Once(ctx, "metrics", &commands.LogMetrics{RunID: run, Metrics: w.metrics(values, 0)}); err != nil {
		return nil, err
	}
	made := evaluation{Algorithm: r.Name, Params: p, Cut: set.Cut.String(), Champion: out[outChampion], Unjudged: out[outUnjudged], Figures: numbers(values)}
	if err := w.file(ctx, "report", run, fileReport, made.encode()); err != nil {
		return nil, err
	}
	if _, err := w.Dispatch(ctx, "end_run", &commands.EndRun{RunID: run, Status: "FINISHED"}); err != nil {
		return nil, err
	}
	for name, v := range values {
		out[name] = strconv.FormatFloat(v, 'g', -1, 64)
	}
	w.Log().Info("model evaluated", "workflow_run", w.RunID(), "recipe", r.Name, "moments", report.Moments, gateMetric, out[gateMetric],
		"popularity", out["popularity."+gateMetric], "champion", out[outChampion], "unjudged", out[outUnjudged], "judged", report.Figures)
	return out, nil
}

// measured are a report's figures by the names they are logged under.
func measured(report *recipe.Report) map[string]float64 {
	values := map[string]float64{outMoments: float64(report.Moments), outPeople: float64(report.People)}
	all := func(prefix string, figures map[string]float64) {
		for name, v := range figures {
			values[prefix+name] = v
		}
	}
	difference := func(name string, d recipe.Difference) {
		values[name], values[name+".low"], values[name+".high"] = d.Mean, d.Low, d.High
	}
	all(figureOfJudged, report.Figures)
	all("", report.Model)
	for name, metrics := range report.Baselines {
		all(name+".", metrics)
	}
	difference(outVsPopularity, report.VsPopularity)
	if report.Champion != nil {
		all(outChampion+".", report.Champion)
		difference(outVsChampion, report.VsChampion)
	}
	return values
}

// metrics are values as a run logs them, by name.
func (w *job) metrics(values map[string]float64, step int64) []events.Metric {
	return metricsOf(values, step, w.Now())
}

func metricsOf(values map[string]float64, step int64, at time.Time) []events.Metric {
	now := at.UnixMilli()
	list := make([]events.Metric, 0, len(values))
	for _, name := range slices.Sorted(maps.Keys(values)) {
		list = append(list, events.Metric{Key: name, Value: events.Number(values[name]), Step: step, TimestampMillis: now})
	}
	return list
}

// trainset reads the log up to the cut that the run pinned.
func (w *job) trainset(ctx context.Context) (*trainset.Set, error) {
	text, err := w.Input(opDataset, "cut")
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
	args, err := w.Args()
	if from := w.From(opTrain); from != "" {
		args, err = w.ArgsOf(from)
	}
	if err != nil {
		return nil, nil, err
	}
	given := w.ConfOf(opTrain)
	for name, value := range args {
		if value != "" {
			given[name] = value
		}
	}
	return recipeOf(w.cfg.Params, given)
}
