// Package transfer moves a whole log into another one: every record to the position it has, with the
// recorded time it has, so that what names positions goes on meaning the same. It can be cut short and
// goes on where it stopped, and it reads both logs again before it calls the copy one.
//
// It knows logs by their contracts only, not which adapters they are, nor what any event means.
package transfer

import (
	"bytes"
	"context"
	"iter"
	"time"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

// Progress is told how far a stage is; total may be reached before the stage is over.
type Progress func(stage string, done, total int64)

const (
	// A batch is what one Restore gets: large enough that its sync or its way to a broker does not count,
	// small enough that the next is read meanwhile.
	batchRecords = 8192
	batchBytes   = 4 << 20
	// tailRecords is how many offsets back from its end a copy that is to go on is compared with the source.
	tailRecords = 1000
)

// Copy writes to the copy what it lacks of the source as that is now, and returns where that ends. A copy
// whose last records are not the source's is refused with fault.Conflict before anything is written.
func Copy(ctx context.Context, from streams.Log, to streams.Restorer, progress Progress) (streams.Cut, error) {
	cut, err := fold.HeadCut(ctx, from, time.Time{})
	if err != nil {
		return nil, err
	}
	have, err := fold.HeadCut(ctx, to, time.Time{})
	if err != nil {
		return nil, err
	}
	var done, total int64
	for _, tp := range streams.PartitionsOf() {
		if have[tp] > cut[tp] {
			return nil, fault.New(fault.Conflict, "%s of the copy has records up to offset %d, the source up to %d: it is a copy of another log, or the source has lost data", tp, have[tp], cut[tp]).
				WithHint("begin a copy in an empty place")
		}
		if have[tp] > 0 {
			if err := compareTail(ctx, from, to, tp, have[tp]); err != nil {
				return nil, err
			}
		}
		done, total = done+have[tp], total+cut[tp]
	}
	for _, tp := range streams.PartitionsOf() {
		err := copyPartition(ctx, from, to, tp, have[tp], cut[tp], func(next int64) {
			progress("copying", done+next-have[tp], total)
		})
		if err != nil {
			return nil, err
		}
		done += cut[tp] - have[tp]
	}
	return cut, nil
}

// compareTail compares what stands before the copy's head with the source's.
func compareTail(ctx context.Context, from, to streams.Log, tp streams.TP, head int64) error {
	var have []record
	begin := max(0, head-tailRecords)
	for r, err := range read(ctx, to, tp, begin, head) {
		if err != nil {
			return err
		}
		have = append(have, r.clone())
	}
	diff := ""
	n := 0
	for r, err := range read(ctx, from, tp, begin, head) {
		if err != nil {
			return err
		}
		if n == len(have) {
			diff = "the source has " + at(tp, r.offset) + ", the copy has not"
		} else {
			diff = difference(tp, &r, &have[n])
		}
		if n++; diff != "" {
			break
		}
	}
	if diff == "" && n < len(have) {
		diff = "the copy has " + at(tp, have[n].offset) + ", the source has not"
	}
	if diff != "" {
		return fault.New(fault.Conflict, "the records that are there are of another log: %s", diff).WithHint("begin a copy in an empty place")
	}
	return nil
}

// copyPartition restores the records from an offset to another one.
func copyPartition(ctx context.Context, from streams.Log, to streams.Restorer, tp streams.TP, begin, end int64, progress func(next int64)) error {
	if begin >= end {
		return nil
	}
	ctx, stop := context.WithCancel(ctx)
	type result struct {
		b   *batch
		err error
	}
	batches := make(chan result)
	free := make(chan *batch, 2) // to be used again
	free <- &batch{}
	free <- &batch{}
	reading := make(chan struct{})
	go func() {
		defer close(reading)
		defer close(batches)
		err := readBatches(ctx, from, tp, begin, end, free, func(b *batch) bool {
			select {
			case batches <- result{b: b}:
				return true
			case <-ctx.Done():
				return false
			}
		})
		if err != nil {
			select {
			case batches <- result{err: err}:
			case <-ctx.Done():
			}
		}
	}()
	defer func() {
		stop()
		<-reading
	}()
	for r := range batches {
		if r.err != nil {
			return r.err
		}
		if err := to.Restore(ctx, tp, r.b.recs); err != nil {
			return err
		}
		progress(r.b.recs[len(r.b.recs)-1].Offset + 1)
		free <- r.b
	}
	if err := ctx.Err(); err != nil {
		return fault.Wrap(fault.Unavailable, err, "the copying was ended")
	}
	return nil
}

// readBatches reads a partition in batches, each in one of free, until use says no.
func readBatches(ctx context.Context, from streams.Log, tp streams.TP, begin, end int64, free <-chan *batch, use func(*batch) bool) error {
	var b *batch
	take := func() bool {
		select {
		case b = <-free:
			b.reset()
			return true
		case <-ctx.Done():
			return false
		}
	}
	if !take() {
		return nil
	}
	for r, err := range records(ctx, from, tp, begin, end) {
		if err != nil {
			return err
		}
		if len(b.recs) >= batchRecords || b.bytes >= batchBytes {
			if !use(b) || !take() {
				return nil
			}
		}
		b.add(r)
	}
	if len(b.recs) > 0 {
		use(b)
	}
	return nil
}

// records are those of a partition as streams.Restorer takes them, from an offset up to another one. A
// record is valid until the next one.
func records(ctx context.Context, log streams.Log, tp streams.TP, begin, end int64) iter.Seq2[*streams.Record, error] {
	return func(yield func(*streams.Record, error) bool) {
		if tp.Topic != events.LedgerTopic {
			for r, err := range log.Feed().Read(ctx, tp, begin) {
				if err == nil && r.Offset >= end || !yield(r, err) {
					return
				}
			}
			return
		}
		for c, err := range log.Ledger().Read(ctx, begin) {
			if c == nil { // else it is copied, whether this program can read it or not
				yield(nil, err)
				return
			}
			if c.Position.Offset >= end {
				return
			}
			r, err := commitRecord(c)
			if !yield(&r, err) {
				return
			}
		}
	}
}

func commitRecord(c *streams.Committed) (streams.Record, error) {
	r, err := streams.CommitRecord(c.Commit)
	if err != nil {
		return r, fault.Wrap(fault.Corrupt, err, "commit %s cannot be written as it was read", c.Position)
	}
	r.Position, r.Recorded = c.Position, c.Recorded
	return r, nil
}

// batch holds copies of records in memory of its own, which is used again.
type batch struct {
	recs    []streams.Record
	headers []streams.Header
	arena   []byte
	names   map[string]string // of headers
	bytes   int
}

func (b *batch) reset() {
	b.recs, b.headers, b.arena, b.bytes = b.recs[:0], b.headers[:0], b.arena[:0], 0
	if len(b.names) > 1000 {
		clear(b.names)
	}
}

func (b *batch) add(r *streams.Record) {
	c := streams.Record{Position: r.Position, Recorded: r.Recorded, Key: b.copy(r.Key), Value: b.copy(r.Value)}
	first := len(b.headers)
	for i := range r.Headers {
		b.headers = append(b.headers, streams.Header{Key: b.name(r.Headers[i].Key), Value: b.copy(r.Headers[i].Value)})
	}
	c.Headers = b.headers[first:len(b.headers):len(b.headers)]
	b.recs = append(b.recs, c)
}

// copy copies into the arena; nil stays nil. When the arena moves, what was copied before keeps the old one.
func (b *batch) copy(v []byte) []byte {
	if v == nil {
		return nil
	}
	b.bytes += len(v)
	n := len(b.arena)
	b.arena = append(b.arena, v...)
	return b.arena[n:len(b.arena):len(b.arena)]
}

func (b *batch) name(s string) string {
	own, ok := b.names[s]
	if !ok {
		if b.names == nil {
			b.names = map[string]string{}
		}
		own = string(append([]byte(nil), s...))
		b.names[own] = own
	}
	return own
}

// record is one of a partition as it is compared.
type record struct {
	offset, millis int64
	stream         string // of a commit
	revision       streams.Revision
	events         int
	tail           []byte
}

func (r record) clone() record {
	r.tail = bytes.Clone(r.tail)
	return r
}

// read yields a partition's records from an offset up to another one; a tail is valid until the next.
func read(ctx context.Context, log streams.Log, tp streams.TP, begin, end int64) iter.Seq2[record, error] {
	return func(yield func(record, error) bool) {
		var tail []byte
		if tp.Topic != events.LedgerTopic {
			for r, err := range records(ctx, log, tp, begin, end) {
				if err != nil {
					yield(record{}, err)
					return
				}
				tail = streams.AppendTail(tail[:0], r)
				if !yield(record{offset: r.Offset, millis: r.Recorded.UnixMilli(), tail: tail}, nil) {
					return
				}
			}
			return
		}
		for c, err := range log.Ledger().Read(ctx, begin) {
			if c == nil {
				yield(record{}, err)
				return
			}
			if c.Position.Offset >= end {
				return
			}
			r, err := commitRecord(c)
			if err != nil {
				yield(record{}, err)
				return
			}
			tail = streams.AppendTail(tail[:0], &r)
			if !yield(record{c.Position.Offset, c.Recorded.UnixMilli(), c.Stream, c.Revision, len(c.Events), tail}, nil) {
				return
			}
		}
	}
}
