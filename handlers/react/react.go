package react

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
)

// reactor is a role at work.
type reactor struct {
	name   string
	wants  func(*events.Event) bool
	handle func(context.Context, *events.Event) error
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
	runs     *runs
}

// New makes a reactor of each role; [Reactors.Run] starts them. Errors: fault.Invalid for the configuration
// and the roles, and those of the folder and the ledger.
func New(cfg Config, roles ...Role) (*Reactors, error) {
	if err := errors.Join(cfg.setDefaults(), checkRoles(roles), workflows(cfg.Workflows).check(roles)); err != nil {
		return nil, err
	}
	r := &Reactors{cfg: cfg, log: cfg.Logger, counters: map[string]*counters{}}
	r.runs = &runs{cfg: &r.cfg, log: r.log, workflows: cfg.Workflows, tasks: map[*Work]*Task{}}
	for _, role := range roles {
		r.reactors = append(r.reactors, r.of(role))
	}
	return r, r.route()
}

// of puts a role to work: on the events it wants, and on the tasks that events make due.
func (r *Reactors) of(role Role) *reactor {
	wants := func(ev *events.Event) bool { return role.Wants != nil && role.Wants(ev) }
	due := func(ev *events.Event) (runID string, task *WorkflowTask) {
		if runID, task = r.runs.workflows.due(ev); task == nil || task.Reactor != role.Name {
			return "", nil
		}
		return runID, task
	}
	return &reactor{
		name: role.Name,
		wants: func(ev *events.Event) bool {
			_, task := due(ev)
			return task != nil || wants(ev)
		},
		handle: func(ctx context.Context, ev *events.Event) error {
			if wants(ev) {
				err := role.Handle(ctx, &Reaction{dispatcher: r.cfg.Dispatcher, role: role.Name, cause: ev, correlation: ev.Correlation})
				if err != nil {
					return err
				}
			}
			if runID, task := due(ev); task != nil {
				return r.runs.perform(ctx, &role, task, runID, ev)
			}
			return nil
		},
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
