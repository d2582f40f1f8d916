package react

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/message/router/middleware"
	"github.com/google/uuid"
	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers"
	"github.com/projectionist/projectionist/handlers/ingest/tmdb"
	"github.com/projectionist/projectionist/internal/blob"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/ml"
	"github.com/projectionist/projectionist/ml/hybrid"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

// Dispatcher takes commands; *handlers.Dispatcher is one.
type Dispatcher interface {
	Dispatch(ctx context.Context, c commands.Command, m handlers.Meta) (handlers.Result, error)
}

var _ Dispatcher = (*handlers.Dispatcher)(nil)

// Config is what reactors work with. Dispatcher, Log, Runner, Blobs and Dir are needed; the rest has
// defaults.
type Config struct {
	Dispatcher Dispatcher
	Log        streams.Log
	Runner     *fold.Runner // runs, with the views catalogue and histories
	Blobs      *blob.Store
	Dir        string // the program's data folder: cursors in reactors/, files for people in data/

	TMDB      tmdb.Config // without a key, fetching films fails and says so
	TMDBPages int         // of each list, unless a run's conf says "pages"; default 5, of 20 films each

	Params *hybrid.Params // of training, unless a run's conf says other; default hybrid.DefaultParams
	MLP    *ml.MLPParams  // of the neural baseline; default ml.DefaultMLPParams

	Clock  func() time.Time // default time.Now; that of the dispatcher
	Holder string           // names this process in leases, never used before; default random
	// Exclusive says that no other living process has this Dir (the embedded log's lock sees to it). Then
	// whoever held a lease from here before is dead, and its work goes on at once.
	Exclusive bool
	Logger    *slog.Logger // default slog.Default

	Lease           time.Duration // default 15 s: how long the work of a process that died stays untouched
	Heartbeat       time.Duration // default a third of Lease: one may fail before it runs out
	CheckpointEvery time.Duration // default 5 s, negative for every chance: what a crash costs
	Poll            time.Duration // default 2 s: how often a task that somebody else has is looked at
	Tries           int           // default 3, of a task that fails
	CrashesMax      int           // default 20, workers gone in a row without a new checkpoint
	RetryBackoff    time.Duration // default 2 s before the second try, then four times as long each

	// Subscribe makes this process one of many that share a reactor's place in the ledger: the member of
	// the reactor's consumer group that is given a record reacts to it, and another goes on when it is
	// gone. nil: this process reads the ledger alone, with cursors in Dir.
	Subscribe func(reactor string) (Group, error)

	HandlerRetries int           // default 4: of an event whose handling fails, before the dead letter
	HandlerBackoff time.Duration // default 200 ms before the first of them, doubling
	CloseTimeout   time.Duration // default 8 s: for the work under way to stop, within what supervisors give a program
}

