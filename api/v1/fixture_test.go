package v1_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/uuid"
	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/api/prometheus"
	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers"
	"github.com/projectionist/projectionist/handlers/ingest"
	"github.com/projectionist/projectionist/handlers/roles"
	"github.com/projectionist/projectionist/internal/blob"
	"github.com/projectionist/projectionist/ml/features"
	"github.com/projectionist/projectionist/ml/recipe"
	"github.com/projectionist/projectionist/ml/recipe/all"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/featurestore"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/projections/recommend"
	"github.com/projectionist/projectionist/projections/trainset"
	"github.com/projectionist/projectionist/streams"
	"github.com/projectionist/projectionist/streams/local"

	"github.com/projectionist/projectionist/api/v1"
)

// clock stands still until it is moved.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) set(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = t
}

// fixture is a server over a log in memory with a small catalogue and some people.
// setup is what a fixture is made of; a test may change it.
type setup struct {
	cfg api.Config
	own v1.Config

	beside []api.Surface // on the same listener
}

type fixture struct {
	t       testing.TB
	clock   *clock
	log     *local.Log
	core    *api.Core
	server  *api.Server
	surface *v1.Surface
	blobs   *blob.Store
	setup
}

var day0 = time.Date(2024, 6, 1, 12, 0, 0, 0, time.UTC)

// Facts of the test's people have event times before day0, and are recorded at day0.
const (
	testMovies = 12
	testUsers  = 10
	testFacts  = 46
)

func newFixture(t testing.TB, change ...func(*setup)) *fixture {
	t.Helper()
	w := &fixture{t: t, clock: &clock{now: day0}}
	ctx := context.Background()
	var err error
	w.log, err = local.OpenMem(local.Options{Now: w.clock.Now, Logf: func(string, ...any) {}})
	w.must(err)
	t.Cleanup(func() { w.must(w.log.Close()) })
	store, err := fold.OpenStore("views", fold.StoreOptions{FS: vfs.NewMem()})
	w.must(err)
	t.Cleanup(func() { w.must(store.Close()) })
	views, err := fold.NewRunner(ctx, w.log, store, projections.All()...)
	w.must(err)
	w.blobs, err = blob.Open(t.TempDir())
	w.must(err)
	d := handlers.New(handlers.Config{Ledger: w.log.Ledger(), Feed: w.log.Feed(), Now: w.clock.Now, NewID: uuid.NewString})
	w.cfg = api.Config{Log: w.log, Dispatcher: d, Views: views, Now: w.clock.Now, Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
		Factories: projections.All(), ScratchDir: t.TempDir()}
	w.own = v1.Config{Console: "/ui/", Factories: projections.All(), Features: featurestore.New(views, w.log), Recommend: recommend.New(views, w.blobs.Get),
		Blobs: w.blobs, Importer: &ingest.Importer{Log: w.log, Dispatcher: d}, Workflows: &projections.DefinedWorkflows{Views: views, Operators: roles.Operators()}, ScratchDir: t.TempDir(), Version: "test", Rebuild: roles.Rebuild}
	for _, c := range change {
		c(&w.setup)
	}
	w.core, err = api.New(w.cfg)
	w.must(err)
	w.surface, err = v1.New(w.core, w.own)
	w.must(err)
	w.server = w.core.Serve(w.surface, append(w.beside, prometheus.New(w.core, prometheus.Config{LogStats: w.log.Stats, Writable: w.log.Writable,
		Models: roles.Models(), Workflows: w.own.Workflows, Decided: roles.Decided, Features: w.own.Features}))...)
	run, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- w.cfg.Views.Run(run) }()
	t.Cleanup(func() {
		w.must(w.core.Close())
		stop()
		w.must(<-ended)
	})
	w.fill()
	return w
}

