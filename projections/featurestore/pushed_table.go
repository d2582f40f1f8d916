package featurestore

import (
	"context"
	"iter"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/ml/features"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
)

// PushedRow is a row of the table that a view of pushed values is.
type PushedRow struct {
	IDs           []string // values of the join keys, in the view's order
	Millis        int64    // event time
	CreatedMillis int64
	Values        []features.Value // valid until the next row
}

// PushedEntities yields those of whom anything was pushed to a view: the keys, and the values of its join keys. An entity whose
// key is not of the view's form, which only others than this program push, is left out.
func (f *Store) PushedEntities(ctx context.Context, x *features.External) iter.Seq2[Entity, error] {
	return func(yield func(Entity, error) bool) {
		for key, err := range fold.Of[*projections.FeatureValues](f.views).PushedTo(x.Name) {
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				yield(Entity{}, err)
				return
			}
			if ids, ok := x.EntityValues(key); ok && !yield(Entity{key, ids}, nil) {
				return
			}
		}
	}
}

// Entity is one of whom values were pushed.
type Entity struct {
	Key string
	IDs []string
}

// PushedTable yields the rows of a view of pushed values with an event time from from to to: all of them, or of each entity the
// one that counts.
func (f *Store) PushedTable(ctx context.Context, x *features.External, fields []*events.FeatureField, from, to int64, all bool) iter.Seq2[PushedRow, error] {
	return func(yield func(PushedRow, error) bool) {
		view := fold.Of[*projections.FeatureValues](f.views)
		out := PushedRow{Values: make([]features.Value, len(fields))}
		give := func(e *Entity, row *projections.PushedValues) bool {
			if row.EventMillis < from {
				return true
			}
			out.IDs, out.Millis, out.CreatedMillis = e.IDs, row.EventMillis, row.CreatedMillis()
			for i, field := range fields {
				out.Values[i] = pushedValue(field, row)
			}
			return yield(out, nil)
		}
		at := fold.At{EventMillis: to} // as of 1970 it is no moment: what comes after the end is passed over
		for e, err := range f.PushedEntities(ctx, x) {
			if err != nil {
				yield(PushedRow{}, err)
				return
			}
			if !all {
				row, ok, err := view.Newest(x.Name, e.Key, at)
				for err == nil && ok && row.EventMillis > to {
					if err = ctx.Err(); err == nil {
						row, ok, err = view.Before(x.Name, e.Key, &row, at)
					}
				}
				if err != nil {
					yield(PushedRow{}, err)
					return
				}
				if ok && !give(&e, &row) {
					return
				}
				continue
			}
			n := 0
			for row, err := range view.History(x.Name, e.Key, at) {
				if n++; n%checkEvery == 0 && err == nil {
					err = ctx.Err()
				}
				if err != nil {
					yield(PushedRow{}, err)
					return
				}
				if row.EventMillis > to {
					break
				}
				if !give(&e, &row) {
					return
				}
			}
		}
	}
}

// PushedAt gives what was pushed of a view at some moments, as [projections.FeatureValues.AtMoments] does.
func (f *Store) PushedAt(x *features.External, moments []projections.Moment, each func(i int, row *projections.PushedValues) error) error {
	return fold.Of[*projections.FeatureValues](f.views).AtMoments(x.Name, moments, each)
}
