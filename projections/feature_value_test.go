package projections_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"reflect"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/projections/fold/foldtest"
)

func pushed(entity, score string) *events.FeatureValues {
	return &events.FeatureValues{EntityKey: entity, View: "scores", Values: map[string]json.RawMessage{"score": json.RawMessage(score)}}
}

// TestFeatureValues: the newest event time is served, of one time the last in the log; everything is history.
func TestFeatureValues(t *testing.T) {
	s := foldtest.NewScript()
	s.Fact("feature-values", 0, "a", 200, 1000, pushed("movie_id=1", "1.0"))
	s.Fact("feature-values", 0, "b", 100, 1001, pushed("movie_id=1", "2.0")) // late
	offline := pushed("movie_id=1", "3.0")
	offline.Offline, offline.Created = true, "1970-01-01T00:00:00.007Z"
	s.Fact("feature-values", 0, "c", 300, 1002, offline)
	s.Fact("feature-values", 1, "d", 200, 1003, pushed("movie_id=1", "4.0")) // of the same time, in another partition
	s.Fact("feature-values", 0, "e", 200, 1004, pushed("movie_id=1", "5.0"))
	s.Fact("feature-values", 0, "f", 200, 1005, pushed("movie_id=1&user_id=2", "6.0"))
	v := foldtest.Opened(t, projections.NewFeatureValues(), s.In)
	score := func(at fold.At) string {
		return string(found[projections.PushedValues](t)(v.Served(t.Context(), "scores", "movie_id=1", at)).Values["score"])
	}
	for want, at := range map[string]fold.At{"4.0": {}, "2.0": {EventMillis: 199}, "1.0": {RecordedMillis: 1002}} {
		equal(t, "served", score(at), want)
	}
	equal(t, "as known before the other partition", score(fold.At{EventMillis: 200, RecordedMillis: 1002}), "1.0")
	for _, at := range []fold.At{{EventMillis: 99}, {RecordedMillis: 999}} {
		if _, ok, err := v.Served(t.Context(), "scores", "movie_id=1", at); ok || err != nil {
			t.Errorf("before the first, %+v: %v, %v", at, ok, err)
		}
	}
	if _, ok, err := v.Served(t.Context(), "scores", "movie_id=2", fold.At{}); ok || err != nil {
		t.Errorf("of nobody: %v, %v", ok, err)
	}
	var all []string
	for row, err := range v.History("scores", "movie_id=1", fold.At{}) {
		must0(t, err)
		all = append(all, string(row.Values["score"]))
		if row.Offline {
			equal(t, "computed at", row.CreatedMillis(), int64(7))
		}
	}
	equal(t, "the history, each over the one before", all, []string{"2.0", "1.0", "5.0", "4.0", "3.0"})
	var back []string
	for _, row := range foldtest.Pages(t, 2, func(q fold.PageQuery) (fold.Page[projections.PushedValues], error) {
		return v.HistoryPage("scores", "movie_id=1", fold.At{RecordedMillis: 1003}, q)
	}) {
		back = append(back, string(row.Values["score"]))
	}
	equal(t, "the last first, as known then", back, []string{"3.0", "4.0", "1.0", "2.0"})
}

// TestPushedValuesRead: a stored row is read as encoding/json reads it, with every field that it has.
func TestPushedValuesRead(t *testing.T) {
	var full func(v reflect.Value)
	full = func(v reflect.Value) {
		for i := range v.NumField() {
			switch f := v.Field(i); f.Kind() {
			case reflect.String:
				f.SetString("a \"" + v.Type().Field(i).Name)
			case reflect.Int64:
				f.SetInt(-int64(i) - 7)
			case reflect.Bool:
				f.SetBool(true)
			case reflect.Struct:
				full(f)
			case reflect.Map:
				f.Set(reflect.ValueOf(map[string]json.RawMessage{"a": json.RawMessage("1.5"), "b\"c": json.RawMessage(`["x]",{}]`), "": json.RawMessage("null")}))
			default:
				t.Fatalf("a field of kind %s is not read", f.Kind())
			}
		}
	}
	var all projections.PushedValues
	full(reflect.ValueOf(&all).Elem())
	for _, row := range []projections.PushedValues{all, {}} {
		raw := must[[]byte](t)(json.Marshal(&row))
		equal(t, "read", must[projections.PushedValues](t)(projections.PushedValuesOf(raw)), row)
		for n := range raw {
			if _, err := projections.PushedValuesOf(raw[:n]); !fault.Is(err, fault.Corrupt) {
				t.Fatalf("%d bytes of %d: %v", n, len(raw), err)
			}
		}
	}
}

