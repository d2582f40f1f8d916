package roles_test

import (
	"context"
	"fmt"
	"maps"
	"math"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers/react"
	"github.com/projectionist/projectionist/handlers/roles"
	"github.com/projectionist/projectionist/ml"
	"github.com/projectionist/projectionist/ml/recipe"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
)

const taskPromote = "promote_model"

// What a run logs of a model under a name is what the registered weights hold; what was found out about the
// model that was judged has another name.
func TestWhatIsLoggedServes(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		b.run(b.reactors(b.config(t.TempDir(), nil)))
		differ := false
		for i, dim := range []string{"2", "4", "8"} {
			id := "dim-" + dim
			if i == 0 {
				b.waitEnded(b.importWorld(2000))
			}
			b.dispatch(&commands.RequestWorkflowRun{RunID: id, Workflow: roles.TrainingPipeline, RunType: "manual", Conf: map[string]string{"als.dim": dim}})
			run := b.waitEnded(id)
			if run.State != "success" {
				t.Fatal(run.Reason)
			}
			versions := served(b)
			raw, err := b.blobs.Get(versions[len(versions)-1].Blob)
			must(t, err)
			artifact, err := ml.DecodeArtifact(raw)
			must(t, err)
			weight, err := artifact.Tensor("als_weight", 1)
			must(t, err)
			logged, _, err := projections.FoldRun(b.log.Ledger().ReadStream(t.Context(), "run/"+react.HashID("run", id, "als"), 0), fold.At{})
			must(t, err)
			serves, judged := float64(weight[0]), logged.Metrics["judged.als_weight"].Value
			if got, ok := logged.Metrics["als_weight"]; !ok || float64(got.Value) != serves {
				t.Errorf("dim %s: als_weight is logged as %v, %v; the registered weights hold %v", dim, got.Value, ok, serves)
			}
			if out := run.TaskOf(taskTrain).Output["als_weight"]; out != strconv.FormatFloat(serves, 'g', -1, 64) {
				t.Errorf("dim %s: the task puts out als_weight %s; the registered weights hold %v", dim, out, serves)
			}
			if _, ok := run.TaskOf(taskEvaluate).Output["als_weight"]; ok {
				t.Errorf("dim %s: the judge puts out the weight of its own model as that of the registered one", dim)
			}
			differ = differ || float64(judged) != serves
			t.Logf("dim %s serves %v, judged was %v", dim, serves, judged)
		}
		if !differ {
			t.Error("in no case did the judged model choose another weight than the one that serves: the test tells nothing")
		}
	})
}

// importActs puts the first n choices of a simulated world into a log, at full hours, so that many acts
// of a person are of one time. Their ids begin as told.
func (b *bench) importActs(n int, ids string) string {
	b.t.Helper()
	facts := b.choices(n)
	for i := range facts {
		x := facts[i].Fact.(*commands.RecordInteraction)
		at, err := time.Parse(time.RFC3339Nano, x.Timestamp)
		must(b.t, err)
		facts[i].ID = fmt.Sprint(ids, i)
		x.Timestamp = events.FormatTime(at.Truncate(time.Hour))
	}
	return b.imported(facts)
}

// The same acts sent twice, into two folders and with ids of their own, are judged alike to the bit.
func TestSameActsAreJudgedAlike(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		outputs := []map[string]string{}
		for _, ids := range []string{"a", "b", "again-"} {
			b := newBench(t)
			b.run(b.reactors(b.config(t.TempDir(), nil)))
			run := b.waitEnded(b.importActs(3000, ids))
			b.checkOneEach(run)
			out := maps.Clone(run.TaskOf(taskEvaluate).Output)
			out["decision"] = run.TaskOf(taskPromote).Output["promoted"] + ": " + run.TaskOf(taskPromote).Output["reason"]
			delete(out, "run_id")
			outputs = append(outputs, out)
		}
		for _, out := range outputs[1:] {
			for name, want := range outputs[0] {
				if out[name] != want {
					t.Errorf("%s is %s; with other ids it was %s", name, out[name], want)
				}
			}
		}
		if !strings.Contains(outputs[0]["decision"], "true: ") {
			t.Error(outputs[0]["decision"])
		}
	})
}

