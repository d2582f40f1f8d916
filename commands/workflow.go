package commands

import (
	"fmt"
	"time"

	"github.com/projectionist/projectionist/events"
)

// DefineWorkflow puts a definition in force. The same again is no event. What it says is checked before, by those who know
// the operators.
type DefineWorkflow struct {
	Workflow string `json:"workflow"`
	Source   string `json:"source"`
	Hash     string `json:"hash"`
	Origin   string `json:"origin,omitempty"`
}

func (*DefineWorkflow) CommandType() string { return "workflow.define" }
func (c *DefineWorkflow) Stream() string    { return workflowStream(c.Workflow) }

// WorkflowBytesMax bounds a definition's source.
const WorkflowBytesMax = 256 << 10

func (c *DefineWorkflow) Validate() error {
	var f faults
	f.id("workflow", c.Workflow)
	f.text("source", c.Source, WorkflowBytesMax)
	f.sha256("hash", c.Hash)
	f.line("origin", c.Origin, NameBytesMax)
	return f.err()
}

// PauseWorkflow holds back the runs of a workflow. One that is paused already is no event.
type PauseWorkflow struct {
	Workflow string `json:"workflow"`
}

func (*PauseWorkflow) CommandType() string { return "workflow.pause" }
func (c *PauseWorkflow) Stream() string    { return workflowStream(c.Workflow) }

func (c *PauseWorkflow) Validate() error {
	var f faults
	f.id("workflow", c.Workflow)
	return f.err()
}

// UnpauseWorkflow ends what [PauseWorkflow] began.
type UnpauseWorkflow struct {
	Workflow string `json:"workflow"`
}

func (*UnpauseWorkflow) CommandType() string { return "workflow.unpause" }
func (c *UnpauseWorkflow) Stream() string    { return workflowStream(c.Workflow) }

func (c *UnpauseWorkflow) Validate() error {
	var f faults
	f.id("workflow", c.Workflow)
	return f.err()
}

// MissSlots says which slots of a workflow's schedule have no run. Slots up to one of which that was said before are no event.
type MissSlots struct {
	Workflow      string  `json:"workflow"`
	Count         int     `json:"count"`
	FromMillis    int64   `json:"from_millis"`
	ThroughMillis int64   `json:"through_millis"`
	SlotsMillis   []int64 `json:"slots_millis"`
}

func (*MissSlots) CommandType() string { return "workflow.miss_slots" }
func (c *MissSlots) Stream() string    { return workflowStream(c.Workflow) }

func (c *MissSlots) Validate() error {
	var f faults
	f.id("workflow", c.Workflow)
	f.atLeast("count", int64(c.Count), 1)
	if c.ThroughMillis < c.FromMillis {
		f.add("through_millis", "%d is before from_millis, %d", c.ThroughMillis, c.FromMillis)
	}
	if n := len(c.SlotsMillis); n == 0 || n > events.SlotsMissedMax || n > c.Count {
		f.add("slots_millis", "has %d slots of %d; want 1 to %d", n, c.Count, events.SlotsMissedMax)
	}
	return f.err()
}

// DeleteWorkflow takes a workflow out of force. One that is not in force is not found.
type DeleteWorkflow struct {
	Workflow string `json:"workflow"`
}

func (*DeleteWorkflow) CommandType() string { return "workflow.delete" }
func (c *DeleteWorkflow) Stream() string    { return workflowStream(c.Workflow) }

func (c *DeleteWorkflow) Validate() error {
	var f faults
	f.id("workflow", c.Workflow)
	return f.err()
}

func workflowStream(name string) string { return "workflow/" + name }

// RequestWorkflowRun opens a run of a workflow.
type RequestWorkflowRun struct {
	RunID    string            `json:"run_id"`
	Workflow string            `json:"workflow"`
	RunType  string            `json:"run_type"` // manual, scheduled, triggered or backfill
	Conf     map[string]string `json:"conf,omitempty"`
	Note     string            `json:"note,omitempty"`

	LogicalMillis     int64 `json:"logical_millis,omitempty"` // see [events.WorkflowRunRequested]; 0 both: now
	IntervalEndMillis int64 `json:"interval_end_millis,omitempty"`

	Triggered *events.Triggered `json:"triggered,omitempty"` // of a triggered run that a trigger of its definition asks for
}

