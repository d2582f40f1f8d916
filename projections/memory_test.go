package projections

import (
	"iter"
	"maps"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/streams"
)

// memory is a Reader over a sorted map. What it yields is scribbled over at the next step, as the
// contract allows.
type memory struct {
	m    map[string][]byte
	keys []string // sorted; nil when stale
}

func newMemory() *memory { return &memory{m: map[string][]byte{}} }

func (s *memory) Get(key []byte) ([]byte, bool, error) {
	v, ok := s.m[string(key)]
	return slices.Clone(v), ok, nil
}

func (s *memory) Scan(lo, hi []byte) iter.Seq2[KV, error]     { return s.scan(lo, hi, false) }
func (s *memory) ScanBack(lo, hi []byte) iter.Seq2[KV, error] { return s.scan(lo, hi, true) }

func (s *memory) scan(lo, hi []byte, back bool) iter.Seq2[KV, error] {
	if s.keys == nil {
		s.keys = slices.Sorted(maps.Keys(s.m))
	}
	i, j := sort.SearchStrings(s.keys, string(lo)), len(s.keys)
	if hi != nil {
		j = sort.SearchStrings(s.keys, string(hi))
	}
	keys := s.keys[min(i, j):j]
	return func(yield func(KV, error) bool) {
		var kv KV
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
			kv = KV{[]byte(k), slices.Clone(s.m[k])}
			if !yield(kv, nil) {
				return
			}
		}
	}
}

// memoryBatch is a Writer whose reads see its own writes only for Indexed views.
type memoryBatch struct {
	*memory    // what reads see
	base, work *memory
}

func (s *memory) batch(indexed bool) *memoryBatch {
	work := &memory{m: maps.Clone(s.m)}
	if indexed {
		return &memoryBatch{work, s, work}
	}
	return &memoryBatch{s, s, work}
}

func (b *memoryBatch) Set(key, value []byte) error {
	b.work.m[string(key)], b.work.keys = slices.Clone(value), nil
	return nil
}

func (b *memoryBatch) Delete(key []byte) error {
	delete(b.work.m, string(key))
	b.work.keys = nil
	return nil
}

func (b *memoryBatch) commit() { b.base.m, b.base.keys = b.work.m, nil }

func (s *memory) dump() string {
	var b strings.Builder
	for _, k := range slices.Sorted(maps.Keys(s.m)) {
		b.WriteString(quoted(k) + " = " + quoted(string(s.m[k])) + "\n")
	}
	return b.String()
}

func quoted(s string) string { return strings.ReplaceAll(s, "\n", "\\n") }

// opened folds the inputs into a view over a memory.
func opened[V View](t testing.TB, v V, in []Input) V {
	t.Helper()
	s := newMemory()
	must0(t, v.Open(s))
	b := s.batch(v.Spec().Indexed)
	must0(t, v.Apply(b, in))
	must0(t, v.Flush(b))
	b.commit()
	return v
}

func must0(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		must0(t, err)
		return v
	}
}

func found[T any](t testing.TB) func(T, bool, error) T {
	return func(v T, ok bool, err error) T {
		t.Helper()
		must0(t, err)
		if !ok {
			t.Fatal("not found")
		}
		return v
	}
}

func equal[T any](t testing.TB, what string, got, want T) {
	t.Helper()
	if g, w := show(got), show(want); g != w {
		t.Errorf("%s:\n got %s\nwant %s", what, g, w)
	}
}

// script writes inputs of a small log.
type script struct {
	in        []Input
	offsets   map[streams.TP]int64
	revisions map[string]streams.Revision
}

// day is a number of days after 2020 in Unix milliseconds.
func day(n int) int64 {
	return time.Date(2020, 1, 1+n, 0, 0, 0, 0, time.UTC).UnixMilli()
}

func newScript() *script {
	return &script{offsets: map[streams.TP]int64{}, revisions: map[string]streams.Revision{}}
}

// commit adds events of one ledger stream that happened on one day and were recorded on another.
func (s *script) commit(stream string, happened, recorded int, data ...events.Data) streams.Position {
	tp := streams.TP{Topic: events.LedgerTopic}
	pos := streams.Position{TP: tp, Offset: s.offsets[tp]}
	s.offsets[tp]++
	for i, d := range data {
		ev := &events.Event{ID: "e" + pos.String()[len("mlops-events/0@"):] + "." + string(rune('0'+i)), Source: "/test", Subject: stream,
			Time: time.UnixMilli(day(happened)).UTC(), Schema: 1, Actor: "user:anna", Correlation: "c1", Causation: "cause", Data: d}
		s.in = append(s.in, Input{Position: pos, Index: i, Revision: s.revisions[stream], RecordedMillis: day(recorded), Event: ev})
		s.revisions[stream]++
	}
	return pos
}

// fact adds a fact to a partition of a feed.
func (s *script) fact(topic string, partition int32, id string, eventMillis, recordedMillis int64, d events.Data) streams.Position {
	tp := streams.TP{Topic: topic, Partition: partition}
	pos := streams.Position{TP: tp, Offset: s.offsets[tp]}
	s.offsets[tp]++
	s.in = append(s.in, Input{Position: pos, RecordedMillis: recordedMillis,
		Event: &events.Event{ID: id, Source: "/test", Time: time.UnixMilli(eventMillis).UTC(), Schema: 1, Data: d}})
	return pos
}

// stream is one stream of the script as the ledger would yield it.
func (s *script) stream(name string) iter.Seq2[*streams.Committed, error] {
	return func(yield func(*streams.Committed, error) bool) {
		for i := 0; i < len(s.in); {
			first := s.in[i]
			c := &streams.Committed{Position: first.Position, Revision: first.Revision, Recorded: time.UnixMilli(first.RecordedMillis)}
			c.Stream = first.Event.Subject
			for ; i < len(s.in) && s.in[i].Position == first.Position; i++ {
				c.Events = append(c.Events, *s.in[i].Event)
			}
			if c.Stream == name && !yield(c, nil) {
				return
			}
		}
	}
}
