package projections_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/projections/fold/foldtest"
	"github.com/projectionist/projectionist/streams"
)

func TestDatasetsAndImports(t *testing.T) {
	s := foldtest.NewScript()
	s.Commit("import/i1", 0, 0, &events.ImportStarted{ImportID: "i1", Dataset: "ml", Digest: "dd"})
	s.Commit("import/i1", 1, 1, &events.ImportFailed{ImportID: "i1", Reason: "disk full"})
	s.Commit("import/i2", 2, 2, &events.ImportStarted{ImportID: "i2", Dataset: "ml", Digest: "dd"})
	refused := func(subject string, day int) {
		s.Commit(subject, day, 2, &events.FactRefused{Topic: "user-events", Reason: "line", Count: 1})
	}
	refused("import/i2", 1)
	refused("import/i2", 2)
	refused("refusal/user-events", 0)
	s.Commit("import/i2", 3, 3, &events.ImportCompleted{ImportID: "i2", MoviesAdded: 1, FactsAdded: 2, FactsDuplicate: 3})
	s.Commit("dataset/d1", 4, 4, &events.DatasetBuilt{DatasetID: "d1", Blob: "aa", Rows: 5})
	s.Commit("dataset/d2", 5, 5, &events.DatasetBuilt{DatasetID: "d2", Blob: "bb"})
	im := foldtest.Opened(t, projections.NewImports(), s.In)
	equal(t, "failed", found[projections.Import](t)(im.Import("i1")).Reason, "disk full")
	same := foldtest.Pages(t, 1, func(q fold.PageQuery) (fold.Page[projections.Import], error) { return im.ByDigest("dd", q) })
	equal(t, "of the same data set, newest first", []any{len(same), same[0].ImportID, same[0].State, same[0].FactsAdded, same[0].EndedMillis}, []any{2, "i2", projections.ImportCompleted, 2, foldtest.Day(3)})
	equal(t, "lines in quarantine", []any{same[0].BadRows, same[1].BadRows, must[int64](t)(im.Count())}, []any{2, 0, 2})
	equal(t, "lines in quarantine, by its stream", found[projections.Import](t)(projections.FoldImport(s.Stream("import/i2"), fold.At{})).BadRows, 2)
	equal(t, "newest", must[fold.Page[projections.Import]](t)(im.List(fold.PageQuery{})).Items[0].ImportID, "i2")
	equal(t, "while it ran", found[projections.Import](t)(projections.FoldImport(s.Stream("import/i2"), fold.At{EventMillis: foldtest.Day(2)})).State, projections.ImportRunning)

	ds := foldtest.Opened(t, projections.NewDatasets(), s.In)
	equal(t, "data set", found[projections.Dataset](t)(ds.Dataset("d1")).Rows, 5)
	equal(t, "by blob", found[projections.Dataset](t)(ds.ByBlob("bb")).DatasetID, "d2")
	equal(t, "newest data set", must[fold.Page[projections.Dataset]](t)(ds.List(fold.PageQuery{Limit: 1})).Items[0].DatasetID, "d2")
	equal(t, "count", must[int64](t)(ds.Count()), 2)
}

func TestTrainingSets(t *testing.T) {
	s := foldtest.NewScript()
	for i := 1; i <= 12; i++ {
		s.Commit("training-set/a", i, i, &events.TrainingSetVersioned{Name: "a", Version: i, Identity: fmt.Sprint("i", i), Blob: "aa"})
	}
	s.Commit("training-set/ab", 13, 13, &events.TrainingSetVersioned{Name: "ab", Version: 1, Identity: "i1", Blob: "bb"})
	v := foldtest.Opened(t, projections.NewTrainingSets(), s.In)
	equal(t, "newest", found[projections.TrainingSet](t)(v.Set("a")).Version, 12)
	equal(t, "one of them", found[projections.TrainingSet](t)(v.Version("a", 3)).Identity, "i3")
	equal(t, "by identity", found[projections.TrainingSet](t)(v.Identified("ab", "i1")).Blob, "bb")
	versions := foldtest.Pages(t, 5, func(q fold.PageQuery) (fold.Page[projections.TrainingSet], error) { return v.Versions("a", q) })
	equal(t, "versions, newest first", []any{len(versions), versions[0].Version, versions[11].Version}, []any{12, 12, 1})
	sets := foldtest.Pages(t, 1, v.List)
	equal(t, "sets by name", []any{len(sets), sets[0].Name, sets[0].Version, sets[1].Name}, []any{2, "a", 12, "ab"})
	if _, ok, err := v.Version("a", 13); ok || err != nil {
		t.Errorf("no such version: %t, %v", ok, err)
	}
}

