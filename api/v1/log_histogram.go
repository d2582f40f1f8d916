package v1

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

// histogram is how many records the log took when, of all topics, and what of it is worth a mark. Counts[i] is of those from
// From + i*BucketMillis on, before the next bucket or To.
type histogram struct {
	From         *string `json:"from"` // null: the log is empty, and no time was asked for
	To           *string `json:"to"`
	BucketMillis int64   `json:"bucket_millis"`
	Counts       []int64 `json:"counts"`
	Marks        []mark  `json:"marks"` // oldest first
	MarksLeftOut int     `json:"marks_left_out"`
}

// mark is an event that people look for on the bar of time.
type mark struct {
	Time     string `json:"time"` // when the log took it
	Position string `json:"position"`
	EventID  string `json:"event_id"`
	Type     string `json:"type"`
	Title    string `json:"title"`
	Stream   string `json:"stream,omitempty"` // of the ledger
	Actor    string `json:"actor,omitempty"`
	Model    string `json:"model,omitempty"`
	Version  int    `json:"version,omitempty"` // of the model or training set
	Slot     string `json:"slot,omitempty"`
	Name     string `json:"name,omitempty"` // of the data set, training set or feature view

	recorded int64
}

// markedTypes are the ledger's events that are marks. Beside them are the alerts of drift.
var markedTypes = []string{
	(*events.ModelDeployed)(nil).EventType(), (*events.ImportCompleted)(nil).EventType(), (*events.TrainingSetVersioned)(nil).EventType(),
	(*events.ModelVersionRegistered)(nil).EventType(), (*events.ModelVersionAdded)(nil).EventType(),
	(*events.FeaturesDefined)(nil).EventType(), (*events.FeatureViewApplied)(nil).EventType(),
}

// histogram tells from..to (to excluded) of what known_at has, in as many buckets of equal length, or, without from and to, the whole log in fewer,
// which begin at whole seconds, minutes, hours or days where that can be. It looks up where each bucket begins in each partition, by recorded time, and
// reads no more records than marks.
func (s *Surface) histogram(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	q := api.QueryOf(r, "from", "to", "buckets", api.KnownAtParam)
	from, to, buckets := q.Millis("from"), q.Millis("to"), q.Number("buckets", bucketsDefault, 1, bucketsMax)
	if from != 0 && to != 0 && from >= to {
		q.Fault("to", "is not after from")
	}
	m, err := s.Moment(ctx, q)
	if err != nil {
		return err
	}
	cut, err := m.Cut(ctx, s.Log)
	if err != nil {
		return err
	}
	out := histogram{Counts: []int64{}, Marks: []mark{}}
	whole := from == 0 && to == 0
	if from, to, err = s.span(ctx, cut, from, to); err != nil {
		return err
	}
	if from == 0 {
		return api.WriteJSON(w, http.StatusOK, out)
	}
	out.BucketMillis = (to - from + buckets - 1) / buckets
	if whole {
		from, to, out.BucketMillis = aligned(from, to, buckets)
	}
	out.From, out.To = timeText(events.TimeOf(from)), timeText(events.TimeOf(to))
	out.Counts = make([]int64, (to-from+out.BucketMillis-1)/out.BucketMillis)
	head, err := fold.HeadCut(ctx, s.Log, time.Time{})
	if err != nil {
		return err
	}
	c := counting{log: s.Log, head: head, cut: cut, found: s.offsets, from: from, width: out.BucketMillis, counts: out.Counts}
	ends := map[streams.TP][2]int64{} // the offsets of what is told
	for _, tp := range cut.Partitions() {
		first, err := c.before(ctx, tp, from)
		if err != nil {
			return err
		}
		next, err := c.before(ctx, tp, to)
		if err != nil {
			return err
		}
		ends[tp] = [2]int64{first, next}
		if err := c.count(ctx, tp, 0, len(out.Counts), first, next); err != nil {
			return err
		}
	}
	if out.Marks, out.MarksLeftOut, err = s.marks(ctx, ends); err != nil {
		return err
	}
	return api.WriteJSON(w, http.StatusOK, out)
}

