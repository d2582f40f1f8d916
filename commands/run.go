package commands

import (
	"fmt"

	"github.com/projectionist/projectionist/events"
)

// StartRun opens a run. Whether the experiment exists is asked of the registry's view before: a run's
// stream knows only the run.
type StartRun struct {
	RunID        string            `json:"run_id"` // 32 lower-case hex digits
	ExperimentID string            `json:"experiment_id"`
	Name         string            `json:"name"`
	Params       map[string]string `json:"params,omitempty"`
	Tags         map[string]string `json:"tags,omitempty"`
	DatasetID    string            `json:"dataset_id,omitempty"`
	WorkflowRun  string            `json:"workflow_run,omitempty"`
	User         string            `json:"user,omitempty"` // whom a client says it is of
}

func (*StartRun) CommandType() string { return "run.start" }
func (c *StartRun) Stream() string    { return runStream(c.RunID) }

func (c *StartRun) Validate() error {
	var f faults
	f.runID(c.RunID)
	f.id("experiment_id", c.ExperimentID)
	f.line("name", c.Name, NameBytesMax)
	f.pairs("params", c.Params, PairsMax, ParamBytesMax)
	f.pairs("tags", c.Tags, PairsMax, TagBytesMax)
	f.line("dataset_id", c.DatasetID, IDBytesMax)
	f.line("workflow_run", c.WorkflowRun, IDBytesMax)
	f.line("user", c.User, NameBytesMax)
	return f.err()
}

// LogMetrics adds values to the metric histories of an active run. They are finite: it is the program's own runs that
// log with it, and these fail where they diverge.
type LogMetrics struct {
	RunID   string          `json:"run_id"`
	Metrics []events.Metric `json:"metrics"`
}

func (*LogMetrics) CommandType() string { return "run.log_metrics" }
func (c *LogMetrics) Stream() string    { return runStream(c.RunID) }

func (c *LogMetrics) Validate() error {
	var f faults
	f.runID(c.RunID)
	if len(c.Metrics) == 0 {
		f.add("metrics", "must not be empty")
	}
	f.metrics(c.Metrics)
	for i := range c.Metrics {
		f.finite(fmt.Sprintf("metrics[%d].value", i), float64(c.Metrics[i].Value))
	}
	return f.err()
}

// metrics wants at most BatchMax values with keys as MLflow takes them.
func (f *faults) metrics(all []events.Metric) {
	if len(all) > BatchMax {
		f.add("metrics", "has %d entries; the most is %d", len(all), BatchMax)
		return
	}
	for i, m := range all {
		at := fmt.Sprintf("metrics[%d]", i)
		f.required(at+".key", m.Key, KeyBytesMax)
		if m.TimestampMillis < events.TimeMillisMin || m.TimestampMillis >= events.TimeMillisEnd {
			f.add(at+".timestamp_millis", "%d is outside 1970 to 2100 in Unix milliseconds", m.TimestampMillis)
		}
		f.line(at+".model_id", m.ModelID, IDBytesMax)
		f.line(at+".dataset_name", m.DatasetName, DatasetNameMax)
		f.line(at+".dataset_digest", m.DatasetDigest, DatasetDigestMax)
	}
}

// LogParams adds parameters to an active run. A parameter is set once: the same value again is no
// event, another is refused.
type LogParams struct {
	RunID  string            `json:"run_id"`
	Params map[string]string `json:"params"`
}

func (*LogParams) CommandType() string { return "run.log_params" }
func (c *LogParams) Stream() string    { return runStream(c.RunID) }

func (c *LogParams) Validate() error {
	var f faults
	f.runID(c.RunID)
	f.somePairs("params", c.Params, PairsMax, ParamBytesMax)
	return f.err()
}

// SetTags sets tags of a run, whether it is active or has ended: notes are written afterwards too.
type SetTags struct {
	RunID string            `json:"run_id"`
	Tags  map[string]string `json:"tags"`
}

func (*SetTags) CommandType() string { return "run.set_tags" }
func (c *SetTags) Stream() string    { return runStream(c.RunID) }

func (c *SetTags) Validate() error {
	var f faults
	f.runID(c.RunID)
	f.somePairs("tags", c.Tags, PairsMax, TagBytesMax)
	return f.err()
}

// LogArtifact names a file that an active run made. The same path again stands for the newer file.
type LogArtifact struct {
	RunID string `json:"run_id"`
	Path  string `json:"path"`
	Blob  string `json:"blob"`
	Bytes int64  `json:"bytes"`
	Late  bool   `json:"late,omitempty"` // also after the run's end, as MLflow's clients do
}

func (*LogArtifact) CommandType() string { return "run.log_artifact" }
func (c *LogArtifact) Stream() string    { return runStream(c.RunID) }

func (c *LogArtifact) Validate() error {
	var f faults
	f.runID(c.RunID)
	f.artifact(c.Path, c.Blob, c.Bytes)
	return f.err()
}

