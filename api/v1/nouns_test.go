package v1_test

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

func TestReadYourWrites(t *testing.T) {
	w := newFixture(t)
	before := w.get("/api/v1/recommendations?user_id=test_user_001&k=12").want(200)
	if before.at("strategy") != "cold" || before.at("items.11.title") == "<none>" {
		t.Fatalf("a new user got %s", before.Body)
	}
	// As the guide types it.
	a := w.post("/api/v1/feedback", `{"user_id":"test_user_001","movie_id":"2","rating":4.5,"interaction_type":"like"}`).want(200)
	if a.at("folded") != "true" || a.at("event_id") == "" {
		t.Fatalf("answer: %s", a.Body)
	}
	next := w.get("/api/v1/recommendations?user_id=test_user_001&k=12&explain=true").want(200)
	if next.at("strategy") != "online" || strings.Contains(string(next.Body), `{"movie_id":"2","title":"Film 2","year":1992`) {
		t.Errorf("the next answer does not reflect the click: %s", next.Body)
	}
	if next.at("items.0.because.0.source") != "decayed_popularity" || next.at("items.0.because.1.movie_id") != "2" || next.at("items.0.sources") == "<none>" {
		t.Errorf("no reason given: %s", next.Body)
	}
	history := w.get("/api/v1/users/user_test/history").want(200)
	if history.at("items") != "[]" {
		t.Errorf("a stranger's history: %s", history.Body)
	}
	history = w.get("/api/v1/users/test_user_001/history?after=" + a.at("position")).want(200)
	if history.at("items.0.movie_id") != "2" || history.at("items.0.rating") != "4.5" {
		t.Errorf("history: %s", history.Body)
	}
	// Numbers as ids, a rating without a type, canonical ids, many at once.
	w.post("/api/v1/feedback", `{"user_id":77,"movie_id":3,"rating":4}`).want(200)
	if got := w.get("/api/v1/users/user_077/history"); got.at("items.0.interaction_type") != "rating" {
		t.Errorf("history: %s", got.Body)
	}
	w.post("/api/v1/events/user-interaction", `{"user_id":"user_1","movie_id":"movie_10","interaction_type":"view","rating":4}`).want(200)
	many := w.post("/api/v1/events/user-interaction", `[{"user_id":"a","movie_id":"1","interaction_type":"view"},{"user_id":"b","movie_id":"2","interaction_type":"click"}]`).want(200)
	if many.at("items.1.folded") != "true" {
		t.Errorf("answer: %s", many.Body)
	}
}

func TestServedRecommendations(t *testing.T) {
	w := newFixture(t)
	version := w.train()
	w.post("/api/v1/models/als/versions/"+strconv.Itoa(version)+"/deploy", `{"reason":"test"}`).want(200)
	a := w.get("/api/v1/recommendations?user_id=user_1&k=3").want(200)
	if a.at("strategy") != "blend" || a.at("model_name") != "als" || a.at("model_version") != "1" || strings.Contains(string(a.Body), "sources") {
		t.Fatalf("answer: %s", a.Body)
	}
	shown := w.get("/api/v1/recommendations/" + a.at("request_id") + "?after=" + a.at("position")).want(200)
	for i := range 3 {
		place := "items." + strconv.Itoa(i)
		if shown.at(place+".movie_id") != a.at(place+".movie_id") || shown.at(place+".title") != a.at(place+".title") {
			t.Errorf("shown %s, answered %s", shown.Body, a.Body)
		}
	}
	if shown.at("user_id") != "1" || shown.at("model_version") != "1" || shown.at("items.0.sources") == "<none>" {
		t.Errorf("shown: %s", shown.Body)
	}
	w.clock.set(day0.Add(time.Hour))
	later := w.get("/api/v1/recommendations?user_id=1&k=1").want(200)
	w.get("/api/v1/users/1/recommendations?at=2024-06-01T11:59:59Z&after="+later.at("position")).problem(404, "")
	if got := w.get("/api/v1/users/1/recommendations?at=2024-06-01T12:30:00Z").want(200).at("request_id"); got != a.at("request_id") {
		t.Errorf("at half past: request %s, want %s", got, a.at("request_id"))
	}
	if got := w.get("/api/v1/users/1/recommendations").want(200); got.at("items.0.request_id") != later.at("request_id") || got.at("items.1.request_id") != a.at("request_id") {
		t.Errorf("list: %s", got.Body)
	}
	if got := w.get("/?k=3").want(200); got.at("items.2.title") == "<none>" || got.at("strategy") != "popularity" {
		t.Errorf("baseline: %s", got.Body)
	}
	const browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
	if got := w.get("/", "Accept", browser).want(302); got.Header.Get("Location") != "/ui/" || got.Header.Get("Vary") != "Accept" {
		t.Errorf("a browser is sent to %v", got.Header)
	}
	for path, accept := range map[string]string{"/?k=3": browser, "/": "*/*", "/?": "text/html;q=0, application/json"} {
		w.get(path, "Accept", accept).want(200)
	}
	if got := w.get("/api/v1/movies/1/similar?k=2").want(200); got.at("items.0.title") == "<none>" {
		t.Errorf("similar: %s", got.Body)
	}
	w.get("/api/v1/recommendations?k=5").want(200)
	if got := w.post("/api/v1/recommendations", `{"user_id":1,"k":2,"explain":true}`).want(200); got.at("items.1.sources") == "<none>" {
		t.Errorf("posted: %s", got.Body)
	}
	w.get("/readyz").want(200)
}

