package featurestore

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/uuid"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers"
	"github.com/projectionist/projectionist/ml/features"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams/local"
)

var day0 = time.Date(2024, 6, 1, 0, 0, 0, 0, time.UTC)

const people, films, facts = 12, 30, 600

// opened is a store over a log that is empty, what writes to it, and what has the views fold it.
func opened(t *testing.T, now func() time.Time) (f *Store, d *handlers.Dispatcher, caughtUp func()) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	log, err := local.OpenMem(local.Options{Now: now, Logf: func(string, ...any) {}})
	must(err)
	store, err := fold.OpenStore("views", fold.StoreOptions{FS: vfs.NewMem()})
	must(err)
	views, err := fold.NewRunner(t.Context(), log, store, projections.All()...)
	must(err)
	t.Cleanup(func() { must(errors.Join(store.Close(), log.Close())) })
	return New(views, log), handlers.New(handlers.Config{Ledger: log.Ledger(), Feed: log.Feed(), Now: now, NewID: uuid.NewString}), func() {
		t.Helper()
		head, err := fold.HeadCut(t.Context(), log, time.Time{})
		must(err)
		must(views.CatchUp(t.Context(), head, func(int64, int64) {}))
	}
}

// filled is a store over a log of random acts, of films that the catalogue knows but for the last.
func filled(t *testing.T) (*Store, *features.Definitions) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	f, d, caughtUp := opened(t, func() time.Time { return day0.AddDate(0, 1, 0) })
	rng := rand.New(rand.NewPCG(1, 2))
	genres := []string{"Drama", "Comedy", "War", "Film-Noir"}
	for i := 1; i < films; i++ {
		_, err := d.Dispatch(t.Context(), &commands.ListMovie{Dataset: "test", Movie: events.Movie{MovieID: strconv.Itoa(i), Title: fmt.Sprintf("Film %d", i),
			Year: 1990 + i, Genres: genres[i%3 : i%3+2-i%2]}}, handlers.Meta{Actor: "test"})
		must(err)
	}
	var acts []commands.Fact
	for range facts {
		x := events.Interaction{UserID: strconv.Itoa(1 + rng.IntN(people)), MovieID: strconv.Itoa(1 + rng.IntN(films)), Kind: "click",
			Timestamp: events.FormatTime(day0.Add(-time.Duration(rng.IntN(60*24)) * time.Hour))}
		if rng.IntN(2) == 0 {
			x.Kind, x.Rating = "rating", float64(1+rng.IntN(10))/2
		}
		acts = append(acts, &commands.RecordInteraction{Interaction: x})
		for x.Rating > 0 && rng.IntN(3) == 0 { // corrected
			x.Rating = float64(1+rng.IntN(10)) / 2
			acts = append(acts, &commands.RecordInteraction{Interaction: x})
		}
	}
	_, err := d.Publish(t.Context(), acts, handlers.Meta{Actor: "test"})
	must(err)
	caughtUp()
	defs, err := features.Parse([]byte(features.DefaultYAML()))
	must(err)
	return f, defs
}

func randomRows(n int) []features.Row {
	rng := rand.New(rand.NewPCG(3, 4))
	rows := make([]features.Row, n)
	for i := range rows {
		rows[i].TimeMillis = day0.Add(-time.Duration(rng.IntN(70*24)) * time.Hour).UnixMilli()
		if rng.IntN(10) > 0 { // else nobody's
			rows[i].UserID = strconv.Itoa(1 + rng.IntN(people+1)) // of the last one nothing is known
		}
		if rng.IntN(10) > 0 {
			rows[i].MovieID = strconv.Itoa(1 + rng.IntN(films+1))
		}
	}
	return rows
}

func each(rows []features.Row) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		for _, row := range rows {
			if !yield(Row{Row: row}, nil) {
				return
			}
		}
	}
}

func collected(values iter.Seq2[[]features.Value, error]) (all [][]features.Value, err error) {
	for v, err := range values {
		if err != nil {
			return all, err
		}
		all = append(all, slices.Clone(v))
	}
	return all, nil
}

func emptied(t *testing.T, dir string) {
	t.Helper()
	if entries, err := os.ReadDir(dir); err != nil && !os.IsNotExist(err) || len(entries) > 0 {
		t.Errorf("left in the scratch folder: %v, %v", entries, err)
	}
}

