package projections

import (
	"encoding/json"
	"iter"
	"time"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers/workflow"
	"github.com/projectionist/projectionist/projections/fold"
)

// Definitions of workflows are part of the view [Workflows].

// Workflow is a workflow by name, with its definition in force.
type Workflow struct {
	Name          string `json:"name"`
	Hash          string `json:"hash"`
	Origin        string `json:"origin,omitempty"` // "program" for one that it came with
	Actor         string `json:"actor,omitempty"`  // who put it in force
	DefinedMillis int64  `json:"defined_millis"`
	DefinedOffset int64  `json:"defined_offset"` // of the ledger
	Definitions   int    `json:"definitions"`    // that there have been
	Paused        bool   `json:"paused"`
	// LastSlotMillis is the newest slot that its schedule has asked a run for, or said to have none, in Unix milliseconds; 0 without any.
	LastSlotMillis int64 `json:"last_slot_millis,omitempty"`
	// Missed are the slots that nobody was there for, when that was last so.
	Missed *events.SlotsMissed `json:"slots_missed,omitempty"`
	// SLAMissed is how often a run of it, or a task of one, was not over in time.
	SLAMissed int64 `json:"sla_missed,omitempty"`
	// Triggered is what its triggers have asked for, by trigger.
	Triggered map[string]TriggeredRuns `json:"triggered,omitempty"`
	fold.Stamp
}

// TriggeredRuns is what a trigger of a workflow has asked for.
type TriggeredRuns struct {
	RunID  string  `json:"run_id"` // the last
	Cut    string  `json:"cut"`    // up to which it is for events
	Runs   int64   `json:"runs"`   // that it has asked for
	Millis []int64 `json:"millis"` // when the last [TriggeredKept] were asked for, oldest first
}

// TriggeredKept is how many times of requests are kept of a trigger: as many as a budget may have.
const TriggeredKept = 100

// triggered takes in a run that a trigger has asked for.
func (w *Workflow) triggered(x *events.WorkflowRunRequested, millis int64) {
	if w.Triggered == nil {
		w.Triggered = map[string]TriggeredRuns{}
	}
	t := w.Triggered[x.Triggered.Trigger]
	t.RunID, t.Cut, t.Runs, t.Millis = x.RunID, x.Triggered.Cut, t.Runs+1, append(t.Millis, millis)
	t.Millis = t.Millis[max(0, len(t.Millis)-TriggeredKept):]
	w.Triggered[x.Triggered.Trigger] = t
}

var definedDocs = fold.Documents[Workflow]{
	Table: 'D', Count: 'N',
	ID: func(in *fold.Input) (string, bool) {
		switch x := in.Event.Data.(type) {
		case *events.WorkflowDefined:
			return x.Workflow, true
		case *events.WorkflowPaused:
			return x.Workflow, true
		case *events.WorkflowUnpaused:
			return x.Workflow, true
		case *events.SlotsMissed:
			return x.Workflow, true
		case *events.WorkflowSLAMissed:
			return x.Workflow, true
		case *events.WorkflowDeleted:
			return x.Workflow, true
		case *events.WorkflowRunRequested:
			return x.Workflow, x.RunType == "scheduled" && x.IntervalEndMillis != 0 || x.Triggered != nil
		}
		return "", false
	},
	Fold: func(w *Workflow, in *fold.Input) {
		switch x := in.Event.Data.(type) {
		case *events.WorkflowDefined:
			w.Name, w.Hash, w.Origin, w.Actor = x.Workflow, x.Hash, x.Origin, in.Event.Actor
			w.DefinedMillis, w.DefinedOffset = in.Event.Time.UnixMilli(), in.Position.Offset
			w.Definitions++
		case *events.WorkflowPaused:
			w.Name, w.Paused = x.Workflow, true
		case *events.WorkflowUnpaused:
			w.Name, w.Paused = x.Workflow, false
		case *events.SlotsMissed:
			w.Name, w.Missed, w.LastSlotMillis = x.Workflow, x, max(w.LastSlotMillis, x.ThroughMillis)
		case *events.WorkflowSLAMissed:
			w.Name = x.Workflow
			w.SLAMissed++
		case *events.WorkflowDeleted:
			w.Name, w.Hash, w.Paused = x.Workflow, "", false
		case *events.WorkflowRunRequested:
			if w.Name = x.Workflow; x.Triggered != nil {
				w.triggered(x, in.Event.Time.UnixMilli())
			} else {
				w.LastSlotMillis = max(w.LastSlotMillis, x.IntervalEndMillis)
			}
		}
	},
	Index: func(w *Workflow) []fold.Key {
		if w.Hash == "" { // it was deleted, or never defined
			return nil
		}
		return []fold.Key{fold.Table('L').Str(w.Name)}
	},
	Beside: func(w fold.Writer, _, after *Workflow, in *fold.Input) error { return logWorkflow(w, after, in) },
	Stamp:  func(w *Workflow) *fold.Stamp { return &w.Stamp },
}

