package fold

import (
	"context"
	"iter"
	"time"

	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/streams"
)

// UpTo is a log as it was at a cut: it has the records that the cut covers, and takes no others. To close it closes
// nothing. Views are not folded from it ([Replay]): what operators have told them to pass over may stand behind the cut.
func UpTo(log streams.Log, cut streams.Cut) streams.Log {
	return upTo{ledgerUpTo{log.Ledger(), cut[ledgerTP]}, feedUpTo{log.Feed(), cut}}
}

type upTo struct {
	ledger ledgerUpTo
	feed   feedUpTo
}

func (l upTo) Ledger() streams.Ledger { return l.ledger }
func (l upTo) Feed() streams.Feed     { return l.feed }
func (l upTo) Close() error           { return nil }

// errPast is the error of writing to a log as it was.
func errPast() error {
	return fault.New(fault.Forbidden, "what was known then cannot be changed").WithHint("write to the log as it is now")
}

type ledgerUpTo struct {
	streams.Ledger
	end int64
}

func (l ledgerUpTo) Append(context.Context, streams.Commit) (streams.Receipt, error) {
	return streams.Receipt{}, errPast()
}

func (l ledgerUpTo) ReadStream(ctx context.Context, stream string, from streams.Revision) iter.Seq2[*streams.Committed, error] {
	return l.before(l.Ledger.ReadStream(ctx, stream, from))
}

func (l ledgerUpTo) Read(ctx context.Context, from int64) iter.Seq2[*streams.Committed, error] {
	return l.before(l.Ledger.Read(ctx, from))
}

func (l ledgerUpTo) before(commits iter.Seq2[*streams.Committed, error]) iter.Seq2[*streams.Committed, error] {
	return func(yield func(*streams.Committed, error) bool) {
		for c, err := range commits {
			if c != nil && c.Position.Offset >= l.end || !yield(c, err) {
				return
			}
		}
	}
}

func (l ledgerUpTo) Head(ctx context.Context, until time.Time) (int64, error) {
	head, err := l.Ledger.Head(ctx, until)
	return min(head, l.end), err
}

func (l ledgerUpTo) Wait(ctx context.Context, from int64) error { return waitUpTo(ctx, from, l.end) }

// waitUpTo waits for what comes after an offset: of what is over, nothing comes.
func waitUpTo(ctx context.Context, from, end int64) error {
	if from < end {
		return nil
	}
	<-ctx.Done()
	return ctx.Err()
}

type feedUpTo struct {
	streams.Feed
	cut streams.Cut
}

func (f feedUpTo) Publish(context.Context, string, []streams.Record) error { return errPast() }

func (f feedUpTo) Read(ctx context.Context, tp streams.TP, from int64) iter.Seq2[*streams.Record, error] {
	return func(yield func(*streams.Record, error) bool) {
		for rec, err := range f.Feed.Read(ctx, tp, from) {
			if rec != nil && rec.Offset >= f.cut[tp] || !yield(rec, err) {
				return
			}
		}
	}
}

func (f feedUpTo) Head(ctx context.Context, tp streams.TP, until time.Time) (int64, error) {
	head, err := f.Feed.Head(ctx, tp, until)
	return min(head, f.cut[tp]), err
}

func (f feedUpTo) Wait(ctx context.Context, tp streams.TP, from int64) error {
	return waitUpTo(ctx, from, f.cut[tp])
}