func (*RequestWorkflowRun) CommandType() string { return "workflow.request_run" }
func (c *RequestWorkflowRun) Stream() string    { return workflowRunStream(c.RunID) }

func (c *RequestWorkflowRun) Validate() error {
	var f faults
	f.id("run_id", c.RunID)
	f.required("workflow", c.Workflow, NameBytesMax)
	f.oneOf("run_type", c.RunType, "manual", "scheduled", "triggered", "backfill")
	f.pairs("conf", c.Conf, PairsMax, ParamBytesMax)
	f.text("note", c.Note, TextBytesMax)
	for field, millis := range map[string]int64{"logical_millis": c.LogicalMillis, "interval_end_millis": c.IntervalEndMillis} {
		if millis < 0 || millis >= events.TimeMillisEnd {
			f.add(field, "%d is outside 1970 to 2100 in Unix milliseconds", millis)
		}
	}
	if c.IntervalEndMillis < c.LogicalMillis {
		f.add("interval_end_millis", "%d is before logical_millis, %d", c.IntervalEndMillis, c.LogicalMillis)
	}
	if t := c.Triggered; t != nil {
		f.oneOf("run_type", c.RunType, "triggered")
		f.required("triggered.trigger", t.Trigger, NameBytesMax)
		f.line("triggered.event_id", t.EventID, TextBytesMax)
		f.required("triggered.type", t.Type, NameBytesMax)
		f.required("triggered.position", t.Position, NameBytesMax)
		f.atLeast("triggered.counted", t.Counted, 1)
		f.required("triggered.cut", t.Cut, TextBytesMax)
	}
	return f.err()
}

// LeaseMillisMax bounds a lease: it is how long a task of a dead worker stays untouched.
const LeaseMillisMax = int64(24 * time.Hour / time.Millisecond)

// StartTask takes the lease on a task of a run for lease_millis from now. A task that another holder
// works on is refused until that lease has run out, and then taken over as the next try; so is a failed
// one that is to wait for its next try.
type StartTask struct {
	RunID       string `json:"run_id"`
	Task        string `json:"task"`
	Holder      string `json:"holder"` // unique to a worker of a process, across restarts
	LeaseMillis int64  `json:"lease_millis"`
	// WatchedMillis is the end of the lease, or of the wait for the next try, that the caller has watched
	// for its whole length on its own clock while nothing changed. It counts as over then, whatever
	// the two clocks say: they may be an hour apart.
	WatchedMillis int64 `json:"watched_millis,omitempty"`
}

func (*StartTask) CommandType() string { return "workflow.start_task" }
func (c *StartTask) Stream() string    { return workflowRunStream(c.RunID) }

func (c *StartTask) Validate() error {
	var f faults
	f.task(c.RunID, c.Task)
	f.required("holder", c.Holder, NameBytesMax)
	f.lease(c.LeaseMillis)
	f.atLeast("watched_millis", c.WatchedMillis, 0)
	return f.err()
}

// RenewTaskLease extends the lease of the current try to lease_millis from now.
type RenewTaskLease struct {
	RunID       string `json:"run_id"`
	Task        string `json:"task"`
	Try         int    `json:"try"`
	Holder      string `json:"holder"`
	LeaseMillis int64  `json:"lease_millis"`
	Checkpoint  string `json:"checkpoint,omitempty"` // SHA-256 of a blob the next try can go on from
}

func (*RenewTaskLease) CommandType() string { return "workflow.renew_task_lease" }
func (c *RenewTaskLease) Stream() string    { return workflowRunStream(c.RunID) }

func (c *RenewTaskLease) Validate() error {
	var f faults
	f.try(c.RunID, c.Task, c.Try, c.Holder)
	f.lease(c.LeaseMillis)
	if c.Checkpoint != "" {
		f.sha256("checkpoint", c.Checkpoint)
	}
	return f.err()
}

