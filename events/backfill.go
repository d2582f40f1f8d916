package events

import "encoding/json"

// BackfillRequested has the schedule of a workflow run for those intervals that begin in a time and have no run. Stream "backfill/ID".
type BackfillRequested struct {
	BackfillID  string `json:"backfill_id"`
	Workflow    string `json:"workflow"`
	FromMillis  int64  `json:"from_millis"` // the first moment at which an interval may begin
	ToMillis    int64  `json:"to_millis"`   // the last
	MaxActive   int    `json:"max_active"`  // runs at once
	RerunFailed bool   `json:"rerun_failed,omitempty"`
	// RerunDone has what ended well done again too, LatestFirst begins with the last interval, and Conf is that of the runs it asks for. Since schema 2.
	RerunDone   bool              `json:"rerun_done,omitempty"`
	LatestFirst bool              `json:"latest_first,omitempty"`
	Conf        map[string]string `json:"conf,omitempty"`
}

// withoutBackfillConf makes schema 2 of schema 1, in which runs of backfills went by the defaults.
func withoutBackfillConf(raw json.RawMessage) (json.RawMessage, error) { return raw, nil }

func (*BackfillRequested) EventType() string { return "backfill.requested" }

// BackfillPaused has a backfill ask for no runs for now. Those that it has asked for go on.
type BackfillPaused struct {
	BackfillID string `json:"backfill_id"`
}

func (*BackfillPaused) EventType() string { return "backfill.paused" }

// BackfillUnpaused ends what [BackfillPaused] began.
type BackfillUnpaused struct {
	BackfillID string `json:"backfill_id"`
}

func (*BackfillUnpaused) EventType() string { return "backfill.unpaused" }

// BackfillEnded says that a backfill asks for no more runs: all its intervals have had one, or somebody has cancelled it.
type BackfillEnded struct {
	BackfillID string `json:"backfill_id"`
	State      string `json:"state"` // done or cancelled
	Reason     string `json:"reason,omitempty"`
}

func (*BackfillEnded) EventType() string { return "backfill.ended" }
