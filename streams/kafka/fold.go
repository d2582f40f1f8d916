package kafka

import (
	"context"
	"errors"
	"time"

	"github.com/IBM/sarama"

	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/streams"
	"github.com/projectionist/projectionist/streams/internal/gate"
	"github.com/projectionist/projectionist/streams/internal/watermark"
)

// catchUp checks that the index belongs to what the brokers have, and folds up to the end they name.
func (l *Log) catchUp(ctx context.Context) error {
	p := l.ledger
	var oldest, newest int64
	err := l.persist(ctx, "the ledger's ends cannot be found", func() (err error) {
		if oldest, err = l.listOffset(p, sarama.OffsetOldest); err != nil {
			return err
		}
		newest, err = l.listOffset(p, sarama.OffsetNewest)
		return err
	})
	if err != nil {
		return err
	}
	s := l.index.snapshot()
	if oldest > 0 {
		// Even where the index has it, another node would fold something else.
		return lost(l.index.dir, "topic %s begins at offset %d, not 0", p.name, oldest)
	}
	if s.Cursor > newest {
		// A leader that has just been elected may not know yet how far its replicas are.
		for try := 0; s.Cursor > newest && try < 2*lostTries; try++ {
			if !l.pause(ctx, lostTries) {
				return gate.Ended(ctx)
			}
			if newest, err = l.listOffset(p, sarama.OffsetNewest); err != nil && !transient(err) {
				return brokerError(err, "the ledger's end cannot be found")
			}
		}
		if s.Cursor > newest {
			return lost(l.index.dir, "the index in %s has topic %s up to offset %d, the brokers up to %d", l.index.dir, p.name, s.Cursor, newest)
		}
	}
	if err := l.checkLast(ctx, s); err != nil {
		return err
	}
	for s.Cursor < newest {
		if err := gate.Ended(ctx); err != nil {
			return err
		}
		err := l.persist(ctx, "the ledger cannot be read", func() error {
			_, err := l.foldOnce(catchUpWait)
			return err
		})
		if err != nil {
			return err
		}
		s = l.index.snapshot()
	}
	l.judged.Raise(s.Cursor)
	l.head.Raise(s.Head)
	return nil
}

// checkLast compares the record that was judged last with what stands at its offset now.
func (l *Log) checkLast(ctx context.Context, s state) error {
	if s.Last < 0 {
		return nil
	}
	var same, found bool
	err := l.persist(ctx, "the ledger cannot be read", func() error {
		b, err := l.fetch(l.ledger, s.Last, 0, 1)
		if err != nil {
			return err
		}
		k, err := newBlock(l.ledger, b, s.Last)
		if err != nil {
			return err
		}
		k.records(func(r *streams.Record) bool {
			found = r.Offset == s.Last
			same = found && recordSum(streams.AppendTail(nil, r)) == s.LastSum
			return false
		})
		return nil
	})
	if err == nil && !same {
		if found {
			return lost(l.index.dir, "at offset %d of topic %s stands another record than the index in %s was made from", s.Last, l.ledger.name, l.index.dir)
		}
		return lost(l.index.dir, "at offset %d of topic %s there is no record any more", s.Last, l.ledger.name)
	}
	return err
}

// foldOnce fetches what follows the cursor, and folds it. known says that all of it was folded meanwhile.
func (l *Log) foldOnce(wait time.Duration) (known bool, err error) {
	from := l.index.snapshot().Cursor
	b, err := l.fetch(l.ledger, from, wait, l.opts.FetchBytes)
	if err != nil {
		return false, err
	}
	k, err := newBlock(l.ledger, b, from)
	if err != nil {
		return false, err
	}
	l.folding.Lock()
	defer l.folding.Unlock()
	known = k.next > from && l.index.snapshot().Cursor >= k.next
	return known, l.judge(k.records, k.next)
}

// judge folds records, and tells those who wait. The caller holds folding.
func (l *Log) judge(recs func(yield func(*streams.Record) bool), next int64) error {
	if err := l.index.fold(recs, next); err != nil {
		return err
	}
	s := l.index.snapshot()
	l.head.Raise(s.Head) // first: who learns of a verdict must find the commit
	l.judged.Raise(s.Cursor)
	return nil
}

// foldWritten folds what this node has just written without fetching it, where it follows what was folded:
// all that stands before it is known then, and an acknowledgement of all replicas means, as a fetch does,
// that it stays. A fetch would bring the same records and times; that spares an append half its time. It
// says whether they have their verdicts now.
func (l *Log) foldWritten(batch []*request) bool {
	l.folding.Lock()
	defer l.folding.Unlock()
	from := batch[0].offset
	if cursor := l.index.snapshot().Cursor; cursor != from {
		return cursor > from // else what stands before is not known
	}
	next := from
	for _, r := range batch {
		next += int64(len(r.recs))
	}
	err := l.judge(func(yield func(*streams.Record) bool) {
		rec := streams.Record{Position: streams.Position{TP: l.ledger.TP, Offset: from}}
		for _, r := range batch {
			rec.Recorded = r.at
			for _, s := range r.recs {
				rec.Key, rec.Value, rec.Headers = s.Key, s.Value, appendHeaders(rec.Headers[:0], s)
				if !yield(&rec) {
					return
				}
				rec.Offset++
			}
		}
	}, next)
	return err == nil // an error of the index is met and told by follow too, which folds the same
}

// follow folds the ledger's partition as it grows, until the log is closed or the fold cannot go on.
func (l *Log) follow() {
	outOfRange, failed := 0, 0
	for !l.stopped() {
		known, err := l.foldOnce(followWait)
		if err == nil {
			if known {
				select {
				case <-l.unjudged:
				case <-time.After(knownPause):
				case <-l.stop:
				}
			}
			if failed > 0 {
				l.opts.Logf("the ledger is read again")
			}
			outOfRange, failed = 0, 0
			continue
		}
		if l.stopped() {
			return
		}
		if errors.Is(err, sarama.ErrOffsetOutOfRange) {
			if outOfRange++; outOfRange >= lostTries {
				l.give(lost(l.index.dir, "offset %d of topic %s is out of range", l.index.snapshot().Cursor, l.ledger.name))
				return
			}
		} else if fault.Is(err, fault.Corrupt) || !transient(err) {
			l.give(brokerError(err, "the ledger cannot be read"))
			return
		}
		if failed++; failed == 1 {
			l.opts.Logf("the ledger cannot be read, it is tried again: %v", err)
		}
		l.pause(context.Background(), failed)
	}
}

// give ends the fold for good: nothing can be appended or waited for any more, and everyone is told why.
func (l *Log) give(err error) {
	l.opts.Logf("the ledger cannot be followed any more: %v", err)
	l.broken.Store(&err)
	close(l.dead)
}

func (l *Log) failure() error {
	if err := l.broken.Load(); err != nil {
		return *err
	}
	return nil
}

// waitFor blocks until a watermark of the fold is above n.
func (l *Log) waitFor(ctx context.Context, w *watermark.Mark, n int64, until <-chan struct{}) error {
	for {
		raised := w.Above(n)
		if raised == nil {
			return nil
		}
		select {
		case <-raised:
		case <-ctx.Done():
			return gate.Ended(ctx)
		case <-until:
			return gate.Closed()
		case <-l.dead:
			return l.failure()
		}
	}
}
