package projections

import (
	"iter"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/streams"
)

// Experiment is a named group of runs. It is part of the view [Runs].
type Experiment struct {
	events.ExperimentCreated
	Stamp
}

var experimentDocs = docs[Experiment]{
	table: 'e', count: 'N',
	id: func(in *Input) (string, bool) {
		x, ok := in.Event.Data.(*events.ExperimentCreated)
		if !ok {
			return "", false
		}
		return x.ExperimentID, true
	},
	fold: func(e *Experiment, in *Input) {
		e.ExperimentCreated = *in.Event.Data.(*events.ExperimentCreated)
	},
	index: func(e *Experiment) []Key {
		return []Key{
			Table('E').Str(e.Name).Str(e.ExperimentID),
			Table('a').Millis(e.CreatedMillis).Str(e.ExperimentID),
		}
	},
	stamp: func(e *Experiment) *Stamp { return &e.Stamp },
}

// Experiment reads one experiment.
func (v *Runs) Experiment(id string) (Experiment, bool, error) { return experimentDocs.get(v.r, id) }

// ExperimentByName finds an experiment by its name.
func (v *Runs) ExperimentByName(name string) (Experiment, bool, error) {
	return experimentDocs.first(v.r, Table('E').Str(name))
}

// Experiments pages through the experiments, newest first.
func (v *Runs) Experiments(q PageQuery) (Page[Experiment], error) {
	return experimentDocs.page(v.r, Table('a'), true, q, nil)
}

// FoldExperiment folds what at admits of an "experiment/ID" stream; false when that is nothing.
func FoldExperiment(commits iter.Seq2[*streams.Committed, error], at At) (Experiment, bool, error) {
	return experimentDocs.foldStream(commits, at)
}
