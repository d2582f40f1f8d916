package kafka

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/IBM/sarama"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/streams"
	"github.com/projectionist/projectionist/streams/internal/gate"
)

type feed struct{ l *Log }

// Publish writes each record to the partition its key hashes to. Records that one Publish gives to a
// partition keep their order. Wrong records are refused before any is written. When ctx or WriteTimeout
// ends in between, the error is fault.Unknown.
func (f feed) Publish(ctx context.Context, name string, recs []streams.Record) error {
	l := f.l
	ps, ok := l.partitions[name]
	if !ok {
		return fault.New(fault.NotFound, "the log has no topic %q", name)
	}
	if name == events.LedgerTopic {
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
	expires := time.Now().Add(l.opts.WriteTimeout)
	chunks := make([]chunk, len(ps))
	sent := make([][]*request, len(ps))
	var failed error
	flush := func(n int32) {
		if failed != nil || len(chunks[n].records) == 0 {
			return
		}
		r := chunks[n].request(ctx, expires)
		if failed = l.submit(ps[n], r); failed == nil {
			sent[n] = append(sent[n], r)
		}
		chunks[n] = chunk{}
	}
	for i := range recs {
		r := &recs[i]
		n := streams.PartitionOf(r.Key, int32(len(ps)))
		size := streams.TailSize(r)
		c := &chunks[n]
		if c.bytes > 0 && c.bytes+size+recordOverhead > chunkBytes {
			flush(n)
		}
		if c.records == nil {
			c.reserve(size, len(recs)-i, len(ps), len(r.Headers))
		}
		c.add(r, size)
	}
	written := false
	for n := range ps {
		flush(int32(n))
	}
	for n := range ps {
		for _, r := range sent[n] {
			if err := l.await(r); err != nil {
				if failed == nil || fault.Is(err, fault.Unknown) {
					failed = err
				}
				continue
			}
			written = true
		}
	}
	if failed != nil {
		if written && !fault.Is(failed, fault.Unknown) {
			return fault.Wrap(fault.Unknown, failed, "a part of the records was written to %s", name)
		}
		return failed
	}
	// The outcomes lie per partition in the order in which the records do.
	at := make([]struct{ request, record int }, len(ps))
	for i := range recs {
		rec := &recs[i]
		n := streams.PartitionOf(rec.Key, int32(len(ps)))
		r := sent[n][at[n].request]
		rec.Position = streams.Position{TP: ps[n].TP, Offset: r.offset + int64(at[n].record)}
		rec.Recorded = r.at
		if at[n].record++; at[n].record == len(r.recs) {
			at[n].request, at[n].record = at[n].request+1, 0
		}
	}
	return nil
}

// reserve sizes a chunk's memory by its first record, for what is still to come.
func (c *chunk) reserve(size, left, partitions, headers int) {
	n := min(left/partitions+left/(4*partitions)+1, chunkBytes/(size+recordOverhead)+1)
	c.records = make([]sarama.Record, 0, n)
	c.headers = make([]sarama.RecordHeader, 0, n*headers)
	c.arena = make([]byte, 0, n*size)
}

// Read asks for the records in fetches of Options.FetchBytes, the next while one is being yielded.
func (f feed) Read(ctx context.Context, tp streams.TP, from int64) iter.Seq2[*streams.Record, error] {
	return func(yield func(*streams.Record, error) bool) {
		if err := f.l.read(ctx, tp, from, yield); err != nil {
			yield(nil, err)
		}
	}
}

type fetched struct {
	k   *block
	err error
}

func (l *Log) read(ctx context.Context, tp streams.TP, from int64, yield func(*streams.Record, error) bool) error {
	p, err := l.partition(tp)
	if err != nil {
		return err
	}
	if err := l.ops.EnterRead(ctx, from); err != nil {
		return err
	}
	defer l.ops.Leave()
	known := p.last.Load() // a leader just elected may not know yet that it has it
	var end int64
	have := p.takeKept(from)
	if have != nil {
		if end, err = l.endOf(ctx, p); err != nil {
			return err
		}
	} else {
		k, err := l.fetchBlock(ctx, p, from, 0, l.opts.FetchBytes)
		if err != nil {
			return err
		}
		if k == nil {
			return nil // from is behind the end
		}
		have, end = []*block{k}, k.end
	}
	end = max(end, known)
	var stalled time.Time // since when a fetch brought nothing
	var ahead chan fetched
	fetching, cancel := context.WithCancel(ctx)
	defer func() {
		cancel() // else a fetch that nobody wants any more would be tried again
		if ahead != nil {
			f := <-ahead // its goroutine must not outlive the operation
			if f.k != nil && f.k.next > f.k.from && len(have) > 0 {
				have = append(have, f.k)
			}
		}
		p.keep(have)
	}()
	for {
		if last := have[len(have)-1]; ahead == nil && last.next < end {
			next, c := last.next, make(chan fetched, 1)
			wait := time.Duration(0)
			if next == last.from {
				wait = 50 * time.Millisecond // what is known to be there is not seen yet
			}
			ahead = c
			go func() {
				k, err := l.fetchBlock(fetching, p, next, wait, l.opts.FetchBytes)
				c <- fetched{k, err}
			}()
		}
		k, goOn := have[0], true
		k.records(func(r *streams.Record) bool {
			goOn = r.Offset < end && yield(r, nil)
			return goOn
		})
		if !goOn {
			return nil
		}
		have = have[1:]
		if len(have) > 0 {
			continue
		}
		if ahead == nil {
			return nil
		}
		if err := l.ops.Stay(ctx); err != nil {
			return err
		}
		f := <-ahead
		ahead = nil
		if f.err != nil {
			return f.err
		}
		if f.k == nil {
			return fault.New(fault.Corrupt, "%s ended at offset %d when the read began, and is shorter now", tp, end).
				WithHint("the brokers lost data, or records were deleted")
		}
		have = append(have, f.k)
		if k = f.k; k.next > k.from {
			stalled = time.Time{}
		} else if stalled.IsZero() {
			stalled = time.Now()
		} else if time.Since(stalled) > l.opts.ReadTimeout {
			return fault.New(fault.Unavailable, "%s is known to reach offset %d; the brokers give nothing from %d on", tp, end, k.next)
		}
	}
}

// fetchBlock fetches, again while errors are transient; nil means that from is behind the end.
func (l *Log) fetchBlock(ctx context.Context, p *partition, from int64, wait time.Duration, bytes int) (k *block, err error) {
	err = l.persist(ctx, "a partition of the log cannot be read", func() error {
		k = nil
		b, err := l.fetch(p, from, wait, bytes)
		if errors.Is(err, sarama.ErrOffsetOutOfRange) {
			return l.outOfRange(p, from)
		}
		if err != nil {
			return err
		}
		k, err = newBlock(p, b, from)
		return err
	})
	return k, err
}

// outOfRange says why an offset is out of range: nil means that it is behind the end.
func (l *Log) outOfRange(p *partition, from int64) error {
	oldest, err := l.listOffset(p, sarama.OffsetOldest)
	if err != nil {
		return err
	}
	if from < oldest {
		return fault.New(fault.Corrupt, "%s begins at offset %d: what stood before was deleted, from retention or by hand", p.TP, oldest).
			WithHint("start views of this log from a snapshot that covers it, or from offset %d knowing that they lack what came before", oldest)
	}
	return nil
}

// Head asks the brokers.
func (f feed) Head(ctx context.Context, tp streams.TP, until time.Time) (int64, error) {
	l := f.l
	p, err := l.partition(tp)
	if err != nil {
		return 0, err
	}
	if err := l.ops.Enter(ctx); err != nil {
		return 0, err
	}
	defer l.ops.Leave()
	return l.headAt(ctx, p, until)
}

// endOf is the offset after a partition's last record, whatever it is.
func (l *Log) endOf(ctx context.Context, p *partition) (end int64, err error) {
	err = l.persist(ctx, "the end of "+p.TP.String()+" cannot be found", func() error {
		end, err = l.listOffset(p, sarama.OffsetNewest)
		return err
	})
	return end, err
}

func (l *Log) headAt(ctx context.Context, p *partition, until time.Time) (int64, error) {
	known := p.last.Load()
	var raw int64
	now := until.IsZero()
	err := l.persist(ctx, "the end of a partition cannot be found", func() (err error) {
		raw = -1
		if !now {
			if raw, err = l.listOffset(p, until.UnixMilli()+1); err != nil {
				return err
			}
		}
		if raw < 0 {
			now = true
			raw, err = l.listOffset(p, sarama.OffsetNewest)
		}
		return err
	})
	if err != nil {
		return 0, err
	}
	if now && raw <= known {
		return known, nil
	}
	return l.lastBefore(ctx, p, raw)
}

// lastBefore is the offset after the last record below end: control records and aborted transactions
// make holes there.
func (l *Log) lastBefore(ctx context.Context, p *partition, end int64) (int64, error) {
	if end == 0 || end == p.last.Load() {
		return end, nil
	}
	p.trim.Lock()
	raw, trimmed := p.trim.raw, p.trim.end
	p.trim.Unlock()
	if raw == end {
		return trimmed, nil
	}
	expires, try := time.Now().Add(l.opts.ReadTimeout), 0
	last := int64(0)
	for step, at := int64(1), end; at > 0; step *= 8 {
		top := at
		at = max(at-step, 0)
		for from := at; from < top; {
			k, err := l.fetchBlock(ctx, p, from, 0, probeBytes)
			if fault.Is(err, fault.Corrupt) { // the partition begins later
				oldest, lerr := l.listOffset(p, sarama.OffsetOldest)
				if lerr == nil && oldest > from {
					from, at = oldest, 0
					continue
				}
			}
			if err != nil {
				return 0, err
			}
			if k == nil || k.next == from {
				// A leader just elected may not know yet that it has what is below the end.
				if time.Now().After(expires) {
					return 0, fault.New(fault.Unavailable, "%s is known to reach offset %d; the brokers give nothing from %d on", p.TP, end, from)
				}
				if try++; !l.pause(ctx, try) {
					return 0, l.ops.Stay(ctx)
				}
				continue
			}
			k.records(func(r *streams.Record) bool {
				if r.Offset < end {
					last = max(last, r.Offset+1)
				}
				return r.Offset < end
			})
			from = k.next
		}
		if last > 0 {
			break
		}
	}
	p.trim.Lock()
	p.trim.raw, p.trim.end = end, last
	p.trim.Unlock()
	return last, nil
}

// Wait shares one fetch per partition among all who wait there; it stays in the broker until a record
// comes.
func (f feed) Wait(ctx context.Context, tp streams.TP, from int64) error {
	l := f.l
	p, err := l.partition(tp)
	if err != nil {
		return err
	}
	if err := l.ops.Enter(ctx); err != nil {
		return err
	}
	defer l.ops.Leave()
	if p.last.Above(from) == nil {
		return nil
	}
	t := &p.tail
	t.Lock()
	t.waiting[&from] = struct{}{}
	if !t.running {
		t.running, t.at = true, from
		l.running.Go(func() { l.tailPartition(p) })
	}
	t.at = min(t.at, from)
	t.Unlock()
	defer func() {
		t.Lock()
		delete(t.waiting, &from)
		t.Unlock()
	}()
	for {
		raised := p.last.Above(from)
		if raised == nil {
			return nil
		}
		select {
		case <-raised:
		case <-ctx.Done():
			return gate.Ended(ctx)
		case <-l.ops.Ending():
			return gate.Closed()
		}
	}
}

// tailPartition fetches while anybody waits.
func (l *Log) tailPartition(p *partition) {
	t := &p.tail
	for failed := 0; ; {
		t.Lock()
		if len(t.waiting) == 0 || l.stopped() {
			t.running = false
			t.Unlock()
			return
		}
		at := t.at
		t.Unlock()
		b, err := l.fetch(p, at, tailWait, tailBytes)
		var k *block
		if err == nil {
			k, err = newBlock(p, b, at)
		}
		if errors.Is(err, sarama.ErrOffsetOutOfRange) {
			// Behind the end, or before what is left: the brokers know the end.
			if at, err = l.listOffset(p, sarama.OffsetNewest); err == nil {
				at, err = l.lastBefore(context.Background(), p, at)
			}
			if err == nil {
				p.last.Raise(at)
				l.pause(context.Background(), 0)
				continue
			}
		}
		if err != nil { // a broker is gone: it is looked again in a while
			failed++
			l.pause(context.Background(), min(failed-1, 4))
			continue
		}
		failed = 0
		last := int64(0)
		k.records(func(r *streams.Record) bool {
			last = r.Offset + 1
			return true
		})
		p.last.Raise(last)
		t.Lock()
		if t.at == at { // else somebody waits for an earlier one
			t.at = k.next
		}
		t.Unlock()
	}
}
