// Package varint reads the variable-length integers of Kafka's wire format and of stored records.
package varint

import "encoding/binary"

// Cut takes a signed integer (zigzag, as in a record of format v2) off b, however it is spelled. ok is false
// where b ends too soon or the integer has more than 64 bits.
func Cut(b []byte) (v int64, rest []byte, ok bool) {
	if len(b) > 0 && b[0] < 0x80 {
		return int64(b[0]>>1) ^ -int64(b[0]&1), b[1:], true
	}
	v, n := binary.Varint(b)
	if n <= 0 {
		return 0, nil, false
	}
	return v, b[n:], true
}

// CutShortest is Cut for what has one spelling only, the shortest: written again it gives the same bytes.
func CutShortest(b []byte) (v int64, rest []byte, ok bool) {
	v, rest, ok = Cut(b)
	return v, rest, ok && shortest(b[:len(b)-len(rest)])
}

// CutCount is CutShortest for an unsigned integer below 2⁶³.
func CutCount(b []byte) (v int64, rest []byte, ok bool) {
	if len(b) > 0 && b[0] < 0x80 {
		return int64(b[0]), b[1:], true
	}
	u, n := binary.Uvarint(b)
	if n <= 0 || u >= 1<<63 || !shortest(b[:n]) {
		return 0, nil, false
	}
	return int64(u), b[n:], true
}

// shortest says whether the last byte of an integer is needed.
func shortest(b []byte) bool { return len(b) == 1 || b[len(b)-1] != 0 }

// CountSize is how many bytes binary.AppendUvarint needs.
func CountSize(v uint64) int {
	n := 1
	for ; v >= 0x80; v >>= 7 {
		n++
	}
	return n
}
