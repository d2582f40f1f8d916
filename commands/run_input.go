package commands

import (
	"fmt"

	"github.com/projectionist/projectionist/events"
)

// Limits of what is said of a data set. A commit holds all of one request.
const (
	DatasetsMax        = 100       // and models, in one command
	DatasetNameMax     = 500       // bytes
	DatasetDigestMax   = 36        // bytes
	DatasetTextMax     = 128 << 10 // bytes of source, schema and profile, each
	datasetsBytesMax   = 700 << 10 // of all of them together: a commit is a record
	sourceTypeBytesMax = 36
)

// LogInputs says what a run was given. What it was given already is no event.
type LogInputs struct {
	RunID    string           `json:"run_id"`
	Datasets []events.Dataset `json:"datasets,omitempty"`
	Models   []string         `json:"models,omitempty"` // logged models
}

func (*LogInputs) CommandType() string { return "run.log_inputs" }
func (c *LogInputs) Stream() string    { return runStream(c.RunID) }

func (c *LogInputs) Validate() error {
	var f faults
	f.runID(c.RunID)
	if len(c.Datasets) > DatasetsMax {
		f.add("datasets", "has %d entries; the most is %d", len(c.Datasets), DatasetsMax)
		return f.err()
	}
	size := 0
	for i := range c.Datasets {
		d, at := &c.Datasets[i], fmt.Sprintf("datasets[%d]", i)
		f.required(at+".name", d.Name, DatasetNameMax)
		f.required(at+".digest", d.Digest, DatasetDigestMax)
		f.line(at+".source_type", d.SourceType, sourceTypeBytesMax)
		f.text(at+".source", d.Source, DatasetTextMax)
		f.text(at+".schema", d.Schema, DatasetTextMax)
		f.text(at+".profile", d.Profile, DatasetTextMax)
		f.pairs(at+".tags", d.Tags, PairsMax, TextBytesMax)
		size += len(d.Source) + len(d.Schema) + len(d.Profile)
		for k, v := range d.Tags {
			size += len(k) + len(v)
		}
	}
	if size > datasetsBytesMax {
		f.add("datasets", "have %d bytes of sources, schemas, profiles and tags; the most at once is %d", size, datasetsBytesMax)
	}
	f.loggedModels("models", len(c.Models), func(i int) string { return c.Models[i] })
	return f.err()
}

// LogOutputs says which logged models a run made. What is known is no event.
type LogOutputs struct {
	RunID  string               `json:"run_id"`
	Models []events.ModelOutput `json:"models"`
}

func (*LogOutputs) CommandType() string { return "run.log_outputs" }
func (c *LogOutputs) Stream() string    { return runStream(c.RunID) }

func (c *LogOutputs) Validate() error {
	var f faults
	f.runID(c.RunID)
	f.loggedModels("models", len(c.Models), func(i int) string { return c.Models[i].ModelID })
	return f.err()
}

func (f *faults) loggedModels(field string, n int, id func(int) string) {
	if n > DatasetsMax {
		f.add(field, "has %d entries; the most is %d", n, DatasetsMax)
		return
	}
	for i := range n {
		f.loggedModelID(fmt.Sprintf("%s[%d]", field, i), id(i))
	}
}
