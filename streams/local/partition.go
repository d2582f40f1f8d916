package local

import (
	"context"
	"encoding/binary"
	"errors"

	"github.com/cockroachdb/pebble/v2"

	"github.com/projectionist/projectionist/internal/damage"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/streams"
	"github.com/projectionist/projectionist/streams/internal/lookup"
	"github.com/projectionist/projectionist/streams/internal/watermark"
)

// partition is one partition of one topic. next belongs to the leader (see group.go); head is for all.
type partition struct {
	streams.TP
	topic uint32 // id

	next   int64 // offset of the next record
	millis int64 // recorded time of the last record at Open, and of the last one restored

	head watermark.Mark // the high watermark: offsets below it are durable, and only they are read
}

// wait blocks until head > from, ctx ends or stop is closed, and says whether head > from.
func (p *partition) wait(ctx context.Context, from int64, stop <-chan struct{}) bool {
	for {
		raised := p.head.Above(from)
		if raised == nil {
			return true
		}
		select {
		case <-raised:
		case <-ctx.Done():
			return p.head.Load() > from
		case <-stop:
			return p.head.Load() > from
		}
	}
}

// key is the key of the record at an offset.
func (p *partition) key(offset int64) []byte {
	b := make([]byte, recordKeyBytes)
	recordKey(b, p.topic, uint32(p.Partition), offset)
	return b
}

func (p *partition) corrupt(offset int64, cause error) error {
	err := fault.New(fault.Corrupt, "record %s is damaged or missing", streams.Position{TP: p.TP, Offset: offset}).
		WithHint("restore the log from a backup; nothing was skipped")
	err.Err = damage.Of(cause)
	return err
}

// recover finds the partition's end and gives the recorded time of its last record.
func (p *partition) recover(db *pebble.DB) (millis int64, err error) {
	iter, err := db.NewIter(&pebble.IterOptions{LowerBound: p.key(0), UpperBound: recordSpanEnd(p.key(0))})
	if err != nil {
		return 0, readError(err, "the end of "+p.TP.String()+" cannot be found")
	}
	defer iter.Close()
	if iter.Last() {
		_, _, offset, ok := parseRecordKey(iter.Key())
		v, err := iter.ValueAndErr()
		if err != nil || !ok {
			return 0, p.corrupt(offset, err)
		}
		if millis, _, _, ok = lookup.ParseHead(v); !ok {
			return 0, p.corrupt(offset, nil)
		}
		p.next = offset + 1
	}
	p.head.Raise(p.next)
	return millis, readError(iter.Error(), "the end of "+p.TP.String()+" cannot be found")
}

// topic is one topic, partitions by number.
type topic struct {
	id         uint32
	partitions []*partition
}

// openTopics reads the log's topics, makes those that are missing, and refuses another partition count.
func openTopics(db *pebble.DB, want []streams.Topic) (map[string]*topic, error) {
	ids := map[string][2]uint32{}
	iter, err := db.NewIter(&pebble.IterOptions{LowerBound: []byte{prefixTopic}, UpperBound: []byte{prefixTopic + 1}})
	if err != nil {
		return nil, readError(err, "the log's topics cannot be read")
	}
	var last uint32
	for ok := iter.First(); ok; ok = iter.Next() {
		v, err := iter.ValueAndErr()
		if err != nil || len(v) != 8 {
			f := fault.New(fault.Corrupt, "topic %q of the log cannot be read", iter.Key()[1:])
			f.Err = damage.Of(err)
			return nil, errors.Join(f, iter.Close())
		}
		id := binary.BigEndian.Uint32(v)
		ids[string(iter.Key()[1:])] = [2]uint32{id, binary.BigEndian.Uint32(v[4:])}
		last = max(last, id)
	}
	if err := iter.Close(); err != nil {
		return nil, readError(err, "the log's topics cannot be read")
	}
	batch := db.NewBatch()
	for _, t := range want {
		have, ok := ids[t.Name]
		if !ok {
			last++
			have = [2]uint32{last, uint32(t.Partitions)}
			ids[t.Name] = have
			v := binary.BigEndian.AppendUint32(nil, have[0])
			v = binary.BigEndian.AppendUint32(v, have[1])
			if err := batch.Set(topicKey(t.Name), v, nil); err != nil {
				return nil, fault.Wrap(fault.Internal, err, "topic %q cannot be made", t.Name)
			}
		}
		if have[1] != uint32(t.Partitions) {
			return nil, fault.New(fault.Corrupt, "topic %q of the log has %d partitions; this program wants %d", t.Name, have[1], t.Partitions).
				WithHint("the number is fixed when a topic is made: use the settings the log was made with")
		}
	}
	if err := batch.Commit(pebble.Sync); err != nil {
		return nil, fault.Wrap(fault.Unavailable, err, "the log's topics cannot be written")
	}
	topics := make(map[string]*topic, len(ids))
	for name, id := range ids {
		t := &topic{id: id[0]}
		for n := range id[1] {
			t.partitions = append(t.partitions, &partition{TP: streams.TP{Topic: name, Partition: int32(n)}, topic: id[0]})
		}
		topics[name] = t
	}
	return topics, nil
}
