package react

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/google/uuid"
	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/handlers"
	"github.com/projectionist/projectionist/handlers/workflow"
	"github.com/projectionist/projectionist/internal/blob"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/internal/secret"
	"github.com/projectionist/projectionist/internal/tasklog"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/streams"
)

// Dispatcher takes commands; *handlers.Dispatcher is one.
type Dispatcher interface {
	Dispatch(ctx context.Context, c commands.Command, m handlers.Meta) (handlers.Result, error)
}

var _ Dispatcher = (*handlers.Dispatcher)(nil)

// Config is what reactors work with. Dispatcher, Ledger, Blobs and Dir are needed; the rest has defaults.
type Config struct {
	Dispatcher Dispatcher
	Ledger     streams.Ledger
	Blobs      *blob.Store
	Dir        string             // the program's data folder: cursors in reactors/
	Operators  workflow.Operators // all there are: each is done by one of the roles
	Secrets    *secret.Store      // those that definitions name; default those of the environment
	TaskLogs   *tasklog.Folder    // logs of tries that are worked on; default tasklogs/ in Dir

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
	CrashesMax      int           // default 20, workers gone in a row without a new checkpoint

	// Prepare sees to it that the workflows are defined that the program comes with, before runs are looked at; nil: nothing
	// is to be done.
	Prepare func(context.Context) error
	// Active finds the runs that had not ended when it is called, and may give others; nil: they are found in the ledger.
	Active func(context.Context) (runIDs []string, err error)
	// Defined are the workflows that are defined, and LastScheduled is the slot of a workflow's last scheduled run, the zero
	// time without any; nil with Active alone.
	Defined       func(context.Context) (names []string, err error)
	LastScheduled func(ctx context.Context, name string) (time.Time, error)
	// Triggered is what the triggers of a workflow have asked for so far; nil with Active alone.
	Triggered func(ctx context.Context, name string) (map[string]projections.TriggeredRuns, error)
	// Pools are those that are defined, with their slots; nil with Active alone.
	Pools func(context.Context) (map[string]int, error)
	// Backfills are those that go on; nil with Active alone.
	Backfills func(context.Context) (ids []string, err error)
	// Feed has the facts that triggers look at; nil: none are looked at.
	Feed streams.Feed

	// Variable reads a variable that a task's arguments name, as it is now; nil: there are none.
	Variable func(key string) (value string, ok bool, err error)

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
	for name, missing := range map[string]bool{"Dispatcher": c.Dispatcher == nil, "Ledger": c.Ledger == nil,
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
	orDuration(&c.Lease, leaseDefault)
	orDuration(&c.Heartbeat, c.Lease/heartbeatsPerLease)
	orDuration(&c.CheckpointEvery, checkpointDefault)
	orDuration(&c.Poll, pollDefault)
	orDuration(&c.HandlerBackoff, handlerBackoffDefault)
	orDuration(&c.CloseTimeout, closeDefault)
	orInt(&c.CrashesMax, crashesDefault)
	orInt(&c.HandlerRetries, handlerRetriesDefault)
	if c.Lease < time.Millisecond || c.Heartbeat <= 0 || c.Heartbeat >= c.Lease {
		errs = append(errs, fault.Field("Heartbeat", "is %v with a lease of %v; want less than the lease, usually a third", c.Heartbeat, c.Lease))
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
	if c.Secrets == nil {
		c.Secrets = &secret.Store{}
	}
	if c.TaskLogs == nil && c.Dir != "" {
		var err error
		if c.TaskLogs, err = tasklog.Open(filepath.Join(c.Dir, "tasklogs")); err == nil {
			c.TaskLogs.Mask = c.Secrets.Mask
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
