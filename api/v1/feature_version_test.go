package v1_test

import (
	"strings"
	"testing"
	"time"
)

// TestViewVersions: each change of a view's definition is a version, listed, and read by its number in every way that features are read.
func TestViewVersions(t *testing.T) {
	w := newFixture(t)
	file := w.definitions()
	w.post("/api/v1/features/definitions", strings.Replace(file, "description: How a film", "description: Otherwise, how a film", 1)).want(200) // no change of what is computed
	w.clock.set(day0.Add(time.Hour))
	const then = "2024-06-01T12:30:00Z"
	w.post("/api/v1/features/definitions", strings.Replace(file, "{name: rating_count, type: int64, aggregation: rating_count}", "{name: rating_count, type: int64, aggregation: rating_count, window: 1d}", 1)).want(200)
	had := w.get("/api/v1/features/views/movie_features/versions").want(200)
	if had.at("items.0.version") != "1" || had.at("items.0.in_force") != "false" || had.at("items.1.version") != "2" || had.at("items.1.in_force") != "true" || had.at("items.2") != "<none>" ||
		had.at("items.0.hash") == had.at("items.1.hash") || had.at("items.1.kind") != "computed" {
		t.Errorf("versions: %s", had.Body)
	}
	if got := w.get("/api/v1/features/views/user_features/versions").want(200); got.at("items.1") != "<none>" {
		t.Errorf("a view that has not changed: %s", got.Body)
	}
	if got := w.get("/api/v1/features/views/movie_features/versions?known_at=" + then).want(200); got.at("items.1") != "<none>" || got.at("items.0.in_force") != "true" {
		t.Errorf("as known then: %s", got.Body)
	}
	if got := w.get("/api/v1/features/views/movie_features/versions/v1").want(200); got.at("definition.name") != "movie_features" || strings.Contains(string(got.Body), "window_days\":1,") {
		t.Errorf("the first: %s", got.Body)
	}
	if got := w.get("/api/v1/features/views/movie_features/versions/latest").want(200); got.at("version") != "2" {
		t.Errorf("the latest: %s", got.Body)
	}
	w.get("/api/v1/features/views/movie_features/versions/3").problem(404, "features")
	w.get("/api/v1/features/views/movie_features/versions/x").problem(400, "version")
	w.get("/api/v1/features/views/nope/versions").problem(404, "")

	rated := w.get("/api/v1/features/movie/1?as_of=2024-03-01&features=movie_features@v1:rating_count").want(200).at("features.rating_count")
	if rated == "0" || rated == "null" || rated == "<none>" {
		t.Fatalf("the first version counts %s", rated)
	}
	got := w.get("/api/v1/features/movie/1?as_of=2024-03-01&full_feature_names=true&features=movie_features@v1:rating_count,movie_features@V2:rating_count,movie_features@latest:title").want(200)
	if got.at("features.movie_features@v1__rating_count") != rated || got.at("features.movie_features@v2__rating_count") == rated || got.at("features.movie_features__title") == "null" {
		t.Errorf("two versions: %s", got.Body)
	}
	if got := w.get("/api/v1/features/movie/1?as_of=2024-03-01&view=movie_features@v1").want(200); got.at("features.rating_count") != rated {
		t.Errorf("a whole view: %s", got.Body)
	}
	if got := w.post("/api/v1/features/batch", `{"entity_type":"movie","entity_ids":["1"],"as_of":"2024-03-01","features":["movie_features@v1:rating_count"]}`).want(200); got.at("results.0.features.rating_count") != rated {
		t.Errorf("several: %s", got.Body)
	}
	if got := w.post("/api/v1/features/historical", `{"rows":[{"movie_id":1,"event_timestamp":"2024-03-01T00:00:00Z"}],"features":["movie_features@v1:rating_count"]}`).want(200); got.at("rows.0.rating_count") != rated {
		t.Errorf("joined: %s", got.Body)
	}
	// Definitions are known from the time on at which they were put in force.
	if got := w.get("/api/v1/features/movie/1?as_of=2024-03-01&features=rating_count&known_at=" + then).want(200); got.at("features.rating_count") != rated {
		t.Errorf("by what was known then: %s", got.Body)
	}
	// So do figures and histories of what was known then, also of a view that is gone.
	w.clock.set(day0.Add(2 * time.Hour))
	w.post("/api/v1/features/definitions", strings.ReplaceAll(file, "movie_features", "film_features")).want(200)
	statistics := w.get("/api/v1/features/statistics?view=movie_features&features=rating_count&known_at=" + then).want(200)
	if statistics.at("definitions_hash") != had.at("items.0.definitions_hash") || statistics.at("views.0.features.0.numbers.max") == "0" {
		t.Errorf("statistics by what was known then: %s", statistics.Body)
	}
	all := w.get("/api/v1/features/movie/1?features=rating_count&known_at=" + then).want(200).at("features.rating_count")
	if got := w.get("/api/v1/features/views/movie_features/history?movie_id=1&features=rating_count&known_at=" + then).want(200); got.at("items.0.changes.0.to") != all {
		t.Errorf("the history by what was known then: %s, want %s", got.Body, all)
	}
	if got := w.get("/api/v1/features/views/movie_features/versions?known_at=" + then).want(200); got.at("items.0.in_force") != "true" {
		t.Errorf("before it was taken away: %s", got.Body)
	}
	if got := w.get("/api/v1/features/views/movie_features/versions").want(200); got.at("items.1.in_force") != "false" {
		t.Errorf("taken away: %s", got.Body)
	}
	w.get("/api/v1/features/statistics?view=movie_features").problem(404, "")
	w.get("/api/v1/features/views/movie_features/history?movie_id=1").problem(404, "")
	w.get("/api/v1/features/views/movie_features/history?movie_id=1&known_at=never").problem(400, "known_at")
	w.post("/api/v1/features/definitions", file).want(200)
	w.get("/api/v1/features/movie/1?features=movie_features@v9:rating_count").problem(404, "features")
	w.get("/api/v1/features/movie/1?features=movie_features@x:rating_count").problem(404, "features")
	if got := w.do("POST", "/api/v1/training-sets/ranking?features=movie_features@v1:rating_count", "movie_id,event_timestamp\n1,2024-03-01\n", "Content-Type", "text/csv").want(201); got.at("references.0") != "movie_features@v1:rating_count" {
		t.Errorf("%s", got.Body)
	}
}
