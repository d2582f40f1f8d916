package events

// Dataset is data that a run was given, as its client describes it.
type Dataset struct {
	Name       string            `json:"name"`
	Digest     string            `json:"digest"`
	SourceType string            `json:"source_type"`
	Source     string            `json:"source"`
	Schema     string            `json:"schema,omitempty"`
	Profile    string            `json:"profile,omitempty"`
	Tags       map[string]string `json:"tags,omitempty"` // of its use by the run, such as what for
}

// RunInputsLogged says what a run was given: data sets, and logged models.
type RunInputsLogged struct {
	RunID    string    `json:"run_id"`
	Datasets []Dataset `json:"datasets,omitempty"`
	Models   []string  `json:"models,omitempty"`
}

func (*RunInputsLogged) EventType() string { return "run.inputs_logged" }

// ModelOutput is a logged model that a run made, and at which step.
type ModelOutput struct {
	ModelID string `json:"model_id"`
	Step    int64  `json:"step"`
}

// RunOutputsLogged says which logged models a run made.
type RunOutputsLogged struct {
	RunID  string        `json:"run_id"`
	Models []ModelOutput `json:"models"`
}

func (*RunOutputsLogged) EventType() string { return "run.outputs_logged" }
