package kafka

import "encoding/binary"

// The index's keys. Integers are big-endian, so that keys sort as the numbers do.
//
//	| key                       | value                                                       |
//	| o | offset 8              | an accepted commit's record: lookup.AppendHead's and its tail |
//	| x, c                      | how commits are found: see package lookup                   |
//	| s                         | state, JSON                                                 |
//
// A change of this table raises indexFormat: the index of another format is folded anew.
const (
	prefixOffset = 'o'
	prefixState  = 's'
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
