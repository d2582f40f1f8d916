package roles_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/uuid"
	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers"
	"github.com/projectionist/projectionist/handlers/ingest/world"
	"github.com/projectionist/projectionist/handlers/react"
	"github.com/projectionist/projectionist/handlers/roles"
	"github.com/projectionist/projectionist/handlers/workflow"
	"github.com/projectionist/projectionist/internal/blob"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/ml"
	"github.com/projectionist/projectionist/ml/recipe"
	recipes "github.com/projectionist/projectionist/ml/recipe/all"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/projections/trainset"
	"github.com/projectionist/projectionist/streams"
	"github.com/projectionist/projectionist/streams/local"
)

// bench is a log with its views, which any number of reactors may share.
type bench struct {
	t      *testing.T
	log    *local.Log
	runner *fold.Runner
	blobs  *blob.Store
	outer  *handlers.Dispatcher // of the test itself
}

func newBench(t *testing.T) *bench {
	t.Helper()
	log, err := local.OpenMem(local.Options{ReserveBytes: -1, Logf: t.Logf})
	must(t, err)
	t.Cleanup(func() { log.Close() })
	store, err := fold.OpenStore("views", fold.StoreOptions{FS: vfs.NewMem()})
	must(t, err)
	t.Cleanup(func() { store.Close() })
	runner, err := fold.NewRunner(t.Context(), log, store,
		func() fold.View { return projections.NewCatalogue() },
		func() fold.View { return projections.NewHistories() },
		func() fold.View { return projections.NewDeployments() },
		func() fold.View { return projections.NewWorkflows() })
	must(t, err)
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { runner.Run(ctx) })
	t.Cleanup(func() { stop(); running.Wait() })
	blobs, err := blob.Open(t.TempDir())
	must(t, err)
	b := &bench{t: t, log: log, runner: runner, blobs: blobs, outer: handlers.New(handlers.Config{Ledger: log.Ledger(), Feed: log.Feed(), Now: time.Now, NewID: uuid.NewString})}
	for _, d := range roles.Definitions() {
		_, err := b.outer.Dispatch(t.Context(), &commands.DefineWorkflow{Workflow: d.Name, Source: d.Source(), Hash: d.Hash()}, handlers.Meta{Actor: "test"})
		must(t, err)
	}
	return b
}

// bubble runs a test in a bubble of its own, where waiting takes no time.
func bubble(t *testing.T, test func(*testing.T, *bench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))) // by when all facts have happened
		test(t, newBench(t))
	})
}

// Tasks of the workflows.
const (
	taskPrepare  = "prepare_training_data"
	taskTrain    = "train_movie_model"
	taskEvaluate = "evaluate_trained_model"
	taskFetch    = "fetch_movies"
	taskProcess  = "process_movies"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

var testParams = map[string]map[string]string{"als": {"als.dim": "8", "als.sweeps": "6", recipe.HoldoutEvents: "100"}}

// config is one process's, with short times.
func (b *bench) config(dir string, d react.Dispatcher) react.Config {
	if d == nil {
		d = b.outer
	}
	return react.Config{Dispatcher: d, Ledger: b.log.Ledger(), Blobs: b.blobs, Dir: dir, Operators: roles.Operators(),
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
		Lease:  400 * time.Millisecond, Heartbeat: 100 * time.Millisecond, CheckpointEvery: -1, Poll: 50 * time.Millisecond,
		HandlerBackoff: time.Millisecond, HandlerRetries: 2, CloseTimeout: 10 * time.Second}
}

// roles are the program's, with a small model.
func (b *bench) roles(dir string) roles.Config {
	mlp := ml.DefaultMLPParams()
	mlp.Hidden, mlp.Epochs = 8, 2
	return roles.Config{Log: b.log, Views: b.runner, Dir: dir, Params: testParams, MLP: &mlp}
}

// reactors are one process's.
func (b *bench) reactors(c react.Config) *react.Reactors {
	b.t.Helper()
	return b.reactorsWith(c, b.roles(c.Dir))
}

func (b *bench) reactorsWith(c react.Config, own roles.Config) *react.Reactors {
	b.t.Helper()
	all, err := roles.New(own)
	must(b.t, err)
	r, err := react.New(c, all...)
	must(b.t, err)
	return r
}

// run starts the reactors; stop ends them and waits.
func (b *bench) run(r *react.Reactors) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := r.Run(ctx); err != nil {
			b.t.Error(err)
		}
	})
	stop = func() { cancel(); running.Wait() }
	b.t.Cleanup(stop)
	return stop
}

