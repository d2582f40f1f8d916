package mlflow_test

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
	"github.com/projectionist/projectionist/api/mlflow"
	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/handlers"
	"github.com/projectionist/projectionist/internal/blob"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
	"github.com/projectionist/projectionist/streams/local"
)

// fixture is both surfaces over a log in memory, with the default experiment.
type fixture struct {
	t          *testing.T
	log        streams.Log
	dispatcher *handlers.Dispatcher
	views      *fold.Runner
	blobs      *blob.Store
	tracking   *api.Server
	guide      *api.Server
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	w := &fixture{t: t}
	log, err := local.OpenMem(local.Options{Logf: func(string, ...any) {}})
	w.must(err)
	w.log = log
	t.Cleanup(func() { w.must(log.Close()) })
	store, err := fold.OpenStore("views", fold.StoreOptions{FS: vfs.NewMem()})
	w.must(err)
	t.Cleanup(func() { w.must(store.Close()) })
	w.views, err = fold.NewRunner(t.Context(), log, store, projections.All()...)
	w.must(err)
	w.blobs, err = blob.Open(t.TempDir())
	w.must(err)
	w.dispatcher = handlers.New(handlers.Config{Ledger: log.Ledger(), Feed: log.Feed(), NewID: uuid.NewString, Now: time.Now})
	core, err := api.New(api.Config{Log: log, Dispatcher: w.dispatcher, Views: w.views, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	w.must(err)
	served := func(context.Context, string, int) (commands.Served, error) { return nil, nil }
	surface := mlflow.New(core, mlflow.Config{Blobs: w.blobs, Served: served})
	w.tracking, w.guide = core.Serve(surface), core.Serve(surface.Guide())
	run, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- w.views.Run(run) }()
	t.Cleanup(func() {
		w.must(core.Close())
		stop()
		w.must(<-ended)
	})
	w.do(&commands.CreateExperiment{Name: commands.DefaultExperiment})
	return w
}

func (w *fixture) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *fixture) do(c commands.Command) {
	w.t.Helper()
	res, err := w.dispatcher.Dispatch(w.t.Context(), c, handlers.Meta{Actor: "test"})
	w.must(err)
	w.must(w.views.Wait(w.t.Context(), res.Position, "runs", "registry", "deployments"))
}

// answer is what a server said.
type answer struct {
	code   int
	text   string
	header http.Header
	object map[string]any // of a body that is one
}

func ask(s http.Handler, method, path, body string, change ...func(*http.Request)) answer {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Host = "localhost"
	r.Header.Set("Content-Type", "application/json")
	for _, c := range change {
		c(r)
	}
	rec := httptest.NewRecorder()
	s.ServeHTTP(rec, r)
	a := answer{code: rec.Code, text: rec.Body.String(), header: rec.Header()}
	json.Unmarshal(rec.Body.Bytes(), &a.object) //nolint:errcheck // a file is none
	return a
}

const rest = "/api/2.0/mlflow/"

// want asks MLflow's API, below its prefix, and wants it to be answered.
func (w *fixture) want(method, path, body string) map[string]any {
	w.t.Helper()
	a := ask(w.tracking, method, rest+path, body)
	if a.code != 200 {
		w.t.Fatalf("%s %s %.200s: %d %s", method, path, body, a.code, a.text)
	}
	return a.object
}

// at follows names and indices into an answer.
func at(v any, path ...any) any {
	for _, p := range path {
		switch p := p.(type) {
		case string:
			m, _ := v.(map[string]any)
			v = m[p]
		case int:
			l, _ := v.([]any)
			if p >= len(l) {
				return nil
			}
			v = l[p]
		}
	}
	return v
}

// column is one thing of each of a list's items.
func column(v any, list string, path ...any) (all []any) {
	l, _ := at(v, list).([]any)
	for _, item := range l {
		all = append(all, at(item, path...))
	}
	return all
}

// head is how many commits the ledger has.
func (w *fixture) head() int64 {
	w.t.Helper()
	n, err := w.log.Ledger().Head(w.t.Context(), time.Time{})
	w.must(err)
	return n
}
