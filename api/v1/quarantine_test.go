package v1_test

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers"
	"github.com/projectionist/projectionist/streams"
)

// spoil publishes a record that cannot be read, and says where it is.
func (w *fixture) spoil(topic, key, value string) streams.Position {
	w.t.Helper()
	recs := []streams.Record{{Key: []byte(key), Value: []byte(value)}}
	w.must(w.log.Feed().Publish(w.t.Context(), topic, recs))
	w.folded(recs[0].Position)
	return recs[0].Position
}

// A record in quarantine is replaced by a value that is published as any other, once, however often it is asked for; and it stays as it is.
func TestReplaceQuarantined(t *testing.T) {
	w := newFixture(t)
	p := w.spoil("user-events", "7", `{"user_id":7}`)
	w.clock.set(day0.Add(time.Hour))
	at := "/api/v1/quarantine/records/" + p.String()
	before := w.facts()
	for _, wrong := range []struct{ body, field string }{
		{`{"resolution":"replaced"}`, "value"},
		{`{"resolution":"replaced","value":{"user_id":"7"}}`, "value.movie_id"},
		{`{"resolution":"replaced","value":{"user_id":"7","movie_id":"3","interaction_type":"rating","rating":17}}`, "value.rating"},
		{`{"resolution":"replaced","value":[1]}`, "value"},
		{`{"resolution":"mended","reason":"x"}`, "resolution"},
		{`{"resolution":"dropped"}`, "reason"},
		{`{"resolution":"dropped","reason":"x","value":{}}`, "value"},
	} {
		w.post(at, wrong.body).problem(400, wrong.field)
	}
	w.post("/api/v1/quarantine/records/user-events/0@999", `{"resolution":"dropped","reason":"x"}`).problem(404, "")
	w.post("/api/v1/quarantine/records/nowhere", `{"resolution":"dropped","reason":"x"}`).problem(400, "position")
	if now := w.facts(); now != before {
		t.Fatalf("what is refused has published %d facts", now-before)
	}
	const body = `{"resolution":"replaced","value":{"user_id":"7","movie_id":"3","interaction_type":"like"},"reason":"the film was missing"}`
	first := w.post(at, body).want(200)
	by := first.at("by.position")
	again := w.post(at, body).want(200)
	if again.at("by.position") != by || again.at("by.event_id") != first.at("by.event_id") || again.at("unchanged") != "true" || w.facts() != before+1 {
		t.Errorf("once more: %s\n%s", first.Body, again.Body)
	}
	w.post(at, strings.Replace(body, `"3"`, `"4"`, 1)).problem(409, "value")
	w.post(at, `{"resolution":"dropped","reason":"x"}`).problem(409, "resolution")
	if w.facts() != before+1 {
		t.Error("what is refused was published")
	}
	q := w.get(at).want(200)
	if q.at("state") != "replaced" || q.at("decision.by") != by || q.at("decision.reason") != "the film was missing" || q.at("decision.actor") != "api" || q.at("value") != "eyJ1c2VyX2lkIjo3fQ==" {
		t.Errorf("%s", q.Body)
	}
	for query, want := range map[string]string{"": p.String(), "state=open": "<none>", "state=replaced": p.String(), "state=dropped": "<none>"} {
		if got := w.get("/api/v1/quarantine?" + query).want(200).at("items.0.position"); got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
	w.get("/api/v1/quarantine?state=bad").problem(400, "state")
	// The fact is one like others, and is where the decision came of.
	if first.at("by.timestamp") != events.FormatTime(day0) {
		t.Errorf("a value without a timestamp happened at %s; want the time of the record", first.at("by.timestamp"))
	}
	if h := w.get("/api/v1/users/7/history?limit=1&after=" + by).want(200); h.at("items.0.movie_id") != "3" || h.at("items.0.interaction_type") != "like" {
		t.Errorf("%s", h.Body)
	}
	if c := w.get("/api/v1/audit/chain?of=" + by).want(200); c.at("root.position") != by || c.at("root.then.0.type") != "quarantine.resolved" || c.at("root.then.0.stream") != "quarantine/"+p.String() {
		t.Errorf("%s", c.Body)
	}
	then := url.QueryEscape(events.FormatTime(day0.Add(-1)))
	w.get(at+"?known_at="+then).problem(404, "")
}

// facts is how many there are.
func (w *fixture) facts() int64 {
	w.t.Helper()
	n, err := strconv.ParseInt(w.get("/api/v1/log/topics").want(200).at("items.1.records"), 10, 64)
	w.must(err)
	return n
}

// What is refused has published nothing, whatever it is refused for.
func TestReplaceQuarantinedRefused(t *testing.T) {
	w := newFixture(t)
	at := "/api/v1/quarantine/records/" + w.spoil("user-events", "7", `{"user_id":7}`).String()
	before := w.facts()
	body := func(reason string) string {
		return fmt.Sprintf(`{"resolution":"replaced","value":{"user_id":"7","movie_id":"3","interaction_type":"like"},"reason":"%s"}`, reason)
	}
	w.post(at, body(strings.Repeat("x", commands.TextBytesMax+1))).problem(400, "reason")
	w.post(at, body(""), "Idempotency-Key", "a\u0007").problem(400, "Idempotency-Key")
	w.post(at, body(""), "Idempotency-Key", strings.Repeat("k", 256)).problem(400, "Idempotency-Key")
	w.post(at, body(""), "If-Match", `"3"`).problem(412, "If-Match")
	if now := w.facts(); now != before {
		t.Fatalf("what is refused has published %d facts", now-before)
	}
	first := w.post(at, body(""), "If-None-Match", "*", "Idempotency-Key", "k").want(200)
	if again := w.post(at, body(""), "If-None-Match", "*", "Idempotency-Key", "k").want(200); again.at("duplicate") != "true" || again.at("by.position") != first.at("by.position") || w.facts() != before+1 {
		t.Errorf("%s\n%s", first.Body, again.Body)
	}
	w.post(at, body(""), "If-Match", `"3"`).problem(412, "If-Match")
	w.post(at, body(""), "If-Match", `"0"`).want(200)
}

// Of a record that is dropped and replaced at once one thing is decided, and no fact stands in for one that was dropped.
func TestReplaceQuarantinedBesideDrop(t *testing.T) {
	w := newFixture(t)
	replaced, before := int64(0), w.facts()
	for i := range 50 {
		at := "/api/v1/quarantine/records/" + w.spoil("user-events", "7", fmt.Sprint(i)).String()
		bodies := []string{`{"resolution":"dropped","reason":"a test"}`, `{"resolution":"replaced","value":{"user_id":"7","movie_id":"3","interaction_type":"like"}}`}
		codes := make([]int, len(bodies))
		var both sync.WaitGroup
		for k := range bodies {
			both.Go(func() { codes[k] = w.post(at, bodies[(k+i)%2]).Status })
		}
		both.Wait()
		if codes[0]+codes[1] != 200+409 {
			t.Fatalf("both are answered %v", codes)
		}
		if w.get(at).want(200).at("state") == "replaced" {
			replaced++
		}
	}
	if now := w.facts(); now != before+50+replaced {
		t.Errorf("%d records are replaced, by %d facts", replaced, now-before-50)
	}
}

// Who is broken off between the fact and what the ledger says of it goes on with the same value, and with no other.
func TestReplaceQuarantinedBrokenOff(t *testing.T) {
	w := newFixture(t)
	p := w.spoil("user-events", "7", `nonsense`)
	before := w.facts()
	was, err := w.core.Dispatcher.Publish(t.Context(), []commands.Fact{&commands.RecordInteraction{Interaction: events.Interaction{UserID: "7", MovieID: "3", Kind: "like"}}},
		handlers.Meta{Actor: "api", IdempotencyKey: "quarantine/" + p.String()})
	w.must(err)
	w.folded(was.Positions...)
	at := "/api/v1/quarantine/records/" + p.String()
	if other := w.post(at, `{"resolution":"replaced","value":{"user_id":"7","movie_id":"5","interaction_type":"like"}}`).problem(409, "value"); !strings.Contains(other.Detail, was.Positions[0].String()) {
		t.Errorf("%s; want the position of the value that was given", other.Detail)
	}
	w.clock.set(day0.Add(1000))
	if a := w.post(at, `{"resolution":"replaced","value":{"user_id":"7","movie_id":"3","interaction_type":"like"}}`).want(200); a.at("by.duplicate") != "true" || w.facts() != before+1 {
		t.Errorf("%s: %d facts more", a.Body, w.facts()-before)
	}
}

// A record is dropped with a reason; one that was refused at the door can be, too, and what an import could not read of its ledger is not replaced.
func TestDropQuarantined(t *testing.T) {
	w := newFixture(t)
	p := w.spoil("system-health", "db", `{`)
	at := "/api/v1/quarantine/records/" + p.String()
	w.post(at, `{"resolution":"dropped","reason":"a test"}`).want(200)
	if a := w.post(at, `{"resolution":"dropped","reason":"a test"}`).want(200); a.at("unchanged") != "true" {
		t.Errorf("%s", a.Body)
	}
	w.post(at, `{"resolution":"replaced","value":{"service_name":"db","status":"down"}}`).problem(409, "resolution")
	if q := w.get(at).want(200); q.at("state") != "dropped" || q.at("decision.reason") != "a test" {
		t.Errorf("%s", q.Body)
	}
	refused := w.dispatch(&commands.RefuseFact{Topic: events.LedgerTopic, Reason: "nobody publishes there", Count: 2, Value: []byte("{}")}).Position
	at = "/api/v1/quarantine/records/" + refused.String()
	w.post(at, `{"resolution":"replaced","value":{}}`).problem(400, "resolution")
	w.post(at, `{"resolution":"dropped","reason":"a client's mistake"}`).want(200)
	if q := w.get("/api/v1/quarantine?state=dropped").want(200); q.at("items.1.state") != "dropped" || q.at("items.2") != "<none>" {
		t.Errorf("%s", q.Body)
	}
}
