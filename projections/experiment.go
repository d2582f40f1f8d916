package projections

import (
	"context"
	"iter"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

// Experiment is a named group of runs. It is part of the view [Runs].
type Experiment struct {
	events.ExperimentCreated
	Deleted       bool  `json:"deleted,omitempty"`
	DeletedMillis int64 `json:"deleted_millis,omitempty"` // event time
	Purged        bool  `json:"purged,omitempty"`         // it is only known that it was there
	fold.Stamp
}

var experimentDocs = fold.Documents[Experiment]{
	Table: 'e', Count: 'N',
	ID: func(in *fold.Input) (string, bool) {
		switch x := in.Event.Data.(type) {
		case *events.ExperimentCreated:
			return x.ExperimentID, true
		case *events.ExperimentRenamed:
			return x.ExperimentID, true
		case *events.ExperimentPurged:
			return x.ExperimentID, true
		case *events.ExperimentDeleted:
			return x.ExperimentID, true
		case *events.ExperimentRestored:
			return x.ExperimentID, true
		case *events.ExperimentTagsSet:
			return x.ExperimentID, true
		case *events.ExperimentTagRemoved:
			return x.ExperimentID, true
		}
		return "", false
	},
	Fold: func(e *Experiment, in *fold.Input) {
		switch x := in.Event.Data.(type) {
		case *events.ExperimentCreated:
			e.ExperimentCreated = *x
			e.Tags = merged(nil, x.Tags) // the event's own is shared
		case *events.ExperimentRenamed:
			e.ExperimentID, e.Name = x.ExperimentID, x.Name
		case *events.ExperimentDeleted:
			e.ExperimentID, e.Deleted, e.DeletedMillis = x.ExperimentID, true, in.Event.Time.UnixMilli()
		case *events.ExperimentPurged:
			*e = Experiment{Deleted: true, Purged: true, Stamp: e.Stamp}
			e.ExperimentID = x.ExperimentID
		case *events.ExperimentRestored:
			e.ExperimentID, e.Deleted, e.DeletedMillis = x.ExperimentID, false, 0
		case *events.ExperimentTagsSet:
			e.ExperimentID, e.Tags = x.ExperimentID, merged(e.Tags, x.Tags)
		case *events.ExperimentTagRemoved:
			e.ExperimentID = x.ExperimentID
			delete(e.Tags, x.Key)
		}
	},
	Index: func(e *Experiment) []fold.Key {
		if e.Purged {
			return []fold.Key{fold.Table('p').Str(e.ExperimentID)}
		}
		return []fold.Key{
			fold.Table('E').Str(e.Name).Str(e.ExperimentID),
			fold.Table('a').Millis(e.CreatedMillis).Str(e.ExperimentID),
		}
	},
	Stamp: func(e *Experiment) *fold.Stamp { return &e.Stamp },
}

// Experiment reads one experiment.
func (v *Runs) Experiment(id string) (Experiment, bool, error) {
	return kept(experimentDocs.Get(v.r, id))
}

// kept is an experiment, unless it is purged.
func kept(e Experiment, ok bool, err error) (Experiment, bool, error) {
	if e.Purged {
		return Experiment{}, false, err
	}
	return e, ok, err
}

// PurgedExperiments yields the ids of experiments that are gone for good: runs of theirs may be left.
func (v *Runs) PurgedExperiments() iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		for kv, err := range v.r.Scan(fold.Table('p'), fold.Table('p').End()) {
			if !yield(string(kv.Value), err) || err != nil {
				return
			}
		}
	}
}

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
	return kept(experimentDocs.FoldStream(commits, at))
}

// ExperimentNamed folds the experiment that had a name at a moment, from its stream; false when none had.
func ExperimentNamed(ctx context.Context, l streams.Ledger, name string, at fold.At) (Experiment, bool, error) {
	return calledSo(ctx, l, "experiment/"+events.ExperimentID(name, 1), at, FoldExperiment, func(e *Experiment) bool { return e.Name == name })
}
