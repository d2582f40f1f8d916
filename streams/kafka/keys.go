package kafka

import (
	"encoding/binary"

	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/streams"
	"github.com/projectionist/projectionist/streams/internal/varint"
)

// The index's keys. Integers are big-endian, so that keys sort as the numbers do.
//
//	| key                       | value                                                     |
//	| o | offset 8              | recorded millis 8 | first revision uvarint | tail, of an accepted commit |
//	| x | stream | 0 | revision 8 | offset 8 of the commit whose LAST event has that revision |
//	| c | commit id             | offset 8 | last revision 8 | recorded millis 8 | stream      |
//	| s                         | state, JSON                                               |
//
// The tail is streams.AppendTail's. A stream's name has no zero byte. A change of this table raises
// indexFormat: the index of another format is folded anew.
const (
	prefixCommit = 'c'
	prefixOffset = 'o'
	prefixState  = 's'
	prefixStream = 'x'
)

var stateKey = []byte{prefixState}

func offsetKey(offset int64) []byte {
	return binary.BigEndian.AppendUint64([]byte{prefixOffset}, uint64(offset))
}

func parseOffsetKey(b []byte) (int64, bool) {
	if len(b) != 9 || b[0] != prefixOffset || b[1] >= 0x80 {
		return 0, false
	}
	return int64(binary.BigEndian.Uint64(b[1:])), true
}

func streamKey(stream string, last streams.Revision) []byte {
	b := make([]byte, 0, len(stream)+10)
	b = append(b, prefixStream)
	b = append(b, stream...)
	b = append(b, 0)
	return binary.BigEndian.AppendUint64(b, uint64(last))
}

// streamKeyEnd is the key after all of a stream.
func streamKeyEnd(stream string) []byte {
	b := make([]byte, 0, len(stream)+2)
	b = append(b, prefixStream)
	b = append(b, stream...)
	return append(b, 1)
}

func parseStreamKey(b []byte) (stream string, last streams.Revision, ok bool) {
	n := len(b) - 9
	if n < 2 || b[0] != prefixStream || b[n] != 0 || b[n+1] >= 0x80 {
		return "", 0, false
	}
	return string(b[1:n]), streams.Revision(binary.BigEndian.Uint64(b[n+1:])), true
}

func commitKey(id string) []byte { return append([]byte{prefixCommit}, id...) }

func appendCommitHead(b []byte, millis int64, first streams.Revision) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(millis))
	return binary.AppendUvarint(b, uint64(first))
}

func parseCommitHead(b []byte) (millis int64, first streams.Revision, tail []byte, ok bool) {
	if len(b) < 9 {
		return 0, 0, nil, false
	}
	n, tail, ok := varint.CutCount(b[8:])
	return int64(binary.BigEndian.Uint64(b)), streams.Revision(n), tail, ok
}

// entry is what the index of commit ids knows: the receipt, and the stream to tell a repeat from a
// misuse.
type entry struct {
	offset int64
	last   streams.Revision
	millis int64
	stream string
}

func appendEntry(b []byte, e entry) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(e.offset))
	b = binary.BigEndian.AppendUint64(b, uint64(e.last))
	b = binary.BigEndian.AppendUint64(b, uint64(e.millis))
	return append(b, e.stream...)
}

func parseEntry(b []byte) (entry, error) {
	if len(b) < 25 {
		return entry{}, fault.New(fault.Corrupt, "an entry of the index of commit ids has %d bytes; want 25 or more", len(b)).WithHint(hintDelete)
	}
	return entry{
		offset: int64(binary.BigEndian.Uint64(b)),
		last:   streams.Revision(binary.BigEndian.Uint64(b[8:])),
		millis: int64(binary.BigEndian.Uint64(b[16:])),
		stream: string(b[24:]),
	}, nil
}
