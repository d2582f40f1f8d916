// Package lookup is how an adapter that keeps commits in Pebble finds them: by stream and revision, by commit
// id, and by recorded time.
//
// The adapter decides where the records stand; these keys of its index stand beside them in the same database:
//
//	| key                         | value                                                      |
//	| x | stream | 0 | revision 8 | offset 8 of the commit whose LAST event has that revision   |
//	| c | commit id               | offset 8 | last revision 8 | recorded millis 8 | stream       |
//
// and a record's value begins with what the log knows of it:
//
//	recorded millis 8 | first revision uvarint | tail
//
// Integers are big-endian, so that keys sort as the numbers do. The tail is streams.AppendTail's. A fact's
// first revision is 0 and means nothing. A stream's name has no zero byte. What is damaged gives an error
// that is pebble.ErrCorruption.
package lookup

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/projectionist/projectionist/streams"
	"github.com/projectionist/projectionist/streams/internal/varint"
)

// The first bytes of the index's keys.
const (
	PrefixCommit = 'c'
	PrefixStream = 'x'
)

// StreamKey is the key of the commit whose last event has a revision.
func StreamKey(stream string, last streams.Revision) []byte {
	b := make([]byte, 0, len(stream)+10)
	b = append(b, PrefixStream)
	b = append(b, stream...)
	b = append(b, 0)
	return binary.BigEndian.AppendUint64(b, uint64(last))
}

// streamKeyEnd is the key after all of a stream.
func streamKeyEnd(stream string) []byte {
	b := make([]byte, 0, len(stream)+2)
	b = append(b, PrefixStream)
	b = append(b, stream...)
	return append(b, 1)
}

func parseStreamKey(b []byte) (stream string, last streams.Revision, ok bool) {
	n := len(b) - 9
	if n < 2 || b[0] != PrefixStream || b[n] != 0 || b[n+1] >= 0x80 {
		return "", 0, false
	}
	return string(b[1:n]), streams.Revision(binary.BigEndian.Uint64(b[n+1:])), true
}

// CommitKey is the key of a commit's entry.
func CommitKey(id string) []byte { return append([]byte{PrefixCommit}, id...) }

// HeadSize is the length of what AppendHead appends.
func HeadSize(first streams.Revision) int { return 8 + varint.CountSize(uint64(first)) }

// AppendHead begins a record's value; first is the revision of a commit's first event.
func AppendHead(b []byte, millis int64, first streams.Revision) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(millis))
	return binary.AppendUvarint(b, uint64(first))
}

// ParseHead reads what AppendHead has written before the tail.
func ParseHead(b []byte) (millis int64, first streams.Revision, tail []byte, ok bool) {
	if len(b) < 9 {
		return 0, 0, nil, false
	}
	n, tail, ok := varint.CutCount(b[8:])
	return int64(binary.BigEndian.Uint64(b)), streams.Revision(n), tail, ok
}

// Entry is what is known of an accepted commit by its id: the receipt, and the stream to tell a repeat from a
// misuse.
type Entry struct {
	Offset int64
	Last   streams.Revision // of its last event
	Millis int64            // recorded
	Stream string
}

// Receipt is the answer to an append of the commit, which stands in a partition.
func (e Entry) Receipt(tp streams.TP) streams.Receipt {
	return streams.Receipt{Position: streams.Position{TP: tp, Offset: e.Offset}, Revision: e.Last, Recorded: time.UnixMilli(e.Millis).UTC()}
}

// AppendEntry appends an entry's value.
func AppendEntry(b []byte, e Entry) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(e.Offset))
	b = binary.BigEndian.AppendUint64(b, uint64(e.Last))
	b = binary.BigEndian.AppendUint64(b, uint64(e.Millis))
	return append(b, e.Stream...)
}

func parseEntry(b []byte) (Entry, error) {
	if len(b) < 25 {
		return Entry{}, damaged("an entry of the index of commit ids has %d bytes; want 25 or more", len(b))
	}
	return Entry{
		Offset: int64(binary.BigEndian.Uint64(b)),
		Last:   streams.Revision(binary.BigEndian.Uint64(b[8:])),
		Millis: int64(binary.BigEndian.Uint64(b[16:])),
		Stream: string(b[24:]),
	}, nil
}

func damaged(format string, args ...any) error {
	return fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), pebble.ErrCorruption)
}