func TestDefinitions(t *testing.T) {
	s := foldtest.NewScript()
	for i, hash := range []string{"h1", "h2", "h1"} {
		s.Commit("features/definitions", i, i+2, &events.FeaturesDefined{Hash: hash, Definitions: "d" + hash})
	}
	v := foldtest.Opened(t, projections.NewDefinitions(), s.In)
	equal(t, "in force", found[projections.Definition](t)(v.Current()).Revision, streams.Revision(2))
	for what, c := range map[string]struct {
		at   fold.At
		want string
	}{"as of day 1": {fold.At{EventMillis: foldtest.Day(1)}, "h2"}, "as of day 1 as known on day 2": {fold.At{EventMillis: foldtest.Day(1), RecordedMillis: foldtest.Day(2)}, "h1"}} {
		equal(t, what, found[projections.Definition](t)(v.At(c.at)).Hash, c.want)
		equal(t, what+", folded", found[projections.Definition](t)(projections.FoldDefinitions(s.Stream("features/definitions"), c.at)).Hash, c.want)
	}
	equal(t, "by hash", found[projections.Definition](t)(v.ByHash("h2")).Definitions, "dh2")
	equal(t, "history", len(foldtest.Pages(t, 2, v.History)), 3)
	if _, ok, err := foldtest.Opened(t, projections.NewDefinitions(), nil).Current(); ok || err != nil {
		t.Errorf("before the first: %v, %v", ok, err)
	}
}

func TestDeadLetters(t *testing.T) {
	s := foldtest.NewScript()
	s.Commit("dead-letter/a", 0, 0, &events.DeadLettered{DeadLetterID: "a", Reactor: "train", Error: "no", Attempts: 5})
	s.Commit("dead-letter/b", 1, 1, &events.DeadLettered{DeadLetterID: "b", Reactor: "train"})
	s.Commit("dead-letter/a", 2, 2, &events.DeadLetterResolved{DeadLetterID: "a", Resolution: "dropped", Reason: "old"})
	v := foldtest.Opened(t, projections.NewDeadLetters(), s.In)
	a := found[projections.DeadLetter](t)(v.DeadLetter("a"))
	equal(t, "resolved", []any{a.State, a.ResolvedReason, a.ResolvedBy, a.ResolvedMillis, a.Attempts}, []any{"dropped", "old", "user:anna", foldtest.Day(2), 5})
	open := must[fold.Page[projections.DeadLetter]](t)(v.List(projections.DeadLetterOpen, fold.PageQuery{})).Items
	equal(t, "open", []any{len(open), open[0].DeadLetterID}, []any{1, "b"})
	equal(t, "all", len(foldtest.Pages(t, 1, func(q fold.PageQuery) (fold.Page[projections.DeadLetter], error) { return v.List("", q) })), 2)
	equal(t, "before it was resolved", found[projections.DeadLetter](t)(projections.FoldDeadLetter(s.Stream("dead-letter/a"), fold.At{EventMillis: foldtest.Day(1)})).State, projections.DeadLetterOpen)
}

func TestOperations(t *testing.T) {
	s := foldtest.NewScript()
	s.Commit("operation/a", 0, 0, &events.OperationStarted{OperationID: "a", Kind: "verify", Holder: "h"})
	s.Commit("operation/b", 1, 1, &events.OperationStarted{OperationID: "b", Kind: "backup", Request: json.RawMessage(`{"to":"/b"}`), Holder: "h"})
	s.Commit("operation/c", 2, 2, &events.OperationStarted{OperationID: "c", Kind: "verify", Holder: "h"})
	s.Commit("operation/a", 3, 3, &events.OperationEnded{OperationID: "a", State: "success", Result: json.RawMessage(`{"equal":true}`), ResultBytes: 14})
	s.Commit("operation/e", 4, 4, &events.OperationStarted{OperationID: "e", Kind: "replay", Holder: "h"})
	s.Commit("operation/e", 5, 5, &events.OperationEnded{OperationID: "e", State: "success", Result: json.RawMessage(`"` + strings.Repeat("x", 40_000) + `"`), ResultBytes: 40_002})
	v := foldtest.Opened(t, projections.NewOperations(), s.In)
	a := found[projections.Operation](t)(v.Operation("a"))
	equal(t, "ended", []any{a.State, string(a.Result), a.EndedMillis, a.Actor, a.EndedBy}, []any{"success", `{"equal":true}`, foldtest.Day(3), "user:anna", "user:anna"})
	all := foldtest.Pages(t, 1, func(q fold.PageQuery) (fold.Page[projections.Operation], error) { return v.List("", q) })
	equal(t, "newest first", []any{len(all), all[0].OperationID, all[2].OperationID, string(all[2].Result)}, []any{4, "e", "b", ""})
	equal(t, "without long results", []any{len(all[0].Result), all[0].ResultBytes, string(all[3].Result)}, []any{0, 40_002, `{"equal":true}`})
	equal(t, "of a kind", len(foldtest.Pages(t, 1, func(q fold.PageQuery) (fold.Page[projections.Operation], error) { return v.List("verify", q) })), 2)
	running := foldtest.Pages(t, 1, v.Running)
	equal(t, "that have not ended", []any{len(running), running[0].OperationID, running[1].OperationID}, []any{2, "c", "b"})
	equal(t, "before it ended", found[projections.Operation](t)(projections.FoldOperation(s.Stream("operation/a"), fold.At{EventMillis: foldtest.Day(2)})).State, projections.OperationRunning)
}