// Who asks at once what was just answered finds it, without saying after what.
func TestShownAtOnce(t *testing.T) {
	w := newFixture(t)
	version := w.train()
	w.post("/api/v1/models/als/versions/"+strconv.Itoa(version)+"/deploy", `{"reason":"test"}`).want(200)
	for range 200 {
		a := w.get("/api/v1/recommendations?user_id=1&k=1").want(200)
		w.get("/api/v1/recommendations/" + a.at("request_id")).want(200)
		a = w.get("/api/v1/recommendations?user_id=2&k=1").want(200)
		if got := w.get("/api/v1/users/2/recommendations?limit=1").want(200); a.at("request_id") != got.at("items.0.request_id") {
			t.Fatalf("the last that was shown is %s; want %s", got.Body, a.at("request_id"))
		}
	}
}

func TestIdempotency(t *testing.T) {
	w := newFixture(t)
	body := `{"user_id":"8","movie_id":"1","interaction_type":"view"}`
	a := w.post("/api/v1/feedback", body, "Idempotency-Key", "k1").want(200)
	w.clock.set(day0.Add(time.Minute))
	b := w.post("/api/v1/feedback", body, "Idempotency-Key", "k1").want(200)
	if a.at("event_id") != b.at("event_id") || a.at("position") != b.at("position") || b.at("duplicate") != "true" || a.at("timestamp") != b.at("timestamp") {
		t.Errorf("first %s, again %s", a.Body, b.Body)
	}
	w.post("/api/v1/feedback", `{"user_id":"8","movie_id":"3","interaction_type":"view"}`, "Idempotency-Key", "k1").problem(409, "Idempotency-Key")
	w.defineWorkflows()
	run := w.post("/api/v1/workflows/movie_training_pipeline/runs", `{"conf":{"als.dim":8},"note":"by hand"}`, "Idempotency-Key", "k2").want(201)
	again := w.post("/api/v1/workflows/movie_training_pipeline/runs", `{"conf":{"als.dim":"8"},"note":"by hand"}`, "Idempotency-Key", "k2").want(200)
	if run.at("stream") != again.at("stream") || again.at("duplicate") != "true" {
		t.Errorf("first %s, again %s", run.Body, again.Body)
	}
	id := strings.TrimPrefix(run.at("stream"), "workflow-run/")
	if got := w.get("/api/v1/workflows/runs/" + id).want(200); got.at("conf") != `{"als.dim":"8"}` || got.at("state") != "queued" {
		t.Errorf("run: %s", got.Body)
	}
	if got := w.get("/api/v1/workflows/runs?state=queued"); got.at("items.0.run_id") != id || got.at("items.1") != "<none>" {
		t.Errorf("runs: %s", got.Body)
	}
	w.post("/api/v1/workflows/movie_training_pipeline/runs", `{"conf":{"als":{"dim":8}}}`).problem(400, "conf")
	w.post("/api/v1/workflows/movie_training_pipeline/runs", `{"conf":{"als.dims":8}}`).problem(400, "conf.als.dims")
	if p := w.post("/api/v1/workflows/movie_training_pipeline/runs", `{"conf":{"algorithm":"magic"}}`).problem(400, "conf.algorithm"); !strings.Contains(p.Detail, "one of als") {
		t.Errorf("what algorithms there are is not told: %s", p.Detail)
	}
	w.post("/api/v1/workflows/movie_data_collection/runs", `{"conf":{"pages":0}}`).problem(400, "conf.pages")
	w.get("/api/v1/workflows/runs?state=lost").problem(400, "state")
}

