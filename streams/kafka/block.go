package kafka

import (
	"encoding/binary"
	"slices"
	"time"
	"unsafe"

	"github.com/IBM/sarama"

	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/streams"
)

// block is what one fetch brought.
type block struct {
	p    *partition
	b    *sarama.FetchResponseBlock
	from int64
	next int64 // the offset to fetch from next: after control records and holes too
	end  int64 // the last stable offset: what lies behind is not to be read yet
}

func newBlock(p *partition, b *sarama.FetchResponseBlock, from int64) (*block, error) {
	k := &block{p: p, b: b, from: from, next: from, end: b.LastStableOffset}
	if k.end < 0 {
		k.end = b.HighWaterMarkOffset
	}
	for _, rs := range b.RecordsSet {
		switch {
		case rs.RecordBatch == nil:
			return nil, fault.New(fault.Corrupt, "%s has records of a format older than Kafka 0.11", p.TP)
		case rs.RecordBatch.PartialTrailingRecord:
		default:
			k.next = max(k.next, rs.RecordBatch.LastOffset()+1)
		}
	}
	return k, nil
}

// records gives the block's records from its first offset on to fn until it says no. Control records,
// those of aborted transactions and void ones are left out. The record is fn's until the next one; its
// slices stay.
func (k *block) records(fn func(*streams.Record) bool) {
	k.all(func(r *streams.Record) bool { return isVoid(r) || fn(r) })
}

// isVoid says whether a record only fills a hole (restore.go).
func isVoid(r *streams.Record) bool {
	for i := range r.Headers {
		if r.Headers[i].Key == streams.VoidHeader {
			return true
		}
	}
	return false
}

// all is records with the void ones.
func (k *block) all(fn func(*streams.Record) bool) {
	rec := streams.Record{Position: streams.Position{TP: k.p.TP}}
	aborts := slices.Clone(k.b.AbortedTransactions)
	slices.SortFunc(aborts, func(a, b *sarama.AbortedTransaction) int { return int(min(max(a.FirstOffset-b.FirstOffset, -1), 1)) })
	aborting := map[int64]bool{} // producers inside a transaction that was aborted
	var millis int64
	for _, rs := range k.b.RecordsSet {
		b := rs.RecordBatch
		if b.PartialTrailingRecord {
			continue
		}
		for len(aborts) > 0 && aborts[0].FirstOffset <= b.LastOffset() {
			aborting[aborts[0].ProducerID] = true
			aborts = aborts[1:]
		}
		if b.Control {
			if len(b.Records) > 0 && isAbort(b.Records[0].Key) {
				delete(aborting, b.ProducerID)
			}
			continue
		}
		if b.IsTransactional && aborting[b.ProducerID] {
			continue
		}
		first, last := b.FirstTimestamp.UnixMilli(), b.MaxTimestamp.UnixMilli()
		for _, r := range b.Records {
			offset := b.FirstOffset + r.OffsetDelta
			if offset < k.from {
				continue
			}
			at := last // LogAppendTime: one time for the batch
			if !b.LogAppendTime {
				at = first + r.TimestampDelta.Milliseconds()
			}
			if at != millis || rec.Recorded.IsZero() {
				millis, rec.Recorded = at, time.UnixMilli(at).UTC()
			}
			rec.Offset, rec.Key, rec.Value = offset, r.Key, r.Value
			rec.Headers = appendHeaders(rec.Headers[:0], r)
			if !fn(&rec) {
				return
			}
		}
	}
}

// appendHeaders appends a record's headers. Their bytes are those of what was fetched or is being written,
// which nobody changes.
func appendHeaders(to []streams.Header, r *sarama.Record) []streams.Header {
	for _, h := range r.Headers {
		to = append(to, streams.Header{Key: unsafe.String(unsafe.SliceData(h.Key), len(h.Key)), Value: h.Value})
	}
	return to
}

// isAbort reads a control record's key: version 2 bytes, type 2 bytes, 0 for an abort.
func isAbort(key []byte) bool { return len(key) >= 4 && binary.BigEndian.Uint16(key[2:]) == 0 }
