package projections

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
)

// HistoryTimes is how a history lies along the two times: how many acts happened when and were recorded when, in cells of a grid. Far from its diagonal are
// those that came late.
type HistoryTimes struct {
	Facts    int  `json:"facts"`    // repetitions left out
	Complete bool `json:"complete"` // false: there are more, which happened earlier

	Event    TimesAxis      `json:"event"`
	Recorded TimesAxis      `json:"recorded"`
	MostLate *Act           `json:"most_late,omitempty"` // the one that was recorded longest after it happened
	Kinds    []HistoryKind  `json:"kinds"`               // the most frequent first
	Cells    []HistoryTimed `json:"cells"`               // those that are not empty, in order of event and then of recorded time
}

// TimesAxis is one of the two times, in milliseconds.
type TimesAxis struct {
	First  int64 `json:"first_millis"`
	Last   int64 `json:"last_millis"`
	Bucket int64 `json:"bucket_millis"` // a cell's width; cells begin at its multiples
}

// HistoryKind is how often one kind of act is in a history.
type HistoryKind struct {
	Kind  string   `json:"interaction_type"` // "" for those beyond the first hundred kinds
	Facts int      `json:"facts"`
	Rated int      `json:"rated"`                 // with stars that count
	Mean  *float64 `json:"mean_rating,omitempty"` // of these

	sum float64
}

// HistoryTimed is the acts of one cell.
type HistoryTimed struct {
	EventMillis    int64  `json:"event_millis"`    // where the cell begins
	RecordedMillis int64  `json:"recorded_millis"` // likewise
	Facts          int    `json:"facts"`
	Position       string `json:"position"` // of the newest of them, by event time
}

// Limits of a grid.
const (
	TimesBucketsMax  = 200
	TimesBucketsMin  = 2 // 1970 is between two buckets, whatever their width
	historyKindsMax  = 100
	timesBucketLeast = 1000 // milliseconds
)

// historyTimesMax is how many acts of a history are looked at: a second's reading.
var historyTimesMax = 1_000_000

// errEnough ends the reading of a history of which enough was looked at.
var errEnough = errors.New("there are more acts than are looked at")

// actsUpTo ends the reading of a history behind so many acts, or when ctx ends.
func actsUpTo(ctx context.Context, most int) func(looked int) error {
	return func(looked int) error {
		switch {
		case looked > most:
			return errEnough
		case looked%4096 == 1:
			return ctx.Err()
		}
		return nil
	}
}

// UserTimes is the grid of a person's history, with at most so many buckets each way.
func (h *Histories) UserTimes(ctx context.Context, id string, q HistoryQuery, buckets int) (HistoryTimes, error) {
	return h.times(ctx, 'u', events.CanonicalUser(id), q, buckets)
}

// MovieTimes is that of a film's.
func (h *Histories) MovieTimes(ctx context.Context, id string, q HistoryQuery, buckets int) (HistoryTimes, error) {
	return h.times(ctx, 'm', events.CanonicalMovie(id), q, buckets)
}

func (h *Histories) times(ctx context.Context, table byte, id string, q HistoryQuery, buckets int) (HistoryTimes, error) {
	if buckets < TimesBucketsMin || buckets > TimesBucketsMax {
		return HistoryTimes{}, fault.Field("buckets", "is %d; want %d to %d", buckets, TimesBucketsMin, TimesBucketsMax)
	}
	q.Newest, q.stop = true, actsUpTo(ctx, historyTimesMax)
	g := timesGrid{buckets: int64(buckets), cells: map[timesPlace]*timesCell{}, kinds: map[string]*HistoryKind{}}
	g.event.Bucket, g.recorded.Bucket = timesBucketLeast, timesBucketLeast
	complete := true
	for f, err := range h.facts(table, id, q) {
		if errors.Is(err, errEnough) {
			complete = false
			break
		}
		if err != nil {
			return HistoryTimes{}, err
		}
		if q.After != nil && q.After.Covers(f.Position()) {
			continue
		}
		g.add(&f)
	}
	return g.made(complete), nil
}

