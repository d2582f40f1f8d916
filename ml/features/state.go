package features

import (
	"cmp"
	"encoding/binary"
	"math"
	"slices"
	"strings"

	"github.com/projectionist/projectionist/internal/fault"
)

// Entity names what features belong to.
type Entity string

const (
	User  Entity = "user"  // join key user_id
	Movie Entity = "movie" // join key movie_id
)

// RatingMax is the top of the rating scale.
const RatingMax = 5.0

const dayMillis = 24 * 60 * 60 * 1000

// Fact is one act of a user towards a movie, seen from one of the two.
type Fact struct {
	TimeMillis     int64   // event time: when it happened
	RecordedMillis int64   // recorded time: when the log took it
	Other          string  // canonical id of the other entity: the movie, for a user's facts
	Kind           string  // interaction type: "rating", "click", "view", …
	Rating         float64 // in (0, RatingMax]; anything else is no rating

	// Turn is of facts of one time, kind and other entity that carry a rating, where there are several: their places in
	// the order in which the log took them, from 1. The last that is known counts, it alone. 0: there is no other.
	Turn int
}

// sums are what is counted of a group of facts.
type sums struct {
	count int64 // facts
	rated int64 // of them, with a rating
	centi int64 // Σ of the ratings, in hundredths of a point
}

func (s *sums) add(t sums) {
	s.count += t.count
	s.rated += t.rated
	s.centi += t.centi
}

type kindTotal struct {
	name        string
	first, last int64 // event times in milliseconds
	sums
}

type dayBucket struct {
	day  int64
	kind int // index into kinds
	sums
}

type otherTally struct {
	id   string
	kind int
	sums
}

// State is the fold of one entity's facts. [State.Add] and [State.Merge] commute: the same facts
// give the same bytes ([State.AppendTo]) in any order. A fact added twice counts twice; of facts with a Turn one is added,
// and another takes its place by [State.Correct].
//
// A user's State also counts per movie and kind, for what needs the catalogue; a movie's does not
// count per user, since popular films have too many.
type State struct {
	entity Entity
	kinds  []kindTotal  // by name
	days   []dayBucket  // by day, kind
	others []otherTally // by id, kind; users only
}

// NewState is the fold of no facts.
func NewState(entity Entity) *State { return &State{entity: entity} }

// Entity says whose facts the state folds.
func (s *State) Entity() Entity { return s.entity }

// Empty says that no fact was added.
func (s *State) Empty() bool { return len(s.kinds) == 0 }

// Facts is the number of facts folded.
func (s *State) Facts() (n int64) {
	for i := range s.kinds {
		n += s.kinds[i].count
	}
	return n
}

// LastMillis is the event time of the newest fact, or 0 without facts.
func (s *State) LastMillis() int64 {
	if s.Empty() {
		return 0
	}
	last := int64(math.MinInt64)
	for i := range s.kinds {
		last = max(last, s.kinds[i].last)
	}
	return last
}

func dayOf(millis int64) int64 {
	d := millis / dayMillis
	if millis%dayMillis < 0 {
		d--
	}
	return d
}

func (f *Fact) sums() sums {
	if f.Rating > 0 && f.Rating <= RatingMax {
		return sums{count: 1, rated: 1, centi: centi(f.Rating)}
	}
	return sums{count: 1}
}

// centi is a rating in hundredths: one above 0 is 1 at least, as in ml/signal.
func centi(rating float64) int64 { return max(1, int64(math.Round(rating*100))) }

// correction is what a rating adds to sums that have another in its place.
func correction(was, is float64) sums { return sums{centi: centi(is) - centi(was)} }

// Add folds one fact.
func (s *State) Add(f Fact) {
	one := f.sums()
	kind, ok := s.findKind(f.Kind)
	if !ok {
		s.insertKind(kind, f.Kind, f.TimeMillis)
	}
	k := &s.kinds[kind]
	k.first, k.last = min(k.first, f.TimeMillis), max(k.last, f.TimeMillis)
	k.add(one)

	b := dayBucket{day: dayOf(f.TimeMillis), kind: kind, sums: one}
	s.days = addSorted(s.days, b, compareDays, addDays)
	if s.entity == User {
		s.others = addSorted(s.others, otherTally{id: f.Other, kind: kind, sums: one}, compareOthers, addOthers)
	}
}

