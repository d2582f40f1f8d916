package projections

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"iter"
	"slices"
	"strings"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

// Histories keeps every interaction twice, by person and by film, each in order of event time. Nothing
// is read while folding: the place in the log is part of the key, and a fact that was published twice
// (same person, event time and what [events.FactHash] covers) is taken out when reading, where the first
// recorded wins. Of several ratings of one person, film, kind and event time all are shown, and the one that was recorded
// last counts: by offset in a partition, and of different partitions by their number.
//
//	u USER millis partition offset -> FILM kind rating recorded session source event-id
//	m FILM millis partition offset -> USER kind rating recorded FactHash
type Histories struct{ r fold.Reader }

// NewHistories makes the view "histories".
func NewHistories() *Histories { return &Histories{} }

func (*Histories) Spec() fold.Spec {
	return fold.Spec{Name: "histories", Format: 1, Topics: []string{events.UserEventsTopic}}
}

func (h *Histories) Open(r fold.Reader) error { h.r = r; return nil }
func (*Histories) Flush(fold.Writer) error    { return nil }

// Apply writes each table's pairs of the inputs in order of key: the store takes neighbours much faster
// than pairs in random order, and finding their order costs less than that.
func (h *Histories) Apply(w fold.Writer, in []fold.Input) error {
	const pairBytes = 64 // about
	users := sortedPairs{buf: make(fold.Key, 0, pairBytes*len(in)), pairs: make([]pair, 0, len(in))}
	movies := sortedPairs{buf: make(fold.Key, 0, pairBytes*len(in)), pairs: make([]pair, 0, len(in))}
	for i := range in {
		if in[i].Event == nil {
			continue
		}
		x, ok := in[i].Event.Data.(*events.Interaction)
		if !ok {
			continue
		}
		ev := in[i].Event
		user, movie := events.CanonicalUser(x.UserID), events.CanonicalMovie(x.MovieID)
		millis := ev.Time.UnixMilli()

		start := len(users.buf)
		users.buf = append(users.buf, 'u').ID(user).Fact(&in[i], millis)
		value := len(users.buf)
		users.buf = appendFact(users.buf.ID(movie), x, in[i].RecordedMillis).Text(x.SessionID).Text(ev.Source).EventID(ev.ID)
		users.add(start, value)

		start = len(movies.buf)
		movies.buf = append(movies.buf, 'm').ID(movie).Fact(&in[i], millis)
		value = len(movies.buf)
		movies.buf = appendFact(movies.buf.ID(user), x, in[i].RecordedMillis).U64(events.FactHash(ev.Source, ev.ID, x))
		movies.add(start, value)
	}
	if err := movies.write(w); err != nil {
		return err
	}
	return users.write(w)
}

// sortedPairs collects pairs of one table in one buffer and writes them in order of key.
type sortedPairs struct {
	buf   fold.Key
	pairs []pair
}

type pair struct {
	prefix            uint64 // bytes 1 to 8 of the key, which nearly always decide the order
	start, value, end int
}

func (s *sortedPairs) add(start, value int) {
	var prefix [8]byte
	copy(prefix[:], s.buf[start+1:value])
	s.pairs = append(s.pairs, pair{binary.BigEndian.Uint64(prefix[:]), start, value, len(s.buf)})
}

func (s *sortedPairs) write(w fold.Writer) error {
	slices.SortFunc(s.pairs, func(a, b pair) int {
		if a.prefix != b.prefix {
			return cmp.Compare(a.prefix, b.prefix)
		}
		return bytes.Compare(s.buf[a.start:a.value], s.buf[b.start:b.value])
	})
	for _, p := range s.pairs {
		if err := w.Set(s.buf[p.start:p.value], s.buf[p.value:p.end]); err != nil {
			return err
		}
	}
	return nil
}

func appendFact(v fold.Key, x *events.Interaction, recordedMillis int64) fold.Key {
	code := events.KindCode(x.Kind)
	if v = append(v, code); code == 0 {
		v = v.Text(x.Kind)
	}
	return v.Hundredths(x.Rating).Uvarint(uint64(recordedMillis))
}

