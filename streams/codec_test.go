package streams

import (
	"bytes"
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
)

func testFact() *events.Event {
	return &events.Event{
		ID: "ml-1", Source: "/import/movielens", Subject: "user/7", Time: time.Date(2013, 5, 1, 2, 3, 4, 56e6, time.UTC),
		Actor: "importer", Correlation: "import/4f", Causation: "c-1",
		Data: &events.Interaction{UserID: "7", MovieID: "42", Kind: "rating", Timestamp: "2013-05-01T02:03:04.056Z", Rating: 4.5},
	}
}

func headers(r *Record) map[string]string {
	m := map[string]string{}
	for _, h := range r.Headers {
		m[h.Key] = string(h.Value)
	}
	return m
}

func TestFactRecord(t *testing.T) {
	t.Run("OK", func(t *testing.T) {
		r, err := FactRecord("7", testFact())
		if err != nil {
			t.Fatal(err)
		}
		if string(r.Key) != "7" || string(r.Value) != `{"user_id":"7","movie_id":"42","interaction_type":"rating","timestamp":"2013-05-01T02:03:04.056Z","rating":4.5}` {
			t.Errorf("key %s value %s", r.Key, r.Value)
		}
		want := map[string]string{
			"ce_specversion": "1.0", "ce_id": "ml-1", "ce_type": "user.interaction", "ce_source": "/import/movielens", "ce_time": "2013-05-01T02:03:04.056Z",
			"ce_schemaversion": "1", "ce_subject": "user/7", "ce_actor": "importer", "ce_correlationid": "import/4f", "ce_causationid": "c-1", "content-type": "application/json",
		}
		if got := headers(&r); !reflect.DeepEqual(got, want) {
			t.Errorf("headers %v; want %v", got, want)
		}
		ev, err := ReadFact(&r)
		if err != nil {
			t.Fatal(err)
		}
		want2 := *testFact()
		want2.Schema, want2.Raw = 1, r.Value
		if !reflect.DeepEqual(ev, want2) {
			t.Errorf("read %+v; want %+v", ev, want2)
		}
		again, err := FactRecord("7", &ev) // as written, not written anew
		if err != nil || !reflect.DeepEqual(again, r) {
			t.Errorf("again %v, %v", again, err)
		}
	})
	t.Run("OK_Bare", func(t *testing.T) {
		ev := testFact()
		ev.Subject, ev.Actor, ev.Correlation, ev.Causation = "", "", "", ""
		r, err := FactRecord("7", ev)
		if err != nil || len(r.Headers) != 7 {
			t.Fatalf("%d headers, %v", len(r.Headers), err)
		}
	})
	t.Run("OK_EveryTopicsType", func(t *testing.T) {
		for _, d := range []events.Data{&events.RecommendationServed{Timestamp: "2013-05-01T02:03:04.056Z", RequestID: "r", UserID: "7", Items: []events.RecommendedItem{{MovieID: "1", Score: .5}}},
			&events.ModelDrift{Timestamp: "2013-05-01T02:03:04.056Z", ModelName: "als", Metrics: map[string]float64{"b": 1, "a": 2}}, &events.SystemHealth{Timestamp: "2013-05-01T02:03:04.056Z", ServiceName: "api"}} {
			ev := testFact()
			ev.Data = d
			r, err := FactRecord("k", ev)
			if err != nil {
				t.Fatal(err)
			}
			back, err := ReadFact(&r)
			if err != nil || !reflect.DeepEqual(back.Data, d) {
				t.Errorf("%s: %+v, %v", d.EventType(), back.Data, err)
			}
		}
	})
	t.Run("OK_WithoutTimestamp", func(t *testing.T) { // it happened when the event says, or else when the log took it
		ev := testFact()
		ev.Data = &events.ModelDrift{ModelName: "als"}
		r, err := FactRecord("k", ev)
		if err != nil {
			t.Fatal(err)
		}
		back, err := ReadFact(&r)
		if err != nil || back.Data.(*events.ModelDrift).Timestamp != events.FormatTime(ev.Time) {
			t.Errorf("%+v, %v", back.Data, err)
		}
		plain := Record{Position: Position{TP: TP{Topic: events.UserEventsTopic}}, Recorded: time.UnixMilli(1_700_000_000_000).UTC(),
			Value: []byte(`{"user_id":"7","movie_id":"1","interaction_type":"view"}`)}
		back, err = ReadFact(&plain)
		if x, ok := back.Data.(*events.Interaction); err != nil || !ok || x.Timestamp != "2023-11-14T22:13:20.000Z" || x.Validate() != nil {
			t.Errorf("%+v, %v", back.Data, err)
		}
		plain.Value, plain.Recorded = []byte(`{"user_id":"7","movie_id":"1","interaction_type":"view","timestamp":"2024-01-15T10:30:00"}`), plain.Recorded.AddDate(1, 0, 0)
		if back, err = ReadFact(&plain); err != nil || back.Time.Unix() != 1705314600 {
			t.Errorf("%v, %v", back.Time, err)
		}
	})
	t.Run("ErrInvalid", func(t *testing.T) {
		nan := testFact()
		nan.Data = &events.Interaction{Rating: math.NaN()}
		none := testFact()
		none.Data = nil
		anonymous := testFact()
		anonymous.ID = ""
		for _, ev := range []*events.Event{nan, none, anonymous} {
			if _, err := FactRecord("7", ev); !fault.Is(err, fault.Invalid) {
				t.Errorf("%+v: %v", ev, err)
			}
		}
	})
	t.Run("ErrTooLarge", func(t *testing.T) {
		ev := testFact()
		if _, err := FactRecord(strings.Repeat("k", KeyBytesMax+1), ev); !fault.Is(err, fault.TooLarge) {
			t.Errorf("key: %v", err)
		}
		ev.Data = &events.Interaction{SessionID: strings.Repeat("s", RecordBytesMax)}
		if _, err := FactRecord("7", ev); !fault.Is(err, fault.TooLarge) {
			t.Errorf("value: %v", err)
		}
		ev.Data = &events.Interaction{SessionID: strings.Repeat("<", RecordBytesMax/6+1)} // six bytes each
		if _, err := FactRecord("7", ev); !fault.Is(err, fault.TooLarge) {
			t.Errorf("escaped value: %v", err)
		}
	})
}

