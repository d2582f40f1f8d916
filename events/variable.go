package events

// VariableSet gives a variable of workflows a value. Stream "variable/KEY".
type VariableSet struct {
	Key         string `json:"key"`
	Value       string `json:"value"`
	Description string `json:"description,omitempty"`
}

func (*VariableSet) EventType() string { return "variable.set" }

// VariableDeleted takes a variable away.
type VariableDeleted struct {
	Key string `json:"key"`
}

func (*VariableDeleted) EventType() string { return "variable.deleted" }
