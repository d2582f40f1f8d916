package commands

// WriteDeadLetter says that a reactor gave up on an event. Written again while it is open it is no event.
type WriteDeadLetter struct {
	DeadLetterID string `json:"dead_letter_id"`
	Reactor      string `json:"reactor"`
	Position     string `json:"position"`
	EventID      string `json:"event_id"`
	Error        string `json:"error"`
	Attempts     int    `json:"attempts"`
}

func (*WriteDeadLetter) CommandType() string { return "dead_letter.write" }
func (c *WriteDeadLetter) Stream() string    { return deadLetterStream(c.DeadLetterID) }

func (c *WriteDeadLetter) Validate() error {
	var f faults
	f.id("dead_letter_id", c.DeadLetterID)
	f.required("reactor", c.Reactor, NameBytesMax)
	f.required("position", c.Position, NameBytesMax)
	f.line("event_id", c.EventID, NameBytesMax)
	f.trace("error", c.Error)
	f.atLeast("attempts", int64(c.Attempts), 1)
	return f.err()
}

// ResolveDeadLetter closes a dead letter.
type ResolveDeadLetter struct {
	DeadLetterID string `json:"dead_letter_id"`
	Resolution   string `json:"resolution"` // retried or dropped
	Reason       string `json:"reason,omitempty"`
}

func (*ResolveDeadLetter) CommandType() string { return "dead_letter.resolve" }
func (c *ResolveDeadLetter) Stream() string    { return deadLetterStream(c.DeadLetterID) }

func (c *ResolveDeadLetter) Validate() error {
	var f faults
	f.id("dead_letter_id", c.DeadLetterID)
	f.oneOf("resolution", c.Resolution, "retried", "dropped")
	f.text("reason", c.Reason, TextBytesMax)
	return f.err()
}

func deadLetterStream(id string) string { return "dead-letter/" + id }
