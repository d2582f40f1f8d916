package local

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/streams"
	"github.com/projectionist/projectionist/streams/internal/gate"
	"github.com/projectionist/projectionist/streams/internal/lookup"
)

// TailBatch is records for one partition as a server of Kafka's protocol got them: each by its tail
// (see streams.AppendTail), which the caller has checked with streams.ParseTail and streams.CheckRecord.
type TailBatch struct {
	streams.TP
	Tails [][]byte // 1 or more; not kept after Wait
	// Facts are the records as the caller has read them, for who folds them: each is nil, or what reading the record
	// gives once its place is known ([events.Event.Place]); and the log's from now on. May be shorter than Tails.
	Facts []*events.Event

	// Producer is the id of an idempotent producer, or negative. Then Epoch and Sequence, of the first
	// record, say whether the batch is new.
	Producer int64
	Epoch    int16
	Sequence int32
}

// Appended says where a batch stands.
type Appended struct {
	Offset    int64 // of the first record
	Millis    int64 // recorded time of the batch
	Duplicate bool  // the producer had sent the batch before; nothing was written now
}

// What an idempotent producer is told, as Kafka does.
var (
	ErrOutOfOrderSequence = errors.New("the sequence number is not the one after the producer's last")
	ErrProducerEpoch      = errors.New("the producer's epoch is older than one that was seen")
)

// PendingAppend is a batch on its way to the disk. Wait must be called once.
type PendingAppend struct {
	l      *Log
	p      *partition
	r      *request
	result Appended
	n      int64
}

// SubmitTails queues a batch behind those submitted before. Batches of one caller keep their order.
// Errors are fault.NotFound for an unknown partition, fault.Invalid for the ledger's, and
// fault.Unavailable when the log is closed.
func (l *Log) SubmitTails(b TailBatch) (*PendingAppend, error) {
	p, err := l.partition(b.TP)
	if err != nil {
		return nil, err
	}
	if p == l.ledger {
		return nil, fault.New(fault.Invalid, "topic %s is the ledger's: it takes commits only", b.Topic)
	}
	if len(b.Tails) == 0 {
		return nil, fault.New(fault.Invalid, "a batch without records")
	}
	if err := l.writable(); err != nil {
		return nil, err
	}
	if err := l.ops.Enter(context.Background()); err != nil {
		return nil, err
	}
	a := &PendingAppend{l: l, p: p, n: int64(len(b.Tails))}
	a.r = &request{done: make(chan struct{})}
	for _, t := range b.Tails {
		a.r.bytes += len(t) + recordKeyBytes + 16
	}
	a.r.fill = func(g *group) error { return l.fillTails(g, a, &b) }
	if l.submit(a.r) {
		go l.lead()
	}
	return a, nil
}

// Wait waits until the batch is durable, or for a duplicate until the first one is. Errors:
// ErrOutOfOrderSequence, ErrProducerEpoch, and those of streams.Feed's Publish.
func (a *PendingAppend) Wait() (Appended, error) {
	defer a.l.ops.Leave()
	<-a.r.done
	if a.r.err != nil {
		return Appended{}, a.r.err
	}
	if a.result.Duplicate && !a.p.wait(context.Background(), a.result.Offset+a.n-1, a.l.dead) {
		return Appended{}, fault.New(fault.Unknown, "the append may or may not have been written: an earlier write failed")
	}
	if !a.result.Duplicate {
		a.l.stats.facts.Add(uint64(a.n))
	}
	return a.result, nil
}

// producers is the leader's cache of producers' states: what is not in it is in Pebble.
type producers map[producerKey]*producerState

