package projections_test

import (
	"fmt"
	"testing"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/projections/fold/foldtest"
)

// TestLoggedModels: a logged model is what was said of it last, and an experiment's are listed newest first.
func TestLoggedModels(t *testing.T) {
	s := foldtest.NewScript()
	created := &events.LoggedModelCreated{ModelID: "m-1", ExperimentID: "x1", Name: "model", Params: map[string]string{"C": "1"}, Tags: map[string]string{"a": "b"}}
	s.Commit("logged-model/m-1", 0, 0, created)
	s.Commit("logged-model/m-2", 1, 1, &events.LoggedModelCreated{ModelID: "m-2", ExperimentID: "x1", Name: "other"})
	s.Commit("logged-model/m-3", 1, 1, &events.LoggedModelCreated{ModelID: "m-3", ExperimentID: "x2", Name: "elsewhere"})
	s.Commit("logged-model/m-1", 2, 2, &events.LoggedModelParamsLogged{ModelID: "m-1", Params: map[string]string{"D": "2"}}, &events.LoggedModelTagsSet{ModelID: "m-1", Tags: map[string]string{"c": "d"}},
		&events.LoggedModelTagRemoved{ModelID: "m-1", Key: "a"}, &events.LoggedModelArtifactLogged{ModelID: "m-1", Path: "MLmodel", Blob: "aa", Bytes: 1},
		&events.LoggedModelArtifactLogged{ModelID: "m-1", Path: "MLmodel", Blob: "bb", Bytes: 2}, &events.LoggedModelFinalized{ModelID: "m-1", Status: "READY"}, &events.LoggedModelDeleted{ModelID: "m-1"})
	v := foldtest.Opened(t, projections.NewLoggedModels(), s.In)
	m := found[projections.LoggedModel](t)(v.Model("m-1"))
	equal(t, "model", []any{m.Params, m.Tags, must[[]projections.Artifact](t)(v.Files("m-1").All(9)), m.Status, m.Deleted, m.CreatedMillis}, []any{map[string]string{"C": "1", "D": "2"}, map[string]string{"c": "d"},
		[]projections.Artifact{{"MLmodel", "bb", 2, foldtest.Day(2)}}, "READY", true, foldtest.Day(0)})
	equal(t, "the event is left alone", []any{created.Params, created.Tags}, []any{map[string]string{"C": "1"}, map[string]string{"a": "b"}})
	var ids []string
	for _, m := range foldtest.Pages(t, 1, func(q fold.PageQuery) (fold.Page[projections.LoggedModel], error) { return v.Models("x1", q) }) {
		ids = append(ids, m.ModelID)
	}
	equal(t, "of an experiment", ids, []string{"m-2", "m-1"})
	then := found[projections.LoggedModel](t)(projections.FoldLoggedModel(s.Stream("logged-model/m-1"), fold.At{EventMillis: foldtest.Day(1)}))
	equal(t, "before", []any{then.Status, then.Deleted, len(then.Artifacts)}, []any{"", false, 0})
}

// TestRunData: of a run's data each is there once, whatever other runs have.
func TestRunData(t *testing.T) {
	s := foldtest.NewScript()
	given := &events.RunInputsLogged{RunID: "r1", Datasets: []events.Dataset{{Name: "films", Digest: "2"}, {Name: "films", Digest: "1", Tags: map[string]string{"k": "v"}}}, Models: []string{"m-1"}}
	s.Commit("run/r1", 0, 0, &events.RunStarted{RunID: "r1"}, given, given, &events.RunOutputsLogged{RunID: "r1", Models: []events.ModelOutput{{ModelID: "m-2", Step: 1}, {ModelID: "m-2", Step: -1}}})
	s.Commit("run/r10", 1, 1, given) // which never started
	s.Commit("run/r2", 2, 2, &events.RunStarted{RunID: "r2"}, &events.RunMetricsLogged{RunID: "r2", Metrics: []events.Metric{{Key: "b"}, {Key: "a"}}})
	v := foldtest.Opened(t, projections.NewRuns(), s.In)
	equal(t, "data", must[projections.RunData](t)(v.Data("r1")), projections.RunData{Datasets: []events.Dataset{{Name: "films", Digest: "1", Tags: map[string]string{"k": "v"}}, {Name: "films", Digest: "2"}},
		Models: []string{"m-1"}, Outputs: []events.ModelOutput{{ModelID: "m-2", Step: -1}, {ModelID: "m-2", Step: 1}}})
	var whole []string
	err := v.Whole([]string{"r2", "r10", "r", "r1"}, func(r *projections.WholeRun) error {
		whole = append(whole, fmt.Sprintln(r.RunID, len(r.Latest), len(r.Datasets)))
		return nil
	})
	equal(t, "several, in the order asked for", []any{whole, err}, []any{[]string{"r2 2 0\n", "r1 0 2\n"}, nil})
	equal(t, "of none", must[projections.RunData](t)(v.Data("r")), projections.RunData{})
}