// Correct has a fact that carries a rating stand in for one that was added, of the same time, kind and other entity, whose
// rating was another.
func (s *State) Correct(f Fact, was float64) {
	more := correction(was, f.Rating)
	kind, _ := s.findKind(f.Kind)
	s.kinds[kind].add(more)
	s.days = addSorted(s.days, dayBucket{day: dayOf(f.TimeMillis), kind: kind, sums: more}, compareDays, addDays)
	if s.entity == User {
		s.others = addSorted(s.others, otherTally{id: f.Other, kind: kind, sums: more}, compareOthers, addOthers)
	}
}

func (s *State) findKind(name string) (int, bool) {
	return slices.BinarySearchFunc(s.kinds, name, func(k kindTotal, name string) int { return strings.Compare(k.name, name) })
}

// insertKind makes room for a kind at its place by name and moves the indices behind it.
func (s *State) insertKind(at int, name string, millis int64) {
	s.kinds = slices.Insert(s.kinds, at, kindTotal{name: strings.Clone(name), first: millis, last: millis})
	for i := range s.days {
		if s.days[i].kind >= at {
			s.days[i].kind++
		}
	}
	for i := range s.others {
		if s.others[i].kind >= at {
			s.others[i].kind++
		}
	}
}

// Merge folds all facts of o, a state of the same kind of entity over other facts. o is unchanged.
func (s *State) Merge(o *State) {
	for i := range o.kinds {
		k := &o.kinds[i]
		at, ok := s.findKind(k.name)
		if !ok {
			s.insertKind(at, k.name, k.first)
		}
		t := &s.kinds[at]
		t.first, t.last = min(t.first, k.first), max(t.last, k.last)
		t.add(k.sums)
	}
	to := make([]int, len(o.kinds))
	for i := range o.kinds {
		to[i], _ = s.findKind(o.kinds[i].name)
	}
	days := slices.Clone(o.days)
	for i := range days {
		days[i].kind = to[days[i].kind]
	}
	s.days = mergeSorted(s.days, days, compareDays, addDays)
	if s.entity == User {
		others := slices.Clone(o.others)
		for i := range others {
			others[i].kind = to[others[i].kind]
		}
		s.others = mergeSorted(s.others, others, compareOthers, addOthers)
	}
}

func compareDays(a, b dayBucket) int {
	if c := cmp.Compare(a.day, b.day); c != 0 {
		return c
	}
	return cmp.Compare(a.kind, b.kind)
}

func compareOthers(a, b otherTally) int {
	if c := strings.Compare(a.id, b.id); c != 0 {
		return c
	}
	return cmp.Compare(a.kind, b.kind)
}

func addDays(to *dayBucket, b dayBucket)     { to.add(b.sums) }
func addOthers(to *otherTally, t otherTally) { to.add(t.sums) }

// addSorted adds x to the element equal to it, or inserts it at its place. Facts mostly arrive in
// the order of time, so the end is tried first.
func addSorted[T any](list []T, x T, compare func(a, b T) int, add func(to *T, x T)) []T {
	if n := len(list); n == 0 || compare(list[n-1], x) < 0 {
		return append(list, x)
	} else if compare(list[n-1], x) == 0 {
		add(&list[n-1], x)
		return list
	}
	at, ok := slices.BinarySearchFunc(list, x, compare)
	if ok {
		add(&list[at], x)
		return list
	}
	return slices.Insert(list, at, x)
}

func mergeSorted[T any](a, b []T, compare func(a, b T) int, add func(to *T, x T)) []T {
	if len(a) == 0 || len(b) == 0 || compare(a[len(a)-1], b[0]) < 0 {
		return append(a, b...)
	}
	out := make([]T, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		switch c := compare(a[0], b[0]); {
		case c < 0:
			out, a = append(out, a[0]), a[1:]
		case c > 0:
			out, b = append(out, b[0]), b[1:]
		default:
			x := a[0]
			add(&x, b[0])
			out, a, b = append(out, x), a[1:], b[1:]
		}
	}
	return append(append(out, a...), b...)
}

