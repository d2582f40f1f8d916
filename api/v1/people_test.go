package v1_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/projectionist/projectionist/projections"

	"github.com/projectionist/projectionist/api/v1"
)

// TestPeopleList: everybody who acted, or of whom something was said, page by page, and as it was known.
func TestPeopleList(t *testing.T) {
	w := newFixture(t)
	w.post("/api/v1/users", `{"user_id":"3","age":33}`).want(201)
	then := url.QueryEscape(w.get("/api/v1/log/moment").at("cut"))
	ids := func(query string) string {
		var all []string
		for cursor := ""; ; {
			a := w.get("/api/v1/users?limit=3&cursor=" + cursor + query).want(200)
			var p struct {
				Items []projections.Person
				Next  string `json:"next_cursor"`
			}
			a.into(&p)
			for _, one := range p.Items {
				all = append(all, one.UserID)
			}
			if cursor = p.Next; cursor == "" {
				return strings.Join(all, " ")
			}
		}
	}
	const everybody = "1 2 3 4 5 6 7 8 9 10"
	w.clock.set(day0.Add(time.Hour))
	a := w.post("/api/v1/feedback", `{"user_id":"77","movie_id":"1","rating":5,"timestamp":"2024-03-10T00:00:00Z"}`).want(200)
	w.post("/api/v1/users", `{"user_id":"zoe","age":40}`).want(201)
	for query, want := range map[string]string{
		"": everybody + " 77 zoe", "&q=7": "7 77", "&q=user_007": "7", "&q=nobody": "", "&user_id=3": "3", "&user_id=nobody": "",
		"&known_at=" + then: everybody, "&known_at=1999-01-01": "", "&as_of=2024-03-10": "1 2 3 4 5 6 7 8 9 10 77", "&as_of=2024-03-10&known_at=" + then: everybody,
	} {
		if got := ids(query); got != want {
			t.Errorf("%s: %q, want %q", query, got, want)
		}
	}
	one := w.get("/api/v1/users?user_id=user_077").want(200)
	if one.at("items.0.acts") != "1" || one.at("items.0.last.position") != a.at("position") || one.at("items.0.first.recorded_millis") == one.at("items.0.first.event_millis") {
		t.Errorf("%s", one.Body)
	}
	if three := w.get("/api/v1/users?user_id=3&known_at=" + then).want(200); three.at("items.0.age") != "33" || three.at("items.0.acts") == "0" {
		t.Errorf("%s", three.Body)
	}
	w.get("/api/v1/users?q=1&user_id=1").problem(400, "user_id")
	w.get("/api/v1/users?q="+strings.Repeat("x", 2000)).problem(400, "q")
	w.get("/api/v1/users?cursor=x").problem(400, "cursor")
	w.get("/api/v1/users?limit=0").problem(400, "limit")
	w.get("/api/v1/users?known_at=never").problem(400, "known_at")
	w.get("/api/v1/users?nope=1").problem(400, "nope")
}

