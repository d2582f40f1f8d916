package v1_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers"
)

// TestOnDemand: views that are expressions are read of one entity, of several, and joined, also of what was pushed.
func TestOnDemand(t *testing.T) {
	w := newFixture(t)
	w.post("/api/v1/features/definitions", strings.Replace(w.definitions(), "\nfeature_views:", `
external_views: [{name: critics, entity: movie, features: [{name: score, type: float32}, {name: good, type: bool}]}]
on_demand_views:
  - {name: busy, inputs: {n: "movie_features:interaction_count"}, features: [{name: doubled, type: int64, expression: n * 2}]}
  - name: fit
    inputs: {n: "movie_features:interaction_count", score: "critics:score", good: "critics:good", own: "user_features:interaction_count"}
    features: [{name: half, type: float64, expression: score / 2}, {name: shown, type: int64, expression: "if(good, n + own, 0)"}]
  - {name: late, request: {hour: int64}, features: [{name: is, type: int64, expression: "if(hour > 22, 1, 0)"}]}
feature_views:`, 1)).want(200)
	p, err := w.cfg.Dispatcher.Publish(t.Context(), []commands.Fact{&commands.PushFeatureValues{FeatureValues: events.FeatureValues{EntityKey: "movie_id=1", View: "critics",
		Values: map[string]json.RawMessage{"score": json.RawMessage("2.5"), "good": json.RawMessage("true")}, Timestamp: "2024-03-08T00:00:00Z"}}}, handlers.Meta{Actor: "test"})
	w.must(err)
	w.core.Settle(t.Context(), p.Positions, "feature-values")

	got := w.get("/api/v1/features/movie/1?features=busy:doubled,interaction_count").want(200)
	if got.at("features.doubled") != "6" || got.at("features.interaction_count") != "3" {
		t.Errorf("one: %s", got.Body)
	}
	if got := w.post("/api/v1/features/batch", `{"entity_type":"movie","entity_ids":["1","99"],"view":"busy"}`).want(200); got.at("results.0.features.doubled") != "6" || got.at("results.1.features.doubled") != "null" {
		t.Errorf("several: %s", got.Body)
	}
	got = w.post("/api/v1/features/historical", `{"rows":[{"movie_id":1,"user_id":3,"event_timestamp":"2024-03-09T00:00:00Z"},{"movie_id":1,"user_id":3,"event_timestamp":"2024-03-07T00:00:00Z"}],
		"features":["fit:half","critics:score","fit:shown","busy:doubled","busy@v1:doubled","critics@v1:good"],"full_feature_names":true}`).want(200)
	if got.at("rows.0.fit__half") != "1.25" || got.at("rows.0.critics__score") != "2.5" || got.at("rows.0.fit__shown") == "0" || got.at("rows.0.fit__shown") == "null" || got.at("rows.0.busy__doubled") != got.at("rows.0.busy@v1__doubled") ||
		got.at("rows.0.critics@v1__good") != "true" || got.at("rows.1.fit__half") != "null" || got.at("rows.1.busy__doubled") == "null" {
		t.Errorf("joined: %s", got.Body)
	}
	w.get("/api/v1/features/movie/1?features=fit:half").problem(404, "features") // of people, too
	w.post("/api/v1/features/historical", `{"rows":[{"movie_id":1,"event_timestamp":"2024-03-09"}],"features":["late:is"]}`).problem(400, "features")
	w.get("/api/v1/features/movie/1?features=late:is").problem(400, "features")
	if got := w.get("/api/v1/features/on-demand").want(200); got.at("items.1.features.0.expression") != "score / 2" {
		t.Errorf("listed: %s", got.Body)
	}
}