// importWorld puts the first n choices of a simulated world into the log and completes its import. It
// returns the workflow run that is due.
func (b *bench) importWorld(n int) string { return b.imported(b.choices(n)) }

// simulated is the world that imports are of.
func (b *bench) simulated() *world.World {
	b.t.Helper()
	w, err := world.New(world.Params{Seed: 3, Users: 150, Movies: 200, Events: 20_000, End: time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)})
	must(b.t, err)
	return w
}

// choices are the first n choices of the simulated world.
func (b *bench) choices(n int) (facts []handlers.Identified) {
	b.t.Helper()
	for x := range b.simulated().Interactions() {
		if x.Kind == "view" || x.Kind == "click" {
			continue // as in data sets of ratings: people first meet a film by choosing it
		}
		if len(facts) == n {
			break
		}
		facts = append(facts, handlers.Identified{ID: fmt.Sprint("sim-", len(facts)), Fact: &commands.RecordInteraction{Interaction: events.Interaction{
			UserID: x.UserID, MovieID: x.MovieID, Kind: x.Kind, Rating: x.Rating, Timestamp: events.FormatTime(time.UnixMilli(x.TimeMillis))}}})
	}
	return facts
}

// imported puts the simulated world's films and these facts into the log and completes their import.
func (b *bench) imported(facts []handlers.Identified) string {
	b.t.Helper()
	movies := b.simulated().Movies()
	for _, m := range movies {
		b.dispatch(&commands.ListMovie{Dataset: "simulated", Movie: events.Movie{MovieID: m.ID, Title: m.Title, Year: m.Year, Genres: m.Genres, TMDBID: m.TMDBID}})
	}
	_, err := b.outer.PublishMany(b.t.Context(), events.UserEventsTopic, facts, handlers.Meta{})
	must(b.t, err)
	// Of person 1 a data set says the age, which is so at all times; of some others somebody does now, when their acts are over.
	b.dispatch(&commands.DescribeUser{User: events.User{UserID: "1", Age: 34}, Dataset: "simulated"})
	for i := range 20 {
		b.dispatch(&commands.DescribeUser{User: events.User{UserID: fmt.Sprint(i + 2), Age: 50}})
	}
	start := &commands.StartImport{Dataset: "simulated", Digest: strings.Repeat("ab", 32)}
	b.dispatch(start)
	b.dispatch(&commands.CompleteImport{ImportID: start.ImportID(), MoviesAdded: int64(len(movies)), FactsAdded: int64(len(facts))})
	return roles.TrainingRunOf(start.ImportID())
}

func (b *bench) dispatch(c commands.Command) handlers.Result {
	b.t.Helper()
	res, err := b.outer.Dispatch(b.t.Context(), c, handlers.Meta{Actor: "test"})
	must(b.t, err)
	return res
}

func (b *bench) workflowRun(id string) projections.WorkflowRun {
	b.t.Helper()
	run, _, err := projections.FoldWorkflowRun(b.log.Ledger().ReadStream(context.Background(), "workflow-run/"+id, 0), fold.At{})
	must(b.t, err)
	return run
}

// waitEnded waits until the ledger has the end of a run. The limit only ends a test that would hang.
func (b *bench) waitEnded(id string) projections.WorkflowRun {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), 10*time.Minute)
	defer cancel()
	for {
		head, err := b.log.Ledger().Head(ctx, time.Time{})
		must(b.t, err)
		if run := b.workflowRun(id); run.State != "" && run.Ended() {
			return run
		}
		if err := b.log.Ledger().Wait(ctx, head); err != nil {
			b.t.Fatalf("run %s does not end: %v; the ledger holds\n%s", id, err, strings.Join(b.history(), "\n"))
		}
	}
}

