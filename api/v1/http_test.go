package v1_test

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/api/v1"
	"github.com/projectionist/projectionist/projections"
)

// endless is a body of any length that costs no memory.
type endless struct{}

func (endless) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = ' '
	}
	return len(b), nil
}

func TestBadInput(t *testing.T) {
	w := newFixture(t)
	ok := `{"user_id":"7","movie_id":"1","interaction_type":"view"`
	for _, c := range []struct {
		name, method, target string
		body                 any
		status               int
		field                string
	}{
		{"malformed JSON", "POST", "/api/v1/feedback", `{"user_id":`, 400, ""},
		{"no JSON at all", "POST", "/api/v1/feedback", `user_id=7`, 400, ""},
		{"an empty body", "POST", "/api/v1/feedback", ``, 400, ""},
		{"a bare string", "POST", "/api/v1/feedback", `"7"`, 400, ""},
		{"not UTF-8", "POST", "/api/v1/feedback", "{\"user_id\":\"\xff\"}", 400, ""},
		{"an unknown field", "POST", "/api/v1/feedback", ok + `,"stars":4}`, 400, "stars"},
		{"trailing data", "POST", "/api/v1/feedback", ok + `} {}`, 400, ""},
		{"trailing garbage", "POST", "/api/v1/feedback", ok + `}]`, 400, ""},
		{"a wrong type", "POST", "/api/v1/feedback", `{"user_id":"7","movie_id":"1","rating":"five"}`, 400, "rating"},
		{"an id that is none", "POST", "/api/v1/feedback", `{"user_id":true,"movie_id":"1"}`, 400, "user_id"},
		{"a fraction as id", "POST", "/api/v1/feedback", `{"user_id":1.5,"movie_id":"1"}`, 400, "user_id"},
		{"no user", "POST", "/api/v1/feedback", `{"movie_id":"1"}`, 400, "user_id"},
		{"rating 7", "POST", "/api/v1/feedback", ok + `,"rating":7}`, 400, "rating"},
		{"rating 0", "POST", "/api/v1/feedback", ok + `,"rating":0}`, 400, "rating"},
		{"a kind that is none", "POST", "/api/v1/feedback", `{"user_id":"7","movie_id":"1","interaction_type":"LIKE!"}`, 400, "interaction_type"},
		{"an event without a kind", "POST", "/api/v1/events/user-interaction", `{"user_id":"7","movie_id":"1"}`, 400, "interaction_type"},
		{"an unknown movie", "POST", "/api/v1/feedback", `{"user_id":"7","movie_id":"999"}`, 404, "movie_id"},
		{"the year 9999", "POST", "/api/v1/feedback", ok + `,"timestamp":"9999-01-01T00:00:00Z"}`, 400, "timestamp"},
		{"two days ahead", "POST", "/api/v1/feedback", ok + `,"timestamp":"2024-06-03T12:00:01Z"}`, 400, "timestamp"},
		{"a time that is none", "POST", "/api/v1/feedback", ok + `,"timestamp":"yesterday"}`, 400, "timestamp"},
		{"an empty array", "POST", "/api/v1/feedback", `[]`, 400, ""},
		{"1,001 interactions", "POST", "/api/v1/feedback", "[" + strings.Repeat(ok+"},", 1000) + ok + "}]", 413, ""},
		{"a 100 MB body", "POST", "/api/v1/feedback", io.LimitReader(endless{}, 100<<20), 413, ""},
		{"k of a million", "GET", "/api/v1/recommendations?k=1000000", nil, 400, "k"},
		{"k of a million, posted", "POST", "/api/v1/recommendations", `{"k":1000000}`, 400, "k"},
		{"k of 0", "GET", "/?k=0", nil, 400, "k"},
		{"k that is no number", "GET", "/api/v1/movies/1/similar?k=ten", nil, 400, "k"},
		{"an unknown parameter", "GET", "/api/v1/recommendations?user=1", nil, 400, "user"},
		{"a parameter given twice", "GET", "/api/v1/recommendations?k=1&k=2", nil, 400, "k"},
		{"a broken cursor", "GET", "/api/v1/movies?cursor=%21%21", nil, 400, "cursor"},
		{"another list's cursor", "GET", "/api/v1/audit?cursor=bm9uZQ", nil, 400, "cursor"},
		{"a page too long", "GET", "/api/v1/movies?limit=100000", nil, 400, "limit"},
		{"as_of that is no time", "GET", "/api/v1/users/1/history?as_of=soon", nil, 400, "as_of"},
		{"as_of in 9999", "GET", "/api/v1/features/movie/1?as_of=9999-01-01", nil, 400, "as_of"},
		{"known_at beyond the log", "GET", "/api/v1/users/1/history?known_at=user-events/0@999999", nil, 400, "known_at"},
		{"known_at of no topic", "GET", "/api/v1/users/1/history?known_at=rumours/0@1", nil, 400, "known_at"},
		{"a cut beyond the log", "GET", "/api/v1/users/1/history?known_at=user-events/0:999999", nil, 400, "known_at"},
		{"after that is no position", "GET", "/api/v1/users/1/history?after=now", nil, 400, "after"},
		{"after of no topic", "GET", "/api/v1/users/1/history?after=rumours/0@1", nil, 400, "after"},
		{"engagement from after to", "GET", "/api/v1/engagement?from=2024-02-01&to=2024-01-01", nil, 400, "from"},
		{"engagement by what", "GET", "/api/v1/engagement?by=mood", nil, 400, "by"},
		{"engagement of ten years", "GET", "/api/v1/engagement?from=2014-02-01&to=2024-01-01", nil, 400, "from"},
		{"engagement as it was known", "GET", "/api/v1/engagement?known_at=yesterday", nil, 400, "known_at"},
		{"engagement of faults", "GET", "/api/v1/engagement?known_at=2024-01-01&by=mood", nil, 400, "by"},
		{"quality from after to", "GET", "/api/v1/quality?from=2024-02-01&to=2024-01-01", nil, 400, "from"},
		{"quality of ten years", "GET", "/api/v1/quality?from=2014-02-01&to=2024-01-01", nil, 400, "from"},
		{"quality by the moon", "GET", "/api/v1/quality?window=month", nil, 400, "window"},
		{"quality of seven acts", "GET", "/api/v1/quality?window=7", nil, 400, "window"},
		{"quality of acts since", "GET", "/api/v1/quality?window=100&from=2024-02-01", nil, 400, "from"},
		{"quality of the last days", "GET", "/api/v1/quality?last=3", nil, 400, "last"},
		{"quality of a million windows", "GET", "/api/v1/quality?window=100&last=1000000", nil, 400, "last"},
		{"quality of a version of what", "GET", "/api/v1/quality?version=3", nil, 400, "version"},
		{"quality of no model", "GET", "/api/v1/quality?model=none", nil, 404, ""},
		{"acts judged how", "GET", "/api/v1/quality/acts?outcome=well", nil, 400, "outcome"},
		{"acts judged of a version of what", "GET", "/api/v1/quality/acts?version=3", nil, 400, "version"},
		{"acts judged of no model", "GET", "/api/v1/quality/acts?model=none", nil, 404, ""},
		{"acts judged from after to", "GET", "/api/v1/quality/acts?from=2024-02-01&to=2024-01-01", nil, 400, "from"},
		{"acts judged of ten years", "GET", "/api/v1/quality/acts?from=2014-02-01&to=2024-01-01", nil, 400, "from"},
		{"acts judged by another's cursor", "GET", "/api/v1/quality/acts?cursor=1.2", nil, 400, "cursor"},
		{"a thousand acts judged", "GET", "/api/v1/quality/acts?limit=1000", nil, 400, "limit"},
		{"latency of a week", "GET", "/api/v1/serving/latency?minutes=10080", nil, 400, "minutes"},
		{"latency then", "GET", "/api/v1/serving/latency?known_at=2024-01-01", nil, 400, "known_at"},
		{"quality as it was known beyond the log", "GET", "/api/v1/quality?known_at=mlops-events/0@999999", nil, 400, "known_at"},
		{"from after to", "GET", "/api/v1/users/1/history?from=2024-02-01&to=2024-01-01", nil, 400, "to"},
		{"no such film", "GET", "/api/v1/movies/999", nil, 404, ""},
		{"no such model", "GET", "/api/v1/models/none", nil, 404, ""},
		{"a version that is no number", "GET", "/api/v1/models/als/versions/x", nil, 400, "version"},
		{"no such feature", "GET", "/api/v1/features/movie/1?features=colour", nil, 404, "features"},
		{"a batch of nothing", "POST", "/api/v1/features/batch", `{"entity_type":"movie","entity_ids":[],"features":["rating"]}`, 400, "entity_ids"},
		{"a batch of what", "POST", "/api/v1/features/batch", `{"entity_type":"car","entity_ids":[1]}`, 400, "entity_type"},
		{"a model without a name", "POST", "/api/v1/models", `{}`, 400, "name"},
		{"a workflow that is none", "POST", "/api/v1/workflows/none/runs", `{}`, 404, ""},
		{"an import of nothing", "POST", "/api/v1/imports", `{}`, 400, "path"},
		{"an import of what is not there", "POST", "/api/v1/imports", `{"path":"/nowhere/at/all"}`, 400, "path"},
		{"a replay of no view", "POST", "/api/v1/ops/replay", `{"view":"none"}`, 400, "view"},
		{"a replay to no time", "POST", "/api/v1/ops/replay", `{"until":"soon"}`, 400, "until"},
		{"a replay into a relative folder", "POST", "/api/v1/ops/replay", `{"into":"here"}`, 400, "into"},
		{"a skip without a reason", "POST", "/api/v1/views/online/skip", `{"position":"user-events/0@1"}`, 400, "reason"},
		{"a skip of nothing", "POST", "/api/v1/views/online/skip", `{"position":"here","reason":"x"}`, 400, "position"},
		{"no such topic", "GET", "/api/v1/log/topics/none/records", nil, 404, ""},
		{"no such stream", "GET", "/api/v1/log/streams/model/none", nil, 404, ""},
		{"no such partition", "GET", "/api/v1/log/topics/user-events/records?partition=3", nil, 400, "partition"},
		{"no such address", "GET", "/api/v2", nil, 404, ""},
		{"no such method", "DELETE", "/api/v1/movies", nil, 405, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			w.t = t
			a := w.do(c.method, c.target, c.body)
			a.problem(c.status, c.field)
			if c.status == 405 && a.Header.Get("Allow") != "GET" {
				t.Errorf("Allow: %q", a.Header.Get("Allow"))
			}
		})
	}
	w.t = t
	w.get("/healthz").want(200)
	if n := w.get("/api/v1/log/topics").at("items.1.records"); n != strconv.Itoa(testFacts) {
		t.Errorf("refused requests have left something in the log: %s facts", n)
	}
}