// Fact is one interaction as the histories keep it. A rating of 0 is none.
type Fact struct {
	UserID         string  `json:"user_id"`
	MovieID        string  `json:"movie_id"`
	Kind           string  `json:"interaction_type"`
	Rating         float64 `json:"rating,omitempty"`
	EventMillis    int64   `json:"event_millis"`
	RecordedMillis int64   `json:"recorded_millis"`
	Partition      int32   `json:"partition"` // of topic user-events
	Offset         int64   `json:"offset"`
	// Superseded is a rating that does not count: another one of the same person, film, kind and event time was recorded
	// later.
	Superseded bool `json:"superseded,omitempty"`
	// Turn is its place among those ratings in the order of recording, from 1; 0 where there is no other.
	Turn int `json:"-"`

	// Only in a person's history; a film's names the record they are in by partition and offset.
	SessionID string `json:"session_id,omitempty"`
	EventID   string `json:"event_id,omitempty"`
	Source    string `json:"source,omitempty"`

	hash     uint64
	repeated bool // another record of it was first
}

// Position is the fact's record in the log.
func (f *Fact) Position() streams.Position {
	return streams.Position{TP: streams.TP{Topic: events.UserEventsTopic, Partition: f.Partition}, Offset: f.Offset}
}

// Hash is what [events.FactHash] says of the fact.
func (f *Fact) Hash() uint64 {
	if f.hash == 0 {
		f.hash = events.FactHash(f.Source, f.EventID, &events.Interaction{MovieID: f.MovieID, Kind: f.Kind, Rating: f.Rating})
	}
	return f.hash
}

// identity is what two facts of one millisecond share if one is a repetition of the other.
type identity struct {
	user, movie, kind, source, id string
	rating                        float64
	hash                          uint64
}

func (f *Fact) identity() identity {
	return identity{f.UserID, f.MovieID, f.Kind, f.Source, f.EventID, f.Rating, f.hash}
}

// rivals says whether of two facts of one event time at most one counts: one is a repetition, or both are ratings of one
// kind.
func (f *Fact) rivals(g *Fact) bool {
	return f.UserID == g.UserID && f.MovieID == g.MovieID && f.Kind == g.Kind
}

// compareContent has those together that are rivals, and of them those that say the same.
func (f *Fact) compareContent(g *Fact) int {
	if c := cmp.Or(strings.Compare(f.UserID, g.UserID), strings.Compare(f.MovieID, g.MovieID)); c != 0 { // most differ here
		return c
	}
	return cmp.Or(strings.Compare(f.Kind, g.Kind), cmp.Compare(f.Rating, g.Rating), cmp.Compare(f.hash, g.hash), strings.Compare(f.Source, g.Source),
		strings.Compare(f.EventID, g.EventID), f.comparePlace(g))
}

// comparePlace orders facts by where they were recorded.
func (f *Fact) comparePlace(g *Fact) int {
	return cmp.Or(cmp.Compare(f.Partition, g.Partition), cmp.Compare(f.Offset, g.Offset))
}

// recordedBefore orders facts by when the log took them.
func (f *Fact) recordedBefore(g *Fact) bool {
	return cmp.Or(cmp.Compare(f.RecordedMillis, g.RecordedMillis), f.comparePlace(g)) < 0
}

// compare orders facts as their keys do: by event time, then place in the log.
func (f *Fact) compare(millis int64, partition int32, offset int64) int {
	switch {
	case f.EventMillis != millis:
		return sign(f.EventMillis < millis)
	case f.Partition != partition:
		return sign(f.Partition < partition)
	case f.Offset != offset:
		return sign(f.Offset < offset)
	}
	return 0
}

func sign(less bool) int {
	if less {
		return -1
	}
	return 1
}

// factReader decodes the entries of one history. It keeps the last source, which hardly ever changes.
type factReader struct {
	table byte
	id    string
	skip  int // bytes of the key before the time
	last  string
}

func (d *factReader) read(kv fold.KV) (Fact, error) {
	f := Fact{}
	k := fold.PartsOf(kv.Key[d.skip:])
	f.EventMillis, f.Partition, f.Offset = k.Millis(), int32(k.Number()), int64(k.Number())
	v := fold.PartsOf(kv.Value)
	f.UserID, f.MovieID = d.id, v.ID()
	if d.table == 'm' {
		f.UserID, f.MovieID = f.MovieID, f.UserID
	}
	if code := v.Byte(); code == 0 {
		f.Kind = string(v.Text())
	} else if kind, ok := events.KindOf(code); ok {
		f.Kind = kind
	} else {
		v.Fail()
	}
	f.Rating, f.RecordedMillis = v.Hundredths(), int64(v.Uvarint())
	if d.table == 'm' {
		f.hash = v.U64()
	} else {
		f.SessionID = string(v.Text())
		if source := v.Text(); string(source) != d.last {
			d.last = string(source)
		}
		f.Source, f.EventID = d.last, v.EventID()
	}
	if k.Err() != nil || v.Err() != nil {
		return f, fault.Wrap(fault.Corrupt, fold.ErrKey, "a stored fact of view histories does not read")
	}
	return f, nil
}