// all are the ledger's events of a type T.
func all[T any, P interface {
	*T
	events.Data
}](b *bench) []*T {
	var found []*T
	for c, err := range b.log.Ledger().Read(context.Background(), 0) {
		must(b.t, err)
		for i := range c.Events {
			if d, ok := c.Events[i].Data.(P); ok {
				found = append(found, (*T)(d))
			}
		}
	}
	return found
}

func (b *bench) history() []string {
	var lines []string
	for c, err := range b.log.Ledger().Read(context.Background(), 0) {
		must(b.t, err)
		for i := range c.Events {
			if typ := c.Events[i].Type(); typ != "movie.listed" && typ != "run.metrics_logged" {
				lines = append(lines, fmt.Sprintf("%d %s %+v", c.Position.Offset, typ, c.Events[i].Data))
			}
		}
	}
	return lines
}

// checkOneEach checks that the run ended well and every task once, and gives the deployment.
func (b *bench) checkOneEach(run projections.WorkflowRun) *events.ModelDeployed {
	b.t.Helper()
	if run.State != "success" {
		b.t.Fatalf("state %s, reason %s\n%s", run.State, run.Reason, strings.Join(b.history(), "\n"))
	}
	ends := map[string]int{}
	for _, e := range all[events.TaskSucceeded](b) {
		ends[e.Task]++
	}
	for _, task := range roles.Definitions()[1].Tasks {
		if ends[task.Name] != 1 {
			b.t.Errorf("task %s succeeded %d times", task.Name, ends[task.Name])
		}
	}
	if n := len(all[events.WorkflowRunEnded](b)); n != 1 {
		b.t.Errorf("the run ended %d times", n)
	}
	deployed := all[events.ModelDeployed](b)
	versions := served(b)
	if len(deployed) != 1 || len(versions) != 1 {
		b.t.Fatalf("%d deployments, %d versions; want 1 of each", len(deployed), len(versions))
	}
	v := versions[0]
	again, err := trainset.Rebuild(context.Background(), b.log, v, nil)
	must(b.t, err)
	if again.SHA256 != v.Blob || deployed[0].Blob != v.Blob {
		b.t.Errorf("deployed %s, registered %s; uninterrupted training from the log gives %s", deployed[0].Blob, v.Blob, again.SHA256)
	}
	return deployed[0]
}

// served are the versions that can serve, without those of the baseline.
func served(b *bench) (versions []*events.ModelVersionRegistered) {
	for _, v := range all[events.ModelVersionRegistered](b) {
		if v.Slot != "" {
			versions = append(versions, v)
		}
	}
	return versions
}

