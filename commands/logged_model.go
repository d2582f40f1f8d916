package commands

import (
	"path"
	"strings"
)

// CreateLoggedModel opens a logged model. Whether experiment and run exist is asked of their views before.
type CreateLoggedModel struct {
	ModelID      string            `json:"model_id"` // "m-" and 32 lower-case hex digits
	ExperimentID string            `json:"experiment_id"`
	Name         string            `json:"name"`
	ModelType    string            `json:"model_type,omitempty"`
	SourceRunID  string            `json:"source_run_id,omitempty"`
	Params       map[string]string `json:"params,omitempty"`
	Tags         map[string]string `json:"tags,omitempty"`
}

func (*CreateLoggedModel) CommandType() string { return "logged_model.create" }
func (c *CreateLoggedModel) Stream() string    { return loggedModelStream(c.ModelID) }

func (c *CreateLoggedModel) Validate() error {
	var f faults
	f.loggedModelID("model_id", c.ModelID)
	f.id("experiment_id", c.ExperimentID)
	f.required("name", c.Name, NameBytesMax)
	f.line("model_type", c.ModelType, NameBytesMax)
	if c.SourceRunID != "" { // of any server
		f.id("source_run_id", c.SourceRunID)
	}
	f.pairs("params", c.Params, PairsMax, ParamBytesMax)
	f.pairs("tags", c.Tags, PairsMax, TagBytesMax)
	return f.err()
}

// FinalizeLoggedModel says whether a logged model's files are all there. The same again is no event.
type FinalizeLoggedModel struct {
	ModelID string `json:"model_id"`
	Status  string `json:"status"` // READY or FAILED
}

func (*FinalizeLoggedModel) CommandType() string { return "logged_model.finalize" }
func (c *FinalizeLoggedModel) Stream() string    { return loggedModelStream(c.ModelID) }

func (c *FinalizeLoggedModel) Validate() error {
	var f faults
	f.loggedModelID("model_id", c.ModelID)
	f.oneOf("status", c.Status, "READY", "FAILED")
	return f.err()
}

// LogLoggedModelParams adds parameters to a logged model. A parameter is set once, as of [LogParams].
type LogLoggedModelParams struct {
	ModelID string            `json:"model_id"`
	Params  map[string]string `json:"params"`
}

func (*LogLoggedModelParams) CommandType() string { return "logged_model.log_params" }
func (c *LogLoggedModelParams) Stream() string    { return loggedModelStream(c.ModelID) }

func (c *LogLoggedModelParams) Validate() error {
	var f faults
	f.loggedModelID("model_id", c.ModelID)
	f.somePairs("params", c.Params, PairsMax, ParamBytesMax)
	return f.err()
}

// SetLoggedModelTags sets tags of a logged model.
type SetLoggedModelTags struct {
	ModelID string            `json:"model_id"`
	Tags    map[string]string `json:"tags"`
}

func (*SetLoggedModelTags) CommandType() string { return "logged_model.set_tags" }
func (c *SetLoggedModelTags) Stream() string    { return loggedModelStream(c.ModelID) }

func (c *SetLoggedModelTags) Validate() error {
	var f faults
	f.loggedModelID("model_id", c.ModelID)
	f.somePairs("tags", c.Tags, PairsMax, TagBytesMax)
	return f.err()
}

// NoteModelVersion notes on a logged model that it became a version of a registered model.
type NoteModelVersion struct {
	ModelID string `json:"model_id"`
	Name    string `json:"name"`
	Version int    `json:"version"`
}

func (*NoteModelVersion) CommandType() string { return "logged_model.note_version" }
func (c *NoteModelVersion) Stream() string    { return loggedModelStream(c.ModelID) }

func (c *NoteModelVersion) Validate() error {
	var f faults
	f.loggedModelID("model_id", c.ModelID)
	f.modelName("name", c.Name)
	f.atLeast("version", int64(c.Version), 1)
	return f.err()
}

