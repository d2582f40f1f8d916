package projections

import (
	"iter"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

// Experiment is a named group of runs. It is part of the view [Runs].
type Experiment struct {
	events.ExperimentCreated
	fold.Stamp
}

var experimentDocs = fold.Documents[Experiment]{
	Table: 'e', Count: 'N',
	ID: func(in *fold.Input) (string, bool) {
		x, ok := in.Event.Data.(*events.ExperimentCreated)
		if !ok {
			return "", false
		}
		return x.ExperimentID, true
	},
	Fold: func(e *Experiment, in *fold.Input) {
		e.ExperimentCreated = *in.Event.Data.(*events.ExperimentCreated)
	},
	Index: func(e *Experiment) []fold.Key {
		return []fold.Key{
			fold.Table('E').Str(e.Name).Str(e.ExperimentID),
			fold.Table('a').Millis(e.CreatedMillis).Str(e.ExperimentID),
		}
	},
	Stamp: func(e *Experiment) *fold.Stamp { return &e.Stamp },
}

// Experiment reads one experiment.
func (v *Runs) Experiment(id string) (Experiment, bool, error) { return experimentDocs.Get(v.r, id) }

// ExperimentByName finds an experiment by its name.
func (v *Runs) ExperimentByName(name string) (Experiment, bool, error) {
	return experimentDocs.First(v.r, fold.Table('E').Str(name))
}

// Experiments pages through the experiments, newest first.
func (v *Runs) Experiments(q fold.PageQuery) (fold.Page[Experiment], error) {
	return experimentDocs.Paginate(v.r, fold.Table('a'), true, q, nil)
}

// FoldExperiment folds what at admits of an "experiment/ID" stream; false when that is nothing.
func FoldExperiment(commits iter.Seq2[*streams.Committed, error], at fold.At) (Experiment, bool, error) {
	return experimentDocs.FoldStream(commits, at)
}
