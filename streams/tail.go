package streams

// A record's tail: key, value and headers as in Kafka's record format v2.

import (
	"encoding/binary"

	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/streams/internal/varint"
)

// TailSize is the length of what [AppendTail] appends.
func TailSize(r *Record) int {
	n := sizedBytes(r.Key) + sizedBytes(r.Value) + varintSize(len(r.Headers))
	for i := range r.Headers {
		h := &r.Headers[i]
		n += varintSize(len(h.Key)) + len(h.Key) + sizedBytes(h.Value)
	}
	return n
}

// AppendTail appends the record's key, value and headers as Kafka's record format v2 has them; nil and
// empty are different.
func AppendTail(b []byte, r *Record) []byte {
	b = appendSized(b, r.Key)
	b = appendSized(b, r.Value)
	b = binary.AppendVarint(b, int64(len(r.Headers)))
	for i := range r.Headers {
		h := &r.Headers[i]
		b = binary.AppendVarint(b, int64(len(h.Key)))
		b = append(b, h.Key...)
		b = appendSized(b, h.Value)
	}
	return b
}

// ParseTail reads a whole tail into the record's Key, Value and Headers, which point into b; the
// Headers slice is reused. Only the shortest spelling is taken, so that AppendTail gives b again. The
// error is fault.Invalid.
func ParseTail(b []byte, r *Record) error {
	var ok bool
	if r.Key, b, ok = cutSized(b); !ok {
		return fault.New(fault.Invalid, "record: the key is cut short")
	}
	if r.Value, b, ok = cutSized(b); !ok {
		return fault.New(fault.Invalid, "record: the value is cut short")
	}
	count, b, ok := varint.CutShortest(b)
	if !ok || count < 0 || count > HeadersMax {
		return fault.New(fault.Invalid, "record: the header count is cut short, or over %d", HeadersMax)
	}
	hs := r.Headers[:0]
	for ; count > 0; count-- {
		var key, value []byte
		if key, b, ok = cutSized(b); !ok || key == nil {
			return fault.New(fault.Invalid, "record: a header key is cut short")
		}
		if value, b, ok = cutSized(b); !ok {
			return fault.New(fault.Invalid, "record: a header value is cut short")
		}
		hs = append(hs, Header{headerKey(key), value})
	}
	if len(b) != 0 {
		return fault.New(fault.Invalid, "record: %d bytes too many", len(b))
	}
	r.Headers = hs
	return nil
}

// headerKey is the key as a string, without an allocation for those this program writes.
func headerKey(b []byte) string {
	switch string(b) {
	case headerContentType:
		return headerContentType
	case headerCommitID:
		return headerCommitID
	case headerExpected:
		return headerExpected
	case headerSpecVersion:
		return headerSpecVersion
	case headerID:
		return headerID
	case headerType:
		return headerType
	case headerSource:
		return headerSource
	case headerTime:
		return headerTime
	case headerSchema:
		return headerSchema
	case headerSubject:
		return headerSubject
	case headerActor:
		return headerActor
	case headerCorrelation:
		return headerCorrelation
	case headerCausation:
		return headerCausation
	}
	return string(b)
}

// varintSize is the length of a varint of n, which is not negative.
func varintSize(n int) int { return varint.CountSize(uint64(n) << 1) }

func sizedBytes(b []byte) int {
	if b == nil {
		return 1
	}
	return varintSize(len(b)) + len(b)
}

func appendSized(dst, b []byte) []byte {
	if b == nil {
		return append(dst, 1) // the varint of -1
	}
	dst = binary.AppendVarint(dst, int64(len(b)))
	return append(dst, b...)
}

// cutSized takes a varint length and that many bytes; -1 is nil.
func cutSized(b []byte) (value, rest []byte, ok bool) {
	n, b, ok := varint.CutShortest(b)
	if !ok || n < -1 || n > int64(len(b)) {
		return nil, nil, false
	}
	if n == -1 {
		return nil, b, true
	}
	return b[:n:n], b[n:], true
}
