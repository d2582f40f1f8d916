package projections_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/projections/fold/foldtest"
)

// TestFiles has files come and go at random paths: what the view has, by path, folder and all together, is what their
// stream says.
func TestFiles(t *testing.T) {
	for seed := range uint64(20) {
		chance := rand.New(rand.NewPCG(seed, 1))
		names := []string{"a", "a.b", "a0", "b c", "ü", "z-", "A"}
		path := func() string {
			var parts []string
			for range 1 + chance.IntN(3) {
				parts = append(parts, names[chance.IntN(len(names))])
			}
			return strings.Join(parts, "/")
		}
		s := foldtest.NewScript()
		s.Commit("run/r1", 0, 0, &events.RunStarted{RunID: "r1", ExperimentID: "x"})
		s.Commit("run/r10", 0, 0, &events.RunStarted{RunID: "r10", ExperimentID: "x"})
		s.Commit("run/r10", 1, 1, &events.RunArtifactLogged{RunID: "r10", Path: "another's", Blob: "b"})
		for i := range 60 {
			var e events.Data = &events.RunArtifactLogged{RunID: "r1", Path: path(), Blob: fmt.Sprint(i), Bytes: int64(i)}
			if chance.IntN(8) == 0 {
				at := path()
				if chance.IntN(6) == 0 {
					at = ""
				}
				e = &events.RunArtifactDeleted{RunID: "r1", Path: at}
			}
			s.Commit("run/r1", 2+i, 2, e)
		}
		v := foldtest.Opened(t, projections.NewRuns(), s.In)
		want := found[projections.Run](t)(projections.FoldRun(s.Stream("run/r1"), fold.At{})).Artifacts
		slices.SortFunc(want, func(a, b projections.Artifact) int { return strings.Compare(a.Path, b.Path) })
		files := v.Files("r1")
		if got := must[[]projections.Artifact](t)(files.All(1000)); !slices.Equal(got, want) {
			t.Errorf("seed %d: all are %v; want %v", seed, got, want)
		}
		folders := map[string]map[string]bool{"": {}, "none": {}, "a": {}} // the names in each, and whether they are folders
		for _, a := range want {
			got, ok, err := files.File(a.Path)
			if err != nil || !ok || got != a {
				t.Errorf("%s: %v %v %v", a.Path, got, ok, err)
			}
			parts := strings.Split(a.Path, "/")
			for i := range parts {
				at := strings.Join(parts[:i], "/")
				if folders[at] == nil {
					folders[at] = map[string]bool{}
				}
				folders[at][fmt.Sprint(parts[i], i+1 < len(parts))] = true
			}
		}
		for at, names := range folders {
			got := map[string]bool{}
			entries := must[[]projections.FolderEntry](t)(files.Folder(at))
			for _, e := range entries {
				got[fmt.Sprint(e.Name, e.File == nil)] = true
			}
			if !maps.Equal(got, names) || len(entries) != len(names) || !slices.IsSortedFunc(entries, func(a, b projections.FolderEntry) int { return strings.Compare(a.Name, b.Name) }) {
				t.Errorf("seed %d, folder %q: %v; want %v", seed, at, entries, names)
			}
		}
	}
}