func lineageScript() *foldtest.Script {
	s := foldtest.NewScript()
	s.Commit("import/i1", 0, 0, &events.ImportStarted{ImportID: "i1"})
	s.Commit("import/i2", 1, 1, &events.ImportStarted{ImportID: "i2"})
	s.Commit("dataset/d1", 2, 2, &events.DatasetBuilt{DatasetID: "d1", Cut: "mlops-events/0:1,user-events/0:9", FeaturesHash: "ff", Blob: "rows"})
	s.Commit("import/i3", 3, 3, &events.ImportStarted{ImportID: "i3"})
	s.Commit("run/r1", 3, 3, &events.RunStarted{RunID: "r1", DatasetID: "d1", WorkflowRun: "w1"}, &events.RunArtifactLogged{RunID: "r1", Path: "m", Blob: "weights"})
	s.Commit("model/als", 4, 4, &events.ModelVersionRegistered{Name: "als", Version: 3, RunID: "r1", Blob: "weights", DatasetID: "d1"})
	s.Commit("deployment/production", 5, 9, &events.ModelDeployed{Slot: "production", Model: "als", Version: 3})
	s.Commit("dataset/d2", 6, 10, &events.DatasetBuilt{DatasetID: "d2", Cut: "user-events/0:9"})
	return s
}

func TestLineage(t *testing.T) {
	v := foldtest.Opened(t, projections.NewLineage(), lineageScript().In)
	up := must[projections.Graph](t)(v.Upstream("deployment/production", fold.At{}))
	equal(t, "upstream", up.Nodes, []string{"model/als/3", "blob/weights", "dataset/d1", "run/r1", "definitions/ff", "import/i1", "workflow-run/w1"})
	equal(t, "first edge", []string{up.Edges[0].Kind, up.Edges[0].From, up.Edges[0].To, up.Edges[0].Position, up.Edges[0].Causation},
		[]string{projections.EdgeDeployed, "model/als/3", "deployment/production", "mlops-events/0@6", "cause"})
	equal(t, "downstream", must[projections.Graph](t)(v.Downstream("import/i1", fold.At{})).Nodes,
		[]string{"dataset/d1", "dataset/d2", "blob/rows", "model/als/3", "run/r1", "deployment/production", "blob/weights"})
	equal(t, "of a cut without the ledger, all imports before it", must[projections.Graph](t)(v.Upstream("dataset/d2", fold.At{})).Nodes, []string{"import/i1", "import/i2", "import/i3"})
	equal(t, "as known before it was deployed", must[projections.Graph](t)(v.Downstream("model/als/3", fold.At{RecordedMillis: foldtest.Day(8)})).Nodes, []string{})
	if _, err := v.Upstream("als", fold.At{}); !fault.Is(err, fault.Invalid) {
		t.Errorf("a node without kind: %v", err)
	}
}

