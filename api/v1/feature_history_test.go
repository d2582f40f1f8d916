package v1_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/projectionist/projectionist/ml/features"
)

type changed struct {
	Items []struct {
		EventMillis int64  `json:"event_millis"`
		EventID     string `json:"event_id"`
		EventType   string `json:"event_type"`
		Position    string `json:"position"`
		UserID      string `json:"user_id"`
		Offline     bool   `json:"offline"`
		Changes     []struct {
			Feature  string
			From, To any
		}
	}
	Next string `json:"next_cursor"`
}

// TestFeatureHistory: each value of a feature with the event that brought it, of computed and of pushed views, page by page, and as known then.
func TestFeatureHistory(t *testing.T) {
	w := newFixture(t)
	first := w.post("/api/v1/feedback", `{"user_id":"3","movie_id":"12","rating":5,"timestamp":"2024-05-01T00:00:00Z"}`).want(200).at("position")
	w.clock.set(w.clock.Now().Add(time.Minute))
	w.post("/api/v1/feedback", `{"user_id":"4","movie_id":"12","rating":1,"timestamp":"2024-04-30T00:00:00Z"}`).want(200) // late
	tell := func(path string) (string, changed) {
		t.Helper()
		var v changed
		w.get(path).want(200).into(&v)
		var lines []string
		for _, it := range v.Items {
			for _, c := range it.Changes {
				lines = append(lines, fmt.Sprintf("%s %v→%v", c.Feature, c.From, c.To))
			}
			if it.EventID == "" {
				t.Errorf("%s: a change without its event: %+v", path, it)
			}
		}
		return strings.Join(lines, ", "), v
	}
	const path = "/api/v1/features/views/movie_features/history?movie_id=movie_012&features=rating_count"
	whole, v := tell(path)
	var position string
	for _, it := range v.Items {
		if it.UserID == "3" {
			position = it.Position
		}
	}
	if position != first {
		t.Errorf("the rating is at %s, said to be at %s", first, position)
	}
	n := len(v.Items)
	if n < 4 || !strings.HasPrefix(whole, fmt.Sprintf("rating_count %d→%d, ", n-1, n)) || !strings.HasSuffix(whole, "rating_count 0→1") {
		t.Errorf("%d: %s", n, whole)
	}
	paged, cursor := "", ""
	for {
		text, v := tell(path + "&limit=2&cursor=" + cursor)
		if paged += text; v.Next == "" {
			break
		}
		paged, cursor = paged+", ", v.Next
	}
	if strings.TrimSuffix(paged, ", ") != whole {
		t.Errorf("%s\n%s", paged, whole)
	}
	if _, before := tell(path + "&known_at=" + first); len(before.Items) != n-1 {
		t.Errorf("known before the late one: %d of %d", len(before.Items), n)
	}
	if text, _ := tell(path + "&as_of=2024-04-30"); strings.Contains(text, fmt.Sprintf("→%d", n)) {
		t.Errorf("as of before: %s", text)
	}
	if text, v := tell("/api/v1/features/views/movie_features/history?movie_id=12&features=title"); text != "title <nil>→Film 12" || v.Items[0].EventType != "movie.listed" {
		t.Errorf("%s: %+v", text, v)
	}
	w.post("/api/v1/users", `{"user_id":"3","age":30,"since":"2020-01-01T00:00:00Z"}`).want(201)
	w.post("/api/v1/users", `{"user_id":"3","age":31,"since":"2021-01-01T00:00:00Z"}`).want(201)
	if text, _ := tell("/api/v1/features/views/user_features/history?user_id=3&features=age"); text != "age 30→31, age <nil>→30" {
		t.Errorf("%s", text)
	}
	if text, _ := tell("/api/v1/features/views/user_features/history?user_id=nobody"); text != "" {
		t.Errorf("%s", text)
	}

	text := strings.Replace(features.DefaultYAML(), "\nfeature_views:", "\nexternal_views: [{name: critics, entity: movie, features: [{name: score, type: float64}, {name: word, type: string}]}]\nfeature_views:", 1)
	w.post("/api/v1/features/definitions", text, "Content-Type", "application/yaml").want(200)
	push := func(values, at string) string {
		return w.post("/api/v1/log/topics/feature-values/records", `{"entity_key": "movie_id=7", "feature_view": "critics", "values": `+values+`, "timestamp": "`+at+`"}`).want(200).at("items.0.position")
	}
	push(`{"score": 1, "word": "a"}`, "2024-01-01T00:00:00Z")
	second := push(`{"score": 1.0, "word": "b"}`, "2024-01-02T00:00:00Z")
	last := push(`{"score": null, "word": "b"}`, "2024-01-03T00:00:00Z")
	const pushed = "/api/v1/features/views/critics/history?movie_id=7&after="
	if text, _ := tell(pushed + last); text != "score 1→<nil>, word a→b, score <nil>→1, word <nil>→a" {
		t.Errorf("%s", text)
	}
	if text, _ := tell(pushed + last + "&features=score"); text != "score 1→<nil>, score <nil>→1" {
		t.Errorf("%s", text)
	}
	if text, v := tell(pushed + last + "&limit=1"); text != "score 1→<nil>" || v.Next == "" {
		t.Errorf("%s", text)
	}
	if text, _ := tell(pushed + last + "&known_at=" + second); text != "word a→b, score <nil>→1, word <nil>→a" {
		t.Errorf("%s", text)
	}

	w.get("/api/v1/features/views/nope/history?movie_id=7").problem(404, "")
	w.get("/api/v1/features/views/movie_features/history").problem(400, "movie_id")
	w.get("/api/v1/features/views/movie_features/history?user_id=7").problem(400, "user_id")
	w.get("/api/v1/features/views/movie_features/history?movie_id=7&features=nope").problem(404, "features")
	w.get("/api/v1/features/views/movie_features/history?movie_id=7&cursor=x").problem(400, "cursor")
	w.get("/api/v1/features/views/critics/history?movie_id=7&features=nope").problem(404, "features")
}
