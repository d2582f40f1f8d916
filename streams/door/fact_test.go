package door

import (
	"strings"
	"testing"
	"time"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/streams"
)

// FuzzValidFact: what is said of a value that is to come in is what is said of it once it is in the log.
func FuzzValidFact(f *testing.F) {
	for _, s := range []string{
		`{"user_id":"user_1","movie_id":"movie_2","interaction_type":"view","timestamp":"2026-01-01T00:00:00Z"}`,
		`{"user_id":1,"movie_id":2,"interaction_type":"rating","rating":4.5}`,
		`{"user_id":"1","movie_id":"2","interaction_type":"rating","rating":45,"timestamp":"2026-01-01T00:00:00Z"}`,
		`{"user_id":"1","movie_id":"2","interaction_type":"view","timestamp":"yesterday"}`,
		`{"user_id":"1","movie_id":"2","interaction_type":"view","timestamp":""}`,
		`{"user_id":"1","movie_id":"2","interaction_type":"view","timestamp":null,"more":[1]}`,
		`{"user_id":"","movie_id":"2","interaction_type":"view"}`,
		`{}`, `null`, `[]`, ``, `{"user_id":"é","movie_id":"\u0000","interaction_type":"like","timestamp":"2026-01-01T00:00:00+02:00"}`,
	} {
		f.Add([]byte(s))
	}
	now := time.UnixMilli(1_700_000_000_000).UTC()
	f.Fuzz(func(t *testing.T, value []byte) {
		rec := streams.Record{Value: value}
		got := ValidFact(events.UserEventsTopic, &rec, now)
		rec.Topic, rec.Recorded = events.UserEventsTopic, now
		_, want := streams.ReadFact(&rec)
		if (got == nil) != (want == nil) || got != nil && !strings.HasSuffix(want.Error(), got.Error()) {
			t.Errorf("%q: %v; reading it says %v", value, got, want)
		}
	})
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
