package streams

import (
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
)

func pick[T any](rng *rand.Rand, of ...T) T { return of[rng.IntN(len(of))] }

// randomAct is a valid interaction in its envelope, in any spelling that the program takes.
func randomAct(rng *rand.Rand) events.Event {
	at := time.UnixMilli(rng.Int64N(events.TimeMillisEnd)).UTC()
	id := func(prefix string) string {
		return pick(rng, fmt.Sprint(rng.IntN(1e6)), fmt.Sprintf("%s%04d", prefix, rng.IntN(100)), "0", "é\u2028<&>", "名前", `q"uo\te`, "tt0113277", "\U0001F3AC")
	}
	return events.Event{
		ID: pick(rng, "e-1", "ünï", `"`, "0190b5f4-2c53-7e2b-8a8e-0123456789ab"), Source: pick(rng, "/projectionist", "/import/ml", "/ü"),
		Subject: pick(rng, "", "user/7"), Actor: pick(rng, "", "api", "importer", "user:ä"), Correlation: pick(rng, "", "r-1"), Causation: pick(rng, "", "c-1"),
		Time:   pick(rng, at, at, at.Add(time.Duration(rng.IntN(1e6))), at.In(time.FixedZone("x", 3600))),
		Schema: pick(rng, 1, 1, 1, 0),
		Data: &events.Interaction{
			UserID: id("user_"), MovieID: id("movie_"), Kind: pick(rng, events.Kinds[rng.IntN(len(events.Kinds)-1)+1], "hummed_along"), SessionID: pick(rng, "", "s<1>", "ß"),
			Timestamp: pick(rng, "", events.FormatTime(at), "2024-01-15T10:30:00", "2024-01-15T10:30:00.123456789+02:00", "2024-01-15T10:30:00,5-0330", "1970-01-01T00:00:00Z"),
			Rating:    pick(rng, 0, 4.5, 5, 0.1+0.2, math.Nextafter(5, 0), 4.999999999999999, 1e-7, 3.3333333333333335, math.SmallestNonzeroFloat64, math.Copysign(0, -1)),
		},
	}
}

// TestSettledFactsAreWhatReadingGives: an event that says that it is settled can stand for its record.
func TestSettledFactsAreWhatReadingGives(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	settled := 0
	for range 20_000 {
		ev := randomAct(rng)
		r, err := FactRecord("7", &ev)
		if err != nil {
			t.Fatal(err)
		}
		r.Position = Position{TP: TP{Topic: events.UserEventsTopic}, Offset: 12}
		read, err := ReadFact(&r)
		if err != nil {
			t.Fatalf("%+v %+v: %v", ev, ev.Data, err)
		}
		read.Raw = nil
		same := reflect.DeepEqual(read, ev) &&
			math.Signbit(read.Data.(*events.Interaction).Rating) == math.Signbit(ev.Data.(*events.Interaction).Rating)
		switch {
		case ev.Settled() && !same:
			t.Fatalf("%+v %+v says that it is settled;\nreading it gives %+v %+v", ev, ev.Data, read, read.Data)
		case ev.Settled():
			settled++
		case same:
			t.Fatalf("%+v %+v is what reading it gives, and is not settled", ev, ev.Data)
		}
		if !read.Settled() {
			t.Fatalf("%+v %+v was read and is not settled", read, read.Data)
		}
	}
	if settled < 200 {
		t.Errorf("%d of the events were settled", settled)
	}
	for _, ev := range []events.Event{{}, {Data: &events.ModelDrift{}}, {ID: "x", Source: "/x", Schema: 1, Data: &events.Interaction{Timestamp: "x"}, Raw: []byte("{}")}} {
		if ev.Settled() {
			t.Errorf("%+v is settled", ev)
		}
	}
}

