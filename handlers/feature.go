package handlers

import (
	"time"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/streams"
)

// features knows which definitions are in force.
type features struct{ hash string }

func (s *features) evolve(d events.Data) {
	if e, ok := d.(*events.FeaturesDefined); ok {
		s.hash = e.Hash
	}
}

func (s *features) decide(c commands.Command, _ time.Time) ([]events.Data, error) {
	define, ok := c.(*commands.DefineFeatures)
	switch {
	case !ok:
		return nil, noRule(c)
	case s.hash == define.Hash:
		return nil, nil
	}
	return one(&events.FeaturesDefined{Definitions: define.Definitions, Hash: define.Hash})
}

// dataset knows the training set that was recorded under its id.
type dataset struct{ built *events.DatasetBuilt }

func (s *dataset) evolve(d events.Data) {
	if e, ok := d.(*events.DatasetBuilt); ok {
		s.built = e
	}
}

func (s *dataset) decide(c commands.Command, _ time.Time) ([]events.Data, error) {
	record, ok := c.(*commands.RecordDataset)
	if !ok {
		return nil, noRule(c)
	}
	cut, err := streams.ParseCut(record.Cut)
	if err != nil {
		return refuse(fault.Invalid, "cut", "%v", err)
	}
	built := events.DatasetBuilt(*record)
	built.Cut = cut.String() // one spelling, so that equal cuts are equal texts
	switch {
	case s.built == nil:
		return one(&built)
	case *s.built == built:
		return nil, nil
	}
	return refuse(fault.Conflict, "dataset_id", "data set %s is another one, with the cut %s; choose another id", record.DatasetID, s.built.Cut)
}