// fillTails judges a batch's sequence and adds its records to the group's.
func (l *Log) fillTails(g *group, a *PendingAppend, b *TailBatch) error {
	p, n := a.p, int32(len(b.Tails))
	var state *producerState
	var key producerKey
	if b.Producer >= 0 {
		key = newProducerKey(p, b.Producer)
		var err error
		if state, err = l.producer(key); err != nil {
			return err
		}
		if dup, err := state.judge(b.Epoch, b.Sequence, n); err != nil {
			return err
		} else if dup != nil {
			a.result = Appended{Offset: dup.offset, Millis: dup.millis, Duplicate: true}
			return nil
		}
	}
	g.passHole(p)
	a.result = Appended{Offset: p.next, Millis: l.lastMillis}
	for i, tail := range b.Tails {
		size := recordValueSize(0, len(tail))
		op := g.batch.SetDeferred(recordKeyBytes, size)
		recordKey(op.Key, p.topic, uint32(p.Partition), p.next)
		v := append(lookup.AppendHead(op.Value[:0], l.lastMillis, 0), tail...)
		if len(v) != size {
			panic(fmt.Sprintf("record of %d bytes was measured as %d", len(v), size))
		}
		if err := op.Finish(); err != nil {
			panic(err)
		}
		if i < len(b.Facts) && b.Facts[i] != nil {
			recorded := time.UnixMilli(l.lastMillis).UTC()
			b.Facts[i].Place(streams.Position{TP: p.TP, Offset: p.next}, recorded)
			p.carry(p.next, recorded, b.Facts[i], size)
		}
		p.next++
	}
	p.top = p.next
	g.records += int(n)
	g.extend(p)
	if state != nil {
		if state.epoch != b.Epoch {
			state.epoch, state.batches = b.Epoch, state.batches[:0]
		}
		if len(state.batches) == producerBatchesMax {
			copy(state.batches, state.batches[1:])
			state.batches = state.batches[:producerBatchesMax-1]
		}
		state.batches = append(state.batches, producerBatch{b.Sequence, n, a.result.Offset, l.lastMillis})
		state.millis = l.lastMillis
		if err := g.batch.Set(key[:], appendProducerState(nil, state), nil); err != nil {
			panic(err) // an in-memory batch gives no error
		}
	}
	return nil
}

// extend says that the group holds records of the partition.
func (g *group) extend(p *partition) {
	for i := range g.ends {
		if g.ends[i].p == p {
			g.ends[i].next = p.next
			return
		}
	}
	g.ends = append(g.ends, end{p, p.next})
}

// producer is a producer's state on a partition; one that is not known has no batches and epoch -1.
func (l *Log) producer(key producerKey) (*producerState, error) {
	if s, ok := l.producers[key]; ok {
		return s, nil
	}
	if l.producers == nil || len(l.producers) >= producersMax {
		// States of the group being filled are not in Pebble yet: only those are carried over.
		kept := producers{}
		for k, s := range l.producers {
			if s.millis >= l.lastMillis {
				kept[k] = s
			}
		}
		l.producers = kept
	}
	s := &producerState{epoch: -1}
	v, closer, err := l.db.Get(key[:])
	switch {
	case errors.Is(err, pebble.ErrNotFound):
	case err != nil:
		return nil, readError(err, "the state of a producer cannot be read")
	default:
		s, err = parseProducerState(v)
		if err := errors.Join(err, closer.Close()); err != nil {
			return nil, err
		}
	}
	l.producers[key] = s
	return s, nil
}

// judge says whether a batch is the next one (nil, nil), was sent before, or is neither.
func (s *producerState) judge(epoch int16, sequence, n int32) (*producerBatch, error) {
	switch {
	case epoch < s.epoch:
		return nil, ErrProducerEpoch
	case epoch > s.epoch:
		// A producer that is not known may begin anywhere: its state may have expired.
		if s.epoch >= 0 && sequence != 0 {
			return nil, ErrOutOfOrderSequence
		}
		return nil, nil
	}
	for i := range s.batches {
		if e := &s.batches[i]; e.sequence == sequence && e.records == n {
			return e, nil
		}
	}
	if k := len(s.batches); k > 0 {
		last := s.batches[k-1]
		// Sequences go on at 0 after 2³¹-1.
		if next := int32((int64(last.sequence) + int64(last.records)) & math.MaxInt32); sequence != next {
			return nil, ErrOutOfOrderSequence
		}
	}
	return nil, nil
}

