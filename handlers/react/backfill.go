package react

import (
	"context"
	"slices"
	"time"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers/workflow"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/streams"
)

// backfill has a schedule run for what it has not: of each slot the run's id is that which the schedule would have given it, so none has two. How far
// it is follows from the runs; after a start it looks at each slot again.
type backfill struct {
	*events.BackfillRequested
	event  *events.Event // its request
	offset int64         // of that
	slots  []time.Time   // nil until the definition is known
	next   int           // the first slot that was not looked at
	active map[string]bool
	paused bool
}

// fillAtOnce is how many slots are looked at before the engine looks at other things.
const fillAtOnce = 100

func (e *engine) openBackfills(ctx context.Context) error {
	ids, err := e.cfg.Backfills(ctx)
	if err != nil {
		return err
	}
	for _, id := range ids {
		for c, err := range e.cfg.Ledger.ReadStream(ctx, "backfill/"+id, 0) {
			if err != nil {
				return err
			}
			e.takeBackfill(c)
		}
	}
	return nil
}

func (e *engine) takeBackfill(c *streams.Committed) {
	for i := range c.Events {
		switch ev := c.Events[i].Data.(type) {
		case *events.BackfillRequested:
			if e.backfills[ev.BackfillID] == nil {
				e.backfills[ev.BackfillID] = &backfill{BackfillRequested: ev, event: &c.Events[i], offset: c.Position.Offset, active: map[string]bool{}}
			}
		case *events.BackfillPaused:
			if b := e.backfills[ev.BackfillID]; b != nil {
				b.paused = true
			}
		case *events.BackfillUnpaused:
			if b := e.backfills[ev.BackfillID]; b != nil {
				b.paused = false
			}
		case *events.BackfillEnded:
			delete(e.backfills, ev.BackfillID)
		}
	}
}

// fill goes on with the backfills, and gives how long it is until it should again.
func (e *engine) fill(ctx context.Context) time.Duration {
	wait := idlest
	for _, b := range e.backfills {
		again, err := e.fillOne(ctx, b)
		if err != nil && ctx.Err() == nil {
			e.log.Error("a backfill could not go on; it is tried again", "backfill", b.BackfillID, "workflow", b.Workflow, "error", err)
			again = e.cfg.Poll
		}
		wait = min(wait, again)
	}
	return wait
}

func (e *engine) fillOne(ctx context.Context, b *backfill) (again time.Duration, err error) {
	known := e.definitions[b.Workflow]
	if known == nil {
		return idlest, nil
	}
	d, err := known.at(b.offset)
	if err != nil || d == nil || d.Schedule == nil {
		return idlest, err
	}
	if !e.leads(e.roles[d.Tasks[0].Operator].Name) {
		return e.cfg.Poll, nil
	}
	if b.slots == nil {
		b.slots, _ = d.Schedule.Beginning(time.UnixMilli(b.FromMillis), time.UnixMilli(b.ToMillis), e.cfg.Clock(), commands.BackfillSlotsMax)
		if b.LatestFirst {
			slices.Reverse(b.slots)
		}
	}
	for id := range b.active {
		if e.live[id] != nil {
			continue
		}
		run, err := e.fold(ctx, id) // it has ended, or is not taken in yet
		if err != nil {
			return 0, err
		}
		if run.ended {
			delete(b.active, id)
		}
	}
	for range fillAtOnce {
		switch {
		case b.next == len(b.slots) && len(b.active) == 0:
			a := e.reaction(b)
			if err := a.Ensure(ctx, "end", &commands.EndBackfill{BackfillID: b.BackfillID, State: "done"}); err != nil {
				return 0, err
			}
			delete(e.backfills, b.BackfillID)
			return idlest, nil
		case b.next == len(b.slots) || len(b.active) >= b.MaxActive || b.paused:
			return idlest, nil // until a run has ended, or it goes on
		}
		if err := e.fillSlot(ctx, b, d, b.slots[b.next]); err != nil {
			return 0, err
		}
		b.next++
	}
	return 0, nil
}

func (e *engine) reaction(b *backfill) *Reaction {
	return &Reaction{dispatcher: e.cfg.Dispatcher, role: engineName, cause: b.event, correlation: b.BackfillID}
}

// fillSlot asks for the run of a slot, or has that which failed done again.
func (e *engine) fillSlot(ctx context.Context, b *backfill, d *workflow.Definition, slot time.Time) error {
	id := workflow.ScheduledRunID(b.Workflow, slot)
	run, err := e.fold(ctx, id)
	if err != nil {
		return err
	}
	a := e.reaction(b)
	switch {
	case run.exists && !run.ended:
		b.active[id] = true
	case !run.exists:
		start, _ := d.Schedule.Interval(slot)
		err := a.Ensure(ctx, "run/"+id, &commands.RequestWorkflowRun{RunID: id, Workflow: b.Workflow, RunType: "backfill", Conf: b.Conf, Note: "backfill " + b.BackfillID,
			LogicalMillis: start.UnixMilli(), IntervalEndMillis: slot.UnixMilli()})
		if err != nil {
			return err
		}
		b.active[id] = true
	case run.endState == "failed" && (b.RerunFailed || b.RerunDone) || run.endState == "success" && b.RerunDone:
		return e.fillAgain(ctx, a, b, run)
	}
	return nil
}

// fillAgain has the failed tasks of a run done again, and what needs them, or all of one that ended well; once.
func (e *engine) fillAgain(ctx context.Context, a *Reaction, b *backfill, run *runFold) error {
	d, err := e.definitions[b.Workflow].at(run.requested)
	if err != nil || d == nil {
		return err
	}
	run.conf = d.Defaults(run.conf)
	var again []string
	for name, state := range d.States(run.asRun()) {
		if run.endState == "success" || state == workflow.Failed || state == workflow.UpstreamFailed {
			again = append(again, name)
		}
	}
	if len(again) == 0 {
		return nil
	}
	res, err := a.Dispatch(ctx, "again/"+run.id, &commands.ClearTasks{RunID: run.id, Tasks: d.Downstream(again...), Note: "backfill " + b.BackfillID})
	if fault.Is(err, fault.Conflict) { // it was done before, and has ended again
		return nil
	}
	if err == nil && !res.Duplicate {
		b.active[run.id] = true
	}
	return err
}