// SucceedTask ends a task; only the holder of the current try may.
type SucceedTask struct {
	RunID  string            `json:"run_id"`
	Task   string            `json:"task"`
	Try    int               `json:"try"`
	Holder string            `json:"holder"`
	Output map[string]string `json:"output,omitempty"`
}

func (*SucceedTask) CommandType() string { return "workflow.succeed_task" }
func (c *SucceedTask) Stream() string    { return workflowRunStream(c.RunID) }

func (c *SucceedTask) Validate() error {
	var f faults
	f.try(c.RunID, c.Task, c.Try, c.Holder)
	f.pairs("output", c.Output, PairsMax, ParamBytesMax)
	return f.err()
}

// FailTask ends the current try: its holder may, and anyone once its lease has run out (its worker is
// gone, and somebody has to say so). Another try may follow at retry_at_millis; 0 is the end of the task.
type FailTask struct {
	RunID         string `json:"run_id"`
	Task          string `json:"task"`
	Try           int    `json:"try"`
	Holder        string `json:"holder"`
	Error         string `json:"error"`
	RetryAtMillis int64  `json:"retry_at_millis,omitempty"`
	WatchedMillis int64  `json:"watched_millis,omitempty"` // see StartTask
}

func (*FailTask) CommandType() string { return "workflow.fail_task" }
func (c *FailTask) Stream() string    { return workflowRunStream(c.RunID) }

func (c *FailTask) Validate() error {
	var f faults
	f.try(c.RunID, c.Task, c.Try, c.Holder)
	f.trace("error", c.Error)
	f.atLeast("retry_at_millis", c.RetryAtMillis, 0)
	f.atLeast("watched_millis", c.WatchedMillis, 0)
	return f.err()
}

// ClearTasks has tasks of a run done again, whatever they came to; a run that has ended goes on.
type ClearTasks struct {
	RunID string   `json:"run_id"`
	Tasks []string `json:"tasks"`
	Note  string   `json:"note,omitempty"`
}

func (*ClearTasks) CommandType() string { return "workflow.clear_tasks" }
func (c *ClearTasks) Stream() string    { return workflowRunStream(c.RunID) }

func (c *ClearTasks) Validate() error {
	var f faults
	f.id("run_id", c.RunID)
	if len(c.Tasks) == 0 || len(c.Tasks) > BatchMax {
		f.add("tasks", "has %d entries; want 1 to %d", len(c.Tasks), BatchMax)
	} else {
		for i, t := range c.Tasks {
			f.required(fmt.Sprintf("tasks[%d]", i), t, NameBytesMax)
		}
	}
	f.text("note", c.Note, TextBytesMax)
	return f.err()
}

// MarkTask says what has become of a task, whatever it did, and has its run go on by that.
type MarkTask struct {
	RunID string `json:"run_id"`
	Task  string `json:"task"`
	State string `json:"state"` // success, failed or skipped
	Note  string `json:"note,omitempty"`
}

func (*MarkTask) CommandType() string { return "workflow.mark_task" }
func (c *MarkTask) Stream() string    { return workflowRunStream(c.RunID) }

func (c *MarkTask) Validate() error {
	var f faults
	f.task(c.RunID, c.Task)
	f.oneOf("state", c.State, "success", "failed", "skipped")
	f.text("note", c.Note, TextBytesMax)
	return f.err()
}

// HastenTask has a task that waits for its next try begin it at once.
type HastenTask struct {
	RunID string `json:"run_id"`
	Task  string `json:"task"`
}

func (*HastenTask) CommandType() string { return "workflow.hasten_retry" }
func (c *HastenTask) Stream() string    { return workflowRunStream(c.RunID) }

func (c *HastenTask) Validate() error {
	var f faults
	f.task(c.RunID, c.Task)
	return f.err()
}

