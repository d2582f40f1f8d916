package commands

// DeployModel says which model version serves a slot from now on. What is deployed already is no event.
// Whether the version exists is asked of the registry's view before: the slot's stream knows only the
// slot.
type DeployModel struct {
	Slot    string `json:"slot"`
	Model   string `json:"model"`
	Version int    `json:"version"`
	Blob    string `json:"blob"`
	Reason  string `json:"reason,omitempty"`
}

func (*DeployModel) CommandType() string { return "model.deploy" }
func (c *DeployModel) Stream() string    { return "deployment/" + c.Slot }

func (c *DeployModel) Validate() error {
	var f faults
	f.id("slot", c.Slot)
	f.modelName("model", c.Model)
	f.atLeast("version", int64(c.Version), 1)
	f.sha256("blob", c.Blob)
	f.text("reason", c.Reason, TextBytesMax)
	return f.err()
}
