package events

// ExperimentCreated opens an experiment, a named group of runs. Stream "experiment/ID".
type ExperimentCreated struct {
	ExperimentID string            `json:"experiment_id"`
	Name         string            `json:"name"`
	Description  string            `json:"description,omitempty"`
	Tags         map[string]string `json:"tags,omitempty"`
}

func (*ExperimentCreated) EventType() string { return "experiment.created" }
