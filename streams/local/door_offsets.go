package local

import (
	"context"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/streams"
	"github.com/projectionist/projectionist/streams/internal/gate"
)

// GroupOffset is what a consumer group has committed for one partition.
type GroupOffset struct {
	streams.TP
	Offset    int64 // of the next record to consume
	Metadata  string
	Committed time.Time // set by CommitOffsets
}

// CommitOffsets stores offsets of a group and returns when they are durable. The group's name has no
// control characters.
func (l *Log) CommitOffsets(name string, offsets []GroupOffset) error {
	if err := checkGroup(name); err != nil {
		return err
	}
	for i := range offsets {
		if _, err := l.partition(offsets[i].TP); err != nil {
			return err
		}
	}
	return l.update(func(g *group) error {
		for i := range offsets {
			o := &offsets[i]
			o.Committed = time.UnixMilli(l.lastMillis).UTC()
			if err := g.batch.Set(offsetKey(name, o.TP), appendOffset(nil, o.Offset, l.lastMillis, o.Metadata), nil); err != nil {
				panic(err) // an in-memory batch gives no error
			}
		}
		return nil
	})
}

func checkGroup(name string) error {
	if name == "" || len(name) > GroupBytesMax {
		return fault.Field("group", "the group's name has %d bytes; want 1 to %d", len(name), GroupBytesMax)
	}
	for i := 0; i < len(name); i++ {
		if name[i] < ' ' || name[i] == 0x7f {
			return fault.Field("group", "the group's name %q has a control character", name)
		}
	}
	return nil
}

// GroupOffsets are a group's offsets by topic and partition; none for a group that is not known.
func (l *Log) GroupOffsets(name string) ([]GroupOffset, error) {
	if err := checkGroup(name); err != nil {
		return nil, err
	}
	var offsets []GroupOffset
	err := l.scanOffsets(groupKey(name), groupKeyEnd(name), func(_ string, o GroupOffset) { offsets = append(offsets, o) })
	return offsets, err
}

// Groups are the groups that have offsets, and when each last committed one.
func (l *Log) Groups() (map[string]time.Time, error) {
	groups := map[string]time.Time{}
	err := l.scanOffsets([]byte{prefixGroup}, []byte{prefixGroup + 1}, func(group string, o GroupOffset) {
		if have, ok := groups[group]; !ok || o.Committed.After(have) {
			groups[group] = o.Committed
		}
	})
	return groups, err
}

// DeleteOffsets forgets the offsets of a group, of which none is committed meanwhile.
func (l *Log) DeleteOffsets(ctx context.Context, name string) error {
	offsets, err := l.GroupOffsets(name)
	if err != nil {
		return err
	}
	if err := gate.Ended(ctx); err != nil {
		return err
	}
	tps := make([]streams.TP, len(offsets))
	for i := range offsets {
		tps[i] = offsets[i].TP
	}
	return l.DeleteOffsetsOf(name, tps)
}

// DeleteOffsetsOf forgets what a group has committed for some partitions.
func (l *Log) DeleteOffsetsOf(name string, tps []streams.TP) error {
	if err := checkGroup(name); err != nil {
		return err
	}
	if len(tps) == 0 {
		return nil
	}
	return l.update(func(g *group) error {
		for _, tp := range tps {
			if err := g.batch.Delete(offsetKey(name, tp), nil); err != nil {
				panic(err) // an in-memory batch gives no error
			}
		}
		return nil
	})
}

func (l *Log) scanOffsets(from, to []byte, fn func(group string, o GroupOffset)) error {
	if err := l.ops.Enter(context.Background()); err != nil {
		return err
	}
	defer l.ops.Leave()
	iter, err := l.db.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: to})
	if err != nil {
		return readError(err, "the groups' offsets cannot be read")
	}
	defer iter.Close()
	for ok := iter.First(); ok; ok = iter.Next() {
		group, tp, ok := parseOffsetKey(iter.Key())
		v, err := iter.ValueAndErr()
		if err != nil {
			return readError(err, "the groups' offsets cannot be read")
		}
		if !ok {
			return fault.New(fault.Corrupt, "the key %q of a group's offset is damaged", iter.Key())
		}
		offset, millis, metadata, err := parseOffset(v)
		if err != nil {
			return err
		}
		fn(group, GroupOffset{TP: tp, Offset: offset, Metadata: metadata, Committed: time.UnixMilli(millis).UTC()})
	}
	if err := iter.Error(); err != nil {
		return readError(err, "the groups' offsets cannot be read")
	}
	return nil
}
