package eventstore

import (
	"context"
	"fmt"
	"sync"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/streams"
)

// relay appends every commit, in order and as it is, to the ledger of Options.Feeds, so that Kafka's tools
// see it there. The target's commits are the first n of this ledger, always: the relays of several
// processes race, but each appends a commit only when the one before is there, and a repetition is known
// by its id. Where the relay is, the target itself says: it is read once from the beginning at the start,
// and then where another one may have appended. That shows whether anyone else has, too.
type relay struct {
	l *Log

	n    int   // commits that are in the target
	seen int64 // offset in the target up to which its commits are accounted for

	mu     sync.Mutex
	status streams.Relay
}

// Relay says how far the copying is. ok is false where there is none.
func (l *Log) Relay() (s streams.Relay, ok bool) {
	if l.opts.Feeds == nil || l.opts.Restoring {
		return s, false
	}
	_, commits := l.fold.state()
	l.relay.mu.Lock()
	defer l.relay.mu.Unlock()
	s = l.relay.status
	s.Behind = max(0, int64(commits)-s.Copied)
	return s, true
}

func (r *relay) note(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status.Copied, r.status.Err = int64(r.n), err
}

// run copies until the log is closed or the copying cannot go on. What is Unavailable or Unknown is tried
// again.
func (r *relay) run() {
	ctx, wait := r.l.reads, retryMin
	for {
		was := r.n
		err := r.once(ctx)
		if ctx.Err() != nil {
			return
		}
		if code := fault.CodeOf(err); code != fault.Unavailable && code != fault.Unknown {
			err = fault.Wrap(code, err, "the ledger is not copied to topic %s of the feeds' log any more, from its commit number %d on", events.LedgerTopic, r.n)
			r.note(err)
			r.l.opts.RelayHalted(err)
			return
		}
		if r.n != was {
			wait = retryMin
		}
		r.l.opts.Logf("the ledger is copied again in %v: %v", wait, err)
		if pause(ctx, wait) != nil {
			return
		}
		wait = min(2*wait, retryMax)
	}
}

// once copies until something fails.
func (r *relay) once(ctx context.Context) error {
	for {
		if err := r.account(ctx); err != nil {
			return err
		}
		from, err := r.copy(ctx)
		if err != nil {
			return err
		}
		if from < 0 {
			continue // something else came into the target
		}
		if err := r.l.Ledger().Wait(ctx, from); err != nil {
			return err
		}
	}
}

// account looks at what is in the target and was not looked at before: it must be what comes next here.
func (r *relay) account(ctx context.Context) error {
	for c, err := range r.l.opts.Feeds.Ledger().Read(ctx, r.seen) {
		if c == nil { // else whether this program can read it does not matter
			return err
		}
		n, known := r.l.fold.ordinal(c.ID)
		if !known { // another process may have copied what is not folded here yet
			sctx, cancel := context.WithTimeout(ctx, r.l.opts.ReadTimeout)
			err := r.l.sync(sctx, c.Stream)
			cancel()
			if err != nil {
				return serverError(err, "whether the ledger has commit "+c.ID+" cannot be found out")
			}
			n, known = r.l.fold.ordinal(c.ID)
		}
		what := ""
		switch {
		case !known:
			what = "which the ledger on EventStoreDB has not: it is another ledger's"
		case n != r.n:
			what = fmt.Sprintf("which is number %d of the ledger on EventStoreDB, where number %d is wanted", n, r.n)
		}
		if what != "" {
			return fault.New(fault.Corrupt, "topic %s of the feeds' log has commit %s at %s, %s", events.LedgerTopic, c.ID, c.Position, what).
				WithHint("somebody else writes to it, or one of the two was exchanged; give the ledger feeds of its own, in an empty folder or with another topic prefix")
		}
		r.n++
		r.seen = c.Position.Offset + 1
	}
	r.note(nil)
	return nil
}

// copy appends what the target has not. It returns the head up to which it did, or -1 when the target has
// more than it appended itself.
func (r *relay) copy(ctx context.Context) (from int64, err error) {
	entries, _, err := r.l.fold.snapshot("")
	if err != nil {
		return 0, err
	}
	if r.n == len(entries) {
		if r.n > 0 {
			from = entries[r.n-1].offset + 1
		}
		return from, nil
	}
	for c, err := range r.l.Ledger().Read(ctx, entries[r.n].offset) {
		if c == nil {
			return 0, err
		}
		got, err := r.l.opts.Feeds.Ledger().Append(ctx, c.Commit)
		if fault.Is(err, fault.Conflict) {
			// Where somebody else has written to its stream, that stands there to be found.
			was := r.n
			if err := r.account(ctx); err != nil || r.n > was {
				return -1, err
			}
			return 0, fault.Wrap(fault.Corrupt, err, "the feeds' log refuses commit %s, which is in the ledger", c.Position)
		}
		if err != nil {
			return 0, err
		}
		if got.Duplicate || got.Position.Offset != r.seen {
			return -1, nil
		}
		r.n++
		r.seen++
		from = c.Position.Offset + 1
		r.note(nil)
	}
	return from, nil
}
