package react

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers"
	"github.com/projectionist/projectionist/handlers/workflow"
	"github.com/projectionist/projectionist/internal/fault"
)

// Runs of schedules. A slot's run has an id that derives from the slot, so that no slot has two, however often it is asked
// for, and by whichever node. What was asked for last follows from the runs that there are.

// catchUpAtOnce is how many missed slots are asked for before the engine looks at other things.
const catchUpAtOnce = 100

// asksAtOnce is how many workflows' slots are asked for at the same time.
const asksAtOnce = 256

// idlest is how long the engine waits at most before it looks for slots again: a machine may have slept.
const idlest = time.Minute

// alarm rings once at the earliest of the moments it is set to.
type alarm struct {
	*time.Timer
	at time.Time // zero while it is set to none
}

func (a *alarm) in(d time.Duration) {
	if at := time.Now().Add(d); a.at.IsZero() || at.Before(a.at) {
		a.at = at
		a.Reset(d)
	}
}

// schedule has the runs asked for whose slots have come, beside the engine, and gives how long it is to the next one.
func (e *engine) schedule(ctx context.Context) time.Duration {
	now, wait := e.cfg.Clock(), idlest
	for name, d := range e.definitions {
		newest := d.newest()
		if newest == nil || newest.Schedule == nil || d.paused || d.asking || !e.leads(e.roles[newest.Tasks[0].Operator].Name) {
			continue
		}
		next := d.nextSlot()
		if next.IsZero() {
			continue
		}
		if left := next.Sub(now); left > 0 {
			wait = min(wait, left)
			continue
		}
		d.asking = true
		from := d.from
		e.aside(func() func() { // many have the same slots: their commits are synced together
			e.asking <- struct{}{}
			defer func() { <-e.asking }()
			upTo, err := e.slots(ctx, name, from, newest, now)
			return func() { e.askedUpTo(ctx, name, d, upTo, err) }
		})
	}
	return wait
}

// askedUpTo takes in up to which slot the runs of a workflow were asked for, and why no further.
func (e *engine) askedUpTo(ctx context.Context, name string, d *definitions, slot time.Time, err error) {
	d.asking = false
	d.later(slot)
	if err != nil {
		if ctx.Err() == nil {
			e.log.Error("the run of a schedule could not be asked for; it is tried again", "workflow", name, "error", err)
		}
		e.slot.in(e.cfg.Poll)
		return
	}
	if newest := d.newest(); newest != nil && newest.Schedule != nil {
		if next := d.nextSlot(); !next.IsZero() {
			e.slot.in(max(next.Sub(e.cfg.Clock()), 0))
		}
	}
}

// newest is the definition in force; nil without one that can be used.
func (d *definitions) newest() *workflow.Definition {
	if len(d.all) == 0 {
		return nil
	}
	return d.all[len(d.all)-1].Definition
}

// slots asks for the runs of a workflow's slots after from and up to now: with catchup for all of them, but no more than some at a time, and
// else for the last one. It gives the slot up to which it has.
func (e *engine) slots(ctx context.Context, name string, from time.Time, w *workflow.Definition, now time.Time) (upTo time.Time, err error) {
	if w.Catchup {
		for range catchUpAtOnce {
			slot := w.Schedule.Next(from)
			if slot.IsZero() || slot.After(now) {
				break
			}
			if err := e.ask(ctx, name, w, slot, ""); err != nil {
				return from, err
			}
			from = slot
		}
		return from, nil
	}
	slots, n := w.Schedule.Missed(from, now, events.SlotsMissedMax+1)
	if n == 0 {
		return from, nil
	}
	note, last := "", slots[len(slots)-1]
	if n > 1 {
		if asked, err := e.askedSince(ctx, name, slots); err != nil {
			return from, err
		} else if asked.After(from) { // by another node: the ledger is ahead of what was taken in here
			return e.slots(ctx, name, asked, w, now)
		}
		first := w.Schedule.Next(from)
		if err := e.missed(ctx, name, first, slots[:len(slots)-1], n-1); err != nil {
			return from, err
		}
		note = fmt.Sprintf("nobody was there for %d slots before this one, from %s on: they are left out", n-1, first.Format(time.RFC3339))
	}
	if err := e.ask(ctx, name, w, last, note); err != nil {
		return from, err
	}
	return last, nil
}

// askedSince is the last of some slots that has a run; the zero time for none.
func (e *engine) askedSince(ctx context.Context, name string, slots []time.Time) (time.Time, error) {
	for _, slot := range slices.Backward(slots) {
		f, err := e.fold(ctx, workflow.ScheduledRunID(name, slot))
		if err != nil {
			return time.Time{}, err
		}
		if f.exists {
			return slot, nil
		}
	}
	return time.Time{}, nil
}

// missed says which slots have no run: the first, the last ones, and how many in all.
func (e *engine) missed(ctx context.Context, name string, first time.Time, slots []time.Time, n int) error {
	c := &commands.MissSlots{Workflow: name, Count: n, FromMillis: first.UnixMilli(), ThroughMillis: slots[len(slots)-1].UnixMilli()}
	for _, slot := range slots[max(0, len(slots)-events.SlotsMissedMax):] {
		c.SlotsMillis = append(c.SlotsMillis, slot.UnixMilli())
	}
	e.log.Warn("slots of a schedule were missed; the last one runs", "workflow", name, "missed", n)
	_, err := e.cfg.Dispatcher.Dispatch(ctx, c, handlers.Meta{Actor: "reactor:" + engineName})
	return err
}

func (e *engine) ask(ctx context.Context, name string, w *workflow.Definition, slot time.Time, note string) error {
	start, end := w.Schedule.Interval(slot)
	_, err := e.cfg.Dispatcher.Dispatch(ctx, &commands.RequestWorkflowRun{RunID: workflow.ScheduledRunID(name, slot), Workflow: name, RunType: "scheduled", Note: note,
		LogicalMillis: start.UnixMilli(), IntervalEndMillis: end.UnixMilli()}, handlers.Meta{Actor: "reactor:" + engineName})
	if fault.Is(err, fault.Conflict) { // it was asked for before, or by another
		return nil
	}
	return err
}

// slotOf is the slot of a scheduled run; the zero time of another one.
func slotOf(e *events.WorkflowRunRequested) time.Time {
	if e.RunType != "scheduled" || e.IntervalEndMillis == 0 {
		return time.Time{}
	}
	return time.UnixMilli(e.IntervalEndMillis)
}
