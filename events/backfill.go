package events

// BackfillRequested has the schedule of a workflow run for those intervals that begin in a time and have no run. Stream "backfill/ID".
type BackfillRequested struct {
	BackfillID  string `json:"backfill_id"`
	Workflow    string `json:"workflow"`
	FromMillis  int64  `json:"from_millis"` // the first moment at which an interval may begin
	ToMillis    int64  `json:"to_millis"`   // the last
	MaxActive   int    `json:"max_active"`  // runs at once
	RerunFailed bool   `json:"rerun_failed,omitempty"`
}

func (*BackfillRequested) EventType() string { return "backfill.requested" }

// BackfillEnded says that a backfill asks for no more runs: all its intervals have had one, or somebody has cancelled it.
type BackfillEnded struct {
	BackfillID string `json:"backfill_id"`
	State      string `json:"state"` // done or cancelled
	Reason     string `json:"reason,omitempty"`
}

func (*BackfillEnded) EventType() string { return "backfill.ended" }