// DefinedAt is one of the definitions that a workflow has had.
type DefinedAt struct {
	events.WorkflowDefined
	Number int    `json:"-"` // from 1
	Offset int64  `json:"-"` // of the ledger, which put it in force
	Millis int64  `json:"millis"`
	Actor  string `json:"actor,omitempty"`
}

func setDefinition(w fold.Writer, x *events.WorkflowDefined, in *fold.Input) error {
	b, err := json.Marshal(DefinedAt{WorkflowDefined: *x, Millis: in.Event.Time.UnixMilli(), Actor: in.Event.Actor})
	if err != nil {
		return err
	}
	return w.Set(fold.Table('V').Str(x.Workflow).Millis(in.Position.Offset), b)
}

// Workflow reads one workflow.
func (v *Workflows) Workflow(name string) (Workflow, bool, error) { return definedDocs.Get(v.r, name) }

// TriggeredOf is what the triggers of a workflow have asked for, by trigger.
func (v *Workflows) TriggeredOf(workflow string) (map[string]TriggeredRuns, error) {
	d, _, err := definedDocs.Get(v.r, workflow)
	return d.Triggered, err
}

// Workflows pages through all workflows, by name.
func (v *Workflows) Workflows(q fold.PageQuery) (fold.Page[Workflow], error) {
	return definedDocs.Paginate(v.r, fold.Table('L'), false, q, nil)
}

// Definitions are those that a workflow has had, oldest first.
func (v *Workflows) Definitions(name string) iter.Seq2[*DefinedAt, error] {
	return func(yield func(*DefinedAt, error) bool) {
		prefix, n := fold.Table('V').Str(name), 0
		for kv, err := range v.r.Scan(prefix, prefix.End()) {
			n++
			d := &DefinedAt{Number: n}
			if err == nil {
				p := fold.Parts(kv.Key)
				p.Str()
				d.Offset = p.Millis()
				err = p.Err()
			}
			if err == nil {
				err = json.Unmarshal(kv.Value, d)
			}
			if !yield(d, err) || err != nil {
				return
			}
		}
	}
}

// DefinitionAt is the definition of a workflow that was in force at an offset of the ledger; of a run from before there
// were any, the first. false without any.
func (v *Workflows) DefinitionAt(name string, offset int64) (found events.WorkflowDefined, ok bool, err error) {
	for d, err := range v.Definitions(name) {
		if err != nil {
			return found, false, err
		}
		if ok && d.Offset >= offset {
			break
		}
		found, ok = d.WorkflowDefined, true
	}
	return found, ok, nil
}

// States are those of all tasks of a run under its definition.
func (r *WorkflowRun) States(d *workflow.Definition) map[string]workflow.State {
	states := d.States(&workflow.Run{Conf: d.Defaults(r.Conf), Told: workflow.Told(r.RunID, r.Workflow, r.RunType, time.UnixMilli(r.LogicalMillis), time.UnixMilli(r.IntervalEndMillis)),
		Outcome: func(name string) workflow.Outcome {
			for i := range r.Tasks {
				if t := &r.Tasks[i]; t.Task == name {
					if t.State == StateQueued || t.State == StateUpstreamFailed {
						break
					}
					return workflow.Outcome{State: workflow.State(t.State), Output: t.Output}
				}
			}
			return workflow.Outcome{}
		}})
	if r.Ended() {
		for name, s := range states {
			states[name] = overWith(s)
		}
	}
	return states
}