// span is from when to before when it is told of a cut; 0 where there is nothing to tell.
func (s *Surface) span(ctx context.Context, cut streams.Cut, from, to int64) (int64, int64, error) {
	if from != 0 && to != 0 {
		return from, to, nil
	}
	first, ok, err := s.First(ctx)
	if err != nil {
		return 0, 0, err
	}
	newest, some, err := s.Newest(ctx, cut)
	if err != nil {
		return 0, 0, err
	}
	switch {
	case from == 0 && to == 0 && (!ok || !some):
		return 0, 0, nil
	case from == 0 && to == 0:
		return first.UnixMilli(), newest.UnixMilli() + 1, nil
	case to == 0:
		return from, max(newest.UnixMilli(), from) + 1, nil
	case !ok:
		return to - 1, to, nil
	}
	return min(first.UnixMilli(), to-1), to, nil
}

// widths are lengths of buckets that people count in, in milliseconds.
var widths = func() []int64 {
	all := []int64{1, 2, 5, 10, 20, 50, 100, 200, 500}
	for _, in := range []struct {
		unit time.Duration
		of   []int64
	}{{time.Second, []int64{1, 2, 5, 10, 15, 30}}, {time.Minute, []int64{1, 2, 5, 10, 15, 30}}, {time.Hour, []int64{1, 2, 3, 6, 12}}, {24 * time.Hour, []int64{1, 2, 5, 10, 20, 50, 100, 200}}} {
		for _, n := range in.of {
			all = append(all, n*in.unit.Milliseconds())
		}
	}
	return all
}()

// aligned widens from..to to at most so many buckets of the shortest such length, which begin at multiples of it. Where that would be far from what is asked
// for, they are of equal length as they are. So buckets stay the same while the log grows, and where they begin need not be looked up again.
func aligned(from, to, buckets int64) (int64, int64, int64) {
	exact := (to - from + buckets - 1) / buckets
	for _, width := range widths {
		if width < exact || width > 8*exact {
			continue
		}
		if lo, hi := from/width*width, (to+width-1)/width*width; lo > 0 && hi-lo <= buckets*width {
			return lo, hi, width
		}
	}
	return from, to, exact
}

// offsets are the offsets that times were found at, of those that do not change any more.
type offsets struct {
	sync.Mutex
	known map[timePlace]int64
}

// timePlace is a time in a partition.
type timePlace struct {
	tp     streams.TP
	millis int64
}

func (o *offsets) of(at timePlace) (int64, bool) {
	o.Lock()
	defer o.Unlock()
	offset, ok := o.known[at]
	return offset, ok
}

func (o *offsets) keep(at timePlace, offset int64) {
	o.Lock()
	defer o.Unlock()
	if o.known == nil || len(o.known) >= offsetsKept {
		o.known = map[timePlace]int64{}
	}
	o.known[at] = offset
}

// counting counts records by when the log took them.
type counting struct {
	log    streams.Log
	head   streams.Cut // of the log
	cut    streams.Cut // of it, what is known
	found  *offsets
	from   int64 // recorded, in milliseconds
	width  int64
	counts []int64
}

// before is the offset of a partition's first record that was taken at a time or later, or is not in the cut.
func (c *counting) before(ctx context.Context, tp streams.TP, millis int64) (int64, error) {
	at := timePlace{tp, millis}
	offset, known := c.found.of(at)
	if !known {
		var err error
		if offset, err = fold.HeadAt(ctx, c.log, tp, time.UnixMilli(millis-1)); err != nil {
			return 0, err
		}
		if offset < c.head[tp] { // a later one is there: none comes before it any more
			c.found.keep(at, offset)
		}
	}
	return min(offset, c.cut[tp]), nil
}

// count adds the records from first to before next, which are of the buckets lo to before hi. Where a partition has none it looks for none:
// a log is mostly silent, or written to at once.
func (c *counting) count(ctx context.Context, tp streams.TP, lo, hi int, first, next int64) error {
	switch {
	case first >= next:
		return nil
	case hi-lo == 1:
		c.counts[lo] += next - first
		return nil
	}
	mid := lo + (hi-lo)/2
	at, err := c.before(ctx, tp, c.from+int64(mid)*c.width)
	if err != nil {
		return err
	}
	at = min(max(at, first), next)
	if err := c.count(ctx, tp, lo, mid, first, at); err != nil {
		return err
	}
	return c.count(ctx, tp, mid, hi, at, next)
}