func TestPipeline(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		dir := t.TempDir()
		r := b.reactors(b.config(dir, nil))
		stop := b.run(r)
		id := b.importWorld(3000)
		run := b.waitEnded(id)
		deployed := b.checkOneEach(run)
		if deployed.Slot != "production" || deployed.Model != "als" || deployed.Version != 1 || deployed.Reason == "" {
			t.Errorf("deployed %+v", deployed)
		}
		if run.RunType != "triggered" || run.Actor != "reactor:trigger" {
			t.Errorf("run type %s by %s", run.RunType, run.Actor)
		}

		// The runs with their figures.
		read := func(name string) projections.Run {
			run, ok, err := projections.FoldRun(b.log.Ledger().ReadStream(t.Context(), "run/"+react.HashID("run", id, name), 0), fold.At{})
			if err != nil || !ok || run.Status != "FINISHED" {
				t.Fatalf("run %s: %v %+v", name, err, run)
			}
			return run
		}
		als, mlp := read("als"), read("movie_predictor")
		for _, metric := range []string{"loss", "tune_loss", "ndcg@10", "hr@10", "mrr", "popularity.ndcg@10", "decayed_popularity.ndcg@10", "online.ndcg@10", "als.ndcg@10", "moments"} {
			if _, ok := als.Metrics[metric]; !ok {
				t.Errorf("no metric %s", metric)
			}
		}
		if als.Params["als.dim"] != "8" || als.Metrics["loss"].Step != 6 {
			t.Errorf("params %v, loss %+v", als.Params, als.Metrics["loss"])
		}
		rmse, mae := mlp.Metrics["rmse"].Value, mlp.Metrics["mae"].Value
		if accuracy := mlp.Metrics["accuracy"].Value; !(accuracy > 0 && accuracy < 1) {
			t.Errorf("accuracy %v", accuracy)
		}
		baseline, ok, err := projections.FoldModel(b.log.Ledger().ReadStream(t.Context(), "model/movie_predictor", 0), fold.At{})
		if v := baseline.Version(1); err != nil || !ok || v == nil || v.RunID != mlp.RunID || v.Blob != blobOf(&mlp, "model/movie_predictor.bin") || v.Stage != "None" || v.Slot != "" || v.Params["hidden"] != mlp.Params["hidden"] {
			t.Errorf("the baseline in the registry: %v %+v", err, baseline)
		}
		stated := baseline.Versions[0].ModelVersionRegistered
		if _, sha, err := roles.Rebuild(t.Context(), b.log, &stated, nil); err != nil || sha != stated.Blob {
			t.Errorf("the baseline is trained again to %s, %v; want %s", sha, err, stated.Blob)
		}
		stated.CodeVersion = "movie-predictor/0 " + stated.CodeVersion
		if _, _, err := roles.Rebuild(t.Context(), b.log, &stated, nil); !fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), "code") {
			t.Errorf("the baseline of other code trained again: %v", err)
		}
		if !(rmse > 0 && rmse < 2.5 && mae > 0 && mae <= rmse) || mlp.Metrics["validation_rows"].Value == 0 {
			t.Errorf("rmse %v, mae %v, rows %+v", rmse, mae, mlp.Metrics)
		}
		t.Logf("moments %v, ndcg@10 %s, popularity %s, rmse %.3f", als.Metrics["moments"].Value, run.TaskOf(taskEvaluate).Output["ndcg@10"], run.TaskOf(taskEvaluate).Output["popularity.ndcg@10"], rmse)

		// The training set.
		built := all[events.DatasetBuilt](b)
		if len(built) != 1 || built[0].Interactions != 3000 || built[0].Rows == 0 {
			t.Fatalf("data sets %+v", built)
		}
		raw, err := b.blobs.Get(built[0].Blob)
		must(t, err)
		d, err := roles.DecodeDataset(raw, built[0].Interactions)
		must(t, err)
		if len(d.Rows) != built[0].Rows || len(d.Features) < 20 || d.Cut != built[0].Cut {
			t.Errorf("%d rows of %d features, cut %s", len(d.Rows), len(d.Features), d.Cut)
		}
		cut, err := streams.ParseCut(d.Cut)
		must(t, err)
		set, err := trainset.Load(t.Context(), b.log, cut, nil)
		must(t, err)
		ages := map[float32]int{}
		for _, row := range d.Rows {
			x := row.Values[slices.Index(d.Features, "user_features__age")]
			who := d.Users[set.Data.Samples[row.Sample].User]
			if ages[x]++; (who == "1") != (x == 34) {
				t.Errorf("the age of %s is %v", who, x)
			}
		}
		if ages[34] == 0 || ages[0] == 0 || len(ages) != 2 {
			t.Errorf("ages in the rows: %v", ages)
		}
		stop()

		// Cursors: a second start sees nothing again. Without them all is seen again, and nothing done.
		head := func() int64 {
			n, err := b.log.Ledger().Head(t.Context(), time.Time{})
			must(t, err)
			return n
		}
		before := head()
		again := func(dir string) (handled int64) {
			r := b.reactors(b.config(dir, nil))
			stop := b.run(r)
			time.Sleep(time.Minute)
			synctest.Wait()
			for _, s := range r.Stats(t.Context()) {
				if s.Offset < before || s.Failed != 0 {
					t.Errorf("%+v", s)
				}
				handled += s.Handled
			}
			stop()
			return handled
		}
		if n := again(dir); n != 0 {
			t.Errorf("%d events were seen again with a cursor", n)
		}
		if n := again(t.TempDir()); n != 1 { // import.completed
			t.Errorf("%d events were seen without a cursor; want 1", n)
		}
		if after := head(); after != before {
			t.Errorf("the ledger grew from %d to %d", before, after)
		}
	})
}

