package eventstore

import (
	"context"
	"iter"
	"time"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/streams"
)

// feed is that of Options.Feeds with this ledger's topic in place of its own.
type feed struct{ l *Log }

func (f feed) inner(topic string) (streams.Feed, error) {
	if err := f.l.ops.Enter(context.Background()); err != nil {
		return nil, err
	}
	f.l.ops.Leave() // the feed is not ours to wait for
	if f.l.opts.Feeds == nil {
		return nil, fault.New(fault.NotFound, "the log has no topic %q: it was opened without a feed", topic).
			WithHint("facts need a log on Kafka or an embedded one beside EventStoreDB")
	}
	return f.l.opts.Feeds.Feed(), nil
}

// ledger says whether a partition is the ledger's; others of its topic do not exist.
func (f feed) ledger(tp streams.TP) (bool, error) {
	if tp.Topic != events.LedgerTopic {
		return false, nil
	}
	return true, streams.CheckPartition(tp, 1)
}

func (f feed) Publish(ctx context.Context, topic string, recs []streams.Record) error {
	if topic == events.LedgerTopic {
		return fault.New(fault.Invalid, "topic %s is the ledger's: it takes commits only", topic)
	}
	inner, err := f.inner(topic)
	if err != nil {
		return err
	}
	return inner.Publish(ctx, topic, recs)
}

// Read gives commits as the records that streams.CommitRecord makes of them.
func (f feed) Read(ctx context.Context, tp streams.TP, from int64) iter.Seq2[*streams.Record, error] {
	return func(yield func(*streams.Record, error) bool) {
		ours, err := f.ledger(tp)
		if err != nil {
			yield(nil, err)
			return
		}
		if !ours {
			inner, err := f.inner(tp.Topic)
			if err != nil {
				yield(nil, err)
				return
			}
			inner.Read(ctx, tp, from)(yield)
			return
		}
		for c, err := range f.l.Ledger().Read(ctx, from) {
			if c == nil {
				yield(nil, err)
				return
			}
			r, err := record(c)
			if !yield(r, err) || err != nil {
				return
			}
		}
	}
}

// record is the record of a commit, at its place.
func record(c *streams.Committed) (*streams.Record, error) {
	r, err := streams.CommitRecord(c.Commit)
	if err != nil {
		return nil, fault.Wrap(fault.Corrupt, err, "the commit at %s has no record", c.Position)
	}
	r.Position, r.Recorded = c.Position, c.Recorded
	return &r, nil
}

func (f feed) Head(ctx context.Context, tp streams.TP, until time.Time) (int64, error) {
	ours, err := f.ledger(tp)
	if err != nil {
		return 0, err
	}
	if ours {
		return f.l.Ledger().Head(ctx, until)
	}
	inner, err := f.inner(tp.Topic)
	if err != nil {
		return 0, err
	}
	return inner.Head(ctx, tp, until)
}

func (f feed) Wait(ctx context.Context, tp streams.TP, from int64) error {
	ours, err := f.ledger(tp)
	if err != nil {
		return err
	}
	if ours {
		return f.l.Ledger().Wait(ctx, from)
	}
	inner, err := f.inner(tp.Topic)
	if err != nil {
		return err
	}
	return inner.Wait(ctx, tp, from)
}

// Carried implements [streams.Carrier] where the feeds do.
func (f feed) Carried(tp streams.TP, from, until int64) []streams.Carried {
	if tp.Topic == events.LedgerTopic || f.l.opts.Feeds == nil {
		return nil
	}
	if c, ok := f.l.opts.Feeds.Feed().(streams.Carrier); ok {
		return c.Carried(tp, from, until)
	}
	return nil
}
