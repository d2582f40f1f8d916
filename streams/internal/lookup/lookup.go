package lookup

import (
	"bytes"
	"encoding/binary"
	"errors"
	"iter"

	"github.com/cockroachdb/pebble/v2"

	"github.com/projectionist/projectionist/streams"
)

// Put adds an accepted commit to what is written with its record.
func Put(w pebble.Writer, id string, e Entry) error {
	return errors.Join(
		w.Set(StreamKey(e.Stream, e.Last), binary.BigEndian.AppendUint64(nil, uint64(e.Offset)), nil),
		w.Set(CommitKey(id), AppendEntry(nil, e), nil),
	)
}

// Find looks a commit up by its id. That of a new commit is found nowhere: an iterator asks the filters of the lowest
// level for it too, which hold nearly all there is, where Get would read a block of it.
func Find(r pebble.Reader, id string) (e Entry, ok bool, err error) {
	key := CommitKey(id)
	iter, err := r.NewIter(&pebble.IterOptions{LowerBound: key, UpperBound: append(bytes.Clone(key), 0), UseL6Filters: true})
	if err != nil {
		return Entry{}, false, err
	}
	defer func() { err = errors.Join(err, iter.Close()) }()
	if !iter.SeekPrefixGE(key) {
		return Entry{}, false, iter.Error()
	}
	v, err := iter.ValueAndErr()
	if err != nil {
		return Entry{}, false, err
	}
	e, err = parseEntry(v)
	return e, err == nil, err
}

// Head is the revision of a stream's last event, or NoStream.
func Head(r pebble.Reader, stream string) (streams.Revision, error) {
	iter, err := r.NewIter(&pebble.IterOptions{LowerBound: StreamKey(stream, 0), UpperBound: streamKeyEnd(stream)})
	if err != nil {
		return 0, err
	}
	defer iter.Close()
	if !iter.Last() {
		return streams.NoStream, iter.Error()
	}
	_, last, ok := parseStreamKey(iter.Key())
	if !ok {
		return 0, damaged("the key %q of stream %s", iter.Key(), stream)
	}
	return last, iter.Error()
}

// Offsets are those of a stream's commits, from the one that holds a revision on.
func Offsets(r pebble.Reader, stream string, from streams.Revision) iter.Seq2[int64, error] {
	return func(yield func(int64, error) bool) {
		iter, err := r.NewIter(&pebble.IterOptions{LowerBound: StreamKey(stream, from), UpperBound: streamKeyEnd(stream)})
		if err != nil {
			yield(0, err)
			return
		}
		defer iter.Close()
		for ok := iter.First(); ok; ok = iter.Next() {
			v, err := iter.ValueAndErr()
			if err == nil && len(v) != 8 {
				err = damaged("the offset at %q of stream %s has %d bytes; want 8", iter.Key(), stream, len(v))
			}
			if err != nil {
				yield(0, err)
				return
			}
			if !yield(int64(binary.BigEndian.Uint64(v)), nil) {
				return
			}
		}
		if err := iter.Error(); err != nil {
			yield(0, err)
		}
	}
}

// Records are a partition's records in Pebble, at keys that sort as their offsets do. The record below its end
// is there.
type Records struct {
	Key   func(offset int64) []byte
	Parse func(key []byte) (offset int64, ok bool)
	End   int64
}

// EndAt is the offset after the last record that was recorded at or before a time: times do not decrease with
// offsets. An error is about the record at the offset that comes with it, or the first after that.
func EndAt(r pebble.Reader, recs Records, millis int64) (int64, error) {
	iter, err := r.NewIter(&pebble.IterOptions{LowerBound: recs.Key(0), UpperBound: recs.Key(recs.End)})
	if err != nil {
		return 0, err
	}
	defer iter.Close()
	low, high := int64(0), recs.End // records below low are in, those from high on are not
	for low < high {
		mid := low + (high-low)/2
		if !iter.SeekGE(recs.Key(mid)) {
			return mid, errors.Join(iter.Error(), damaged("nothing stands there"))
		}
		v, err := iter.ValueAndErr()
		if err != nil {
			return mid, err
		}
		offset, known := recs.Parse(iter.Key()) // behind mid, where mid is in a hole
		recorded, _, _, ok := ParseHead(v)
		if !known || !ok {
			return mid, damaged("the record's key or head")
		}
		if recorded <= millis {
			low = offset + 1
		} else {
			high = mid
		}
	}
	return low, nil
}
