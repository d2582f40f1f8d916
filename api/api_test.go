package api_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/uuid"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/handlers"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams/local"
)

// surface is one whose errors look like no other's.
type surface struct {
	name   string
	routes func(*api.Routes)
}

func (s surface) Name() string         { return s.name }
func (s surface) Routes(r *api.Routes) { s.routes(r) }
func (s surface) Render(w http.ResponseWriter, _ *http.Request, p *api.Problem) {
	w.WriteHeader(p.Status)
	io.WriteString(w, s.name+": "+p.Detail)
}

func core(t *testing.T, change ...func(*api.Config)) *api.Core {
	t.Helper()
	log, err := local.OpenMem(local.Options{Logf: func(string, ...any) {}})
	if err != nil {
		t.Fatal(err)
	}
	store, err := fold.OpenStore("views", fold.StoreOptions{FS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	views, err := fold.NewRunner(context.Background(), log, store, func() fold.View { return projections.NewRuns() })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close(); log.Close() })
	c := api.Config{Log: log, Views: views, Logger: slog.New(slog.DiscardHandler),
		Dispatcher: handlers.New(handlers.Config{Ledger: log.Ledger(), Feed: log.Feed(), Now: time.Now, NewID: uuid.NewString})}
	for _, f := range change {
		f(&c)
	}
	made, err := api.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { made.Close() })
	return made
}

func ask(h http.Handler, method, path string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "http://localhost"+path, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// Two surfaces on one listener: each answers its own routes and renders its own errors, and what neither has is
// answered as by the first.
func TestSurfacesOnOneListener(t *testing.T) {
	fails := func(path string) func(*api.Routes) {
		return func(r *api.Routes) {
			r.Handle("GET "+path, func(http.ResponseWriter, *http.Request) error { return fault.Field("k", "is odd") })
		}
	}
	h := core(t).Serve(surface{"first", fails("/first")}, surface{"second", fails("/second")})
	for _, c := range []struct {
		method, path string
		status       int
		body         string
	}{
		{"GET", "/first", 400, "first: is odd"},
		{"GET", "/second", 400, "second: is odd"},
		{"GET", "/third", 404, "first: there is nothing at /third"},
		{"POST", "/second", 405, "first: /second takes GET, not POST"},
	} {
		w := ask(h, c.method, c.path)
		if w.Code != c.status || w.Body.String() != c.body || w.Header().Get("X-Request-ID") == "" {
			t.Errorf("%s %s: %d %s", c.method, c.path, w.Code, w.Body)
		}
	}
}

// Two listeners of one core: what is not mounted on one is not there, and both count into the same metrics.
func TestListenersShareACore(t *testing.T) {
	c := core(t)
	one := func(name, path string) *api.Server {
		return c.Serve(surface{name, func(r *api.Routes) {
			r.Handle("GET "+path, func(w http.ResponseWriter, r *http.Request) error { return api.WriteJSON(w, 200, api.RequestID(r)) })
		}})
	}
	a, b := one("a", "/a"), one("b", "/b")
	if ask(a, "GET", "/a").Code != 200 || ask(a, "GET", "/b").Code != 404 || ask(b, "GET", "/b").Code != 200 {
		t.Error("routes of another listener")
	}
	families, err := c.Metrics().Gather()
	if err != nil {
		t.Fatal(err)
	}
	routes := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if f.GetName() == "http_requests_total" && l.GetName() == "route" {
					routes[l.GetValue()] += m.GetCounter().GetValue()
				}
			}
		}
	}
	if routes["/a"] != 1 || routes["/b"] != 1 || routes["unmatched"]+routes["/"] != 1 {
		t.Errorf("requests by route: %v", routes)
	}
}

// A client's request id is kept if it can be, and names the answer; what must be unique is not made of it.
func TestRequestID(t *testing.T) {
	var unique string
	h := core(t).Serve(surface{"s", func(r *api.Routes) {
		r.Handle("GET /", func(w http.ResponseWriter, r *http.Request) error {
			unique = api.UniqueID(r)
			return api.WriteJSON(w, 200, api.RequestID(r))
		})
	}})
	for given, kept := range map[string]bool{"mine-1": true, "": false, "a\tb": false, strings.Repeat("x", 129): false, "é": false} {
		w := ask(h, "GET", "/x", "X-Request-ID", given)
		var id string
		if err := json.Unmarshal(w.Body.Bytes(), &id); err != nil || id == "" || id != w.Header().Get("X-Request-ID") || (id == given) != kept {
			t.Errorf("id %q: %q, header %q, %v", given, id, w.Header().Get("X-Request-ID"), err)
		}
		if unique == "" || (unique == id) == kept {
			t.Errorf("id %q: unique %q", given, unique)
		}
	}
}

// An answer that had begun when it failed is cut off, so that its client cannot take it for whole.
func TestAbort(t *testing.T) {
	c := core(t)
	srv := httptest.NewServer(c.Serve(surface{"s", func(r *api.Routes) {
		r.Handle("GET /half", func(w http.ResponseWriter, r *http.Request) error {
			w.Header().Set("Content-Length", "100")
			io.WriteString(w, "half")
			api.Abort(r, fault.New(fault.Unavailable, "the log went away"))
			return nil
		})
	}}))
	defer srv.Close()
	res, err := http.Get(srv.URL + "/half")
	if err == nil {
		defer res.Body.Close()
		_, err = io.ReadAll(res.Body)
	}
	if err == nil {
		t.Error("half an answer was taken for whole")
	}
}

// Long work is admitted up to a bound, and ends when the program does.
func TestOperations(t *testing.T) {
	c := core(t)
	done, err := c.Begin()
	if err != nil {
		t.Fatal(err)
	}
	done2, err := c.Begin()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Begin(); !fault.Is(err, fault.Unavailable) {
		t.Errorf("a third: %v", err)
	}
	done()
	if done, err = c.Begin(); err != nil {
		t.Errorf("after one ended: %v", err)
	}
	done()
	done2()
	c.Drain()
	if _, err := c.Begin(); !fault.Is(err, fault.Unavailable) || c.Follow().Err() == nil || c.Work().Err() != nil {
		t.Errorf("while draining: %v, follow %v, work %v", err, c.Follow().Err(), c.Work().Err())
	}
	c.Close()
	if c.Work().Err() == nil {
		t.Error("work goes on after the end")
	}
}