func TestFactEncoder(t *testing.T) {
	var e FactEncoder
	for round := range 3 {
		var recs, want []Record
		for i := range 3000 {
			ev := testFact()
			ev.ID += strings.Repeat("x", i%50)
			if i%10 == 0 {
				ev.Data = &events.SystemHealth{ServiceName: "api"}
			}
			r, err := FactRecord("7", ev)
			if err != nil {
				t.Fatal(err)
			}
			want = append(want, r)
			if recs, err = e.Append(recs, "7", ev); err != nil {
				t.Fatal(err)
			}
		}
		if !reflect.DeepEqual(recs, want) {
			t.Fatalf("round %d: the encoder's records differ from FactRecord's", round)
		}
		e.Reset()
	}
	ev := testFact()
	recs := make([]Record, 0, 1)
	if n := testing.AllocsPerRun(1000, func() {
		e.Reset()
		if _, err := e.Append(recs, "7", ev); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations a fact; want 0", n)
	}
}

func TestReadFact(t *testing.T) {
	recorded := time.UnixMilli(1_800_000_000_123).UTC()
	plain := func(topic, value string) *Record {
		return &Record{Position: Position{TP{topic, 1}, 12}, Recorded: recorded, Value: []byte(value)}
	}
	t.Run("OK_Plain", func(t *testing.T) {
		for _, c := range []struct {
			topic, value, eventType string
			at                      time.Time
		}{
			{events.UserEventsTopic, `{"user_id":"7","movie_id":"1","interaction_type":"view","timestamp":"2024-01-02T04:04:05+01:00"}`, "user.interaction", time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC)},
			{events.RecommendationsTopic, `{"user_id":"7"}`, "recommendation.served", recorded},
			{events.DriftAlertsTopic, `{"model_name":"als","timestamp":""}`, "model.drift", recorded},
			{events.SystemHealthTopic, `{"service_name":"api","more":1}`, "system.health", recorded},
		} {
			ev, err := ReadFact(plain(c.topic, c.value))
			if err != nil {
				t.Errorf("%s: %v", c.topic, err)
				continue
			}
			if ev.Type() != c.eventType || ev.ID != c.topic+"/1@12" || ev.Source != "/kafka" || !ev.Time.Equal(c.at) || ev.Schema != 1 || string(ev.Raw) != c.value {
				t.Errorf("%s: %+v", c.topic, ev)
			}
		}
	})
	t.Run("OK_Structured", func(t *testing.T) {
		b, err := json.Marshal(testFact())
		if err != nil {
			t.Fatal(err)
		}
		r := &Record{Value: b, Headers: []Header{{"content-type", []byte("application/cloudevents+json; charset=UTF-8")}}}
		ev, err := ReadFact(r)
		if err != nil || ev.ID != "ml-1" || ev.Causation != "c-1" {
			t.Errorf("%+v, %v", ev, err)
		}
	})
	t.Run("OK_OwnsItsMemory", func(t *testing.T) {
		r, err := FactRecord("7", testFact())
		if err != nil {
			t.Fatal(err)
		}
		ev, err := ReadFact(&r)
		if err != nil {
			t.Fatal(err)
		}
		clobber(&r)
		want := *testFact()
		want.Raw, want.Schema = ev.Raw, 1
		if !reflect.DeepEqual(ev, want) || !json.Valid(ev.Raw) {
			t.Errorf("%+v", ev)
		}
	})
	t.Run("ErrInvalid", func(t *testing.T) {
		with := func(key, value string) *Record {
			r, err := FactRecord("7", testFact())
			if err != nil {
				t.Fatal(err)
			}
			for i := range r.Headers {
				if r.Headers[i].Key == key {
					r.Headers[i].Value = []byte(value)
				}
			}
			return &r
		}
		value := with("", "")
		value.Value = []byte("{")
		for name, r := range map[string]*Record{
			"spec version": with("ce_specversion", "0.3"), "no id": with("ce_id", ""), "no source": with("ce_source", ""), "unknown type": with("ce_type", "x"),
			"time": with("ce_time", "yesterday"), "schema": with("ce_schemaversion", "one"), "newer schema": with("ce_schemaversion", "99"), "value": value,
			"plain ledger": plain(events.LedgerTopic, "{}"), "plain no JSON": plain(events.UserEventsTopic, "hello"), "plain nothing": {Position: Position{TP: TP{events.UserEventsTopic, 0}}},
			"plain invalid": plain(events.UserEventsTopic, `{"user_id":"7","movie_id":"1","interaction_type":"rating","rating":77}`),
			"invalid": func() *Record {
				r := with("", "")
				r.Value = []byte(`{"user_id":"","movie_id":"1","interaction_type":"view"}`)
				return r
			}(),
			"plain time": plain(events.UserEventsTopic, `{"timestamp":"9999"}`), "other plain time": plain(events.DriftAlertsTopic, `{"timestamp":"9999"}`), "plain number": plain(events.UserEventsTopic, `{"timestamp":12}`),
		} {
			if ev, err := ReadFact(r); !fault.Is(err, fault.Invalid) {
				t.Errorf("%s: %+v, %v", name, ev, err)
			}
		}
	})
}

