package projections_test

import (
	"math"
	"sort"
	"testing"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/projections/fold/foldtest"
)

func runScript() *foldtest.Script {
	s := foldtest.NewScript()
	s.Commit("experiment/x1", 0, 0, &events.ExperimentCreated{ExperimentID: "x1", Name: "als", Tags: map[string]string{"k": "v"}})
	s.Commit("experiment/x2", 1, 1, &events.ExperimentCreated{ExperimentID: "x2", Name: "mlp"})
	s.Commit("run/r1", 2, 2, &events.RunStarted{RunID: "r1", ExperimentID: "x1", Name: "first", Params: map[string]string{"d": "64"}, DatasetID: "d1", WorkflowRun: "w1"})
	s.Commit("run/r1", 3, 3,
		&events.RunParamsLogged{RunID: "r1", Params: map[string]string{"seed": "1"}},
		&events.RunTagsSet{RunID: "r1", Tags: map[string]string{"who": "anna"}},
		&events.RunMetricsLogged{RunID: "r1", Metrics: []events.Metric{
			{Key: "ndcg", Value: .3, Step: 2, TimestampMillis: 5}, {Key: "ndcg", Value: .1, Step: 1, TimestampMillis: 9},
			{Key: "ndcg", Value: .2, Step: 2, TimestampMillis: 5}, {Key: "ndcg", Value: -.5, Step: 2, TimestampMillis: 4}, {Key: "loss", Value: -1, Step: 0}}},
		&events.RunMetricsLogged{RunID: "r1", Metrics: []events.Metric{{Key: "loss", Value: -1, Step: 0}}})
	s.Commit("run/r1", 4, 4, &events.RunArtifactLogged{RunID: "r1", Path: "m.bin", Blob: "aa", Bytes: 1}, &events.RunArtifactLogged{RunID: "r1", Path: "m.bin", Blob: "bb", Bytes: 2})
	s.Commit("run/r2", 5, 5, &events.RunStarted{RunID: "r2", ExperimentID: "x1", Name: "second"})
	s.Commit("run/r1", 6, 6, &events.RunEnded{RunID: "r1", Status: "FINISHED"})
	s.Commit("run/lost", 6, 6, &events.RunEnded{RunID: "lost", Status: "FAILED"})
	return s
}

func TestRuns(t *testing.T) {
	v := foldtest.Opened(t, projections.NewRuns(), runScript().In)
	r := found[projections.Run](t)(v.Run("r1"))
	equal(t, "run", r, projections.Run{RunID: "r1", ExperimentID: "x1", Name: "first", Status: "FINISHED", Actor: "user:anna", StartMillis: foldtest.Day(2), EndMillis: foldtest.Day(6),
		Params: map[string]string{"d": "64", "seed": "1"}, Tags: map[string]string{"who": "anna"},
		Metrics:   map[string]events.Metric{"ndcg": {Key: "ndcg", Value: .3, Step: 2, TimestampMillis: 5}, "loss": {Key: "loss", Value: -1}},
		DatasetID: "d1", WorkflowRun: "w1",
		Stamp: fold.Stamp{Revision: 7, Offset: 6, CreatedMillis: foldtest.Day(2), UpdatedMillis: foldtest.Day(6), RecordedMillis: foldtest.Day(6)}})
	file := projections.Artifact{Path: "m.bin", Blob: "bb", Bytes: 2, EventMillis: foldtest.Day(4)}
	equal(t, "files", must[[]projections.Artifact](t)(v.Files("r1").All(9)), []projections.Artifact{file})
	equal(t, "files by its stream", found[projections.Run](t)(projections.FoldRun(runScript().Stream("run/r1"), fold.At{})).Artifacts, []projections.Artifact{file})
	equal(t, "a run that never started", found[projections.Run](t)(v.Run("lost")).Status, "FAILED")
	equal(t, "count", must[int64](t)(v.Count()), 3)

	runs := func(experiment string) (out []string) {
		for _, r := range foldtest.Pages(t, 1, func(q fold.PageQuery) (fold.Page[projections.Run], error) { return v.Runs(experiment, q) }) {
			out = append(out, r.RunID)
		}
		return out
	}
	equal(t, "newest first", runs("x1"), []string{"r2", "r1"})
	equal(t, "of all", runs(""), []string{"r2", "r1", "lost"})
	equal(t, "of none", runs("x2"), nil)

	history := foldtest.Pages(t, 2, func(q fold.PageQuery) (fold.Page[events.Metric], error) { return v.MetricHistory("r1", "ndcg", q) })
	equal(t, "metric history", history, []events.Metric{{Key: "ndcg", Value: .1, Step: 1, TimestampMillis: 9},
		{Key: "ndcg", Value: -.5, Step: 2, TimestampMillis: 4}, {Key: "ndcg", Value: .2, Step: 2, TimestampMillis: 5}, {Key: "ndcg", Value: .3, Step: 2, TimestampMillis: 5}})
	equal(t, "a value logged twice", len(must[fold.Page[events.Metric]](t)(v.MetricHistory("r1", "loss", fold.PageQuery{})).Items), 1)

	equal(t, "experiment by name", found[projections.Experiment](t)(v.ExperimentByName("mlp")).ExperimentID, "x2")
	equal(t, "experiment", found[projections.Experiment](t)(v.Experiment("x1")).Tags, map[string]string{"k": "v"})
	equal(t, "newest experiment", must[fold.Page[projections.Experiment]](t)(v.Experiments(fold.PageQuery{Limit: 1})).Items[0].ExperimentID, "x2")
}

