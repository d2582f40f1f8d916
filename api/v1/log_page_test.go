package v1_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/streams"
)

type pageOf struct {
	Items []struct {
		Position, Type, Recorded, Stream, Actor string
		EventID                                 string `json:"event_id"`
	}
	Next      string `json:"next_cursor"`
	ScannedTo string `json:"scanned_to"`
	Scanned   int
}

// pages reads all pages of a topic's events, and gives the events by what names them, in order.
func (w *fixture) pages(topic, query string) (all []string) {
	w.t.Helper()
	for cursor := ""; ; {
		var p pageOf
		a := w.get("/api/v1/log/topics/" + topic + "/records?" + query + "&cursor=" + url.QueryEscape(cursor)).want(200)
		a.into(&p)
		for _, it := range p.Items {
			all = append(all, it.Position+" "+it.EventID)
		}
		if _, err := streams.ParseCut(p.ScannedTo); err != nil || p.Next != "" && p.Next == cursor {
			w.t.Fatalf("%s", a.Body)
		}
		if cursor = p.Next; cursor == "" {
			return all
		}
	}
}

// Pages of a topic have every event once, in the order of when it was recorded, either way.
func TestRecordsPages(t *testing.T) {
	w := newFixture(t)
	for i := range 40 {
		w.clock.set(day0.Add(time.Duration(i/3) * time.Second))
		w.post("/api/v1/feedback", fmt.Sprintf(`{"user_id":"p%d","movie_id":"%d","interaction_type":"click"}`, i%7, i%5+1)).want(200)
	}
	for _, topic := range []string{"user-events", events.LedgerTopic} {
		var lines []string
		for _, l := range w.get("/api/v1/log/topics/" + topic + "/records?limit=1000").want(200).lines() {
			lines = append(lines, fmt.Sprint(l["position"], " ", l["event_id"]))
		}
		for _, limit := range []int{1, 7, 1000} {
			asc := w.pages(topic, fmt.Sprintf("order=asc&limit=%d", limit))
			if fmt.Sprint(asc) != fmt.Sprint(lines) {
				t.Errorf("%s by %d: %d events, want %d", topic, limit, len(asc), len(lines))
			}
			desc := w.pages(topic, fmt.Sprintf("order=desc&limit=%d", limit))
			seen := map[string]bool{}
			for _, one := range desc {
				seen[one] = true
			}
			if len(desc) != len(lines) || len(seen) != len(lines) {
				t.Errorf("%s by %d, newest first: %d events, %d of them others, want %d", topic, limit, len(desc), len(seen), len(lines))
			}
		}
	}
	var p pageOf
	w.get("/api/v1/log/topics/user-events/records?order=desc&limit=30").want(200).into(&p)
	for i := 1; i < len(p.Items); i++ {
		if p.Items[i].Recorded > p.Items[i-1].Recorded {
			t.Fatalf("%+v comes after %+v", p.Items[i], p.Items[i-1])
		}
	}
	w.get("/api/v1/log/topics/user-events/records?order=desc&partition=1&from=3&limit=2").want(200).into(&p)
	if len(p.Items) != 2 || p.Items[0].Position != "user-events/1@3" || p.Items[1].Position != "user-events/1@2" || p.Next != "user-events/1:2" {
		t.Errorf("%+v", p)
	}
	for query, field := range map[string]string{"order=up": "order", "order=desc&limit=1001": "limit", "cursor=x": "cursor", "order=asc&cursor=x": "cursor", "order=asc&cursor=user-events/0:1": "cursor",
		"order=asc&partition=0&cursor=user-events/0:1,user-events/1:1": "cursor", "order=desc&follow=true": "follow", "follow=true&known_at=2024-01-01": "known_at", "order=desc&from=x": "from",
		"order=asc&from=1&cursor=user-events/0:1": "from", "since=1": "since"} {
		w.get("/api/v1/log/topics/user-events/records?"+query).problem(400, field)
	}
	w.get("/api/v1/log/topics/none/records?order=desc").problem(404, "")
}