func TestRegistry(t *testing.T) {
	w := newFixture(t)
	w.train()
	w.train() // the same weights: another version all the same
	m := w.get("/api/v1/models/als").want(200)
	etag := m.Header.Get("ETag")
	if etag != `"2"` || m.at("revision") != "2" {
		t.Fatalf("ETag %s of %s", etag, m.Body)
	}
	stage := "/api/v1/models/als/versions/1/stage"
	w.post(stage, `{"stage":"production"}`, "If-Match", `"1"`).problem(412, "If-Match")
	w.post(stage, `{"stage":"production"}`, "If-Match", `one`).problem(400, "If-Match")
	w.clock.set(day0.Add(time.Hour))
	a := w.post(stage, `{"stage":"production","reason":"first"}`, "If-Match", etag, "X-Actor", "user:anna").want(200)
	if a.Header.Get("ETag") != `"5"` || a.at("folded") != "true" {
		t.Errorf("staged: %s", a.Body)
	}
	w.clock.set(day0.Add(2 * time.Hour))
	w.post("/api/v1/models/als/versions/2/stage", `{"stage":"Production","archive_existing":true}`).want(200)
	if got := w.get("/api/v1/models/als/versions/1").at("stage"); got != "Archived" {
		t.Errorf("version 1 is %s", got)
	}
	// Then: by event time, by recorded time, by position, by offset of the ledger.
	position := a.at("position")
	_, offset, _ := strings.Cut(position, "@")
	for _, then := range []string{"as_of=2024-06-01T13:30:00Z", "known_at=2024-06-01T13:30:00Z", "known_at=" + position, "known_at=" + offset, "as_of=1717248600"} {
		if got := w.get("/api/v1/models/als/versions/1?" + then).want(200).at("stage"); got != "Production" {
			t.Errorf("%s: version 1 was %s", then, got)
		}
		if got := w.get("/api/v1/models?" + then).want(200).at("items.0.versions.1.stage"); got != "None" {
			t.Errorf("%s: version 2 was %s", then, got)
		}
	}
	w.get("/api/v1/models/als?as_of=2024-05-01").problem(404, "")

	w.do("PUT", "/api/v1/models/als/aliases/champion", `{"version":2}`).want(200)
	w.do("PUT", "/api/v1/models/als/aliases/champion", `{"version":9}`).problem(404, "version")
	if got := w.get("/api/v1/models/als").at("aliases.champion"); got != "2" {
		t.Errorf("champion is %s", got)
	}
	w.do("DELETE", "/api/v1/models/als/aliases/champion", nil).problem(409, "version")
	w.do("PUT", "/api/v1/models/als/aliases/first", `{"version":1}`).want(200)
	w.do("DELETE", "/api/v1/models/als/aliases/first", nil).want(200)
	if got := w.get("/api/v1/audit?actor=user:anna").want(200); got.at("items.0.type") != "model.deployed" || got.at("items.2.type") != "model.version_staged" || got.at("items.3") != "<none>" {
		t.Errorf("audit: %s", got.Body)
	}
	w.post("/api/v1/models", `{"name":"als"}`, "If-None-Match", "*").problem(412, "If-Match")
	w.post("/api/v1/models", `{"name":"other","description":"x"}`).want(201)
}