func TestFoldRun(t *testing.T) {
	s := runScript()
	r := found[projections.Run](t)(projections.FoldRun(s.Stream("run/r1"), fold.At{EventMillis: foldtest.Day(2)}))
	equal(t, "as of its start", []any{r.Status, len(r.Metrics), r.Revision}, []any{projections.RunRunning, 0, 0})
	equal(t, "known at the start of the log", len(found[projections.Run](t)(projections.FoldRun(s.Stream("run/r1"), fold.At{RecordedMillis: foldtest.Day(3)})).Metrics), 2)
}

func TestFloatOrder(t *testing.T) {
	fs := []float64{math.Inf(-1), -1e300, -1, -1e-300, 0, 1e-300, .5, 1, math.Inf(1)}
	if !sort.SliceIsSorted(fs, func(i, j int) bool { return projections.FloatOrder(fs[i]) < projections.FloatOrder(fs[j]) }) {
		t.Error("floats do not sort by value")
	}
	for _, f := range fs {
		equal(t, "float", math.Float64bits(projections.FloatOf(projections.FloatOrder(f))), math.Float64bits(f))
	}
}

// TestRunMarks: what is deleted is marked, keeps all it has, and comes back.
func TestRunMarks(t *testing.T) {
	s := foldtest.NewScript()
	s.Commit("experiment/x1", 0, 0, &events.ExperimentCreated{ExperimentID: "x1", Name: "als", Tags: map[string]string{"k": "v"}})
	s.Commit("experiment/x1", 1, 1, &events.ExperimentTagsSet{ExperimentID: "x1", Tags: map[string]string{"a": "b"}}, &events.ExperimentTagRemoved{ExperimentID: "x1", Key: "k"})
	s.Commit("experiment/x1", 2, 2, &events.ExperimentDeleted{ExperimentID: "x1"})
	s.Commit("run/r1", 0, 0, &events.RunStarted{RunID: "r1", ExperimentID: "x1", Name: "a", Tags: map[string]string{"k": "v"}})
	s.Commit("run/r1", 3, 3, &events.RunEnded{RunID: "r1", Status: "FAILED", Reason: "disk"}, &events.RunDeleted{RunID: "r1"}, &events.RunTagRemoved{RunID: "r1", Key: "k"})
	s.Commit("run/r1", 4, 4, &events.RunRestored{RunID: "r1"}, &events.RunResumed{RunID: "r1", Status: "RUNNING"}, &events.RunRenamed{RunID: "r1", Name: "b"})
	v := foldtest.Opened(t, projections.NewRuns(), s.In)
	x := found[projections.Experiment](t)(v.Experiment("x1"))
	equal(t, "experiment", []any{x.Name, x.Deleted, x.Tags["a"], len(x.Tags), x.UpdatedMillis}, []any{"als", true, "b", 1, foldtest.Day(2)})
	r := found[projections.Run](t)(v.Run("r1"))
	equal(t, "run", []any{r.Name, r.Status, r.Reason, r.EndMillis, r.Deleted, len(r.Tags)}, []any{"b", "RUNNING", "", 0, false, 0})
	then := found[projections.Run](t)(projections.FoldRun(s.Stream("run/r1"), fold.At{EventMillis: foldtest.Day(3)}))
	equal(t, "on day 3", []any{then.Name, then.Status, then.Deleted}, []any{"a", "FAILED", true})
}