// timesGrid is a grid while it is filled. Its buckets grow as what they hold does: they are never more than wanted.
type timesGrid struct {
	buckets         int64
	facts           int
	event, recorded TimesAxis
	cells           map[timesPlace]*timesCell
	kinds           map[string]*HistoryKind
	mostLate        Fact
}

type timesPlace struct{ event, recorded int64 } // in buckets

type timesCell struct {
	facts  int
	newest Fact
}

func (g *timesGrid) add(f *Fact) {
	if g.facts++; g.facts == 1 {
		g.event.First, g.event.Last, g.recorded.First, g.recorded.Last = f.EventMillis, f.EventMillis, f.RecordedMillis, f.RecordedMillis
		g.mostLate = *f
	}
	if f.RecordedMillis-f.EventMillis > g.mostLate.RecordedMillis-g.mostLate.EventMillis {
		g.mostLate = *f
	}
	event, recorded := g.event.widen(f.EventMillis, g.buckets), g.recorded.widen(f.RecordedMillis, g.buckets)
	if event > 1 || recorded > 1 {
		g.coarsen(event, recorded)
	}
	g.put(timesPlace{floorDiv(f.EventMillis, g.event.Bucket), floorDiv(f.RecordedMillis, g.recorded.Bucket)}, timesCell{1, *f})

	name := f.Kind
	if g.kinds[name] == nil && len(g.kinds) >= historyKindsMax {
		name = ""
	}
	kind := g.kinds[name]
	if kind == nil {
		kind = &HistoryKind{Kind: name}
		g.kinds[name] = kind
	}
	kind.Facts++
	if f.Rating > 0 && !f.Superseded {
		kind.Rated++
		kind.sum += f.Rating
	}
}

// widen takes a moment in, and says how many buckets of before are one now.
func (a *TimesAxis) widen(millis, buckets int64) (together int64) {
	a.First, a.Last, together = min(a.First, millis), max(a.Last, millis), 1
	for floorDiv(a.Last, a.Bucket)-floorDiv(a.First, a.Bucket) >= buckets {
		a.Bucket *= 2
		together *= 2
	}
	return together
}

// coarsen makes one cell of those that are one now.
func (g *timesGrid) coarsen(event, recorded int64) {
	before := g.cells
	g.cells = make(map[timesPlace]*timesCell, len(before))
	for at, c := range before {
		g.put(timesPlace{floorDiv(at.event, event), floorDiv(at.recorded, recorded)}, *c)
	}
}

func (g *timesGrid) put(at timesPlace, c timesCell) {
	there := g.cells[at]
	if there == nil {
		g.cells[at] = &c
		return
	}
	there.facts += c.facts
	if n := &there.newest; c.newest.compare(n.EventMillis, n.Partition, n.Offset) > 0 {
		*n = c.newest
	}
}

func (g *timesGrid) made(complete bool) HistoryTimes {
	t := HistoryTimes{Facts: g.facts, Complete: complete, Event: g.event, Recorded: g.recorded, Kinds: []HistoryKind{}, Cells: make([]HistoryTimed, 0, len(g.cells))}
	if g.facts > 0 {
		t.MostLate = g.mostLate.act()
	}
	for at, c := range g.cells {
		t.Cells = append(t.Cells, HistoryTimed{at.event * g.event.Bucket, at.recorded * g.recorded.Bucket, c.facts, c.newest.Position().String()})
	}
	slices.SortFunc(t.Cells, func(a, b HistoryTimed) int {
		return cmp.Or(cmp.Compare(a.EventMillis, b.EventMillis), cmp.Compare(a.RecordedMillis, b.RecordedMillis))
	})
	for _, k := range g.kinds {
		if k.Rated > 0 {
			mean := k.sum / float64(k.Rated)
			k.Mean = &mean
		}
		t.Kinds = append(t.Kinds, *k)
	}
	slices.SortFunc(t.Kinds, func(a, b HistoryKind) int { return cmp.Or(-cmp.Compare(a.Facts, b.Facts), cmp.Compare(a.Kind, b.Kind)) })
	return t
}

// floorDiv is n / d, rounded down. d is above 0.
func floorDiv(n, d int64) int64 {
	q := n / d
	if n%d < 0 {
		q--
	}
	return q
}