func (w *fixture) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// fill lists films "1" to "12", the odd ones comedies and the even ones dramas, and lets people 1 to 10
// rate those of their kind: every user watches the films of one parity but one or two.
func (w *fixture) fill() {
	ctx := context.Background()
	for i := 1; i <= testMovies; i++ {
		genre := []string{"Drama", "Comedy"}[i%2]
		_, err := w.cfg.Dispatcher.Dispatch(ctx, &commands.ListMovie{Dataset: "test", Movie: events.Movie{
			MovieID: strconv.Itoa(i), Title: fmt.Sprintf("Film %d", i), Year: 1990 + i, Genres: []string{genre}}}, handlers.Meta{Actor: "test"})
		w.must(err)
	}
	text := features.DefaultYAML()
	defs, err := features.Parse([]byte(text))
	w.must(err)
	defined, err := w.cfg.Dispatcher.Dispatch(ctx, &commands.DefineFeatures{Definitions: text, Hash: defs.Hash()}, handlers.Meta{Actor: "test"})
	w.must(err)
	w.folded(defined.Position)
	var facts []commands.Fact
	for u := 1; u <= testUsers; u++ {
		n := 0
		for m := 1; m <= testMovies; m++ {
			if m%2 != u%2 || m == u || m == u-6 {
				continue
			}
			at := time.Date(2024, time.Month(2+2*(n/3)), u, n, 0, 0, 0, time.UTC)
			facts = append(facts, &commands.RecordInteraction{Interaction: events.Interaction{UserID: strconv.Itoa(u), MovieID: strconv.Itoa(m),
				Kind: "rating", Rating: 3.5 + float64(n%4)/2, Timestamp: events.FormatTime(at)}})
			n++
		}
	}
	p, err := w.cfg.Dispatcher.Publish(ctx, facts, handlers.Meta{Actor: "test"})
	w.must(err)
	w.folded(p.Positions...)
}

// folded waits for all views.
func (w *fixture) folded(positions ...streams.Position) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	for _, p := range positions {
		w.must(w.core.Views.Wait(ctx, p))
	}
}

// train registers a version of model "als", trained on the whole log, and returns its number.
func (w *fixture) train() int {
	w.t.Helper()
	ctx := context.Background()
	cut, err := fold.HeadCut(ctx, w.log, time.Time{})
	w.must(err)
	set, err := trainset.Load(ctx, w.log, cut, nil)
	w.must(err)
	r := all.Default()
	p, err := r.Parse(map[string]string{"als.dim": "4"})
	w.must(err)
	trained, err := r.Make(ctx, set.Input(), p, recipe.Hooks{})
	w.must(err)
	hash, size, err := w.blobs.Put(ctx, bytes.NewReader(trained.Bytes))
	w.must(err)
	if _, err = w.cfg.Dispatcher.Dispatch(ctx, &commands.RegisterModel{Name: r.Name}, handlers.Meta{IdempotencyKey: "register"}); err != nil {
		w.t.Fatal(err)
	}
	res, err := w.cfg.Dispatcher.Dispatch(ctx, &commands.RegisterModelVersion{Name: r.Name, RunID: strings.Repeat("a", 32), Algorithm: r.Name,
		Params: p, Seed: r.Seed(p), CodeVersion: r.CodeVersion(), DatasetID: "d", DatasetCut: cut.String(),
		FeaturesHash: set.FeaturesHash, Blob: hash, Bytes: size, Slot: events.ProductionSlot}, handlers.Meta{})
	w.must(err)
	w.folded(res.Position)
	return res.Events[0].Data.(*events.ModelVersionRegistered).Version
}

// deployed has slots "s0", "s1" and so on served by version 1 of model "als", a second after another, many of them said by a commit.
func (w *fixture) deployed(slots int, reason string) {
	w.t.Helper()
	for i := 0; i < slots; {
		c := streams.Commit{ID: fmt.Sprint("slots", i), Stream: "model/als", Expected: streams.AnyRevision}
		for ; i < slots && len(c.Events) < 30; i++ {
			w.clock.set(day0.Add(time.Duration(i+1) * time.Second))
			c.Events = append(c.Events, events.Event{ID: fmt.Sprint("slot", i), Source: "/test", Subject: c.Stream, Time: w.clock.Now(),
				Data: &events.ModelDeployed{Slot: fmt.Sprint("s", i), Model: "als", Version: 1, Blob: strings.Repeat("b", 64), Reason: reason}})
		}
		r, err := w.log.Ledger().Append(w.t.Context(), c)
		w.must(err)
		w.folded(r.Position)
	}
}

// answer is what a request came to.
type answer struct {
	t      testing.TB
	what   string
	Status int
	Header http.Header
	Body   []byte
}