func TestAllFaultsAtOnce(t *testing.T) {
	w := newFixture(t)
	p := w.post("/api/v1/feedback", `{"user_id":"","movie_id":"1","rating":9,"interaction_type":"like"}`).problem(400, "user_id")
	if len(p.Errors) != 2 || p.Errors[0].Field != "user_id" || p.Errors[1].Field != "rating" {
		t.Errorf("errors: %+v", p.Errors)
	}
	p = w.post("/api/v1/feedback", `[{"user_id":"7","movie_id":"1"},{"user_id":"7","movie_id":"999"},{"user_id":"7","movie_id":"1","rating":9}]`).problem(404, "[1].movie_id")
	if len(p.Errors) != 2 || p.Errors[1].Field != "[2].rating" {
		t.Errorf("errors: %+v", p.Errors)
	}
	p = w.get("/api/v1/movies?limit=0&q=a&genre=b").problem(400, "limit")
	if len(p.Errors) != 2 {
		t.Errorf("errors: %+v", p.Errors)
	}
}

// TestLargeBodyOverTheWire sends 100 MB to a real server, which must answer and not read it all.
func TestLargeBodyOverTheWire(t *testing.T) {
	w := newFixture(t)
	srv := httptest.NewServer(w.server)
	defer srv.Close()
	req, err := http.NewRequest("POST", srv.URL+"/api/v1/feedback", io.LimitReader(endless{}, 100<<20))
	if err != nil {
		t.Fatal(err)
	}
	req.ContentLength = 100 << 20
	req.Header.Set("Expect", "100-continue")
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("status %d", res.StatusCode)
	}
}

