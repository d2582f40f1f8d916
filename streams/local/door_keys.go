package local

import (
	"bytes"
	"encoding/binary"

	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/streams"
)

// What the server of Kafka's protocol keeps beside the records, in the same batches:
//
//	| key                                                | value                                             |
//	| g | group | 0 | topic | 0 | partition 4            | offset 8 | committed millis 8 | metadata          |
//	| p | topic id 4 | partition 4 | producer id 8       | last used millis 8 | epoch 2 | batches, oldest first: |
//	|                                                    | first sequence 4 | records 4 | offset 8 | millis 8  |
//	| n                                                  | first producer id 8 that was never given out       |
//
// A group's name has no zero byte, nor has a topic's.
const (
	prefixGroup        = 'g'
	prefixProducer     = 'p'
	prefixNextProducer = 'n'

	producerKeyBytes   = 17
	producerBatchBytes = 24
)

func groupKey(group string) []byte {
	b := make([]byte, 0, len(group)+2)
	b = append(b, prefixGroup)
	b = append(b, group...)
	return append(b, 0)
}

// groupKeyEnd is the key after all of a group.
func groupKeyEnd(group string) []byte {
	b := groupKey(group)
	b[len(b)-1] = 1
	return b
}

func offsetKey(group string, tp streams.TP) []byte {
	b := append(groupKey(group), tp.Topic...)
	b = append(b, 0)
	return binary.BigEndian.AppendUint32(b, uint32(tp.Partition))
}

func parseOffsetKey(b []byte) (group string, tp streams.TP, ok bool) {
	if len(b) < 8 || b[0] != prefixGroup {
		return "", tp, false
	}
	n := len(b) - 5
	i := bytes.IndexByte(b, 0)
	if i < 2 || i >= n-1 || b[n] != 0 || bytes.IndexByte(b[i+1:n], 0) >= 0 || b[n+1] >= 0x80 {
		return "", tp, false
	}
	tp = streams.TP{Topic: string(b[i+1 : n]), Partition: int32(binary.BigEndian.Uint32(b[n+1:]))}
	return string(b[1:i]), tp, true
}

func appendOffset(b []byte, offset, millis int64, metadata string) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(offset))
	b = binary.BigEndian.AppendUint64(b, uint64(millis))
	return append(b, metadata...)
}

func parseOffset(b []byte) (offset, millis int64, metadata string, err error) {
	if len(b) < 16 {
		return 0, 0, "", fault.New(fault.Corrupt, "an offset of a consumer group has %d bytes; want 16 or more", len(b))
	}
	return int64(binary.BigEndian.Uint64(b)), int64(binary.BigEndian.Uint64(b[8:])), string(b[16:]), nil
}

// producerKey names a producer's state on one partition.
type producerKey [producerKeyBytes]byte

func newProducerKey(p *partition, producer int64) (k producerKey) {
	k[0] = prefixProducer
	binary.BigEndian.PutUint32(k[1:], p.topic)
	binary.BigEndian.PutUint32(k[5:], uint32(p.Partition))
	binary.BigEndian.PutUint64(k[9:], uint64(producer))
	return k
}

// producerState is what is known of a producer on one partition.
type producerState struct {
	millis  int64 // last used
	epoch   int16
	batches []producerBatch // at most producerBatchesMax, oldest first
}

type producerBatch struct {
	sequence int32 // of the first record
	records  int32
	offset   int64 // of the first record
	millis   int64
}

func appendProducerState(b []byte, s *producerState) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(s.millis))
	b = binary.BigEndian.AppendUint16(b, uint16(s.epoch))
	for _, e := range s.batches {
		b = binary.BigEndian.AppendUint32(b, uint32(e.sequence))
		b = binary.BigEndian.AppendUint32(b, uint32(e.records))
		b = binary.BigEndian.AppendUint64(b, uint64(e.offset))
		b = binary.BigEndian.AppendUint64(b, uint64(e.millis))
	}
	return b
}

func parseProducerState(b []byte) (*producerState, error) {
	n := (len(b) - 10) / producerBatchBytes
	if len(b) < 10 || (len(b)-10)%producerBatchBytes != 0 || n > producerBatchesMax {
		return nil, fault.New(fault.Corrupt, "the state of a producer has %d bytes", len(b))
	}
	s := &producerState{millis: int64(binary.BigEndian.Uint64(b)), epoch: int16(binary.BigEndian.Uint16(b[8:]))}
	for b = b[10:]; len(b) > 0; b = b[producerBatchBytes:] {
		s.batches = append(s.batches, producerBatch{
			sequence: int32(binary.BigEndian.Uint32(b)),
			records:  int32(binary.BigEndian.Uint32(b[4:])),
			offset:   int64(binary.BigEndian.Uint64(b[8:])),
			millis:   int64(binary.BigEndian.Uint64(b[16:])),
		})
	}
	return s, nil
}
