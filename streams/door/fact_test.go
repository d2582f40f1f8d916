package door

import (
	"strings"
	"testing"
	"time"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/streams"
	"github.com/projectionist/projectionist/streams/local"
)

// FuzzValidFact: what is said of a value that is to come in is what is said of it once it is in the log, and that
// it may not be of tomorrow.
func FuzzValidFact(f *testing.F) {
	for _, s := range []string{
		`{"user_id":"user_1","movie_id":"movie_2","interaction_type":"view","timestamp":"2026-01-01T00:00:00Z"}`,
		`{"user_id":1,"movie_id":2,"interaction_type":"rating","rating":4.5}`,
		`{"user_id":"1","movie_id":"2","interaction_type":"rating","rating":45,"timestamp":"2026-01-01T00:00:00Z"}`,
		`{"user_id":"1","movie_id":"2","interaction_type":"view","timestamp":"yesterday"}`,
		`{"user_id":"1","movie_id":"2","interaction_type":"view","timestamp":""}`,
		`{"user_id":"1","movie_id":"2","interaction_type":"view","timestamp":null,"more":[1]}`,
		`{"user_id":"","movie_id":"2","interaction_type":"view"}`,
		`{"user_id":"1","movie_id":"2","interaction_type":"view","timestamp":"2026-06-02T00:00:00.001Z"}`,
		`{}`, `null`, `[]`, ``, `{"user_id":"é","movie_id":"\u0000","interaction_type":"like","timestamp":"2026-01-01T00:00:00+02:00"}`,
	} {
		f.Add([]byte(s))
	}
	now := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, value []byte) {
		rec := streams.Record{Value: value}
		got := ValidFact(events.UserEventsTopic, &rec, now)
		rec.Topic, rec.Recorded = events.UserEventsTopic, now
		ev, want := streams.ReadFact(&rec)
		if want == nil && ev.CheckTime(now) != nil {
			t.Errorf("%q is of %v, and can be read", value, ev.Time)
		}
		ahead := got != nil && strings.HasSuffix(got.Error(), "more than a day ahead of this server's clock")
		if (got == nil) != (want == nil) || got != nil && !ahead && !strings.HasSuffix(want.Error(), got.Error()) {
			t.Errorf("%q: %v; reading it says %v", value, got, want)
		}
	})
}

// TestFactTime: a fact that does not say when it happened did so at the record's own time, if that can be; and none
// is of more than a day ahead, by whichever way it says so.
func TestFactTime(t *testing.T) {
	now := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	l := mustMem(t, local.Options{Now: func() time.Time { return now }})
	d := mustListen(t, Config{Log: l, Validate: func(topic string, r *streams.Record) error { return ValidFact(topic, r, now) }})
	p := mustDial(t, d)
	const ahead = "is more than a day ahead of this server's clock"
	untimed := `{"user_id":"1","movie_id":"2","interaction_type":"view"}`
	timed := func(stamp string) string { return untimed[:len(untimed)-1] + `,"timestamp":"` + stamp + `"}` }
	envelope := func(more ...string) []string {
		return append([]string{"ce_specversion", "1.0", "ce_id", "1", "ce_source", "/test", "ce_type", "user.interaction"}, more...)
	}
	own := now.Add(-2 * time.Hour)
	for _, c := range []struct {
		name    string
		value   string
		headers []string
		own     time.Time // the record's own time
		want    time.Time // when it happened
		refused string
	}{
		{name: "own time", value: untimed, own: own, want: own},
		{name: "own time, in an envelope", value: untimed, headers: envelope(), own: own, want: own},
		{name: "own time, with an id", value: untimed, headers: []string{"ce_id", "a"}, own: own, want: own},
		{name: "a day ahead", value: untimed, own: now.Add(24 * time.Hour), want: now.Add(24 * time.Hour)},
		{name: "more than that", value: untimed, own: now.Add(24*time.Hour + time.Millisecond), want: now},
		{name: "seconds for milliseconds", value: untimed, own: time.UnixMilli(now.Unix()), want: now},
		{name: "1971", value: untimed, own: ownTimeMin, want: ownTimeMin},
		{name: "none", value: untimed, own: time.UnixMilli(-1), want: now},
		{name: "the value's", value: timed("2013-05-01T02:03:04Z"), own: own, want: time.Date(2013, 5, 1, 2, 3, 4, 0, time.UTC)},
		{name: "the value's, in an envelope", value: timed("2013-05-01T02:03:04Z"), headers: envelope(), own: own, want: time.Date(2013, 5, 1, 2, 3, 4, 0, time.UTC)},
		{name: "the value's ahead", value: timed("2090-01-01T00:00:00Z"), own: own, refused: ahead},
		{name: "the value's ahead in an envelope that is not", value: timed("2090-01-01T00:00:00Z"), headers: envelope("ce_time", "2026-06-01T00:00:00Z"), own: own, refused: ahead},
		{name: "the envelope's", value: untimed, headers: envelope("ce_time", "2025-01-01T00:00:00Z"), own: own, want: time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)},
		{name: "the envelope's ahead", value: untimed, headers: envelope("ce_time", "2026-06-03T00:00:00Z"), own: own, refused: ahead},
		{name: "before 1970", value: untimed, headers: envelope("ce_time", "1969-06-03T00:00:00Z"), own: own, refused: "1970"},
		{name: "a header alone", value: untimed, headers: []string{"ce_time", "2025-01-01T00:00:00Z"}, own: own, want: time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)},
		{name: "a header alone, ahead", value: untimed, headers: []string{"ce_time", "2026-06-03T00:00:00Z"}, own: own, refused: ahead},
		{name: "a header alone, malformed", value: untimed, headers: []string{"ce_time", "soon"}, own: own, refused: "RFC 3339"},
	} {
		r := streams.Record{Key: []byte("1"), Value: []byte(c.value)}
		for i := 0; i < len(c.headers); i += 2 {
			r.Headers = append(r.Headers, streams.Header{Key: c.headers[i], Value: []byte(c.headers[i+1])})
		}
		batch := newBatch(r)
		batch.FirstTimestamp, batch.MaxTimestamp = c.own.UnixMilli(), c.own.UnixMilli()
		got := p.produce(testTopic, 0, batch.bytes())
		if c.refused != "" {
			if got.ErrorCode != codeInvalidRecord || !strings.Contains(*got.ErrorMessage, c.refused) {
				t.Errorf("%s: %d; want it refused with %q", c.name, got.ErrorCode, c.refused)
			}
			continue
		}
		if got.ErrorCode != 0 {
			t.Errorf("%s: %d %s", c.name, got.ErrorCode, *got.ErrorMessage)
			continue
		}
		for rec, err := range l.Feed().Read(t.Context(), streams.TP{Topic: testTopic}, got.BaseOffset) {
			if err != nil {
				t.Fatal(err)
			}
			ev, err := streams.ReadFact(rec)
			if err != nil || !ev.Time.Equal(c.want) || string(rec.Value) != c.value {
				t.Errorf("%s: %v of %v, %v; want %v", c.name, ev, ev.Time, err, c.want)
			} else if said := ev.Data.(*events.Interaction).Timestamp; said != events.FormatTime(c.want) && !strings.Contains(c.value, said) {
				t.Errorf("%s: the fact says %s; want %v", c.name, said, c.want)
			}
		}
	}
}

