package eventstore

import (
	"context"
	"fmt"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"
	grpcmetadata "google.golang.org/grpc/metadata"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/streams"
	"github.com/projectionist/projectionist/streams/internal/gate"
)

var _ streams.Restorer = (*Log)(nil)

// A ledger that is filled from another one has two marks in the category's stream without a name, which no
// commit can be in: one before the first commit, one after the last. Between them the fold takes restored
// commits only, before and after only others, in every process.
const (
	fillBegun = "filling.begun"
	fillEnded = "filling.ended"
)

// openRestoring looks at the marks, and with Options.Restoring sets the first one where there is none.
func (l *Log) openRestoring(ctx context.Context) error {
	state, commits := l.fold.state()
	switch {
	case !l.opts.Restoring && state == beingFilled:
		return fault.New(fault.Corrupt, "the ledger of category %s on EventStoreDB is an unfinished copy of another one", l.opts.Category).
			WithHint("run `projectionist log copy` with the same --from and --to again: it goes on where it stopped")
	case !l.opts.Restoring || state == beingFilled:
		return nil
	case state == neverFilled && commits == 0:
		if err := l.setMark(ctx, fillBegun); err != nil {
			return err
		}
		// Somebody may have been faster, with a commit.
		if state, _ := l.fold.state(); state == beingFilled {
			return nil
		}
	case state == wasFilled && l.fold.lastRestored():
		return nil // what is left to do is to end the filling of the feeds: they refuse if there is nothing
	}
	return fault.New(fault.Conflict, "the ledger of category %s on EventStoreDB has commits of its own: it cannot be filled from another one", l.opts.Category).
		WithHint("copy into a category without events: ?category=NAME")
}

// setMark appends a mark and waits until it is folded.
func (l *Log) setMark(ctx context.Context, mark string) error {
	ctx, cancel := context.WithTimeout(ctx, l.opts.WriteTimeout)
	defer cancel()
	id, err := uuid.NewRandom()
	if err != nil {
		return fault.Wrap(fault.Internal, err, "no id can be made")
	}
	event := esdb.EventData{EventID: id, EventType: mark, ContentType: esdb.ContentTypeJson, Data: []byte("{}")}
	for {
		sent := make(chan error, 1)
		var at uint64
		l.calls.Add(1)
		go func() {
			defer l.calls.Done()
			w, err := l.client.AppendToStream(grpcmetadata.AppendToOutgoingContext(ctx, "requires-leader", "true"), l.opts.prefix(),
				esdb.AppendToStreamOptions{ExpectedRevision: esdb.Any{}, Deadline: &l.opts.WriteTimeout}, event)
			if err == nil {
				at = w.NextExpectedVersion
			}
			sent <- err
		}()
		select {
		case err = <-sent:
		case <-ctx.Done():
			return gate.Ended(ctx)
		}
		if err == nil {
			err := l.await(ctx, func() bool {
				s := l.fold.streams[""]
				return s != nil && s.next > at
			})
			return serverError(err, "the mark "+mark+" was not read again")
		}
		if codeOf(err) != esdb.ErrorCodeNotLeader && !beforeSent(err) {
			return serverError(err, "the mark "+mark+" was not written") // if it was, it says the same the next time
		}
		if err := pause(ctx, retryMin); err != nil {
			return gate.Ended(ctx)
		}
	}
}

// Restore writes records of the ledger's topic as commits that keep their offsets and recorded times, one
// after the other; those of other topics are Options.Feeds's to restore.
func (l *Log) Restore(ctx context.Context, tp streams.TP, recs []streams.Record) error {
	if !l.opts.Restoring {
		return fault.New(fault.Conflict, "the log is not open to be filled")
	}
	if tp.Topic != events.LedgerTopic {
		return l.opts.Feeds.(streams.Restorer).Restore(ctx, tp, recs) // Open has looked
	}
	if _, err := (feed{l}).ledger(tp); err != nil {
		return err
	}
	for i := range recs {
		if err := l.restore(ctx, &recs[i]); err != nil {
			return err
		}
	}
	return nil
}

func (l *Log) restore(ctx context.Context, rec *streams.Record) error {
	at := position(rec.Offset)
	corrupt := func(err error, format string, args ...any) error {
		f := fault.New(fault.Corrupt, "commit %s "+format, append([]any{at}, args...)...)
		f.Err = err
		return f
	}
	if err := l.ops.Enter(ctx); err != nil {
		return err
	}
	defer l.ops.Leave()
	if err := l.fold.takes(true); err != nil {
		return err
	}
	c, err := streams.ReadCommit(rec)
	if err != nil {
		return corrupt(err, "is none")
	}
	if _, err := streams.CommitRecord(c); err != nil {
		return corrupt(err, "cannot be written")
	}
	r := restoredMeta{Offset: rec.Offset, Millis: rec.Recorded.UnixMilli()}
	entries, s, err := l.fold.snapshot(c.Stream)
	if err != nil {
		return err
	}
	if n := len(entries); n > 0 && r.Offset <= entries[n-1].offset || r.Offset < 0 || r.Offset > judgedOffsetMax {
		return fault.New(fault.Conflict, "commit %s is to be restored, and there is no such place: offsets ascend, up to %d", at, int64(judgedOffsetMax))
	} else if n > 0 && r.Millis < entries[n-1].millis || r.Millis < 0 {
		return corrupt(nil, "was recorded before the one that it follows")
	}
	if _, known := l.fold.ordinal(c.ID); known {
		return corrupt(nil, "has the id %s of an earlier one", c.ID)
	}
	if c.Expected != streams.AnyRevision && c.Expected != s.head {
		return corrupt(streams.Conflict(c.Stream, c.Expected, s.head), "does not follow")
	}
	for try := 0; ; try++ {
		got, err := l.append(ctx, c, &r)
		if err == nil && got.Position != at {
			err = corrupt(nil, "came to stand at %s: somebody else writes to the ledger", got.Position)
		}
		// In doubt is only whether it is there: a repetition finds that out.
		if !fault.Is(err, fault.Unknown) || ctx.Err() != nil || try == restoreTries {
			return err
		}
	}
}

// restoreTries is how often a commit in doubt is sent again before the caller is told.
const restoreTries = 3

// Restored ends the filling of the ledger, and then that of Options.Feeds. Until both are ended it may be
// called again, also by another process.
func (l *Log) Restored(ctx context.Context) error {
	if !l.opts.Restoring {
		return fault.New(fault.Conflict, "the log is not open to be filled")
	}
	if err := l.ops.Enter(ctx); err != nil {
		return err
	}
	defer l.ops.Leave()
	if state, _ := l.fold.state(); state == beingFilled {
		if err := l.setMark(ctx, fillEnded); err != nil {
			return err
		}
		if state, _ := l.fold.state(); state != wasFilled {
			return fault.New(fault.Unknown, "whether the filling has ended is not known")
		}
	}
	return l.opts.Feeds.(streams.Restorer).Restored(ctx)
}

// checkRestoring refuses feeds that cannot be filled.
func (o *Options) checkRestoring() error {
	if !o.Restoring {
		return nil
	}
	if _, ok := o.Feeds.(streams.Restorer); !ok {
		return fault.Field("feeds", "the log is to be filled, and its feeds are on %s, which cannot be", describe(o.Feeds))
	}
	return nil
}

func describe(l streams.Log) string {
	if l == nil {
		return "no log"
	}
	return fmt.Sprintf("a log (%T)", l)
}
