package featurestore

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers"
	"github.com/projectionist/projectionist/ml/features"
	"github.com/projectionist/projectionist/projections/fold"
)

// TestHistorical_LongValues: long values are on the disk once, however many rows see them, and each row has its own.
func TestHistorical_LongValues(t *testing.T) {
	f, d, caughtUp := opened(t, func() time.Time { return day0 })
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	title := strings.Repeat("t", 200)
	defs, err := features.Parse([]byte(features.DefaultYAML()))
	must(err)
	for _, c := range []commands.Command{
		&commands.DefineFeatures{Definitions: features.DefaultYAML(), Hash: defs.Hash()},
		&commands.ListMovie{Dataset: "test", Movie: events.Movie{MovieID: "1", Title: title}},
		&commands.ApplyFeatureView{FeatureViewApplied: events.FeatureViewApplied{View: "plots", Entities: []string{"film"}, JoinKeys: []events.FeatureField{{Name: "movie_id", Type: "int64"}},
			Features: []events.FeatureField{{Name: "plot", Type: "string"}, {Name: "words", Type: "string_list"}, {Name: "n", Type: "int64"}}, FeatureMeta: events.FeatureMeta{Project: "test"}}},
	} {
		_, err := d.Dispatch(t.Context(), c, handlers.Meta{Actor: "test"})
		must(err)
	}
	const long, rows = 20_000, 6000
	at := func(hours int64) int64 { return day0.UnixMilli() + (hours-100)*hour }
	var facts []commands.Fact
	for i, letter := range []string{"a", "b", "c"} {
		quoted, err := json.Marshal(strings.Repeat(letter, long))
		must(err)
		facts = append(facts, &commands.PushFeatureValues{FeatureValues: events.FeatureValues{EntityKey: "movie_id=1", View: "plots", Timestamp: events.FormatTime(events.TimeOf(at(int64(i)))),
			Values: map[string]json.RawMessage{"plot": quoted, "words": json.RawMessage("[" + string(quoted) + `,"x"]`), "n": json.RawMessage("7")}}})
	}
	_, err = d.Publish(t.Context(), facts, handlers.Meta{Actor: "test"})
	must(err)
	caughtUp()
	reg, err := f.Registry()
	must(err)
	sel, err := reg.Selection([]string{"movie_features:title", "plots:plot", "plots:words", "plots:n"}, true)
	must(err)
	var all []Row
	for i := range rows {
		all = append(all, Row{Row: features.Row{MovieID: "1", TimeMillis: at(int64(i*7%4 - 1))}, Keys: []string{"movie_id=1"}})
	}
	for _, chunk := range []int{0, 4 * rows / 3} {
		h := Historical{Selection: sel, At: fold.At{}, Scratch: filepath.Join(t.TempDir(), "scratch"), valuesMemory: 1, keysMemory: 1, chunkValues: chunk}
		n, most := 0, int64(0)
		for v, err := range f.Historical(t.Context(), h, eachRow(all)) {
			must(err)
			if n%1000 == 0 {
				most = max(most, bytesOf(t, h.Scratch))
			}
			letter := []string{"", "a", "b", "c"}[n*7%4]
			if letter == "" {
				if v[1].Status != features.NotFound || v[2].Status != features.NotFound {
					t.Fatalf("row %d: %v", n, v[1].Status)
				}
			} else if want := strings.Repeat(letter, long); v[1].Str != want || len(v[2].List) != 2 || v[2].List[0] != want || v[2].List[1] != "x" || v[3].Int != 7 {
				t.Fatalf("row %d is not of %s", n, letter)
			}
			if v[0].Status != features.Present || v[0].Str != title {
				t.Fatalf("row %d: %q", n, v[0].Str)
			}
			n++
		}
		if n != rows || most == 0 || most > 1<<19 { // of the rows, and six long values and a title: without that 240 MB
			t.Errorf("%d rows, %d bytes on the disk", n, most)
		}
		emptied(t, h.Scratch)
	}
}

func bytesOf(t *testing.T, dir string) (n int64) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		n += info.Size()
	}
	return n
}
