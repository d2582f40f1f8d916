package handlers

import (
	"context"
	"iter"
	"sync/atomic"
	"testing"
	"time"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/streams"
	"github.com/projectionist/projectionist/streams/local"
)

// testLog is the embedded log in memory, which misbehaves on demand.
type testLog struct {
	streams.Ledger
	feed streams.Feed

	appends, reads atomic.Int64
	beforeAppend   func(streams.Commit) error // an error is answered, and nothing written
	afterAppend    func(streams.Commit) error // an error is answered, but it is written
	onRead         func(*streams.Committed)   // changes what is read
	afterPublish   func(topic string) error
}

func newTestLog(t testing.TB) *testLog {
	t.Helper()
	l, err := local.OpenMem(local.Options{Logf: t.Logf})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return &testLog{Ledger: l.Ledger(), feed: l.Feed()}
}

func (l *testLog) Append(ctx context.Context, c streams.Commit) (streams.Receipt, error) {
	if l.beforeAppend != nil {
		if err := l.beforeAppend(c); err != nil {
			return streams.Receipt{}, err
		}
	}
	l.appends.Add(1)
	r, err := l.Ledger.Append(ctx, c)
	if err == nil && l.afterAppend != nil {
		return streams.Receipt{}, l.afterAppend(c)
	}
	return r, err
}

func (l *testLog) ReadStream(ctx context.Context, stream string, from streams.Revision) iter.Seq2[*streams.Committed, error] {
	l.reads.Add(1)
	return func(yield func(*streams.Committed, error) bool) {
		for c, err := range l.Ledger.ReadStream(ctx, stream, from) {
			if err == nil && l.onRead != nil {
				l.onRead(c)
			}
			if !yield(c, err) {
				return
			}
		}
	}
}

// commits are all commits of a stream.
func (l *testLog) commits(t testing.TB, stream string) []streams.Committed {
	t.Helper()
	var all []streams.Committed
	for c, err := range l.Ledger.ReadStream(context.Background(), stream, 0) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, *c)
	}
	return all
}

// testFeed is the log's feed, which misbehaves on demand.
type testFeed struct{ *testLog }

func (f testFeed) Publish(ctx context.Context, topic string, recs []streams.Record) error {
	err := f.feed.Publish(ctx, topic, recs)
	if err == nil && f.afterPublish != nil {
		return f.afterPublish(topic)
	}
	return err
}

func (f testFeed) Read(ctx context.Context, tp streams.TP, from int64) iter.Seq2[*streams.Record, error] {
	return f.feed.Read(ctx, tp, from)
}

func (f testFeed) Head(ctx context.Context, tp streams.TP, until time.Time) (int64, error) {
	return f.feed.Head(ctx, tp, until)
}

func (f testFeed) Wait(ctx context.Context, tp streams.TP, from int64) error {
	return f.feed.Wait(ctx, tp, from)
}

// published are all facts of a topic with their positions, by partition and offset, and the cut after them.
func (l *testLog) published(t testing.TB, topic string) ([]events.Event, []streams.Position, streams.Cut) {
	t.Helper()
	var evs []events.Event
	var at []streams.Position
	cut := streams.Cut{}
	for _, known := range streams.Topics {
		for p := int32(0); known.Name == topic && p < known.Partitions; p++ {
			for r, err := range l.feed.Read(context.Background(), streams.TP{Topic: topic, Partition: p}, 0) {
				if err != nil {
					t.Fatal(err)
				}
				ev, err := streams.ReadFact(r)
				if err != nil {
					t.Fatal(err)
				}
				evs, at = append(evs, ev), append(at, r.Position)
				cut.Include(r.Position)
			}
		}
	}
	return evs, at, cut
}