// train asks for a run of the training pipeline, and gives its end.
func (b *bench) train(id string, conf map[string]string) projections.WorkflowRun {
	b.t.Helper()
	b.dispatch(&commands.RequestWorkflowRun{RunID: id, Workflow: roles.TrainingPipeline, RunType: "manual", Conf: conf})
	run := b.waitEnded(id)
	if run.State != "success" {
		b.t.Fatalf("%s: %s", id, run.Reason)
	}
	return run
}

// decided checks what the gate made of a run, and what the slot then serves.
func (b *bench) decided(run projections.WorkflowRun, promoted bool, serves string, says ...string) {
	b.t.Helper()
	out := run.TaskOf(taskPromote).Output
	deployed := all[events.ModelDeployed](b)
	last := deployed[len(deployed)-1]
	if got, ok := roles.Decided(&run); got != promoted || !ok {
		b.t.Errorf("%s: the gate has decided (%t) that it is promoted: %t; want %t", run.RunID, ok, got, promoted)
	}
	if out["promoted"] != strconv.FormatBool(promoted) || fmt.Sprintf("%s/%d", last.Model, last.Version) != serves {
		b.t.Errorf("%s: promoted %s, %s/%d serves; want %v and %s: %s", run.RunID, out["promoted"], last.Model, last.Version, promoted, serves, out["reason"])
	}
	if promoted && last.Reason != out["reason"] {
		b.t.Errorf("%s: deployed because %q; the task says %q", run.RunID, last.Reason, out["reason"])
	}
	for _, s := range says {
		if !strings.Contains(out["reason"], s) {
			b.t.Errorf("%s: the reason does not say %q: %s", run.RunID, s, out["reason"])
		}
	}
	b.t.Logf("%s: %s", run.RunID, out["reason"])
}

// metrics are what a run of the pipeline logged last, by name.
func (b *bench) metrics(workflowRun, name string) map[string]float64 {
	b.t.Helper()
	run, ok, err := projections.FoldRun(b.log.Ledger().ReadStream(context.Background(), "run/"+react.HashID("run", workflowRun, name), 0), fold.At{})
	if err != nil || !ok {
		b.t.Fatal(ok, err)
	}
	values := map[string]float64{}
	for name, m := range run.Metrics {
		values[name] = float64(m.Value)
	}
	return values
}

// much has enough moments judged to tell recipes apart.
func much(conf map[string]string) map[string]string {
	conf[recipe.HoldoutShare], conf[recipe.HoldoutEvents] = "0.3", "1000"
	return conf
}