// reading counts what is read by going through a view backwards.
type reading struct {
	fold.Reader
	n int
}

func (r *reading) ScanBack(lo, hi []byte) iter.Seq2[fold.KV, error] {
	return func(yield func(fold.KV, error) bool) {
		for kv, err := range r.Reader.ScanBack(lo, hi) {
			if r.n++; !yield(kv, err) {
				return
			}
		}
	}
}

// TestServedAmongMany: what was served at a moment is found without going through what was pushed for training alone, and whoever does not
// wait for it any more ends the reading.
func TestServedAmongMany(t *testing.T) {
	s := foldtest.NewScript()
	for i := range 300 {
		x := pushed("movie_id=1", strconv.Itoa(i)+".0")
		x.Offline = i > 10
		s.Fact("feature-values", 0, strconv.Itoa(i), int64(100+i), int64(1000+i), x)
	}
	m := foldtest.NewMemory()
	r := &reading{Reader: m}
	v := projections.NewFeatureValues()
	must0(t, v.Open(r))
	b := m.Batch(true)
	must0(t, v.Apply(b, s.In))
	b.Commit()
	for want, at := range map[string]fold.At{"10.0": {EventMillis: 399}, "3.0": {EventMillis: 103}, "4.0": {RecordedMillis: 1004}} {
		r.n = 0
		row, ok, err := v.Served(t.Context(), "scores", "movie_id=1", at)
		if string(row.Values["score"]) != want || !ok || err != nil || r.n > 7 {
			t.Errorf("at %+v: %s, %v, %v, %d rows read; want %s", at, row.Values["score"], ok, err, r.n, want)
		}
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, ok, err := v.Served(gone, "scores", "movie_id=1", fold.At{EventMillis: 399}); ok || !errors.Is(err, context.Canceled) {
		t.Errorf("asked for by nobody any more: %v, %v", ok, err)
	}
}

// TestPushedTextOfColons: what reading a row takes does not depend on what its texts hold.
func TestPushedTextOfColons(t *testing.T) {
	row := projections.PushedValues{Values: map[string]json.RawMessage{"text": json.RawMessage(`"` + strings.Repeat(":", 1<<20) + `"`)}}
	raw := must[[]byte](t)(json.Marshal(&row))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	got, err := projections.PushedValuesOf(raw)
	runtime.ReadMemStats(&after)
	must0(t, err)
	equal(t, "read", got, row)
	if n := after.TotalAlloc - before.TotalAlloc; n > 2*uint64(len(raw)) {
		t.Errorf("%d bytes for a row of %d", n, len(raw))
	}
}

func TestFeatureRegistry(t *testing.T) {
	meta := events.FeatureMeta{Project: "films"}
	s := foldtest.NewScript()
	s.Commit("feature-entity/films.movie", 1, 1, &events.FeatureEntityApplied{Entity: "movie", JoinKey: "movie_id", FeatureMeta: meta})
	s.Commit("feature-entity/other.movie", 2, 2, &events.FeatureEntityApplied{Entity: "movie", JoinKey: "id", FeatureMeta: events.FeatureMeta{Project: "other"}})
	view := &events.FeatureViewApplied{View: "scores", Entities: []string{"movie"}, JoinKeys: []events.FeatureField{{Name: "movie_id", Type: "int64"}},
		Features: []events.FeatureField{{Name: "score", Type: "float64"}}, PushSource: "push", FeatureMeta: meta}
	s.Commit("feature-view/scores", 3, 3, view)
	v := foldtest.Opened(t, projections.NewFeatureRegistry(), s.In)
	d := must[projections.Declarations](t)(v.Declarations(fold.At{}))
	equal(t, "entities", []string{d.Entities[0].Is.JoinKey, d.Entities[1].Is.JoinKey}, []string{"movie_id", "id"})
	equal(t, "views", d.Views[0].Is, *view)
	equal(t, "as features are read", projections.External(view).PushSource, "push")
	before := must[string](t)(v.Changed())

	s.Commit("movie/1", 4, 4, &events.MovieListed{Movie: events.Movie{MovieID: "1", Title: "x"}})
	equal(t, "not changed by films", must[string](t)(foldtest.Opened(t, projections.NewFeatureRegistry(), s.In).Changed()), before)
	s.Commit("feature-view/scores", 5, 5, &events.FeatureViewDeleted{View: "scores", Project: "films"})
	v = foldtest.Opened(t, projections.NewFeatureRegistry(), s.In)
	if d := must[projections.Declarations](t)(v.Declarations(fold.At{})); len(d.Views) != 0 || len(d.Entities) != 2 {
		t.Errorf("after the deletion: %+v", d)
	}
	if must[string](t)(v.Changed()) == before {
		t.Error("the deletion is no change")
	}
}

// TestFeatureValuesAsTable: each entity once, what counts of each with what is for training alone, and what was pushed at some moments.
func TestFeatureValuesAsTable(t *testing.T) {
	s := foldtest.NewScript()
	for i, p := range []struct {
		entity, score string
		millis        int64
	}{{"movie_id=10", "1.0", 100}, {"movie_id=2", "2.0", 100}, {"movie_id=10", "3.0", 300}, {"movie_id=10", "4.0", 300}, {"city=a&seat=1", "5.0", 100}, {"movie_id=1", "6.0", 100}} {
		s.Fact("feature-values", 0, string(rune('a'+i)), p.millis, 1000, pushed(p.entity, p.score))
	}
	offline := pushed("movie_id=2", "7.0")
	offline.Offline = true
	s.Fact("feature-values", 0, "z", 200, 1000, offline)
	other := pushed("movie_id=3", "8.0")
	other.View = "scores2" // whose name begins as the view's
	s.Fact("feature-values", 0, "y", 200, 1000, other)
	v := foldtest.Opened(t, projections.NewFeatureValues(), s.In)
	var entities []string
	for e, err := range v.PushedTo("scores") {
		must0(t, err)
		entities = append(entities, e)
	}
	equal(t, "entities", entities, []string{"city=a&seat=1", "movie_id=1", "movie_id=10", "movie_id=2"})
	for e, err := range v.PushedTo("scores") { // whoever stops gets no more
		equal(t, "the first", e, "city=a&seat=1")
		must0(t, err)
		break
	}
	for want, at := range map[string]fold.At{"7.0": {}, "2.0": {EventMillis: 199}} {
		row, ok, err := v.Newest("scores", "movie_id=2", at)
		must0(t, err)
		equal(t, "the newest", string(row.Values["score"])+fmt.Sprint(ok), want+"true")
	}
	if _, ok, err := v.Newest("scores", "movie_id=2", fold.At{EventMillis: 99}); ok || err != nil {
		t.Errorf("before all: %v, %v", ok, err)
	}
	var got []string
	must0(t, v.AtMoments("scores", []projections.Moment{{EntityKey: "movie_id=10", Millis: 300}, {EntityKey: "movie_id=1", Millis: 99}, {EntityKey: "movie_id=1", Millis: 100}}, func(i int, row *projections.PushedValues) error {
		got = append(got, fmt.Sprint(i, " ", string(row.Values["score"])))
		return nil
	}))
	equal(t, "at moments", got, []string{"0 3.0", "0 4.0", "2 6.0"})
}
