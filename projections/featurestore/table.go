package featurestore

import (
	"context"
	"iter"
	"strings"

	"github.com/projectionist/projectionist/internal/spill"
	"github.com/projectionist/projectionist/ml/features"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
)

// keysSpooled is how much of a table's keys is kept in memory before it goes to the disk.
const keysSpooled = 1 << 20

// Entities are the people or films of whom anything is known, each once: those with facts in the order of their ids' bytes, then the rest.
func (f *Store) Entities(e features.Entity) iter.Seq2[string, error] {
	h := fold.Of[*projections.Histories](f.views)
	acted, rest := h.UserIDs(), h.UnknownUsers(fold.Of[*projections.Users](f.views).IDs())
	if e == features.Movie {
		acted, rest = h.MovieIDs(), h.UnknownMovies(fold.Of[*projections.Catalogue](f.views).IDs())
	}
	return func(yield func(string, error) bool) {
		for id, err := range acted {
			if !yield(id, err) || err != nil {
				return
			}
		}
		for id, err := range rest {
			if !yield(id, err) || err != nil {
				return
			}
		}
	}
}

// Recorded is the features of an entity as a row of a table has them.
type Recorded struct {
	ID     string
	Millis int64            // event time
	Values []features.Value // valid until the next row
}

// Latest yields a row of each entity whose newest fact, or entry, is from from to to: its features as of to, which are those that an online
// read at to answers.
func (f *Store) Latest(ctx context.Context, sel *features.Selection, e features.Entity, from, to int64) iter.Seq2[Recorded, error] {
	return func(yield func(Recorded, error) bool) {
		var values []features.Value
		for id, err := range f.Entities(e) {
			if err == nil {
				err = ctx.Err()
			}
			user, movie := id, ""
			if e == features.Movie {
				user, movie = "", id
			}
			if err == nil {
				values, err = f.Read(ctx, values[:0], sel, user, movie, fold.At{}, to)
			}
			row := Recorded{ID: id, Values: values, Millis: from - 1}
			for i := range values {
				if at := values[i].EventTimeMillis; values[i].Status != features.NotFound && at <= to { // later ones are entries of what is so at all times
					row.Millis = max(row.Millis, at)
				}
			}
			if err == nil && row.Millis < from {
				continue
			}
			if !yield(row, err) || err != nil {
				return
			}
		}
	}
}

// Changes yields a row for each moment from from to to at which an entity had a fact: its features as they were then.
func (f *Store) Changes(ctx context.Context, sel *features.Selection, e features.Entity, from, to int64, scratch string) iter.Seq2[Recorded, error] {
	return func(yield func(Recorded, error) bool) {
		keys := Keys{spill.NewFile(scratch, keysSpooled)}
		defer keys.File.Close() //nolint:errcheck // scratch is emptied at start
		if err := f.moments(ctx, e, from, to, keys.Add); err != nil {
			yield(Recorded{}, err)
			return
		}
		next, stop := iter.Pull2(keys.All())
		defer stop()
		for values, err := range f.Historical(ctx, Historical{Selection: Computed(sel), Scratch: scratch}, keys.All()) {
			var row Row
			if err == nil {
				row, err, _ = next()
			}
			if !yield(Recorded{row.UserID + row.MovieID, row.TimeMillis, values}, err) || err != nil {
				return
			}
		}
	}
}

// moments finds when entities had facts.
func (f *Store) moments(ctx context.Context, e features.Entity, from, to int64, add func(Row) error) error {
	for id, err := range f.Entities(e) {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		last := from - 1
		for x, err := range f.history(e, id, fold.At{EventMillis: to}) {
			if err != nil {
				return err
			}
			if x.EventMillis > to { // as 1970 is, the end may be no moment
				break
			}
			if x.EventMillis <= last {
				continue
			}
			last = x.EventMillis
			row := Row{Row: features.Row{TimeMillis: last}}
			if id := strings.Clone(id); e == features.User {
				row.UserID = id
			} else {
				row.MovieID = id
			}
			if err := add(row); err != nil {
				return err
			}
		}
	}
	return nil
}
