package roles_test

import (
	"fmt"
	"maps"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers/react"
	"github.com/projectionist/projectionist/handlers/roles"
	"github.com/projectionist/projectionist/ml"
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
			versions := all[events.ModelVersionRegistered](b)
			raw, err := b.blobs.Get(versions[len(versions)-1].Blob)
			must(t, err)
			artifact, err := ml.DecodeArtifact(raw)
			must(t, err)
			weight, err := artifact.Tensor("als_weight", 1)
			must(t, err)
			logged, _, err := projections.FoldRun(b.log.Ledger().ReadStream(t.Context(), "run/"+react.HashID("run", id, "als"), 0), fold.At{})
			must(t, err)
			serves, judged := float64(weight[0]), logged.Metrics["judged.als_weight"].Value
			if got, ok := logged.Metrics["als_weight"]; !ok || got.Value != serves {
				t.Errorf("dim %s: als_weight is logged as %v, %v; the registered weights hold %v", dim, got.Value, ok, serves)
			}
			if out := run.TaskOf(taskTrain).Output["als_weight"]; out != strconv.FormatFloat(serves, 'g', -1, 64) {
				t.Errorf("dim %s: the task puts out als_weight %s; the registered weights hold %v", dim, out, serves)
			}
			if _, ok := run.TaskOf(taskEvaluate).Output["als_weight"]; ok {
				t.Errorf("dim %s: the judge puts out the weight of its own model as that of the registered one", dim)
			}
			differ = differ || judged != serves
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
