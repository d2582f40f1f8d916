package commands

// VariableBytesMax bounds a variable's value.
const VariableBytesMax = 64 << 10

// SetVariable gives a variable a value. The same again is no event.
type SetVariable struct {
	Key         string `json:"key"`
	Value       string `json:"value"`
	Description string `json:"description,omitempty"`
}

func (*SetVariable) CommandType() string { return "variable.set" }
func (c *SetVariable) Stream() string    { return "variable/" + c.Key }

func (c *SetVariable) Validate() error {
	var f faults
	f.id("key", c.Key)
	f.text("value", c.Value, VariableBytesMax)
	f.text("description", c.Description, TextBytesMax)
	return f.err()
}

// DeleteVariable takes a variable away.
type DeleteVariable struct {
	Key string `json:"key"`
}

func (*DeleteVariable) CommandType() string { return "variable.delete" }
func (c *DeleteVariable) Stream() string    { return "variable/" + c.Key }

func (c *DeleteVariable) Validate() error {
	var f faults
	f.id("key", c.Key)
	return f.err()
}
