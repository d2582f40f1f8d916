package local

import (
	"encoding/binary"

	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/streams"
	"github.com/projectionist/projectionist/streams/internal/varint"
)

// The log's keys. Integers are big-endian, so that keys sort as the numbers do.
//
//	| key                                       | value                                                     |
//	| r | topic id 4 | partition 4 | offset 8   | recorded millis 8 | first revision uvarint | tail          |
//	| x | stream | 0 | revision 8               | offset 8 of the commit whose LAST event has that revision  |
//	| c | commit id                             | offset 8 | last revision 8 | recorded millis 8 | stream       |
//	| m | topic                                 | topic id 4 | partitions 4                                   |
//	| h | topic id 4 | partition 4 | offset 8   | offset 8 of the first record after the hole                |
//	| f                                         | nothing; it is there while the log is being filled         |
//
// door_keys.go has those of producers and consumer groups. The tail is streams.AppendTail's. A fact's
// first revision is 0 and means nothing. A stream's name has no zero byte. Offsets of a partition start
// at 0 and have no holes, but for those of a log that was filled from another one (restore.go): they are
// written down, so that a record that is missing is still told from one that never was. No hole ends a
// partition. h and f are of format 2.
const (
	prefixRecord = 'r'
	prefixStream = 'x'
	prefixCommit = 'c'
	prefixTopic  = 'm'
	prefixHole   = 'h'
	prefixFill   = 'f'

	recordKeyBytes = 17
)

// recordKey writes a record's key into b, which has recordKeyBytes.
func recordKey(b []byte, topic, partition uint32, offset int64) {
	b[0] = prefixRecord
	binary.BigEndian.PutUint32(b[1:], topic)
	binary.BigEndian.PutUint32(b[5:], partition)
	binary.BigEndian.PutUint64(b[9:], uint64(offset))
}

// holeKey is the key of the hole that begins at an offset.
func holeKey(topic, partition uint32, offset int64) []byte {
	b := make([]byte, recordKeyBytes)
	recordKey(b, topic, partition, offset)
	b[0] = prefixHole
	return b
}

func parseRecordKey(b []byte) (topic, partition uint32, offset int64, ok bool) {
	if len(b) != recordKeyBytes || b[0] != prefixRecord || b[9] >= 0x80 {
		return 0, 0, 0, false
	}
	return binary.BigEndian.Uint32(b[1:]), binary.BigEndian.Uint32(b[5:]), int64(binary.BigEndian.Uint64(b[9:])), true
}

// recordSpanEnd is the key after all keys of a record's partition.
func recordSpanEnd(k []byte) []byte {
	end := make([]byte, 9)
	copy(end, k)
	for i := 8; i >= 0; i-- {
		if end[i]++; end[i] != 0 {
			break
		}
	}
	return end
}

// tableEnd is the key at which a table that holds k ends at the latest, nil for anywhere: tables are
// cut between partitions.
func tableEnd(k []byte) []byte {
	switch {
	case len(k) == 0 || k[0] < prefixRecord:
		return []byte{prefixRecord}
	case k[0] == prefixRecord && len(k) >= 9:
		return recordSpanEnd(k)
	}
	return nil
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

func topicKey(name string) []byte { return append([]byte{prefixTopic}, name...) }

// recordValueSize is the length of a record's value with a tail of so many bytes.
func recordValueSize(revision streams.Revision, tail int) int {
	return 8 + varint.CountSize(uint64(revision)) + tail
}

func appendRecordHead(b []byte, millis int64, revision streams.Revision) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(millis))
	return binary.AppendUvarint(b, uint64(revision))
}

func parseRecordHead(b []byte) (millis int64, revision streams.Revision, tail []byte, ok bool) {
	if len(b) < 9 {
		return 0, 0, nil, false
	}
	n, tail, ok := varint.CutCount(b[8:])
	return int64(binary.BigEndian.Uint64(b)), streams.Revision(n), tail, ok
}

// commitEntry is what the index of commit ids knows: the receipt, and the stream to tell a repeat from
// a misuse.
type commitEntry struct {
	offset int64
	last   streams.Revision
	millis int64
	stream string
}

func appendCommitEntry(b []byte, e commitEntry) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(e.offset))
	b = binary.BigEndian.AppendUint64(b, uint64(e.last))
	b = binary.BigEndian.AppendUint64(b, uint64(e.millis))
	return append(b, e.stream...)
}

func parseCommitEntry(b []byte) (commitEntry, error) {
	if len(b) < 25 {
		return commitEntry{}, fault.New(fault.Corrupt, "an entry of the index of commit ids has %d bytes; want 25 or more", len(b))
	}
	return commitEntry{
		offset: int64(binary.BigEndian.Uint64(b)),
		last:   streams.Revision(binary.BigEndian.Uint64(b[8:])),
		millis: int64(binary.BigEndian.Uint64(b[16:])),
		stream: string(b[24:]),
	}, nil
}
