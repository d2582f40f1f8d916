package projections_test

import (
	"testing"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/projections/fold/foldtest"
	"github.com/projectionist/projectionist/streams"
)

func modelScript() *foldtest.Script {
	s := foldtest.NewScript()
	version := func(n int, run, blob string) *events.ModelVersionRegistered {
		return &events.ModelVersionRegistered{Name: "als", Version: n, RunID: run, Algorithm: "als", Params: map[string]string{"d": "64"}, Seed: 7, Blob: blob, DatasetID: "d1", FeaturesHash: "ff"}
	}
	s.Commit("model/als", 0, 0, &events.ModelRegistered{Name: "als", Description: "factors"}, version(1, "r1", "aa"))
	s.Commit("model/als", 1, 1, &events.ModelVersionStaged{Name: "als", Version: 1, From: "None", To: "Production", Reason: "best"}, &events.ModelAliasSet{Name: "als", Alias: "champion", Version: 1})
	s.Commit("model/mlp", 1, 1, &events.ModelRegistered{Name: "mlp"})
	s.Commit("model/als", 2, 5, version(2, "r2", "aa"), version(3, "r3", "cc"))
	s.Commit("model/als", 3, 6, &events.ModelVersionStaged{Name: "als", Version: 1, From: "Production", To: "Archived"},
		&events.ModelVersionStaged{Name: "als", Version: 3, From: "None", To: "Production"}, &events.ModelAliasSet{Name: "als", Alias: "champion", Version: 3},
		&events.ModelAliasSet{Name: "als", Alias: "old", Version: 1}, &events.ModelAliasRemoved{Name: "als", Alias: "old"})
	return s
}

func TestRegistry(t *testing.T) {
	v := foldtest.Opened(t, projections.NewRegistry(), modelScript().In)
	m := found[projections.Model](t)(v.Model("als"))
	equal(t, "aliases", m.Aliases, map[string]int{"champion": 3})
	latest := map[string]int{}
	for stage, v := range m.Latest() {
		latest[stage] = v.Version
	}
	equal(t, "latest", latest, map[string]int{"Archived": 1, "None": 2, "Production": 3})
	equal(t, "revision", m.Revision, streams.Revision(10))
	one := found[projections.ModelVersion](t)(v.Version("als", 1))
	equal(t, "version 1", []any{one.Stage, one.Seed, one.Params["d"], one.RunID, one.EventID, one.StagedMillis}, []any{"Archived", 7, "64", "r1", "e0.1", foldtest.Day(3)})
	equal(t, "champion", found[projections.ModelVersion](t)(v.ByAlias("als", "champion")).Version, 3)
	if _, ok, err := v.ByAlias("als", "old"); ok || err != nil {
		t.Errorf("a removed alias: %v, %v", ok, err)
	}
	numbers := func(vs []projections.ModelVersion) (out []int) {
		for _, v := range vs {
			out = append(out, v.Version)
		}
		return out
	}
	equal(t, "by blob", numbers(must[[]projections.ModelVersion](t)(v.ByBlob("aa"))), []int{1, 2})
	equal(t, "by run", numbers(must[[]projections.ModelVersion](t)(v.ByRun("r3"))), []int{3})
	equal(t, "models", len(foldtest.Pages(t, 1, v.Models)), 2)
}

// The revision of a model is that of its own stream: a deployment counts where it is in that, as those of older logs are not.
func TestModelRevision(t *testing.T) {
	for stream, want := range map[string]streams.Revision{"model/als": 11, "deployment/production": 10} {
		s := modelScript()
		s.Commit(stream, 7, 7, &events.ModelDeployed{Slot: "production", Model: "als", Version: 3})
		m := found[projections.Model](t)(foldtest.Opened(t, projections.NewRegistry(), s.In).Model("als"))
		equal(t, "after a deployment in "+stream, m.Revision, want)
		equal(t, "folded from its stream", found[projections.Model](t)(projections.FoldModel(s.Stream("model/als"), fold.At{})).Revision, want)
	}
}

func TestFoldModel(t *testing.T) {
	s := modelScript()
	production := func(at fold.At) int {
		m := found[projections.Model](t)(projections.FoldModel(s.Stream("model/als"), at))
		return m.Latest()["Production"].Version
	}
	equal(t, "as of day 2", production(fold.At{EventMillis: foldtest.Day(2)}), 1)
	equal(t, "as of day 3", production(fold.At{EventMillis: foldtest.Day(3)}), 3)
	equal(t, "as of day 3 as known on day 5", production(fold.At{EventMillis: foldtest.Day(3), RecordedMillis: foldtest.Day(5)}), 1)
	equal(t, "known at a cut", len(found[projections.Model](t)(projections.FoldModel(s.Stream("model/als"), fold.At{Cut: streams.Cut{{Topic: events.LedgerTopic}: 1}})).Versions), 1)
}

