// Package v1 is the program's own HTTP surface, under /api/v1, with the baseline at / and what supervisors ask:
// every question is answered from a view or from the log, every change is a command or a fact handed to
// the dispatcher. A file is a noun, with its routes at the top; limits.go has the limits.
//
// The package may not fold, decide or score anything itself, and keeps no state but counters.
package v1

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers/ingest"
	"github.com/projectionist/projectionist/handlers/react"
	"github.com/projectionist/projectionist/internal/blob"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/internal/tasklog"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/featurestore"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/projections/recommend"
	"github.com/projectionist/projectionist/projections/snapshot"
	"github.com/projectionist/projectionist/streams"
)

// Reactors is what the surface asks of the reactors of this process; *react.Reactors is one.
type Reactors interface {
	Retry(ctx context.Context, deadLetterID, actor string) error
	Drop(ctx context.Context, deadLetterID, actor, reason string) error
	Progress() []react.Task
	Triggers() []react.TriggerStat
	Stats(context.Context) []react.Stat
}

// Config is what a [Surface] answers from. Factories, Features, Recommend, Blobs and ScratchDir are needed;
// without one of the others, what needs it is refused as unavailable, or there is none of it.
type Config struct {
	Factories []fold.Factory // of all views
	Features  *featurestore.Store
	Recommend *recommend.Service
	Blobs     *blob.Store
	Importer  *ingest.Importer
	Reactors  Reactors
	Workflows *projections.DefinedWorkflows
	// Groups are the offsets of all consumer groups by name; nil where the log is on a cluster, whose own tools have them.
	Groups func() (map[string][]api.GroupOffset, error)
	// LogBytes is about how many bytes a partition's records take on the disk; nil where the log is on a cluster.
	LogBytes func(streams.TP) (int64, error)
	// TaskLog gives the lines of the log of a task's try, and a line without bytes when what was given may be shown.
	TaskLog func(ctx context.Context, views *fold.Runner, q tasklog.Query, to func(line []byte) error) error

	Dir        string // the data folder; "" is none
	ScratchDir string // for replays; made when missing
	Version    string
	Holder     string // names this process in operations, as in leases of tasks; default "here"
	Console    string // where browsers that ask for / are sent, "" for nowhere

	// Backup copies the running log and the blobs into a new folder, compares the copy with them, and says what it holds.
	Backup func(ctx context.Context, dir string, progress func(stage string, done, total int64)) (any, error)
	// Freed says how many blobs, of how many bytes, nothing would name if the runs and logged models of these streams were
	// purged; Sweep removes what nothing names. nil where no blobs are kept.
	Freed func(ctx context.Context, streams []string) (blobs int, bytes int64, err error)
	Sweep func(ctx context.Context) (blobs int, bytes int64, err error)
	// Snapshot copies views and index into a folder, for a new node of the same log.
	Snapshot func(dir string) (*snapshot.Manifest, error)
	// Train trains and registers a version for whoever waits, and Import registers one from a file of weights.
	Train  func(ctx context.Context, t Training, out *api.Lines) (any, error)
	Tune   func(ctx context.Context, t Tuning, out *api.Lines) (any, error) // searches parameters, and registers the best
	Import func(ctx context.Context, model string, file []byte, t Training) (any, error)
	// Rebuild trains a version again from the log alone, and gives its weights and their SHA-256.
	Rebuild  func(ctx context.Context, log streams.Log, v *events.ModelVersionRegistered, progress func(stage string, done, of int64)) (weights []byte, sha string, err error)
	Writable func() error         // nil while the log takes appends
	Damaged  func() error         // nil until damage was met in the log's files
	Relay    func() streams.Relay // of a ledger on EventStoreDB; nil without one
}

