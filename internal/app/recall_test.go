package app_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers"
	"github.com/projectionist/projectionist/internal/app"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

type factAnswer struct {
	EventID   string `json:"event_id"`
	Position  string `json:"position"`
	Time      string `json:"timestamp"`
	Duplicate bool   `json:"duplicate"`
}

// feedback sends feedback without a timestamp under an idempotency key.
func feedback(t testing.TB, address, key, body string) (int, factAnswer) {
	t.Helper()
	req, err := http.NewRequest("POST", address+"/api/v1/feedback", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Idempotency-Key", key)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	var a factAnswer
	if res.StatusCode < 300 {
		if err := json.Unmarshal(raw, &a); err != nil {
			t.Fatalf("%s: %v", raw, err)
		}
	}
	return res.StatusCode, a
}

// An idempotency key outlives the process that has acknowledged it: killed, ended, and with views that are folded anew.
// The same again is answered as it was and written once, another body under it is refused.
func TestIdempotencyKeyOutlivesTheProcess(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	const world = "--simulate=users=40,movies=120,events=1500,end=2024-05-06T07:00:00Z"
	body := func(rating int) string { return fmt.Sprintf(`{"user_id":"7","movie_id":"1","rating":%d}`, rating) }
	c := start(t, dir, world)
	c.ready(t)
	given := map[string]factAnswer{} // by key
	for round, end := range []string{"killed", "ended", "killed, and without views"} {
		key := fmt.Sprint("key-", round)
		code, a := feedback(t, c.address, key, body(4))
		if code >= 300 || a.Duplicate {
			t.Fatalf("round %d: %d %+v", round, code, a)
		}
		given[key] = a
		switch end {
		case "killed":
			c.kill()
		case "ended":
			c.stop(t)
		default:
			c.kill()
			if err := os.RemoveAll(fold.StoreDir(dir)); err != nil {
				t.Fatal(err)
			}
		}
		c = start(t, dir)
		if end == "killed, and without views" {
			c.ready(t) // until the catalogue is folded there is no film
		}
		for key, was := range given {
			if code, a := feedback(t, c.address, key, body(5)); code != 409 {
				t.Errorf("%s: another body under %s: %d %+v", end, key, code, a)
			}
			code, a := feedback(t, c.address, key, body(4))
			if was.Duplicate = true; code >= 300 || a != was {
				t.Errorf("%s: %s again: %d %+v; want %+v", end, key, code, a, was)
			}
		}
	}
	c.stop(t)

	a, err := app.Open(context.Background(), app.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	stand := map[string]int{} // records by event id
	for _, tp := range streams.PartitionsOf(events.UserEventsTopic) {
		for r, err := range a.Log.Feed().Read(t.Context(), tp, 0) {
			if err != nil {
				t.Fatal(err)
			}
			ev, err := streams.ReadFact(r)
			if err != nil {
				t.Fatal(err)
			}
			stand[ev.ID]++
		}
	}
	for key, was := range given {
		if stand[was.EventID] != 1 {
			t.Errorf("the log has the fact of %s %d times", key, stand[was.EventID])
		}
	}
	foldedAll(t, a)
	reports, err := a.Views.Verify(t.Context(), t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range reports {
		if !r.Equal {
			t.Errorf("view %s differs from its replay: %s", r.View, r.Diff)
		}
	}
}

// A value that was published for a record in quarantine is known after a start, whatever takes it: the same goes on where it was broken off, another is refused.
func TestReplacementOutlivesTheProcess(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	values := map[string][2]string{ // what was published, and another
		events.UserEventsTopic:      {`{"user_id":"7","movie_id":"1","interaction_type":"like"}`, `{"user_id":"7","movie_id":"2","interaction_type":"like"}`},
		events.RecommendationsTopic: {`{"request_id":"r","user_id":"7","strategy":"x","items":[{"movie_id":"1"}]}`, `{"request_id":"r","user_id":"7","strategy":"y","items":[{"movie_id":"1"}]}`},
		events.DriftAlertsTopic:     {`{"model_name":"als","drift_score":0.5,"threshold":0.3}`, `{"model_name":"als","drift_score":0.6,"threshold":0.3}`},
		events.SystemHealthTopic:    {`{"service_name":"db","status":"down"}`, `{"service_name":"db","status":"ok"}`},
		events.FeatureValuesTopic:   {`{"entity_key":"movie_id=1","feature_view":"v","values":{"a":1}}`, `{"entity_key":"movie_id=1","feature_view":"v","values":{"a":2}}`},
	}
	a := openAt(t, dir)
	spoilt := map[string]streams.Position{}
	for _, topic := range events.Topics {
		if topic.Plain == "" {
			continue
		}
		recs := []streams.Record{{Key: []byte("7"), Value: []byte("{")}}
		if err := a.Log.Feed().Publish(t.Context(), topic.Name, recs); err != nil {
			t.Fatal(err)
		}
		spoilt[topic.Name] = recs[0].Position
		var ev events.Event
		if err := events.DecodePlain(topic, []byte(values[topic.Name][0]), &ev, nil); err != nil {
			t.Fatal(topic.Name, err)
		}
		fact, _ := commands.FactOf(ev.Data)
		if _, err := a.Dispatcher.Publish(t.Context(), []commands.Fact{fact}, handlers.Meta{Actor: "api", IdempotencyKey: "quarantine/" + recs[0].Position.String()}); err != nil {
			t.Fatal(topic.Name, err)
		}
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	a = openAt(t, dir)
	foldedAll(t, a)
	for topic, at := range spoilt {
		ask := func(value string) (int, string) {
			return status(a, "POST", "/api/v1/quarantine/records/"+at.String(), `{"resolution":"replaced","value":`+value+`}`)
		}
		before := countOf(t, a, topic)
		if code, said := ask(values[topic][1]); code != 409 || !strings.Contains(said, `"field":"value"`) {
			t.Errorf("%s: another value: %d %s", topic, code, said)
		}
		if code, said := ask(values[topic][0]); code != 200 || !strings.Contains(said, `"duplicate":true`) {
			t.Errorf("%s: the same again: %d %s", topic, code, said)
		}
		if now := countOf(t, a, topic); now != before {
			t.Errorf("%s has %d records more", topic, now-before)
		}
	}
}

// countOf is how many records a topic has.
func countOf(t *testing.T, a *app.App, topic string) (n int64) {
	t.Helper()
	for _, tp := range streams.PartitionsOf(topic) {
		head, err := a.Log.Feed().Head(t.Context(), tp, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		n += head
	}
	return n
}
