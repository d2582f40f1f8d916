package events

import "encoding/json"

// WorkflowDefined puts a definition of a workflow in force: for the runs that are requested after it, until the next one.
// Stream "workflow/NAME".
type WorkflowDefined struct {
	Workflow string `json:"workflow"`
	Source   string `json:"source"`           // YAML, as it was written
	Hash     string `json:"hash"`             // SHA-256 of the source
	Origin   string `json:"origin,omitempty"` // "program" for one that it came with
}

func (*WorkflowDefined) EventType() string { return "workflow.defined" }

// WorkflowPaused holds back the runs of a workflow: what is requested waits, and its schedule requests nothing.
type WorkflowPaused struct {
	Workflow string `json:"workflow"`
}

func (*WorkflowPaused) EventType() string { return "workflow.paused" }

// WorkflowUnpaused ends what [WorkflowPaused] began.
type WorkflowUnpaused struct {
	Workflow string `json:"workflow"`
}

func (*WorkflowUnpaused) EventType() string { return "workflow.unpaused" }

// SlotsMissed says which slots of a workflow's schedule have no run, since nobody was there when they came.
type SlotsMissed struct {
	Workflow      string  `json:"workflow"`
	Count         int     `json:"count"`
	FromMillis    int64   `json:"from_millis"`    // the first
	ThroughMillis int64   `json:"through_millis"` // the last
	SlotsMillis   []int64 `json:"slots_millis"`   // the last of them, at most [SlotsMissedMax], oldest first
}

// SlotsMissedMax bounds the slots that are listed.
const SlotsMissedMax = 100

func (*SlotsMissed) EventType() string { return "workflow.slots_missed" }

// WorkflowDeleted takes a workflow out of force: nothing runs it any more, until it is defined anew. Its runs remain.
type WorkflowDeleted struct {
	Workflow string `json:"workflow"`
}

func (*WorkflowDeleted) EventType() string { return "workflow.deleted" }

// WorkflowRunRequested opens a run of a workflow. Stream "workflow-run/ID".
type WorkflowRunRequested struct {
	RunID    string            `json:"run_id"`
	Workflow string            `json:"workflow"` // "movie_training_pipeline", "movie_data_collection"
	RunType  string            `json:"run_type"` // manual, scheduled, triggered, backfill
	Conf     map[string]string `json:"conf,omitempty"`
	Note     string            `json:"note,omitempty"`
	// LogicalMillis is the moment that the run is for, and IntervalEndMillis the end of the time that it looks at, which begins
	// then: of a schedule, its slot. 0: both are when it was requested. Since schema 2.
	LogicalMillis     int64 `json:"logical_millis,omitempty"`
	IntervalEndMillis int64 `json:"interval_end_millis,omitempty"`
	// Triggered is what asked for the run, where that was a trigger of its definition. Since schema 3.
	Triggered *Triggered `json:"triggered,omitempty"`
}

// Triggered says which trigger asked for a run, and by which event.
type Triggered struct {
	Trigger  string `json:"trigger"`  // name in the definition
	EventID  string `json:"event_id"` // that made it fire
	Type     string `json:"type"`     // of that event
	Position string `json:"position"` // of it, "topic/partition@offset"
	Counted  int64  `json:"counted"`  // events since the run before, all of which this one is for
	Cut      string `json:"cut"`      // behind the last of them; the next run is for what comes from there on
}

// withoutSlot makes schema 2 of schema 1, in which runs were for the moment of their request.
func withoutSlot(raw json.RawMessage) (json.RawMessage, error) { return raw, nil }

// withoutTrigger makes schema 3 of schema 2, in which definitions had no triggers.
func withoutTrigger(raw json.RawMessage) (json.RawMessage, error) { return raw, nil }

func (*WorkflowRunRequested) EventType() string { return "workflow.run_requested" }

// TaskStarted takes the lease on a task: from here to LeaseUntilMillis nobody else may work on it.
type TaskStarted struct {
	RunID            string `json:"run_id"`
	Task             string `json:"task"`
	Try              int    `json:"try"` // from 1
	Holder           string `json:"holder"`
	LeaseUntilMillis int64  `json:"lease_until_millis"`
}

func (*TaskStarted) EventType() string { return "workflow.task_started" }