// RemoveLoggedModelTag removes a tag of a logged model; one that is not set is refused as not there.
type RemoveLoggedModelTag struct {
	ModelID string `json:"model_id"`
	Key     string `json:"key"`
}

func (*RemoveLoggedModelTag) CommandType() string { return "logged_model.remove_tag" }
func (c *RemoveLoggedModelTag) Stream() string    { return loggedModelStream(c.ModelID) }

func (c *RemoveLoggedModelTag) Validate() error {
	var f faults
	f.loggedModelID("model_id", c.ModelID)
	f.required("key", c.Key, KeyBytesMax)
	return f.err()
}

// LogLoggedModelArtifact names a file of a logged model. The same path again stands for the newer file.
type LogLoggedModelArtifact struct {
	ModelID string `json:"model_id"`
	Path    string `json:"path"`
	Blob    string `json:"blob"`
	Bytes   int64  `json:"bytes"`
}

func (*LogLoggedModelArtifact) CommandType() string { return "logged_model.log_artifact" }
func (c *LogLoggedModelArtifact) Stream() string    { return loggedModelStream(c.ModelID) }

func (c *LogLoggedModelArtifact) Validate() error {
	var f faults
	f.loggedModelID("model_id", c.ModelID)
	f.artifact(c.Path, c.Blob, c.Bytes)
	return f.err()
}

const pathBytesMax = 1024 // of a file of a run or a logged model

// artifact wants a file: a relative path, and its content.
func (f *faults) artifact(at, blob string, size int64) {
	f.required("path", at, pathBytesMax)
	if at != "" && (path.Clean("/"+at) != "/"+at || strings.Contains(at, `\`)) {
		f.add("path", "is %q; want a relative path with forward slashes and no dots, such as model/weights.bin", at)
	}
	f.sha256("blob", blob)
	f.atLeast("bytes", size, 0)
}

// DeleteLoggedModel marks a logged model as deleted.
type DeleteLoggedModel struct {
	ModelID string `json:"model_id"`
}

func (*DeleteLoggedModel) CommandType() string { return "logged_model.delete" }
func (c *DeleteLoggedModel) Stream() string    { return loggedModelStream(c.ModelID) }

func (c *DeleteLoggedModel) Validate() error {
	var f faults
	f.loggedModelID("model_id", c.ModelID)
	return f.err()
}

// DeleteLoggedModelArtifact is [DeleteArtifact] of a logged model.
type DeleteLoggedModelArtifact struct {
	ModelID string `json:"model_id"`
	Path    string `json:"path"` // "" is all files
}

func (*DeleteLoggedModelArtifact) CommandType() string { return "logged_model.delete_artifact" }
func (c *DeleteLoggedModelArtifact) Stream() string    { return loggedModelStream(c.ModelID) }

func (c *DeleteLoggedModelArtifact) Validate() error {
	var f faults
	f.loggedModelID("model_id", c.ModelID)
	f.line("path", c.Path, pathBytesMax)
	return f.err()
}

// PurgeLoggedModel is [PurgeRun] of a logged model.
type PurgeLoggedModel struct {
	ModelID    string `json:"model_id"`
	Experiment string `json:"purged_experiment_id,omitempty"`
}

func (*PurgeLoggedModel) CommandType() string { return "logged_model.purge" }
func (c *PurgeLoggedModel) Stream() string    { return loggedModelStream(c.ModelID) }

func (c *PurgeLoggedModel) Validate() error {
	var f faults
	f.loggedModelID("model_id", c.ModelID)
	return f.err()
}

func loggedModelStream(id string) string { return "logged-model/" + id }

func (f *faults) loggedModelID(field, id string) {
	digits, ok := strings.CutPrefix(id, "m-")
	if !ok || len(digits) != 32 || strings.Trim(digits, "0123456789abcdef") != "" {
		f.add(field, `must be a logged model's id: "m-" and 32 lower-case hex digits`)
	}
}
