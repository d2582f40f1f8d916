package prometheus

import (
	"context"
	"net/http"

	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/handlers/react"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/featurestore"
	"github.com/projectionist/projectionist/streams"
)

// Config is whose figures are told beside those of the surfaces; all of it is optional.
type Config struct {
	LogStats func() streams.Stats                  // of the embedded log
	Relay    func() streams.Relay                  // of a ledger on EventStoreDB
	Disk     func() (size, free uint64, err error) // of the disk with the data folder, in bytes
	Writable func() error                          // why the log takes nothing now; nil where it does
	Models   []string                              // whose versions' judgements are told
	// Workflows are those whose runs are told, and Decided what the gate made of a run: ok where it has decided.
	Workflows *projections.DefinedWorkflows
	Decided   func(run *projections.WorkflowRun) (promoted, ok bool)
	Features  *featurestore.Store // whose views' freshness is told
	Reactors  interface {
		Progress() []react.Task
		Stats(context.Context) []react.Stat
	}
}

// Surface is Prometheus'.
type Surface struct {
	*api.Core
	Config
}

var _ api.Surface = (*Surface)(nil)

// New makes the surface and adds its collectors to the core's registry: once for a core.
func New(core *api.Core, c Config) *Surface {
	s := &Surface{Core: core, Config: c}
	core.Metrics().MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), &stateCollector{s}, &businessCollector{s},
		newSystemCollector(c.Disk))
	return s
}

func (s *Surface) Name() string { return "prometheus" }

func (s *Surface) Render(w http.ResponseWriter, r *http.Request, p *api.Problem) {
	api.RenderProblem(w, r, p)
}

func (s *Surface) Routes(r *api.Routes) {
	h := promhttp.HandlerFor(s.Metrics(), promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError})
	r.Handle("GET /metrics", func(w http.ResponseWriter, req *http.Request) error {
		h.ServeHTTP(w, req)
		return nil
	})
}