// marks are the newest of what the partitions have between two offsets, and how many there are beside.
func (s *Surface) marks(ctx context.Context, ends map[streams.TP][2]int64) ([]mark, int, error) {
	ledger := ends[ledgerPartition]
	entries, leftOut, err := fold.Of[*projections.Audit](s.Views).Latest(markedTypes, ledger[0], ledger[1], marksMax)
	if err != nil {
		return nil, 0, err
	}
	all := make([]mark, 0, len(entries))
	for i := range entries {
		e := &entries[i]
		m := mark{Time: events.FormatTime(events.TimeOf(e.RecordedMillis)), Position: e.Position, EventID: e.EventID, Type: e.Type, Title: e.Summary,
			Stream: e.Stream, Actor: e.Actor, recorded: e.RecordedMillis}
		ev, err := s.eventOfEntry(ctx, e)
		if err != nil {
			return nil, 0, err
		}
		m.of(ev.Data)
		all = append(all, m)
	}
	for tp, end := range ends {
		if tp.Topic != events.DriftAlertsTopic {
			continue
		}
		alerts, err := s.alertMarks(ctx, tp, max(end[0], end[1]-marksMax), end[1])
		if err != nil {
			return nil, 0, err
		}
		all, leftOut = append(all, alerts...), leftOut+int(max(end[1]-end[0]-marksMax, 0))
	}
	slices.SortStableFunc(all, func(a, b mark) int { return cmp.Compare(a.recorded, b.recorded) })
	if more := len(all) - marksMax; more > 0 {
		all, leftOut = all[more:], leftOut+more
	}
	names := map[string]string{}
	for i := range all {
		if all[i].Model, err = s.nameOf(names, all[i].Model); err != nil {
			return nil, 0, err
		}
	}
	return all, leftOut, nil
}

// nameOf is what a model is called now, by its key, and remembers it.
func (s *Surface) nameOf(names map[string]string, key string) (string, error) {
	if key == "" {
		return "", nil
	}
	name, known := names[key]
	if known {
		return name, nil
	}
	name, err := s.registry().NameOf(key)
	names[key] = name
	return name, err
}

func (m *mark) of(data events.Data) {
	switch x := data.(type) {
	case *events.ModelDeployed:
		m.Model, m.Version, m.Slot = x.Model, x.Version, x.Slot
	case *events.ModelVersionRegistered:
		m.Model, m.Version = x.Name, x.Version
	case *events.ModelVersionAdded:
		m.Model, m.Version = x.Name, x.Version
	case *events.TrainingSetVersioned:
		m.Name, m.Version = x.Name, x.Version
	case *events.FeatureViewApplied:
		m.Name = x.View
	case *events.ModelDrift:
		m.Model = x.ModelName
		m.Version, _ = strconv.Atoi(x.ModelVersion) // whoever raises an alert may say anything
	}
}

// alertMarks are the alerts of drift from an offset to before another.
func (s *Surface) alertMarks(ctx context.Context, tp streams.TP, from, to int64) (all []mark, err error) {
	for rec, err := range s.Log.Feed().Read(ctx, tp, from) {
		if err != nil {
			return nil, err
		}
		if rec.Offset >= to {
			break
		}
		m := mark{Time: events.FormatTime(rec.Recorded), Position: rec.Position.String(), Type: (*events.ModelDrift)(nil).EventType(), recorded: rec.Recorded.UnixMilli()}
		ev, bad := streams.ReadFact(rec)
		if bad != nil {
			continue // it is in quarantine
		}
		m.EventID, m.Actor, m.Title = ev.ID, ev.Actor, projections.FactSummary(ev.Data)
		m.of(ev.Data)
		all = append(all, m)
	}
	return all, nil
}

// eventOfEntry reads from the log the event that an entry is of.
func (s *Surface) eventOfEntry(ctx context.Context, e *projections.AuditEntry) (*events.Event, error) {
	c, err := s.commitAt(ctx, e.Position)
	if err != nil {
		return nil, err
	}
	if e.Index >= len(c.Events) {
		return nil, fault.New(fault.Corrupt, "the commit at %s has no event %d", e.Position, e.Index)
	}
	return &c.Events[e.Index], nil
}

// commitAt reads the commit at a position.
func (s *Surface) commitAt(ctx context.Context, position string) (*streams.Committed, error) {
	pos, err := streams.ParsePosition(position)
	if err != nil {
		return nil, fault.Wrap(fault.Corrupt, err, "a stored position does not read")
	}
	for c, err := range s.Log.Ledger().Read(ctx, pos.Offset) {
		switch {
		case c == nil:
			return nil, err
		case c.Position.Offset != pos.Offset:
		default:
			return c, nil
		}
		break
	}
	return nil, fault.New(fault.NotFound, "there is no commit at %s", pos)
}
