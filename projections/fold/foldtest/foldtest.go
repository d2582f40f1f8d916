// Package foldtest has what tests of views need: a store in Memory, and scripts of a small log.
package foldtest

import (
	"iter"
	"maps"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

// Memory is a Reader over a sorted map. What it yields is scribbled over at the next step, as the
// contract allows.
type Memory struct {
	m    map[string][]byte
	keys []string // sorted; nil when stale
}

func NewMemory() *Memory { return &Memory{m: map[string][]byte{}} }

// Put stores a pair.
func (s *Memory) Put(key, value []byte) { s.m[string(key)], s.keys = value, nil }

func (s *Memory) Get(key []byte) ([]byte, bool, error) {
	v, ok := s.m[string(key)]
	return slices.Clone(v), ok, nil
}

func (s *Memory) Scan(lo, hi []byte) iter.Seq2[fold.KV, error]     { return s.scan(lo, hi, false) }
func (s *Memory) ScanBack(lo, hi []byte) iter.Seq2[fold.KV, error] { return s.scan(lo, hi, true) }

// Under is a Scan of each prefix.
func (s *Memory) Under(prefixes iter.Seq[fold.Key]) iter.Seq2[fold.KV, error] {
	return func(yield func(fold.KV, error) bool) {
		for prefix := range prefixes {
			for kv, err := range s.Scan(prefix, prefix.End()) {
				if !yield(kv, err) {
					return
				}
			}
		}
	}
}

// Firsts is the first of a Scan of each range.
func (s *Memory) Firsts(ranges iter.Seq[fold.Range]) iter.Seq2[fold.KV, error] {
	return func(yield func(fold.KV, error) bool) {
		for r := range ranges {
			for kv, err := range s.Scan(r.Lo, r.Hi) {
				if !yield(kv, err) {
					return
				}
				break
			}
		}
	}
}

// Cut is that of a fold that begins.
func (s *Memory) Cut() (streams.Cut, error) { return streams.Cut{}, nil }

func (s *Memory) scan(lo, hi []byte, back bool) iter.Seq2[fold.KV, error] {
	if s.keys == nil {
		s.keys = slices.Sorted(maps.Keys(s.m))
	}
	i, j := sort.SearchStrings(s.keys, string(lo)), len(s.keys)
	if hi != nil {
		j = sort.SearchStrings(s.keys, string(hi))
	}
	keys := s.keys[min(i, j):j]
	return func(yield func(fold.KV, error) bool) {
		var kv fold.KV
		for n := range keys {
			k := keys[n]
			if back {
				k = keys[len(keys)-1-n]
			}
			for i := range kv.Key {
				kv.Key[i] ^= 0xa5
			}
			for i := range kv.Value {
				kv.Value[i] ^= 0xa5
			}
			kv = fold.KV{Key: []byte(k), Value: slices.Clone(s.m[k])}
			if !yield(kv, nil) {
				return
			}
		}
	}
}

// Batch is a Writer whose reads see its own writes only for Indexed views.
type Batch struct {
	*Memory    // what reads see
	base, work *Memory
}

func (s *Memory) Batch(indexed bool) *Batch {
	work := &Memory{m: maps.Clone(s.m)}
	if indexed {
		return &Batch{work, s, work}
	}
	return &Batch{s, s, work}
}

func (b *Batch) Set(key, value []byte) error {
	b.work.m[string(key)], b.work.keys = slices.Clone(value), nil
	return nil
}

func (b *Batch) Delete(key []byte) error {
	delete(b.work.m, string(key))
	b.work.keys = nil
	return nil
}

func (b *Batch) Commit() { b.base.m, b.base.keys = b.work.m, nil }

func (s *Memory) Dump() string {
	var b strings.Builder
	for _, k := range slices.Sorted(maps.Keys(s.m)) {
		b.WriteString(Quoted(k) + " = " + Quoted(string(s.m[k])) + "\n")
	}
	return b.String()
}

func Quoted(s string) string { return strings.ReplaceAll(s, "\n", "\\n") }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Opened folds the inputs into a view over a Memory.
func Opened[V fold.View](t testing.TB, v V, in []fold.Input) V {
	t.Helper()
	s := NewMemory()
	must(t, v.Open(s))
	b := s.Batch(v.Spec().Indexed)
	must(t, v.Apply(b, in))
	must(t, v.Flush(b))
	b.Commit()
	return v
}

// Script writes inputs of a small log.
type Script struct {
	In        []fold.Input
	offsets   map[streams.TP]int64
	revisions map[string]streams.Revision
}

// Day is a number of days after 2020 in Unix milliseconds.
func Day(n int) int64 {
	return time.Date(2020, 1, 1+n, 0, 0, 0, 0, time.UTC).UnixMilli()
}

func NewScript() *Script {
	return &Script{offsets: map[streams.TP]int64{}, revisions: map[string]streams.Revision{}}
}

// commit adds events of one ledger stream that happened on one Day and were recorded on another.
func (s *Script) Commit(stream string, happened, recorded int, data ...events.Data) streams.Position {
	tp := streams.TP{Topic: events.LedgerTopic}
	pos := streams.Position{TP: tp, Offset: s.offsets[tp]}
	s.offsets[tp]++
	for i, d := range data {
		ev := &events.Event{ID: "e" + pos.String()[len("mlops-events/0@"):] + "." + string(rune('0'+i)), Source: "/test", Subject: stream,
			Time: time.UnixMilli(Day(happened)).UTC(), Schema: 1, Actor: "user:anna", Correlation: "c1", Causation: "cause", Data: d}
		s.In = append(s.In, fold.Input{Position: pos, Index: i, Revision: s.revisions[stream], RecordedMillis: Day(recorded), Event: ev})
		s.revisions[stream]++
	}
	return pos
}

// fact adds a fact to a partition of a feed.
func (s *Script) Fact(topic string, partition int32, id string, eventMillis, recordedMillis int64, d events.Data) streams.Position {
	tp := streams.TP{Topic: topic, Partition: partition}
	pos := streams.Position{TP: tp, Offset: s.offsets[tp]}
	s.offsets[tp]++
	s.In = append(s.In, fold.Input{Position: pos, RecordedMillis: recordedMillis,
		Event: &events.Event{ID: id, Source: "/test", Time: time.UnixMilli(eventMillis).UTC(), Schema: 1, Data: d}})
	return pos
}

// stream is one stream of the Script as the ledger would yield it.
func (s *Script) Stream(name string) iter.Seq2[*streams.Committed, error] {
	return func(yield func(*streams.Committed, error) bool) {
		for i := 0; i < len(s.In); {
			first := s.In[i]
			c := &streams.Committed{Position: first.Position, Revision: first.Revision, Recorded: time.UnixMilli(first.RecordedMillis)}
			c.Stream = first.Event.Subject
			for ; i < len(s.In) && s.In[i].Position == first.Position; i++ {
				c.Events = append(c.Events, *s.In[i].Event)
			}
			if c.Stream == name && !yield(c, nil) {
				return
			}
		}
	}
}

// Pages reads a list to its end.
func Pages[T any](t testing.TB, limit int, read func(fold.PageQuery) (fold.Page[T], error)) (all []T) {
	t.Helper()
	for q := (fold.PageQuery{Limit: limit}); ; {
		p, err := read(q)
		must(t, err)
		if len(p.Items) > limit {
			t.Fatalf("page of %d items; limit %d", len(p.Items), limit)
		}
		all = append(all, p.Items...)
		if q.Cursor = p.Next; p.Next == "" {
			return all
		}
	}
}
