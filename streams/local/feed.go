package local

import (
	"context"
	"iter"
	"time"

	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/streams"
)

type feed struct{ l *Log }

// Publish looks at ctx before it begins; from then on it takes as long as the disk does. Records that
// one Publish gives to a partition keep their order. Wrong records are refused before any is written.
func (f feed) Publish(ctx context.Context, name string, recs []streams.Record) error {
	l := f.l
	t, ok := l.topics[name]
	if !ok {
		return fault.New(fault.NotFound, "the log has no topic %q", name)
	}
	if name == l.ledger.Topic {
		return fault.New(fault.Invalid, "topic %s is the ledger's: it takes commits only", name)
	}
	for i := range recs {
		if err := streams.CheckRecord(&recs[i]); err != nil {
			return err
		}
	}
	if err := l.writable(); err != nil {
		return err
	}
	if err := l.ops.Enter(ctx); err != nil {
		return err
	}
	defer l.ops.Leave()
	var requests []*request
	for len(recs) > 0 {
		n, bytes := 0, 0
		for n < len(recs) {
			size := streams.TailSize(&recs[n]) + recordKeyBytes + 16
			if n > 0 && bytes+size > groupBytes {
				break
			}
			bytes += size
			n++
		}
		r := &request{topic: t, recs: recs[:n], bytes: bytes, done: make(chan struct{})}
		recs = recs[n:]
		r.more = len(recs) > 0
		requests = append(requests, r)
		if l.submit(r) {
			if len(recs) == 0 {
				l.lead()
			} else {
				go l.lead() // the next chunk is filled while this one is synced
			}
		}
	}
	var first error
	for _, r := range requests {
		if <-r.done; r.err != nil && first == nil {
			first = r.err
		}
	}
	return first
}

func (f feed) Read(ctx context.Context, tp streams.TP, from int64) iter.Seq2[*streams.Record, error] {
	return func(yield func(*streams.Record, error) bool) {
		p, err := f.l.partition(tp)
		if err != nil {
			yield(nil, err)
			return
		}
		s := scan{l: f.l, p: p}
		err = s.run(ctx, from, func() bool { return yield(&s.rec, nil) })
		if err != nil {
			yield(nil, err)
		}
	}
}

func (f feed) Head(ctx context.Context, tp streams.TP, until time.Time) (int64, error) {
	p, err := f.l.partition(tp)
	if err != nil {
		return 0, err
	}
	return f.l.headAt(ctx, p, until)
}

func (f feed) Wait(ctx context.Context, tp streams.TP, from int64) error {
	p, err := f.l.partition(tp)
	if err != nil {
		return err
	}
	return f.l.wait(ctx, p, from)
}
