package kafka

import (
	"context"
	"iter"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/streams"
	"github.com/projectionist/projectionist/streams/internal/lookup"
)

type ledger struct{ l *Log }

// Append produces the commit's record and waits for its verdict. What this node already knows is answered
// without one: an id that was accepted, and a stream that has gone past the expected revision, since
// heads only grow. When ctx or WriteTimeout ends in between, the error is fault.Unknown.
func (a ledger) Append(ctx context.Context, c streams.Commit) (streams.Receipt, error) {
	l := a.l
	rec, err := streams.CommitRecord(c)
	if err != nil {
		return streams.Receipt{}, err
	}
	if _, ok := parseFrame(&rec); !ok {
		return streams.Receipt{}, fault.Field("events", "commit %s has an event that no reader would take, such as one with a time outside years 0 to 9999", c.ID)
	}
	if err := l.writable(); err != nil {
		return streams.Receipt{}, err
	}
	if err := l.ops.Enter(ctx); err != nil {
		return streams.Receipt{}, err
	}
	defer l.ops.Leave()
	if err := l.failure(); err != nil {
		return streams.Receipt{}, err
	}
	if r, known, err := l.known(&c, -1); known || err != nil {
		return r, err
	}
	head, err := l.index.head(c.Stream)
	if err != nil {
		return streams.Receipt{}, err
	}
	if c.Expected != streams.AnyRevision && c.Expected < head {
		// The id was looked up before the head: had the commit been accepted in between, it would be this.
		if r, known, err := l.known(&c, -1); known || err != nil {
			return r, err
		}
		return streams.Receipt{}, refusal(&c, head)
	}
	expires := time.Now().Add(l.opts.WriteTimeout)
	var chunk chunk
	chunk.add(&rec, streams.TailSize(&rec))
	req := chunk.request(ctx, expires)
	if err := l.submit(l.ledger, req); err != nil {
		return streams.Receipt{}, err
	}
	if err := l.await(req); err != nil {
		return streams.Receipt{}, err
	}
	late, cancel := context.WithDeadline(ctx, expires.Add(l.opts.WriteTimeout))
	defer cancel()
	if err := l.waitFor(late, &l.judged, req.offset, l.stop); err != nil {
		return streams.Receipt{}, fault.Wrap(fault.Unknown, err, "commit %s was written to %s@%d and its verdict is not known yet", c.ID, l.ledger.TP, req.offset)
	}
	if r, known, err := l.known(&c, req.offset); known || err != nil {
		return r, err
	}
	if head, err = l.index.head(c.Stream); err != nil {
		return streams.Receipt{}, fault.Wrap(fault.Unknown, err, "the verdict on commit %s cannot be read", c.ID)
	}
	return streams.Receipt{}, refusal(&c, head)
}

// known answers for a commit whose id is accepted; offset is where this caller wrote it, or -1.
func (l *Log) known(c *streams.Commit, offset int64) (streams.Receipt, bool, error) {
	e, ok, err := l.index.entry(c.ID)
	if !ok || err != nil {
		return streams.Receipt{}, false, err
	}
	if e.Stream != c.Stream {
		return streams.Receipt{}, true, fault.Field("commit_id", "commit id %s was used before, on stream %s", c.ID, e.Stream)
	}
	r := e.Receipt(l.ledger.TP)
	r.Duplicate = e.Offset != offset
	return r, true, nil
}

func refusal(c *streams.Commit, head streams.Revision) error {
	if head == c.Expected { // it has grown since the commit was judged
		return fault.New(fault.Conflict, "stream %s: it was not at the expected revision when the commit came", c.Stream)
	}
	return streams.Conflict(c.Stream, c.Expected, head)
}

func (a ledger) ReadStream(ctx context.Context, stream string, from streams.Revision) iter.Seq2[*streams.Committed, error] {
	return func(yield func(*streams.Committed, error) bool) {
		if err := a.l.readStream(ctx, stream, max(from, 0), yield); err != nil {
			yield(nil, err)
		}
	}
}

