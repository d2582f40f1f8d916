package mlflow_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/api/apitest"
	"github.com/projectionist/projectionist/api/mlflow"
	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/internal/blob"
)

// fixture is both surfaces over a log in memory, with the default experiment.
type fixture struct {
	*apitest.Bench
	blobs    *blob.Store
	pages    *mlflow.Pages
	tracking *api.Server
	guide    *api.Server
}

func newFixture(t testing.TB) *fixture {
	t.Helper()
	return newFixtureAt(t, nil)
}

// newFixtureAt is newFixture by a clock.
func newFixtureAt(t testing.TB, now func() time.Time) *fixture {
	t.Helper()
	w := &fixture{Bench: apitest.New(t, now), pages: &mlflow.Pages{}}
	var err error
	w.blobs, err = blob.Open(t.TempDir())
	w.Must(err)
	served := func(context.Context, string, int) (commands.Served, error) { return nil, nil }
	surface := mlflow.New(w.Core, mlflow.Config{Blobs: w.blobs, Served: served, Pages: w.pages, Webhooks: mlflow.Webhooks{
		Check: func(context.Context, string) error { return nil }, Seal: func(_, secret string) (string, error) { return "sealed", nil }}})
	w.tracking, w.guide = w.Core.Serve(surface), w.Core.Serve(surface.Guide())
	w.Do(&commands.CreateExperiment{Name: commands.DefaultExperiment})
	return w
}

// ask asks with a body that says it is JSON, unless the change says other.
func ask(s http.Handler, method, path, body string, change ...func(*http.Request)) apitest.Answer {
	return apitest.Ask(s, method, path, body, append([]func(*http.Request){func(r *http.Request) { r.Header.Set("Content-Type", "application/json") }}, change...)...)
}

const rest = "/api/2.0/mlflow/"

// want asks MLflow's API, below its prefix, and wants it to be answered.
func (w *fixture) want(method, path, body string) map[string]any {
	w.T.Helper()
	a := ask(w.tracking, method, rest+path, body)
	if a.Code != 200 {
		w.T.Fatalf("%s %s %.200s: %d %s", method, path, body, a.Code, a.Text)
	}
	return a.Object
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