// Whole is a fact of a film's history with what only the person's has: session, event id and source.
func (h *Histories) Whole(f Fact) (Fact, error) {
	prefix := fold.Table('u').ID(f.UserID)
	key := slices.Clone(prefix).Millis(f.EventMillis).Number(uint64(f.Partition)).Number(uint64(f.Offset))
	row, ok, err := h.r.Get(key)
	if err == nil && !ok {
		err = fault.New(fault.Corrupt, "view histories has a fact of film %s that person %s does not have", f.MovieID, f.UserID)
	}
	if err != nil {
		return f, err
	}
	d := factReader{table: 'u', id: f.UserID, skip: len(prefix)}
	whole, err := d.read(fold.KV{Key: key, Value: row})
	f.SessionID, f.EventID, f.Source = whole.SessionID, whole.EventID, whole.Source
	return f, err
}

// HistoryQuery asks for a piece of a history.
type HistoryQuery struct {
	At         fold.At
	FromMillis int64       // event time, inclusive
	ToMillis   int64       // event time, exclusive; 0 is no end
	Newest     bool        // newest first
	After      streams.Cut // not what was recorded before; nil: that too
	Page       fold.PageQuery

	// stop is asked at each act that is looked at, admitted or not, how many they are; an error ends the reading, and is what it yields. nil: never.
	stop func(looked int) error
	// most is how many acts are looked at, admitted or not, up to the end of a millisecond, and of two at least: the first may be the one that a page
	// before has ended in. If there are more, errEnough is yielded, with the last one that was looked at. 0: no end.
	most int
}

// User yields a person's facts in order of event time; nothing for someone unknown.
func (h *Histories) User(id string, at fold.At) iter.Seq2[Fact, error] {
	return h.facts('u', events.CanonicalUser(id), HistoryQuery{At: at})
}

// Movie yields a film's facts in order of event time. They lack session, source and event id.
func (h *Histories) Movie(id string, at fold.At) iter.Seq2[Fact, error] {
	return h.facts('m', events.CanonicalMovie(id), HistoryQuery{At: at})
}

// UserPage reads a piece of a person's history.
func (h *Histories) UserPage(id string, q HistoryQuery) (fold.Page[Fact], error) {
	return h.page('u', events.CanonicalUser(id), q)
}

// MoviePage reads a piece of a film's history.
func (h *Histories) MoviePage(id string, q HistoryQuery) (fold.Page[Fact], error) {
	return h.page('m', events.CanonicalMovie(id), q)
}

// UserIDs are the people of whom anything was ever recorded: numbers by their size, then texts by their bytes.
func (h *Histories) UserIDs() iter.Seq2[string, error] { return h.ids('u', fold.Table('u')) }

// MovieIDs are the films of which anything was ever recorded.
func (h *Histories) MovieIDs() iter.Seq2[string, error] { return h.ids('m', fold.Table('m')) }

// ids are those of a table, from a key of it on.
func (h *Histories) ids(table byte, from []byte) iter.Seq2[string, error] {
	return distinct(h.r, from, fold.Table(table).End(), func(k *fold.KeyParts) string { return k.ID() }, func(id string) fold.Key { return fold.Table(table).ID(id).End() })
}

// distinct are the ids that keys of a range begin with, behind their table's letter; after is where keys of other ids begin.
func distinct(r fold.Reader, from, end []byte, idOf func(*fold.KeyParts) string, after func(id string) fold.Key) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		next := fold.Range{Lo: from, Hi: end}
		ranges := func(yield func(fold.Range) bool) {
			for next.Lo != nil {
				at := next
				next.Lo = nil // unless something is found
				if !yield(at) {
					return
				}
			}
		}
		for kv, err := range r.Firsts(ranges) {
			if err != nil {
				yield("", err)
				return
			}
			k := fold.PartsOf(kv.Key[1:])
			id := strings.Clone(idOf(&k))
			if !yield(id, k.Err()) || k.Err() != nil {
				return
			}
			next.Lo = after(id)
		}
	}
}