// TestRegistryAndServingAgree: whichever way a version is put in production, its stage, the alias champion and what
// serves change in one commit, and what they were before can be asked for.
func TestRegistryAndServingAgree(t *testing.T) {
	w := newFixture(t)
	for range 3 {
		w.train()
	}
	version := "/api/v1/models/als/versions/"
	agree := func(what, want string, commit *answer) {
		t.Helper()
		model := w.get("/api/v1/models/als").want(200)
		n, _ := strconv.Atoi(want)
		if model.at("aliases.champion") != want || model.at(fmt.Sprintf("versions.%d.stage", n-1)) != "Production" ||
			w.get("/api/v1/deployments/production").at("version") != want || w.get("/api/v1/recommendations?user_id=1").at("model_version") != want {
			t.Errorf("%s: champion %s, serves %s, %s", what, model.at("aliases.champion"), w.get("/api/v1/deployments/production").Body, model.Body)
		}
		for i := range 3 {
			if i+1 != n && model.at(fmt.Sprintf("versions.%d.stage", i)) == "Production" {
				t.Errorf("%s: version %d is in Production too", what, i+1)
			}
		}
		if commit != nil && commit.at("position") != w.get("/api/v1/deployments/production").at("position") {
			t.Errorf("%s: committed at %s, deployed at %s", what, commit.at("position"), w.get("/api/v1/deployments/production").at("position"))
		}
	}
	agree("deployed", "1", w.post(version+"1/deploy", nil).want(200))
	agree("staged", "2", w.post(version+"2/stage", `{"stage":"Production","archive_existing":true}`).want(200))
	third := w.do("PUT", "/api/v1/models/als/aliases/champion", `{"version":3}`).want(200)
	agree("named champion", "3", third)
	agree("rolled back", "1", w.post(version+"1/deploy", `{"reason":"rollback"}`).want(200))
	if a := w.post(version+"1/stage", `{"stage":"Production","archive_existing":true}`).want(200); a.at("unchanged") != "true" {
		t.Errorf("staged again: %s", a.Body)
	}
	for _, stage := range []string{"Archived", "None", "Staging"} {
		w.post(version+"1/stage", `{"stage":"`+stage+`"}`).problem(409, "version")
	}
	agree("kept", "1", nil)
	then := "?known_at=" + third.at("position")
	if model := w.get("/api/v1/models/als" + then).want(200); model.at("aliases.champion") != "3" || model.at("versions.2.stage") != "Production" ||
		w.get("/api/v1/deployments/production"+then).at("version") != "3" {
		t.Errorf("then: %s", model.Body)
	}
	// What cannot serve is not put in production by another name either.
	w.post("/api/v1/features/definitions", strings.Replace(w.definitions(), "half_life: 30d", "half_life: 31d", 1)).want(200)
	w.post(version+"2/stage", `{"stage":"Production"}`).problem(409, "features_hash")
	w.do("PUT", "/api/v1/models/als/aliases/champion", `{"version":2}`).problem(409, "features_hash")
}

func TestDeploy(t *testing.T) {
	w := newFixture(t)
	w.train()
	w.train()
	w.clock.set(day0.Add(time.Hour))
	w.post("/api/v1/models/als/versions/1/deploy", nil).want(200)
	w.clock.set(day0.Add(2 * time.Hour))
	w.post("/api/v1/models/als/versions/2/deploy", `{"slot":"production","reason":"better"}`, "If-Match", `"5"`).want(200)
	w.post("/api/v1/models/als/versions/3/deploy", nil).problem(404, "version")
	if got := w.get("/api/v1/deployments/production").want(200); got.at("version") != "2" || got.at("previous_version") != "1" {
		t.Errorf("now: %s", got.Body)
	}
	if got := w.get("/api/v1/deployments/production?as_of=2024-06-01T13:59:59Z").want(200).at("version"); got != "1" {
		t.Errorf("then: version %s", got)
	}
	w.get("/api/v1/deployments/production?known_at=2024-06-01T12:59:59Z").problem(404, "")
	if got := w.get("/api/v1/deployments/production/history").want(200); got.at("items.1.version") != "1" {
		t.Errorf("history: %s", got.Body)
	}
	if got := w.get("/api/v1/deployments").want(200); got.at("items.0.version") != "2" {
		t.Errorf("slots: %s", got.Body)
	}
	if got := w.get("/api/v1/lineage?node=model/als/2&direction=downstream").want(200); !strings.Contains(string(got.Body), "deployment/production") {
		t.Errorf("lineage: %s", got.Body)
	}
	// Other definitions in force: the version would be fed with what it was not trained on.
	w.post("/api/v1/features/definitions", strings.Replace(w.definitions(), "half_life: 30d", "half_life: 31d", 1)).want(200)
	p := w.post("/api/v1/models/als/versions/1/deploy", nil).problem(409, "features_hash")
	if p.Hint == "" {
		t.Error("no remedy")
	}
}

func (w *fixture) definitions() string {
	w.t.Helper()
	return string(w.get("/api/v1/features/definitions", "Accept", "application/yaml").want(200).Body)
}

