package commands

import "github.com/projectionist/projectionist/events"

// CreateExperiment opens an experiment. The id of the first of a name derives from it, and its stream is where the name is
// claimed, by others too, so that no two experiments can share one.
type CreateExperiment struct {
	Name        string            `json:"name"`
	Description string            `json:"description,omitempty"`
	Tags        map[string]string `json:"tags,omitempty"`
	// ArtifactLocation is the URI under which its runs keep their files; "" is this program's own store.
	ArtifactLocation string `json:"artifact_location,omitempty"`
}

func (*CreateExperiment) CommandType() string { return "experiment.create" }
func (c *CreateExperiment) Stream() string    { return experimentStream(events.ExperimentID(c.Name, 1)) }

// experimentNameMax is bytes of 500 letters, MLflow's limit, of the widest.
const experimentNameMax = 4 * 500

// DefaultExperiment is the experiment of runs that name none.
const DefaultExperiment = events.DefaultExperiment

func (c *CreateExperiment) Validate() error {
	var f faults
	f.required("name", c.Name, experimentNameMax)
	f.text("description", c.Description, TextBytesMax)
	f.pairs("tags", c.Tags, PairsMax, TagBytesMax)
	f.line("artifact_location", c.ArtifactLocation, TextBytesMax)
	return f.err()
}

// RenameExperiment gives an experiment that is not deleted another name, if nobody has that.
type RenameExperiment struct {
	ExperimentID string `json:"experiment_id"`
	Name         string `json:"name"`
}

func (*RenameExperiment) CommandType() string { return "experiment.rename" }
func (c *RenameExperiment) Stream() string    { return experimentStream(c.ExperimentID) }

// NameStream is the stream in which the new name is claimed.
func (c *RenameExperiment) NameStream() string {
	return experimentStream(events.ExperimentID(c.Name, 1))
}

func (c *RenameExperiment) Validate() error {
	var f faults
	f.id("experiment_id", c.ExperimentID)
	f.required("name", c.Name, experimentNameMax)
	return f.err()
}

// DeleteExperiment marks an experiment as deleted. One that is so already is refused as not there.
type DeleteExperiment struct {
	ExperimentID string `json:"experiment_id"`
}

func (*DeleteExperiment) CommandType() string { return "experiment.delete" }
func (c *DeleteExperiment) Stream() string    { return experimentStream(c.ExperimentID) }
func (c *DeleteExperiment) Validate() error   { return validExperiment(c.ExperimentID) }

// RestoreExperiment takes the mark of [DeleteExperiment] away. One without it is refused as not there.
type RestoreExperiment struct {
	ExperimentID string `json:"experiment_id"`
}

func (*RestoreExperiment) CommandType() string { return "experiment.restore" }
func (c *RestoreExperiment) Stream() string    { return experimentStream(c.ExperimentID) }
func (c *RestoreExperiment) Validate() error   { return validExperiment(c.ExperimentID) }

// SetExperimentTags sets tags of an experiment that is not deleted.
type SetExperimentTags struct {
	ExperimentID string            `json:"experiment_id"`
	Tags         map[string]string `json:"tags"`
}

func (*SetExperimentTags) CommandType() string { return "experiment.set_tags" }
func (c *SetExperimentTags) Stream() string    { return experimentStream(c.ExperimentID) }

func (c *SetExperimentTags) Validate() error {
	var f faults
	f.id("experiment_id", c.ExperimentID)
	f.somePairs("tags", c.Tags, PairsMax, TagBytesMax)
	return f.err()
}

// RemoveExperimentTag removes a tag of an experiment that is not deleted; one that is not set is refused as not there.
type RemoveExperimentTag struct {
	ExperimentID string `json:"experiment_id"`
	Key          string `json:"key"`
}

func (*RemoveExperimentTag) CommandType() string { return "experiment.remove_tag" }
func (c *RemoveExperimentTag) Stream() string    { return experimentStream(c.ExperimentID) }

func (c *RemoveExperimentTag) Validate() error {
	var f faults
	f.id("experiment_id", c.ExperimentID)
	f.required("key", c.Key, KeyBytesMax)
	return f.err()
}

// PurgeExperiment lets a deleted experiment go for good. Its runs and logged models are to follow.
type PurgeExperiment struct {
	ExperimentID string `json:"experiment_id"`
}

func (*PurgeExperiment) CommandType() string { return "experiment.purge" }
func (c *PurgeExperiment) Stream() string    { return experimentStream(c.ExperimentID) }
func (c *PurgeExperiment) Validate() error   { return validExperiment(c.ExperimentID) }

func experimentStream(id string) string { return "experiment/" + id }

func validExperiment(id string) error {
	var f faults
	f.id("experiment_id", id)
	return f.err()
}