// A version is judged beside the recipe and parameters of what serves, where they are others, and passes unless it
// is worse beyond doubt.
func TestPromotion(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		var during atomic.Pointer[func()] // is called before a version is registered
		b.run(b.reactors(b.config(t.TempDir(), refusing{b.outer, func(c commands.Command) error {
			if _, ok := c.(*commands.RegisterModelVersion); ok {
				if f := during.Swap(nil); f != nil {
					(*f)()
				}
			}
			return nil
		}})))
		b.decided(b.waitEnded(b.importWorld(5000)), true, "als/1", "ndcg@10 ", " moments of ", "popularity ")

		same := b.train("same", nil)
		b.decided(same, true, "als/2", "als/1 is of the same recipe and parameters")
		if got := same.TaskOf(taskEvaluate).Output; got["champion"] != "als/1" || got["vs_champion.ndcg@10"] != "" || got["vs_popularity.ndcg@10"] == "" {
			t.Errorf("put out %v", got)
		}

		b.decided(b.train("other", much(map[string]string{"als.dim": "6"})), true, "als/3", "by the recipe and parameters of als/2 ", "95 % interval")

		worse := b.train("worse", much(map[string]string{"algorithm": "popularity"}))
		b.decided(worse, false, "als/3", "kept als/3: the new version is worse beyond doubt", "by the recipe and parameters of als/3 ", "95 % interval")
		logged, out := b.metrics("worse", "popularity"), worse.TaskOf(taskEvaluate).Output
		if d := logged["champion.ndcg@10"] + logged["vs_champion.ndcg@10"] - logged["ndcg@10"]; math.Abs(d) > 1e-9 || logged["vs_champion.ndcg@10.high"] >= 0 || logged["people"] < 30 {
			t.Errorf("logged %v", logged)
		}
		for _, name := range []string{"vs_champion.ndcg@10", "vs_champion.ndcg@10.low", "vs_champion.ndcg@10.high", "vs_popularity.ndcg@10", "vs_popularity.ndcg@10.low", "vs_popularity.ndcg@10.high", "moments", "people"} {
			if v, ok := logged[name]; !ok || out[name] != strconv.FormatFloat(v, 'g', -1, 64) {
				t.Errorf("%s is logged as %v, %v, and put out as %s", name, v, ok, out[name])
			}
		}

		deploy := func(model string, version int) {
			deployed := all[events.ModelDeployed](b)
			now := deployed[len(deployed)-1]
			b.dispatch(&commands.DeployModel{Slot: events.ProductionSlot, Model: model, Version: version, Reason: "by hand",
				Served: commands.Served{events.ProductionSlot: {Model: now.Model, Version: now.Version}}})
		}
		deploy("popularity", 1)
		b.decided(b.train("better", much(map[string]string{})), true, "als/4", "by the recipe and parameters of popularity/1 ")

		// Somebody deploys another recipe while a version is being judged: nobody knows how it compares with that.
		other := func() { deploy("popularity", 1) }
		during.Store(&other)
		b.decided(b.train("overtaken", much(map[string]string{"als.dim": "6"})), false, "popularity/1", "kept popularity/1: it took the slot after", "beside als/4; run the workflow again")
		// Or another version of what it was judged beside, to which the figures apply.
		deploy("als", 4)
		twin := func() { deploy("als", 3); deploy("als", 4) }
		during.Store(&twin)
		b.decided(b.train("as judged", much(map[string]string{"als.dim": "7"})), true, "als/6", "by the recipe and parameters of als/4 ")

		// What serves is nothing that this program can make.
		v := *all[events.ModelVersionRegistered](b)[0]
		b.dispatch(&commands.RegisterModel{Name: "alien"})
		b.dispatch(&commands.RegisterModelVersion{Name: "alien", RunID: v.RunID, Algorithm: "magic", Params: map[string]string{"depth": "3"}, CodeVersion: "magic/1",
			DatasetID: v.DatasetID, DatasetCut: v.DatasetCut, FeaturesHash: v.FeaturesHash, Blob: v.Blob, Bytes: v.Bytes, Slot: events.ProductionSlot})
		deploy("alien", 1)
		b.decided(b.train("unknown", nil), true, "als/7", "popularity ", "not compared with alien/1: ", `"magic"`)
		b.dispatch(&commands.RegisterModelVersion{Name: "alien", RunID: v.RunID, Algorithm: "als", Params: map[string]string{"als.depth": "3"}, CodeVersion: v.CodeVersion,
			DatasetID: v.DatasetID, DatasetCut: v.DatasetCut, FeaturesHash: v.FeaturesHash, Blob: v.Blob, Bytes: v.Bytes, Slot: events.ProductionSlot})
		deploy("alien", 2)
		b.decided(b.train("not taken", nil), true, "als/8", "not compared with alien/2: its parameters are not taken any more", "als.depth")
	})
}

