package v1_test

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

// recorded is how many recommendations the log has.
func (w *fixture) recorded() (n int64) {
	head, err := fold.HeadCut(context.Background(), w.log, w.clock.Now().AddDate(1, 0, 0))
	w.must(err)
	for tp, next := range head {
		if tp.Topic == events.RecommendationsTopic {
			n += next
		}
	}
	return n
}

// What nobody was shown leaves no event: neither an answer that was asked for so, nor one that a page of
// another site made a browser ask for.
func TestUnrecordedRecommendations(t *testing.T) {
	w := newFixture(t)
	const ask = "/api/v1/recommendations?user_id=1&k=3"
	a := w.get(ask).want(200)
	if a.at("recorded") != "true" || a.at("request_id") == "null" || w.recorded() != 1 {
		t.Fatalf("%s; recorded %d", a.Body, w.recorded())
	}
	for name, a := range map[string]*answer{
		"asked":      w.get(ask + "&record=false"),
		"cross_site": w.get(ask, "Sec-Fetch-Site", "cross-site"),
	} {
		if a.want(200); a.at("recorded") != "false" || a.at("unrecorded") != name || a.at("items.0.movie_id") == "<none>" {
			t.Errorf("%s: %s", name, a.Body)
		}
	}
	w.post("/api/v1/recommendations", `{"user_id":"1","record":false}`).want(200)
	w.get(ask, "Referer", "http://evil.com/page").want(200)
	w.do("HEAD", ask, nil).want(200)
	if n := w.recorded(); n != 1 {
		t.Errorf("%d are recorded; want 1", n)
	}
	w.get(ask, "Sec-Fetch-Site", "same-site", "Origin", "http://localhost:3000").want(200)
	w.get(ask, "Referer", "http://localhost:8000/ui").want(200)
	if n := w.recorded(); n != 3 {
		t.Errorf("%d are recorded; want 3", n)
	}
	w.get(ask+"&record=maybe").problem(400, "record")
}

// Of somebody without an id, whatever they have looked at, nothing is kept.
func TestRecommendationsForNobody(t *testing.T) {
	w := newFixture(t)
	a := w.post("/api/v1/recommendations", `{"movie_ids":["movie_001",2],"k":3,"explain":true}`).want(200)
	if a.at("recorded") != "false" || a.at("unrecorded") != "guest" || a.at("user_id") != "" || a.at("items.0.movie_id") == "<none>" || w.recorded() != 0 {
		t.Errorf("%s; recorded %d", a.Body, w.recorded())
	}
	for body, field := range map[string]string{
		`{"movie_ids":[]}`: "movie_ids", `{"movie_ids":[1],"user_id":1}`: "movie_ids", `{"movie_ids":[1],"known_at":"2024-01-01T00:00:00Z"}`: "movie_ids",
		`{"movie_ids":[` + strings.Repeat("1,", 100) + `1]}`: "movie_ids", `{"movie_ids":[1.5]}`: "movie_ids",
	} {
		w.post("/api/v1/recommendations", body).problem(400, field)
	}
	w.post("/api/v1/recommendations", `{"movie_ids":["nope"]}`).problem(404, "")
	w.get("/api/v1/recommendations?movie_ids=1").problem(400, "movie_ids")
}

// full is a log that takes no more records.
type full struct{ streams.Feed }

func (full) Publish(context.Context, string, []streams.Record) error {
	return fault.New(fault.Unavailable, "disk full")
}

