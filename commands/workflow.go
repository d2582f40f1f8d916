package commands

import "time"

// RequestWorkflowRun opens a run of a workflow.
type RequestWorkflowRun struct {
	RunID    string            `json:"run_id"`
	Workflow string            `json:"workflow"`
	RunType  string            `json:"run_type"` // manual, scheduled or triggered
	Conf     map[string]string `json:"conf,omitempty"`
	Note     string            `json:"note,omitempty"`
}

func (*RequestWorkflowRun) CommandType() string { return "workflow.request_run" }
func (c *RequestWorkflowRun) Stream() string    { return workflowRunStream(c.RunID) }

func (c *RequestWorkflowRun) Validate() error {
	var f faults
	f.id("run_id", c.RunID)
	f.required("workflow", c.Workflow, NameBytesMax)
	f.oneOf("run_type", c.RunType, "manual", "scheduled", "triggered")
	f.pairs("conf", c.Conf, PairsMax, ParamBytesMax)
	f.text("note", c.Note, TextBytesMax)
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

// EndWorkflowRun closes a run, once: as success only when every task that was started has succeeded.
type EndWorkflowRun struct {
	RunID  string `json:"run_id"`
	State  string `json:"state"` // success or failed
	Reason string `json:"reason,omitempty"`
}

func (*EndWorkflowRun) CommandType() string { return "workflow.end_run" }
func (c *EndWorkflowRun) Stream() string    { return workflowRunStream(c.RunID) }

func (c *EndWorkflowRun) Validate() error {
	var f faults
	f.id("run_id", c.RunID)
	f.oneOf("state", c.State, "success", "failed")
	f.text("reason", c.Reason, TraceBytesMax)
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
