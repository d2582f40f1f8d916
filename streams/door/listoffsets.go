package door

import (
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/projectionist/projectionist/streams"
)

// Times with a meaning of their own in ListOffsets.
const (
	timeLatest   = -1
	timeEarliest = -2
)

// listOffsets finds offsets by time: the first record that the log took at or after it.
func (d *Door) listOffsets(req *kmsg.ListOffsetsRequest) kmsg.Response {
	r := kmsg.NewListOffsetsResponse()
	n := 0
	for _, t := range req.Topics {
		rt := kmsg.NewListOffsetsResponseTopic()
		rt.Topic = t.Topic
		for _, p := range t.Partitions {
			if n++; n > requestPartitionsMax {
				return nil
			}
			rp := kmsg.NewListOffsetsResponseTopicPartition()
			rp.Partition, rp.LeaderEpoch, rp.Offset, rp.Timestamp = p.Partition, -1, -1, -1
			rp.ErrorCode = d.listOffset(streams.TP{Topic: t.Topic, Partition: p.Partition}, p.Timestamp, &rp)
			rt.Partitions = append(rt.Partitions, rp)
		}
		r.Topics = append(r.Topics, rt)
	}
	return &r
}

func (d *Door) listOffset(tp streams.TP, millis int64, rp *kmsg.ListOffsetsResponseTopicPartition) int16 {
	head, _, err := d.log.Watch(tp)
	if err != nil {
		return faultCode(err)
	}
	switch {
	case millis == timeLatest:
		rp.Offset = head
		return codeNone
	case millis == timeEarliest:
		rp.Offset = 0
		return codeNone
	case millis < 0:
		return codeInvalidRequest
	}
	offset, err := d.log.Feed().Head(d.ctx, tp, time.UnixMilli(millis-1))
	if err != nil {
		return faultCode(err)
	}
	err = d.log.ReadTails(d.ctx, tp, offset, func(offset, recorded int64, _ []byte) bool {
		rp.Offset, rp.Timestamp = offset, recorded
		return false
	})
	if err != nil {
		return faultCode(err)
	}
	return codeNone
}
