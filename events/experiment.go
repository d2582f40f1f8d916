package events

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"strconv"
)

// DefaultExperiment is the experiment of runs that name none; MLflow's clients expect its id to be "0".
const DefaultExperiment = "Default"

// ExperimentID is the id of the experiment that is the nth to begin under a name, 1 being the first: "0" for that of
// [DefaultExperiment], else 18 decimal digits of a SHA-256, the form MLflow's own ids have.
func ExperimentID(name string, nth int) string {
	if nth > 1 {
		name += "\n" + strconv.Itoa(nth) // no name has a line's end
	} else if name == DefaultExperiment {
		return "0"
	}
	const smallest = 100_000_000_000_000_000 // the least number of 18 digits
	sum := sha256.Sum256([]byte(name))
	return strconv.FormatUint(smallest+binary.BigEndian.Uint64(sum[:8])%(9*smallest), 10)
}

// ExperimentCreated opens an experiment, a named group of runs. Stream "experiment/ID".
type ExperimentCreated struct {
	ExperimentID     string            `json:"experiment_id"`
	Name             string            `json:"name"`
	Description      string            `json:"description,omitempty"`
	Tags             map[string]string `json:"tags,omitempty"`
	ArtifactLocation string            `json:"artifact_location,omitempty"` // URI under which runs keep their files; "" is this program's own store
}

func (*ExperimentCreated) EventType() string { return "experiment.created" }

// withoutLocation makes schema 2 of schema 1, in which every experiment's files were in this program's own store.
func withoutLocation(raw json.RawMessage) (json.RawMessage, error) { return raw, nil }

// ExperimentNameClaimed says which experiment is to have a name. Stream "experiment/ID" of the id that derives from the
// name. The experiment has it once its own stream says so, as its naming of that number; if that is another, the claim
// has come to nothing.
type ExperimentNameClaimed struct {
	Name         string             `json:"name"`
	ExperimentID string             `json:"experiment_id"`
	Naming       int                `json:"naming"`            // 1 is its creation
	Created      *ExperimentCreated `json:"created,omitempty"` // what it begins with, where it does
}

func (*ExperimentNameClaimed) EventType() string { return "experiment.name_claimed" }

// ExperimentRenamed gives an experiment another name. What it was is free for others.
type ExperimentRenamed struct {
	ExperimentID string `json:"experiment_id"`
	Name         string `json:"name"`
	Naming       int    `json:"naming"` // of the experiment, counted by its stream
}

func (*ExperimentRenamed) EventType() string { return "experiment.renamed" }

// ExperimentDeleted marks an experiment as deleted: it and its runs are kept, and shown to who asks for deleted ones.
type ExperimentDeleted struct {
	ExperimentID string `json:"experiment_id"`
}

func (*ExperimentDeleted) EventType() string { return "experiment.deleted" }

// ExperimentRestored takes the mark of [ExperimentDeleted] away.
type ExperimentRestored struct {
	ExperimentID string `json:"experiment_id"`
}

func (*ExperimentRestored) EventType() string { return "experiment.restored" }

// ExperimentTagsSet sets tags of an experiment.
type ExperimentTagsSet struct {
	ExperimentID string            `json:"experiment_id"`
	Tags         map[string]string `json:"tags"`
}

func (*ExperimentTagsSet) EventType() string { return "experiment.tags_set" }

// ExperimentTagRemoved removes a tag of an experiment.
type ExperimentTagRemoved struct {
	ExperimentID string `json:"experiment_id"`
	Key          string `json:"key"`
}

func (*ExperimentTagRemoved) EventType() string { return "experiment.tag_removed" }

// ExperimentPurged says that a deleted experiment is gone for good: it is not shown any more, and its name is free. Its runs
// and logged models go with it, each by an event of its own.
type ExperimentPurged struct {
	ExperimentID string `json:"experiment_id"`
}

func (*ExperimentPurged) EventType() string { return "experiment.purged" }
