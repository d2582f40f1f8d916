// Package inference answers who asks a model directly: ratings of films for a person, a list for them, films like one,
// and which models there are, with bodies and errors in the form that servers made with FastAPI have
// (https://fastapi.tiangolo.com/tutorial/handling-errors), and by the Open Inference Protocol.
package inference

import (
	"net/http"
	"strings"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/api/fastapi"
	"github.com/projectionist/projectionist/projections/recommend"
)

// Config is what a [Surface] answers from.
type Config struct {
	Recommend *recommend.Service
	Weights   func(blob string) ([]byte, error) // of a version, by their hash
}

// Surface is the models' own.
type Surface struct {
	*api.Core
	Config
	sizes sizes
}

var _ api.Surface = (*Surface)(nil)

// New makes the surface.
func New(core *api.Core, c Config) *Surface { return &Surface{Core: core, Config: c} }

func (s *Surface) Name() string { return "inference" }

// views are what every answer is read from: after=POSITION in a query waits for them.
var views = []string{"registry", "deployments", "catalogue", "online"}

func (s *Surface) Routes(r *api.Routes) {
	r.Handle("POST /predict", fastapi.Handler(s.predict), views...)
	r.Handle("POST /recommend", fastapi.Handler(s.recommend), views...)
	r.Handle("POST /similar", fastapi.Handler(s.similar), views...)
	s.oipRoutes(r)
	r.Handle("GET /models", s.models, views...)
	r.Handle("GET /health", s.health)
	r.Handle("GET /healthz", s.health)
	r.Handle("GET /{$}", s.home, views...)
}

// Render writes a problem as FastAPI's clients expect one: its text as detail, or what is wrong with the request field
// by field; below /v2 as the Open Inference Protocol has it.
func (s *Surface) Render(w http.ResponseWriter, r *http.Request, p *api.Problem) {
	if ofOIP(r.URL.Path) {
		oipError(w, p)
		return
	}
	var detail any
	switch {
	case p.Status == http.StatusMethodNotAllowed:
		detail = http.StatusText(p.Status)
	case p.Status == http.StatusBadRequest:
		p.Status = http.StatusUnprocessableEntity
		errs := p.Errors
		if len(errs) == 0 {
			errs = []api.FieldProblem{{Field: p.Field, Message: p.Detail, Hint: p.Hint}}
		}
		var list []fastapi.Flaw
		for _, e := range errs {
			list = append(list, fastapi.Flaw{Type: "value_error", Loc: []any{"query", e.Field}, Msg: "Value error, " + withHint(e.Message, e.Hint)})
		}
		detail = list
	default:
		detail = withHint(strings.TrimPrefix(p.Field+": "+p.Detail, ": "), p.Hint)
	}
	fastapi.Write(w, p.Status, detail)
}

func withHint(message, hint string) string {
	if hint == "" {
		return message
	}
	return message + "; " + hint
}