func TestDefinitions(t *testing.T) {
	w := newFixture(t)
	first := w.get("/api/v1/features/definitions").want(200)
	w.post("/api/v1/features/definitions", w.definitions()).want(200)
	if n := w.get("/api/v1/features/definitions/history").at("items.1"); n != "<none>" {
		t.Errorf("the same again is another entry: %s", n)
	}
	p := w.post("/api/v1/features/definitions", "entities: []\nfeature_views:\n  - {name: x, entity: car, features: []}\n").want(400)
	if p.Header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("answer: %s", p.Body)
	}
	w.clock.set(day0.Add(time.Hour))
	w.post("/api/v1/features/definitions", strings.Replace(w.definitions(), "half_life: 30d", "half_life: 31d", 1), "If-Match", `"0"`).want(200)
	if got := w.get("/api/v1/features/definitions?known_at=2024-06-01T12:30:00Z").at("hash"); got != first.at("hash") {
		t.Errorf("then %s, want %s", got, first.at("hash"))
	}
	if got := w.get("/api/v1/features/definitions").at("hash"); got == first.at("hash") {
		t.Error("the new definitions are not in force")
	}
	for what, want := range map[string]string{"views": "movie_features", "services": "ranking", "entities": "user"} {
		if got := w.get("/api/v1/features/" + what).want(200).at("items.0.name"); got != want {
			t.Errorf("%s: %s", what, got)
		}
	}
}

func TestFeatures(t *testing.T) {
	w := newFixture(t)
	a := w.get("/api/v1/features/movie/1").want(200)
	n, err := strconv.Atoi(a.at("features.rating_count"))
	if err != nil || n == 0 || a.at("features.genre") != `["Comedy"]` || a.at("features.title") != "Film 1" {
		t.Fatalf("features: %s", a.Body)
	}
	// As the guide types it.
	b := w.post("/api/v1/features/batch", `{"entity_ids": [1,2,3,4,5], "features": ["rating","popularity","genre"], "entity_type": "movie"}`).want(200)
	if b.at("results.4.entity_id") != "5" || b.at("results.0.features.rating") != a.at("features.rating") || b.at("results.0.features.year") != "null" {
		t.Errorf("batch: %s", b.Body)
	}
	if got := w.post("/api/v1/features/batch", `{"entity_ids":["x"],"features":["movie_count"],"entity_type":"user"}`).want(200); got.at("results.0.found") != "false" {
		t.Errorf("a stranger: %s", got.Body)
	}
	w.get("/api/v1/features/movie/999").problem(404, "")
	w.get("/api/v1/features/user/nobody").problem(404, "")
	w.get("/api/v1/features/movie/1?service=ranking&view=movie_features").problem(400, "features")
	if got := w.get("/api/v1/features/movie/movie_001?service=movie_card&full_feature_names=true").want(200); got.at("features.movie_features__title") != "Film 1" || got.at("entity_id") != "1" {
		t.Errorf("card: %s", got.Body)
	}
	if got := w.get("/api/v1/features/user/1?features=rating_count,user_features:movie_count").want(200); got.at("features") != `{"movie_count":5,"rating_count":5}` {
		t.Errorf("user: %s", got.Body)
	}
}