// TestPurged: of a run that is purged nothing is left but that it was there, however much it had logged; another run keeps its own.
func TestPurged(t *testing.T) {
	s := foldtest.NewScript()
	const gone, stays = "0000000000000000000000000000000a", "0000000000000000000000000000000b"
	for _, id := range []string{gone, stays} {
		s.Commit("run/"+id, 1, 1, &events.RunStarted{RunID: id, ExperimentID: "x", Name: "r", Params: map[string]string{"a": "b"}})
		for n := range 10 {
			e := &events.RunMetricsLogged{RunID: id}
			for i := range 1000 {
				e.Metrics = append(e.Metrics, events.Metric{Key: "loss", Value: events.Number(i), Step: int64(1000*n + i), TimestampMillis: 5})
			}
			s.Commit("run/"+id, 2, 2, e)
		}
		s.Commit("run/"+id, 3, 3, &events.RunInputsLogged{RunID: id, Datasets: []events.Dataset{{Name: "d", Digest: "1"}}, Models: []string{"m-1"}},
			&events.RunArtifactLogged{RunID: id, Path: "a/b", Blob: "aa", Bytes: 1}, &events.RunArtifactLogged{RunID: id, Path: "ab", Blob: "bb", Bytes: 1}, &events.RunArtifactDeleted{RunID: id, Path: "a"})
	}
	s.Commit("run/"+gone, 4, 4, &events.RunDeleted{RunID: gone})
	v := foldtest.Opened(t, projections.NewRuns(), s.In)
	equal(t, "deleted", found[projections.Run](t)(v.Run(gone)).DeletedAt, foldtest.Day(4))
	s.Commit("run/"+gone, 5, 5, &events.RunPurged{RunID: gone})
	v = foldtest.Opened(t, projections.NewRuns(), s.In)
	if _, ok, err := v.Run(gone); ok || err != nil {
		t.Error("it is shown", err)
	}
	values := func(id string) int {
		all, err := v.MetricSample(t.Context(), id, "loss", 0, 1<<40, 100_000)
		must0(t, err)
		return len(all)
	}
	data := must[projections.RunData](t)(v.Data(gone))
	equal(t, "left", []any{values(gone), len(data.Datasets), len(data.Models), values(stays), len(must[projections.RunData](t)(v.Data(stays)).Datasets)}, []any{0, 0, 0, 10_000, 1})
	files := func(id string) int { return len(must[[]projections.Artifact](t)(v.Files(id).All(9))) }
	equal(t, "files", []int{files(gone), files(stays)}, []int{0, 1})
	if _, ok, err := projections.FoldRun(s.Stream("run/"+gone), fold.At{}); ok || err != nil {
		t.Error("its stream shows it", err)
	}
	before := found[projections.Run](t)(projections.FoldRun(s.Stream("run/"+gone), fold.At{EventMillis: foldtest.Day(3)}))
	equal(t, "before", []any{before.Deleted, before.Params["a"]}, []any{false, "b"})
}
