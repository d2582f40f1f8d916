package react

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers/workflow"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/streams"
)

// byOperator are the roles that do what operators are, each one of them.
func byOperator(operators workflow.Operators, roles []Role) (map[string]*Role, error) {
	var errs []error
	by := map[string]*Role{}
	for i := range roles {
		for _, name := range slices.Sorted(maps.Keys(roles[i].Tasks)) {
			switch {
			case operators[name] == nil:
				errs = append(errs, fault.Field("roles", "%q does tasks of %q, which is not among the operators", roles[i].Name, name))
			case by[name] != nil:
				errs = append(errs, fault.Field("roles", "%q and %q both do tasks of operator %q", by[name].Name, roles[i].Name, name))
			}
			by[name] = &roles[i]
		}
	}
	for _, name := range operators.Names() {
		if by[name] == nil {
			errs = append(errs, fault.Field("Operators", "%q is done by no role", name))
		}
	}
	return by, errors.Join(errs...)
}

// definitions are those of one workflow, oldest first, and whether its runs are held back.
type definitions struct {
	all    []definition
	paused bool
	from   time.Time // slots of its schedule after this are still to be asked for
	next   nextSlot
	asking bool  // for slots, just now
	seen   int64 // offset of the last commit that was taken in; -1 for none

	triggered map[string]*asked // by trigger
}

// asked is what a trigger has asked for so far.
type asked struct {
	run      string      // the last
	cut      string      // up to which it is for events
	requests []time.Time // of the last runs, oldest first
}

// askedFor takes in a run that a trigger has asked for.
func (d *definitions) askedFor(t *events.Triggered, run string, at time.Time) {
	if d.triggered == nil {
		d.triggered = map[string]*asked{}
	}
	a := d.triggered[t.Trigger]
	if a == nil {
		a = &asked{}
		d.triggered[t.Trigger] = a
	}
	if a.run == run {
		return
	}
	a.run, a.cut = run, t.Cut
	if a.requests = append(a.requests, at); len(a.requests) > projections.TriggeredKept {
		a.requests = a.requests[1:]
	}
}

// since is the place of the trigger of a definition in force: of the commit that first had it, without a break, with the same event.
func (d *definitions) since(t *workflow.Trigger) (first definition) {
	for i := len(d.all) - 1; i >= 0; i-- {
		one := d.all[i]
		if one.Definition == nil {
			break
		}
		if was := one.Trigger(t.Name); was == nil || was.Event != t.Event {
			break
		}
		first = one
	}
	return first
}

// definition is one, with the offset of the commit that put it in force; nil where the workflow was deleted.
type definition struct {
	since    int64
	recorded time.Time // when the log took it
	*workflow.Definition
	err error // why it cannot be read by this program, which may lack an operator
}

// at is the one in force at an offset of the ledger: of a run from before there were any, the first.
func (d *definitions) at(offset int64) (*workflow.Definition, error) {
	if len(d.all) == 0 {
		return nil, nil
	}
	at := d.all[0]
	for _, one := range d.all {
		if one.since < offset {
			at = one
		}
	}
	return at.Definition, at.err
}

func (d *definitions) evolve(ev *events.Event, c *streams.Committed, operators workflow.Operators) {
	switch e := ev.Data.(type) {
	case *events.WorkflowDefined:
		parsed, err := workflow.Parse([]byte(e.Source), operators)
		d.all = append(d.all, definition{c.Position.Offset, c.Recorded, parsed, err})
		d.later(ev.Time)
	case *events.SlotsMissed:
		d.later(time.UnixMilli(e.ThroughMillis))
	case *events.WorkflowPaused:
		d.paused = true
	case *events.WorkflowUnpaused:
		d.paused = false
		d.later(ev.Time)
	case *events.WorkflowDeleted: // what is asked for from here on has none
		d.paused = false
		d.all = append(d.all, definition{since: c.Position.Offset, recorded: c.Recorded})
	}
}

// nextSlot is the first slot of a definition's schedule after a moment.
type nextSlot struct {
	of   *workflow.Definition
	from time.Time
	slot time.Time // zero for none
}

// nextSlot is the first slot that is still to be asked for, of the definition in force, which has a schedule.
func (d *definitions) nextSlot() time.Time {
	if newest := d.newest(); d.next.of != newest || d.next.from != d.from {
		d.next = nextSlot{newest, d.from, newest.Schedule.Next(d.from)}
	}
	return d.next.slot
}

// later has slots up to a moment asked for no more.
func (d *definitions) later(than time.Time) {
	if than.After(d.from) {
		d.from = than
	}
}

// readDefinitions reads those of a workflow from its stream.
func (s *runs) readDefinitions(ctx context.Context, name string) (*definitions, error) {
	d := &definitions{seen: -1}
	for c, err := range s.cfg.Ledger.ReadStream(ctx, "workflow/"+name, 0) {
		if err != nil {
			return nil, err
		}
		for i := range c.Events {
			d.evolve(&c.Events[i], c, s.cfg.Operators)
		}
		d.seen = c.Position.Offset
	}
	if s.cfg.LastScheduled != nil {
		slot, err := s.cfg.LastScheduled(ctx, name)
		if err != nil {
			return nil, err
		}
		d.later(slot)
	}
	if s.cfg.Triggered != nil {
		runs, err := s.cfg.Triggered(ctx, name)
		if err != nil {
			return nil, err
		}
		for trigger, r := range runs {
			a := &asked{run: r.RunID, cut: r.Cut}
			for _, millis := range r.Millis {
				a.requests = append(a.requests, time.UnixMilli(millis))
			}
			if d.triggered == nil {
				d.triggered = map[string]*asked{}
			}
			d.triggered[trigger] = a
		}
	}
	return d, nil
}
