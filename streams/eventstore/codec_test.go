package eventstore

import (
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/streams"
)

// TestEncode_Fits: every commit that the log takes fits the server's default limit.
func TestEncode_Fits(t *testing.T) {
	c := testCommit(strings.Repeat("i", streams.CommitIDBytesMax), "model/als", streams.NoStream, streams.CommitEventsMax)
	grow := func(n int) {
		for i := range c.Events {
			c.Events[i].Data = &events.ModelAliasSet{Name: strings.Repeat("x", n), Alias: "champion", Version: i + 1}
			c.Events[i].Actor, c.Events[i].Correlation, c.Events[i].Causation = "user:anna", "r", "c"
		}
	}
	restored := &restoredMeta{Offset: judgedOffsetMax, Millis: math.MaxInt64}
	n := 0 // the largest that the log takes
	for step := 512; step > 0; step /= 2 {
		grow(n + step)
		if _, err := streams.CommitRecord(c); err == nil {
			n += step
		}
	}
	grow(n)
	if _, size, err := encodeAs(&c, "w-1", restored, false); err != nil || size <= appendBytesMax {
		t.Fatalf("the long form has %d bytes, %v: the test is to show that the short one is needed", size, err)
	}
	data, err := encode(&c, "w-1", restored)
	if err != nil {
		t.Fatal(err)
	}
	f := newFold("p-")
	f.filling = beingFilled
	for i, e := range data {
		if err := f.add(recorded(e, uint64(i))); err != nil {
			t.Fatal(err)
		}
	}
	if s := f.stats(); s.Accepted != 1 || s.Garbage != 0 {
		t.Errorf("the short form is folded to %+v", s)
	}
}

// recorded is the event as the server gives it back, the i-th of its stream and of $all.
func recorded(e esdb.EventData, i uint64) *esdb.RecordedEvent {
	return &esdb.RecordedEvent{EventID: e.EventID, EventType: e.EventType, ContentType: "application/json", StreamID: "p-s", EventNumber: i,
		Position: esdb.Position{Commit: i, Prepare: i}, CreatedDate: time.UnixMilli(1), Data: e.Data, UserMetadata: e.Metadata}
}

// TestEncode_Raw: an event that was read elsewhere keeps its bytes and schema.
func TestEncode_Raw(t *testing.T) {
	c := testCommit("c", "s", streams.AnyRevision, 1)
	c.Events[0].Raw, c.Events[0].Schema = []byte(`{"name":"s","alias":"champion","version":1,"more":1}`), 1
	data, err := encode(&c, "w", nil)
	if err != nil || string(data[0].Data) != string(c.Events[0].Raw) {
		t.Fatalf("%s, %v", data[0].Data, err)
	}
	e := recorded(data[0], 0)
	m, ok := parseFrame(e)
	back, err := decode(e, &m)
	if !ok || err != nil || !reflect.DeepEqual(back, c.Events[0]) {
		t.Errorf("got %+v, %v; want %+v", back, err, c.Events[0])
	}
}

// TestEventID: the ids are part of the stored format.
func TestEventID(t *testing.T) {
	if a, want := eventID(&streams.Commit{ID: "c1", Expected: streams.NoStream}, 0).String(), "d203e665-234e-5dc4-b87f-bfbaea3599e1"; a != want {
		t.Errorf("%s; want %s", a, want)
	}
	seen := map[string]bool{}
	for _, id := range []string{"a", "b", "a1"} {
		for _, expected := range []streams.Revision{streams.AnyRevision, 0, 1} {
			for i := range 20 {
				seen[eventID(&streams.Commit{ID: id, Expected: expected}, i).String()] = true
			}
		}
	}
	if len(seen) != 180 {
		t.Errorf("%d ids of 180", len(seen))
	}
}

// FuzzFold: no event, whatever it says, breaks the fold, and every number of the stream is accounted for.
func FuzzFold(f *testing.F) {
	c := testCommit("c", "s", streams.NoStream, 2)
	data, err := encode(&c, "w", nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data[0].Metadata, data[1].Metadata, data[0].Data)
	f.Add([]byte(`{"time":"2024-01-01T00:00:00Z","commit":{"id":"c","index":0,"count":1,"expected":-1}}`), []byte(`{}`), []byte("1"))
	f.Add([]byte(`{"time":"2024-01-01T00:00:00Z","commit":{"id":"c","index":-1,"count":1}}`), []byte(`null`), []byte("null"))
	f.Fuzz(func(t *testing.T, a, b, payload []byte) {
		fold := newFold("p-")
		for i, meta := range [][]byte{a, b, b, a, b} {
			e := recorded(esdb.EventData{EventType: "x", Data: payload, Metadata: meta}, uint64(i))
			if err := fold.add(e); err != nil {
				t.Fatal(err)
			}
		}
		_, s, err := fold.snapshot("s")
		open := 0
		if fold.open != nil {
			open = fold.open.got
		}
		if err != nil || int(s.head)+1+len(s.voids)+open != 5 {
			t.Fatalf("5 events: head %d, %d void, %d open, %v", s.head, len(s.voids), open, err)
		}
		for r := range s.head + 1 {
			n := s.number(r)
			for _, v := range s.voids {
				if v == n {
					t.Fatalf("revision %d is number %d, which is void", r, n)
				}
			}
		}
	})
}