// EndRun closes a run, once. The same end again is no event.
type EndRun struct {
	RunID  string `json:"run_id"`
	Status string `json:"status"` // FINISHED, FAILED or KILLED
	Reason string `json:"reason,omitempty"`
}

func (*EndRun) CommandType() string { return "run.end" }
func (c *EndRun) Stream() string    { return runStream(c.RunID) }

func (c *EndRun) Validate() error {
	var f faults
	f.runID(c.RunID)
	f.oneOf("status", c.Status, "FINISHED", "FAILED", "KILLED")
	f.text("reason", c.Reason, TraceBytesMax)
	return f.err()
}

// LogBatch adds metrics, of any value, params and tags to a run in one commit. Its clients write to runs that have ended too: only a
// deleted one is refused. A param is set once, as of [LogParams].
type LogBatch struct {
	RunID   string            `json:"run_id"`
	Metrics []events.Metric   `json:"metrics,omitempty"`
	Params  map[string]string `json:"params,omitempty"`
	Tags    map[string]string `json:"tags,omitempty"`
}

func (*LogBatch) CommandType() string { return "run.log_batch" }
func (c *LogBatch) Stream() string    { return runStream(c.RunID) }

func (c *LogBatch) Validate() error {
	var f faults
	f.runID(c.RunID)
	f.metrics(c.Metrics)
	f.pairs("params", c.Params, PairsMax, ParamBytesMax)
	f.pairs("tags", c.Tags, PairsMax, TagBytesMax)
	return f.err()
}

// UpdateRun changes a run's status or name. A run that has ended may go on, or end otherwise; a deleted one is refused.
type UpdateRun struct {
	RunID  string `json:"run_id"`
	Status string `json:"status,omitempty"` // RUNNING, SCHEDULED, FINISHED, FAILED or KILLED; "" leaves it
	Name   string `json:"name,omitempty"`   // "" leaves it
}

func (*UpdateRun) CommandType() string { return "run.update" }
func (c *UpdateRun) Stream() string    { return runStream(c.RunID) }

func (c *UpdateRun) Validate() error {
	var f faults
	f.runID(c.RunID)
	if c.Status != "" {
		f.oneOf("status", c.Status, "RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED")
	}
	f.line("name", c.Name, NameBytesMax)
	return f.err()
}

// RemoveTag removes a tag of a run that is not deleted; one that is not set is refused as not there.
type RemoveTag struct {
	RunID string `json:"run_id"`
	Key   string `json:"key"`
}

func (*RemoveTag) CommandType() string { return "run.remove_tag" }
func (c *RemoveTag) Stream() string    { return runStream(c.RunID) }

func (c *RemoveTag) Validate() error {
	var f faults
	f.runID(c.RunID)
	f.required("key", c.Key, KeyBytesMax)
	return f.err()
}

// DeleteRun marks a run as deleted. One that is so already is no event.
type DeleteRun struct {
	RunID string `json:"run_id"`
}

func (*DeleteRun) CommandType() string { return "run.delete" }
func (c *DeleteRun) Stream() string    { return runStream(c.RunID) }
func (c *DeleteRun) Validate() error   { return validRun(c.RunID) }

// RestoreRun takes the mark of [DeleteRun] away. A run without it is no event.
type RestoreRun struct {
	RunID string `json:"run_id"`
}

func (*RestoreRun) CommandType() string { return "run.restore" }
func (c *RestoreRun) Stream() string    { return runStream(c.RunID) }
func (c *RestoreRun) Validate() error   { return validRun(c.RunID) }

// DeleteArtifact takes a file from a run, or a folder with all below; one that is not there is no event.
type DeleteArtifact struct {
	RunID string `json:"run_id"`
	Path  string `json:"path"` // "" is all files
}

func (*DeleteArtifact) CommandType() string { return "run.delete_artifact" }
func (c *DeleteArtifact) Stream() string    { return runStream(c.RunID) }

func (c *DeleteArtifact) Validate() error {
	var f faults
	f.runID(c.RunID)
	f.line("path", c.Path, pathBytesMax)
	return f.err()
}

// PurgeRun lets a run go for good that is deleted, or whose experiment is purged: its stream cannot know that.
type PurgeRun struct {
	RunID      string `json:"run_id"`
	Experiment string `json:"purged_experiment_id,omitempty"` // which it was in; "" for none
}

func (*PurgeRun) CommandType() string { return "run.purge" }
func (c *PurgeRun) Stream() string    { return runStream(c.RunID) }
func (c *PurgeRun) Validate() error   { return validRun(c.RunID) }

func validRun(id string) error {
	var f faults
	f.runID(id)
	return f.err()
}

func runStream(id string) string { return "run/" + id }

func (f *faults) runID(id string) { f.hex("run_id", id, 32, "a run's id") }