// A judgement that another process takes over is the same, figure by figure, though another model has come to serve
// between the two tries: what served when the task was first started is what it judges beside.
func TestJudgementAcrossTries(t *testing.T) {
	judged := func(t *testing.T, b *bench, crash bool) (evaluated map[string]string, promotion string) {
		dir, ended := t.TempDir(), make(chan struct{})
		first := &mortal{Dispatcher: b.outer}
		first.before = func(ctx context.Context, c commands.Command) {
			if e, ok := c.(*commands.EndRun); crash && ok && e.RunID == react.HashID("run", "next", "als") {
				first.dead.Store(true)
				close(ended)
				<-ctx.Done()
			}
		}
		stop := b.run(b.reactors(b.config(dir, first)))
		b.decided(b.waitEnded(b.importWorld(3000)), true, "als/1")
		b.decided(b.train("bad", much(map[string]string{"algorithm": "popularity"})), false, "als/1")
		b.dispatch(&commands.RequestWorkflowRun{RunID: "next", Workflow: roles.TrainingPipeline, RunType: "manual", Conf: much(map[string]string{"als.dim": "6"})})
		if crash {
			<-ended
			stop()
			b.dispatch(&commands.DeployModel{Slot: events.ProductionSlot, Model: "popularity", Version: 1, Reason: "by hand"})
			b.run(b.reactors(b.config(dir, nil)))
		}
		run := b.waitEnded("next")
		if tries := len(run.TaskOf(taskEvaluate).Tries); run.State != "success" || tries != map[bool]int{false: 1, true: 2}[crash] {
			t.Fatalf("%s %s after %d tries", run.State, run.Reason, tries)
		}
		out := run.TaskOf(taskEvaluate).Output
		for name, v := range b.metrics("next", "als") {
			if got, ok := out[name]; ok && got != strconv.FormatFloat(v, 'g', -1, 64) {
				t.Errorf("%s is logged as %v, and put out as %s", name, v, got)
			}
		}
		return out, run.TaskOf(taskPromote).Output["reason"]
	}
	bubble(t, func(t *testing.T, b *bench) {
		want, decided := judged(t, b, false)
		got, after := judged(t, newBench(t), true)
		if !maps.Equal(got, want) || got["champion"] != "als/1" || got["vs_champion.ndcg@10"] == "" {
			t.Errorf("after a crash %v; want %v", got, want)
		}
		if !strings.Contains(decided, "by the recipe and parameters of als/1") || !strings.Contains(after, "kept popularity/1: it took the slot after") {
			t.Errorf("decided %q, and after the crash %q", decided, after)
		}
	})
}

// TestRenamedWhilePromoted: a model that is renamed between its registration and its promotion is the one that is promoted, though another
// has taken its name.
func TestRenamedWhilePromoted(t *testing.T) {
	bubble(t, func(t *testing.T, b *bench) {
		first := &mortal{Dispatcher: b.outer}
		first.before = func(_ context.Context, c commands.Command) {
			if s, ok := c.(*commands.SucceedTask); ok && s.Output["model_key"] != "" {
				b.dispatch(&commands.RenameModel{Name: "als", To: "films"})
				b.dispatch(&commands.RegisterModel{Name: "als"})
			}
		}
		b.run(b.reactors(b.config(t.TempDir(), first)))
		if run := b.waitEnded(b.importWorld(3000)); run.State != "success" || run.TaskOf(taskPromote).Output["model"] != "films" {
			t.Errorf("%s %s", run.State, run.Reason)
		}
		deployed := all[events.ModelDeployed](b)
		if d := deployed[len(deployed)-1]; d.Model != "als" || d.Version != 1 { // its key
			t.Errorf("%+v", d)
		}
		if m, ok, err := projections.ModelNamed(t.Context(), b.log.Ledger(), "films", fold.At{}); err != nil || !ok || m.Aliases["champion"] != 1 || m.Version(1).Stage != "Production" {
			t.Errorf("%+v %v", m, err)
		}
	})
}