// TestReadAhead: what is read of a record before the log has taken it is, once placed, what reading it afterwards gives.
func TestReadAhead(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	recorded := time.UnixMilli(events.TimeMillisEnd).UTC() // no fact is ahead of it
	read, undated := 0, 0
	for range 20_000 {
		r := randomRecord(t, rng)
		ahead := r
		ahead.Offset, ahead.Recorded = -1, recorded.Add(-time.Second)
		var f FactReader
		var got events.Event
		err := f.ReadAhead(&ahead, &got, new(events.Interaction))
		r.Offset, r.Recorded = rng.Int64N(1000), recorded
		want, wantErr := ReadFact(&r)
		if (err != nil) != (wantErr != nil) {
			t.Fatalf("%s %v: read ahead %v, read %v", r.Value, headers(&r), err, wantErr)
		}
		if err != nil {
			continue
		}
		if read++; got.Time.IsZero() {
			undated++
		}
		got.Place(r.Position, r.Recorded)
		want.Raw, got.Raw = nil, nil
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("%s %v:\nread ahead %+v %+v\nread %+v %+v", r.Value, headers(&r), got, got.Data, want, want.Data)
		}
	}
	if read < 10_000 || undated < 1000 {
		t.Errorf("%d records were read, of which %d did not say when they happened", read, undated)
	}
}

// randomRecord is one as any client may send it: plain, in an envelope, or spoilt.
func randomRecord(t *testing.T, rng *rand.Rand) Record {
	ev := randomAct(rng)
	r, err := FactRecord("7", &ev)
	if err != nil {
		t.Fatal(err)
	}
	r.Position.TP = TP{Topic: events.UserEventsTopic, Partition: int32(rng.IntN(3))}
	switch rng.IntN(6) {
	case 0, 1:
		r.Headers = nil
	case 2:
		r.Headers = nil
		r.Value = []byte(fmt.Sprintf(`{"user_id":%d,"movie_id":"movie_%d","interaction_type":"view","device":{"os":"x"},"rating":%s}`,
			rng.IntN(100), rng.IntN(100), pick(rng, "null", "4.5", "45e-1", "77", "4.12345678901234567")))
	case 3:
		r.Headers = withoutHeader(r.Headers, pick(rng, headerTime, headerSchema, headerSource, headerSubject))
	case 4:
		topic := events.Topics[2+rng.IntN(3)]
		r.Topic, r.Headers = topic.Name, nil
		r.Value = []byte(fmt.Sprintf(`{%q:"x"%s}`, topic.Key, pick(rng, "", `,"timestamp":"2024-01-15T10:30:00Z"`, `,"timestamp":"never"`)))
	}
	return r
}

func withoutHeader(headers []Header, key string) (kept []Header) {
	for _, h := range headers {
		if h.Key != key {
			kept = append(kept, h)
		}
	}
	return kept
}

// A feed that others write to past every door may hold facts of times that no door lets in: they cannot be read.
func TestFactsAhead(t *testing.T) {
	recorded := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	value := func(stamp string) []byte {
		return []byte(`{"user_id":"1","movie_id":"2","interaction_type":"view","timestamp":"` + stamp + `"}`)
	}
	envelope := func(stamp string) []Header {
		h := []Header{}
		for k, v := range map[string]string{"ce_specversion": "1.0", "ce_id": "1", "ce_source": "/test", "ce_type": "user.interaction", "ce_time": stamp} {
			h = append(h, Header{Key: k, Value: []byte(v)})
		}
		return h
	}
	for _, c := range []struct {
		value   []byte
		headers []Header
		ok      bool
	}{
		{value("2026-06-02T12:00:00Z"), nil, true},
		{value("2026-06-02T12:00:00.001Z"), nil, false},
		{value("2013-01-01T00:00:00Z"), nil, true},
		{value("2026-06-01T00:00:00Z"), envelope("2026-06-02T12:00:00Z"), true},
		{value("2026-06-01T00:00:00Z"), envelope("2026-06-02T12:00:01Z"), false},
		{value("2099-06-01T00:00:00Z"), envelope("2026-06-01T00:00:00Z"), false},
	} {
		r := Record{Position: Position{TP: TP{Topic: events.UserEventsTopic}, Offset: 7}, Recorded: recorded, Value: c.value, Headers: c.headers}
		_, err := ReadFact(&r)
		if c.ok != (err == nil) || err != nil && (!fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "a day after")) {
			t.Errorf("%s %v: %v", c.value, c.headers, err)
		}
	}
}
