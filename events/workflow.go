package events

// WorkflowRunRequested opens a run of a workflow. Stream "workflow-run/ID".
type WorkflowRunRequested struct {
	RunID    string            `json:"run_id"`
	Workflow string            `json:"workflow"` // "movie_training_pipeline", "movie_data_collection"
	RunType  string            `json:"run_type"` // manual, scheduled, triggered
	Conf     map[string]string `json:"conf,omitempty"`
	Note     string            `json:"note,omitempty"`
}

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

// WorkflowRunEnded closes the run.
type WorkflowRunEnded struct {
	RunID  string `json:"run_id"`
	State  string `json:"state"` // success or failed
	Reason string `json:"reason,omitempty"`
}

func (*WorkflowRunEnded) EventType() string { return "workflow.run_ended" }
