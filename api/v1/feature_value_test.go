package v1_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/projectionist/projectionist/ml/features"
)

// TestPushedHistory: every value that was pushed, the one that counts first, as known at a moment, and the event of each.
func TestPushedHistory(t *testing.T) {
	w := newFixture(t)
	text := strings.Replace(features.DefaultYAML(), "\nfeature_views:", "\nexternal_views: [{name: critics, entity: movie, features: [{name: score, type: float64}]}]\nfeature_views:", 1)
	w.post("/api/v1/features/definitions", text, "Content-Type", "application/yaml").want(200)
	if got := w.get("/api/v1/features/external").want(200); got.at("items.0.name") != "critics" || got.at("items.0.push_source") != "critics_push" {
		t.Errorf("%s", got.Body)
	}
	push := func(score, at string) string {
		a := w.post("/api/v1/log/topics/feature-values/records", `{"entity_key": "movie_id=7", "feature_view": "critics", "values": {"score": `+score+`}, "timestamp": "`+at+`"}`).want(200)
		return a.at("items.0.position")
	}
	first := push("1.5", "2024-01-02T00:00:00Z")
	push("2.5", "2024-01-03T00:00:00Z")
	third := push("3.5", "2024-01-01T00:00:00Z")
	const history = "/api/v1/features/external/critics/history?movie_id=movie_007"
	scores := func(query string) string {
		var v struct {
			Items []struct {
				Values   map[string]any `json:"values"`
				EventID  string         `json:"event_id"`
				Position string         `json:"position"`
			} `json:"items"`
		}
		w.get(history + "&after=" + third + query).want(200).into(&v)
		var out []string
		for _, it := range v.Items {
			if it.EventID == "" || it.Position == "" {
				t.Errorf("a value without its event: %+v", it)
			}
			out = append(out, fmt.Sprint(it.Values["score"]))
		}
		return strings.Join(out, " ")
	}
	for query, want := range map[string]string{"": "2.5 1.5 3.5", "&as_of=2024-01-02": "1.5 3.5", "&limit=1": "2.5", "&known_at=" + first: "1.5"} {
		if got := scores(query); got != want {
			t.Errorf("%q: %s; want %s", query, got, want)
		}
	}
	w.clock.set(day0.Add(time.Hour))
	w.post("/api/v1/features/definitions", features.DefaultYAML(), "Content-Type", "application/yaml").want(200)
	if got := scores("&known_at=2024-06-01T12:30:00Z"); got != "2.5 1.5 3.5" {
		t.Errorf("of a view that is gone: %s", got)
	}
	w.get(history).problem(404, "")
	w.post("/api/v1/features/definitions", text, "Content-Type", "application/yaml").want(200)
	w.get("/api/v1/features/external/nope/history?movie_id=7").problem(404, "")
	w.get("/api/v1/features/external/critics/history").problem(400, "movie_id")
	w.get(history+"&user_id=1").problem(400, "user_id")
	w.post("/api/v1/log/topics/feature-values/records", `{"entity_key": "movie_id=7", "feature_view": "critics", "values": {"score": {"a": 1}}}`).problem(400, "line 1.values.score")
}