func (l *Log) readStream(ctx context.Context, stream string, from streams.Revision, yield func(*streams.Committed, error) bool) error {
	if err := streams.CheckStream(stream); err != nil {
		return err
	}
	if err := l.ops.Enter(ctx); err != nil {
		return err
	}
	defer l.ops.Leave()
	head := l.head.Load()
	for offset, err := range lookup.Offsets(l.index.db, stream, from) {
		if err != nil {
			return l.index.broken(err)
		}
		if err := l.ops.Stay(ctx); err != nil {
			return err
		}
		if offset >= head {
			return nil
		}
		c, err := l.commitAt(offset)
		if err != nil {
			return err
		}
		if !yield(c, c.Unreadable()) {
			return nil
		}
	}
	return l.ops.Stay(ctx)
}

func (l *Log) commitAt(offset int64) (*streams.Committed, error) {
	v, closer, err := l.index.db.Get(offsetKey(offset))
	if err != nil {
		return nil, l.index.broken(err)
	}
	defer closer.Close()
	return l.committed(offset, v)
}

// committed reads an accepted commit.
func (l *Log) committed(offset int64, v []byte) (*streams.Committed, error) {
	pos := streams.Position{TP: l.ledger.TP, Offset: offset}
	millis, first, tail, ok := lookup.ParseHead(v)
	var r streams.Record
	if !ok || streams.ParseTail(tail, &r) != nil {
		return nil, fault.New(fault.Corrupt, "commit %s is damaged in the index", pos).WithHint(hintDelete)
	}
	c, err := streams.ReadCommit(&r)
	if err != nil { // what has been accepted is a commit
		f := fault.New(fault.Corrupt, "commit %s is not what was accepted: it is damaged in the index", pos).WithHint(hintDelete)
		f.Err = err
		return nil, f
	}
	return &streams.Committed{Commit: c, Position: pos, Revision: first, Recorded: time.UnixMilli(millis).UTC()}, nil
}

func (a ledger) Read(ctx context.Context, from int64) iter.Seq2[*streams.Committed, error] {
	return func(yield func(*streams.Committed, error) bool) {
		if err := a.l.readLedger(ctx, from, yield); err != nil {
			yield(nil, err)
		}
	}
}

func (l *Log) readLedger(ctx context.Context, from int64, yield func(*streams.Committed, error) bool) error {
	if err := l.ops.EnterRead(ctx, from); err != nil {
		return err
	}
	defer l.ops.Leave()
	head := l.head.Load()
	if from >= head {
		return nil
	}
	iter, err := l.index.db.NewIter(&pebble.IterOptions{LowerBound: offsetKey(from), UpperBound: offsetKey(head)})
	if err != nil {
		return l.index.broken(err)
	}
	defer iter.Close()
	for ok := iter.First(); ok; ok = iter.Next() {
		if err := l.ops.Stay(ctx); err != nil {
			return err
		}
		offset, ok := parseOffsetKey(iter.Key())
		v, err := iter.ValueAndErr()
		if err != nil {
			return l.index.broken(err)
		}
		if !ok {
			return fault.New(fault.Corrupt, "the ledger's index in %s is damaged", l.index.dir).WithHint(hintDelete)
		}
		c, err := l.committed(offset, v)
		if err != nil {
			return err
		}
		if !yield(c, c.Unreadable()) {
			return nil
		}
	}
	return l.index.broken(iter.Error())
}

// Head answers from the fold: see the package's comment.
func (a ledger) Head(ctx context.Context, until time.Time) (int64, error) {
	l := a.l
	if err := l.ops.Enter(ctx); err != nil {
		return 0, err
	}
	defer l.ops.Leave()
	head := l.head.Load()
	if until.IsZero() || head == 0 {
		return head, nil
	}
	end, err := lookup.EndAt(l.index.db, lookup.Records{Key: offsetKey, Parse: parseOffsetKey, End: head}, until.UnixMilli())
	if err != nil {
		return 0, l.index.broken(err)
	}
	return end, nil
}

func (a ledger) Wait(ctx context.Context, from int64) error {
	if err := a.l.ops.Enter(ctx); err != nil {
		return err
	}
	defer a.l.ops.Leave()
	return a.l.waitFor(ctx, &a.l.head, from, a.l.ops.Ending())
}
