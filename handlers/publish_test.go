package handlers

import (
	"context"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/streams"
)

func rated(user, movie, timestamp string) *commands.RecordInteraction {
	return &commands.RecordInteraction{Interaction: events.Interaction{UserID: user, MovieID: movie, Kind: "rating", Rating: 4, Timestamp: timestamp}}
}

func TestPublish(t *testing.T) {
	l := newTestLog(t)
	d := newTestDispatcher(l, "id")
	facts := []commands.Fact{
		rated("user_007", "movie_042", "2024-01-15T19:30:00+09:00"),
		&commands.PublishDrift{ModelDrift: events.ModelDrift{ModelName: "als", DriftScore: 0.3, Threshold: 0.2}},
		&commands.PublishHealth{SystemHealth: events.SystemHealth{ServiceName: "api", Status: "ok"}},
		&commands.PublishRecommendation{RecommendationServed: events.RecommendationServed{RequestID: "r", UserID: "user_7", Strategy: "cold"}},
		rated("8", "1", ""),
	}
	p, err := d.Publish(context.Background(), facts, Meta{Actor: "user:anna"})
	if err != nil || p.Duplicate {
		t.Fatal(err)
	}
	for i, want := range []struct {
		topic, subject, timestamp string
	}{
		{events.UserEventsTopic, "user/7", "2024-01-15T10:30:00.000Z"},
		{events.DriftAlertsTopic, "model/als", "2024-01-15T10:30:00.123Z"},
		{events.SystemHealthTopic, "service/api", "2024-01-15T10:30:00.123Z"},
		{events.RecommendationsTopic, "user/7", "2024-01-15T10:30:00.123Z"},
		{events.UserEventsTopic, "user/8", "2024-01-15T10:30:00.123Z"},
	} {
		at := p.Positions[i]
		if at.Topic != want.topic {
			t.Fatalf("fact %d is at %s", i, at)
		}
		evs, positions, _ := l.published(t, want.topic)
		got := evs[slices.Index(positions, at)]
		stamp := reflect.ValueOf(got.Data).Elem().FieldByName("Timestamp").String()
		if got.Subject != want.subject || stamp != want.timestamp || events.FormatTime(got.Time) != want.timestamp || got.Actor != "user:anna" || got.ID != p.Events[i].ID {
			t.Errorf("fact %d: %+v %+v", i, got, got.Data)
		}
		if !reflect.DeepEqual(got.Data, p.Events[i].Data) {
			t.Errorf("fact %d: stored %+v, answered %+v", i, got.Data, p.Events[i].Data)
		}
	}
	if i := p.Events[0].Data.(*events.Interaction); i.UserID != "7" || i.MovieID != "42" {
		t.Errorf("%+v is not canonical", i)
	}
}

func TestPublishInvalid(t *testing.T) {
	l := newTestLog(t)
	d := newTestDispatcher(l, "id")
	_, err := d.Publish(context.Background(), []commands.Fact{rated("", "1", "")}, Meta{})
	wantFault(t, err, fault.Invalid, "user_id: must not be empty")
	bad := rated("7", "1", "9999-01-01T00:00:00Z")
	bad.Rating = 6
	_, err = d.Publish(context.Background(), []commands.Fact{rated("7", "1", ""), bad, rated("7", "", "")}, Meta{})
	for _, text := range []string{"facts[1].timestamp: ", "facts[1].rating: is 6", "facts[2].movie_id: must not be empty"} {
		wantFault(t, err, fault.Invalid, text)
	}
	two := 2.
	list := &commands.PublishRecommendation{RecommendationServed: events.RecommendationServed{UserID: "7", Items: []events.RecommendedItem{{MovieID: "1", Propensity: &two}}}}
	_, err = d.Publish(context.Background(), []commands.Fact{rated("7", "1", ""), list}, Meta{})
	for _, text := range []string{"facts[1].strategy: ", "facts[1].items[0].propensity: "} { // also of faults within faults
		wantFault(t, err, fault.Invalid, text)
	}
	zero := streams.Revision(0)
	_, err = d.Publish(context.Background(), []commands.Fact{rated("7", "1", "")}, Meta{IfMatch: &zero})
	wantFault(t, err, fault.Invalid, "If-Match")
	if evs, _, _ := l.published(t, events.UserEventsTopic); len(evs) != 0 {
		t.Errorf("%d facts were written", len(evs))
	}
}

