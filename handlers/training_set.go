package handlers

import (
	"time"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/streams"
)

// trainingSet knows the versions of a set: which blob each identity has.
type trainingSet struct {
	versions int
	blobs    map[string]string
}

func (s *trainingSet) evolve(d events.Data) {
	if e, ok := d.(*events.TrainingSetVersioned); ok {
		s.versions = e.Version
		s.blobs[e.Identity] = e.Blob
	}
}

func (s *trainingSet) decide(c commands.Command, _ time.Time) ([]events.Data, error) {
	v, ok := c.(*commands.VersionTrainingSet)
	if !ok {
		return nil, noRule(c)
	}
	cut, err := streams.ParseCut(v.Cut)
	if err != nil {
		return refuse(fault.Invalid, "cut", "%v", err)
	}
	e := &events.TrainingSetVersioned{Name: v.Name, Version: s.versions + 1, FeaturesHash: v.FeaturesHash, EntitiesHash: v.EntitiesHash,
		Cut: cut.String(), Columns: v.Columns, KnownAtRow: v.KnownAtRow, Exclusive: v.Exclusive, Blob: v.Blob, Bytes: v.Bytes, Rows: v.Rows,
		FeatureViews: v.FeatureViews, References: v.References}
	e.Identity = e.Identify()
	switch blob, known := s.blobs[e.Identity]; {
	case !known:
		return one(e)
	case blob == e.Blob:
		return nil, nil
	}
	return refuse(fault.Conflict, "blob", "training set %s has a version of the same definitions, rows and cut with other values, %s", v.Name, s.blobs[e.Identity])
}