// panicking is a surface with a defect.
type panicking struct{}

func (panicking) Name() string { return "panicking" }
func (panicking) Routes(r *api.Routes) {
	r.Handle("GET /panic", func(http.ResponseWriter, *http.Request) error { panic("the secret reason") })
}
func (panicking) Render(w http.ResponseWriter, r *http.Request, p *api.Problem) {
	api.RenderProblem(w, r, p)
}

func TestPanicIsAProblem(t *testing.T) {
	w := newFixture(t, func(c *setup) { c.beside = append(c.beside, panicking{}) })
	p := w.get("/panic", "X-Request-ID", "mine").problem(500, "")
	if p.RequestID != "mine" || strings.Contains(p.Detail, "secret") {
		t.Errorf("problem: %+v", p)
	}
	w.get("/healthz").want(200)
}

func TestToken(t *testing.T) {
	w := newFixture(t, func(c *setup) { c.cfg.Token = "secret" })
	w.get("/healthz").want(200)
	for _, header := range [][]string{{}, {"Authorization", "Bearer wrong"}, {"Authorization", "secret"}, {"Authorization", "Basic secret"}} {
		a := w.get("/api/v1/movies", header...)
		if a.problem(401, ""); a.Header.Get("WWW-Authenticate") == "" {
			t.Error("no challenge")
		}
	}
	w.get("/metrics").problem(401, "")
	w.get("/api/v1/movies", "Authorization", "bearer secret").want(200)
}