// TestHistorical: joined in pieces, out of memory and in it, rows have the values that they have joined at once.
func TestHistorical(t *testing.T) {
	f, defs := filled(t)
	rows := randomRows(300)
	for _, refs := range [][]string{{"user_features", "movie_features"}, {"movie_features:title", "movie_features:rating_mean"}, {"movie_features:rating_count", "user_features:rating_count", "movie_features:genre"}} {
		sel, err := defs.Select(refs, true)
		if err != nil {
			t.Fatal(err)
		}
		for _, how := range []Historical{{}, {AtRow: true}, {Exclusive: true}, {At: fold.At{RecordedMillis: day0.AddDate(0, 2, 0).UnixMilli()}}, {At: fold.At{RecordedMillis: 1}}} {
			var failed error
			columns, err := (&features.Join{Selection: sel, KnownAtRow: how.AtRow, Exclusive: how.Exclusive,
				Catalogue: f.catalogueAt(t.Context(), how.At, &failed),
				Facts:     func(e features.Entity, id string) iter.Seq2[features.Fact, error] { return f.facts(e, id, how.At) }}).Historical(rows)
			if err = errors.Join(err, failed); err != nil {
				t.Fatal(err)
			}
			how.Selection = Computed(sel)
			for _, size := range []Historical{{}, {chunkValues: 13 * len(columns)}, {chunkValues: 100 * len(columns), keysMemory: 1, valuesMemory: 1}} {
				how.Scratch = filepath.Join(t.TempDir(), "scratch")
				how.chunkValues, how.keysMemory, how.valuesMemory = size.chunkValues, size.keysMemory, size.valuesMemory
				got, err := collected(f.Historical(t.Context(), how, each(rows)))
				if err != nil || len(got) != len(rows) {
					t.Fatalf("%+v: %d rows, %v", how, len(got), err)
				}
				for i := range rows {
					for k, c := range columns {
						want := c.Value(i)
						want.EventTimeMillis = 0 // not kept
						if want.Status != features.Present {
							want = features.Value{Name: want.Name, Type: want.Type, Status: want.Status}
						}
						if !reflect.DeepEqual(got[i][k], want) {
							t.Fatalf("%+v, row %d %+v: %+v, want %+v", how, i, rows[i], got[i][k], want)
						}
					}
				}
				emptied(t, how.Scratch)
			}
		}
	}
}

// Features of now are those as of now, and those that a row of now is joined with, to the bit.
func TestOnlineAsOfJoined(t *testing.T) {
	f, defs := filled(t)
	sel, err := defs.Select([]string{"user_features", "movie_features"}, true)
	if err != nil {
		t.Fatal(err)
	}
	superseded := 0
	now := day0.UnixMilli()
	for user := 1; user <= people; user++ {
		id := strconv.Itoa(user)
		for x, err := range f.history(features.User, id, fold.At{}) {
			if err != nil {
				t.Fatal(err)
			}
			if x.Superseded {
				superseded++
			}
		}
		for movie := 1; movie <= films; movie++ {
			film := strconv.Itoa(movie)
			online, err := f.Read(t.Context(), nil, sel, id, film, fold.At{}, now)
			if err != nil {
				t.Fatal(err)
			}
			asOf, err := f.Read(t.Context(), nil, sel, id, film, fold.At{EventMillis: now, RecordedMillis: now + 1e12}, now)
			if err != nil {
				t.Fatal(err)
			}
			joined, err := collected(f.Historical(t.Context(), Historical{Selection: Computed(sel), Scratch: filepath.Join(t.TempDir(), "scratch")},
				each([]features.Row{{UserID: id, MovieID: film, TimeMillis: now}})))
			if err != nil {
				t.Fatal(err)
			}
			for i := range online {
				join := joined[0][i]
				join.EventTimeMillis = online[i].EventTimeMillis // not kept
				if !reflect.DeepEqual(online[i], asOf[i]) || !reflect.DeepEqual(online[i], join) {
					t.Fatalf("person %s, film %s: online %+v, as of now %+v, joined %+v", id, film, online[i], asOf[i], join)
				}
			}
		}
	}
	if superseded < 50 {
		t.Errorf("%d ratings were superseded: the log does not try it", superseded)
	}
}

// TestHistorical_Spills: what a join keeps in memory does not grow with the rows.
func TestHistorical_Spills(t *testing.T) {
	f, defs := filled(t)
	sel, err := defs.Select([]string{"user_features", "movie_features"}, true)
	if err != nil {
		t.Fatal(err)
	}
	h := Historical{Selection: Computed(sel), Scratch: filepath.Join(t.TempDir(), "scratch"), keysMemory: 1, valuesMemory: 1}
	files := 0
	for _, err := range f.Historical(t.Context(), h, each(randomRows(30_000))) {
		if err != nil {
			t.Fatal(err)
		}
		if entries, err := os.ReadDir(h.Scratch); err == nil {
			files = max(files, len(entries))
		}
	}
	if files == 0 {
		t.Error("nothing of 30,000 rows went to the disk")
	}
	emptied(t, h.Scratch)
}