// The encoding, version 1. Numbers are minimal uvarints, signed ones in zigzag.
//
//	version  1 byte = 1
//	entity   1 byte: 'u' or 'm'
//	kinds    n, then n × (length, name; first signed; last−first)      ascending by name
//	days     n, then n × (day − previous day, the first signed; kind; count; rated; centi)
//	others   users only: n, then n × (length, id; kind; count; rated; centi)
//
// The totals of the kinds are the sums of their days and are not written.
const stateVersion = 1

// AppendTo appends the canonical encoding of the state to dst.
func (s *State) AppendTo(dst []byte) []byte {
	dst = append(dst, stateVersion, s.entity[0])
	dst = binary.AppendUvarint(dst, uint64(len(s.kinds)))
	for i := range s.kinds {
		k := &s.kinds[i]
		dst = binary.AppendUvarint(dst, uint64(len(k.name)))
		dst = append(dst, k.name...)
		dst = binary.AppendVarint(dst, k.first)
		dst = binary.AppendUvarint(dst, uint64(k.last)-uint64(k.first))
	}
	dst = binary.AppendUvarint(dst, uint64(len(s.days)))
	for i := range s.days {
		b := &s.days[i]
		if i == 0 {
			dst = binary.AppendVarint(dst, b.day)
		} else {
			dst = binary.AppendUvarint(dst, uint64(b.day-s.days[i-1].day))
		}
		dst = binary.AppendUvarint(dst, uint64(b.kind))
		dst = b.appendTo(dst)
	}
	if s.entity == User {
		dst = binary.AppendUvarint(dst, uint64(len(s.others)))
		for i := range s.others {
			t := &s.others[i]
			dst = binary.AppendUvarint(dst, uint64(len(t.id)))
			dst = append(dst, t.id...)
			dst = binary.AppendUvarint(dst, uint64(t.kind))
			dst = t.appendTo(dst)
		}
	}
	return dst
}

func (s *sums) appendTo(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(s.count))
	dst = binary.AppendUvarint(dst, uint64(s.rated))
	return binary.AppendUvarint(dst, uint64(s.centi))
}

// countMax bounds a count read back, so that sums stay below 2^63: 2^32 facts × 500 hundredths ×
// 4 million buckets. No entity sees 4 billion facts of one kind in a day.
const countMax = 1 << 32