// TestFactRepetition: what the package says of repetitions.
func TestFactRepetition(t *testing.T) {
	now := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	l := mustMem(t, local.Options{Now: func() time.Time { return now }})
	d := mustListen(t, Config{Log: l, Validate: func(topic string, r *streams.Record) error { return ValidFact(topic, r, now) }})
	p := mustDial(t, d)
	const timed, untimed = `{"user_id":"1","movie_id":"2","interaction_type":"view","timestamp":"2026-01-01T00:00:00Z"}`, `{"user_id":"1","movie_id":"2","interaction_type":"view"}`
	type fact struct {
		value, id, source string
		own               int64 // minutes before now
	}
	key := func(f fact) (at time.Time, hash uint64) {
		t.Helper()
		r := streams.Record{Key: []byte("1"), Value: []byte(f.value)}
		for k, v := range map[string]string{"ce_id": f.id, "ce_source": f.source} {
			if v != "" {
				r.Headers = append(r.Headers, streams.Header{Key: k, Value: []byte(v)})
			}
		}
		batch := newBatch(r)
		batch.FirstTimestamp = now.Add(-time.Duration(f.own) * time.Minute).UnixMilli()
		batch.MaxTimestamp = batch.FirstTimestamp
		got := p.produce(testTopic, 0, batch.bytes())
		if got.ErrorCode != 0 {
			t.Fatalf("%+v: %d %s", f, got.ErrorCode, *got.ErrorMessage)
		}
		for rec, err := range l.Feed().Read(t.Context(), streams.TP{Topic: testTopic}, got.BaseOffset) {
			if err != nil {
				t.Fatal(err)
			}
			ev, err := streams.ReadFact(rec)
			if err != nil {
				t.Fatal(err)
			}
			return ev.Time, events.FactHash(ev.Source, ev.ID, ev.Data.(*events.Interaction))
		}
		t.Fatal("it is not there")
		return
	}
	for _, c := range []struct {
		name string
		a, b fact
		same bool
	}{
		{"an id and a timestamp", fact{timed, "a", "", 1}, fact{timed, "a", "", 2}, true},
		{"another id", fact{timed, "a", "", 1}, fact{timed, "b", "", 1}, false},
		{"another source", fact{timed, "a", "/one", 1}, fact{timed, "a", "/two", 1}, false},
		{"an id, and the record sent again", fact{untimed, "a", "", 1}, fact{untimed, "a", "", 1}, true},
		{"an id, and a record made anew", fact{untimed, "a", "", 1}, fact{untimed, "a", "", 2}, false},
		{"no id", fact{timed, "", "", 1}, fact{timed, "", "", 1}, false},
	} {
		at1, hash1 := key(c.a)
		at2, hash2 := key(c.b)
		if same := at1.Equal(at2) && hash1 == hash2; same != c.same {
			t.Errorf("%s: a repetition %v; want %v", c.name, same, c.same)
		}
	}
}

func BenchmarkValidFact(b *testing.B) {
	rec := streams.Record{Value: []byte(`{"user_id":"user_42","movie_id":"movie_7","interaction_type":"view","timestamp":"2026-01-01T00:00:00.000Z","session_id":"` +
		"0123456789012345678901234567890123456789012345678901234567890123" + `"}`)}
	now := time.Now()
	b.ReportAllocs()
	for b.Loop() {
		if err := ValidFact(events.UserEventsTopic, &rec, now); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkReadFact(b *testing.B) {
	rec := streams.Record{Value: []byte(`{"user_id":"user_42","movie_id":"movie_7","interaction_type":"view","timestamp":"2026-01-01T00:00:00.000Z","session_id":"` +
		"0123456789012345678901234567890123456789012345678901234567890123" + `"}`)}
	rec.Topic = events.UserEventsTopic
	b.ReportAllocs()
	for b.Loop() {
		if _, err := streams.ReadFact(&rec); err != nil {
			b.Fatal(err)
		}
	}
}