// ReserveProducers gives n producer ids from first on, which nobody got before or will again.
func (l *Log) ReserveProducers() (first, n int64, err error) {
	err = l.update(func(g *group) error {
		v, closer, err := l.db.Get([]byte{prefixNextProducer})
		switch {
		case errors.Is(err, pebble.ErrNotFound):
		case err != nil:
			return readError(err, "the next producer id cannot be read")
		case len(v) != 8:
			return errors.Join(fault.New(fault.Corrupt, "the next producer id has %d bytes; want 8", len(v)), closer.Close())
		default:
			first = int64(binary.BigEndian.Uint64(v))
			if err := closer.Close(); err != nil {
				return err
			}
		}
		first = max(first, l.nextProducer) // two reservations may meet in one group
		l.nextProducer = first + producerBlock
		return g.batch.Set([]byte{prefixNextProducer}, binary.BigEndian.AppendUint64(nil, uint64(l.nextProducer)), nil)
	})
	return first, producerBlock, err
}

// update has the leader add to a group's batch what is no record, and waits until it is durable.
func (l *Log) update(fill func(*group) error) error {
	if err := l.ops.Enter(context.Background()); err != nil {
		return err
	}
	defer l.ops.Leave()
	r := &request{bytes: 256, done: make(chan struct{})}
	r.fill = func(g *group) error {
		g.unrecorded = true
		return fill(g)
	}
	if l.submit(r) {
		l.lead()
	}
	<-r.done
	return r.err
}

// ExpireProducers forgets producers that were last used before a time, and says how many.
func (l *Log) ExpireProducers(ctx context.Context, before time.Time) (int, error) {
	millis, total := before.UnixMilli(), 0
	from := []byte{prefixProducer}
	for {
		var keys []producerKey
		next, err := l.oldProducers(from, millis, func(k producerKey) { keys = append(keys, k) })
		if err != nil {
			return total, err
		}
		if len(keys) > 0 {
			err = l.update(func(g *group) error {
				for _, k := range keys { // looked at again: it may have come back meanwhile
					s, err := l.producer(k)
					if err != nil {
						return err
					}
					if s.millis >= millis {
						continue
					}
					if err := g.batch.Delete(k[:], nil); err != nil {
						return err
					}
					delete(l.producers, k)
					total++
				}
				return nil
			})
			if err != nil {
				return total, err
			}
		}
		if next == nil {
			return total, nil
		}
		if err := gate.Ended(ctx); err != nil {
			return total, err
		}
		from = next
	}
}

// oldProducers gives those not used since a time, and the key to go on from, or nil at the end.
func (l *Log) oldProducers(from []byte, millis int64, old func(producerKey)) (next []byte, err error) {
	if err := l.ops.Enter(context.Background()); err != nil {
		return nil, err
	}
	defer l.ops.Leave()
	iter, err := l.db.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: []byte{prefixProducer + 1}})
	if err != nil {
		return nil, readError(err, "the producers cannot be read")
	}
	defer iter.Close()
	seen := 0
	for ok := iter.First(); ok; ok = iter.Next() {
		if seen++; seen > expireBatch {
			return append([]byte(nil), iter.Key()...), nil
		}
		v, err := iter.ValueAndErr()
		if err != nil {
			return nil, readError(err, "the producers cannot be read")
		}
		s, err := parseProducerState(v)
		if err != nil || len(iter.Key()) != producerKeyBytes {
			return nil, fault.Wrap(fault.Corrupt, err, "the state of producer %x is damaged", iter.Key())
		}
		if s.millis < millis {
			old(producerKey(iter.Key()))
		}
	}
	if err := iter.Error(); err != nil {
		return nil, readError(err, "the producers cannot be read")
	}
	return nil, nil
}