// UnknownUsers are those of some people of whom nothing was ever recorded, in their order.
func (h *Histories) UnknownUsers(ids iter.Seq2[string, error]) iter.Seq2[string, error] {
	return h.unknown('u', events.CanonicalUser, ids)
}

// UnknownMovies are those of some films of which nothing was ever recorded.
func (h *Histories) UnknownMovies(ids iter.Seq2[string, error]) iter.Seq2[string, error] {
	return h.unknown('m', events.CanonicalMovie, ids)
}

// unknown looks ids up together, so many at once.
func (h *Histories) unknown(table byte, canonical func(string) string, ids iter.Seq2[string, error]) iter.Seq2[string, error] {
	const together = 1024
	return func(yield func(string, error) bool) {
		var some []string
		look := func() bool {
			at, known := -1, make([]bool, len(some))
			ranges := func(yield func(fold.Range) bool) {
				for i := range some {
					prefix := fold.Table(table).ID(canonical(some[i]))
					if at = i; !yield(fold.Range{Lo: prefix, Hi: prefix.End()}) {
						return
					}
				}
			}
			for _, err := range h.r.Firsts(ranges) {
				if err != nil {
					yield("", err)
					return false
				}
				known[at] = true
			}
			for i, id := range some {
				if !known[i] && !yield(id, nil) {
					return false
				}
			}
			some = some[:0]
			return true
		}
		for id, err := range ids {
			if err != nil {
				yield("", err)
				return
			}
			if some = append(some, id); len(some) == together && !look() {
				return
			}
		}
		look()
	}
}

// HasEvent says whether a person has an event of a time (Unix milliseconds) and an id, whoever published it.
func (h *Histories) HasEvent(userID string, millis int64, eventID string) (bool, error) {
	userID = events.CanonicalUser(userID)
	prefix := fold.Table('u').ID(userID)
	d := factReader{table: 'u', id: userID, skip: len(prefix)}
	for kv, err := range h.r.Scan(slices.Clone(prefix).Millis(millis), slices.Clone(prefix).Millis(millis+1)) {
		if err != nil {
			return false, err
		}
		if f, err := d.read(kv); err != nil || f.EventID == eventID {
			return err == nil, err
		}
	}
	return false, nil
}

// facts reads a history, taking facts of the same event time together: that is where duplicates are.
func (h *Histories) facts(table byte, id string, q HistoryQuery) iter.Seq2[Fact, error] {
	prefix := fold.Table(table).ID(id)
	lo, hi, scan := slices.Clone(prefix).Millis(q.FromMillis), prefix.End(), h.r.Scan
	if q.FromMillis <= 0 {
		lo = prefix
	}
	end := q.ToMillis
	if as := q.At.EventMillis; as != 0 && (end == 0 || as < end) {
		end = as + 1
	}
	if end != 0 {
		hi = slices.Clone(prefix).Millis(end)
	}
	if q.Newest {
		scan = h.r.ScanBack
	}
	return func(yield func(Fact, error) bool) {
		d := factReader{table: table, id: id, skip: len(prefix)}
		var group []Fact
		var last Fact
		looked, moments := 0, 0
		for kv, err := range scan(lo, hi) {
			var f Fact
			if looked++; err == nil && q.stop != nil {
				err = q.stop(looked)
			}
			if err == nil {
				f, err = d.read(kv)
			}
			if err != nil {
				yield(f, err)
				return
			}
			if looked > 1 && f.EventMillis != last.EventMillis {
				if moments++; q.most > 0 && looked > q.most && moments > 1 {
					if yieldFacts(group, yield) {
						yield(last, errEnough)
					}
					return
				}
			}
			last = f
			if !q.At.Admits(f.EventMillis, f.RecordedMillis, f.Position()) {
				continue
			}
			if len(group) > 0 && group[0].EventMillis != f.EventMillis {
				if !yieldFacts(group, yield) {
					return
				}
				group = group[:0]
			}
			group = append(group, f)
		}
		yieldFacts(group, yield)
	}
}

