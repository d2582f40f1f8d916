package door

import (
	"context"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/streams"
	"github.com/projectionist/projectionist/streams/local"
)

// TestFactsAreHandedAlong: what a client sends a few at a time, and the door has read to judge it, is handed to the
// log, and is what reading the log gives.
func TestFactsAreHandedAlong(t *testing.T) {
	l := mustMem(t, local.Options{})
	now := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	p := mustDial(t, mustListen(t, Config{Log: l,
		Validate: func(topic string, rec *streams.Record) error { return ValidFact(topic, rec, now) },
		Read:     func(topic string, rec *streams.Record) (*events.Event, error) { return ReadFact(topic, rec, now) }}))
	carrier := l.Feed().(streams.Carrier)
	rng := rand.New(rand.NewPCG(1, 2))
	one := func(format string, of ...any) string { return fmt.Sprintf(format, of[rng.IntN(len(of))]) }
	act := func() streams.Record {
		return streams.Record{Key: []byte("k"), Value: []byte(`{` +
			one(`"user_id":%v`, `"user_007"`, 7, `"é\u2028\"<"`, `"名前"`) + one(`,"movie_id":%v`, `"movie_042"`, 42, `"tt1"`) +
			one(`,"interaction_type":%q`, "view", "like", "hummed") + one(`%s`, "", `,"rating":4.5`, `,"rating":45e-1`, `,"rating":4.999999999999999`, `,"rating":null`) +
			one(`%s`, "", `,"session_id":"s"`, `,"device":{"os":"x"}`) +
			one(`%s`, "", `,"timestamp":"2024-01-15T10:30:00"`, `,"timestamp":"2024-01-15T10:30:00.123456+02:00"`, `,"timestamp":""`) + `}`)}
	}
	next := int64(0)
	produce := func(recs ...streams.Record) (from, until int64) {
		t.Helper()
		b := newBatch(recs...)
		if rng.IntN(2) == 0 { // times of the client's, which those have that say none themselves
			b.FirstTimestamp = now.Add(-time.Duration(rng.Int64N(1e15))).UnixMilli()
			b.MaxTimestamp = b.FirstTimestamp
		}
		if got := p.produce(events.UserEventsTopic, 1, b.bytes()); got.ErrorCode != 0 || got.BaseOffset != next {
			t.Fatalf("%+v", got)
		}
		from, next = next, next+int64(len(recs))
		return from, next
	}
	tp := streams.TP{Topic: events.UserEventsTopic, Partition: 1}
	dated := 0
	for range 300 {
		recs := make([]streams.Record, 1+rng.IntN(3))
		for i := range recs {
			recs[i] = act()
			if rng.IntN(4) == 0 {
				for _, h := range [][2]string{{"ce_specversion", "1.0"}, {"ce_id", "e"}, {"ce_source", "/s"}, {"ce_type", "user.interaction"}} {
					recs[i].Headers = append(recs[i].Headers, streams.Header{Key: h[0], Value: []byte(h[1])})
				}
			}
		}
		from, until := produce(recs...)
		carried := carrier.Carried(tp, from, until)
		if len(carried) != len(recs) {
			t.Fatalf("%d facts of %d are handed along", len(carried), len(recs))
		}
		i := 0
		for r, err := range l.Feed().Read(context.Background(), tp, from) {
			if err != nil {
				t.Fatal(err)
			}
			want, err := streams.ReadFact(r)
			if err != nil {
				t.Fatal(err)
			}
			want.Raw = nil
			if !want.Time.Equal(r.Recorded) && !strings.Contains(string(r.Value), `"timestamp":"2024`) {
				dated++
			}
			if got := *carried[i].Fact; !reflect.DeepEqual(got, want) || !carried[i].Recorded.Equal(r.Recorded) {
				t.Fatalf("%s:\nhanded along %+v %+v\nread %+v %+v", r.Value, got, got.Data, want, want.Data)
			}
			i++
		}
	}
	if dated == 0 {
		t.Error("no record was given its client's time")
	}
	load := make([]streams.Record, readBatchMax+1)
	for i := range load {
		load[i] = act()
	}
	if from, until := produce(load...); carrier.Carried(tp, from, until) != nil {
		t.Error("a load is handed along")
	}
	if got := p.produce(events.UserEventsTopic, 1, newBatch(act(), streams.Record{Value: []byte(`{"user_id":"7"}`)}).bytes()); got.ErrorCode != codeInvalidRecord {
		t.Errorf("a fact that no view can fold is taken: %+v", got)
	}
}
