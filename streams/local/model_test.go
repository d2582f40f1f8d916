package local

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/streams"
)

// model is the log as slices: what it does is plain to see.
type model struct {
	commits []streams.Committed
	byID    map[string]streams.Receipt
	heads   map[string]streams.Revision
	facts   map[streams.TP][]streams.Record
}

func (m *model) append(c streams.Commit, now time.Time) (streams.Receipt, bool) {
	if r, ok := m.byID[c.ID]; ok {
		r.Duplicate = true
		return r, true
	}
	head, ok := m.heads[c.Stream]
	if !ok {
		head = streams.NoStream
	}
	if c.Expected != streams.AnyRevision && c.Expected != head {
		return streams.Receipt{}, false
	}
	pos := streams.Position{TP: streams.TP{Topic: events.LedgerTopic}, Offset: int64(len(m.commits))}
	m.commits = append(m.commits, streams.Committed{Commit: c, Position: pos, Revision: head + 1, Recorded: now})
	head += streams.Revision(len(c.Events))
	m.heads[c.Stream] = head
	r := streams.Receipt{Position: pos, Revision: head, Recorded: now}
	m.byID[c.ID] = r
	return r, true
}

func (m *model) publish(topic string, partitions int32, key, value string, now time.Time) streams.Record {
	tp := streams.TP{Topic: topic, Partition: streams.PartitionOf([]byte(key), partitions)}
	r := streams.Record{Position: streams.Position{TP: tp, Offset: int64(len(m.facts[tp]))}, Recorded: now, Key: []byte(key), Value: []byte(value)}
	m.facts[tp] = append(m.facts[tp], r)
	return r
}

// lastMillis is the recorded time of the last thing written: what a restart knows.
func (m *model) lastMillis() (last int64) {
	for _, c := range m.commits {
		last = max(last, c.Recorded.UnixMilli())
	}
	for _, rs := range m.facts {
		for _, r := range rs {
			last = max(last, r.Recorded.UnixMilli())
		}
	}
	return last
}

// TestModel does the same random things to a log and to the model, with a clock that jumps, restarts,
// crashes between calls, flushes and compactions, and compares every answer.
func TestModel(t *testing.T) {
	for seed := range uint64(8) {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) { runModel(t, rand.New(rand.NewPCG(11, seed)), 400) })
	}
}