func TestDeployments(t *testing.T) {
	s := foldtest.NewScript()
	deploy := func(happened, recorded, version int) {
		s.Commit("deployment/production", happened, recorded, &events.ModelDeployed{Slot: "production", Model: "als", Version: version})
	}
	deploy(1, 1, 1)
	deploy(3, 3, 2)
	s.Commit("deployment/shadow", 4, 4, &events.ModelDeployed{Slot: "shadow", Model: "mlp", Version: 1})
	deploy(5, 8, 3)
	v := foldtest.Opened(t, projections.NewDeployments(), s.In)
	slot := found[projections.Slot](t)(v.Slot("production"))
	equal(t, "current", []any{slot.Current.Version, slot.Deployments, slot.Revision}, []any{3, 3, 2})
	equal(t, "slots", len(collect(t, v.Slots())), 2)
	for what, c := range map[string]struct {
		at   fold.At
		want int
	}{
		"now": {fold.At{}, 3}, "as of day 4": {fold.At{EventMillis: foldtest.Day(4)}, 2}, "as of day 6": {fold.At{EventMillis: foldtest.Day(6)}, 3},
		"as of day 6 as known on day 7": {fold.At{EventMillis: foldtest.Day(6), RecordedMillis: foldtest.Day(7)}, 2},
	} {
		equal(t, what, found[projections.Deployment](t)(v.At("production", c.at)).Version, c.want)
	}
	if _, ok, err := v.At("production", fold.At{EventMillis: foldtest.Day(0)}); ok || err != nil {
		t.Errorf("before the first: %v, %v", ok, err)
	}
	var versions []int
	for _, d := range foldtest.Pages(t, 2, func(q fold.PageQuery) (fold.Page[projections.Deployment], error) {
		return v.History("production", fold.At{}, q)
	}) {
		versions = append(versions, d.Version)
	}
	equal(t, "history", versions, []int{3, 2, 1})
}

// TestModelVersionAdded: a version made elsewhere stands among the others, and words and tags are of the model or of one version.
func TestModelVersionAdded(t *testing.T) {
	s := modelScript()
	s.Commit("model/als", 7, 7, &events.ModelVersionAdded{Name: "als", Version: 4, Source: "s3://b/als", RunID: "r9", RunLink: "https://x"},
		&events.ModelDescribed{Name: "als", Version: 4, Description: "theirs"}, &events.ModelTagsSet{Name: "als", Version: 4, Tags: map[string]string{"a": "b"}})
	s.Commit("model/als", 8, 8, &events.ModelDescribed{Name: "als", Description: "all"}, &events.ModelTagsSet{Name: "als", Tags: map[string]string{"t": "1", "u": "2"}},
		&events.ModelTagRemoved{Name: "als", Key: "t"}, &events.ModelTagsSet{Name: "als", Version: 1, Tags: map[string]string{"old": "yes"}})
	v := foldtest.Opened(t, projections.NewRegistry(), s.In)
	m := found[projections.Model](t)(v.Model("als"))
	equal(t, "model", []any{m.Description, m.Tags["u"], len(m.Tags), len(m.Versions)}, []any{"all", "2", 1, 4})
	added := m.Version(4)
	equal(t, "version 4", []any{added.Stage, added.Source, added.RunID, added.RunLink, added.Description, added.Tags["a"], added.EventMillis, added.UpdatedMillis},
		[]any{"None", "s3://b/als", "r9", "https://x", "theirs", "b", foldtest.Day(7), foldtest.Day(7)})
	equal(t, "version 1", []any{m.Version(1).Tags["old"], m.Version(1).UpdatedMillis, m.Version(1).Stage}, []any{"yes", foldtest.Day(3), "Archived"})
	equal(t, "the model", m.ChangedMillis, foldtest.Day(8))
	s.Commit("model/als", 9, 9, &events.ModelDescribed{Name: "als", Version: 1, Description: "first"}, &events.ModelTagsSet{Name: "als", Tags: map[string]string{"t": "3"}})
	m = found[projections.Model](t)(foldtest.Opened(t, projections.NewRegistry(), s.In).Model("als"))
	equal(t, "what is said of a version is no change of the model", []int64{m.ChangedMillis, m.Version(1).UpdatedMillis}, []int64{foldtest.Day(8), foldtest.Day(9)})
	equal(t, "by run", must[[]projections.ModelVersion](t)(v.ByRun("r9"))[0].Version, 4)
}

