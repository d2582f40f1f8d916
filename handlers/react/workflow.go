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
	seen   int64     // offset of the last commit that was taken in; -1 for none
}

// definition is one, with the offset of the commit that put it in force; nil where the workflow was deleted.
type definition struct {
	since int64
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

func (d *definitions) evolve(ev *events.Event, offset int64, operators workflow.Operators) {
	switch e := ev.Data.(type) {
	case *events.WorkflowDefined:
		parsed, err := workflow.Parse([]byte(e.Source), operators)
		d.all = append(d.all, definition{offset, parsed, err})
		d.later(ev.Time)
	case *events.WorkflowPaused:
		d.paused = true
	case *events.WorkflowUnpaused:
		d.paused = false
		d.later(ev.Time)
	case *events.WorkflowDeleted: // what is asked for from here on has none
		d.paused = false
		d.all = append(d.all, definition{since: offset})
	}
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
			d.evolve(&c.Events[i], c.Position.Offset, s.cfg.Operators)
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
	return d, nil
}