// A full disk does not stop reading.
func TestRecommendationsOnAFullDisk(t *testing.T) {
	w := newFixture(t, func(c *setup) {
		c.own.Writable = func() error { return fault.New(fault.Unavailable, "disk full").WithHint("free space") }
	})
	w.train()
	w.post("/api/v1/models/als/versions/1/deploy", nil).want(200)
	was := w.core.Dispatcher
	w.core.Dispatcher = handlers.New(handlers.Config{Ledger: w.log.Ledger(), Feed: full{w.log.Feed()}, Now: w.clock.Now, NewID: func() string { return "id" }})
	a := w.get("/api/v1/recommendations?user_id=1&k=3").want(200)
	if a.at("recorded") != "false" || a.at("unrecorded") != "unavailable" || a.at("items.0.movie_id") == "<none>" || a.at("position") != "null" || a.at("request_id") != "null" {
		t.Errorf("%s", a.Body)
	}
	w.post("/api/v1/feedback", `{"user_id":"7","movie_id":"2"}`).problem(503, "")
	if a := w.get("/readyz").want(200); a.at("degraded.0.field") != "log" || !strings.Contains(a.at("degraded.0.message"), "disk full") {
		t.Errorf("%s", a.Body)
	}
	if !strings.Contains(string(w.get("/metrics").Body), `recommendations_unrecorded_total{reason="unavailable"} 1`) {
		t.Error("it is not counted")
	}
	w.core.Dispatcher = was
	if a := w.get("/api/v1/recommendations?user_id=1&k=3").want(200); a.at("recorded") != "true" {
		t.Errorf("with room again: %s", a.Body)
	}
}

// What a list was asked to keep to is in the answer, in the log and in what is read of it; a list says of each film where it
// stood, by what and how likely that was.
func TestRules(t *testing.T) {
	w := newFixture(t)
	whole := w.get("/api/v1/recommendations?user_id=1&k=50&record=false").want(200)
	first, second := whole.at("items.0.movie_id"), whole.at("items.1.movie_id")
	if whole.at("items.0.position") != "1" || whole.at("rules") != "null" {
		t.Errorf("%s", whole.Body)
	}
	posted := w.post("/api/v1/recommendations", `{"user_id":1,"k":5,"exclude":["`+first+`"],"year_from":1900,"diversity":0.25}`).want(200)
	asked := w.get("/api/v1/recommendations?user_id=1&k=5&exclude=" + first + "&year_from=1900&diversity=.25").want(200)
	if a := posted.at("items"); a != asked.at("items") || asked.at("rules.exclude.0") != first || asked.at("rules.diversity") != "0.25" {
		t.Errorf("%s\n%s", posted.Body, asked.Body)
	}
	if page := w.get("/api/v1/recommendations?user_id=1&k=1&offset=1").want(200); page.at("items.0.movie_id") != second || page.at("items.0.position") != "2" {
		t.Errorf("%s", page.Body)
	}
	shown := w.get("/api/v1/recommendations/" + asked.at("request_id")).want(200)
	for path, want := range map[string]string{
		"rules.exclude.0": first, "rules.year_from": "1900", "rules.diversity": "0.25",
		"items.0.position": "1", "items.0.propensity": "1", "items.0.source": "online", "items.0.movie_id": asked.at("items.0.movie_id"),
	} {
		if got := shown.at(path); got != want {
			t.Errorf("%s is %q; want %q: %s", path, got, want, shown.Body)
		}
	}
	none := w.get("/api/v1/recommendations?user_id=1&genre=Western,Musical&genre=Noir&language=fr").want(200)
	if none.at("items") != "[]" || none.at("rules.genres.2") != "Noir" {
		t.Errorf("%s", none.Body)
	}
	// Ids and genres that hold commas and quotes.
	for query, want := range map[string][]string{
		`exclude="a,b",318&exclude="say ""no"""&exclude=7`: {"a,b", "318", `say "no"`, "7"},
		"exclude=a&exclude=b":                              {"a", "b"},
		"exclude=a,b":                                      {"a", "b"},
		`exclude=5"`:                                       {`5"`},
	} {
		q := strings.NewReplacer(`"`, "%22", " ", "%20").Replace(query)
		a := w.get("/api/v1/recommendations?user_id=1&record=false&" + q).want(200)
		for i, id := range append(want, "<none>") {
			if got := a.at(fmt.Sprintf("rules.exclude.%d", i)); got != id {
				t.Errorf("%s: film %d is %q, want %q", query, i, got, id)
			}
		}
	}
	for query, field := range map[string]string{
		"exclude=%22a,b": "exclude", "exclude=%22a%22b": "exclude", "genre=%22Drama": "genre",
		"diversity=2": "diversity", "diversity=NaN": "diversity", "fresh=x": "fresh", "offset=-1": "offset", "offset=999&k=10": "offset",
		"year_from=1492": "year_from", "year_from=2000&year_to=1999": "year_to", "language=english": "language", "genre=-": "genre",
		"exclude=" + strings.Repeat("1,", 10) + strings.Repeat("x", 5000): "exclude", "diversity=.1&diversity=.2": "diversity",
	} {
		w.get("/api/v1/recommendations?user_id=1&"+query).problem(400, field)
	}
	w.post("/api/v1/recommendations", `{"diversity":"x"}`).problem(400, "diversity")
	w.post("/api/v1/recommendations", `{"genre":[1]}`).problem(400, "genre")
	w.post("/api/v1/recommendations", `{"year_from":1492}`).problem(400, "year_from")
}