// yieldFacts yields facts of one event time without repetitions, and says which ratings count.
func yieldFacts(group []Fact, yield func(Fact, error) bool) bool {
	if len(group) > 1 {
		group = settled(group)
	}
	for i := range group {
		if !yield(group[i], nil) {
			return false
		}
	}
	return true
}

// settled are facts of one event time, each once, with the turns of those that are ratings of one film by one person.
func settled(group []Fact) []Fact {
	order := make([]*Fact, len(group))
	for i := range group {
		order[i] = &group[i]
	}
	slices.SortFunc(order, (*Fact).compareContent)
	for len(order) > 0 {
		n := 1
		for n < len(order) && order[n].rivals(order[0]) {
			n++
		}
		if n > 1 {
			settle(order[:n])
		}
		order = order[n:]
	}
	return slices.DeleteFunc(group, func(f Fact) bool { return f.repeated })
}

// settle judges facts of one time, person, film and kind, in the order of compareContent.
func settle(facts []*Fact) {
	type one struct {
		fact  *Fact // as it was recorded first
		place *Fact // the least record of it, by partition and offset
	}
	var ratings []one
	for len(facts) > 0 {
		f, n := one{facts[0], facts[0]}, 1
		for ; n < len(facts) && facts[n].identity() == facts[0].identity(); n++ {
			if facts[n].recordedBefore(f.fact) {
				f.fact.repeated, f.fact = true, facts[n]
			} else {
				facts[n].repeated = true
			}
		}
		if f.fact.Rating > 0 {
			ratings = append(ratings, f)
		}
		facts = facts[n:]
	}
	if len(ratings) < 2 {
		return
	}
	slices.SortFunc(ratings, func(a, b one) int { return a.place.comparePlace(b.place) })
	for i, r := range ratings {
		r.fact.Turn, r.fact.Superseded = i+1, i+1 < len(ratings)
	}
}

// HistoryCursor is the cursor of the page after a fact.
func HistoryCursor(eventMillis int64, at streams.Position) string {
	return fold.PageCursor(fold.Key{}.Millis(eventMillis).U32(uint32(at.Partition)).U64(uint64(at.Offset)))
}

// CursorMillis is the event time of the fact that a cursor is of.
func CursorMillis(cursor string) (int64, error) {
	millis, _, _, err := historyPlace(cursor)
	return millis, err
}

func historyPlace(cursor string) (millis int64, partition int32, offset int64, err error) {
	raw, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil || len(raw) != 20 {
		return 0, 0, 0, fault.Field("cursor", "is not one that this list gave out").WithHint("leave it out to start at the beginning")
	}
	c := fold.PartsOf(raw)
	return c.Millis(), int32(c.U32()), int64(c.U64()), nil
}

// page is what a cursor leads to. It may end before its limit, even without an item, where it has looked at many acts.
func (h *Histories) page(table byte, id string, q HistoryQuery) (fold.Page[Fact], error) {
	p := fold.Page[Fact]{Items: []Fact{}}
	limit, err := q.Page.Size()
	if err != nil {
		return p, err
	}
	// A cursor names the last fact shown. Its whole millisecond is read again, for the duplicates.
	var millis, offset int64
	var partition int32
	if q.Page.Cursor != "" {
		if millis, partition, offset, err = historyPlace(q.Page.Cursor); err != nil {
			return p, err
		}
		if q.Newest && (q.ToMillis == 0 || millis < q.ToMillis) {
			q.ToMillis = millis + 1
		} else if !q.Newest {
			q.FromMillis = max(q.FromMillis, millis)
		}
	}
	q.most = historyLookMax
	var last Fact
	for f, err := range h.facts(table, id, q) {
		if errors.Is(err, errEnough) {
			p.Next = HistoryCursor(f.EventMillis, f.Position())
			break
		}
		if err != nil {
			return p, err
		}
		if q.Page.Cursor != "" {
			if c := f.compare(millis, partition, offset); q.Newest && c >= 0 || !q.Newest && c <= 0 {
				continue
			}
		}
		if len(p.Items) == limit {
			p.Next = HistoryCursor(last.EventMillis, last.Position())
			break
		}
		if last = f; q.After != nil && q.After.Covers(f.Position()) {
			continue
		}
		p.Items = append(p.Items, f)
	}
	return p, nil
}

// historyLookMax is how many acts a page looks at, of which it may show few: those that a moment does not know, and those that were recorded before, are
// passed over.
var historyLookMax = 100_000