// mortal is a dispatcher of a process that can die: then nothing it says reaches the log.
type mortal struct {
	react.Dispatcher
	before func(context.Context, commands.Command) // sees every command
	dead   atomic.Bool
}

func (m *mortal) Dispatch(ctx context.Context, c commands.Command, meta handlers.Meta) (handlers.Result, error) {
	if m.before != nil && !m.dead.Load() {
		m.before(ctx, c)
	}
	if m.dead.Load() {
		return handlers.Result{}, fault.New(fault.Unavailable, "the process is dead")
	}
	return m.Dispatcher.Dispatch(ctx, c, meta)
}

// sweeps counts the losses a process logs, which are as many as the sweeps it made.
func sweeps(n *atomic.Int64) func(context.Context, commands.Command) {
	return func(_ context.Context, c commands.Command) {
		if m, ok := c.(*commands.LogMetrics); ok && strings.HasSuffix(m.Metrics[0].Key, "loss") && m.Metrics[0].Key != "train_loss" {
			n.Add(1)
		}
	}
}

// interrupt runs the pipeline, ends the first process once it has saved its third checkpoint, as told,
// and lets a second one finish.
func interrupt(t *testing.T, b *bench, crash bool) projections.WorkflowRun {
	dir := t.TempDir()
	var before, after, checkpoints atomic.Int64
	ended := make(chan struct{})
	first := &mortal{Dispatcher: b.outer}
	first.before = func(ctx context.Context, c commands.Command) {
		sweeps(&before)(ctx, c)
		if r, ok := c.(*commands.RenewTaskLease); ok && r.Task == taskTrain && r.Checkpoint != "" && checkpoints.Add(1) == 4 {
			if crash {
				first.dead.Store(true)
			}
			close(ended)
			<-ctx.Done()
		}
	}
	stop := b.run(b.reactors(b.config(dir, first)))
	id := b.importWorld(2000)
	<-ended
	stop()
	halfway := b.workflowRun(id)
	if state := halfway.TaskOf(taskTrain); crash && state.State != "running" || !crash && state.State != "up_for_retry" {
		t.Fatalf("after the end of the first process the task is %s", state.State)
	}
	second := &mortal{Dispatcher: b.outer, before: sweeps(&after)}
	b.run(b.reactors(b.config(dir, second)))
	run := b.waitEnded(id)
	b.checkOneEach(run)
	const whole = 2 * 6 // to choose the blend, and to fit all
	if n := after.Load(); n < 1 || n > whole-3 || before.Load()+n < whole {
		t.Errorf("%d sweeps before the end and %d after; want the second process to go on from the checkpoint", before.Load(), n)
	}
	if n := len(run.TaskOf(taskTrain).Tries); n != 2 {
		t.Errorf("%d tries; want 2", n)
	}
	return run
}

func TestCrashWhileTraining(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) { interrupt(t, b, true) })
}

func TestStopWhileTraining(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		run := interrupt(t, b, false)
		if tries := run.TaskOf(taskTrain).Tries; !strings.HasPrefix(tries[0].Error, "stopped: ") {
			t.Errorf("first try: %+v", tries[0])
		}
	})
}

func TestTwoProcesses(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.run(b.reactors(b.config(t.TempDir(), nil)))
		b.run(b.reactors(b.config(t.TempDir(), nil)))
		b.checkOneEach(b.waitEnded(b.importWorld(2000)))
	})
}

func TestNothingToTrainOn(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.run(b.reactors(b.config(t.TempDir(), nil)))
		b.dispatch(&commands.RequestWorkflowRun{RunID: "r1", Workflow: roles.TrainingPipeline, RunType: "manual"})
		run := b.waitEnded("r1")
		if task := run.TaskOf(taskPrepare); run.State != "failed" || task.Try != 1 || !strings.Contains(run.Reason, "nothing to train on") {
			t.Errorf("%+v", run)
		}
	})
}