// An operator hides a film; moments before still show it.
func TestHiddenMovie(t *testing.T) {
	w := newFixture(t)
	const ask = "/api/v1/recommendations?user_id=1&k=50&record=false"
	id := w.get(ask).want(200).at("items.0.movie_id")
	before := w.get("/api/v1/movies/" + id).want(200)
	if before.at("hidden") != "null" {
		t.Errorf("%s", before.Body)
	}
	w.do("PUT", "/api/v1/movies/"+id+"/hidden", `{}`).problem(400, "reason")
	w.do("PUT", "/api/v1/movies/none/hidden", `{"reason":"no licence"}`).problem(404, "movie_id")
	hidden := w.do("PUT", "/api/v1/movies/"+id+"/hidden", `{"reason":"no licence"}`).want(200)
	for path, lists := range map[string]bool{ask: true, "/?k=100": true, "/api/v1/movies/" + id + "/similar?k=5": false} {
		if a := w.get(path).want(200); lists && strings.Contains(string(a.Body), `"movie_id":"`+id+`"`) {
			t.Errorf("%s: %s", path, a.Body)
		}
	}
	if a := w.get("/api/v1/movies?hidden=true").want(200); a.at("items.0.movie_id") != id || a.at("items.0.hidden.reason") != "no licence" || a.at("items.1") != "<none>" {
		t.Errorf("%s", a.Body)
	}
	w.get("/api/v1/movies?hidden=true&q=a").problem(400, "hidden")
	if a := w.do("PUT", "/api/v1/movies/"+id+"/hidden", `{"reason":"no licence"}`).want(200); a.at("unchanged") != "true" {
		t.Errorf("%s", a.Body)
	}
	at := hidden.at("position")
	if a := w.get("/api/v1/movies/" + id + "?known_at=" + at).want(200); a.at("hidden.reason") != "no licence" {
		t.Errorf("%s", a.Body)
	}
	w.do("DELETE", "/api/v1/movies/"+id+"/hidden", nil).want(200)
	if a := w.get(ask).want(200); a.at("items.0.movie_id") != id {
		t.Errorf("%s", a.Body)
	}
	w.do("DELETE", "/api/v1/movies/none/hidden", nil).problem(404, "movie_id")
	if a := w.post("/api/v1/recommendations", `{"user_id":1,"k":50,"known_at":"`+at+`"}`).want(200); strings.Contains(string(a.Body), `"movie_id":"`+id+`"`) {
		t.Errorf("as it was known while it was hidden: %s", a.Body)
	}
}

// A film is on no list once it was answered that it is hidden, however many others have come that no list has taken in yet.
func TestHiddenWhileManyCome(t *testing.T) {
	w := newFixture(t)
	id := w.get("/api/v1/recommendations?user_id=1&k=1&record=false").want(200).at("items.0.movie_id")
	for i := range 300 {
		_, err := w.cfg.Dispatcher.Dispatch(t.Context(), &commands.ListMovie{Dataset: "test", Movie: events.Movie{MovieID: fmt.Sprint(1000 + i), Title: fmt.Sprint("Late ", i), Year: 2024}}, handlers.Meta{Actor: "test"})
		w.must(err)
	}
	w.do("PUT", "/api/v1/movies/"+id+"/hidden", `{"reason":"no licence"}`).want(200)
	for _, path := range []string{"/api/v1/recommendations?user_id=1&k=20&record=false", "/?k=20"} {
		if got := w.get(path).want(200); strings.Contains(string(got.Body), `"movie_id":"`+id+`"`) {
			t.Errorf("%s has film %s: %s", path, id, got.Body)
		}
	}
}