func TestPublishIdempotencyKey(t *testing.T) {
	l := newTestLog(t)
	d := newTestDispatcher(l, "a")
	now := testNow
	d.now = func() time.Time { now = now.Add(time.Second); return now }
	facts := func() []commands.Fact { return []commands.Fact{rated("7", "1", ""), rated("7", "2", "")} }

	// The first try writes but has no answer. The repeat is given the same ids and the same times.
	l.afterPublish = func(string) error { l.afterPublish = nil; return fault.New(fault.Unknown, "no answer") }
	_, err := d.Publish(context.Background(), facts(), Meta{IdempotencyKey: "k"})
	wantFault(t, err, fault.Unknown, "no answer")
	second, err := d.Publish(context.Background(), facts(), Meta{IdempotencyKey: "k"})
	if err != nil || second.Duplicate {
		t.Fatal(second, err)
	}
	stored, _, _ := l.published(t, events.UserEventsTopic) // one user, one partition: in order
	if len(stored) != 4 {
		t.Fatal(len(stored))
	}
	for i := range 2 {
		if want := testNow.Add(time.Second).Truncate(time.Millisecond); !stored[i].Time.Equal(want) {
			t.Errorf("happened at %v, want the time of the first try, %v", stored[i].Time, want)
		}
		if stored[i].ID != stored[i+2].ID || !stored[i].Time.Equal(stored[i+2].Time) {
			t.Errorf("%+v and %+v are not the same fact", stored[i], stored[i+2])
		}
	}
	// After success the repeat is answered from memory.
	third, err := d.Publish(context.Background(), facts(), Meta{IdempotencyKey: "k"})
	if err != nil || !third.Duplicate || !reflect.DeepEqual(third.Positions, second.Positions) || !reflect.DeepEqual(third.Events, second.Events) {
		t.Errorf("%+v %v, want %+v", third, err, second)
	}
	_, err = d.Publish(context.Background(), []commands.Fact{rated("7", "3", "")}, Meta{IdempotencyKey: "k"})
	wantFault(t, err, fault.Conflict, "Idempotency-Key: this key was used before")

	// Another process: the same ids, and with timestamps the same times.
	stamped := []commands.Fact{rated("9", "1", "2024-01-15T10:30:00Z")}
	one, err := d.Publish(context.Background(), stamped, Meta{IdempotencyKey: "s"})
	if err != nil {
		t.Fatal(err)
	}
	two, err := newTestDispatcher(l, "b").Publish(context.Background(), stamped, Meta{IdempotencyKey: "s"})
	if err != nil || two.Duplicate || !reflect.DeepEqual(one.Events, two.Events) {
		t.Errorf("%+v %v, want %+v", two, err, one)
	}
}

func TestPublishMany(t *testing.T) {
	l := newTestLog(t)
	d := newTestDispatcher(l, "id")
	for batch := range 3 {
		var facts []Identified
		for i := range 50 {
			n := batch*50 + i
			facts = append(facts, Identified{fmt.Sprintf("ml/%d", n), rated(fmt.Sprint(n%11), fmt.Sprint(n), "2013-10-05T21:00:50Z")})
		}
		cut, err := d.PublishMany(context.Background(), events.UserEventsTopic, facts, Meta{Actor: "importer", Source: "/import/ml"})
		if err != nil {
			t.Fatal(err)
		}
		if _, _, all := l.published(t, events.UserEventsTopic); cut.String() != all.String() {
			t.Errorf("batch %d: cut %s, want %s", batch, cut, all)
		}
	}
	stored, _, _ := l.published(t, events.UserEventsTopic)
	if len(stored) != 150 {
		t.Fatal(len(stored))
	}
	seen := map[string]bool{}
	for _, ev := range stored {
		i := ev.Data.(*events.Interaction)
		if ev.ID != "ml/"+i.MovieID || ev.Source != "/import/ml" || ev.Actor != "importer" || events.FormatTime(ev.Time) != "2013-10-05T21:00:50.000Z" || i.Timestamp != "2013-10-05T21:00:50.000Z" {
			t.Errorf("%+v %+v", ev, i)
		}
		seen[ev.ID] = true
	}
	if len(seen) != 150 {
		t.Errorf("%d different facts", len(seen))
	}
	_, err := d.PublishMany(context.Background(), events.UserEventsTopic, []Identified{{"a", rated("1", "1", "")}, {"b", rated("1", "", "")}}, Meta{})
	wantFault(t, err, fault.Invalid, "facts[1].movie_id: ")
	_, err = d.PublishMany(context.Background(), events.UserEventsTopic, []Identified{{"a", &commands.PublishHealth{SystemHealth: events.SystemHealth{ServiceName: "x", Status: "ok"}}}}, Meta{})
	wantFault(t, err, fault.Invalid, "facts[0].topic: ")
	if _, err = d.PublishMany(context.Background(), events.UserEventsTopic, nil, Meta{IdempotencyKey: "k"}); err == nil || !strings.Contains(err.Error(), "Idempotency-Key") {
		t.Error(err)
	}
}

