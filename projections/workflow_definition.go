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
	// LastSlotMillis is the newest slot that its schedule has asked a run for, in Unix milliseconds; 0 without any.
	LastSlotMillis int64 `json:"last_slot_millis,omitempty"`
	fold.Stamp
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
		case *events.WorkflowDeleted:
			return x.Workflow, true
		case *events.WorkflowRunRequested:
			return x.Workflow, x.RunType == "scheduled" && x.IntervalEndMillis != 0
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
		case *events.WorkflowDeleted:
			w.Name, w.Hash, w.Paused = x.Workflow, "", false
		case *events.WorkflowRunRequested:
			w.Name, w.LastSlotMillis = x.Workflow, max(w.LastSlotMillis, x.IntervalEndMillis)
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

func setDefinition(w fold.Writer, x *events.WorkflowDefined, offset int64) error {
	b, err := json.Marshal(x)
	if err != nil {
		return err
	}
	return w.Set(fold.Table('V').Str(x.Workflow).Millis(offset), b)
}

// Workflow reads one workflow.
func (v *Workflows) Workflow(name string) (Workflow, bool, error) { return definedDocs.Get(v.r, name) }

// Workflows pages through all workflows, by name.
func (v *Workflows) Workflows(q fold.PageQuery) (fold.Page[Workflow], error) {
	return definedDocs.Paginate(v.r, fold.Table('L'), false, q, nil)
}

// DefinedAt is a definition with the offset of the ledger that put it in force.
type DefinedAt struct {
	events.WorkflowDefined
	Offset int64
}

// Definitions are those that a workflow has had, oldest first.
func (v *Workflows) Definitions(name string) iter.Seq2[*DefinedAt, error] {
	return func(yield func(*DefinedAt, error) bool) {
		prefix := fold.Table('V').Str(name)
		for kv, err := range v.r.Scan(prefix, prefix.End()) {
			d := &DefinedAt{}
			if err == nil {
				p := fold.Parts(kv.Key)
				p.Str()
				d.Offset = p.Millis()
				err = p.Err()
			}
			if err == nil {
				err = json.Unmarshal(kv.Value, &d.WorkflowDefined)
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
