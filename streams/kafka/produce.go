package kafka

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/IBM/sarama"

	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/streams"
	"github.com/projectionist/projectionist/streams/internal/gate"
)

// How records are written. Every partition has one writer, which takes all that waits, up to batchBytes,
// makes one record batch of it, and has at most that one in flight: what arrives meanwhile goes into the
// next. The producer is idempotent as Kafka's own clients are: every batch carries the producer's id and
// a sequence number, so that a batch sent again after an error in between is in the log once. When a
// batch is given up in doubt the next begins with a new producer id. (sarama's own producers are not used
// here: their hand-overs cost more than the write itself, and after three failed look-ups of a leader
// they refuse everything for ten seconds, back or not.)

// request is some records of one partition. It has its own copy of their bytes: a caller that gives up
// may go on while they are still being sent.
type request struct {
	ctx     context.Context
	recs    []*sarama.Record
	bytes   int
	state   atomic.Int32
	expires time.Time

	// Set by the writer before done is closed.
	offset int64 // of the first record
	at     time.Time
	err    error
	done   chan struct{}
}

const (
	queued    = int32(iota)
	taken     // by the writer
	abandoned // by the caller, before it was taken
)

// chunk collects a request's records.
type chunk struct {
	records []sarama.Record
	headers []sarama.RecordHeader
	arena   []byte
	bytes   int
}

// add copies a record; size is its tail's.
func (c *chunk) add(r *streams.Record, size int) {
	c.bytes += size + recordOverhead
	c.records = append(c.records, sarama.Record{Key: c.copy(r.Key), Value: c.copy(r.Value)})
	for i := range r.Headers {
		h := &r.Headers[i]
		n := len(c.arena)
		c.arena = append(c.arena, h.Key...)
		c.headers = append(c.headers, sarama.RecordHeader{Key: c.arena[n:len(c.arena):len(c.arena)], Value: c.copy(h.Value)})
	}
	c.records[len(c.records)-1].OffsetDelta = int64(len(r.Headers)) // until request makes the pointers
}

// copy copies into the arena; nil stays nil. When the arena moves, what was copied before keeps the old.
func (c *chunk) copy(b []byte) []byte {
	if b == nil {
		return nil
	}
	if len(b) == 0 {
		return []byte{}
	}
	n := len(c.arena)
	c.arena = append(c.arena, b...)
	return c.arena[n:len(c.arena):len(c.arena)]
}

// request ends the chunk.
func (c *chunk) request(ctx context.Context, expires time.Time) *request {
	headers := make([]*sarama.RecordHeader, len(c.headers))
	for i := range c.headers {
		headers[i] = &c.headers[i]
	}
	recs := make([]*sarama.Record, len(c.records))
	h := 0
	for i := range c.records {
		r := &c.records[i]
		n := h + int(r.OffsetDelta)
		r.Headers = headers[h:n:n]
		h = n
		recs[i] = r
	}
	return &request{ctx: ctx, recs: recs, bytes: c.bytes, expires: expires, done: make(chan struct{})}
}

// submit hands a request to the partition's writer. On an error it was not.
func (l *Log) submit(p *partition, r *request) error {
	select {
	case p.queue <- r:
		return nil
	default:
	}
	select {
	case p.queue <- r:
		return nil
	case <-r.ctx.Done():
		return gate.Ended(r.ctx)
	case <-l.stop:
		return gate.Closed()
	}
}

// await waits for a request's outcome.
func (l *Log) await(r *request) error {
	select {
	case <-r.done:
		return r.err
	case <-r.ctx.Done():
	}
	if r.state.CompareAndSwap(queued, abandoned) {
		return gate.Ended(r.ctx) // nothing was written
	}
	select {
	case <-r.done: // both happened: the outcome says more
		return r.err
	default:
		return fault.Wrap(fault.Unknown, r.ctx.Err(), "the caller gave up while it was being written")
	}
}

// writer writes a partition's requests.
type writer struct {
	l *Log
	p *partition

	id       int64 // the producer's, or -1
	epoch    int16
	sequence int32
	rest     *request // taken from the queue, and too large for the last batch
	told     bool     // the brokers' answer to the last batch says all that a fetch of it would
}

func (w *writer) run() {
	for {
		batch := w.take()
		if batch == nil {
			return
		}
		if len(batch) == 0 {
			continue
		}
		w.write(batch)
	}
}

// take waits for requests; nil means that the log is closed.
func (w *writer) take() []*request {
	var batch []*request
	bytes := 0
	r := w.rest
	w.rest = nil
	if r == nil {
		select {
		case r = <-w.p.queue:
		case <-w.l.stop:
			return nil
		}
	}
	for {
		if bytes > 0 && bytes+r.bytes > batchBytes {
			w.rest = r
			return batch
		}
		if r.state.CompareAndSwap(queued, taken) {
			batch = append(batch, r)
			bytes += r.bytes
		}
		select {
		case r = <-w.p.queue:
		default:
			if batch == nil {
				batch = []*request{} // all were abandoned
			}
			return batch
		}
	}
}

// write sends one batch until it is acknowledged, refused, or in doubt for too long.
func (w *writer) write(batch []*request) {
	offset, at, err := w.send(batch)
	if err == nil {
		last := offset
		for _, r := range batch {
			r.offset, r.at = last, at
			last += int64(len(r.recs))
		}
		w.p.last.Raise(last)
		// While others wait to be written, the fold takes what it fetches, beside the next batch.
		if w.p.ledger && !(w.told && w.rest == nil && len(w.p.queue) == 0 && w.l.foldWritten(batch)) {
			select {
			case w.l.unjudged <- struct{}{}:
			default:
			}
		}
	}
	for _, r := range batch {
		r.err = err
		close(r.done)
	}
}