// nullFeed measures what comes before the log.
type nullFeed struct{ streams.Feed }

func (nullFeed) Publish(context.Context, string, []streams.Record) error { return nil }

func BenchmarkPublishMany(b *testing.B) {
	d := New(Config{Ledger: newTestLog(b), Feed: nullFeed{}, Now: time.Now, NewID: uuid.NewString})
	const batch = 1000
	facts := make([]Identified, batch)
	for i := range facts {
		facts[i] = Identified{fmt.Sprintf("ml/%d", i), rated(fmt.Sprint(i), "42", "2013-10-05T21:00:50Z")}
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := d.PublishMany(context.Background(), events.UserEventsTopic, facts, Meta{Actor: "importer"}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*batch/b.Elapsed().Seconds(), "facts/s")
}

// handing is a feed that shows what is handed along to it.
type handing struct {
	streams.Feed
	seen func([]streams.Record)
}

func (f handing) Publish(ctx context.Context, topic string, recs []streams.Record) error {
	err := f.Feed.Publish(ctx, topic, recs)
	f.seen(recs)
	return err
}

// TestPublishHandsActsAlong: an interaction, in whatever spelling it comes, is handed along as the log will give it.
func TestPublishHandsActsAlong(t *testing.T) {
	l := newTestLog(t)
	d := newTestDispatcher(l, "id")
	acts := 0
	d.feed = handing{l.feed, func(recs []streams.Record) {
		for i := range recs {
			want, err := streams.ReadFact(&recs[i])
			if err != nil {
				t.Fatal(err)
			}
			want.Raw = nil
			if _, ok := want.Data.(*events.Interaction); !ok {
				continue
			}
			if acts++; recs[i].Fact == nil || !reflect.DeepEqual(*recs[i].Fact, want) {
				t.Errorf("handed along %+v; the log gives %+v %+v", recs[i].Fact, want, want.Data)
			}
		}
	}}
	rng := rand.New(rand.NewPCG(1, 2))
	pick := func(of ...string) string { return of[rng.IntN(len(of))] }
	now := testNow
	d.now = func() time.Time { now = now.Add(1234567 * time.Nanosecond); return now.In(time.FixedZone("x", 3600)) }
	const rounds = 500
	for range rounds {
		var facts []commands.Fact
		for range 1 + rng.IntN(3) {
			facts = append(facts, &commands.RecordInteraction{Interaction: events.Interaction{
				UserID: pick("user_007", "7", "é\u2028<", "名前"), MovieID: pick("movie_042", "0042", "tt1", `"q"`), Kind: pick("rating", "like", "hummed"),
				SessionID: pick("", "s", "ß"), Timestamp: pick("", "2024-01-15T10:30:00", "2024-01-15T10:30:00.123456789+02:00", "2024-01-15T10:30:00,5-0330"),
				Rating: []float64{4.5, 0.1 + 0.2, 4.999999999999999, 1e-7}[rng.IntN(4)]}})
		}
		facts = append(facts, &commands.PublishDrift{ModelDrift: events.ModelDrift{ModelName: "als"}})
		if _, err := d.Publish(context.Background(), facts, Meta{Actor: pick("", "user:ä"), Correlation: pick("", "r"), IdempotencyKey: pick("", fmt.Sprint("k", rng.Int()))}); err != nil {
			t.Fatal(err)
		}
	}
	if acts < rounds {
		t.Errorf("%d interactions were seen", acts)
	}
}
