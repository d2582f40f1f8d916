package projections

import (
	"iter"
	"slices"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

// Workflows is the runs of workflows and their tasks.
//
//	d id -> WorkflowRun     c -> number of runs
//	s requested id -> id    t state requested id -> id    w workflow requested id -> id
//	a requested id -> id    only while the run has not ended
//	R workflow offset -> RunDigest, of its request      n workflow state -> number of runs      x workflow task run -> outputs
//	E offset index -> WorkflowAct      F workflow offset index -> WorkflowAct without its extra      G workflow -> number of those
//	D name -> Workflow      L name -> name      N -> number of workflows      V name offset -> DefinedAt
//	P name -> Pool    B id -> Backfill    b requested id -> id      o offset of request, id -> id    y workflow, offset of request, id -> id
type Workflows struct{ r fold.Reader }

// NewWorkflows makes the view "workflows".
func NewWorkflows() *Workflows { return &Workflows{} }

// States of workflow runs (queued, running, success, failed, cancelled) and of tasks.
const (
	StateQueued         = "queued"
	StateRunning        = "running"
	StateSuccess        = "success"
	StateFailed         = "failed"
	StateUpForRetry     = "up_for_retry"
	StateUpstreamFailed = "upstream_failed" // never started, since a task before it failed
	StateSkipped        = "skipped"
	StateCancelled      = "cancelled" // of a run
)

// WorkflowRun is one run of a workflow. All times are event times; 0 is not yet.
type WorkflowRun struct {
	RunID             string            `json:"run_id"`
	Workflow          string            `json:"workflow"`
	RunType           string            `json:"run_type"`
	Conf              map[string]string `json:"conf,omitempty"`
	Note              string            `json:"note,omitempty"`
	Actor             string            `json:"actor,omitempty"`     // who asked for it
	Triggered         *events.Triggered `json:"triggered,omitempty"` // by which trigger, and which event
	State             string            `json:"state"`
	Reason            string            `json:"reason,omitempty"`
	RequestedMillis   int64             `json:"requested_millis"`
	LogicalMillis     int64             `json:"logical_millis"` // what it is for: a slot's interval begins then, else when it was requested
	IntervalEndMillis int64             `json:"interval_end_millis"`
	RequestedOffset   int64             `json:"requested_offset"`         // of the ledger: the definition in force there is the run's
	StartedMillis     int64             `json:"started_millis,omitempty"` // of the first task
	EndedMillis       int64             `json:"ended_millis,omitempty"`
	Late              bool              `json:"late,omitempty"`              // it, or a task of it, was not over in time
	SLAMissedMillis   int64             `json:"sla_missed_millis,omitempty"` // when the run was to be over, and was not
	Tasks             []Task            `json:"tasks"`                       // that anything is known of, in that order
	Deleted           bool              `json:"deleted,omitempty"`
	fold.Stamp
}

// Task is one task of a run as its last try has it.
type Task struct {
	Task             string            `json:"task"`
	State            string            `json:"state"`
	Try              int               `json:"try"` // 0 before the first
	Holder           string            `json:"holder,omitempty"`
	LeaseUntilMillis int64             `json:"lease_until_millis,omitempty"` // while running
	Checkpoint       string            `json:"checkpoint,omitempty"`         // blob from which the next try can go on
	Output           map[string]string `json:"output,omitempty"`
	Error            string            `json:"error,omitempty"`
	RetryAtMillis    int64             `json:"retry_at_millis,omitempty"` // while up for retry
	StartedMillis    int64             `json:"started_millis,omitempty"`
	EndedMillis      int64             `json:"ended_millis,omitempty"`
	Note             string            `json:"note,omitempty"`
	SLAMissedMillis  int64             `json:"sla_missed_millis,omitempty"` // when it was to be over, and was not
	Tries            []Try             `json:"tries,omitempty"`
}

// Try is one try of a task.
type Try struct {
	Try           int    `json:"try"`
	Holder        string `json:"holder"`
	State         string `json:"state"` // running, success or failed
	Error         string `json:"error,omitempty"`
	StartedMillis int64  `json:"started_millis"`
	EndedMillis   int64  `json:"ended_millis,omitempty"`
	Log           string `json:"log,omitempty"` // blob of what was said of it; "" until it is kept
	LogBytes      int64  `json:"log_bytes,omitempty"`
}

var workflowDocs = fold.Documents[WorkflowRun]{
	Table: 'd', Count: 'c',
	ID: func(in *fold.Input) (string, bool) {
		switch x := in.Event.Data.(type) {
		case *events.WorkflowRunRequested:
			return x.RunID, true
		case *events.TaskStarted:
			return x.RunID, true
		case *events.TaskLeaseRenewed:
			return x.RunID, true
		case *events.TaskSucceeded:
			return x.RunID, true
		case *events.TaskFailed:
			return x.RunID, true
		case *events.TaskHastened:
			return x.RunID, true
		case *events.WorkflowSLAMissed:
			return x.RunID, true
		case *events.TasksCleared:
			return x.RunID, true
		case *events.TaskMarked:
			return x.RunID, true
		case *events.TaskLogKept:
			return x.RunID, true
		case *events.WorkflowNoted:
			return x.RunID, true
		case *events.WorkflowRunEnded:
			return x.RunID, true
		case *events.WorkflowRunDeleted:
			return x.RunID, true
		}
		return "", false
	},
	Fold: func(r *WorkflowRun, in *fold.Input) {
		millis := in.Event.Time.UnixMilli()
		if r.State == "" {
			r.State, r.Tasks = StateQueued, []Task{}
		}
		switch x := in.Event.Data.(type) {
		case *events.WorkflowRunRequested:
			r.RunID, r.Workflow, r.RunType, r.Conf, r.Note, r.Triggered, r.Deleted = x.RunID, x.Workflow, x.RunType, x.Conf, x.Note, x.Triggered, false
			r.Actor, r.RequestedMillis, r.RequestedOffset = in.Event.Actor, millis, in.Position.Offset
			if r.LogicalMillis, r.IntervalEndMillis = x.LogicalMillis, x.IntervalEndMillis; x.IntervalEndMillis == 0 {
				r.LogicalMillis, r.IntervalEndMillis = millis, millis
			}
		case *events.TaskStarted:
			r.RunID = x.RunID
			if r.State == StateQueued {
				r.State, r.StartedMillis = StateRunning, millis
			}
			r.task(x.Task).start(x, millis)
		case *events.TaskLeaseRenewed:
			r.RunID = x.RunID
			t := r.task(x.Task)
			t.Holder, t.LeaseUntilMillis = x.Holder, x.LeaseUntilMillis
			if x.Checkpoint != "" {
				t.Checkpoint = x.Checkpoint
			}
		case *events.TaskSucceeded:
			r.RunID = x.RunID
			t := r.task(x.Task)
			t.end(x.Try, StateSuccess, "", millis)
			t.Output = x.Output
		case *events.TaskFailed:
			r.RunID = x.RunID
			t := r.task(x.Task)
			t.end(x.Try, StateFailed, x.Error, millis)
			if t.RetryAtMillis = x.RetryAtMillis; x.RetryAtMillis != 0 {
				t.State = StateUpForRetry
			} else if len(t.Tries) == 0 {
				t.State = StateUpstreamFailed
			}
		case *events.TaskHastened:
			r.RunID = x.RunID
			r.task(x.Task).RetryAtMillis = x.AtMillis
		case *events.WorkflowSLAMissed:
			if r.RunID = x.RunID; x.Task == "" {
				r.SLAMissedMillis = x.DueMillis
			} else {
				r.task(x.Task).SLAMissedMillis = x.DueMillis
			}
			r.Late = true
		case *events.TasksCleared:
			r.RunID = x.RunID
			for _, name := range x.Tasks {
				t := r.task(name)
				t.void("cleared", millis)
				*t = Task{Task: name, State: StateQueued, Try: t.Try, Tries: t.Tries, Note: t.Note, SLAMissedMillis: t.SLAMissedMillis}
			}
			r.reopen()
		case *events.TaskMarked:
			r.RunID = x.RunID
			t := r.task(x.Task)
			t.void("marked as "+x.State, millis)
			t.State, t.Error, t.EndedMillis, t.LeaseUntilMillis, t.RetryAtMillis = x.State, "", millis, 0, 0
			if x.State == StateFailed {
				t.Error = "marked as failed: " + x.Note
			}
			r.reopen()
		case *events.TaskLogKept:
			r.RunID = x.RunID
			if y := r.task(x.Task).try(x.Try); y != nil {
				y.Log, y.LogBytes = x.Log, x.Bytes
			}
		case *events.WorkflowNoted:
			if r.RunID = x.RunID; x.Task == "" {
				r.Note = x.Note
			} else {
				r.task(x.Task).Note = x.Note
			}
		case *events.WorkflowRunEnded:
			r.RunID, r.State, r.Reason, r.EndedMillis = x.RunID, x.State, x.Reason, millis
		case *events.WorkflowRunDeleted: // the id may be taken again
			*r = WorkflowRun{RunID: x.RunID, Deleted: true, Stamp: r.Stamp}
		}
	},
	Beside: func(w fold.Writer, before, after *WorkflowRun, in *fold.Input) error {
		if err := besideRun(w, before, after, in); err != nil {
			return err
		}
		return logRun(w, before, after, in)
	},
	Index: func(r *WorkflowRun) []fold.Key {
		if r.Deleted {
			return nil
		}
		keys := []fold.Key{
			fold.Table('s').Millis(r.RequestedMillis).Str(r.RunID),
			fold.Table('t').Str(r.State).Millis(r.RequestedMillis).Str(r.RunID),
			fold.Table('w').Str(r.Workflow).Millis(r.RequestedMillis).Str(r.RunID),
		}
		if !r.Ended() {
			keys = append(keys, fold.Table('a').Millis(r.RequestedMillis).Str(r.RunID))
		}
		return keys
	},
	Stamp: func(r *WorkflowRun) *fold.Stamp { return &r.Stamp },
}

// AsRequested is the run as it was when it was asked for, whatever has come of it since.
func (r *WorkflowRun) AsRequested() WorkflowRun {
	was := *r
	was.State, was.Reason, was.Tasks, was.StartedMillis, was.EndedMillis = StateQueued, "", nil, 0, 0
	was.Late, was.SLAMissedMillis, was.UpdatedMillis = false, 0, r.RequestedMillis
	return was
}

// task is the task's entry, made if it is not there.
func (r *WorkflowRun) task(name string) *Task {
	if i := slices.IndexFunc(r.Tasks, func(t Task) bool { return t.Task == name }); i >= 0 {
		return &r.Tasks[i]
	}
	r.Tasks = append(r.Tasks, Task{Task: name, State: StateQueued})
	return &r.Tasks[len(r.Tasks)-1]
}

// reopen has a run go on that had ended.
func (r *WorkflowRun) reopen() {
	if !r.Ended() {
		return
	}
	r.State, r.Reason, r.EndedMillis = StateQueued, "", 0
	if r.StartedMillis != 0 {
		r.State = StateRunning
	}
}

// void ends a try under way, whatever comes of it.
func (t *Task) void(why string, millis int64) {
	for i := range t.Tries {
		if y := &t.Tries[i]; y.State == StateRunning {
			y.State, y.Error, y.EndedMillis = StateFailed, why, millis
		}
	}
}

func (t *Task) start(x *events.TaskStarted, millis int64) {
	t.State, t.Try, t.Holder, t.LeaseUntilMillis = StateRunning, x.Try, x.Holder, x.LeaseUntilMillis
	t.Error, t.RetryAtMillis, t.EndedMillis = "", 0, 0
	if t.StartedMillis == 0 {
		t.StartedMillis = millis
	}
	t.Tries = append(t.Tries, Try{Try: x.Try, Holder: x.Holder, State: StateRunning, StartedMillis: millis})
}

// try is a try of the task, nil where there is none.
func (t *Task) try(number int) *Try {
	if i := slices.IndexFunc(t.Tries, func(y Try) bool { return y.Try == number }); i >= 0 {
		return &t.Tries[i]
	}
	return nil
}

// Tried is a try of the task; false where there is none.
func (t *Task) Tried(number int) (Try, bool) {
	if y := t.try(number); y != nil {
		return *y, true
	}
	return Try{}, false
}

// end closes a try, and with it the lease.
func (t *Task) end(try int, state, message string, millis int64) {
	t.State, t.Error, t.EndedMillis = state, message, millis
	t.LeaseUntilMillis, t.RetryAtMillis = 0, 0
	for i := range t.Tries {
		if y := &t.Tries[i]; y.Try == try {
			y.State, y.Error, y.EndedMillis = state, message, millis
		}
	}
}

// Ended says whether the run is over.
func (r *WorkflowRun) Ended() bool { return r.State != StateQueued && r.State != StateRunning }

// TaskOf is a task of the run by name. One of which no event speaks is queued while the run goes on,
// and upstream_failed once the run has ended: the run says nothing of which tasks its workflow has.
func (r *WorkflowRun) TaskOf(name string) Task {
	for _, t := range r.Tasks {
		if t.Task == name {
			return t
		}
	}
	state := StateQueued
	if r.Ended() {
		state = StateUpstreamFailed
	}
	return Task{Task: name, State: state}
}

func (*Workflows) Spec() fold.Spec {
	return fold.Spec{Name: "workflows", Format: 7, Topics: fold.LedgerTopics, Indexed: true}
}

func (v *Workflows) Open(r fold.Reader) error { v.r = r; return nil }
func (*Workflows) Flush(fold.Writer) error    { return nil }

func (*Workflows) Apply(w fold.Writer, in []fold.Input) error {
	for i := range in {
		if err := workflowDocs.Apply(w, in[i:i+1]); err != nil {
			return err
		}
		if err := definedDocs.Apply(w, in[i:i+1]); err != nil {
			return err
		}
		if err := poolDocs.Apply(w, in[i:i+1]); err != nil {
			return err
		}
		if err := backfillDocs.Apply(w, in[i:i+1]); err != nil {
			return err
		}
		if in[i].Event == nil {
			continue
		}
		var err error
		switch x := in[i].Event.Data.(type) {
		case *events.WorkflowDefined:
			err = setDefinition(w, x, &in[i])
		case *events.VariableSet, *events.VariableDeleted:
			err = setExtra(w, actOf(&in[i], x), x)
		}
		if err != nil {
			return fold.PoisonAt(&in[i], err)
		}
	}
	return nil
}

// Run reads one run.
func (v *Workflows) Run(id string) (WorkflowRun, bool, error) {
	run, ok, err := workflowDocs.Get(v.r, id)
	return run, ok && !run.Deleted, err
}

// LastScheduled is the slot, in Unix milliseconds, of the newest run that a workflow's schedule has asked for; 0 without any.
func (v *Workflows) LastScheduled(workflow string) (millis int64, err error) {
	d, ok, err := definedDocs.Get(v.r, workflow)
	if err != nil || !ok {
		return 0, err
	}
	return d.LastSlotMillis, nil
}

// Count is the number of runs.
func (v *Workflows) Count() (int64, error) { return workflowDocs.Number(v.r) }

// Runs pages through the runs of a workflow in a state ("": any), newest first.
func (v *Workflows) Runs(workflow, state string, q fold.PageQuery) (fold.Page[WorkflowRun], error) {
	switch {
	case workflow != "":
		return workflowDocs.Paginate(v.r, fold.Table('w').Str(workflow), true, q, func(r *WorkflowRun) bool { return state == "" || r.State == state })
	case state != "":
		return workflowDocs.Paginate(v.r, fold.Table('t').Str(state), true, q, nil)
	}
	return workflowDocs.Paginate(v.r, fold.Table('s'), true, q, nil)
}

// Active are the runs that have not ended, oldest first.
func (v *Workflows) Active() ([]WorkflowRun, error) {
	active := []WorkflowRun{}
	for kv, err := range v.r.Scan(fold.Table('a'), fold.Table('a').End()) {
		if err != nil {
			return nil, err
		}
		run, ok, err := workflowDocs.Load(v.r, kv)
		if err != nil {
			return nil, err
		}
		if ok && !run.Ended() { // it may have ended since the scan began
			active = append(active, run)
		}
	}
	return active, nil
}

// FoldWorkflowRun folds what at admits of a "workflow-run/ID" stream; false when that is nothing.
func FoldWorkflowRun(commits iter.Seq2[*streams.Committed, error], at fold.At) (WorkflowRun, bool, error) {
	return workflowDocs.FoldStream(commits, at)
}
