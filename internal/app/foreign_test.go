package app_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers"
	"github.com/projectionist/projectionist/internal/app"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
	"github.com/projectionist/projectionist/streams/eventstore/fake"
)

// foreignTo appends an event to a stream as another program does, of a type that this one does not know.
func foreignTo(t testing.TB, a *app.App, id, stream string) streams.Position {
	t.Helper()
	ev, err := events.ReadForeign(json.RawMessage(`{"specversion":"1.0","id":"` + id + `","source":"/other","type":"trial.begun","time":"2024-02-29T12:00:00Z","schemaversion":1,"data":{}}`))
	if err != nil {
		t.Fatal(err)
	}
	r, err := a.Log.Ledger().Append(context.Background(), streams.Commit{ID: id, Stream: stream, Expected: streams.AnyRevision, Events: []events.Event{ev}})
	if err != nil {
		t.Fatal(err)
	}
	return r.Position
}

func dispatched(t testing.TB, a *app.App, c commands.Command) streams.Position {
	t.Helper()
	r, err := a.Dispatcher.Dispatch(context.Background(), c, handlers.Meta{Actor: "test"})
	if err != nil {
		t.Fatal(err)
	}
	return r.Position
}

// status is what a request is answered with.
func status(a *app.App, method, path, body string) (int, string) {
	req := httptest.NewRequest(method, "http://localhost"+path, strings.NewReader(body))
	req.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	a.Handler().ServeHTTP(w, req)
	return w.Code, w.Body.String()
}

// passForeign has nodes of one log meet commits that they cannot read, one that is opened last with nothing folded, and
// then pass over them.
func passForeign(t *testing.T, nodes ...func() *app.App) {
	var all []*app.App
	begin := func(open func() *app.App) *app.App {
		a := open()
		all = append(all, a)
		return a
	}
	for _, open := range nodes[:len(nodes)-1] {
		begin(open)
	}
	late := nodes[len(nodes)-1]
	if len(all) == 0 {
		begin(late)
	}
	first := all[0]
	film := func(id string) *commands.ListMovie {
		return &commands.ListMovie{Dataset: "test", Movie: events.Movie{MovieID: id, Title: "Film " + id}}
	}
	before := dispatched(t, first, film("1"))
	dispatched(t, first, &commands.RegisterModel{Name: "als"})
	bad := foreignTo(t, first, "f0", "model/als")
	dispatched(t, first, film("2"))
	worse := foreignTo(t, first, "f1", "model/als")
	last := dispatched(t, first, film("3"))
	if len(nodes) > 1 {
		begin(late)
	}
	for i, a := range all {
		if err := a.Views.Wait(t.Context(), before); err != nil {
			t.Fatalf("node %d: %v", i, err)
		}
		until(t, fmt.Sprint("node ", i, " does not name ", bad), func() bool {
			code, body := status(a, "GET", "/readyz", "")
			return code == 503 && strings.Contains(body, "trial.begun (f0) at "+bad.String()) && strings.Contains(body, "audit, ")
		})
		for _, c := range []struct {
			method, path, body string
			code               int
			say                string
		}{
			{"GET", "/api/v1/movies/1", "", 200, "Film 1"},
			{"GET", "/api/v1/movies/1?known_at=" + before.String(), "", 200, "Film 1"},
			{"GET", "/api/v1/models/als?known_at=" + last.String(), "", 503, "trial.begun at " + bad.String()},
			{"GET", "/api/v1/log/streams/model/als", "", 200, "unknown event type"},
			{"PUT", "/api/v1/models/als/aliases/champion", `{"version":1}`, 503, "trial.begun at " + bad.String()},
			{"POST", "/api/v1/models", fmt.Sprintf(`{"name":"other-%d"}`, i), 201, `"folded":false`},
			{"POST", "/api/v1/feedback", `{"user_id":"7","movie_id":"1","rating":5}`, 200, "user-events/"},
		} {
			if code, body := status(a, c.method, c.path, c.body); code != c.code || !strings.Contains(body, c.say) {
				t.Errorf("node %d: %s %s: %d %s; want %d and %q", i, c.method, c.path, code, body, c.code, c.say)
			}
		}
	}
	for _, at := range []streams.Position{bad, worse} {
		if code, body := status(all[len(all)-1], "POST", "/api/v1/views/*/skip", `{"position":"`+at.String()+`","reason":"test"}`); code != 200 {
			t.Fatalf("skip %s: %d %s", at, code, body)
		}
	}
	var hashes []fold.ViewReport
	for i, a := range all {
		until(t, fmt.Sprint("node ", i, " does not go on"), func() bool {
			code, _ := status(a, "GET", "/api/v1/movies/3", "")
			return code == 200
		})
		if code, body := status(a, "PUT", "/api/v1/models/als/aliases/champion", `{"version":1}`); code == 503 {
			t.Errorf("node %d still refuses: %s", i, body)
		}
		if code, body := status(a, "POST", "/api/v1/ops/verify", "{}"); code != 200 || !strings.Contains(body, `"equal":true,"views"`) {
			t.Errorf("node %d: %d %s", i, code, body)
		}
		if have := hashesOf(t, a); i == 0 {
			hashes = have
		} else {
			compareHashes(t, fmt.Sprint("node ", i), have, hashes)
		}
	}
}

func TestForeign(t *testing.T) {
	passForeign(t, func() *app.App { return startedIn(t, app.Options{Dir: filepath.Join(t.TempDir(), "data")}) })
}

func TestForeign_EventStore(t *testing.T) {
	s := fake.New(t, nil)
	node := func() *app.App {
		return startedIn(t, app.Options{Dir: filepath.Join(t.TempDir(), "data"), LogURL: s.URL()})
	}
	passForeign(t, node)
}

func TestKafka_Foreign(t *testing.T) {
	address, _ := clusterLog(t)
	node := func() *app.App {
		return startedIn(t, app.Options{Dir: filepath.Join(t.TempDir(), "data"), LogURL: address})
	}
	passForeign(t, node, node, node)
}

func startedIn(t testing.TB, o app.Options) *app.App {
	t.Helper()
	a := openNode(t, o)
	t.Cleanup(func() { a.Close() })
	return a
}