func TestConf(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.run(b.reactors(b.config(t.TempDir(), nil)))
		b.waitEnded(b.importWorld(1000))
		for id, conf := range map[string]map[string]string{"good": {"als.dim": "4"}, "bad": {"als.dims": "4"}} {
			b.dispatch(&commands.RequestWorkflowRun{RunID: id, Workflow: roles.TrainingPipeline, RunType: "manual", Conf: conf})
		}
		if run := b.waitEnded("good"); run.State != "success" {
			t.Errorf("%s %s", run.State, run.Reason)
		}
		versions := served(b)
		if v := versions[len(versions)-1]; v.Version != 2 || v.Params["als.dim"] != "4" {
			t.Errorf("%+v", v)
		}
		if run := b.waitEnded("bad"); run.State != "failed" || !strings.Contains(run.Reason, "als.dims") {
			t.Errorf("%s %s", run.State, run.Reason)
		}
		b.dispatch(&commands.RequestWorkflowRun{RunID: "none", Workflow: "no_such_workflow", RunType: "manual"})
		if run := b.waitEnded("none"); run.State != "failed" || !strings.Contains(run.Reason, "no_such_workflow") {
			t.Errorf("%s %s", run.State, run.Reason)
		}
	})
}

// A run's conf names the recipe: its model is trained, judged, registered and staged under its own name.
func TestAlgorithm(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.run(b.reactors(b.config(t.TempDir(), nil)))
		b.waitEnded(b.importWorld(1500))
		for _, r := range recipes.Recipes()[1:] {
			b.dispatch(&commands.RequestWorkflowRun{RunID: r.Name, Workflow: roles.TrainingPipeline, RunType: "manual",
				Conf: map[string]string{"algorithm": r.Name, recipe.HoldoutEvents: "50"}})
			run := b.waitEnded(r.Name)
			if run.State != "success" {
				t.Fatalf("%s: %s %s", r.Name, run.State, run.Reason)
			}
			versions := served(b)
			v := versions[len(versions)-1]
			if v.Name != r.Name || v.Version != 1 || v.Algorithm != r.Name || v.Params[recipe.HoldoutEvents] != "50" || v.CodeVersion != r.CodeVersion() {
				t.Errorf("registered %+v", v)
			}
			again, err := trainset.Rebuild(t.Context(), b.log, v, nil)
			must(t, err)
			if again.SHA256 != v.Blob {
				t.Errorf("%s: registered %s, made again %s", r.Name, v.Blob, again.SHA256)
			}
			logged, ok, err := projections.FoldRun(b.log.Ledger().ReadStream(t.Context(), "run/"+v.RunID, 0), fold.At{})
			must(t, err)
			if !ok || logged.Name != r.Name || logged.Status != "FINISHED" || blobOf(&logged, "model/"+r.Name+".bin") == "" {
				t.Errorf("run %+v", logged)
			}
			if _, ok := logged.Metrics["ndcg@10"]; !ok {
				t.Errorf("metrics %v", logged.Metrics)
			}
			promoted := run.TaskOf("promote_model").Output
			deployed := all[events.ModelDeployed](b)
			if last := deployed[len(deployed)-1]; promoted["model"] != r.Name || promoted["reason"] == "" || (promoted["promoted"] == "true") != (last.Model == r.Name) {
				t.Errorf("promotion %v; deployed last %+v", promoted, last)
			}
		}
		b.dispatch(&commands.RequestWorkflowRun{RunID: "magic", Workflow: roles.TrainingPipeline, RunType: "manual", Conf: map[string]string{"algorithm": "magic"}})
		if run := b.waitEnded("magic"); run.State != "failed" || !strings.Contains(run.Reason, "conf.algorithm") || !strings.Contains(run.Reason, "one of als") {
			t.Errorf("%+v", run)
		}
	})
}

// check says what is wrong with the conf of a run of a workflow that the program comes with.
func check(name string, conf map[string]string) error {
	defined := roles.Definitions()
	d := defined[slices.IndexFunc(defined, func(d *workflow.Definition) bool { return d.Name == name })]
	_, err := d.Conf(conf, roles.Operators())
	return err
}

