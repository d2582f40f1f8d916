package projections

import (
	"fmt"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/projections/fold"
)

// TrainingSets is the named training sets, and their versions.
//
//	n name -> TrainingSet      v name/version -> TrainingSet      c -> number of sets
//	i name -> name             o name version -> name/version      e name identity -> name/version
type TrainingSets struct{ r fold.Reader }

// NewTrainingSets makes the view "training_sets".
func NewTrainingSets() *TrainingSets { return &TrainingSets{} }

// TrainingSet is a set by its newest version.
type TrainingSet struct {
	events.TrainingSetVersioned
	fold.Stamp
}

var trainingSetDocs = fold.Documents[TrainingSet]{
	Table: 'n', Count: 'c',
	ID: func(in *fold.Input) (string, bool) {
		x, ok := in.Event.Data.(*events.TrainingSetVersioned)
		if !ok {
			return "", false
		}
		return x.Name, true
	},
	Fold: func(d *TrainingSet, in *fold.Input) {
		d.TrainingSetVersioned = *in.Event.Data.(*events.TrainingSetVersioned)
	},
	Stamp: func(d *TrainingSet) *fold.Stamp { return &d.Stamp },
	Index: func(d *TrainingSet) []fold.Key { return []fold.Key{fold.Table('i').Str(d.Name)} },
}

var trainingSetVersionDocs = fold.Documents[TrainingSet]{
	Table: 'v',
	ID: func(in *fold.Input) (string, bool) {
		x, ok := in.Event.Data.(*events.TrainingSetVersioned)
		if !ok {
			return "", false
		}
		return trainingSetKey(x.Name, x.Version), true
	},
	Fold:  trainingSetDocs.Fold,
	Stamp: trainingSetDocs.Stamp,
	Index: func(d *TrainingSet) []fold.Key {
		return []fold.Key{fold.Table('o').Str(d.Name).U32(uint32(d.Version)), fold.Table('e').Str(d.Name).Str(d.Identity)}
	},
}

func trainingSetKey(name string, version int) string { return fmt.Sprintf("%s/%d", name, version) }

func (*TrainingSets) Spec() fold.Spec {
	return fold.Spec{Name: "training_sets", Format: 1, Topics: fold.LedgerTopics, Indexed: true}
}

func (v *TrainingSets) Open(r fold.Reader) error { v.r = r; return nil }
func (*TrainingSets) Flush(fold.Writer) error    { return nil }
func (*TrainingSets) Apply(w fold.Writer, in []fold.Input) error {
	if err := trainingSetDocs.Apply(w, in); err != nil {
		return err
	}
	return trainingSetVersionDocs.Apply(w, in)
}

// List pages through the sets by name, each with its newest version.
func (v *TrainingSets) List(q fold.PageQuery) (fold.Page[TrainingSet], error) {
	return trainingSetDocs.Paginate(v.r, fold.Table('i'), false, q, nil)
}

// Set reads a set's newest version.
func (v *TrainingSets) Set(name string) (TrainingSet, bool, error) {
	return trainingSetDocs.Get(v.r, name)
}

// Version reads one version.
func (v *TrainingSets) Version(name string, version int) (TrainingSet, bool, error) {
	return trainingSetVersionDocs.Get(v.r, trainingSetKey(name, version))
}

// Identified reads the version of an identity.
func (v *TrainingSets) Identified(name, identity string) (TrainingSet, bool, error) {
	return trainingSetVersionDocs.First(v.r, fold.Table('e').Str(name).Str(identity))
}

// Versions pages through a set's versions, newest first.
func (v *TrainingSets) Versions(name string, q fold.PageQuery) (fold.Page[TrainingSet], error) {
	return trainingSetVersionDocs.Paginate(v.r, fold.Table('o').Str(name), true, q, nil)
}
