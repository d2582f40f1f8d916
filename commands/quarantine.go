package commands

// RefusedBytesMax is how much of a refused record's key and value is kept, and of a refused line.
const RefusedBytesMax = 4096

// RefuseFact notes records that were refused at the door.
type RefuseFact struct {
	Topic  string `json:"topic"`
	Reason string `json:"reason"`
	Count  int64  `json:"count"`
	Key    []byte `json:"key,omitempty"`
	Value  []byte `json:"value,omitempty"`
}

func (*RefuseFact) CommandType() string { return "fact.refuse" }
func (c *RefuseFact) Stream() string    { return "refusal/" + c.Topic }

func (c *RefuseFact) Validate() error {
	var f faults
	f.id("topic", c.Topic)
	f.trace("reason", c.Reason)
	f.atLeast("count", c.Count, 1)
	f.refused("key", c.Key)
	f.refused("value", c.Value)
	return f.err()
}

func (f *faults) refused(field string, b []byte) {
	if len(b) > RefusedBytesMax {
		f.add(field, "has %d bytes; at most %d are kept", len(b), RefusedBytesMax)
	}
}