// ParseState reads what [State.AppendTo] wrote. Anything else is a fault.Corrupt error, including
// an encoding that is not the canonical one.
func ParseState(data []byte) (*State, error) {
	if len(data) < 2 {
		return nil, corrupt("%d bytes, expected a version and an entity", len(data))
	}
	if data[0] != stateVersion {
		return nil, corrupt("version %d, this program reads %d", data[0], stateVersion)
	}
	s := &State{}
	switch data[1] {
	case 'u':
		s.entity = User
	case 'm':
		s.entity = Movie
	default:
		return nil, corrupt("entity %q, expected 'u' or 'm'", data[1])
	}
	// One string backs all names, so that a state of a thousand films costs one allocation, not a thousand.
	r := stateReader{rest: string(data[2:])}

	s.kinds = make([]kindTotal, 0, r.length(3))
	for range cap(s.kinds) {
		k := kindTotal{name: r.text(), first: r.signed()}
		k.last = int64(uint64(k.first) + r.uvarint())
		if n := len(s.kinds); k.last < k.first || n > 0 && k.name <= s.kinds[n-1].name {
			r.fail("kind %q is out of order", k.name)
		}
		s.kinds = append(s.kinds, k)
	}
	s.days = make([]dayBucket, 0, r.length(5))
	for range cap(s.days) {
		var b dayBucket
		n := len(s.days)
		if n == 0 {
			b.day = r.signed()
		} else {
			b.day = int64(uint64(s.days[n-1].day) + r.uvarint())
		}
		b.kind = r.kind(s)
		b.sums = r.sums()
		if n > 0 && compareDays(s.days[n-1], b) >= 0 {
			r.fail("day %d is out of order", b.day)
		}
		if r.err != nil {
			return nil, r.err
		}
		k := &s.kinds[b.kind]
		if k.count == 0 && b.day != dayOf(k.first) || b.day > dayOf(k.last) {
			r.fail("day %d of kind %q is outside its span", b.day, k.name)
		}
		k.add(b.sums)
		s.days = append(s.days, b)
	}
	for i := range s.kinds {
		k := &s.kinds[i]
		day := dayOf(k.last)
		if _, ok := slices.BinarySearchFunc(s.days, dayBucket{day: day, kind: i}, compareDays); !ok {
			r.fail("kind %q has no facts on its last day", k.name)
		}
	}
	if s.entity == User {
		s.others = make([]otherTally, 0, r.length(5))
		totals := make([]sums, len(s.kinds))
		for range cap(s.others) {
			t := otherTally{id: r.text(), kind: r.kind(s), sums: r.sums()}
			if n := len(s.others); n > 0 && compareOthers(s.others[n-1], t) >= 0 {
				r.fail("movie %q is out of order", t.id)
			}
			if r.err != nil {
				return nil, r.err
			}
			totals[t.kind].add(t.sums)
			s.others = append(s.others, t)
		}
		for i := range totals {
			if totals[i] != s.kinds[i].sums {
				r.fail("the movies and the days of kind %q do not add up", s.kinds[i].name)
			}
		}
	}
	if r.err == nil && r.rest != "" {
		r.fail("%d bytes too many", len(r.rest))
	}
	if r.err != nil {
		return nil, r.err
	}
	return s, nil
}

func corrupt(format string, args ...any) error {
	return fault.New(fault.Corrupt, "feature state: "+format, args...).
		WithHint("rebuild the view from the log")
}

// stateReader reads an encoding; after the first error every read gives zero.
type stateReader struct {
	rest string
	err  error
}

func (r *stateReader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = corrupt(format, args...)
		r.rest = ""
	}
}

func (r *stateReader) uvarint() uint64 {
	if n := len(r.rest); n > 0 && r.rest[0] < 0x80 {
		x := uint64(r.rest[0])
		r.rest = r.rest[1:]
		return x
	}
	var x uint64
	for i := 0; i < len(r.rest) && i < binary.MaxVarintLen64; i++ {
		b := r.rest[i]
		if b >= 0x80 {
			x |= uint64(b&0x7f) << (7 * i)
			continue
		}
		if b == 0 && i > 0 || i == binary.MaxVarintLen64-1 && b > 1 {
			break
		}
		r.rest = r.rest[i+1:]
		return x | uint64(b)<<(7*i)
	}
	r.fail("a number is cut off or not minimal")
	return 0
}

func (r *stateReader) signed() int64 {
	u := r.uvarint()
	return int64(u>>1) ^ -int64(u&1)
}

// length reads the length of a list whose elements take at least size bytes each.
func (r *stateReader) length(size int) int {
	n := r.uvarint()
	if n > uint64(len(r.rest)/size) {
		r.fail("a list of %d elements in %d bytes", n, len(r.rest))
		return 0
	}
	return int(n)
}

func (r *stateReader) text() string {
	n := r.uvarint()
	if n > uint64(len(r.rest)) {
		r.fail("a name of %d bytes in %d bytes", n, len(r.rest))
		return ""
	}
	t := r.rest[:n]
	r.rest = r.rest[n:]
	return t
}

func (r *stateReader) kind(s *State) int {
	k := r.uvarint()
	if k >= uint64(len(s.kinds)) {
		r.fail("kind %d of %d", k, len(s.kinds))
		return 0
	}
	return int(k)
}

func (r *stateReader) sums() sums {
	count, rated, centi := r.uvarint(), r.uvarint(), r.uvarint()
	if count < 1 || count > countMax || rated > count || centi > rated*100*RatingMax {
		r.fail("count %d, rated %d, sum %d do not fit together", count, rated, centi)
	}
	return sums{int64(count), int64(rated), int64(centi)}
}
