package v1_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers"
	"github.com/projectionist/projectionist/internal/fault"
)

// sse is a connection of a listener.
type sse struct {
	t     *testing.T
	lines *bufio.Scanner
	id    string // the last one
	close func()
}

type sseEvent struct {
	Kind string
	Data struct {
		Cut    string
		Events int64
		Views  map[string][]string
		Ready  bool
		Reason string
	}
}

// serve listens until the test ends, and longer than those who have connected.
func (w *fixture) serve() *httptest.Server {
	srv := httptest.NewServer(w.server)
	w.t.Cleanup(srv.Close)
	return srv
}

func (w *fixture) listen(srv *httptest.Server, query string, header ...string) *sse {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	r, err := http.NewRequestWithContext(ctx, "GET", srv.URL+"/api/v1/live"+query, nil)
	w.must(err)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	res, err := srv.Client().Do(r)
	w.must(err)
	if res.StatusCode != 200 || res.Header.Get("Content-Type") != "text/event-stream" {
		w.t.Fatalf("%s %s", res.Status, res.Header.Get("Content-Type"))
	}
	l := &sse{t: w.t.(*testing.T), lines: bufio.NewScanner(res.Body), close: func() { cancel(); res.Body.Close() }}
	w.t.Cleanup(l.close)
	return l
}

// next is the next event of a kind; false at the end.
func (l *sse) next(kind string) (e sseEvent, ok bool) {
	l.t.Helper()
	for l.lines.Scan() {
		field, value, _ := strings.Cut(l.lines.Text(), ": ")
		switch field {
		case "event":
			e.Kind = value
		case "id":
			l.id = value
		case "data":
			if err := json.Unmarshal([]byte(value), &e.Data); err != nil {
				l.t.Fatal(err)
			}
		case "":
			if e.Kind == kind {
				return e, true
			}
			e = sseEvent{}
		}
	}
	return e, false
}

// until gathers what changes are told of until all of some ids were named.
func (l *sse) until(wanted map[string][]string) (events int64) {
	l.t.Helper()
	seen := map[string][]string{}
	for {
		e, ok := l.next("change")
		if !ok {
			l.t.Fatalf("the stream ended with %v; want %v", seen, wanted)
		}
		events += e.Data.Events
		missing := false
		for name, ids := range e.Data.Views {
			seen[name] = append(seen[name], ids...)
		}
		for name, ids := range wanted {
			for _, id := range ids {
				missing = missing || !slices.Contains(seen[name], id)
			}
		}
		if !missing {
			return events
		}
	}
}

// What changes is named when it can be read, and who comes back is told what they missed, once.
func TestLive(t *testing.T) {
	w := newFixture(t)
	srv := w.serve()
	l := w.listen(srv, "")
	if e, ok := l.next("readiness"); !ok || !e.Data.Ready && e.Data.Reason == "" {
		t.Errorf("readiness: %+v", e)
	}
	if want := w.get("/api/v1/log/moment").at("cut"); l.id != want {
		t.Errorf("it begins at %q, the log is at %q", l.id, want)
	}
	begin := l.id
	w.post("/api/v1/feedback", `{"user_id":"007","movie_id":"2","interaction_type":"click"}`).want(200)
	l.until(map[string][]string{"users": {"7"}, "movies": {"2"}})
	version := w.train()
	w.post(fmt.Sprintf("/api/v1/models/als/versions/%d/deploy", version), `{"slot":"canary"}`).want(200)
	l.until(map[string][]string{"models": {"als"}, "deployments": {"canary"}})
	if now := w.get("/api/v1/log/moment").at("cut"); l.id != now {
		t.Errorf("told up to %s, the log is at %s", l.id, now)
	}
	before := l.id
	l.close()
	w.post("/api/v1/feedback", `{"user_id":"8","movie_id":"3","interaction_type":"click"}`).want(200)
	again := w.listen(srv, "?after="+url.QueryEscape(begin), "Last-Event-ID", before)
	e, ok := again.next("change")
	if !ok || e.Data.Events != 1 || fmt.Sprint(e.Data.Views) != "map[movies:[3] users:[8]]" {
		t.Errorf("after the last id: %+v", e)
	}
	all := w.listen(srv, "?after="+url.QueryEscape(begin))
	if n := all.until(map[string][]string{"users": {"7", "8"}, "models": {"als"}, "deployments": {"canary"}}); n < 5 {
		t.Errorf("%d records since the beginning", n)
	}
	for _, bad := range []string{"x", "user-events/9:0", "user-events/0:4711", "user-events/0:1,user-events/0:1"} {
		w.get("/api/v1/live?after="+bad).problem(400, "after")
	}
	w.get("/api/v1/live?known_at=2024-01-01").problem(400, "known_at")
}

