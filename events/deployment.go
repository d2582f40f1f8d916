package events

// ProductionSlot is the slot that recommendations are served from.
const ProductionSlot = "production"

// ModelDeployed says which model version serves a slot from now on. Stream "model/NAME"; in older logs
// "deployment/SLOT".
type ModelDeployed struct {
	Slot            string `json:"slot"` // "production"
	Model           string `json:"model"`
	Version         int    `json:"version"`
	Blob            string `json:"blob"`
	PreviousModel   string `json:"previous_model,omitempty"`
	PreviousVersion int    `json:"previous_version,omitempty"`
	Reason          string `json:"reason,omitempty"`
}

func (*ModelDeployed) EventType() string { return "model.deployed" }
