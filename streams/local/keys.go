package local

import (
	"encoding/binary"

	"github.com/projectionist/projectionist/streams"
	"github.com/projectionist/projectionist/streams/internal/lookup"
)

// The log's keys. Integers are big-endian, so that keys sort as the numbers do.
//
//	| key                                       | value                                                     |
//	| r | topic id 4 | partition 4 | offset 8   | the record: lookup.AppendHead's and its tail               |
//	| x, c                                      | how commits are found: see package lookup                  |
//	| m | topic                                 | topic id 4 | partitions 4                                   |
//	| h | topic id 4 | partition 4 | offset 8   | offset 8 of the first record after the hole                |
//	| f                                         | nothing; it is there while the log is being filled         |
//	| e                                         | number 8 of the last write without a record (proof.go)     |
//	| l | topic id 4 | partition 4 | offset 8   | offset 8 after a loss that begins there, accepted millis 8 |
//	|                                           | reason                                                     |
//
// door_keys.go has those of producers and consumer groups. Offsets of a partition start at 0 and have no holes, but for those of a log that was filled from another one (restore.go), or has lost records (loss.go): they
// are written down, so that a record that is missing is still told from one that never was. No hole ends a
// partition. h and f are of format 2, e and l of format 3.
const (
	prefixRecord = 'r'
	prefixTopic  = 'm'
	prefixHole   = 'h'
	prefixFill   = 'f'
	prefixBare   = 'e'
	prefixLoss   = 'l'

	recordKeyBytes = 17
)

// recordKey writes a record's key into b, which has recordKeyBytes.
func recordKey(b []byte, topic, partition uint32, offset int64) {
	b[0] = prefixRecord
	binary.BigEndian.PutUint32(b[1:], topic)
	binary.BigEndian.PutUint32(b[5:], partition)
	binary.BigEndian.PutUint64(b[9:], uint64(offset))
}

var bareKey = []byte{prefixBare}

// lossKey is the key of a loss that begins at an offset.
func lossKey(topic, partition uint32, offset int64) []byte {
	b := make([]byte, recordKeyBytes)
	recordKey(b, topic, partition, offset)
	b[0] = prefixLoss
	return b
}

// holeKey is the key of the hole that begins at an offset.
func holeKey(topic, partition uint32, offset int64) []byte {
	b := make([]byte, recordKeyBytes)
	recordKey(b, topic, partition, offset)
	b[0] = prefixHole
	return b
}

func parseRecordKey(b []byte) (topic, partition uint32, offset int64, ok bool) {
	return parseKey(prefixRecord, b)
}

// parseKey reads a key of the form of a record's.
func parseKey(prefix byte, b []byte) (topic, partition uint32, offset int64, ok bool) {
	if len(b) != recordKeyBytes || b[0] != prefix || b[9] >= 0x80 {
		return 0, 0, 0, false
	}
	return binary.BigEndian.Uint32(b[1:]), binary.BigEndian.Uint32(b[5:]), int64(binary.BigEndian.Uint64(b[9:])), true
}

func parseOffsetOf(key []byte) (offset int64, ok bool) {
	_, _, offset, ok = parseRecordKey(key)
	return offset, ok
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

func topicKey(name string) []byte { return append([]byte{prefixTopic}, name...) }

// recordValueSize is the length of a record's value with a tail of so many bytes.
func recordValueSize(revision streams.Revision, tail int) int {
	return lookup.HeadSize(revision) + tail
}
