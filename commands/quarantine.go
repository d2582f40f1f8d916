package commands

// RefusedBytesMax is how much of a refused record's key and value is kept.
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
	for name, b := range map[string][]byte{"key": c.Key, "value": c.Value} {
		if len(b) > RefusedBytesMax {
			f.add(name, "has %d bytes; at most %d are kept", len(b), RefusedBytesMax)
		}
	}
	return f.err()
}
