package events

// FactRefused says that records which a Kafka client produced to a feed were refused, since no view could
// have read them: the client only got a code. Of those that came in one second for one reason the first
// is kept. Stream "refusal/TOPIC".
//
// Of an import it says that a line of a file was passed over: the key is "FILE:LINE", the value what stands
// there. Stream "import/ID".
type FactRefused struct {
	Topic  string `json:"topic"`
	Reason string `json:"reason"`
	Count  int64  `json:"count"`           // of records
	Key    []byte `json:"key,omitempty"`   // base64 in JSON, as it may hold anything; cut off where it is long
	Value  []byte `json:"value,omitempty"` // likewise
}

func (*FactRefused) EventType() string { return "fact.refused" }

// QuarantineResolved says what was decided of a record in quarantine. The record stays as it is; where another fact was published in its place, By
// says where that is. Stream "quarantine/POSITION".
type QuarantineResolved struct {
	Position   string `json:"position"`   // of the record; of one that was refused, of the event that says so
	Resolution string `json:"resolution"` // replaced or dropped
	By         string `json:"by,omitempty"`
	Reason     string `json:"reason,omitempty"`
}

func (*QuarantineResolved) EventType() string { return "quarantine.resolved" }
