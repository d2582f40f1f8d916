package api

import (
	"context"
	"crypto/sha256"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/projectionist/projectionist/handlers"
	"github.com/projectionist/projectionist/handlers/ingest"
	"github.com/projectionist/projectionist/handlers/react"
	"github.com/projectionist/projectionist/internal/blob"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections/featurestore"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/projections/recommend"
	"github.com/projectionist/projectionist/projections/snapshot"
	"github.com/projectionist/projectionist/streams"
	"github.com/projectionist/projectionist/streams/local"
)

// Reactors is what the surface asks of the reactors of this process; *react.Reactors is one.
type Reactors interface {
	Retry(ctx context.Context, deadLetterID, actor string) error
	Drop(ctx context.Context, deadLetterID, actor, reason string) error
	Progress() []react.Task
	Stats(context.Context) []react.Stat
}

// Config is what a [Server] answers from. Log, Dispatcher, Views, Factories, Features, Recommend and
// Blobs are needed; without one of the others, what needs it is refused as unavailable.
type Config struct {
	Log        streams.Log
	Dispatcher *handlers.Dispatcher
	Views      *fold.Runner // runs, with all views of Factories
	Factories  []fold.Factory
	Features   *featurestore.Store
	Recommend  *recommend.Service
	Blobs      *blob.Store
	Importer   *ingest.Importer
	Reactors   Reactors

	Dir        string // the data folder, for messages
	ScratchDir string // for replays; made when missing
	Version    string
	Now        func() time.Time // default time.Now
	Logger     *slog.Logger     // default slog.Default
	Token      string           // bearer token wanted of every request but GET /healthz; "" wants none

	// Backup copies the running log and the blobs into a new folder; note says what is not in it.
	Backup func(dir string) (note string, err error)
	// Snapshot copies views and index into a folder, for a new node of the same log.
	Snapshot func(dir string) (*snapshot.Manifest, error)
	LogStats func() local.Stats // for the metrics
	Writable func() error       // nil while the log takes appends
	Relay    func() Relay       // of a ledger on EventStoreDB; nil without one
}

func (c *Config) validate() error {
	var errs []error
	for _, need := range []struct {
		field string
		given bool
	}{
		{"Log", c.Log != nil}, {"Dispatcher", c.Dispatcher != nil}, {"Views", c.Views != nil}, {"Factories", len(c.Factories) > 0},
		{"Features", c.Features != nil}, {"Recommend", c.Recommend != nil}, {"Blobs", c.Blobs != nil}, {"ScratchDir", c.ScratchDir != ""},
	} {
		if !need.given {
			errs = append(errs, fault.Field(need.field, "is needed"))
		}
	}
	have := map[string]bool{}
	for _, f := range c.Factories {
		have[f().Spec().Name] = true
	}
	for _, name := range viewsNeeded {
		if len(have) > 0 && !have[name] {
			errs = append(errs, fault.Field("Factories", "the view %s is missing", name))
		}
	}
	return errors.Join(errs...)
}

// viewsNeeded are the views that answers are read from.
var viewsNeeded = []string{"audit", "catalogue", "datasets", "deadletters", "definitions", "deployments", "health", "histories", "imports",
	"lineage", "online", "quarantine", "registry", "runs", "served", "workflows"}

// Server is the HTTP surface.
type Server struct {
	Config
	mux        *http.ServeMux
	metrics    *metrics
	selections selections
	crossSite  *http.CrossOriginProtection
	tokenSum   [sha256.Size]byte
	operations chan struct{} // a token for each operation under way

	snapshotting sync.Mutex
	given        struct {
		sync.Mutex
		cut streams.Cut // behind the last recommendations that were answered
	}

	draining atomic.Bool
	follow   context.Context // of streams without an end: until Drain
	drain    context.CancelFunc
	work     context.Context // of everything else: until Close
	close    context.CancelFunc
}

var _ http.Handler = (*Server)(nil)

// New makes the surface. The error names what the configuration lacks.
func New(c Config) (*Server, error) {
	if err := c.validate(); err != nil {
		return nil, err
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	s := &Server{Config: c, mux: http.NewServeMux(), crossSite: http.NewCrossOriginProtection(),
		tokenSum: sha256.Sum256([]byte(c.Token)), operations: make(chan struct{}, operationsMax)}
	s.given.cut = streams.Cut{}
	s.follow, s.drain = context.WithCancel(context.Background())
	s.work, s.close = context.WithCancel(context.Background())
	s.metrics = newMetrics(s)
	s.routes()
	return s, nil
}

func (s *Server) routes() {
	s.mux.HandleFunc("/", s.handler(s.unmatched))
	for _, add := range []func(){
		s.auditRoutes, s.blobRoutes, s.datasetRoutes, s.deadLetterRoutes, s.deploymentRoutes, s.driftRoutes, s.experimentRoutes, s.featureRoutes,
		s.healthRoutes, s.importRoutes, s.interactionRoutes, s.lineageRoutes, s.logRoutes, s.metricRoutes, s.modelRoutes,
		s.movieRoutes, s.operationRoutes, s.quarantineRoutes, s.reactorRoutes, s.recommendationRoutes, s.runRoutes, s.snapshotRoutes, s.viewRoutes,
		s.workflowRoutes,
	} {
		add()
	}
}

// Drain makes /readyz say no, ends streams that follow the log, and refuses new long ones. Requests
// under way go on.
func (s *Server) Drain() {
	s.draining.Store(true)
	s.drain()
}

// Close drains, and cancels the operations under way. It may be called again.
func (s *Server) Close() error {
	s.Drain()
	s.close()
	return nil
}

// route adds an endpoint that answers from the named views: after=POSITION in its query waits for them.
func (s *Server) route(pattern string, h handle, views ...string) {
	s.mux.HandleFunc(pattern, s.handler(func(w http.ResponseWriter, r *http.Request) error {
		if len(views) > 0 {
			if err := s.awaitQuery(r, views); err != nil {
				return err
			}
		}
		return h(w, r)
	}))
}
