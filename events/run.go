package events

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
)

// RunStarted opens a run: one training or evaluation. Stream "run/ID".
type RunStarted struct {
	RunID        string            `json:"run_id"` // 32 hex digits
	ExperimentID string            `json:"experiment_id"`
	Name         string            `json:"name"`
	Params       map[string]string `json:"params,omitempty"`
	Tags         map[string]string `json:"tags,omitempty"`
	DatasetID    string            `json:"dataset_id,omitempty"`
	WorkflowRun  string            `json:"workflow_run,omitempty"`
	User         string            `json:"user,omitempty"` // of MLflow's clients, whom they say it is of
}

// withoutUser makes schema 2 of schema 1, in which that user was a tag.
func withoutUser(raw json.RawMessage) (json.RawMessage, error) { return raw, nil }

func (*RunStarted) EventType() string { return "run.started" }

// Metric is one value of one metric, as it was measured: what diverges is NaN or infinite.
type Metric struct {
	Key             string `json:"key"`
	Value           Number `json:"value"`
	Step            int64  `json:"step"`
	TimestampMillis int64  `json:"timestamp_millis"`
	// ModelID is the logged model that was measured, "" for none or the run as such; DatasetName and DatasetDigest are what
	// it was measured on, where that is said.
	ModelID       string `json:"model_id,omitempty"`
	DatasetName   string `json:"dataset_name,omitempty"`
	DatasetDigest string `json:"dataset_digest,omitempty"`
}

// OfRun is the value without what it says of a model.
func (m Metric) OfRun() Metric {
	m.ModelID, m.DatasetName, m.DatasetDigest = "", "", ""
	return m
}

// RunMetricsLogged adds values to a run's metric histories.
type RunMetricsLogged struct {
	RunID   string   `json:"run_id"`
	Metrics []Metric `json:"metrics"`
}

func (*RunMetricsLogged) EventType() string { return "run.metrics_logged" }

// MarshalJSON writes what encoding/json would: a training loop logs a million of them.
func (x *RunMetricsLogged) MarshalJSON() ([]byte, error) {
	b := make([]byte, 0, 100*len(x.Metrics)+64)
	b = appendText(append(b, `{"run_id":`...), x.RunID)
	if b = append(b, `,"metrics":`...); x.Metrics == nil {
		return append(b, "null}"...), nil
	}
	b = append(b, '[')
	for i := range x.Metrics {
		if i > 0 {
			b = append(b, ',')
		}
		m := &x.Metrics[i]
		b = appendText(append(b, `{"key":`...), m.Key)
		b = m.Value.AppendJSON(append(b, `,"value":`...))
		b = strconv.AppendInt(append(b, `,"step":`...), m.Step, 10)
		b = strconv.AppendInt(append(b, `,"timestamp_millis":`...), m.TimestampMillis, 10)
		if m.ModelID != "" {
			b = appendText(append(b, `,"model_id":`...), m.ModelID)
		}
		if m.DatasetName != "" {
			b = appendText(append(b, `,"dataset_name":`...), m.DatasetName)
		}
		if m.DatasetDigest != "" {
			b = appendText(append(b, `,"dataset_digest":`...), m.DatasetDigest)
		}
		b = append(b, '}')
	}
	return append(b, "]}"...), nil
}

// appendText appends a text as encoding/json writes it.
func appendText(b []byte, text string) []byte {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c >= 0x7f || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			quoted, _ := json.Marshal(text) //nolint:errcheck // a text has a JSON form
			return append(b, quoted...)
		}
	}
	return append(append(append(b, '"'), text...), '"')
}

func (x *RunMetricsLogged) plain() bool {
	return len(x.Metrics) > 0 && areTexts(x.RunID) && !slices.ContainsFunc(x.Metrics, func(m Metric) bool {
		return !areTexts(m.Key, m.ModelID, m.DatasetName, m.DatasetDigest)
	})
}

// onlyNumbers makes schema 2 of schema 1, in which every value was a number of JSON.
func onlyNumbers(raw json.RawMessage) (json.RawMessage, error) { return raw, nil }

// ofRunAlone makes schema 3 of schema 2, in which no value was a model's.
func ofRunAlone(raw json.RawMessage) (json.RawMessage, error) { return raw, nil }

// RunParamsLogged adds parameters to a run; a parameter is set once.
type RunParamsLogged struct {
	RunID  string            `json:"run_id"`
	Params map[string]string `json:"params"`
}

func (*RunParamsLogged) EventType() string { return "run.params_logged" }

// RunTagsSet sets tags of a run.
type RunTagsSet struct {
	RunID string            `json:"run_id"`
	Tags  map[string]string `json:"tags"`
}

func (*RunTagsSet) EventType() string { return "run.tags_set" }

// RunArtifactLogged names a file the run made.
type RunArtifactLogged struct {
	RunID string `json:"run_id"`
	Path  string `json:"path"` // "model/NAME.bin"
	Blob  string `json:"blob"` // SHA-256
	Bytes int64  `json:"bytes"`
}

func (*RunArtifactLogged) EventType() string { return "run.artifact_logged" }

// RunEnded closes a run.
type RunEnded struct {
	RunID  string `json:"run_id"`
	Status string `json:"status"` // FINISHED, FAILED or KILLED
	Reason string `json:"reason,omitempty"`
}

func (*RunEnded) EventType() string { return "run.ended" }

// RunResumed says that a run goes on after its end, or waits to.
type RunResumed struct {
	RunID  string `json:"run_id"`
	Status string `json:"status"` // RUNNING or SCHEDULED
}

func (*RunResumed) EventType() string { return "run.resumed" }

// RunRenamed gives a run another name.
type RunRenamed struct {
	RunID string `json:"run_id"`
	Name  string `json:"name"`
}

func (*RunRenamed) EventType() string { return "run.renamed" }

// RunTagRemoved removes a tag of a run.
type RunTagRemoved struct {
	RunID string `json:"run_id"`
	Key   string `json:"key"`
}

func (*RunTagRemoved) EventType() string { return "run.tag_removed" }

// RunDeleted marks a run as deleted: it is kept, and shown to who asks for deleted ones.
type RunDeleted struct {
	RunID string `json:"run_id"`
}

func (*RunDeleted) EventType() string { return "run.deleted" }

// RunRestored takes the mark of [RunDeleted] away.
type RunRestored struct {
	RunID string `json:"run_id"`
}

func (*RunRestored) EventType() string { return "run.restored" }

// RunArtifactDeleted says that a file of a run, or a folder with all below, is its no longer. The blobs nobody else names go.
type RunArtifactDeleted struct {
	RunID string `json:"run_id"`
	Path  string `json:"path"` // "" is all of them
}

// Within says whether a file's path is another, or below it.
func Within(path, at string) bool {
	return at == "" || path == at || strings.HasPrefix(path, at+"/")
}

func (*RunArtifactDeleted) EventType() string { return "run.artifact_deleted" }

// RunPurged says that a deleted run is gone for good: it is not shown any more, and its files are nobody's. What happened
// to it stays in the log.
type RunPurged struct {
	RunID string `json:"run_id"`
}

func (*RunPurged) EventType() string { return "run.purged" }