func (c *Config) setDefaults() error {
	var errs []error
	for name, missing := range map[string]bool{"Dispatcher": c.Dispatcher == nil, "Log": c.Log == nil, "Runner": c.Runner == nil,
		"Blobs": c.Blobs == nil, "Dir": c.Dir == ""} {
		if missing {
			errs = append(errs, fault.Field(name, "is needed"))
		}
	}
	orDuration := func(d *time.Duration, value time.Duration) {
		if *d == 0 {
			*d = value
		}
	}
	orInt := func(n *int, value int) {
		if *n == 0 {
			*n = value
		}
	}
	orDuration(&c.Lease, 15*time.Second)
	orDuration(&c.Heartbeat, c.Lease/3)
	orDuration(&c.CheckpointEvery, 5*time.Second)
	orDuration(&c.Poll, 2*time.Second)
	orDuration(&c.RetryBackoff, 2*time.Second)
	orDuration(&c.HandlerBackoff, 200*time.Millisecond)
	orDuration(&c.CloseTimeout, 8*time.Second)
	orInt(&c.TMDBPages, 5)
	orInt(&c.Tries, 3)
	orInt(&c.CrashesMax, 20)
	orInt(&c.HandlerRetries, 4)
	if c.Lease < time.Millisecond || c.Heartbeat <= 0 || c.Heartbeat >= c.Lease {
		errs = append(errs, fault.Field("Heartbeat", "is %v with a lease of %v; want less than the lease, usually a third", c.Heartbeat, c.Lease))
	}
	if c.Params == nil {
		p := hybrid.DefaultParams()
		c.Params = &p
	}
	if c.MLP == nil {
		p := ml.DefaultMLPParams()
		c.MLP = &p
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	if c.Holder == "" {
		c.Holder = uuid.NewString()
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return errors.Join(errs...)
}

// reactor is one role.
type reactor struct {
	name string
	// wants picks its events by looking at the event alone, and cheaply.
	wants func(*events.Event) bool
	// handle deals with one event; again if it gave an error.
	handle func(context.Context, *events.Event) error
}

// counters of one reactor.
type counters struct {
	handled, failed, deadLettered atomic.Int64
}

// Reactors are all reactors of a process.
type Reactors struct {
	cfg      Config
	log      *slog.Logger
	reactors []*reactor
	counters map[string]*counters
	tail     *tail // nil with Config.Subscribe
	sources  []source
	router   *message.Router
	ran      atomic.Bool
	node     string // begins the names of all holders from this folder

	mu    sync.Mutex
	tasks map[*work]*Task
}

// New makes the reactors; [Reactors.Run] starts them. Errors: fault.Invalid for the configuration, and
// those of the folder and the ledger.
func New(cfg Config) (*Reactors, error) {
	if err := cfg.setDefaults(); err != nil {
		return nil, err
	}
	r := &Reactors{cfg: cfg, log: cfg.Logger, counters: map[string]*counters{}, tasks: map[*work]*Task{}}
	r.reactors = []*reactor{
		r.trigger(),
		r.taskReactor(nameIngester, map[string]workFunc{taskFetch: fetchMovies, taskProcess: processMovies}),
		r.taskReactor(nameFeaturizer, map[string]workFunc{taskPrepare: prepareTrainingData}),
		r.taskReactor(nameTrainer, map[string]workFunc{taskTrain: trainMovieModel}),
		r.taskReactor(nameEvaluator, map[string]workFunc{taskEvaluate: evaluateTrainedModel}),
		r.taskReactor(nameRegistrar, map[string]workFunc{taskRegister: registerModel}),
		r.taskReactor(namePromoter, map[string]workFunc{taskPromote: promoteModel}),
	}
	return r, r.route()
}

// route puts the reactors under watermill's router: each has a handler of its own, so that a long
// training does not hold up the others.
func (r *Reactors) route() error {
	dir := filepath.Join(r.cfg.Dir, "reactors")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fault.Wrap(fault.Unavailable, err, "the folder of the reactors' cursors cannot be made")
	}
	if err := r.settle(filepath.Join(dir, "node")); err != nil {
		return err
	}
	logger := watermill.NewSlogLoggerWithLevelMapping(r.log, map[slog.Level]slog.Level{slog.LevelInfo: slog.LevelDebug})
	var err error
	if r.router, err = message.NewRouter(message.RouterConfig{CloseTimeout: r.cfg.CloseTimeout}, logger); err != nil {
		return err
	}
	poison, err := middleware.PoisonQueueWithFilter(deadLetters{r}, deadLetterTopic, func(err error) bool { return !errors.Is(err, errEnding) })
	if err != nil {
		return err
	}
	retry := middleware.Retry{
		MaxRetries: r.cfg.HandlerRetries, InitialInterval: r.cfg.HandlerBackoff, MaxInterval: 10 * time.Second, Multiplier: 2,
		ShouldRetry: func(p middleware.RetryParams) bool { return !errors.Is(p.Err, errEnding) },
	}
	r.router.AddMiddleware(r.count, poison, ending, retry.Middleware, middleware.Recoverer)
	if r.cfg.Subscribe == nil {
		r.tail = newTail(r.cfg.Log.Ledger(), r.log)
	}
	for _, one := range r.reactors {
		r.counters[one.name] = &counters{}
		s, err := r.source(one, dir)
		if err != nil {
			return err
		}
		r.sources = append(r.sources, s)
		r.router.AddConsumerHandler(one.name, events.LedgerTopic, s, func(msg *message.Message) error {
			attempts, _ := strconv.Atoi(msg.Metadata.Get(metaAttempts))
			msg.Metadata.Set(metaAttempts, strconv.Itoa(attempts+1))
			ev, err := eventOf(msg)
			if err != nil {
				return err
			}
			return one.handle(msg.Context(), ev)
		})
	}
	return nil
}

// source is where a reactor's events come from.
type source interface {
	message.Subscriber
	// stat is the offset of the ledger below which all was dealt with, how many offsets lie above it, and
	// whether this process is the one that deals with them.
	stat(context.Context) (offset, lag int64, here bool)
}

func (r *Reactors) source(one *reactor, dir string) (source, error) {
	if r.cfg.Subscribe == nil {
		return newSubscriber(context.Background(), r.tail, one.name, dir, one.wants, r.cfg.CloseTimeout, r.cfg.HandlerBackoff)
	}
	g, err := r.cfg.Subscribe(one.name)
	if err != nil {
		return nil, err
	}
	return &shared{delivery: delivery{r.log.With("reactor", one.name), r.cfg.CloseTimeout, r.cfg.HandlerBackoff},
		group: g, ledger: r.cfg.Log.Ledger(), wants: one.wants}, nil
}

// settle reads the name of the folder, which is part of the holder's, or gives it one.
func (r *Reactors) settle(path string) error {
	b, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) || err == nil && !nodeName.Match(b) {
		b = []byte(uuid.NewString())
		err = os.WriteFile(path, b, 0o644)
	}
	r.node = string(b) + "/"
	return fault.Wrap(fault.Unavailable, err, "the name of the reactors' folder cannot be kept")
}

