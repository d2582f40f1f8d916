package projections

import (
	"fmt"
	"testing"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/projections/fold/foldtest"
	"github.com/projectionist/projectionist/streams"
)

// keyed is the id of the fact of a key; of a key below 0 that of a fact without one.
func keyed(key int) string {
	if key < 0 {
		return fmt.Sprintf("00000000-0000-4000-8000-%012x", -key)
	}
	return fmt.Sprintf("00000000-0000-5000-8000-%012x", key)
}

func TestIdempotency(t *testing.T) {
	v, s := &Idempotency{max: 3}, foldtest.NewMemory()
	if err := v.Open(s); err != nil {
		t.Fatal(err)
	}
	offsets := map[int32]int64{}
	add := func(partition int32, keys ...int) {
		t.Helper()
		var in []fold.Input
		for _, key := range keys {
			at := streams.Position{TP: streams.TP{Topic: events.UserEventsTopic, Partition: partition}, Offset: offsets[partition]}
			offsets[partition]++
			in = append(in, fold.Input{Position: at, Event: &events.Event{ID: keyed(key)}})
		}
		b := s.Batch(true)
		if err := v.Apply(b, in); err != nil {
			t.Fatal(err)
		}
		b.Commit()
	}
	find := func(want map[int]string) {
		t.Helper()
		var ids []string
		for key := -3; key < 20; key++ {
			ids = append(ids, keyed(key))
		}
		found, err := v.Find(ids)
		if err != nil {
			t.Fatal(err)
		}
		if len(found) != len(want) {
			t.Errorf("found %v; want %v", found, want)
		}
		for key, at := range want {
			if got := found[keyed(key)].String(); got != at {
				t.Errorf("key %d is at %s; want %s", key, got, at)
			}
		}
	}
	find(nil)
	add(0, 1, -1, 2, 1) // one without a key, and a repetition: the first counts
	add(2, 3)
	find(map[int]string{1: "user-events/0@0", 2: "user-events/0@2", 3: "user-events/2@0"})
	add(0, 4, 5) // the oldest of the partition goes
	find(map[int]string{2: "user-events/0@2", 4: "user-events/0@4", 5: "user-events/0@5", 3: "user-events/2@0"})
	add(0, 1) // it is news again
	find(map[int]string{1: "user-events/0@6", 4: "user-events/0@4", 5: "user-events/0@5", 3: "user-events/2@0"})
	add(2, 6, 7, 8, 9)
	find(map[int]string{1: "user-events/0@6", 4: "user-events/0@4", 5: "user-events/0@5", 7: "user-events/2@2", 8: "user-events/2@3", 9: "user-events/2@4"})
}