// TestHistoryTimes: when acts happened, and when they were recorded; a late one is off the diagonal, and not there before it was recorded.
func TestHistoryTimes(t *testing.T) {
	w := newFixture(t)
	before := w.get("/api/v1/users/77/history/times").want(200)
	if before.at("facts") != "0" || before.at("cells") != "[]" || before.at("most_late") != "null" {
		t.Errorf("%s", before.Body)
	}
	w.clock.set(day0.Add(24 * time.Hour))
	late := w.post("/api/v1/feedback", `{"user_id":"77","movie_id":"1","rating":5,"timestamp":"2024-03-10T00:00:00Z"}`).want(200)
	w.post("/api/v1/feedback", `{"user_id":"77","movie_id":"3","interaction_type":"like"}`).want(200)
	a := w.get("/api/v1/users/user_77/history/times?buckets=10").want(200)
	if a.at("facts") != "2" || a.at("complete") != "true" || a.at("cells.0.position") != late.at("position") || a.at("cells.1.facts") != "1" || a.at("cells.2") != "<none>" || a.at("most_late.position") != late.at("position") || a.at("kinds.1.mean_rating") != "5" {
		t.Errorf("%s", a.Body)
	}
	if march := w.get("/api/v1/users/77/history/times?as_of=2024-04-01").want(200); march.at("facts") != "1" {
		t.Errorf("%s", march.Body)
	}
	if then := w.get("/api/v1/users/77/history/times?as_of=2024-04-01&known_at=2024-06-01T20:00:00Z").want(200); then.at("facts") != "0" {
		t.Errorf("%s", then.Body)
	}
	if film := w.get("/api/v1/movies/1/history/times?from=2024-03-10&to=2024-03-10T00:00:01Z").want(200); film.at("facts") != "1" {
		t.Errorf("%s", film.Body)
	}
	for query, field := range map[string]string{"buckets=1": "buckets", "buckets=201": "buckets", "buckets=x": "buckets", "from=2024-02-01&to=2024-01-01": "to", "as_of=soon": "as_of", "known_at=never": "known_at", "limit=3": "limit"} {
		w.get("/api/v1/movies/1/history/times?"+query).problem(400, field)
	}
	// A history has the films' names as they were at the moment.
	if h := w.get("/api/v1/users/77/history?titles=true&order=oldest").want(200); h.at("items.0.title") != "Film 1" || h.at("items.0.year") != "1991" || h.at("items.0.rating") != "5" {
		t.Errorf("%s", h.Body)
	}
	if h := w.get("/api/v1/users/77/history?titles=true&order=oldest&known_at=" + late.at("position")).want(200); h.at("items.0.title") != "Film 1" || h.at("items.1") != "<none>" {
		t.Errorf("%s", h.Body)
	}
	w.get("/api/v1/movies/1/history?titles=true").problem(400, "titles")
	// What the log took after a moment, whenever it happened, and up to another.
	between := func(query, want string) {
		t.Helper()
		if h, times := w.get("/api/v1/users/77/history?"+query).want(200), w.get("/api/v1/users/77/history/times?"+query).want(200); h.at("items.0.interaction_type") != want || (times.at("facts") == "0") != (want == "<none>") || h.at("items.1") != "<none>" {
			t.Errorf("%s: %s, %s", query, h.Body, times.Body)
		}
	}
	after := "known_after=" + late.at("position")
	between(after, "like")
	between(after+"&as_of=2024-04-01", "<none>")
	between("known_after=2024-06-01T20:00:00Z&known_at="+late.at("position"), "rating")
	w.get("/api/v1/users/77/history?"+after+"&known_at=2024-06-01T20:00:00Z").problem(400, "known_after")
	w.get("/api/v1/users/77/history?known_after=never").problem(400, "known_after")
	w.get("/api/v1/users/77/history?titles=perhaps").problem(400, "titles")
}

// TestSimilarThen: of a moment, similar films are those of the acts and films of then.
func TestSimilarThen(t *testing.T) {
	w := newFixture(t)
	then := url.QueryEscape(w.get("/api/v1/log/moment").at("cut"))
	was := w.get("/api/v1/movies/1/similar?k=11").want(200)
	for u := 100; u < 130; u++ {
		id := string(rune('a'+u%26)) + "x"
		w.post("/api/v1/feedback", `[{"user_id":"`+id+`","movie_id":"1","interaction_type":"like"},{"user_id":"`+id+`","movie_id":"2","interaction_type":"like"}]`).want(200)
	}
	if now := w.get("/api/v1/movies/1/similar?k=1").want(200); now.at("items.0.movie_id") != "2" || was.at("items.0.movie_id") == "2" {
		t.Errorf("now %s, before %.200s", now.Body, was.Body)
	}
	if got := w.get("/api/v1/movies/1/similar?k=11&known_at=" + then).want(200); !sameJSON(got.Body, was.Body) {
		t.Errorf("then\n%s, was\n%s", got.Body, was.Body)
	}
	w.get("/api/v1/movies/1/similar?known_at=1999-01-01").problem(404, "")
	w.get("/api/v1/movies/nope/similar?known_at="+then).problem(404, "")
	w.get("/api/v1/movies/1/similar?known_at=never").problem(400, "known_at")
	w.get("/api/v1/movies/1/similar?as_of=never").problem(400, "as_of")
}

// TestSimilarThenWaits: of moments, similar films are found a few at once; others wait for a while, and those of now never.
func TestSimilarThenWaits(t *testing.T) {
	w := newFixture(t)
	path := "/api/v1/movies/1/similar?k=3&known_at=" + url.QueryEscape(w.get("/api/v1/log/moment").at("cut"))
	w.get(path).want(200)
	var held []func()
	for range v1.SimilarThenMax {
		held = append(held, w.surface.HoldSimilarThen())
	}
	wait := *v1.SimilarThenWait
	*v1.SimilarThenWait = 20 * time.Millisecond
	a := w.get(path)
	*v1.SimilarThenWait = wait
	if p := a.problem(503, ""); a.Header.Get("Retry-After") == "" || !strings.Contains(p.Detail, "moments already") {
		t.Errorf("without a place: %s", a.Body)
	}
	w.get("/api/v1/movies/1/similar?k=3").want(200)
	time.AfterFunc(50*time.Millisecond, held[0])
	w.get(path).want(200)
	held[1]()
	w.get(path).want(200)
}