// Of many changes it is said that they are many, however far back a listener goes on.
func TestLiveOfMany(t *testing.T) {
	w := newFixture(t)
	srv := w.serve()
	begin := w.get("/api/v1/log/moment").at("cut")
	var acts []commands.Fact
	for i := range 300 {
		acts = append(acts, &commands.RecordInteraction{Interaction: events.Interaction{UserID: fmt.Sprintf("u%d", i), MovieID: fmt.Sprint(i%3 + 1), Kind: "click"}})
	}
	_, err := w.cfg.Dispatcher.Publish(context.Background(), acts, handlers.Meta{Actor: "test"})
	w.must(err)
	l := w.listen(srv, "?after="+url.QueryEscape(begin))
	e, ok := l.next("change")
	people, told := e.Data.Views["users"]
	if !ok || !told || people != nil || e.Data.Events != 300 || len(e.Data.Views["movies"]) != 3 {
		t.Errorf("%+v", e)
	}
	nothing := w.listen(srv, "?after=mlops-events/0:0")
	if e, ok := nothing.next("change"); !ok || e.Data.Views["movies"] == nil || len(e.Data.Views["movies"]) != testMovies {
		t.Errorf("since the log began: %+v", e)
	}
}

// Listeners are bounded, and do not hold up the end.
func TestLiveEnds(t *testing.T) {
	w := newFixture(t)
	srv := w.serve()
	l := w.listen(srv, "")
	release := w.surface.HoldListeners(1)
	if p := w.get("/api/v1/live").problem(503, ""); p.Hint == "" {
		t.Errorf("%+v", p)
	}
	release()
	l.next("readiness")
	w.core.Drain()
	if _, ok := l.next("change"); ok {
		t.Error("it goes on")
	}
	w.get("/api/v1/live").problem(503, "")
}

// Whether the program is ready is told when that changes.
func TestLiveTellsReadiness(t *testing.T) {
	var broken atomic.Bool
	w := newFixture(t, func(s *setup) {
		s.own.Damaged = func() error {
			if broken.Load() {
				return fault.New(fault.Corrupt, "a file of the log is damaged")
			}
			return nil
		}
	})
	srv := w.serve()
	l := w.listen(srv, "")
	first, ok := l.next("readiness")
	if !ok || strings.Contains(first.Data.Reason, "damaged") {
		t.Fatalf("%+v", first)
	}
	broken.Store(true)
	if e, ok := l.next("readiness"); !ok || e.Data.Ready || !strings.Contains(e.Data.Reason, "a file of the log is damaged") {
		t.Errorf("%+v", e)
	}
	broken.Store(false)
	if e, ok := l.next("readiness"); !ok || e.Data.Ready != first.Data.Ready || e.Data.Reason != first.Data.Reason {
		t.Errorf("%+v, before %+v", e, first)
	}
}

// Who has read something before being told from a cut on asks what changed until there: what the stream would have told, and no more.
func TestChangesBetween(t *testing.T) {
	w := newFixture(t)
	before := w.get("/api/v1/log/moment").at("cut")
	w.post("/api/v1/feedback", `{"user_id":"007","movie_id":"2","interaction_type":"click"}`).want(200)
	middle := w.get("/api/v1/log/moment").at("cut")
	version := w.train()
	w.post(fmt.Sprintf("/api/v1/models/als/versions/%d/deploy", version), `{"slot":"canary"}`).want(200)
	after := w.get("/api/v1/log/moment").at("cut")
	between := func(query string) (c struct {
		Cut    string
		Events int64
		Views  map[string][]string
	}) {
		t.Helper()
		w.must(json.Unmarshal(w.get("/api/v1/log/changes"+query).want(200).Body, &c))
		return c
	}
	if c := between("?after=" + url.QueryEscape(before) + "&until=" + url.QueryEscape(middle)); c.Cut != middle || c.Events != 1 || fmt.Sprint(c.Views) != "map[movies:[2] users:[7]]" {
		t.Errorf("of one act: %+v", c)
	}
	if c := between("?after=" + url.QueryEscape(middle)); c.Cut != after || !slices.Equal(c.Views["models"], []string{"als"}) || !slices.Contains(c.Views["deployments"], "canary") || c.Views["users"] != nil {
		t.Errorf("since then: %+v", c)
	}
	if c := between("?after=" + url.QueryEscape(after) + "&until=" + url.QueryEscape(before)); c.Events != 0 || len(c.Views) != 0 {
		t.Errorf("backwards: %+v", c)
	}
	w.get("/api/v1/log/changes").problem(400, "after")
	w.get("/api/v1/log/changes?after=user-events/0:4711").problem(400, "after")
	w.get("/api/v1/log/changes?after="+url.QueryEscape(before)+"&until=user-events/9:0").problem(400, "until")
	w.get("/api/v1/log/changes?known_at=2024-01-01&after="+url.QueryEscape(before)).problem(400, "known_at")
}

// An answer says up to which cut it is read, to whoever wants that: all that was recorded before is in it.
func TestReadCut(t *testing.T) {
	w := newFixture(t)
	for range 3 {
		w.post("/api/v1/feedback", `{"user_id":"9","movie_id":"2","interaction_type":"click"}`).want(200)
		head := w.get("/api/v1/log/moment").at("cut")
		for _, path := range []string{"/api/v1/users/9/history", "/api/v1/log/topics", "/api/v1/models/none"} {
			a := w.get(path, "Prefer", "respond-async, Read-Cut;x=1")
			if got := a.Header.Get("Read-Cut"); path != "/api/v1/models/none" && got != head {
				t.Errorf("%s is read up to %q, the log is at %s", path, got, head)
			} else if got == "" {
				t.Errorf("%s says nothing", path)
			}
		}
	}
	if got := w.get("/api/v1/log/topics").Header.Get("Read-Cut"); got != "" {
		t.Errorf("%s, unasked", got)
	}
}
