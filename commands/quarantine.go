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

// Resolutions of a record in quarantine.
const (
	QuarantineReplaced = "replaced" // another fact was published in its place
	QuarantineDropped  = "dropped"  // nothing comes of it
)

// ResolveQuarantined says what was decided of a record in quarantine.
type ResolveQuarantined struct {
	Position   string `json:"position"`
	Resolution string `json:"resolution"`
	By         string `json:"by,omitempty"` // position of the fact that was published in its place
	Reason     string `json:"reason,omitempty"`
}

func (*ResolveQuarantined) CommandType() string { return "quarantine.resolve" }
func (c *ResolveQuarantined) Stream() string    { return "quarantine/" + c.Position }

func (c *ResolveQuarantined) Validate() error {
	var f faults
	f.required("position", c.Position, NameBytesMax)
	f.oneOf("resolution", c.Resolution, QuarantineReplaced, QuarantineDropped)
	f.line("by", c.By, NameBytesMax)
	f.text("reason", c.Reason, TextBytesMax)
	switch replaced := c.Resolution == QuarantineReplaced; {
	case replaced && c.By == "":
		f.add("by", "is needed: the position of the fact that was published in its place")
	case !replaced && c.By != "":
		f.add("by", "is of a record that was replaced alone")
	case !replaced && c.Reason == "":
		f.add("reason", "is needed: nothing comes of the record any more")
	}
	return f.err()
}
