package events

// DeadLettered says that a reactor gave up on an event. Stream "dead-letter/ID".
type DeadLettered struct {
	DeadLetterID string `json:"dead_letter_id"`
	Reactor      string `json:"reactor"`
	Position     string `json:"position"`
	EventID      string `json:"event_id"`
	Error        string `json:"error"`
	Attempts     int    `json:"attempts"`
}

func (*DeadLettered) EventType() string { return "dead_letter.written" }

// DeadLetterResolved closes a dead letter: retried or dropped by an operator.
type DeadLetterResolved struct {
	DeadLetterID string `json:"dead_letter_id"`
	Resolution   string `json:"resolution"` // retried or dropped
	Reason       string `json:"reason,omitempty"`
}

func (*DeadLetterResolved) EventType() string { return "dead_letter.resolved" }