// TestTwoTimes: a fact that happened in March is recorded a day after all others.
func TestTwoTimes(t *testing.T) {
	w := newFixture(t)
	count := func(query string) string {
		return w.get("/api/v1/features/movie/1?features=rating_count" + query).want(200).at("features.rating_count")
	}
	history := func(query string) string {
		var v struct{ Items []projections.Fact }
		w.get("/api/v1/users/77/history?order=oldest" + query).want(200).into(&v)
		return strconv.Itoa(len(v.Items))
	}
	march, before := "&as_of=2024-03-15", count("")
	inMarch := count(march)
	w.clock.set(day0.Add(24 * time.Hour))
	a := w.post("/api/v1/feedback", `{"user_id":"77","movie_id":"1","rating":5,"timestamp":"2024-03-10T00:00:00Z"}`).want(200)
	w.post("/api/v1/feedback", `{"user_id":"77","movie_id":"3","rating":5,"timestamp":"2024-06-02T11:00:00Z"}`).want(200)
	plus := func(n string) string {
		i, err := strconv.Atoi(n)
		w.must(err)
		return strconv.Itoa(i + 1)
	}
	knownThen := "&known_at=2024-06-01T20:00:00Z"
	for _, c := range []struct{ query, want, facts string }{
		{"", plus(before), "2"},
		{march, plus(inMarch), "1"},
		{march + knownThen, inMarch, "0"}, // it had happened, but nobody knew
		{knownThen, before, "0"},
		{"&known_at=" + a.at("position"), plus(before), "1"},
		{"&known_at=2024-06-02T12:00:00Z", plus(before), "2"},
		{"&known_at=mlops-events/0:13,user-events/0:0", "0", "0"},
	} {
		if got := count(c.query); got != c.want {
			t.Errorf("rating_count %s: %s, want %s", c.query, got, c.want)
		}
		if got := history(c.query); got != c.facts {
			t.Errorf("history %s: %s facts, want %s", c.query, got, c.facts)
		}
	}

	// The join looks back along both.
	rows := `"rows":[{"movie_id":"1","event_timestamp":"2024-03-15T00:00:00Z","label":1},{"movie_id":1,"event_timestamp":1717200000}]`
	j := w.post("/api/v1/features/historical", `{`+rows+`,"features":["rating_count","title"]}`).want(200)
	if j.at("rows.0.rating_count") != plus(inMarch) || j.at("rows.0.label") != "1" || j.at("rows.1.title") != "Film 1" || j.at("rows.1.event_timestamp") != "1717200000" {
		t.Errorf("join: %s", j.Body)
	}
	j = w.post("/api/v1/features/historical", `{`+rows+`,"features":["rating_count"],"known_at":"2024-06-01T20:00:00Z"}`).want(200)
	if j.at("rows.0.rating_count") != inMarch {
		t.Errorf("join as known: %s", j.Body)
	}
	csv := w.post("/api/v1/features/historical?features=rating_count&known_at=2024-06-01T20:00:00Z", "movie_id,event_timestamp,label\n1,2024-03-15,1\n", "Content-Type", "text/csv").want(200)
	if want := "movie_id,event_timestamp,label,rating_count\n1,2024-03-15,1," + inMarch + "\n"; strings.ReplaceAll(string(csv.Body), "\r", "") != want {
		t.Errorf("csv: %q, want %q", csv.Body, want)
	}
	w.post("/api/v1/features/historical", `{"rows":[{"movie_id":"1","event_timestamp":"2024-03-15","rating_count":1}],"features":["rating_count"]}`).problem(400, "rows[0].rating_count")
	w.post("/api/v1/features/historical", `{"rows":[{"movie_id":"1"},{"movie_id":"","event_timestamp":"2024-01-01"}]}`).problem(400, "rows[0].event_timestamp")
	w.post("/api/v1/features/historical", "movie_id\n1\n", "Content-Type", "text/csv").problem(400, "line 1")
}

func TestPages(t *testing.T) {
	w := newFixture(t)
	var titles []string
	for cursor := ""; ; {
		a := w.get("/api/v1/movies?limit=5&cursor=" + cursor).want(200)
		var p fold.Page[projections.Movie]
		a.into(&p)
		for _, m := range p.Items {
			titles = append(titles, m.Title)
		}
		if cursor = p.Next; cursor == "" {
			break
		}
	}
	if len(titles) != testMovies {
		t.Errorf("titles: %q", titles)
	}
	if got := w.get("/api/v1/movies?q=film+12").at("items.0.movie_id"); got != "12" {
		t.Errorf("search found %s", got)
	}
	if got := w.get("/api/v1/movies?genre=comedy&limit=1").at("items.0.genres"); got != `["Comedy"]` {
		t.Errorf("genre: %s", got)
	}
	first := w.get("/api/v1/movies/1/history?limit=1&order=oldest")
	second := w.get("/api/v1/movies/1/history?limit=1&order=oldest&cursor=" + first.at("next_cursor")).want(200)
	if first.at("items.0.event_millis") >= second.at("items.0.event_millis") {
		t.Errorf("first %s, second %s", first.Body, second.Body)
	}
	for _, list := range []string{"experiments", "runs", "datasets", "imports", "quarantine", "dead-letters", "drift/alerts", "health/services", "health/alerts", "workflows/runs"} {
		if got := w.get("/api/v1/" + list).want(200); got.at("items") != "[]" {
			t.Errorf("%s: %s", list, got.Body)
		}
	}
	w.get("/api/v1/reactors").problem(503, "")
	w.post("/api/v1/dead-letters/x/retry", nil).problem(503, "")
}

