package events

// LoggedModelCreated opens a logged model: files that a run, or somebody, makes, with what they were made by. Whether one
// becomes a version of a registered model is decided there. Stream "logged-model/ID".
type LoggedModelCreated struct {
	ModelID      string            `json:"model_id"` // "m-" and 32 hex digits
	ExperimentID string            `json:"experiment_id"`
	Name         string            `json:"name"`
	ModelType    string            `json:"model_type,omitempty"`
	SourceRunID  string            `json:"source_run_id,omitempty"`
	Params       map[string]string `json:"params,omitempty"`
	Tags         map[string]string `json:"tags,omitempty"`
}

func (*LoggedModelCreated) EventType() string { return "logged_model.created" }

// LoggedModelFinalized says whether a logged model's files are all there.
type LoggedModelFinalized struct {
	ModelID string `json:"model_id"`
	Status  string `json:"status"` // READY or FAILED
}

func (*LoggedModelFinalized) EventType() string { return "logged_model.finalized" }

// LoggedModelParamsLogged adds parameters to a logged model; a parameter is set once.
type LoggedModelParamsLogged struct {
	ModelID string            `json:"model_id"`
	Params  map[string]string `json:"params"`
}

func (*LoggedModelParamsLogged) EventType() string { return "logged_model.params_logged" }

// LoggedModelTagsSet sets tags of a logged model.
type LoggedModelTagsSet struct {
	ModelID string            `json:"model_id"`
	Tags    map[string]string `json:"tags"`
}

func (*LoggedModelTagsSet) EventType() string { return "logged_model.tags_set" }

// LoggedModelTagRemoved removes a tag of a logged model.
type LoggedModelTagRemoved struct {
	ModelID string `json:"model_id"`
	Key     string `json:"key"`
}

func (*LoggedModelTagRemoved) EventType() string { return "logged_model.tag_removed" }

// LoggedModelArtifactLogged names a file of a logged model.
type LoggedModelArtifactLogged struct {
	ModelID string `json:"model_id"`
	Path    string `json:"path"`
	Blob    string `json:"blob"` // SHA-256
	Bytes   int64  `json:"bytes"`
}

func (*LoggedModelArtifactLogged) EventType() string { return "logged_model.artifact_logged" }

// LoggedModelDeleted marks a logged model as deleted: it is not found any more, its files are.
type LoggedModelDeleted struct {
	ModelID string `json:"model_id"`
}

func (*LoggedModelDeleted) EventType() string { return "logged_model.deleted" }

// LoggedModelArtifactDeleted says that a file of a logged model, or a folder with all below, is its no longer.
type LoggedModelArtifactDeleted struct {
	ModelID string `json:"model_id"`
	Path    string `json:"path"` // "" is all of them
}

func (*LoggedModelArtifactDeleted) EventType() string { return "logged_model.artifact_deleted" }

// LoggedModelPurged says that a deleted logged model is gone for good, as [RunPurged] says of a run.
type LoggedModelPurged struct {
	ModelID string `json:"model_id"`
}

func (*LoggedModelPurged) EventType() string { return "logged_model.purged" }