func (c *Config) validate() error {
	var errs []error
	for _, need := range []struct {
		field string
		given bool
	}{
		{"Factories", len(c.Factories) > 0}, {"Features", c.Features != nil}, {"Recommend", c.Recommend != nil}, {"Blobs", c.Blobs != nil},
		{"ScratchDir", c.ScratchDir != ""}, {"Rebuild", c.Rebuild != nil},
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
var viewsNeeded = []string{"audit", "catalogue", "datasets", "deadletters", "definitions", "deployments", "drift", "health", "histories", "imports",
	"lineage", "online", "operations", "quarantine", "registry", "runs", "served", "users", "workflows"}

// Surface is the program's own.
type Surface struct {
	*api.Core
	Config
	metrics    *metrics
	selections selections
	listeners  chan struct{} // a token for each
	// similarThen has a token for each ranker that is made of a moment, to find similar films.
	similarThen chan struct{}
	readiness   readiness
	offsets     *offsets
	answers     map[string][]string // by view, the paths of what is answered from it

	snapshotting sync.Mutex
	deploying    chan struct{} // has a place for who makes a version serve a slot
	resolving    chan struct{} // has a place for who decides of a record in quarantine
	starting     sync.Mutex    // operations, one after the other

	now *Surface // of which this one answers what was known at a moment; nil: it is that
}

var _ api.Surface = (*Surface)(nil)

// New makes the surface. The error names what the configuration lacks.
func New(core *api.Core, c Config) (*Surface, error) {
	if err := c.validate(); err != nil {
		return nil, err
	}
	c.Holder = cmp.Or(c.Holder, "here")
	s := &Surface{Core: core, Config: c, metrics: newMetrics(core), listeners: make(chan struct{}, listenersMax), similarThen: make(chan struct{}, similarThenMax), deploying: make(chan struct{}, 1), resolving: make(chan struct{}, 1), offsets: &offsets{}}
	return s, nil
}

// ofLedger are views of the ledger of which a moment's are folded together, once for all reads that are answered from some of them: reading the
// ledger is most of it.
var ofLedger = []string{"catalogue", "users", "definitions", "runs", "registry", "workflows", "variables", "datasets", "training_sets", "imports", "deadletters", "operations", "webhooks"}

// then adds a read that is answered from views that tell of now alone. With known_at= it is answered from these as they were, and from a log that
// ends there.
func (s *Surface) then(r *api.Routes, pattern string, answer func(*Surface, http.ResponseWriter, *http.Request) error, views ...string) {
	folded := views
	if !slices.ContainsFunc(views, func(v string) bool { return !slices.Contains(ofLedger, v) }) {
		folded = ofLedger
	}
	r.Handle(pattern, func(w http.ResponseWriter, r *http.Request) error {
		return s.Known(r, folded, func(core *api.Core, r *http.Request) error { return answer(s.over(core), w, r) })
	}, views...)
}

// turn waits for a place, until done is called.
func turn(ctx context.Context, places chan struct{}, at string) (done func(), err error) {
	select {
	case places <- struct{}{}:
		return func() { <-places }, nil
	case <-ctx.Done():
		return nil, fault.Wrap(fault.Unavailable, ctx.Err(), "it did not get its turn at %s", at)
	}
}

// commits are a stream's.
type commits = iter.Seq2[*streams.Committed, error]

// streamOf are the commits of a stream, such as of run and an id that a client gives: of one that cannot be, none.
func (s *Surface) streamOf(ctx context.Context, kind, id string) commits {
	name := kind + "/" + id
	if streams.CheckStream(name) != nil {
		return func(func(*streams.Committed, error) bool) {}
	}
	return s.Log.Ledger().ReadStream(ctx, name, 0)
}

// documentAt reads a document as it is, or folds its stream up to a moment.
func documentAt[T any](m api.Moment, read func(id string) (T, bool, error), then func(commits, fold.At) (T, bool, error), of commits, id string) (T, bool, error) {
	if m.Given() {
		return then(of, m.At)
	}
	return read(id)
}

// today is now, or the moment that this surface answers of.
func (s *Surface) today() time.Time {
	if _, millis := s.Then(); millis != 0 {
		return events.TimeOf(millis)
	}
	return s.Now()
}

// over is the surface over another core. What it has beside views and log is of now.
func (s *Surface) over(core *api.Core) *Surface {
	if core == s.Core {
		return s
	}
	c := s.Config
	if c.Workflows != nil {
		c.Workflows = &projections.DefinedWorkflows{Views: core.Views, Operators: c.Workflows.Operators}
	}
	return &Surface{Core: core, Config: c, metrics: s.metrics, now: s}
}

func (s *Surface) Name() string { return "v1" }

func (s *Surface) Render(w http.ResponseWriter, r *http.Request, p *api.Problem) {
	api.RenderProblem(w, r, p)
}

func (s *Surface) Routes(r *api.Routes) {
	for _, add := range []func(*api.Routes){
		s.auditRoutes, s.blobRoutes, s.datasetRoutes, s.deadLetterRoutes, s.deploymentRoutes, s.driftRoutes, s.experimentRoutes, s.featureRoutes, s.featureValueRoutes, s.featureHistoryRoutes, s.featureStatisticsRoutes, s.findRoutes,
		s.engagementRoutes, s.healthRoutes, s.importRoutes, s.interactionRoutes, s.lineageRoutes, s.liveRoutes, s.logRoutes, s.modelRoutes,
		s.movieRoutes, s.nodeRoutes, s.operationRoutes, s.startedOperationRoutes, s.produceRoutes, s.qualityRoutes, s.quarantineRoutes, s.reactorRoutes, s.recommendationRoutes, s.runRoutes, s.servingRoutes, s.signalRoutes, s.snapshotRoutes, s.trainingSetRoutes, s.userRoutes, s.viewRoutes, s.webhookRoutes,
		s.workflowRoutes, s.variableRoutes, s.triggerRoutes, s.poolRoutes, s.backfillRoutes, s.causationRoutes,
	} {
		add(r)
	}
	s.answers = r.AnsweredFrom()
}
