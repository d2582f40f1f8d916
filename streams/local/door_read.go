package local

import (
	"context"
	"math"
	"sort"

	"github.com/cockroachdb/pebble/v2"

	"github.com/projectionist/projectionist/streams"
	"github.com/projectionist/projectionist/streams/internal/lookup"
)

// Topics are the log's topics in the order in which they were made.
func (l *Log) Topics() []streams.Topic {
	topics := make([]streams.Topic, 0, len(l.topics))
	for name, t := range l.topics {
		topics = append(topics, streams.Topic{Name: name, Partitions: int32(len(t.partitions))})
	}
	sort.Slice(topics, func(i, j int) bool { return l.topics[topics[i].Name].id < l.topics[topics[j].Name].id })
	return topics
}

// Watch gives the high watermark and a channel that is closed when it rises above that.
func (l *Log) Watch(tp streams.TP) (head int64, risen <-chan struct{}, err error) {
	p, err := l.partition(tp)
	if err != nil {
		return 0, nil, err
	}
	head, risen = p.head.Watch()
	return head, risen, nil
}

// ReadTails gives the records of a partition from an offset up to the head to fn, each by its recorded
// time and its tail as it is stored, until fn says no. The tail is valid only during the call.
func (l *Log) ReadTails(ctx context.Context, tp streams.TP, from int64, fn func(offset, millis int64, tail []byte) bool) (err error) {
	p, err := l.partition(tp)
	if err != nil {
		return err
	}
	if err := l.ops.EnterRead(ctx, from); err != nil {
		return err
	}
	defer l.ops.Leave()
	head := p.head.Load()
	if from >= head {
		return nil
	}
	iter, err := l.db.NewIter(&pebble.IterOptions{LowerBound: p.key(from), UpperBound: p.key(head)})
	if err != nil {
		return p.corrupt(from, err)
	}
	defer iter.Close()
	offset, read := from, uint64(0)
	defer func() { l.stats.recordsRead.Add(read) }()
	for ok := iter.First(); ok; ok = iter.Next() {
		if offset, err = p.over(l.db, offset, iter.Key()); err != nil {
			return err
		}
		v, err := iter.ValueAndErr()
		if err != nil {
			return p.corrupt(offset, err)
		}
		millis, _, tail, good := lookup.ParseHead(v)
		if !good {
			return p.corrupt(offset, nil)
		}
		if !fn(offset, millis, tail) {
			return nil
		}
		offset++
		if read++; read%checkEvery == 0 {
			if err := l.ops.Stay(ctx); err != nil {
				return err
			}
		}
	}
	if err := iter.Error(); err != nil || offset != head {
		return p.corrupt(offset, err)
	}
	return nil
}

// DiskUsage is about how many bytes a partition's records take on disk; what is in memory and in the WAL
// does not count.
func (l *Log) DiskUsage(tp streams.TP) (int64, error) {
	p, err := l.partition(tp)
	if err != nil {
		return 0, err
	}
	if err := l.ops.Enter(context.Background()); err != nil {
		return 0, err
	}
	defer l.ops.Leave()
	n, err := l.db.EstimateDiskUsage(p.key(0), p.key(math.MaxInt64))
	if err != nil {
		return 0, readError(err, "the size of a partition cannot be measured")
	}
	return int64(n), nil
}