func TestPageOfAnotherSite(t *testing.T) {
	w := newFixture(t)
	w.post("/api/v1/feedback", `{"user_id":"7","movie_id":"2"}`, "Sec-Fetch-Site", "cross-site").problem(403, "")
	w.get("/api/v1/movies", "Sec-Fetch-Site", "cross-site").want(200)
}

// A page whose name was made to resolve to this machine (DNS rebinding) asks under that name.
func TestHostOfAnotherSite(t *testing.T) {
	w := newFixture(t, func(c *setup) { c.cfg.Hosts = []string{"movies.example.com"} })
	ask := func(host string) int {
		r := httptest.NewRequest("GET", "/api/v1/movies", nil)
		r.Host = host
		rec := httptest.NewRecorder()
		w.server.ServeHTTP(rec, r)
		return rec.Code
	}
	for _, host := range []string{"localhost", "localhost:8000", "LOCALHOST.:8000", "127.0.0.1:8000", "127.9.9.9", "[::1]:8000", "[::1]", "app.localhost", "movies.example.com", "movies.example.com:80", ""} {
		if code := ask(host); code != 200 {
			t.Errorf("host %q: %d", host, code)
		}
	}
	for _, host := range []string{"evil.com", "evil.com:8000", "localhost.evil.com", "127.0.0.1.evil.com", "10.0.0.1:8000", "0.0.0.0:8000", "evil.com:8000:1", "movies.example.com.evil.com"} {
		if code := ask(host); code != 403 {
			t.Errorf("host %q: %d; want 403", host, code)
		}
	}
	locked := newFixture(t, func(c *setup) { c.cfg.Token = "secret" })
	r := httptest.NewRequest("GET", "/api/v1/movies", nil)
	r.Host = "any.name"
	r.Header.Set("Authorization", "Bearer secret")
	rec := httptest.NewRecorder()
	if locked.server.ServeHTTP(rec, r); rec.Code != 200 {
		t.Errorf("with credentials: %d", rec.Code)
	}
}

func TestDrain(t *testing.T) {
	w := newFixture(t)
	srv := httptest.NewServer(w.server)
	defer srv.Close()
	res, err := http.Get(srv.URL + "/api/v1/log/topics/user-events/records?follow=true&from=beginning")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	lines := bufio.NewScanner(res.Body)
	for range testFacts {
		if !lines.Scan() {
			t.Fatal("the stream ended early")
		}
	}
	w.core.Drain()
	if lines.Scan() { // ends, as it would not by itself
		t.Errorf("another line: %s", lines.Text())
	}
	p := w.get("/readyz").problem(503, "")
	if p.Errors[0].Field != "server" {
		t.Errorf("errors: %+v", p.Errors)
	}
	w.get("/api/v1/log/topics/user-events/records?follow=true").problem(503, "")
	w.post("/api/v1/ops/verify", nil).problem(503, "")
	w.get("/api/v1/movies").want(200)
}

func TestClientGoesAway(t *testing.T) {
	w := newFixture(t)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	r := httptest.NewRequestWithContext(ctx, "POST", "/api/v1/ops/verify", nil)
	rec := httptest.NewRecorder()
	w.server.ServeHTTP(rec, r)
	if rec.Code == http.StatusOK {
		t.Errorf("verified for nobody: %s", rec.Body)
	}
}

func TestNewNamesWhatIsMissing(t *testing.T) {
	if _, err := api.New(api.Config{}); err == nil || !strings.Contains(err.Error(), "Dispatcher") || !strings.Contains(err.Error(), "Views") {
		t.Errorf("error: %v", err)
	}
	w := newFixture(t)
	_, err := v1.New(w.core, v1.Config{Factories: projections.All()[1:]})
	if err == nil || !strings.Contains(err.Error(), "the view catalogue is missing") {
		t.Errorf("error: %v", err)
	}
	_, err = v1.New(w.core, v1.Config{})
	if err == nil || !strings.Contains(err.Error(), "Features") || !strings.Contains(err.Error(), "ScratchDir") {
		t.Errorf("error: %v", err)
	}
}
