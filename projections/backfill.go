package projections

import (
	"time"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers/workflow"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections/fold"
)

// Backfills are part of the view [Workflows].

// Backfill is one, with what it has come to: running, done or cancelled.
type Backfill struct {
	events.BackfillRequested
	Actor           string `json:"actor,omitempty"` // who asked for it
	State           string `json:"state"`
	Paused          bool   `json:"paused,omitempty"`
	Reason          string `json:"reason,omitempty"`
	RequestedMillis int64  `json:"requested_millis"`
	RequestedOffset int64  `json:"requested_offset"` // of the ledger: it goes by the schedule in force there
	EndedMillis     int64  `json:"ended_millis,omitempty"`
	EndedBy         string `json:"ended_by,omitempty"`
	fold.Stamp
}

var backfillDocs = fold.Documents[Backfill]{
	Table: 'B',
	ID: func(in *fold.Input) (string, bool) {
		switch x := in.Event.Data.(type) {
		case *events.BackfillRequested:
			return x.BackfillID, true
		case *events.BackfillPaused:
			return x.BackfillID, true
		case *events.BackfillUnpaused:
			return x.BackfillID, true
		case *events.BackfillEnded:
			return x.BackfillID, true
		}
		return "", false
	},
	Fold: func(b *Backfill, in *fold.Input) {
		switch x := in.Event.Data.(type) {
		case *events.BackfillRequested:
			b.BackfillRequested, b.Actor, b.State = *x, in.Event.Actor, StateRunning
			b.RequestedMillis, b.RequestedOffset = in.Event.Time.UnixMilli(), in.Position.Offset
		case *events.BackfillPaused:
			b.BackfillID, b.Paused = x.BackfillID, true
		case *events.BackfillUnpaused:
			b.BackfillID, b.Paused = x.BackfillID, false
		case *events.BackfillEnded:
			b.BackfillID, b.State, b.Reason, b.EndedMillis, b.EndedBy = x.BackfillID, x.State, x.Reason, in.Event.Time.UnixMilli(), in.Event.Actor
		}
	},
	Index: func(b *Backfill) []fold.Key {
		return []fold.Key{fold.Table('b').Millis(b.RequestedMillis).Str(b.BackfillID), fold.Table('o').U64(uint64(b.RequestedOffset)).Str(b.BackfillID),
			fold.Table('y').Str(b.Workflow).U64(uint64(b.RequestedOffset)).Str(b.BackfillID)}
	},
	Stamp: func(b *Backfill) *fold.Stamp { return &b.Stamp },
}

// Backfill reads one.
func (v *Workflows) Backfill(id string) (Backfill, bool, error) { return backfillDocs.Get(v.r, id) }

// Backfills pages through all, newest first.
func (v *Workflows) Backfills(q fold.PageQuery) (fold.Page[Backfill], error) {
	return backfillDocs.Paginate(v.r, fold.Table('b'), true, q, nil)
}

// BackfillAt reads the one whose request is at an offset of the ledger.
func (v *Workflows) BackfillAt(offset int64) (Backfill, bool, error) {
	return backfillDocs.First(v.r, fold.Table('o').U64(uint64(offset)))
}

// BackfillsOf are those of a workflow, oldest first.
func (v *Workflows) BackfillsOf(workflow string) ([]Backfill, error) {
	all := []Backfill{}
	for q := (fold.PageQuery{}); ; {
		p, err := backfillDocs.Paginate(v.r, fold.Table('y').Str(workflow), false, q, nil)
		if err != nil {
			return nil, err
		}
		if all, q.Cursor = append(all, p.Items...), p.Next; q.Cursor == "" {
			return all, nil
		}
	}
}

// OpenBackfills are the ids of those that go on.
func (v *Workflows) OpenBackfills() (ids []string, err error) {
	for b, err := range backfillDocs.All(v.r) {
		if err != nil {
			return nil, err
		}
		if b.State == StateRunning {
			ids = append(ids, b.BackfillID)
		}
	}
	return ids, nil
}

// SlotRun is a slot of a schedule with what has become of its run.
type SlotRun struct {
	RunID       string `json:"run_id"`
	StartMillis int64  `json:"interval_start_millis"`
	EndMillis   int64  `json:"interval_end_millis"`
	State       string `json:"state"` // "" without a run
}

// Asks says whether a backfill asks for something of the slot: its run, or that it is done again.
func (s *SlotRun) Asks(rerunFailed, rerunDone bool) bool {
	return s.State == "" || s.State == StateFailed && (rerunFailed || rerunDone) || s.State == StateSuccess && rerunDone
}

// Slots are those of a workflow's schedule, over by now, whose intervals begin in a time, with their runs. more says, instead, that they are more than
// so many.
func (w *DefinedWorkflows) Slots(k *KnownWorkflow, fromMillis, toMillis int64, now time.Time, most int) (all []SlotRun, more bool, err error) {
	if k.Err != nil {
		return nil, false, k.Err
	}
	schedule := k.Definition.Schedule
	if schedule == nil {
		return nil, false, fault.New(fault.Invalid, "workflow %s has no schedule, whose intervals could be made up for", k.Name)
	}
	slots, more := schedule.Beginning(time.UnixMilli(fromMillis), time.UnixMilli(toMillis), now, most)
	if more {
		return nil, true, nil
	}
	all = make([]SlotRun, len(slots))
	for i, slot := range slots {
		start, _ := schedule.Interval(slot)
		all[i] = SlotRun{RunID: workflow.ScheduledRunID(k.Name, slot), StartMillis: start.UnixMilli(), EndMillis: slot.UnixMilli()}
		run, ok, err := fold.Of[*Workflows](w.Views).Run(all[i].RunID)
		if err != nil {
			return nil, false, err
		}
		if ok {
			all[i].State = run.State
		}
	}
	return all, false, nil
}
