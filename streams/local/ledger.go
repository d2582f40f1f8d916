package local

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

// Append looks at ctx before it begins; from then on it takes as long as the disk does.
func (a ledger) Append(ctx context.Context, c streams.Commit) (streams.Receipt, error) {
	l := a.l
	c, carried := plain(c)
	rec, err := streams.CommitRecord(c)
	if err != nil {
		return streams.Receipt{}, err
	}
	if err := l.writable(); err != nil {
		return streams.Receipt{}, err
	}
	if err := l.ops.Enter(ctx); err != nil {
		return streams.Receipt{}, err
	}
	defer l.ops.Leave()
	r := &request{commit: &c, carried: carried, rec: &rec, bytes: streams.TailSize(&rec) + 2*len(c.Stream) + len(c.ID) + 100, done: make(chan struct{})}
	if l.submit(r) {
		l.lead()
	}
	<-r.done
	if r.err != nil {
		return streams.Receipt{}, r.err
	}
	return r.receipt, nil
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
	p := l.ledger
	head := p.head.Load()
	records, err := l.db.NewIter(&pebble.IterOptions{LowerBound: p.key(0), UpperBound: p.key(head)})
	if err != nil {
		return p.corrupt(0, err)
	}
	defer records.Close()
	s := scan{l: l, p: p, iter: records}
	defer s.count()
	for offset, err := range lookup.Offsets(l.db, stream, from) {
		if err != nil {
			return readError(err, "the index of stream "+stream+" cannot be read")
		}
		if offset >= head {
			return nil
		}
		if err := l.ops.Stay(ctx); err != nil {
			return err
		}
		if !records.SeekGE(p.key(offset)) {
			return p.corrupt(offset, records.Error())
		}
		if err := s.load(offset); err != nil {
			return err
		}
		c, err := s.committed()
		if err != nil {
			return p.corrupt(offset, err)
		}
		if c.Stream != stream {
			return p.corrupt(offset, fault.New(fault.Corrupt, "it is of stream %q; the index says %q", c.Stream, stream))
		}
		if !yield(c, c.Unreadable()) {
			return nil
		}
	}
	return nil
}

func (a ledger) Read(ctx context.Context, from int64) iter.Seq2[*streams.Committed, error] {
	return func(yield func(*streams.Committed, error) bool) {
		s := scan{l: a.l, p: a.l.ledger, follows: true}
		err := s.run(ctx, from, func() bool {
			c, err := s.committed()
			if err == nil && !s.carried {
				s.p.keepRead(c, len(s.rec.Value))
			}
			return err != nil || yield(c, c.Unreadable()) // what is no commit means nothing
		})
		if err != nil {
			yield(nil, err)
		}
	}
}

func (a ledger) Head(ctx context.Context, until time.Time) (int64, error) {
	return a.l.headAt(ctx, a.l.ledger, until)
}

func (a ledger) Wait(ctx context.Context, from int64) error { return a.l.wait(ctx, a.l.ledger, from) }
