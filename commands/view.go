package commands

// SkipViewEvent is an operator's word that a view shall pass over one record it cannot fold.
type SkipViewEvent struct {
	View     string `json:"view"`
	Position string `json:"position"` // "topic/partition@offset"
	Reason   string `json:"reason"`
}

func (*SkipViewEvent) CommandType() string { return "view.skip_event" }
func (c *SkipViewEvent) Stream() string    { return "view/" + c.View }

func (c *SkipViewEvent) Validate() error {
	var f faults
	f.id("view", c.View)
	f.required("position", c.Position, NameBytesMax)
	if c.Reason == "" {
		f.add("reason", "must not be empty: a record is passed over for good")
	}
	f.text("reason", c.Reason, TextBytesMax)
	return f.err()
}
