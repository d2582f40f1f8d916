package projections_test

import (
	"testing"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/projections/fold/foldtest"
)

func workflowScript() *foldtest.Script {
	s := foldtest.NewScript()
	s.Commit("workflow-run/w1", 0, 0, &events.WorkflowRunRequested{RunID: "w1", Workflow: "train", RunType: "manual", Conf: map[string]string{"d": "64"}})
	s.Commit("workflow-run/w2", 1, 1, &events.WorkflowRunRequested{RunID: "w2", Workflow: "collect", RunType: "scheduled"})
	s.Commit("workflow-run/w1", 2, 2, &events.TaskStarted{RunID: "w1", Task: "fit", Try: 1, Holder: "a", LeaseUntilMillis: 100})
	s.Commit("workflow-run/w1", 3, 3, &events.TaskLeaseRenewed{RunID: "w1", Task: "fit", Try: 1, Holder: "a", LeaseUntilMillis: 200, Checkpoint: "cc"})
	s.Commit("workflow-run/w1", 4, 4, &events.TaskFailed{RunID: "w1", Task: "fit", Try: 1, Error: "killed", RetryAtMillis: 300})
	s.Commit("workflow-run/w1", 5, 5, &events.TaskStarted{RunID: "w1", Task: "fit", Try: 2, Holder: "b", LeaseUntilMillis: 400})
	s.Commit("workflow-run/w1", 6, 6, &events.TaskSucceeded{RunID: "w1", Task: "fit", Try: 2, Output: map[string]string{"run": "r1"}})
	s.Commit("workflow-run/w1", 7, 7, &events.TaskFailed{RunID: "w1", Task: "deploy", Error: "skipped"}, &events.WorkflowRunEnded{RunID: "w1", State: "failed", Reason: "deploy"})
	return s
}

func TestWorkflows(t *testing.T) {
	s := workflowScript()
	v := foldtest.Opened(t, projections.NewWorkflows(), s.In)
	r := found[projections.WorkflowRun](t)(v.Run("w1"))
	equal(t, "run", []any{r.State, r.Reason, r.RequestedMillis, r.StartedMillis, r.EndedMillis, r.Conf["d"], r.Ended()}, []any{"failed", "deploy", foldtest.Day(0), foldtest.Day(2), foldtest.Day(7), "64", true})
	equal(t, "task", r.TaskOf("fit"), projections.Task{Task: "fit", State: projections.StateSuccess, Try: 2, Holder: "b", Checkpoint: "cc", Output: map[string]string{"run": "r1"},
		StartedMillis: foldtest.Day(2), EndedMillis: foldtest.Day(6), Tries: []projections.Try{
			{Try: 1, Holder: "a", State: projections.StateFailed, Error: "killed", StartedMillis: foldtest.Day(2), EndedMillis: foldtest.Day(4)},
			{Try: 2, Holder: "b", State: projections.StateSuccess, StartedMillis: foldtest.Day(5), EndedMillis: foldtest.Day(6)}}})
	equal(t, "never started", []string{r.TaskOf("deploy").State, r.TaskOf("other").State}, []string{projections.StateUpstreamFailed, projections.StateUpstreamFailed})

	runs := func(workflow, state string) (out []string) {
		for _, r := range foldtest.Pages(t, 1, func(q fold.PageQuery) (fold.Page[projections.WorkflowRun], error) { return v.Runs(workflow, state, q) }) {
			out = append(out, r.RunID)
		}
		return out
	}
	equal(t, "newest first", runs("", ""), []string{"w2", "w1"})
	equal(t, "queued", runs("", projections.StateQueued), []string{"w2"})
	equal(t, "running", runs("", projections.StateRunning), nil)
	equal(t, "failed train", runs("train", projections.StateFailed), []string{"w1"})
	equal(t, "queued train", runs("train", projections.StateQueued), nil)
	active := must[[]projections.WorkflowRun](t)(v.Active())
	equal(t, "active", []any{len(active), active[0].RunID, active[0].TaskOf("fit").State}, []any{1, "w2", projections.StateQueued})
}

func TestFoldWorkflowRun(t *testing.T) {
	s := workflowScript()
	task := func(n int) projections.Task {
		r := found[projections.WorkflowRun](t)(projections.FoldWorkflowRun(s.Stream("workflow-run/w1"), fold.At{EventMillis: foldtest.Day(n)}))
		return r.TaskOf("fit")
	}
	leased := task(3)
	equal(t, "leased", []any{leased.State, leased.Holder, leased.LeaseUntilMillis}, []any{projections.StateRunning, "a", 200})
	waiting := task(4)
	equal(t, "waiting", []any{waiting.State, waiting.LeaseUntilMillis, waiting.RetryAtMillis, waiting.Checkpoint}, []any{projections.StateUpForRetry, 0, 300, "cc"})
	again := task(5)
	equal(t, "again", []any{again.State, again.Try, again.RetryAtMillis, again.Error}, []any{projections.StateRunning, 2, 0, ""})
}