// TestHistorical_Ends: it ends with who waits for it, wherever it is, and leaves nothing behind.
func TestHistorical_Ends(t *testing.T) {
	f, defs := filled(t)
	sel, err := defs.Select([]string{"user_features", "movie_features"}, true)
	if err != nil {
		t.Fatal(err)
	}
	rows := randomRows(5000)
	h := Historical{Selection: Computed(sel), Scratch: filepath.Join(t.TempDir(), "scratch"), keysMemory: 1, valuesMemory: 1}
	ctx, cancel := context.WithCancel(t.Context())
	read := 0
	if got, err := collected(f.Historical(ctx, h, func(yield func(Row, error) bool) {
		for row := range each(rows) {
			if read++; read == 3000 {
				cancel()
			}
			if !yield(row, nil) {
				return
			}
		}
	})); !errors.Is(err, context.Canceled) || len(got) > 0 || read == len(rows) {
		t.Errorf("cancelled while rows are read: %d values, %d rows read, %v", len(got), read, err)
	}
	emptied(t, h.Scratch)

	ctx, cancel = context.WithCancel(t.Context())
	if got, err := collected(f.Historical(ctx, h, func(yield func(Row, error) bool) {
		for row := range each(rows) {
			if !yield(row, nil) {
				return
			}
		}
		cancel()
	})); !errors.Is(err, context.Canceled) || len(got) > 0 {
		t.Errorf("cancelled before the join: %d values, %v", len(got), err)
	}
	emptied(t, h.Scratch)

	ctx, cancel = context.WithCancel(t.Context())
	defer cancel()
	given := 0
	for _, err = range f.Historical(ctx, h, each(rows)) {
		if given++; given == 10 {
			cancel()
		}
	}
	if !errors.Is(err, context.Canceled) || given > 10+checkEvery+1 {
		t.Errorf("cancelled while values are given: %d, %v", given, err)
	}
	emptied(t, h.Scratch)

	for range f.Historical(t.Context(), h, each(rows)) {
		break
	}
	emptied(t, h.Scratch)

	broken := errors.New("broken")
	if _, err := collected(f.Historical(t.Context(), h, func(yield func(Row, error) bool) { yield(Row{}, broken) })); err != broken {
		t.Errorf("rows that cannot be read: %v", err)
	}
	emptied(t, h.Scratch)
}

// Nobody can make the store grow with ids of their own invention.
func TestFilmsThatAreNot(t *testing.T) {
	f, defs := filled(t)
	sel, err := defs.Select([]string{"movie_features:title"}, true)
	if err != nil {
		t.Fatal(err)
	}
	var rows []features.Row
	for i := range 1000 {
		rows = append(rows, features.Row{MovieID: fmt.Sprint("invented ", i), TimeMillis: day0.UnixMilli()})
	}
	rows = append(rows, features.Row{MovieID: "1", TimeMillis: day0.UnixMilli()})
	got, err := collected(f.Historical(t.Context(), Historical{Selection: Computed(sel), Scratch: t.TempDir()}, each(rows)))
	if err != nil || got[0][0].Status != features.NotFound || got[1000][0].Str != "Film 1" {
		t.Fatal(got[0], got[1000], err)
	}
	if len(f.catalog) != 1 {
		t.Errorf("%d films are kept", len(f.catalog))
	}
}

func TestStoredValues(t *testing.T) {
	values := []features.Value{
		{Type: features.Float64, Float: 0.1}, {Type: features.Float64, Float: 3}, {Type: features.Float64, Float: -3}, {Type: features.Float64},
		{Type: features.Float64, Float: math.Copysign(0, -1)}, {Type: features.Float64, Float: 1 << 53}, {Type: features.Float64, Float: math.Inf(-1)},
		{Type: features.Float64, Float: math.MaxFloat64}, {Type: features.Float64, Float: math.SmallestNonzeroFloat64},
		{Type: features.Int64, Int: math.MinInt64}, {Type: features.Int64, Int: math.MaxInt64}, {Type: features.Int64},
		{Type: features.String, Str: "a\x00é"}, {Type: features.String}, {Type: features.StringList, List: []string{"", "a", "bc"}}, {Type: features.StringList, List: []string{}},
	}
	for _, status := range []features.Status{features.NullValue, features.NotFound, features.OutsideMaxAge} {
		for _, typ := range []features.Type{features.Float64, features.Int64, features.String, features.StringList} {
			values = append(values, features.Value{Type: typ, Status: status})
		}
	}
	var b []byte
	for i := range values {
		b = appendValue(b, &values[i])
	}
	for i, want := range values {
		got := features.Value{Type: want.Type, Status: features.NotFound}
		b = readValue(b, &got)
		if !reflect.DeepEqual(got, want) || math.Signbit(got.Float) != math.Signbit(want.Float) {
			t.Errorf("value %d: %+v, want %+v", i, got, want)
		}
	}
	if len(b) > 0 {
		t.Errorf("%d bytes are left", len(b))
	}
}
