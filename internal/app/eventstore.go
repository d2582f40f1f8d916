package app

import (
	"context"
	"errors"
	"strings"

	"github.com/projectionist/projectionist/streams"
	"github.com/projectionist/projectionist/streams/eventstore"
)

func isEventStore(address string) bool {
	return strings.HasPrefix(address, "esdb://") || strings.HasPrefix(address, "esdb+discover://")
}

// eventStoreLog is a log with its ledger on EventStoreDB, and the one with its feeds, which it closes too.
type eventStoreLog struct {
	*eventstore.Log
	feeds streams.Log // nil for none
}

func (l *eventStoreLog) Close() error {
	err := l.Log.Close()
	if l.feeds != nil {
		err = errors.Join(err, l.feeds.Close())
	}
	return err
}

// Writable is nil while the feeds take records, else why they do not.
func (l *eventStoreLog) Writable() error {
	if w, ok := l.feeds.(interface{ Writable() error }); ok {
		return w.Writable()
	}
	return nil
}

// Damaged is nil until damage was met in what is kept here of the feeds.
func (l *eventStoreLog) Damaged() error {
	if d, ok := l.feeds.(interface{ Damaged() error }); ok {
		return d.Damaged()
	}
	return nil
}

func openEventStore(ctx context.Context, address string, o LogOptions) (_ streams.Log, err error) {
	opts, err := eventstore.ParseURL(address)
	if err != nil {
		return nil, err
	}
	opts.Logf, opts.RelayHalted, opts.Restoring = o.Logf, o.RelayHalted, o.Restoring
	if o.Feeds != "" {
		inner := o
		inner.Feeds = ""
		if opts.Feeds, err = OpenLog(ctx, o.Feeds, inner); err != nil {
			return nil, err
		}
	}
	l, err := eventstore.Open(ctx, opts)
	if err != nil {
		if opts.Feeds != nil {
			err = errors.Join(err, opts.Feeds.Close())
		}
		return nil, err
	}
	return &eventStoreLog{l, opts.Feeds}, nil
}

// logStats counts what this process has done to the log. The embedded one's own ledger is a copy where the
// ledger is on EventStoreDB: what is appended there says nothing.
func (a *App) logStats() streams.Stats {
	s := a.embedded.Stats()
	if a.ledger != nil {
		l := a.ledger.Stats()
		s.Commits, s.Conflicts, s.Duplicates = l.Appended, l.Refused, l.Repeated
	}
	return s
}

// relay says how far the copying of the ledger to its feeds' log is.
func (a *App) relay() streams.Relay {
	s, _ := a.ledger.Relay()
	return s
}
