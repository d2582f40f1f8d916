package api

import (
	"context"
	"time"

	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

// PartitionInfo is how far a partition reaches.
type PartitionInfo struct {
	Partition int32 `json:"partition"`
	First     int64 `json:"first_offset"`
	Next      int64 `json:"next_offset"`
	Records   int64 `json:"records"` // next - first: on a Kafka cluster control records are among them
	// Bytes is about what the records take on the disk, where that is known; what is in memory and in the write-ahead log does not count.
	Bytes *int64 `json:"bytes,omitempty"`
}

// TopicInfo is a topic with its partitions.
type TopicInfo struct {
	Topic      string          `json:"topic"`
	Records    int64           `json:"records"`
	Partitions []PartitionInfo `json:"partitions"`
}

// Topics are the log's topics as they stand.
func (c *Core) Topics(ctx context.Context) ([]TopicInfo, error) {
	head, err := fold.HeadCut(ctx, c.Log, time.Time{})
	if err != nil {
		return nil, err
	}
	var all []TopicInfo
	for _, t := range streams.Topics {
		info := TopicInfo{Topic: t.Name}
		for p := range t.Partitions {
			tp := streams.TP{Topic: t.Name, Partition: p}
			part := PartitionInfo{Partition: p, Next: head[tp]}
			if part.First, err = c.firstOffset(ctx, tp, head[tp]); err != nil {
				return nil, err
			}
			part.Records = part.Next - part.First
			info.Records += part.Records
			info.Partitions = append(info.Partitions, part)
		}
		all = append(all, info)
	}
	return all, nil
}

// firstOffset is that of the first record, or next in an empty partition.
func (c *Core) firstOffset(ctx context.Context, tp streams.TP, next int64) (int64, error) {
	for rec, err := range c.Log.Feed().Read(ctx, tp, 0) {
		if err != nil {
			return 0, err
		}
		return rec.Offset, nil
	}
	return next, nil
}
