package lookup_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/projectionist/projectionist/streams"
	"github.com/projectionist/projectionist/streams/internal/lookup"
)

func open(t *testing.T) *pebble.DB {
	t.Helper()
	db, err := pebble.Open("db", &pebble.Options{FS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func set(t *testing.T, db *pebble.DB, key, value []byte) {
	t.Helper()
	if err := db.Set(key, value, pebble.NoSync); err != nil {
		t.Fatal(err)
	}
}

func TestCommits(t *testing.T) {
	db := open(t)
	for i, stream := range []string{"model/a", "model/ab", "model/a", "model/a"} {
		last := streams.Revision(10 * i)
		if err := lookup.Put(db, fmt.Sprint("c", i), lookup.Entry{Offset: int64(i), Last: last, Millis: 7, Stream: stream}); err != nil {
			t.Fatal(err)
		}
	}
	if e, ok, err := lookup.Find(db, "c2"); !ok || err != nil || e != (lookup.Entry{2, 20, 7, "model/a"}) {
		t.Errorf("c2: %+v, %v, %v", e, ok, err)
	}
	if _, ok, err := lookup.Find(db, "c"); ok || err != nil {
		t.Errorf("c: %v, %v", ok, err)
	}
	for stream, want := range map[string]streams.Revision{"model/a": 30, "model/ab": 10, "model": streams.NoStream} {
		if head, err := lookup.Head(db, stream); head != want || err != nil {
			t.Errorf("head of %s: %d, %v; want %d", stream, head, err, want)
		}
	}
	for from, want := range map[streams.Revision][]int64{0: {0, 2, 3}, 1: {2, 3}, 20: {2, 3}, 21: {3}, 31: nil} {
		var got []int64
		for offset, err := range lookup.Offsets(db, "model/a", from) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, offset)
		}
		if !slices.Equal(got, want) {
			t.Errorf("offsets from revision %d: %v; want %v", from, got, want)
		}
	}

	set(t, db, lookup.CommitKey("short"), make([]byte, 24))
	if _, _, err := lookup.Find(db, "short"); !errors.Is(err, pebble.ErrCorruption) {
		t.Errorf("an entry cut short: %v", err)
	}
	set(t, db, lookup.StreamKey("model/b", 1), make([]byte, 7))
	for _, err := range lookup.Offsets(db, "model/b", 0) {
		if !errors.Is(err, pebble.ErrCorruption) {
			t.Errorf("an offset cut short: %v", err)
		}
	}
	set(t, db, lookup.StreamKey("model/c", -1), make([]byte, 8))
	if _, err := lookup.Head(db, "model/c"); !errors.Is(err, pebble.ErrCorruption) {
		t.Errorf("a revision below 0: %v", err)
	}
}

func TestEndAt(t *testing.T) {
	db := open(t)
	key := func(offset int64) []byte { return binary.BigEndian.AppendUint64(nil, uint64(offset)) }
	parse := func(k []byte) (int64, bool) { return int64(binary.BigEndian.Uint64(k)), true }
	times := map[int64]int64{0: 10, 1: 10, 2: 20, 5: 30, 6: 30, 9: 40} // a hole from 3 to 4, and from 7 to 8
	for offset, millis := range times {
		set(t, db, key(offset), lookup.AppendHead(nil, millis, 0))
	}
	for millis, want := range map[int64]int64{9: 0, 10: 2, 19: 2, 20: 3, 29: 3, 30: 7, 39: 7, 40: 10, 50: 10} {
		if got, err := lookup.EndAt(db, lookup.Records{key, parse, 10}, millis); got != want || err != nil {
			t.Errorf("at %d: %d, %v; want %d", millis, got, err, want)
		}
	}
	if at, err := lookup.EndAt(db, lookup.Records{key, parse, 20}, 50); !errors.Is(err, pebble.ErrCorruption) || at < 10 {
		t.Errorf("an end behind the last record: %d, %v", at, err)
	}
	set(t, db, key(5), []byte{1})
	if at, err := lookup.EndAt(db, lookup.Records{key, parse, 10}, 30); !errors.Is(err, pebble.ErrCorruption) || at > 5 {
		t.Errorf("a damaged record: %d, %v", at, err)
	}
}
