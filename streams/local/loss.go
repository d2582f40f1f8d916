package local

import (
	"context"
	"encoding/binary"
	"errors"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/projectionist/projectionist/internal/damage"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/streams"
)

// Loss is records that were acknowledged, are gone, and were given up by an operator. Their offsets are not given
// out again: the partition goes on at To.
type Loss struct {
	Missing  // no offset where only how far the log went was not known any more, or no record is missing
	Accepted time.Time
	Reason   string
}

// give accepts what is missing: it is written down before anything else is.
func (l *Log) give(s *Shortfall) error {
	millis := max(l.lastMillis, l.opts.Now().UnixMilli())
	l.bare = max(l.bare, s.bare) + 1
	batch := l.db.NewBatch()
	defer batch.Close()
	missing := s.Missing
	if len(missing) == 0 {
		missing = []Missing{{l.ledger.TP, l.ledger.top, l.ledger.top}}
	}
	for _, m := range missing {
		p, err := l.partition(m.TP)
		if err != nil {
			return err
		}
		value := binary.BigEndian.AppendUint64(nil, uint64(max(m.To, p.next))) // there may have been one before
		value = binary.BigEndian.AppendUint64(value, uint64(millis))
		if err := batch.Set(lossKey(p.topic, uint32(p.Partition), m.From), append(value, l.opts.AcceptLoss...), nil); err != nil {
			return fault.Wrap(fault.Internal, err, "the loss cannot be written down")
		}
	}
	if err := batch.Set(bareKey, binary.BigEndian.AppendUint64(nil, l.bare), nil); err != nil {
		return fault.Wrap(fault.Internal, err, "the loss cannot be written down")
	}
	// Out of the WAL at once: were it lost again, the offsets would be given out after all.
	if err := errors.Join(batch.Commit(pebble.Sync), l.db.Flush()); err != nil {
		return fault.Wrap(fault.Unavailable, err, "the loss cannot be written down")
	}
	return l.passLosses()
}

// passLosses lets each partition go on behind what it has lost.
func (l *Log) passLosses() error {
	losses, err := readLosses(l.db, l.partitions)
	for _, loss := range losses {
		p, err := l.partition(loss.TP)
		if err != nil {
			return err
		}
		p.next = max(p.next, loss.To)
	}
	return err
}

// Losses are those that were accepted, by partition and offset.
func (l *Log) Losses() ([]Loss, error) {
	if err := l.ops.Enter(context.Background()); err != nil {
		return nil, err
	}
	defer l.ops.Leave()
	return readLosses(l.db, l.partitions)
}

func readLosses(db pebble.Reader, partitions []*partition) ([]Loss, error) {
	const message = "what was lost cannot be read"
	iter, err := db.NewIter(&pebble.IterOptions{LowerBound: []byte{prefixLoss}, UpperBound: []byte{prefixLoss + 1}})
	if err != nil {
		return nil, readError(err, message)
	}
	defer iter.Close()
	var losses []Loss
	for ok := iter.First(); ok; ok = iter.Next() {
		topic, partition, from, known := parseKey(prefixLoss, iter.Key())
		v, err := iter.ValueAndErr()
		if err != nil || !known || len(v) < 16 {
			f := fault.New(fault.Corrupt, message)
			f.Err = damage.Of(err)
			return nil, f
		}
		loss := Loss{Accepted: time.UnixMilli(int64(binary.BigEndian.Uint64(v[8:]))).UTC(), Reason: string(v[16:])}
		loss.From, loss.To = from, int64(binary.BigEndian.Uint64(v))
		for _, p := range partitions {
			if p.topic == topic && p.Partition == int32(partition) {
				loss.TP = p.TP
			}
		}
		if loss.TP == (streams.TP{}) {
			return nil, fault.New(fault.Corrupt, message)
		}
		losses = append(losses, loss)
	}
	return losses, readError(iter.Error(), message)
}
