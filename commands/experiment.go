package commands

import (
	"crypto/sha256"
	"encoding/binary"
	"strconv"
)

// CreateExperiment opens an experiment. Its id derives from its name, so that one stream judges who
// was first with a name and no two experiments can share one.
type CreateExperiment struct {
	Name        string            `json:"name"`
	Description string            `json:"description,omitempty"`
	Tags        map[string]string `json:"tags,omitempty"`
}

func (*CreateExperiment) CommandType() string { return "experiment.create" }
func (c *CreateExperiment) Stream() string    { return "experiment/" + c.ExperimentID() }

// DefaultExperiment is the experiment of runs that name none; MLflow's clients expect its id to be "0".
const DefaultExperiment = "Default"

// ExperimentID is the id the experiment has: "0" for [DefaultExperiment], else 18 decimal digits of the
// name's SHA-256, the form MLflow's own ids have.
func (c *CreateExperiment) ExperimentID() string {
	if c.Name == DefaultExperiment {
		return "0"
	}
	const smallest = 100_000_000_000_000_000 // the least number of 18 digits
	sum := sha256.Sum256([]byte(c.Name))
	return strconv.FormatUint(smallest+binary.BigEndian.Uint64(sum[:8])%(9*smallest), 10)
}

func (c *CreateExperiment) Validate() error {
	var f faults
	f.required("name", c.Name, NameBytesMax)
	f.text("description", c.Description, TextBytesMax)
	f.pairs("tags", c.Tags, PairsMax, TagBytesMax)
	return f.err()
}
