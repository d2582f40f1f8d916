package v1_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
)

// TestGC: what is deleted goes for good, if it is old enough or named, and nothing else does.
func TestGC(t *testing.T) {
	var asked []string
	w := newFixture(t, func(s *setup) {
		s.own.Freed = func(_ context.Context, streams []string) (int, int64, error) { asked = streams; return 2, 7, nil }
		s.own.Sweep = func(context.Context) (int, int64, error) { return 1, 5, nil }
	})
	do := func(c commands.Command) {
		t.Helper()
		res, err := w.cfg.Dispatcher.Dispatch(t.Context(), c, handlers.Meta{})
		w.must(err)
		w.folded(res.Position)
	}
	run := func(n int) string { return fmt.Sprintf("%032x", n) }
	model := func(n int) string { return "m-" + run(n) }
	mine, theirs := events.ExperimentID("mine", 1), events.ExperimentID("theirs", 1)
	do(&commands.CreateExperiment{Name: "mine"})
	do(&commands.CreateExperiment{Name: "theirs"})
	for n := range 6 {
		do(&commands.StartRun{RunID: run(n), ExperimentID: []string{mine, theirs}[n/4], Name: "r"})
	}
	do(&commands.LogBatch{RunID: run(0), Metrics: []events.Metric{{Key: "loss", Value: 1, TimestampMillis: 5}}})
	do(&commands.LogInputs{RunID: run(0), Datasets: []events.Dataset{{Name: "d", Digest: "1"}}})
	do(&commands.RegisterModel{Name: "m"})
	do(&commands.AddModelVersion{Name: "m", Source: "runs:/" + run(0) + "/model", RunID: run(0)})
	do(&commands.CreateLoggedModel{ModelID: model(0), ExperimentID: mine, Name: "m"})
	do(&commands.CreateLoggedModel{ModelID: model(1), ExperimentID: theirs, Name: "m"})
	do(&commands.DeleteRun{RunID: run(0)})
	do(&commands.DeleteLoggedModel{ModelID: model(0)})
	w.clock.set(day0.Add(48 * time.Hour))
	do(&commands.DeleteRun{RunID: run(1)})
	do(&commands.DeleteRun{RunID: run(2)})
	do(&commands.RestoreRun{RunID: run(2)})

	gc := func(body string) map[string]any { t.Helper(); return w.post("/api/v1/ops/gc", body).result() }
	says := func(r map[string]any, experiments, runs, models int) {
		t.Helper()
		if r["experiments"] != float64(experiments) || r["runs"] != float64(runs) || r["logged_models"] != float64(models) {
			t.Errorf("%v; want %d experiments, %d runs, %d logged models", r, experiments, runs, models)
		}
	}
	before := w.get("/api/v1/experiments").at("items.0.revision")
	r := gc(`{"dry_run": true}`)
	says(r, 0, 2, 1)
	if r["bytes"] != 7. || r["swept_blobs"] != 0. || !slices.Equal(asked, []string{"run/" + run(1), "run/" + run(0), "logged-model/" + model(0)}) && len(asked) != 3 || jsonAt(r, "registered_versions.0") != "m/1" {
		t.Errorf("%v, %v", r, asked)
	}
	says(gc(`{"older_than": "1d", "dry_run": true}`), 0, 1, 1)
	says(gc(`{"older_than": "1.5d12h0.5s", "dry_run": true}`), 0, 0, 0)
	says(gc(`{"run_ids": ["`+run(1)+`"], "dry_run": true}`), 0, 1, 0)
	if after := w.get("/api/v1/experiments").at("items.0.revision"); after != before {
		t.Error("a dry run has changed something")
	}
	for body, status := range map[string]int{`{"older_than": "soon"}`: 400, `{"older_than": "1d2"}`: 400} {
		w.post("/api/v1/ops/gc", body).want(status)
	}
	for body, status := range map[string]int{`{"run_ids": ["` + run(3) + `"]}`: 400, `{"run_ids": ["` + run(9) + `"]}`: 404, `{"run_ids": ["` + run(1) + `"], "older_than": "1d"}`: 400,
		`{"experiment_ids": ["` + mine + `"]}`: 400, `{"logged_model_ids": ["` + model(1) + `"]}`: 400} {
		w.post("/api/v1/ops/gc", body).want(status)
	}

	says(gc(`{"older_than": "1d"}`), 0, 1, 1)
	w.get("/api/v1/runs/"+run(0)).problem(404, "")
	w.get("/api/v1/runs/" + run(1)).want(200)
	runs := fold.Of[*projections.Runs](w.cfg.Views)
	if p, err := runs.MetricHistory(run(0), "loss", fold.PageQuery{}); err != nil || len(p.Items) != 0 {
		t.Errorf("%v %v", p, err)
	}
	if d, err := runs.Datasets(run(0)); err != nil || len(d) != 0 {
		t.Errorf("%v %v", d, err)
	}
	if p, err := runs.Runs(mine, fold.PageQuery{}); err != nil || len(p.Items) != 3 {
		t.Errorf("%v %v", p, err)
	}
	do(&commands.DeleteExperiment{ExperimentID: theirs})
	r = gc(`{}`)
	says(r, 1, 3, 1) // runs 1, 4 and 5, and the model in it
	if r["swept_bytes"] != 5. {
		t.Errorf("%v", r)
	}
	w.get("/api/v1/experiments/"+theirs).problem(404, "")
	w.get("/api/v1/experiments/theirs").problem(404, "")
	w.get("/api/v1/runs/"+run(5)).problem(404, "")
	says(gc(`{}`), 0, 0, 0)
	do(&commands.CreateExperiment{Name: "theirs"})
	if got := w.get("/api/v1/experiments/theirs").want(200).at("experiment_id"); got != events.ExperimentID("theirs", 2) {
		t.Errorf("the name's next experiment is %s", got)
	}
}

// TestGCGoesOn: one that was broken off after the experiment is finished by the next.
func TestGCGoesOn(t *testing.T) {
	w := newFixture(t)
	x, run := events.ExperimentID("x", 1), fmt.Sprintf("%032x", 1)
	for _, c := range []commands.Command{&commands.CreateExperiment{Name: "x"}, &commands.StartRun{RunID: run, ExperimentID: x, Name: "r"},
		&commands.DeleteExperiment{ExperimentID: x}, &commands.PurgeExperiment{ExperimentID: x}} {
		res, err := w.cfg.Dispatcher.Dispatch(t.Context(), c, handlers.Meta{})
		w.must(err)
		w.folded(res.Position)
	}
	if r := w.post("/api/v1/ops/gc", `{}`).result(); r["runs"] != 1. {
		t.Errorf("%v", r)
	}
	w.get("/api/v1/runs/"+run).problem(404, "")
}
