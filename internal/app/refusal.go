package app

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/handlers"
	"github.com/projectionist/projectionist/streams"
)

const (
	// refusalsEvery is how often refused records are written down.
	refusalsEvery = time.Second
	// refusalsMax is for how many reasons at once, so that a client that sends rubbish does not fill the
	// ledger; what is beyond is counted with the last of its topic.
	refusalsMax = 8
)

// refusals are the records that Kafka's clients were refused, and that are not in the log yet. A client
// only gets a code, so the reason and the first record of each are written to the log, for the quarantine.
type refusals struct {
	dispatch func(context.Context, commands.Command, handlers.Meta) (handlers.Result, error)
	logger   *slog.Logger

	mu      sync.Mutex
	pending []*commands.RefuseFact
}

// add notes a record, which is not kept.
func (r *refusals) add(rec *streams.Record, reason error) {
	why := reason.Error()
	why = strings.ToValidUTF8(why[:min(len(why), 500)], "?")
	r.mu.Lock()
	defer r.mu.Unlock()
	var last *commands.RefuseFact
	for _, c := range r.pending {
		if c.Topic != rec.Topic {
			continue
		}
		if last = c; c.Reason == why {
			c.Count++
			return
		}
	}
	if last != nil && len(r.pending) >= refusalsMax {
		last.Count++
		return
	}
	part := func(b []byte) []byte { return append([]byte(nil), b[:min(len(b), commands.RefusedBytesMax)]...) }
	r.pending = append(r.pending, &commands.RefuseFact{Topic: rec.Topic, Reason: why, Count: 1, Key: part(rec.Key), Value: part(rec.Value)})
}

// write writes down what was noted. What the log does not take is told to the operator alone.
func (r *refusals) write(ctx context.Context) {
	r.mu.Lock()
	pending := r.pending
	r.pending = nil
	r.mu.Unlock()
	for _, c := range pending {
		log := r.logger.With("topic", c.Topic, "records", c.Count, "reason", c.Reason)
		if _, err := r.dispatch(ctx, c, handlers.Meta{Actor: "kafka"}); err != nil {
			log.Error("records were refused, and the log does not take that", "value", string(c.Value), "error", err)
			continue
		}
		log.Warn("records were refused: see the quarantine")
	}
}

// run writes until ctx ends, and then once more.
func (r *refusals) run(ctx context.Context) {
	tick := time.NewTicker(refusalsEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			r.write(ctx)
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), refusalsEvery)
			defer cancel()
			r.write(last)
			return
		}
	}
}