// A look by a version that is named, whatever serves: now and as known at a moment it leaves no event, and what is no such version is refused by its field.
func TestRecommendationsByVersion(t *testing.T) {
	w := newFixture(t)
	w.train()
	second := w.train()
	w.post("/api/v1/models/als/versions/1/deploy", `{}`).want(200)
	const ask = "/api/v1/recommendations?user_id=1&k=3&record=false"
	serves := w.get(ask).want(200)
	then := url.QueryEscape(w.get("/api/v1/log/moment").at("cut"))
	w.post("/api/v1/models/als/versions/2/deploy", `{}`).want(200)
	for query, want := range map[string]string{"&model=als&version=1": "1", "&model=als&version=2": "2", "&model=als": strconv.Itoa(second), "": "2",
		"&known_at=" + then: "1", "&model=als&version=2&known_at=" + then: "2", "&model=als&known_at=" + then: "2", "&model=als&version=1&as_of=2024-05-01": "1"} {
		a := w.get(ask + query).want(200)
		if a.at("model_name") != "als" || a.at("model_version") != want || a.at("items.2.movie_id") == "<none>" {
			t.Errorf("%s: %s; want version %s", query, a.Body, want)
		}
		if strings.Contains(query, "=1") && !strings.Contains(query, "as_of") && a.at("items") != serves.at("items") {
			t.Errorf("%s: %s; when it served, it gave %s", query, a.at("items"), serves.at("items"))
		}
	}
	posted := w.post("/api/v1/recommendations", `{"user_id":1,"k":3,"record":false,"model":"als","version":1}`).want(200)
	if guest := w.post("/api/v1/recommendations", `{"movie_ids":["3"],"record":false,"model":"als","version":1}`).want(200); posted.at("items") != serves.at("items") || guest.at("model_version") != "1" {
		t.Errorf("%s\n%s", posted.Body, guest.Body)
	}
	if r := w.post("/api/v1/ops/recommendations", `{"user_id":1,"k":3,"model":"als","version":2,"known_at":"`+w.get("/api/v1/log/moment").at("cut")+`"}`).result(); r["model_version"] != 2. {
		t.Errorf("%v", r)
	}
	// Of a moment to come what is known is known now: it is ranked by the clock of now.
	if a := w.get(ask + "&known_at=2099-01-01").want(200); a.at("now_millis") != strconv.FormatInt(w.clock.Now().UnixMilli(), 10) || a.at("model_version") != "2" {
		t.Errorf("of a moment to come: %s", a.Body)
	}
	if n := w.recorded(); n != 0 {
		t.Errorf("%d looks are in the log", n)
	}
	// A version that a client has registered, and whose weights are elsewhere.
	registered, err := w.cfg.Dispatcher.Dispatch(t.Context(), &commands.AddModelVersion{Name: "als", Source: "s3://b/x"}, handlers.Meta{})
	w.must(err)
	w.folded(registered.Position)
	for _, c := range []struct {
		query  string
		status int
		field  string
	}{
		{"&model=als&version=9", 404, "version"}, {"&model=als&version=9999999999", 400, "version"}, {"&model=als&version=0", 400, "version"}, {"&model=als&version=-1", 400, "version"}, {"&model=als&version=x", 400, "version"},
		{"&version=1", 400, "version"}, {"&model=none", 404, "model"}, {"&model=none&version=1", 404, "model"}, {"&model=als&version=3", 409, "version"},
		{"&model=als&version=2&known_at=mlops-events/0@0", 404, "model"}, {"&model=als&model=b", 400, "model"},
	} {
		w.get(ask+c.query).problem(c.status, c.field)
	}
	w.get("/api/v1/recommendations?user_id=1&model=als&version=1").problem(400, "record")
	w.get("/api/v1/recommendations?user_id=1&model=als&record=true").problem(400, "record")
	w.post("/api/v1/recommendations", `{"user_id":1,"model":"als"}`).problem(400, "record")
	w.post("/api/v1/recommendations", `{"user_id":1,"record":false,"model":"als","version":99999999999}`).problem(404, "version")
	if w.get(ask+"&model=als").at("model_version") != "2" {
		t.Error("the newest that has weights is not asked")
	}
}