// TestLineageOfFeatureViews: a version leads to the feature views that it was trained on, each as it was defined, and they to the versions.
func TestLineageOfFeatureViews(t *testing.T) {
	s := foldtest.NewScript()
	read := func(hash string) []events.ViewRead {
		return []events.ViewRead{{View: "movie_features", Hash: hash}, {View: "user_features", Hash: "u1"}}
	}
	s.Commit("model/mlp", 0, 0, &events.ModelVersionRegistered{Name: "mlp", Version: 1, FeaturesHash: "d1", FeatureViews: read("m1")})
	s.Commit("model/mlp", 1, 1, &events.ModelVersionRegistered{Name: "mlp", Version: 2, FeaturesHash: "d2", FeatureViews: read("m2")})
	s.Commit("model/als", 2, 2, &events.ModelVersionRegistered{Name: "als", Version: 1, FeaturesHash: "d2", FeatureViews: []events.ViewRead{}})
	v := foldtest.Opened(t, projections.NewLineage(), s.In)
	equal(t, "of a version", must[projections.Graph](t)(v.Upstream("model/mlp/2", fold.At{})).Nodes, []string{"definitions/d2", "feature-view/movie_features/m2", "feature-view/user_features/u1", "definitions/d1"})
	equal(t, "of a view", must[projections.Graph](t)(v.Downstream("feature-view/movie_features/m1", fold.At{})).Nodes, []string{"model/mlp/1"})
	equal(t, "of one that has not changed", must[projections.Graph](t)(v.Downstream("feature-view/user_features/u1", fold.At{})).Nodes, []string{"model/mlp/1", "model/mlp/2"})
	equal(t, "of a version that reads none", must[projections.Graph](t)(v.Upstream("model/als/1", fold.At{})).Nodes, []string{"definitions/d2"})
}

func TestAudit(t *testing.T) {
	s := lineageScript()
	s.In[3].Event.Actor, s.In[3].Event.Correlation = "reactor:train", "c2"
	v := foldtest.Opened(t, projections.NewAudit(), s.In)
	positions := func(f projections.AuditFilter) (out []string) {
		for _, e := range foldtest.Pages(t, 2, func(q fold.PageQuery) (fold.Page[projections.AuditEntry], error) { return v.Entries(f, q) }) {
			out = append(out, strings.TrimPrefix(e.Position, "mlops-events/0@")+"."+string(rune('0'+e.Index)))
		}
		return out
	}
	equal(t, "all", positions(projections.AuditFilter{}), []string{"7.0", "6.0", "5.0", "4.1", "4.0", "3.0", "2.0", "1.0", "0.0"})
	equal(t, "actor", positions(projections.AuditFilter{Actor: "reactor:train"}), []string{"3.0"})
	equal(t, "correlation", positions(projections.AuditFilter{Correlation: "c2"}), []string{"3.0"})
	equal(t, "type", positions(projections.AuditFilter{Type: "dataset.built"}), []string{"7.0", "2.0"})
	equal(t, "stream", positions(projections.AuditFilter{Stream: "run/r1"}), []string{"4.1", "4.0"})
	equal(t, "stream prefix", positions(projections.AuditFilter{StreamPrefix: "import/"}), []string{"3.0", "1.0", "0.0"})
	equal(t, "prefix and actor", positions(projections.AuditFilter{StreamPrefix: "import/", Actor: "user:anna"}), []string{"1.0", "0.0"})
	equal(t, "event time", positions(projections.AuditFilter{FromMillis: foldtest.Day(4), ToMillis: foldtest.Day(6)}), []string{"6.0", "5.0"})
	equal(t, "recorded time", positions(projections.AuditFilter{FromMillis: foldtest.Day(4), At: fold.At{RecordedMillis: foldtest.Day(9)}}), []string{"6.0", "5.0"})
	e := must[fold.Page[projections.AuditEntry]](t)(v.Entries(projections.AuditFilter{Type: "model.deployed"}, fold.PageQuery{})).Items[0]
	equal(t, "entry", e, projections.AuditEntry{"model.deployed", "deployment/production", 0, 0, "als version 3 serves production", "",
		fold.Origin{Position: "mlops-events/0@6", EventID: "e6.0", EventMillis: foldtest.Day(5), RecordedMillis: foldtest.Day(9), Source: "/test", Actor: "user:anna", Correlation: "c1", Causation: "cause"}})
}

// TestAuditSummaries: every type of the ledger has a summary of its own, which says more than its name.
func TestAuditSummaries(t *testing.T) {
	facts := map[string]bool{"user.interaction": true, "recommendation.served": true, "model.drift": true, "system.health": true, "feature.values_pushed": true}
	for _, name := range events.Types() {
		if facts[name] {
			continue
		}
		data, err := events.Decode(name, events.SchemaOf(name), []byte(`{}`))
		must0(t, err)
		if s := projections.Summary(data); s == "" || s == name {
			t.Errorf("summary of %s is %q", name, s)
		}
	}
	equal(t, "a long reason", len([]rune(projections.Summary(&events.ImportFailed{Reason: strings.Repeat("é", 500)}))), 160)
}
