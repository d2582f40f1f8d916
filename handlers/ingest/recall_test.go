package ingest

import (
	"context"
	"errors"
	"iter"
	"testing"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/projections/fold/foldtest"
	"github.com/projectionist/projectionist/streams"
)

// counting is a log that counts how many records of its feeds are read.
type counting struct {
	streams.Log
	read *int
}

func (c counting) Feed() streams.Feed { return countingFeed{c.Log.Feed(), c.read} }

type countingFeed struct {
	streams.Feed
	read *int
}

func (c countingFeed) Read(ctx context.Context, tp streams.TP, from int64) iter.Seq2[*streams.Record, error] {
	return func(yield func(*streams.Record, error) bool) {
		for r, err := range c.Feed.Read(ctx, tp, from) {
			if *c.read++; !yield(r, err) {
				return
			}
		}
	}
}

// looking has the importer look into histories folded from the log as it is, and count what it does.
func looking(t *testing.T, im *Importer) (read, looks *int) {
	t.Helper()
	log := im.Log
	read, looks = new(int), new(int)
	im.Log = counting{log, read}
	im.Look = func(ctx context.Context) (func(string, int64, string) (bool, error), error) {
		var in []fold.Input
		for _, tp := range streams.PartitionsOf(events.UserEventsTopic) {
			for rec, err := range log.Feed().Read(ctx, tp, 0) {
				if err != nil {
					return nil, err
				}
				ev, err := streams.ReadFact(rec)
				if err != nil {
					return nil, err
				}
				in = append(in, fold.Input{Position: rec.Position, RecordedMillis: rec.Recorded.UnixMilli(), Event: &ev})
			}
		}
		h := foldtest.Opened(t, projections.NewHistories(), in)
		return func(user string, millis int64, id string) (bool, error) {
			*looks++
			return h.HasEvent(user, millis, id)
		}, nil
	}
	return read, looks
}

// tail is the last of n facts, and some that come after them; how many is not said beforehand.
func tail(digest string, n, old, more int) Source {
	src := source(digest, n+more)
	all := src.Facts
	src.Total = 0
	src.Facts = func(yield func(Fact, error) bool) {
		i := 0
		for f, err := range all {
			if i++; i > n-old && !yield(f, err) {
				return
			}
		}
	}
	return src
}

// TestImportCostsWhatIsNew: of a small file each fact is looked for, and the log is not read; of a large one it is, once.
func TestImportCostsWhatIsNew(t *testing.T) {
	im, ctx := newImporter(t), t.Context()
	const there = 40_000
	if res, err := im.Import(ctx, source("a", there), "test", nil); err != nil || res.FactsAdded != there {
		t.Fatal(res, err)
	}
	read, looks := looking(t, im)
	if res, err := im.Import(ctx, tail("b", there, 300, 200), "test", nil); err != nil || res.FactsAdded != 200 || res.FactsDuplicate != 300 || *read != 0 || *looks != 500 {
		t.Errorf("a small file: %+v, %d records read, %d looks, %v", res, *read, *looks, err)
	}
	*looks = 0
	if res, err := im.Import(ctx, tail("c", there, 5_000, 300), "test", nil); err != nil || res.FactsAdded != 100 || res.FactsDuplicate != 5_200 || *read < there || *read > there+400 || *looks > there/lookCost+10 {
		t.Errorf("a large file: %+v, %d records read, %d looks, %v", res, *read, *looks, err)
	}
	*read, *looks = 0, 0
	if res, err := im.Import(ctx, source("d", there+400), "test", nil); err != nil || res.FactsAdded != 100 || res.FactsDuplicate != there+300 || *read < there || *looks != 0 {
		t.Errorf("a file known to be large: %+v, %d records read, %d looks, %v", res, *read, *looks, err)
	}
	if n := facts64(t, im); n != there+400 {
		t.Errorf("%d facts", n)
	}
}

// Where there is no look, or none any more, the log is read.
func TestImportWithoutALook(t *testing.T) {
	im, ctx := newImporter(t), t.Context()
	if _, err := im.Import(ctx, source("a", 10_000), "test", nil); err != nil {
		t.Fatal(err)
	}
	read, _ := looking(t, im)
	look := im.Look
	im.Look = func(ctx context.Context) (func(string, int64, string) (bool, error), error) {
		return nil, errors.New("far behind")
	}
	if res, err := im.Import(ctx, tail("b", 10_000, 100, 100), "test", nil); err != nil || res.FactsAdded != 100 || res.FactsDuplicate != 100 || *read < 10_000 {
		t.Errorf("without: %+v, %d records read, %v", res, *read, err)
	}
	*read = 0
	im.Look = func(ctx context.Context) (func(string, int64, string) (bool, error), error) {
		has, err := look(ctx)
		n := 0
		return func(user string, millis int64, id string) (bool, error) {
			if n++; n > 50 {
				return false, errors.New("damaged")
			}
			return has(user, millis, id)
		}, err
	}
	if res, err := im.Import(ctx, tail("c", 10_000, 100, 150), "test", nil); err != nil || res.FactsAdded != 50 || res.FactsDuplicate != 200 || *read < 10_000 {
		t.Errorf("no more: %+v, %d records read, %v", res, *read, err)
	}
}

// TestImportCorrects: of the editions of a file the rating that came into the log last counts; an edition that has the first
// one again is a repetition.
func TestImportCorrects(t *testing.T) {
	for _, stars := range [][]float64{{2, 4.5}, {4.5, 2}} {
		im := newImporter(t)
		edition := func(digest string, stars float64) {
			t.Helper()
			src := source(digest, 0)
			src.Facts = func(yield func(Fact, error) bool) {
				yield(Fact{UserID: "1", MovieID: "1", Kind: "rating", Rating: stars, TimeMillis: 5000}, nil)
			}
			if _, err := im.Import(t.Context(), src, "test", nil); err != nil {
				t.Fatal(err)
			}
		}
		for i, s := range []float64{stars[0], stars[1], stars[0]} {
			edition(string(rune('a'+i)), s)
		}
		var in []fold.Input
		for _, tp := range streams.PartitionsOf(events.UserEventsTopic) {
			for rec, err := range im.Log.Feed().Read(t.Context(), tp, 0) {
				if err != nil {
					t.Fatal(err)
				}
				ev, err := streams.ReadFact(rec)
				if err != nil {
					t.Fatal(err)
				}
				in = append(in, fold.Input{Position: rec.Position, Event: &ev})
			}
		}
		counting := []float64{}
		for f, err := range foldtest.Opened(t, projections.NewHistories(), in).User("1", fold.At{}) {
			if err != nil {
				t.Fatal(err)
			}
			if !f.Superseded {
				counting = append(counting, f.Rating)
			}
		}
		if len(in) != 2 || len(counting) != 1 || counting[0] != stars[1] {
			t.Errorf("%v: %d facts, of which %v count", stars, len(in), counting)
		}
	}
}