// A filter keeps what fits, and a moment what was known.
func TestRecordsFiltered(t *testing.T) {
	w := newFixture(t)
	w.dispatch(&commands.ListMovie{Dataset: "test", Movie: events.Movie{MovieID: "99", Title: "Żółć <b>"}})
	cut := w.get("/api/v1/log/moment").at("cut")
	w.post("/api/v1/feedback", `{"user_id":"zoe","movie_id":"3","interaction_type":"like"}`).want(200)
	for _, c := range []struct {
		topic, query string
		want         int
	}{
		{"user-events", "stream=user/zoe", 1}, {"user-events", "q=ZOE", 1}, {"user-events", "q=zoe&known_at=" + url.QueryEscape(cut), 0},
		{"user-events", "type=user.interaction", testFacts + 1}, {"user-events", "type=user.interaction&known_at=" + url.QueryEscape(cut), testFacts}, {"user-events", "type=none", 0},
		{"user-events", "actor=api", 1}, {"user-events", "actor=test", testFacts}, {"user-events", "stream=user/", testFacts + 1},
		{events.LedgerTopic, "stream=movie/", testMovies + 1}, {events.LedgerTopic, "stream=movie/99", 1}, {events.LedgerTopic, "q=" + url.QueryEscape("żółć <b>"), 1},
		{events.LedgerTopic, "type=features.defined&actor=test", 1}, {events.LedgerTopic, "stream=movie", 0},
	} {
		for _, order := range []string{"asc", "desc"} {
			if got := w.pages(c.topic, "limit=5&order="+order+"&"+c.query); len(got) != c.want {
				t.Errorf("%s %s %s: %d events, want %d", c.topic, c.query, order, len(got), c.want)
			}
		}
		if got := w.get("/api/v1/log/topics/" + c.topic + "/records?limit=1000&" + c.query).want(200); len(got.lines()) != c.want {
			t.Errorf("%s %s: lines %s", c.topic, c.query, got.Body)
		}
	}
	if a := w.get("/api/v1/log/topics?known_at=" + url.QueryEscape(cut)).want(200); !strings.Contains(string(a.Body), fmt.Sprintf(`"topic":"user-events","records":%d`, testFacts)) {
		t.Errorf("%s", a.Body)
	}
	if a := w.get("/api/v1/log/streams/movie/99?known_at=mlops-events/0:3"); a.Status != 404 {
		t.Errorf("a stream before it began: %s", a.Body)
	}
}

// An event is found by its id and its position, with what led to it and what it led to, as a moment knows them.
func TestEvent(t *testing.T) {
	w := newFixture(t)
	w.defineWorkflows()
	a := w.post("/api/v1/trigger/model-drift", `{"model_name":"movie_predictor","drift_score":0.85,"threshold":0.7}`).want(202)
	alert, position := a.at("event_id"), a.at("position")
	before := w.get("/api/v1/log/moment").at("cut")
	run := w.asked(&commands.RequestWorkflowRun{RunID: "r1", Workflow: "movie_training_pipeline", RunType: "triggered",
		Triggered: &events.Triggered{Trigger: "drift", EventID: alert, Type: "model.drift", Position: position, Counted: 1, Cut: "model-drift-alerts/0:1"}}, alert)
	id := run.Events[0].ID
	begun := w.asked(&commands.StartTask{RunID: "r1", Task: "prepare_data", Holder: "test", LeaseMillis: 60_000}, id)
	for _, of := range []string{id, run.Position.String()} {
		v := w.get("/api/v1/log/events/" + of).want(200)
		if v.at("event.event_id") != id || v.at("event.stream") != "workflow-run/r1" || v.at("event.position") != run.Position.String() || v.at("event.data.workflow") != "movie_training_pipeline" ||
			v.at("cause.event_id") != alert || v.at("cause.type") != "model.drift" || v.at("cause.position") != position || v.at("caused.0.event_id") != begun.Events[0].ID || v.at("caused.1") != "<none>" {
			t.Errorf("%s: %s", of, v.Body)
		}
	}
	for _, of := range []string{alert, position} {
		v := w.get("/api/v1/log/events/" + of).want(200)
		if v.at("event.event_id") != alert || v.at("cause") != "null" || v.at("caused.0.event_id") != id || v.at("caused.0.stream") != "workflow-run/r1" {
			t.Errorf("%s: %s", of, v.Body)
		}
	}
	if v := w.get("/api/v1/log/events/" + position + "?known_at=" + url.QueryEscape(before)).want(200); v.at("caused.0") != "<none>" {
		t.Errorf("before: %s", v.Body)
	}
	keyed := w.post("/api/v1/feedback", `{"user_id":"1","movie_id":"1","interaction_type":"click"}`, "Idempotency-Key", "once").want(200)
	if v := w.get("/api/v1/log/events/" + keyed.at("event_id")).want(200); v.at("event.position") != keyed.at("position") {
		t.Errorf("%s", v.Body)
	}
	for _, of := range []string{id + "?known_at=" + url.QueryEscape(before), "none", "user-events/0@4711", "user-events/9@0", "mlops-events/0@4711"} {
		if p := w.get("/api/v1/log/events/"+of).problem(404, ""); p.Hint == "" {
			t.Errorf("%s: %+v", of, p)
		}
	}
}
