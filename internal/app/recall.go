package app

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

// recallMax bounds how long a fact with an idempotency key waits for the view that knows the keys that were used: some
// time after a start, and where other nodes write to the log.
const recallMax = 5 * time.Second

// recall finds facts that were published with an idempotency key, by their event ids.
type recall struct {
	views func() *fold.Runner
	log   streams.Log
	// began is where the feeds ended at the start, of feeds that only this process writes to: what came after that the
	// dispatcher remembers. nil: others write to them too.
	began  streams.Cut
	folded atomic.Bool // the view has all before it
}

// find waits until the view has what stands in the partitions where the facts go, and asks it.
func (r *recall) find(ctx context.Context, ids []string, in []streams.TP) (map[string]streams.Position, error) {
	view := projections.NewIdempotency().Spec().Name
	if !r.folded.Load() {
		ctx, cancel := context.WithTimeout(ctx, recallMax)
		defer cancel()
		cut, err := r.until(ctx, in)
		if err != nil {
			return nil, err
		}
		for tp, next := range cut {
			if next > 0 {
				if err := r.views().Wait(ctx, streams.Position{TP: tp, Offset: next - 1}, view); err != nil {
					return nil, err
				}
			}
		}
		r.folded.Store(r.began != nil)
	}
	return fold.Of[*projections.Idempotency](r.views()).Find(ids)
}

// until is what the view has to have.
func (r *recall) until(ctx context.Context, in []streams.TP) (streams.Cut, error) {
	if r.began != nil {
		return r.began, nil
	}
	cut := streams.Cut{}
	for _, tp := range in {
		head, err := r.log.Feed().Head(ctx, tp, time.Time{})
		if err != nil {
			return nil, err
		}
		cut[tp] = head
	}
	return cut, nil
}

// recaller is what the dispatcher of a log asks.
func (a *App) recaller(ctx context.Context) (*recall, error) {
	r := &recall{views: func() *fold.Runner { return a.Views }, log: a.Log}
	if a.embedded == nil {
		return r, nil
	}
	r.began = streams.Cut{}
	for _, topic := range projections.NewIdempotency().Spec().Topics {
		for _, tp := range streams.PartitionsOf(topic) {
			var err error
			if r.began[tp], err = a.Log.Feed().Head(ctx, tp, time.Time{}); err != nil {
				return nil, err
			}
		}
	}
	return r, nil
}