var nodeName = regexp.MustCompile(`^[0-9a-f-]{36}$`)

// errEnding marks the error of a handler whose context ended: its event is dealt with at the next start.
var errEnding = errors.New("the reactor ends")

// ending is a middleware that marks errors of handlers that were told to end.
func ending(h message.HandlerFunc) message.HandlerFunc {
	return func(msg *message.Message) ([]*message.Message, error) {
		ctx := msg.Context()
		out, err := h(msg)
		if err != nil && ctx.Err() != nil {
			err = errors.Join(errEnding, context.Canceled, err)
		}
		return out, err
	}
}

// count is a middleware that counts what became of the messages.
func (r *Reactors) count(h message.HandlerFunc) message.HandlerFunc {
	return func(msg *message.Message) ([]*message.Message, error) {
		c := r.counters[message.HandlerNameFromCtx(msg.Context())]
		out, err := h(msg)
		if err != nil {
			c.failed.Add(1)
		} else {
			c.handled.Add(1)
		}
		return out, err
	}
}

func (r *Reactors) reactor(name string) *reactor {
	if i := slices.IndexFunc(r.reactors, func(x *reactor) bool { return x.name == name }); i >= 0 {
		return r.reactors[i]
	}
	return nil
}

// Run reacts until ctx ends, then stops the work under way (it goes on at the next start) and returns
// within Config.CloseTimeout and a little. It can be called once.
func (r *Reactors) Run(ctx context.Context) error {
	if !r.ran.CompareAndSwap(false, true) {
		return fault.New(fault.Internal, "these reactors have run already; make new ones")
	}
	tctx, stop := context.WithCancel(ctx)
	var reading sync.WaitGroup
	if r.tail != nil {
		r.tail.start()
		reading.Go(func() { r.tail.run(tctx) })
	}
	err := r.router.Run(ctx)
	stop()
	reading.Wait()
	return err
}

// Stat is how one reactor fares.
type Stat struct {
	Reactor      string `json:"reactor"`
	Here         bool   `json:"here"`   // false where another node reacts, which then knows the next two
	Offset       int64  `json:"offset"` // of the ledger: everything below was dealt with
	Lag          int64  `json:"lag"`    // offsets of the ledger it has not passed
	Handled      int64  `json:"handled_total"`
	Failed       int64  `json:"failed_total"` // deliveries without success
	DeadLettered int64  `json:"dead_lettered_total"`
}

// Stats are those of all reactors since the start, in a fixed order.
func (r *Reactors) Stats(ctx context.Context) []Stat {
	stats := make([]Stat, len(r.sources))
	for i, s := range r.sources {
		name := r.reactors[i].name
		offset, lag, here := s.stat(ctx)
		c := r.counters[name]
		stats[i] = Stat{name, here, offset, lag, c.handled.Load(), c.failed.Load(), c.deadLettered.Load()}
	}
	return stats
}

// Task is a task that this process works on.
type Task struct {
	WorkflowRun string    `json:"workflow_run"`
	Workflow    string    `json:"workflow"`
	Task        string    `json:"task"`
	Reactor     string    `json:"reactor"`
	Try         int       `json:"try"`
	Started     time.Time `json:"started"`
	Stage       string    `json:"stage,omitempty"` // what it is at, for people
	Done        int64     `json:"done"`            // of Of, in the stage's own unit
	Of          int64     `json:"of"`              // 0 while unknown
}

// Progress is what this process works on now, oldest first.
func (r *Reactors) Progress() []Task {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := make([]Task, 0, len(r.tasks))
	for _, t := range r.tasks {
		now = append(now, *t)
	}
	slices.SortFunc(now, func(a, b Task) int { return a.Started.Compare(b.Started) })
	return now
}

func (r *Reactors) begin(w *work) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tasks[w] = &Task{WorkflowRun: w.run.id, Workflow: w.run.workflow, Task: w.task.Name, Reactor: w.task.Reactor, Try: w.try, Started: r.cfg.Clock()}
}

func (r *Reactors) end(w *work) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.tasks, w)
}

// progress says how far the work is.
func (w *work) progress(stage string, done, of int64) {
	w.r.mu.Lock()
	defer w.r.mu.Unlock()
	if t := w.r.tasks[w]; t != nil {
		t.Stage, t.Done, t.Of = stage, done, of
	}
}
