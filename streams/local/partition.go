package local

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"slices"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"

	"github.com/projectionist/projectionist/internal/damage"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/streams"
	"github.com/projectionist/projectionist/streams/internal/lookup"
	"github.com/projectionist/projectionist/streams/internal/watermark"
)

// partition is one partition of one topic. next and top belong to the leader (see group.go); head is for all.
type partition struct {
	streams.TP
	topic uint32 // id

	next   int64 // offset of the next record
	top    int64 // offset after the last record: next, or below it where records were lost (loss.go)
	millis int64 // recorded time of the last record at Open, and of the last one restored

	head watermark.Mark // the high watermark: offsets below it are durable, and only they are read

	carried atomic.Pointer[ring]       // carry.go; nil while nobody hands facts along
	commits atomic.Pointer[commitRing] // carry.go; of the ledger

	met *damage.Met // the log's; nil before it is open
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

// hintBackup is the remedy for a log that is damaged.
const hintBackup = "restore the log from a backup; nothing was skipped"

func (p *partition) corrupt(offset int64, cause error) error {
	at := streams.Position{TP: p.TP, Offset: offset}
	err := fault.New(fault.Corrupt, "record %s is damaged or missing", at).WithHint(hintBackup)
	if cause == nil && p.met != nil { // else Pebble has said which file it is
		p.met.Note("record "+at.String(), errors.New("it is not what was written"))
	}
	err.Err = damage.Of(cause)
	return err
}

// recover finds the partition's end and the recorded time of its last record.
func (p *partition) recover(db pebble.Reader) error {
	what := "the end of " + p.TP.String() + " cannot be found"
	iter, err := db.NewIter(&pebble.IterOptions{LowerBound: p.key(0), UpperBound: recordSpanEnd(p.key(0))})
	if err != nil {
		return readError(err, what)
	}
	defer iter.Close()
	if iter.Last() {
		_, _, offset, ok := parseRecordKey(iter.Key())
		v, err := iter.ValueAndErr()
		if err != nil || !ok {
			return p.corrupt(offset, err)
		}
		if p.millis, _, _, ok = lookup.ParseHead(v); !ok {
			return p.corrupt(offset, nil)
		}
		p.top = offset + 1
	}
	p.next = p.top
	p.head.Raise(p.top)
	return readError(iter.Error(), what)
}

// topic is one topic, partitions by number.
type topic struct {
	id         uint32
	partitions []*partition
}

// shape is a topic as it was made.
type shape struct{ id, partitions uint32 }

// readTopics reads the log's topics, and the highest id.
func readTopics(db pebble.Reader) (topics map[string]shape, last uint32, err error) {
	const message = "the log's topics cannot be read"
	iter, err := db.NewIter(&pebble.IterOptions{LowerBound: []byte{prefixTopic}, UpperBound: []byte{prefixTopic + 1}})
	if err != nil {
		return nil, 0, readError(err, message)
	}
	defer iter.Close()
	topics = map[string]shape{}
	for ok := iter.First(); ok; ok = iter.Next() {
		v, err := iter.ValueAndErr()
		if err != nil || len(v) != 8 {
			f := fault.New(fault.Corrupt, "topic %q of the log cannot be read", iter.Key()[1:])
			f.Err = damage.Of(err)
			return nil, 0, f
		}
		s := shape{binary.BigEndian.Uint32(v), binary.BigEndian.Uint32(v[4:])}
		topics[string(iter.Key()[1:])] = s
		last = max(last, s.id)
	}
	return topics, last, readError(iter.Error(), message)
}

// checkShapes refuses other numbers of partitions than those that the topics were made with.
func checkShapes(have map[string]shape, want []streams.Topic) error {
	for _, t := range want {
		if s, ok := have[t.Name]; ok && s.partitions != uint32(t.Partitions) {
			return fault.New(fault.Corrupt, "topic %q of the log has %d partitions; this program wants %d", t.Name, s.partitions, t.Partitions).
				WithHint("the number is fixed when a topic is made: use the settings the log was made with")
		}
	}
	return nil
}

// openTopics reads the log's topics, makes those that are missing, and refuses another partition count.
func openTopics(db *pebble.DB, want []streams.Topic) (map[string]*topic, error) {
	have, last, err := readTopics(db)
	if err != nil {
		return nil, err
	}
	if err := checkShapes(have, want); err != nil {
		return nil, err
	}
	batch := db.NewBatch()
	defer batch.Close()
	for _, t := range want {
		if _, ok := have[t.Name]; ok {
			continue
		}
		last++
		s := shape{last, uint32(t.Partitions)}
		have[t.Name] = s
		v := binary.BigEndian.AppendUint32(nil, s.id)
		v = binary.BigEndian.AppendUint32(v, s.partitions)
		if err := batch.Set(topicKey(t.Name), v, nil); err != nil {
			return nil, fault.Wrap(fault.Internal, err, "topic %q cannot be made", t.Name)
		}
	}
	if !batch.Empty() {
		if err := batch.Commit(pebble.Sync); err != nil {
			return nil, fault.Wrap(fault.Unavailable, err, "the log's topics cannot be written")
		}
	}
	return newTopics(have), nil
}

func newTopics(shapes map[string]shape) map[string]*topic {
	topics := make(map[string]*topic, len(shapes))
	for name, s := range shapes {
		t := &topic{id: s.id}
		for n := range s.partitions {
			t.partitions = append(t.partitions, &partition{TP: streams.TP{Topic: name, Partition: int32(n)}, topic: s.id})
		}
		topics[name] = t
	}
	return topics
}

// inOrder are all partitions by topic id and number.
func inOrder(topics map[string]*topic) (all []*partition) {
	for _, t := range topics {
		all = append(all, t.partitions...)
	}
	slices.SortFunc(all, func(a, b *partition) int {
		return cmp.Or(cmp.Compare(a.topic, b.topic), cmp.Compare(a.Partition, b.Partition))
	})
	return all
}