func (w *writer) send(batch []*request) (offset int64, at time.Time, err error) {
	l, p := w.l, w.p
	recs := batch[0].recs
	expires := batch[0].expires
	for _, r := range batch[1:] {
		recs = append(recs[:len(recs):len(recs)], r.recs...)
		if r.expires.After(expires) {
			expires = r.expires
		}
	}
	for i, r := range recs {
		r.OffsetDelta = int64(i)
	}
	now := time.Now() // replaced by the broker's
	maybe := false    // written, by an attempt whose answer is not known
	giveUp := func(cause error) (int64, time.Time, error) {
		w.id = -1
		if maybe {
			return 0, at, fault.Wrap(fault.Unknown, cause, "the brokers did not answer: it may or may not have been written to %s", p.TP)
		}
		return 0, at, brokerError(cause, "nothing was written to "+p.TP.String())
	}
	for try := 0; ; try++ {
		if w.id < 0 {
			if err = w.introduce(); err != nil && transient(err) {
				if !w.again(batch, expires, try) {
					return giveUp(err)
				}
				continue
			} else if err != nil {
				return giveUp(err)
			}
		}
		var ack *sarama.ProduceResponseBlock
		ack, err = w.produce(recs, now, now)
		if err != nil {
			var unsent errUnsent
			maybe = maybe || !errors.As(err, &unsent)
			if errors.Is(err, sarama.ErrIncompleteResponse) {
				return giveUp(err)
			}
		} else {
			switch err = ack.Err; ack.Err {
			case sarama.ErrNoError:
				w.told = !maybe && !ack.Timestamp.IsZero()
				if ack.Timestamp.IsZero() {
					ack.Timestamp = now // the topic was given CreateTime since it was checked
				}
				return ack.Offset, ack.Timestamp.UTC().Truncate(time.Millisecond), nil
			case sarama.ErrDuplicateSequenceNumber:
				maybe = true // it is there, but the broker no longer knows where
				return giveUp(err)
			case sarama.ErrOutOfOrderSequenceNumber, sarama.ErrUnknownProducerID, sarama.ErrInvalidProducerEpoch, sarama.ErrInvalidProducerIDMapping:
				// The broker does not know this producer's past. The ledger's fold tells a repeated commit
				// from a new one, and where nothing can have been written there is nothing to repeat.
				if maybe && !p.ledger {
					return giveUp(err)
				}
				w.id = -1
			case sarama.ErrMessageSizeTooLarge, sarama.ErrMessageSetSizeTooLarge:
				w.id = -1
				f := fault.New(fault.TooLarge, "topic %s does not take a batch of %d records", p.name, len(recs)).
					WithHint("set max.message.bytes of the topic to %d or more", messageBytesMin)
				f.Err = err
				return 0, at, f
			case sarama.ErrRequestTimedOut, sarama.ErrNotEnoughReplicasAfterAppend:
				maybe = true
			default:
				if !transient(err) {
					return giveUp(err)
				}
			}
			if transient(err) {
				l.refresh(p)
			}
		}
		if !w.again(batch, expires, try) {
			return giveUp(err)
		}
	}
}

// produce sends one batch once, whose records have times from first on, up to last.
func (w *writer) produce(recs []*sarama.Record, first, last time.Time) (*sarama.ProduceResponseBlock, error) {
	b := &sarama.RecordBatch{
		Version: 2, PartitionLeaderEpoch: -1,
		LastOffsetDelta: int32(len(recs) - 1), FirstTimestamp: first, MaxTimestamp: last,
		ProducerID: w.id, ProducerEpoch: w.epoch, FirstSequence: w.sequence, Records: recs,
	}
	req := &sarama.ProduceRequest{RequiredAcks: sarama.WaitForAll, Timeout: produceMillis, Version: 7}
	req.AddBatch(w.p.name, w.p.Partition, b)
	resp, err := ask(w.l, w.p, func(b *sarama.Broker) (*sarama.ProduceResponse, error) { return b.Produce(req) })
	if err != nil {
		return nil, err
	}
	ack := resp.GetBlock(w.p.name, w.p.Partition)
	if ack == nil {
		return nil, sarama.ErrIncompleteResponse
	}
	if ack.Err == sarama.ErrNoError {
		w.sequence = next(w.sequence, len(recs))
	}
	return ack, nil
}

// next is the sequence number n after one; Kafka's wrap from 2^31-1 to 0.
func next(sequence int32, n int) int32 { return int32((int64(sequence) + int64(n)) & (1<<31 - 1)) }

// again waits before the next try and says whether anybody still wants one.
func (w *writer) again(batch []*request, expires time.Time, try int) bool {
	if time.Now().After(expires) {
		return false
	}
	wanted := false
	for _, r := range batch {
		wanted = wanted || r.ctx.Err() == nil
	}
	return wanted && w.l.pause(context.Background(), try)
}

// introduce asks for a new producer id.
func (w *writer) introduce() error {
	req := &sarama.InitProducerIDRequest{Version: 1, TransactionTimeout: time.Minute, ProducerID: -1, ProducerEpoch: -1}
	resp, err := ask(w.l, w.p, func(b *sarama.Broker) (*sarama.InitProducerIDResponse, error) { return b.InitProducerID(req) })
	if err != nil {
		return err
	}
	if resp.Err != sarama.ErrNoError {
		return resp.Err
	}
	w.id, w.epoch, w.sequence = resp.ProducerID, resp.ProducerEpoch, 0
	return nil
}