// MissSLA says that a run, or a task of it, is not over in time. Of each the first word counts.
type MissSLA struct {
	RunID     string `json:"run_id"`
	Workflow  string `json:"workflow"`
	Task      string `json:"task,omitempty"`
	SLAMillis int64  `json:"sla_millis"`
	DueMillis int64  `json:"due_millis"`
}

func (*MissSLA) CommandType() string { return "workflow.miss_sla" }
func (c *MissSLA) Stream() string    { return workflowRunStream(c.RunID) }

func (c *MissSLA) Validate() error {
	var f faults
	f.id("run_id", c.RunID)
	f.required("workflow", c.Workflow, NameBytesMax)
	f.line("task", c.Task, NameBytesMax)
	f.atLeast("sla_millis", c.SLAMillis, 1)
	f.atLeast("due_millis", c.DueMillis, 1)
	return f.err()
}

// KeepTaskLog names the log of a try. The first that is named stays; another is no event.
type KeepTaskLog struct {
	RunID string `json:"run_id"`
	Task  string `json:"task"`
	Try   int    `json:"try"`
	Log   string `json:"log"` // SHA-256 of a blob
	Bytes int64  `json:"bytes"`
}

func (*KeepTaskLog) CommandType() string { return "workflow.keep_task_log" }
func (c *KeepTaskLog) Stream() string    { return workflowRunStream(c.RunID) }

func (c *KeepTaskLog) Validate() error {
	var f faults
	f.task(c.RunID, c.Task)
	f.atLeast("try", int64(c.Try), 1)
	f.sha256("log", c.Log)
	f.atLeast("bytes", c.Bytes, 0)
	return f.err()
}

// NoteWorkflow sets the word on a run, or on a task of it.
type NoteWorkflow struct {
	RunID string `json:"run_id"`
	Task  string `json:"task,omitempty"`
	Note  string `json:"note"`
}

func (*NoteWorkflow) CommandType() string { return "workflow.note" }
func (c *NoteWorkflow) Stream() string    { return workflowRunStream(c.RunID) }

func (c *NoteWorkflow) Validate() error {
	var f faults
	f.id("run_id", c.RunID)
	f.line("task", c.Task, NameBytesMax)
	f.text("note", c.Note, TextBytesMax)
	return f.err()
}

// EndWorkflowRun closes a run, once: as success only when no task is under way, and what tells whether it is one, the
// definition, says so. Cancelled, it ends at once, and whoever works on its tasks stops.
type EndWorkflowRun struct {
	RunID  string `json:"run_id"`
	State  string `json:"state"` // success, failed or cancelled
	Reason string `json:"reason,omitempty"`
}

func (*EndWorkflowRun) CommandType() string { return "workflow.end_run" }
func (c *EndWorkflowRun) Stream() string    { return workflowRunStream(c.RunID) }

func (c *EndWorkflowRun) Validate() error {
	var f faults
	f.id("run_id", c.RunID)
	f.oneOf("state", c.State, "success", "failed", "cancelled")
	f.text("reason", c.Reason, TraceBytesMax)
	return f.err()
}

// DeleteWorkflowRun takes a run out of what people are shown; one that goes on is cancelled before.
type DeleteWorkflowRun struct {
	RunID string `json:"run_id"`
}

func (*DeleteWorkflowRun) CommandType() string { return "workflow.delete_run" }
func (c *DeleteWorkflowRun) Stream() string    { return workflowRunStream(c.RunID) }

func (c *DeleteWorkflowRun) Validate() error {
	var f faults
	f.id("run_id", c.RunID)
	return f.err()
}

func workflowRunStream(id string) string { return "workflow-run/" + id }

func (f *faults) task(runID, task string) {
	f.id("run_id", runID)
	f.required("task", task, NameBytesMax)
}

func (f *faults) try(runID, task string, try int, holder string) {
	f.task(runID, task)
	f.atLeast("try", int64(try), 1)
	f.required("holder", holder, NameBytesMax)
}

func (f *faults) lease(millis int64) {
	if millis < 1 || millis > LeaseMillisMax {
		f.add("lease_millis", "is %d; want 1 to %d", millis, LeaseMillisMax)
	}
}
