package events

// ModelDrift is an alert of drift. Topic "model-drift-alerts".
type ModelDrift struct {
	ModelName    string             `json:"model_name"`
	ModelVersion string             `json:"model_version,omitempty"`
	DriftScore   float64            `json:"drift_score"`
	Threshold    float64            `json:"threshold"`
	Timestamp    string             `json:"timestamp"`
	Metrics      map[string]float64 `json:"metrics,omitempty"`
}

func (*ModelDrift) EventType() string { return "model.drift" }
