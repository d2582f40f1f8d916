package door

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"strings"
	"sync"
	"time"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/streams"
	"github.com/projectionist/projectionist/streams/internal/varint"
)

// A record batch, format v2:
//
//	offset 8 | length 4 | leader epoch 4 | magic 1 | CRC-32C 4 of what follows | attributes 2 |
//	last offset delta 4 | first time 8 | last time 8 | producer 8 | epoch 2 | sequence 4 | records 4
//
// and then records: length varint | attributes 1 | time delta varint | offset delta varint | tail.
const (
	batchHeadBytes  = 61
	batchLengthFrom = 12 // the length counts from here
	batchCRCFrom    = 21
	batchMagic      = 2
	recordBytesMin  = 7
	recordHeadBytes = 6  // before the tail of a batch's only record, if it is of streams.RecordBytesMax
	tailHeadBytes   = 24 // a slice
	// readBatchMax bounds the batches whose facts are handed to the log as they were read: clients that follow what
	// people do send a few records at a time. More at once are a load, which is folded from the log.
	readBatchMax     = 64
	codecMask        = 0x07
	timestampTypeBit = 0x08
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// refusal is why a batch is not taken.
type refusal struct {
	code    int16
	record  int // number of the record at fault, or -1
	message string
	err     error           // Validate's, or nil
	rec     *streams.Record // the record that Validate refused
}

func (r *refusal) Error() string { return r.message }

func refuse(code int16, format string, args ...any) *refusal {
	message := fmt.Sprintf(format, args...)
	if len(message) > messageBytesMax {
		message = strings.ToValidUTF8(message[:messageBytesMax], "") + "…"
	}
	return &refusal{code: code, record: -1, message: message}
}

// batch is a Produce request's batch for one partition, taken apart. Tails point into the request, into
// what was decompressed, or into marked.
type batch struct {
	tails    [][]byte
	facts    []*events.Event // as Config.Read has read them; none of a large batch
	plain    []byte          // what was decompressed
	marked   []byte          // the last piece of the tails to which Validate has added headers
	producer int64
	epoch    int16
	sequence int32
}

// readBatch takes a batch apart and checks every record against what the log takes and Validate. charge
// is asked for the memory that it takes beyond the request.
func (d *Door) readBatch(topic string, partition int32, b []byte, charge func(int64) bool) (*batch, *refusal) {
	if len(b) < batchHeadBytes {
		return nil, refuse(codeInvalidRecord, "a batch of %d bytes; want %d or more", len(b), batchHeadBytes)
	}
	if len(b) > batchBytesMax {
		return nil, refuse(codeMessageTooLarge, "a batch of %d bytes; at most %d are allowed", len(b), batchBytesMax)
	}
	if b[16] != batchMagic {
		return nil, refuse(codeInvalidRecord, "record format %d; want 2", int8(b[16]))
	}
	if n := int64(int32(binary.BigEndian.Uint32(b[8:]))); n != int64(len(b)-batchLengthFrom) {
		return nil, refuse(codeInvalidRecord, "the batch says %d bytes and has %d; want one batch per partition", n, len(b)-batchLengthFrom)
	}
	if crc32.Checksum(b[batchCRCFrom:], castagnoli) != binary.BigEndian.Uint32(b[17:]) {
		return nil, refuse(codeCorruptMessage, "the batch's CRC-32C is wrong")
	}
	attributes := binary.BigEndian.Uint16(b[21:])
	if attributes&^(codecMask|timestampTypeBit) != 0 {
		return nil, refuse(codeInvalidRecord, "batch attributes %#x: there are no transactions or control records here", attributes)
	}
	out := &batch{
		producer: int64(binary.BigEndian.Uint64(b[43:])),
		epoch:    int16(binary.BigEndian.Uint16(b[51:])),
		sequence: int32(binary.BigEndian.Uint32(b[53:])),
	}
	if out.producer < 0 {
		out.producer = -1
	} else if out.epoch < 0 || out.sequence < 0 {
		return nil, refuse(codeInvalidRecord, "producer %d with epoch %d and sequence %d", out.producer, out.epoch, out.sequence)
	}
	count, last := int32(binary.BigEndian.Uint32(b[57:])), int32(binary.BigEndian.Uint32(b[23:]))
	if count < 1 || last != count-1 {
		return nil, refuse(codeInvalidRecord, "a batch of %d records whose last offset delta is %d", count, last)
	}
	records, extra := b[batchHeadBytes:], int64(0)
	if codec := int(attributes & codecMask); codec != codecNone {
		var err error
		if records, err = d.decompress(codec, records); err != nil {
			code := int16(codeCorruptMessage)
			switch {
			case errors.Is(err, errTooLarge):
				code = codeMessageTooLarge
			case errors.Is(err, errCodec):
				code = codeUnsupportedCompression
			}
			return nil, refuse(code, "the batch cannot be decompressed: %v", err)
		}
	}
	if attributes&codecMask != codecNone {
		extra, out.plain = int64(len(records)), records
	}
	if int64(count)*recordBytesMin > int64(len(records)) {
		return nil, refuse(codeInvalidRecord, "%d records in %d bytes", count, len(records))
	}
	if !charge(extra + int64(count)*tailHeadBytes) {
		return nil, refuse(codeStorage, "too many requests are under way")
	}
	out.tails = takeTails(int(count))
	times := recordTimes{base: int64(binary.BigEndian.Uint64(b[27:])), last: int64(binary.BigEndian.Uint64(b[35:])), same: attributes&timestampTypeBit != 0}
	rec := streams.Record{Position: streams.Position{TP: streams.TP{Topic: topic, Partition: partition}, Offset: -1}}
	read := d.cfg.Read != nil && count <= readBatchMax
	for i := range out.tails {
		at := func(r *refusal) (*batch, *refusal) {
			r.record = i
			return nil, r
		}
		tail, delta, rest, ok := cutRecord(records, int64(i))
		if !ok {
			return at(refuse(codeInvalidRecord, "record %d is malformed", i))
		}
		records = rest
		if err := streams.ParseTail(tail, &rec); err != nil {
			return at(refuse(codeInvalidRecord, "record %d: %v", i, err))
		}
		if r := checkRecord(&rec, tail, i); r != nil {
			return at(r)
		}
		if read || d.cfg.Validate != nil {
			headers := len(rec.Headers)
			rec.Recorded = times.of(delta)
			var err error
			if read {
				var fact *events.Event
				fact, err = d.cfg.Read(topic, &rec)
				out.facts = append(out.facts, fact)
			} else {
				err = d.cfg.Validate(topic, &rec)
			}
			if err != nil {
				r := refuse(codeInvalidRecord, "record %d: %v", i, err)
				r.err, r.rec = err, &rec
				return at(r)
			}
			if len(rec.Headers) > headers {
				var r *refusal
				if tail, r = out.mark(&rec, i, charge); r != nil {
					return at(r)
				}
			}
		}
		out.tails[i] = tail
	}
	if len(records) != 0 {
		return nil, refuse(codeInvalidRecord, "%d bytes after the batch's last record", len(records))
	}
	return out, nil
}

func checkRecord(rec *streams.Record, tail []byte, i int) *refusal {
	err := streams.CheckRecord(rec)
	switch {
	case err == nil:
		return nil
	case len(tail) > streams.RecordBytesMax:
		return refuse(codeMessageTooLarge, "record %d: %v", i, err)
	}
	return refuse(codeInvalidRecord, "record %d: %v", i, err)
}

// mark is the tail of a record to which headers were added.
func (b *batch) mark(rec *streams.Record, i int, charge func(int64) bool) ([]byte, *refusal) {
	size := streams.TailSize(rec)
	if cap(b.marked)-len(b.marked) < size {
		piece := max(size, markedBytes)
		if !charge(int64(piece)) {
			return nil, refuse(codeStorage, "too many requests are under way")
		}
		b.marked = make([]byte, 0, piece)
	}
	n := len(b.marked)
	b.marked = streams.AppendTail(b.marked, rec)
	tail := b.marked[n:len(b.marked):len(b.marked)]
	return tail, checkRecord(rec, tail, i)
}

// markedBytes is the piece of memory for the tails to which headers are added.
const markedBytes = 4 << 10

// recordTimes are the times that a client gives the records of a batch, in Unix milliseconds.
type recordTimes struct {
	base, last int64
	same       bool // all have the last
}

// of is the time of a record, the zero time if it has none: Kafka's clients write -1, and some 0.
func (t recordTimes) of(delta int64) time.Time {
	millis := t.base + delta
	if t.same {
		millis = t.last
	}
	if millis <= 0 {
		return time.Time{}
	}
	return time.UnixMilli(millis).UTC()
}

// tails are slices of tails that were used before.
var tails sync.Pool

func takeTails(n int) [][]byte {
	if t, ok := tails.Get().(*[][]byte); ok && cap(*t) >= n {
		return (*t)[:n]
	}
	return make([][]byte, n)
}

func giveTails(t [][]byte) {
	clear(t) // they must not keep what they were pieces of
	tails.Put(&t)
}

// decompress bounds how many batches are decompressed at once.
func (d *Door) decompress(codec int, b []byte) ([]byte, error) {
	d.decoders <- struct{}{}
	defer func() { <-d.decoders }()
	return decompress(codec, b)
}

// cutRecord takes one record, and gives its tail and how far its time is from the batch's. Its offset delta
// has to be as given.
func cutRecord(b []byte, number int64) (tail []byte, delta int64, rest []byte, ok bool) {
	n, b, ok := varint.Cut(b)
	if !ok || n < recordBytesMin-1 || n > int64(len(b)) {
		return nil, 0, nil, false
	}
	rec, rest := b[:n:n], b[n:]
	if rec = rec[1:]; len(rec) == 0 { // attributes are not used
		return nil, 0, nil, false
	}
	if delta, rec, ok = varint.Cut(rec); !ok {
		return nil, 0, nil, false
	}
	have, rec, ok := varint.Cut(rec)
	if !ok || have != number {
		return nil, 0, nil, false
	}
	return rec, delta, rest, true
}

// batchWriter builds batches to hand out.
type batchWriter struct {
	buf    []byte
	start  int // of the open batch, or -1
	base   int64
	millis int64 // when the log took all of its records
	delta  int64 // of the last record's offset: count-1, or more where the log has a hole
	count  int32
}

// add appends one record, and says how long the buffer is. Clients give all records of a batch of Kafka's
// LogAppendTime the batch's time: one that the log took at another begins a batch of its own.
func (w *batchWriter) add(offset, millis int64, tail []byte) int {
	if w.start >= 0 && (millis != w.millis || len(w.buf)-w.start >= fetchBatchBytes || offset-w.base > math.MaxInt32) {
		w.end()
	}
	if w.start < 0 {
		w.start, w.base, w.millis, w.count = len(w.buf), offset, millis, 0
		w.buf = append(w.buf, make([]byte, batchHeadBytes)...)
	}
	var head [24]byte
	h := append(head[:0], 0, 0) // no attributes; the batch's time
	h = binary.AppendVarint(h, offset-w.base)
	w.buf = binary.AppendVarint(w.buf, int64(len(h)+len(tail)))
	w.buf = append(w.buf, h...)
	w.buf = append(w.buf, tail...)
	w.delta = offset - w.base
	w.count++
	return len(w.buf)
}

// end completes the open batch.
func (w *batchWriter) end() {
	if w.start < 0 {
		return
	}
	b := w.buf[w.start:]
	w.start = -1
	binary.BigEndian.PutUint64(b, uint64(w.base))
	binary.BigEndian.PutUint32(b[8:], uint32(len(b)-batchLengthFrom))
	binary.BigEndian.PutUint32(b[12:], 0xffffffff) // no leader epoch
	b[16] = batchMagic
	binary.BigEndian.PutUint16(b[21:], timestampTypeBit)
	binary.BigEndian.PutUint32(b[23:], uint32(w.delta))
	binary.BigEndian.PutUint64(b[27:], uint64(w.millis))
	binary.BigEndian.PutUint64(b[35:], uint64(w.millis))
	for i := 43; i < 57; i++ { // no producer, epoch, sequence: -1
		b[i] = 0xff
	}
	binary.BigEndian.PutUint32(b[57:], uint32(w.count))
	binary.BigEndian.PutUint32(b[17:], crc32.Checksum(b[batchCRCFrom:], castagnoli))
}

// faultCode is Kafka's code for an error of the log.
func faultCode(err error) int16 {
	switch fault.CodeOf(err) {
	case fault.NotFound:
		return codeUnknownTopic
	case fault.TooLarge:
		return codeMessageTooLarge
	case fault.Invalid:
		return codeInvalidRequest
	case fault.Unavailable, fault.Unknown, fault.Corrupt:
		return codeStorage
	}
	return codeUnknown
}