// TestDeletedRun: a run that is deleted is in no list, and its id may be taken again.
func TestDeletedRun(t *testing.T) {
	s := workflowScript()
	v := foldtest.Opened(t, projections.NewWorkflows(), s.In)
	all := func() (ids []string, total int64, outputs int) {
		runs, total, err := v.SearchRuns(&projections.RunQuery{Page: projections.Page{Limit: 10}})
		if err != nil {
			t.Fatal(err)
		}
		for i := range runs {
			ids = append(ids, runs[i].RunID)
		}
		handed, _, err := v.Outputs(&projections.OutputQuery{Page: projections.Page{Limit: 10}})
		if err != nil {
			t.Fatal(err)
		}
		return ids, total, len(handed)
	}
	ids, total, outputs := all()
	equal(t, "before", []any{ids, total, outputs}, []any{[]string{"w1", "w2"}, 2, 1})
	equal(t, "counts", must[map[string]int64](t)(v.StateCounts("train")), map[string]int64{"failed": 1})
	s.Commit("workflow-run/w1", 8, 8, &events.WorkflowRunDeleted{RunID: "w1"})
	v = foldtest.Opened(t, projections.NewWorkflows(), s.In)
	ids, total, outputs = all()
	equal(t, "deleted", []any{ids, total, outputs}, []any{[]string{"w2"}, 1, 0})
	equal(t, "counts", must[map[string]int64](t)(v.StateCounts("train")), map[string]int64{})
	if _, ok, err := v.Run("w1"); ok || err != nil {
		t.Errorf("it is found: %v", err)
	}
	s.Commit("workflow-run/w1", 9, 9, &events.WorkflowRunRequested{RunID: "w1", Workflow: "collect", RunType: "manual"})
	v = foldtest.Opened(t, projections.NewWorkflows(), s.In)
	ids, total, outputs = all()
	equal(t, "again", []any{ids, total, outputs}, []any{[]string{"w2", "w1"}, 2, 0})
	r := found[projections.WorkflowRun](t)(v.Run("w1"))
	equal(t, "anew", []any{r.State, r.Workflow, len(r.Tasks), r.EndedMillis}, []any{"queued", "collect", 0, 0})
	acts, n, err := v.Acts(&projections.ActQuery{Page: projections.Page{Limit: 1}, Back: true})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "the last act", []any{n, acts[0].Type, acts[0].Run, acts[0].Workflow, acts[0].Note}, []any{10, "workflow.run_requested", "w1", "collect", "manual"})
}

// TestVariables: what is set last counts, and what is deleted is gone.
func TestVariables(t *testing.T) {
	s := foldtest.NewScript()
	s.Commit("variable/b", 0, 0, &events.VariableSet{Key: "b", Value: "1"})
	s.Commit("variable/a", 1, 1, &events.VariableSet{Key: "a", Value: "2", Description: "d"})
	s.Commit("variable/b", 2, 2, &events.VariableSet{Key: "b", Value: "3"})
	s.Commit("variable/c", 3, 3, &events.VariableSet{Key: "c", Value: "2"})
	s.Commit("variable/c", 4, 4, &events.VariableDeleted{Key: "c"})
	v := foldtest.Opened(t, projections.NewVariables(), s.In)
	keys := func(order string, back bool, p projections.Page) (all []string) {
		found, total, err := v.Search(order, back, p)
		if err != nil || total != 2 {
			t.Fatal(total, err)
		}
		for _, one := range found {
			all = append(all, one.Key+one.Value)
		}
		return all
	}
	whole := projections.Page{Limit: 10}
	equal(t, "made", keys("id", false, whole), []string{"b3", "a2"})
	equal(t, "by key", keys("key", false, whole), []string{"a2", "b3"})
	equal(t, "by key, back, the second", keys("key", true, projections.Page{Offset: 1, Limit: 1}), []string{"a2"})
	equal(t, "by value", keys("value", true, whole), []string{"b3", "a2"})
	if _, ok, err := v.Variable("c"); ok || err != nil {
		t.Error("what was deleted is there", err)
	}
}
