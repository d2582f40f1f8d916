package api

import (
	"context"
	"iter"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/streams"
)

// happenedBy is a log without what people did, and what was deployed, after an event time. The catalogue
// is left whole: a film listed today existed before.
type happenedBy struct {
	streams.Log
	millis int64
}

func (l happenedBy) Ledger() streams.Ledger { return ledgerBy{l.Log.Ledger(), l.millis} }
func (l happenedBy) Feed() streams.Feed     { return feedBy{l.Log.Feed(), l.millis} }

type ledgerBy struct {
	streams.Ledger
	millis int64
}

func (l ledgerBy) Read(ctx context.Context, from int64) iter.Seq2[*streams.Committed, error] {
	return func(yield func(*streams.Committed, error) bool) {
		for c, err := range l.Ledger.Read(ctx, from) {
			if err == nil && later(c, l.millis) {
				continue
			}
			if !yield(c, err) {
				return
			}
		}
	}
}

func later(c *streams.Committed, millis int64) bool {
	for i := range c.Events {
		if _, ok := c.Events[i].Data.(*events.ModelDeployed); ok && c.Events[i].Time.UnixMilli() > millis {
			return true
		}
	}
	return false
}

type feedBy struct {
	streams.Feed
	millis int64
}

func (f feedBy) Read(ctx context.Context, tp streams.TP, from int64) iter.Seq2[*streams.Record, error] {
	if tp.Topic != events.UserEventsTopic {
		return f.Feed.Read(ctx, tp, from)
	}
	return func(yield func(*streams.Record, error) bool) {
		for rec, err := range f.Feed.Read(ctx, tp, from) {
			if err == nil {
				// One that cannot be read is passed on: the views know what to do with it.
				if ev, bad := streams.ReadFact(rec); bad == nil && ev.Time.UnixMilli() > f.millis {
					continue
				}
			}
			if !yield(rec, err) || err != nil {
				return
			}
		}
	}
}