// TestModelDeleted: what is deleted is out of lists and indexes, and a later model of the name begins with nothing.
func TestModelDeleted(t *testing.T) {
	s := foldtest.NewScript()
	s.Commit("model/a", 0, 0, &events.ModelRegistered{Name: "a", Description: "old"}, &events.ModelTagsSet{Name: "a", Tags: map[string]string{"k": "v"}})
	for n := range 3 {
		s.Commit("model/a", 1, 1, &events.ModelVersionAdded{Name: "a", Version: n + 1, RunID: "r"}, &events.ModelAliasSet{Name: "a", Alias: "x", Version: n + 1})
	}
	s.Commit("model/a", 2, 2, &events.ModelVersionDeleted{Name: "a", Version: 3})
	v := foldtest.Opened(t, projections.NewRegistry(), s.In)
	equal(t, "by run", len(must[[]projections.ModelVersion](t)(v.ByRun("r"))), 2)
	equal(t, "aliases", len(found[projections.Model](t)(v.Model("a")).Aliases), 0)
	s.Commit("model/a", 3, 3, &events.ModelDeleted{Name: "a"})
	v = foldtest.Opened(t, projections.NewRegistry(), s.In)
	_, ok, err := v.Model("a")
	equal(t, "deleted", []any{ok, err, len(foldtest.Pages(t, 1, v.Models)), len(must[[]projections.ModelVersion](t)(v.ByRun("r")))}, []any{false, nil, 0, 0})
	equal(t, "before", len(found[projections.Model](t)(projections.FoldModel(s.Stream("model/a"), fold.At{EventMillis: foldtest.Day(1)})).Versions), 3)
	s.Commit("model/a", 4, 4, &events.ModelRegistered{Name: "a"})
	m := found[projections.Model](t)(foldtest.Opened(t, projections.NewRegistry(), s.In).Model("a"))
	equal(t, "again", []any{m.Description, len(m.Tags), len(m.Versions), m.CreatedMillis}, []any{"", 0, 0, foldtest.Day(4)})
}

// TestModelRenamed: what is known of a model stays with its key, and is found by the name it has.
func TestModelRenamed(t *testing.T) {
	s := modelScript()
	s.Commit("model/factors", 7, 7, &events.ModelNameClaimed{Name: "factors", Key: "als", Naming: 2})
	claimed := foldtest.Opened(t, projections.NewRegistry(), s.In)
	equal(t, "claimed only", found[projections.Model](t)(claimed.Model("als")).Key, "als")
	if _, ok, err := claimed.Model("factors"); ok || err != nil {
		t.Error("a claim alone is a name", err)
	}
	s.Commit("model/als", 8, 8, &events.ModelRenamed{Name: "als", To: "factors", Naming: 2})
	again := &events.ModelRegistered{Name: "als", Key: "als:2", Description: "second"}
	s.Commit("model/als", 9, 9, &events.ModelNameClaimed{Name: "als", Key: "als:2", Naming: 1, Registered: again})
	s.Commit("model/als:2", 9, 9, again)
	s.Commit("model/als", 10, 10, &events.ModelVersionAdded{Name: "als", Version: 4, Source: "s3://b"})
	v := foldtest.Opened(t, projections.NewRegistry(), s.In)
	m := found[projections.Model](t)(v.Model("factors"))
	equal(t, "model", []any{m.Key, m.Name, len(m.Versions), m.Version(1).Name, m.Version(1).UpdatedMillis, m.Version(4).Name}, []any{"als", "factors", 4, "factors", foldtest.Day(8), "factors"})
	equal(t, "another", found[projections.Model](t)(v.Model("als")).Description, "second")
	equal(t, "names", []any{must[string](t)(v.NameOf("als")), must[string](t)(v.NameOf("als:2")), must[string](t)(v.NameOf("nope"))}, []any{"factors", "als", "nope"})
	equal(t, "by blob", must[[]projections.ModelVersion](t)(v.ByBlob("aa"))[0].Name, "factors")
	var names []string
	for _, m := range foldtest.Pages(t, 1, v.Models) {
		names = append(names, m.Name)
	}
	equal(t, "listed", names, []string{"als", "factors", "mlp"})
}