func TestTriggers(t *testing.T) {
	w := newFixture(t)
	a := w.post("/api/v1/trigger/model-drift", `{"model_name":"movie_predictor","drift_score":0.85,"threshold":0.7}`).want(202)
	if a.at("position") != "model-drift-alerts/0@0" {
		t.Errorf("answer: %s", a.Body)
	}
	w.post("/api/v1/trigger/model-drift", `{"model_name":"movie_predictor"}`).problem(400, "drift_score")
	w.post("/api/v1/trigger/system-overload", `{"service_name":"movie-api","cpu_usage":95.0,"memory_usage":88.5}`).want(202)
	if got := w.get("/api/v1/drift/alerts?model=movie_predictor").want(200); got.at("items.0.drift_score") != "0.85" {
		t.Errorf("alerts: %s", got.Body)
	}
	if got := w.get("/api/v1/health/services/movie-api").want(200); got.at("status") != "degraded" || got.at("cpu_usage") != "95" {
		t.Errorf("service: %s", got.Body)
	}
	w.post("/api/v1/trigger/system-overload", `{"service_name":"movie-api","status":"ok"}`).want(202)
	w.post("/api/v1/trigger/system-overload", `{"service_name":"movie-api","status":"down"}`).want(202)
	got := w.get("/api/v1/health/alerts?limit=1").want(200)
	if got.at("items.0.status") != "down" || got.at("items.0.service_name") != "movie-api" || got.at("next_cursor") == "null" {
		t.Errorf("alerts: %s", got.Body)
	}
	if got = w.get("/api/v1/health/alerts?cursor=" + got.at("next_cursor")).want(200); got.at("items.0.cpu_usage") != "95" || got.at("next_cursor") != "null" {
		t.Errorf("alerts: %s", got.Body)
	}
	w.get("/api/v1/health/alerts?service=x").problem(400, "service")
}

func TestLog(t *testing.T) {
	w := newFixture(t)
	if got := w.get("/api/v1/log/topics").want(200); got.at("items.1.topic") != "user-events" || got.at("items.1.records") != strconv.Itoa(testFacts) || got.at("items.1.partitions.2.first_offset") != "0" {
		t.Errorf("topics: %s", got.Body)
	}
	lines := w.get("/api/v1/log/topics/user-events/records?limit=1000").want(200).lines()
	if len(lines) != testFacts || lines[0]["type"] != "user.interaction" || lines[0]["actor"] != "test" || jsonAt(lines[0]["data"], "interaction_type") != "rating" {
		t.Errorf("%d lines, first %v", len(lines), lines[0])
	}
	one := w.get("/api/v1/log/topics/user-events/records?partition=1&from=3&limit=1").want(200).lines()
	if len(one) != 1 || one[0]["position"] != "user-events/1@3" {
		t.Errorf("lines: %v", one)
	}
	ledger := w.get("/api/v1/log/topics/mlops-events/records").want(200).lines()
	if len(ledger) != testMovies+1 || ledger[0]["stream"] != "movie/1" || jsonAt(ledger[0]["data"], "title") != "Film 1" {
		t.Errorf("ledger: %v", ledger[0])
	}
	w.train()
	s := w.get("/api/v1/log/streams/model/als?limit=1").want(200)
	if s.at("items.0.type") != "model.registered" || s.at("next_cursor") != "1" {
		t.Errorf("stream: %s", s.Body)
	}
	if s = w.get("/api/v1/log/streams/model/als?limit=5&cursor=1").want(200); s.at("items.0.revision") != "1" || s.at("next_cursor") != "null" {
		t.Errorf("stream: %s", s.Body)
	}
}

func TestFollow(t *testing.T) {
	w := newFixture(t)
	srv := httptest.NewServer(w.server)
	defer srv.Close()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, "GET", srv.URL+"/api/v1/log/topics/user-events/records?follow=true", nil)
	w.must(err)
	res, err := http.DefaultClient.Do(req)
	w.must(err)
	defer res.Body.Close()
	lines := bufio.NewScanner(res.Body)
	for _, movie := range []string{"2", "4"} {
		w.post("/api/v1/feedback", `{"user_id":"42","movie_id":"`+movie+`"}`).want(200)
		if !lines.Scan() || !strings.Contains(lines.Text(), `"movie_id":"`+movie+`"`) {
			t.Fatalf("line: %s %v", lines.Text(), lines.Err())
		}
	}
}

