// Package mlflow answers MLflow's clients: experiments and runs, the model registry, and files of runs, by MLflow's REST
// API 2.0 (https://mlflow.org/docs/latest/api_reference/rest-api.html) as its server 3.17.2 speaks it. An experiment, a
// run, a registered model and its versions are the program's own; what is changed through this API are events like all
// others.
//
// What of that API there is, the routes say; anything else is not found, as with a server of before it. [Guide] has the
// routes by which the program's own address shows the same to people who type them.
package mlflow

import (
	"context"
	"net/http"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/internal/blob"
)

// Config is what a [Surface] answers from.
type Config struct {
	Blobs *blob.Store
	// Served is what slots serve, for a command that may let a version of a model serve one; the error says why that
	// version cannot. Version 0 is for a command that cannot.
	Served func(ctx context.Context, model string, version int) (commands.Served, error)
	// Webhooks sends to them.
	Webhooks Webhooks
	Pages    *Pages // MLflow's own
	// Lead sends a browser that asks for the root to the console where MLflow's pages are not here, and says whether it has; nil: nobody is sent.
	Lead func(http.ResponseWriter, *http.Request) bool
}

// Surface is MLflow's API.
type Surface struct {
	*api.Core
	Config
}

var _ api.Historical = (*Surface)(nil)

// New makes the surface.
func New(core *api.Core, c Config) *Surface {
	if c.Pages == nil {
		c.Pages = &Pages{}
	}
	return &Surface{core, c}
}

func (s *Surface) Name() string { return "mlflow" }

// At is the surface as of a moment.
func (s *Surface) At(core *api.Core) api.Surface { return New(core, s.Config) }

func (s *Surface) Routes(r *api.Routes) {
	s.healthRoutes(r)
	for _, prefix := range []string{"/api/2.0/", "/ajax-api/2.0/"} { // of clients, and of MLflow's own pages
		at := routes{r, prefix}
		s.experimentRoutes(at)
		s.runRoutes(at)
		s.metricRoutes(at)
		s.runInputRoutes(at)
		s.modelRoutes(at)
		s.versionRoutes(at)
		s.artifactRoutes(at)
		s.loggedModelRoutes(at)
		s.webhookRoutes(at)
		s.datasetRoutes(at)
	}
	s.fileRoutes(r)
	s.graphRoutes(r)
	s.noneRoutes(r)
	s.staticRoutes(r)
}

// routes takes the endpoints under one prefix.
type routes struct {
	*api.Routes
	prefix string
}

// handle adds an endpoint: its method, and its path below the prefix.
func (r routes) handle(method, path string, h api.Handler, views ...string) {
	r.Handle(method+" "+r.prefix+path, refusing(h), views...)
}

// bodyBytesMax is the most of a request's JSON: a batch of a thousand metrics and a hundred params and tags of which
// each is longer than is kept.
const bodyBytesMax = 8 << 20