func runModel(t *testing.T, rng *rand.Rand, steps int) {
	ctx := context.Background()
	clock, last := int64(1_700_000_000_000), int64(0)
	fs := vfs.NewCrashableMem()
	options := func() Options {
		return Options{FS: fs, Now: func() time.Time { return time.UnixMilli(clock) }}
	}
	l := mustOpen(t, "log", options())
	m := &model{byID: map[string]streams.Receipt{}, heads: map[string]streams.Revision{}, facts: map[streams.TP][]streams.Record{}}
	now := func() time.Time {
		last = max(last, clock)
		return time.UnixMilli(last).UTC()
	}
	var ids []string
	for step := range steps {
		clock += rng.Int64N(20) - 5
		switch op := rng.IntN(100); {
		case op < 40:
			stream := fmt.Sprint("s/", rng.IntN(6))
			c := testCommit(fmt.Sprint("c", step), stream, streams.AnyRevision, 1+rng.IntN(4))
			if len(ids) > 0 && rng.IntN(8) == 0 {
				old := m.commits[rng.IntN(len(m.commits))]
				c = old.Commit
			} else if rng.IntN(2) == 0 {
				c.Expected = streams.Revision(rng.IntN(12) - 1)
				if head, ok := m.heads[stream]; ok && rng.IntN(3) > 0 {
					c.Expected = head
				}
			}
			before := len(m.commits)
			want, ok := m.append(c, now())
			got, err := l.Ledger().Append(ctx, c)
			if ok && (err != nil || got != want) {
				t.Fatalf("step %d: append %s: %+v, %v; want %+v", step, c.ID, got, err, want)
			}
			if !ok && !fault.Is(err, fault.Conflict) {
				t.Fatalf("step %d: append %s: %v; want a conflict", step, c.ID, err)
			}
			if len(m.commits) > before {
				ids = append(ids, c.ID)
			}
		case op < 60:
			topic := streams.Topics[1+rng.IntN(len(streams.Topics)-1)]
			var recs, want []streams.Record
			at := now()
			for i := range rng.IntN(10) + 1 {
				key, value := strconv.Itoa(rng.IntN(50)), fmt.Sprint(step, "-", i)
				recs = append(recs, streams.Record{Key: []byte(key), Value: []byte(value)})
				want = append(want, m.publish(topic.Name, topic.Partitions, key, value, at))
			}
			if err := l.Feed().Publish(ctx, topic.Name, recs); err != nil {
				t.Fatal(err)
			}
			for i := range recs {
				if recs[i].Position != want[i].Position || recs[i].Recorded != want[i].Recorded {
					t.Fatalf("step %d: record %d went to %s %v; want %s %v", step, i, recs[i].Position, recs[i].Recorded, want[i].Position, want[i].Recorded)
				}
			}
		case op < 75:
			stream, from := fmt.Sprint("s/", rng.IntN(7)), streams.Revision(rng.IntN(15))
			var want []streams.Committed
			for _, c := range m.commits {
				if c.Stream == stream && c.Revision+streams.Revision(len(c.Events)) > from {
					want = append(want, c)
				}
			}
			compareCommits(t, want, func(yield func(*streams.Committed, error) bool) { l.Ledger().ReadStream(ctx, stream, from)(yield) })
		case op < 82:
			from := rng.IntN(len(m.commits) + 2)
			compareCommits(t, m.commits[min(from, len(m.commits)):], func(yield func(*streams.Committed, error) bool) { l.Ledger().Read(ctx, int64(from))(yield) })
		case op < 90:
			topic := streams.Topics[1+rng.IntN(len(streams.Topics)-1)]
			tp := streams.TP{Topic: topic.Name, Partition: rng.Int32N(topic.Partitions)}
			compareFacts(t, m.facts[tp], l, tp)
			until := time.UnixMilli(last + rng.Int64N(100) - 80)
			want := 0
			for want < len(m.facts[tp]) && !m.facts[tp][want].Recorded.After(until) {
				want++
			}
			if got, err := l.Feed().Head(ctx, tp, until); err != nil || got != int64(want) {
				t.Fatalf("step %d: head of %s at %v: %d, %v; want %d", step, tp, until, got, err, want)
			}
		case op < 94: // crash: everything acknowledged is durable
			crashed := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rng.IntN(101), RNG: rng})
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			fs = crashed
			l = mustOpen(t, "log", options())
			last = m.lastMillis()
		case op < 97:
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			l = mustOpen(t, "log", options())
			last = m.lastMillis()
		case op < 99:
			if err := l.db.Flush(); err != nil {
				t.Fatal(err)
			}
		default:
			if err := l.db.Compact(ctx, []byte{0}, []byte{0xff}, false); err != nil {
				t.Fatal(err)
			}
		}
	}
	compareCommits(t, m.commits, l.Ledger().Read(ctx, 0))
	for tp, want := range m.facts {
		compareFacts(t, want, l, tp)
	}
}

func compareCommits(t *testing.T, want []streams.Committed, seq func(func(*streams.Committed, error) bool)) {
	t.Helper()
	n := 0
	for c, err := range seq {
		if err != nil {
			t.Fatal(err)
		}
		if n >= len(want) {
			t.Fatalf("commit %s is too many", c.ID)
		}
		w := want[n]
		if c.ID != w.ID || c.Stream != w.Stream || c.Expected != w.Expected || c.Position != w.Position || c.Revision != w.Revision || c.Recorded != w.Recorded || len(c.Events) != len(w.Events) {
			t.Fatalf("commit %d is %+v; want %+v", n, c, w)
		}
		n++
	}
	if n != len(want) {
		t.Fatalf("%d commits; want %d", n, len(want))
	}
}

func compareFacts(t *testing.T, want []streams.Record, l *Log, tp streams.TP) {
	t.Helper()
	n := 0
	for r, err := range l.Feed().Read(context.Background(), tp, 0) {
		if err != nil {
			t.Fatal(err)
		}
		if n >= len(want) || r.Position != want[n].Position || r.Recorded != want[n].Recorded || !slices.Equal(r.Key, want[n].Key) || !slices.Equal(r.Value, want[n].Value) {
			t.Fatalf("record %d of %s: %+v", n, tp, r)
		}
		n++
	}
	if n != len(want) {
		t.Fatalf("%s has %d records; want %d", tp, n, len(want))
	}
}
