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