func (w *fixture) do(method, target string, body any, header ...string) *answer {
	w.t.Helper()
	var in io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		in = strings.NewReader(b)
	case io.Reader:
		in = b
	default:
		raw, err := json.Marshal(b)
		w.must(err)
		in = bytes.NewReader(raw)
	}
	r := httptest.NewRequest(method, target, in)
	r.Host = "localhost:8000"
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	rec := httptest.NewRecorder()
	w.server.ServeHTTP(rec, r)
	return &answer{w.t, method + " " + target, rec.Code, rec.Header(), rec.Body.Bytes()}
}

func (w *fixture) get(target string, header ...string) *answer {
	w.t.Helper()
	return w.do("GET", target, nil, header...)
}

func (w *fixture) post(target string, body any, header ...string) *answer {
	w.t.Helper()
	return w.do("POST", target, body, header...)
}

// want fails unless the status is as wanted.
func (a *answer) want(status int) *answer {
	a.t.Helper()
	if a.Status != status {
		a.t.Fatalf("%s: status %d, want %d: %s", a.what, a.Status, status, a.Body)
	}
	return a
}

func (a *answer) into(v any) {
	a.t.Helper()
	if err := json.Unmarshal(a.Body, v); err != nil {
		a.t.Fatalf("%s: %v: %s", a.what, err, a.Body)
	}
}

// at is the value at a path of the JSON answer, such as "items.0.title", as JSON writes it.
func (a *answer) at(path string) string {
	a.t.Helper()
	var v any
	a.into(&v)
	return jsonAt(v, path)
}

func jsonAt(v any, path string) string {
	for _, key := range strings.Split(path, ".") {
		switch x := v.(type) {
		case map[string]any:
			v = x[key]
		case []any:
			i, err := strconv.Atoi(key)
			if err != nil || i >= len(x) {
				return "<none>"
			}
			v = x[i]
		default:
			return "<none>"
		}
	}
	if text, ok := v.(string); ok {
		return text
	}
	b, _ := json.Marshal(v)
	return string(b)
}

// problem fails unless the answer is a problem of the status about the field.
func (a *answer) problem(status int, field string) *api.Problem {
	a.t.Helper()
	a.want(status)
	if got := a.Header.Get("Content-Type"); got != "application/problem+json" {
		a.t.Fatalf("%s: content type %q", a.what, got)
	}
	var p api.Problem
	a.into(&p)
	if p.Status != status || p.Title == "" || p.Detail == "" || p.Type == "" || p.RequestID != a.Header.Get("X-Request-ID") || p.RequestID == "" {
		a.t.Fatalf("%s: incomplete problem %s", a.what, a.Body)
	}
	if p.Field != field {
		a.t.Fatalf("%s: field %q, want %q: %s", a.what, p.Field, field, a.Body)
	}
	return &p
}

// lines are the lines of an NDJSON answer.
func (a *answer) lines() []map[string]any {
	a.t.Helper()
	var out []map[string]any
	for _, line := range bytes.Split(bytes.TrimSpace(a.Body), []byte("\n")) {
		if len(line) == 0 {
			continue
		}
		var v map[string]any
		if err := json.Unmarshal(line, &v); err != nil {
			a.t.Fatalf("%s: line %q: %v", a.what, line, err)
		}
		out = append(out, v)
	}
	return out
}

// result is the last line of an operation's answer.
func (a *answer) result() map[string]any {
	a.t.Helper()
	a.want(http.StatusOK)
	all := a.lines()
	r, ok := all[len(all)-1]["result"].(map[string]any)
	if !ok {
		a.t.Fatalf("%s: no result: %s", a.what, a.Body)
	}
	return r
}

// defineWorkflows puts the workflows in force that the program comes with.
func (w *fixture) defineWorkflows() {
	w.t.Helper()
	for _, d := range roles.Definitions() {
		res, err := w.cfg.Dispatcher.Dispatch(context.Background(), &commands.DefineWorkflow{Workflow: d.Name, Source: d.Source(), Hash: d.Hash(), Origin: "program"}, handlers.Meta{Actor: "test"})
		w.must(err)
		w.must(w.cfg.Views.Wait(context.Background(), res.Position, "workflows"))
	}
}