// TaskLeaseRenewed extends the lease of a running task, with its checkpoint if it made one.
type TaskLeaseRenewed struct {
	RunID            string `json:"run_id"`
	Task             string `json:"task"`
	Try              int    `json:"try"`
	Holder           string `json:"holder"`
	LeaseUntilMillis int64  `json:"lease_until_millis"`
	Checkpoint       string `json:"checkpoint,omitempty"` // blob from which the next try can go on
}

func (*TaskLeaseRenewed) EventType() string { return "workflow.task_lease_renewed" }

// TaskSucceeded ends a task; Output is handed to the tasks after it.
type TaskSucceeded struct {
	RunID  string            `json:"run_id"`
	Task   string            `json:"task"`
	Try    int               `json:"try"`
	Output map[string]string `json:"output,omitempty"`
}

func (*TaskSucceeded) EventType() string { return "workflow.task_succeeded" }

// TaskFailed ends a try; another follows at RetryAtMillis unless that is 0.
type TaskFailed struct {
	RunID         string `json:"run_id"`
	Task          string `json:"task"`
	Try           int    `json:"try"`
	Error         string `json:"error"`
	RetryAtMillis int64  `json:"retry_at_millis,omitempty"`
}

func (*TaskFailed) EventType() string { return "workflow.task_failed" }

// TasksCleared has tasks of a run done again, and the run go on if it had ended. What they did before counts no more.
type TasksCleared struct {
	RunID string   `json:"run_id"`
	Tasks []string `json:"tasks"`
	Note  string   `json:"note,omitempty"`
}

func (*TasksCleared) EventType() string { return "workflow.tasks_cleared" }

// TaskMarked says by word what has become of a task, whatever it did, and has the run go on by it.
type TaskMarked struct {
	RunID string `json:"run_id"`
	Task  string `json:"task"`
	State string `json:"state"` // success, failed or skipped
	Note  string `json:"note,omitempty"`
}

func (*TaskMarked) EventType() string { return "workflow.task_marked" }

// TaskHastened has a task that waits for its next try begin it at once.
type TaskHastened struct {
	RunID    string `json:"run_id"`
	Task     string `json:"task"`
	Try      int    `json:"try"`       // that had failed
	AtMillis int64  `json:"at_millis"` // from when on the next may begin
}

func (*TaskHastened) EventType() string { return "workflow.retry_hastened" }

// WorkflowSLAMissed says that a run, or a task of it, was not over in the time that its definition gives it. Once of each.
type WorkflowSLAMissed struct {
	RunID     string `json:"run_id"`
	Workflow  string `json:"workflow"`
	Task      string `json:"task,omitempty"` // "" for the run
	SLAMillis int64  `json:"sla_millis"`     // the time that it has
	DueMillis int64  `json:"due_millis"`     // when it was to be over: that long after the run's slot, or its request
}

func (*WorkflowSLAMissed) EventType() string { return "workflow.sla_missed" }

// TaskLogKept names what was said of a try while it was worked on, once that is over.
type TaskLogKept struct {
	RunID string `json:"run_id"`
	Task  string `json:"task"`
	Try   int    `json:"try"`
	Log   string `json:"log"` // blob: lines of text, each with its time and level
	Bytes int64  `json:"bytes"`
}

func (*TaskLogKept) EventType() string { return "workflow.task_log_kept" }

// WorkflowNoted is a word of a person on a run, or a task of it. The last one counts.
type WorkflowNoted struct {
	RunID string `json:"run_id"`
	Task  string `json:"task,omitempty"` // "" for the run
	Note  string `json:"note"`
}

func (*WorkflowNoted) EventType() string { return "workflow.noted" }

// WorkflowRunEnded closes the run. One that was cleared afterwards ends again.
type WorkflowRunEnded struct {
	RunID  string `json:"run_id"`
	State  string `json:"state"` // success, failed or cancelled
	Reason string `json:"reason,omitempty"`
}

func (*WorkflowRunEnded) EventType() string { return "workflow.run_ended" }

// WorkflowRunDeleted takes a run that has ended out of what people are shown. Its id may be taken again.
type WorkflowRunDeleted struct {
	RunID string `json:"run_id"`
}

func (*WorkflowRunDeleted) EventType() string { return "workflow.run_deleted" }