func TestCheckConf(t *testing.T) {
	for _, test := range []struct {
		workflow string
		conf     map[string]string
		field    string
	}{
		{roles.TrainingPipeline, nil, ""},
		{roles.TrainingPipeline, map[string]string{"als.dim": "4"}, ""},
		{roles.TrainingPipeline, map[string]string{"algorithm": "popularity", "popularity.half_life_days": "3"}, ""},
		{roles.TrainingPipeline, map[string]string{"algorithm": "popularity", "als.dim": "4"}, "conf.als.dim"},
		{roles.TrainingPipeline, map[string]string{"als.dims": "4", "als.dim": "0"}, "conf.als.dim"},
		{roles.TrainingPipeline, map[string]string{"algorithm": "magic"}, "conf.algorithm"},
		{roles.DataCollection, map[string]string{"pages": "3"}, ""},
		{roles.DataCollection, map[string]string{"pages": "501"}, "conf.pages"},
	} {
		err := check(test.workflow, test.conf)
		var f *fault.Error
		if (err == nil) != (test.field == "") || err != nil && (!errors.As(err, &f) || f.Field != test.field) {
			t.Errorf("%s %v: %v; want %q at fault", test.workflow, test.conf, err, test.field)
		}
	}
	if err := check(roles.TrainingPipeline, map[string]string{"als.dims": "4", "als.dim": "0"}); !strings.Contains(err.Error(), "conf.als.dims: ") {
		t.Error("of two faults one is told:", err)
	}
}

// refusing is a dispatcher that fails where it is told to.
type refusing struct {
	react.Dispatcher
	fails func(commands.Command) error
}

func (d refusing) Dispatch(ctx context.Context, c commands.Command, m handlers.Meta) (handlers.Result, error) {
	if err := d.fails(c); err != nil {
		return handlers.Result{}, err
	}
	return d.Dispatcher.Dispatch(ctx, c, m)
}

// TestCutIsPinned has facts arrive between two tries of the preparation.
func TestCutIsPinned(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		var failed atomic.Bool
		d := refusing{b.outer, func(c commands.Command) error {
			if _, ok := c.(*commands.RecordDataset); ok && failed.CompareAndSwap(false, true) {
				_, err := b.outer.Publish(context.Background(), []commands.Fact{&commands.RecordInteraction{Interaction: events.Interaction{
					UserID: "late", MovieID: "1", Kind: "like", Timestamp: "2024-01-01T00:00:00Z"}}}, handlers.Meta{})
				return errors.Join(errors.New("failed on purpose"), err)
			}
			return nil
		}}
		b.run(b.reactors(b.config(t.TempDir(), d)))
		run := b.waitEnded(b.importWorld(500))
		b.checkOneEach(run)
		if n := run.TaskOf(taskPrepare).Try; n != 2 {
			t.Errorf("%d tries", n)
		}
		if built := all[events.DatasetBuilt](b); len(built) != 1 || built[0].Interactions != 500 {
			t.Errorf("%+v; want what was there when the task first started", built)
		}
	})
}

// TestLostBlobs ends the process that made the training set, and its blobs with it: the next one makes the
// set again from the log, to the same bytes.
func TestLostBlobs(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		first, second := newBench(t), newBench(t) // for their blobs
		c := b.config(t.TempDir(), nil)
		c.Blobs = first.blobs
		ctx, cancel := context.WithCancel(context.Background())
		c.Dispatcher = refusing{b.outer, func(c commands.Command) error {
			if s, ok := c.(*commands.StartTask); ok && s.Task == taskTrain {
				cancel()
				return ctx.Err()
			}
			return nil
		}}
		r := b.reactors(c)
		var running sync.WaitGroup
		running.Go(func() { r.Run(ctx) })
		id := b.importWorld(1500)
		running.Wait()
		c = b.config(t.TempDir(), nil)
		c.Blobs = second.blobs
		b.run(b.reactors(c))
		run := b.waitEnded(id)
		b.checkOneEach(run)
		made := all[events.DatasetBuilt](b)
		if len(made) != 1 || !first.blobs.Has(made[0].Blob) || !second.blobs.Has(made[0].Blob) {
			t.Errorf("%+v", made)
		}
		if rmse := run.TaskOf(taskTrain).Output["movie_predictor.rmse"]; rmse == "" {
			t.Error("the baseline was not trained on it")
		}
	})
}

func TestConfig(t *testing.T) {
	_, err := roles.New(roles.Config{})
	for _, field := range []string{"Log", "Views", "Dir"} {
		if err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%v does not name %s", err, field)
		}
	}
}
