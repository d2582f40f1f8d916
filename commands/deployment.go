package commands

// DeployModel says which model version serves a slot from now on. In the slot production it moves the version
// to the stage Production, archives the model's others there, and points the alias champion at it, all in
// one commit: [StageModelVersion] and [SetModelAlias] say the same in other words. What is so already is
// no event.
type DeployModel struct {
	Slot    string `json:"slot"`
	Model   string `json:"model"`
	Version int    `json:"version"`
	Reason  string `json:"reason,omitempty"`
	Served  Served `json:"-"`
}

func (*DeployModel) CommandType() string { return "model.deploy" }
func (c *DeployModel) Stream() string    { return modelStream(c.Model) }

func (c *DeployModel) Validate() error {
	var f faults
	f.id("slot", c.Slot)
	f.modelName("model", c.Model)
	f.atLeast("version", int64(c.Version), 1)
	f.text("reason", c.Reason, TextBytesMax)
	return f.err()
}

// AliasChampion is the alias of the version that serves the slot production.
const AliasChampion = "champion"

// Served is what each slot serves, as the caller of a command saw it: the stream of a model cannot know that
// another model has taken a slot over. It is no part of what is asked for.
type Served map[string]ServedVersion

// ServedVersion is a version in a slot.
type ServedVersion struct {
	Model   string `json:"model"`
	Version int    `json:"version"`
}