func clobber(r *Record) {
	for i := range r.Value {
		r.Value[i] = '#'
	}
	for i := range r.Key {
		r.Key[i] = '#'
	}
	for _, h := range r.Headers {
		if h.Key != headerSpecVersion && h.Key != headerSchema && h.Key != headerContentType { // shared constants
			for i := range h.Value {
				h.Value[i] = '#'
			}
		}
	}
}

func TestCommitRecord(t *testing.T) {
	c := Commit{ID: "6f1b", Stream: "model/als", Expected: NoStream, Events: []events.Event{*testFact(), *testFact()}}
	c.Events[1].Data = &events.ModelRegistered{Name: "als <1>"}
	r, err := CommitRecord(c)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := headers(&r), map[string]string{"content-type": "application/cloudevents-batch+json", "commit_id": "6f1b", "expected_revision": "-1"}; !reflect.DeepEqual(got, want) {
		t.Errorf("headers %v; want %v", got, want)
	}
	want, err := json.Marshal(c.Events)
	if err != nil || string(r.Key) != "model/als" || !bytes.Equal(r.Value, want) {
		t.Errorf("key %s, value %s; want %s", r.Key, r.Value, want)
	}
	back, err := ReadCommit(&r)
	if err != nil {
		t.Fatal(err)
	}
	again, err := CommitRecord(back)
	if err != nil || !reflect.DeepEqual(again, r) {
		t.Errorf("again %v, %v", again, err)
	}
	clobber(&r)
	for i := range back.Events {
		back.Events[i].Raw, back.Events[i].Schema = nil, 0
	}
	if !reflect.DeepEqual(back, c) {
		t.Errorf("read %+v; want %+v", back, c)
	}
	for name, r := range map[string]Record{
		"content type": {Key: []byte("s"), Value: []byte("[]")},
		"revision":     {Key: []byte("s"), Value: []byte("[]"), Headers: []Header{{"content-type", []byte(typeBatch)}, {"commit_id", []byte("c")}}},
		"value":        {Key: []byte("s"), Value: []byte("{}"), Headers: []Header{{"content-type", []byte(typeBatch)}, {"commit_id", []byte("c")}, {"expected_revision", []byte("0")}}},
		"no events":    {Key: []byte("s"), Value: []byte("[]"), Headers: []Header{{"content-type", []byte(typeBatch)}, {"commit_id", []byte("c")}, {"expected_revision", []byte("0")}}},
	} {
		if _, err := ReadCommit(&r); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Kafka's own bytes of a record: key "k", value nil, header "h" = "v" and header "n" = nil.
func TestAppendTail(t *testing.T) {
	r := Record{Key: []byte("k"), Headers: []Header{{"h", []byte("v")}, {"n", nil}}}
	want := []byte{2, 'k', 1, 4, 2, 'h', 2, 'v', 2, 'n', 1}
	if got := AppendTail(nil, &r); !bytes.Equal(got, want) || TailSize(&r) != len(want) {
		t.Errorf("got %v, size %d; want %v", got, TailSize(&r), want)
	}
	var back Record
	for n := range want {
		if err := ParseTail(want[:n], &back); !fault.Is(err, fault.Invalid) {
			t.Errorf("%d bytes of %d: %v", n, len(want), err)
		}
	}
	if err := ParseTail(append(bytes.Clone(want), 0), &back); err == nil {
		t.Error("a byte too many was taken")
	}
	if err := ParseTail([]byte{0x82, 0x00, 'k', 1, 0}, &back); err == nil {
		t.Error("a length spelled longer than needed was taken")
	}
}

func FuzzParseTail(f *testing.F) {
	fact, err := FactRecord("7", testFact())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(AppendTail(nil, &fact))
	f.Add([]byte{1, 1, 0})
	f.Add([]byte{2, 'k', 1, 4, 2, 'h', 2, 'v', 2, 'n', 1})
	f.Add([]byte{0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Add([]byte{0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		var r Record
		if ParseTail(b, &r) != nil {
			return
		}
		if got := AppendTail(nil, &r); !bytes.Equal(got, b) || TailSize(&r) != len(b) {
			t.Fatalf("%x parses and is written as %x (size %d)", b, got, TailSize(&r))
		}
		_, _ = ReadFact(&r) // must not panic
		_, _ = ReadCommit(&r)
	})
}

func FuzzAppendTail(f *testing.F) {
	f.Add([]byte("key"), []byte("value"), "h", []byte("v"), 3, uint8(0))
	f.Add([]byte{}, []byte{}, "", []byte{}, 0, uint8(7))
	f.Fuzz(func(t *testing.T, key, value []byte, hk string, hv []byte, count int, nils uint8) {
		r := Record{Key: append([]byte{}, key...), Value: append([]byte{}, value...)}
		if nils&1 != 0 {
			r.Key = nil
		}
		if nils&2 != 0 {
			r.Value = nil
		}
		for i := range min(max(count, 0), HeadersMax) {
			h := Header{hk, append([]byte{}, hv...)}
			if nils&4 != 0 && i%2 == 0 {
				h.Value = nil
			}
			r.Headers = append(r.Headers, h)
		}
		b := AppendTail(nil, &r)
		if len(b) != TailSize(&r) {
			t.Fatalf("%d bytes; TailSize says %d", len(b), TailSize(&r))
		}
		var back Record
		if err := ParseTail(b, &back); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(back, r) {
			t.Fatalf("got %+v, want %+v", back, r)
		}
	})
}

// FuzzReadInteraction holds what a record of a fact is read as to encoding/json's reading, with the ids in
// their one spelling.
func FuzzReadInteraction(f *testing.F) {
	for _, rating := range []string{"", `,"rating":4.5`, `,"rating":5`, `,"rating":0`, `,"rating":0.5`, `,"rating":04`, `,"rating":.5`, `,"rating":4.`, `,"rating":1.2.3`, `,"rating":-1`, `,"rating":1e3`, `,"rating":"4"`, `,"rating":99999999999999999999999999.5`} {
		for _, end := range []string{"}", `,"session_id":"s"}`, `,"session_id":"\u00e9"}`, `,"session_id":"é"}`, `,"more":1}`, " }", "}}", ""} {
			f.Add([]byte(`{"user_id":"7","movie_id":"42","interaction_type":"rating","timestamp":"2013-05-01T02:03:04.056Z"` + rating + end))
		}
	}
	f.Add([]byte(`{"user_id":"7","movie_id":"42","interaction_type":"rating","timestamp":""` + `,"rating":` + strings.Repeat("9", 400) + "}"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		ev, err := ReadFact(&Record{Position: Position{TP: TP{Topic: events.UserEventsTopic}}, Recorded: time.UnixMilli(0), Value: raw})
		if err != nil {
			return
		}
		got := ev.Data.(*events.Interaction)
		var want events.Interaction
		if err := json.Unmarshal(raw, &want); err != nil {
			return // ids may be numbers, which events.ParseInteraction's own tests cover
		}
		want.UserID, want.MovieID = events.CanonicalUser(want.UserID), events.CanonicalMovie(want.MovieID)
		if want.Timestamp == "" {
			want.Timestamp = events.FormatTime(time.UnixMilli(0))
		}
		if *got != want {
			t.Fatalf("%s is read as %+v; want %+v", raw, got, want)
		}
	})
}

func BenchmarkFactEncoder(b *testing.B) {
	var e FactEncoder
	ev := testFact()
	recs := make([]Record, 0, 1)
	b.ReportAllocs()
	for b.Loop() {
		e.Reset()
		if _, err := e.Append(recs, "7", ev); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkReadFact(b *testing.B) {
	r, err := FactRecord("7", testFact())
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ReadFact(&r); err != nil {
			b.Fatal(err)
		}
	}
}
