// Package feast answers Feast's clients as its feature server does (https://docs.feast.dev/reference/feature-servers/python-feature-server):
// online features by reference or service, for the remote online store of its SDK. Nothing is ever stale, so there is nothing
// to materialize: features are computed from the facts when they are asked for.
//
// A domain error is answered with 4xx where Feast has 500, since its client tries again at that; the body is the same.
package feast

import (
	"net/http"
	"strings"
	"sync"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/projections/featurestore"
)

// Config is what a [Surface] answers from.
type Config struct {
	Features *featurestore.Store
	// Lead sends whoever would rather see pages to the console, and says whether it has; nil: nobody is sent.
	Lead func(http.ResponseWriter, *http.Request) bool
}

// Surface is Feast's feature server.
type Surface struct {
	*api.Core
	Config

	mu    sync.Mutex
	reg   *featurestore.Registry // that kept was resolved by
	kept  map[string]*choice
	bytes int // of the keys of kept
}

var _ api.Dated = (*Surface)(nil)

// New makes the surface.
func New(core *api.Core, c Config) *Surface { return &Surface{Core: core, Config: c} }

// At is the surface at a moment: what is read below /at/MOMENT, which Feast's client takes for the path of its online store.
func (s *Surface) At(core *api.Core) api.Surface { return New(core, s.Config) }

// Dated: each read knows its moment.
func (*Surface) Dated() {}

func (s *Surface) Name() string { return "feast" }

func (s *Surface) Routes(r *api.Routes) {
	s.healthRoutes(r)
	s.onlineRoutes(r)
	s.pushRoutes(r)
	s.pageRoutes(r)
}

// views are what features are read from.
var views = []string{"online", "histories", "catalogue", "users", "definitions", "feature-registry", "feature-values"}

// Render writes a problem as FastAPI does, on which Feast's server runs; one of the program's own as Feast does: a string.
func (s *Surface) Render(w http.ResponseWriter, _ *http.Request, p *api.Problem) {
	var v any
	switch text := strings.TrimSuffix(strings.TrimPrefix(p.Field+": "+p.Detail, ": ")+"; "+p.Hint, "; "); {
	case p.Status == http.StatusNotFound:
		v = map[string]any{"detail": "Not Found"}
	case p.Status == http.StatusMethodNotAllowed:
		v = map[string]any{"detail": "Method Not Allowed"}
	case p.Status == http.StatusBadRequest:
		p.Status, v = http.StatusUnprocessableEntity, invalid(detail{"value_error", []any{"query", p.Field}, text, nil, nil})
	case p.Status == http.StatusForbidden: // as Feast says what may not be done
		v = feastError(p.Status, "FeastPermissionError", "Permission error:\n%s", text).body
	case p.Status >= http.StatusInternalServerError:
		v = text
	default:
		v = map[string]any{"detail": text}
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(p.Status)
	api.WriteBody(w, v)
}
