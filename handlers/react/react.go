package react

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

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
	triggers *triggers
}

// New makes a reactor of each role; [Reactors.Run] starts them. Errors: fault.Invalid for the configuration
// and the roles, and those of the folder and the ledger.
func New(cfg Config, roles ...Role) (*Reactors, error) {
	by, err := byOperator(cfg.Operators, roles)
	if err := errors.Join(cfg.setDefaults(), checkRoles(roles), err); err != nil {
		return nil, err
	}
	r := &Reactors{cfg: cfg, log: cfg.Logger, counters: map[string]*counters{}}
	r.runs = &runs{cfg: &r.cfg, log: r.log, roles: by, gate: newGate(cfg.Subscribe != nil), tasks: map[*Work]*Task{}, keeping: make(chan struct{}, keepAtOnce), asking: make(chan struct{}, asksAtOnce)}
	for _, role := range roles {
		r.reactors = append(r.reactors, r.of(role))
		slots := role.Slots
		if slots == 0 {
			slots = slotsDefault
		}
		r.runs.gate.roles[role.Name] = slots
	}
	if err := r.route(); err != nil {
		return nil, err
	}
	r.triggers = newTriggers(r.runs)
	return r, nil
}

// of puts a role to work on the events it wants.
func (r *Reactors) of(role Role) *reactor {
	return &reactor{
		name:  role.Name,
		wants: func(ev *events.Event) bool { return role.Wants != nil && role.Wants(ev) },
		handle: func(ctx context.Context, ev *events.Event) error {
			return role.Handle(ctx, &Reaction{dispatcher: r.cfg.Dispatcher, role: role.Name, cause: ev, correlation: ev.Correlation})
		},
	}
}

// leads says whether this process has the place of a role.
func (r *Reactors) leads(role string) bool {
	for i, s := range r.sources {
		if g, ok := s.(*shared); ok && r.reactors[i].name == role {
			_, here := g.group.Assigned()
			return here
		}
	}
	return true
}

// Rush says whether many tasks of workflows are about to begin here: what can wait, may wait until they have, for a moment.
func (r *Reactors) Rush() bool { return r.runs.gate.rush(len(r.runs.asking)) }

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
	worked := make(chan struct{})
	go func() {
		defer close(worked)
		(&engine{runs: r.runs, leads: r.leads, triggers: r.triggers}).run(ctx)
	}()
	err := r.router.Run(ctx)
	stop()
	reading.Wait()
	select {
	case <-worked:
	case <-time.After(r.cfg.CloseTimeout):
		r.log.Warn("a task did not stop in time; its work is seen to at the next start")
	}
	return err
}
