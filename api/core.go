package api

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/projectionist/projectionist/handlers"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

// Config is what a [Core] is made of. Log, Dispatcher and Views are needed.
type Config struct {
	Log        streams.Log
	Dispatcher *handlers.Dispatcher
	Views      *fold.Runner     // runs
	Now        func() time.Time // default time.Now
	Logger     *slog.Logger     // default slog.Default
	// Token and Users are the credentials wanted of every request but those that ask whether the program lives: a
	// bearer token, and passwords by user. Without any of them none are wanted, and [UserDefault] is right.
	Token string
	Users map[string]string
	// TokenKey is what tokens of users are signed with ([Core.Sign]); default one that ends with the process.
	TokenKey func() ([]byte, error)
	// Hosts are the names, in lower case, under which the program may be asked without credentials, beside
	// localhost and the addresses of this machine itself.
	Hosts []string
	// Factories are of the views that can be had as they were, in folders of ScratchDir, which the program has to itself
	// and which is emptied at its start; without them there is no past.
	Factories  []fold.Factory
	ScratchDir string
}

// Core is what all surfaces share: what they answer from, the long work under way, and the metrics. Every
// surface embeds one.
type Core struct {
	Config
	*common
	then *moment // that Log and Views are of; nil: now
}

// common is what cores of one program share.
type common struct {
	past        *Past // nil: there is none
	metrics     *metrics
	latencies   *latencies
	credentials credentials
	operations  chan struct{} // a token for each operation under way
	ongoing     ongoings
	given       struct {
		sync.Mutex
		cut streams.Cut // behind the last rankings that were recorded
	}

	promised atomic.Int64 // behind the last commit that was acknowledged before the views had it

	draining atomic.Bool
	follow   context.Context // of streams without an end: until Drain
	drain    context.CancelFunc
	work     context.Context // of everything else: until Close
	close    context.CancelFunc
}

// New makes a core. The error names what the configuration lacks.
func New(c Config) (*Core, error) {
	var errs []error
	for _, need := range []struct {
		field string
		given bool
	}{{"Log", c.Log != nil}, {"Dispatcher", c.Dispatcher != nil}, {"Views", c.Views != nil}} {
		if !need.given {
			errs = append(errs, fault.Field(need.field, "is needed"))
		}
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.TokenKey == nil {
		key := make([]byte, 32)
		rand.Read(key) // never fails
		c.TokenKey = func() ([]byte, error) { return key, nil }
	}
	core := &Core{Config: c, common: &common{metrics: newMetrics(), latencies: newLatencies(c.Now()), credentials: newCredentials(c.Token, c.Users), operations: make(chan struct{}, operationsMax)}}
	if len(c.Factories) > 0 && c.ScratchDir != "" {
		core.past = newPast(c.Log, c.Factories, c.ScratchDir, c.Logger)
	}
	core.given.cut = streams.Cut{}
	core.follow, core.drain = context.WithCancel(context.Background())
	core.work, core.close = context.WithCancel(context.Background())
	return core, nil
}

// Metrics is the registry that surfaces add theirs to.
func (c *Core) Metrics() *prometheus.Registry { return c.metrics.registry }

// InFlight is the number of requests under way.
func (c *Core) InFlight() int64 { return c.metrics.inFlight.Load() }

// Work is the context of requests under way: it ends at [Core.Close].
func (c *Core) Work() context.Context { return c.work }

// Follow is the context of answers without an end: it ends at [Core.Drain].
func (c *Core) Follow() context.Context { return c.follow }

// Draining says whether the program is about to end.
func (c *Core) Draining() bool { return c.draining.Load() }

// Drain ends answers that follow the log, and refuses new long ones. Requests under way go on.
func (c *Core) Drain() {
	c.draining.Store(true)
	c.drain()
}

// Close drains, cancels the operations under way, waits a while for those that nobody follows, and lets go of the past. It may be called again.
func (c *Core) Close() error {
	c.Drain()
	c.close()
	for _, o := range c.ongoing.shut(ongoingEndMax) {
		c.Logger.Warn("an operation does not end with the program: the next start on this folder says that it was interrupted", "operation", o.ID, "kind", o.Kind)
	}
	if c.past != nil {
		c.past.shut()
	}
	return nil
}

// Past is views as they were; nil where there are none to be had.
func (c *Core) Past() *Past { return c.past }
