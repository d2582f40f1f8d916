package kafka

import (
	"context"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/IBM/sarama"

	"github.com/projectionist/projectionist/internal/fault"
)

// Who gives a topic's records their times.
const (
	timestampType = "message.timestamp.type"
	brokersTime   = "LogAppendTime"
	writersTime   = "CreateTime" // while the log is filled from another one
)

// timeBounds are the settings that refuse records with times far from the broker's, and have no meaning
// with LogAppendTime.
var timeBounds = []string{"message.timestamp.before.max.ms", "message.timestamp.after.max.ms"}

var anyTime = strconv.FormatInt(math.MaxInt64, 10)

// timesOf is a topic's message.timestamp.type as every broker has it: "" where they differ, or there is no
// such topic.
func (l *Log) timesOf(ctx context.Context, client sarama.Client, topic string) (times string, err error) {
	err = l.persist(ctx, "the settings of topic "+topic+" cannot be read", func() error {
		if err := client.RefreshMetadata(); err != nil {
			return err
		}
		req := &sarama.DescribeConfigsRequest{Version: 1, Resources: []*sarama.ConfigResource{
			{Type: sarama.TopicResource, Name: topic, ConfigNames: []string{timestampType}},
		}}
		var all []string
		for _, b := range client.Brokers() {
			_ = b.Open(client.Config()) // it may be open
			resp, err := b.DescribeConfigs(req)
			if err != nil {
				b.Close() // opened anew by the next try
				return err
			}
			have := ""
			for _, r := range resp.Resources {
				if k := sarama.KError(r.ErrorCode); k == sarama.ErrUnknownTopicOrPartition {
					continue
				} else if k != sarama.ErrNoError {
					return k
				}
				for _, e := range r.Configs {
					if e.Name == timestampType {
						have = e.Value
					}
				}
			}
			all = append(all, have)
		}
		if all = slices.Compact(all); len(all) == 1 {
			times = all[0]
		} else {
			times = ""
		}
		return nil
	})
	return times, err
}

// setTimes changes a topic's message.timestamp.type, and waits until all brokers have it.
func (l *Log) setTimes(ctx context.Context, client sarama.Client, admin sarama.ClusterAdmin, topic, times string) error {
	entries := map[string]sarama.IncrementalAlterConfigsEntry{timestampType: {Operation: sarama.IncrementalAlterConfigsOperationSet, Value: &times}}
	for _, name := range timeBounds {
		e := sarama.IncrementalAlterConfigsEntry{Operation: sarama.IncrementalAlterConfigsOperationDelete}
		if times == writersTime {
			e = sarama.IncrementalAlterConfigsEntry{Operation: sarama.IncrementalAlterConfigsOperationSet, Value: &anyTime}
		}
		entries[name] = e
	}
	err := l.persist(ctx, "the settings of topic "+topic+" cannot be changed", func() error {
		return admin.IncrementalAlterConfig(sarama.TopicResource, topic, entries, false)
	})
	for end, try := time.Now().Add(l.opts.WriteTimeout), 0; err == nil; try++ {
		have := ""
		if have, err = l.timesOf(ctx, client, topic); have == times || err != nil {
			break
		}
		if time.Now().After(end) || !l.pause(ctx, try) {
			return fault.New(fault.Unavailable, "topic %s has not got %s=%s on all brokers", topic, timestampType, times).WithHint("try again later")
		}
	}
	return err
}