func TestQuarantine(t *testing.T) {
	w := newFixture(t)
	recs := []streams.Record{{Key: []byte("7"), Value: []byte(`{"user_id":7}`)}}
	w.must(w.log.Feed().Publish(context.Background(), "user-events", recs))
	w.folded(recs[0].Position)
	p := recs[0].Position.String()
	if got := w.get("/api/v1/quarantine?topic=user-events").want(200); got.at("items.0.position") != p || got.at("items.1") != "<none>" {
		t.Errorf("quarantine: %s", got.Body)
	}
	w.get("/api/v1/quarantine/records/" + p).want(200)
	if got := w.get("/api/v1/quarantine/counts").want(200).at("topics.user-events"); got != "1" {
		t.Errorf("count: %s", got)
	}
	partition := strconv.Itoa(int(recs[0].Partition))
	lines := w.get("/api/v1/log/topics/user-events/records?partition=" + partition + "&from=" + strconv.FormatInt(recs[0].Offset, 10)).lines()
	if len(lines) != 1 || lines[0]["error"] == nil || lines[0]["value"] != `{"user_id":7}` {
		t.Errorf("lines: %v", lines)
	}
}

func TestNotReady(t *testing.T) {
	w := newFixture(t)
	p := w.get("/readyz").problem(503, "")
	if len(p.Errors) != 1 || p.Errors[0].Field != "recommendations" || p.Errors[0].Hint == "" {
		t.Errorf("problem: %+v", p)
	}
}

func TestSkipIsAnEvent(t *testing.T) {
	w := newFixture(t)
	w.post("/api/v1/views/online/skip", `{"position":"user-events/0@1","reason":"poison"}`).want(200)
	w.post("/api/v1/views/none/skip", `{"position":"user-events/0@1","reason":"poison"}`).problem(404, "")
	if got := w.get("/api/v1/log/streams/view/online").want(200); got.at("items.0.type") != "view.event_skipped" {
		t.Errorf("stream: %s", got.Body)
	}
	if got := w.get("/api/v1/views").want(200); got.at("items.2.view") != "online" || got.at("items.2.lag_events") != "0" {
		t.Errorf("views: %s", got.Body)
	}
}

func TestErrorsKeepTheirStatus(t *testing.T) {
	for code, want := range map[fault.Code]int{fault.Invalid: 400, fault.NotFound: 404, fault.Conflict: 409, fault.TooLarge: 413, fault.Forbidden: 403,
		fault.Unavailable: 503, fault.Unknown: 503, fault.Corrupt: 500, fault.Internal: 500} {
		if p := api.ProblemOf(fault.New(code, "x"), "id"); p.Status != want || p.Title == "" {
			t.Errorf("%s: %+v", code, p)
		}
	}
	hidden := api.ProblemOf(context.DeadlineExceeded, "id")
	if hidden.Status != 503 {
		t.Errorf("deadline: %+v", hidden)
	}
	hidden = api.ProblemOf(&fault.Error{Code: fault.Internal, Message: "m", Err: context.Canceled}, "id")
	if hidden.Status != 503 {
		t.Errorf("cancelled: %+v", hidden)
	}
}

func TestExperimentsAndRuns(t *testing.T) {
	w := newFixture(t)
	ctx := context.Background()
	create := &commands.CreateExperiment{Name: "movies"}
	run := strings.Repeat("b", 32)
	var last streams.Position
	for _, c := range []commands.Command{create, &commands.StartRun{RunID: run, ExperimentID: events.ExperimentID(create.Name, 1), Name: "r"}} {
		res, err := w.cfg.Dispatcher.Dispatch(ctx, c, handlers.Meta{})
		w.must(err)
		last = res.Position
	}
	if got := w.get("/api/v1/experiments/movies?after=" + last.String()).want(200); got.at("experiment_id") != events.ExperimentID(create.Name, 1) {
		t.Errorf("experiment: %s", got.Body)
	}
	if got := w.get("/api/v1/runs?experiment_id=" + events.ExperimentID(create.Name, 1)).want(200); got.at("items.0.run_id") != run {
		t.Errorf("runs: %s", got.Body)
	}
	w.get("/api/v1/runs/" + run).want(200)
	w.get("/api/v1/runs/"+run+"/metrics/loss").problem(404, "")
}
