package commands

// Bounds of a backfill.
const (
	BackfillSlotsMax  = 10_000
	BackfillActiveMax = 1000
)

// RequestBackfill has a workflow run for the intervals of its schedule that begin in a time and have no run.
type RequestBackfill struct {
	BackfillID  string `json:"backfill_id"`
	Workflow    string `json:"workflow"`
	FromMillis  int64  `json:"from_millis"`
	ToMillis    int64  `json:"to_millis"`
	MaxActive   int    `json:"max_active"`
	RerunFailed bool   `json:"rerun_failed,omitempty"`

	RerunDone   bool              `json:"rerun_done,omitempty"`   // what ended well too
	LatestFirst bool              `json:"latest_first,omitempty"` // begins with the last interval
	Conf        map[string]string `json:"conf,omitempty"`         // of the runs; those that are done again keep theirs
}

func (*RequestBackfill) CommandType() string { return "backfill.request" }
func (c *RequestBackfill) Stream() string    { return "backfill/" + c.BackfillID }

func (c *RequestBackfill) Validate() error {
	var f faults
	f.id("backfill_id", c.BackfillID)
	f.required("workflow", c.Workflow, NameBytesMax)
	f.atLeast("from", c.FromMillis, 0)
	if c.ToMillis < c.FromMillis {
		f.add("to", "is before from")
	}
	if c.MaxActive < 1 || c.MaxActive > BackfillActiveMax {
		f.add("max_active", "is %d; want 1 to %d", c.MaxActive, BackfillActiveMax)
	}
	f.pairs("conf", c.Conf, PairsMax, ParamBytesMax)
	return f.err()
}

// EndBackfill has a backfill ask for no more runs. Those that it has asked for go on.
type EndBackfill struct {
	BackfillID string `json:"backfill_id"`
	State      string `json:"state"` // done or cancelled
	Reason     string `json:"reason,omitempty"`
}

func (*EndBackfill) CommandType() string { return "backfill.end" }
func (c *EndBackfill) Stream() string    { return "backfill/" + c.BackfillID }

func (c *EndBackfill) Validate() error {
	var f faults
	f.id("backfill_id", c.BackfillID)
	f.oneOf("state", c.State, "done", "cancelled")
	f.text("reason", c.Reason, TextBytesMax)
	return f.err()
}

// PauseBackfill has a backfill ask for no runs for now. One that is paused already is no event.
type PauseBackfill struct {
	BackfillID string `json:"backfill_id"`
}

func (*PauseBackfill) CommandType() string { return "backfill.pause" }
func (c *PauseBackfill) Stream() string    { return "backfill/" + c.BackfillID }

func (c *PauseBackfill) Validate() error {
	var f faults
	f.id("backfill_id", c.BackfillID)
	return f.err()
}

// UnpauseBackfill ends what [PauseBackfill] began.
type UnpauseBackfill struct {
	BackfillID string `json:"backfill_id"`
}

func (*UnpauseBackfill) CommandType() string { return "backfill.unpause" }
func (c *UnpauseBackfill) Stream() string    { return "backfill/" + c.BackfillID }

func (c *UnpauseBackfill) Validate() error {
	var f faults
	f.id("backfill_id", c.BackfillID)
	return f.err()
}
