package fold

import (
	"encoding/json"

	"github.com/cockroachdb/pebble/v2"

	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/streams"
)

// Stored is a view as a store has it.
type Stored struct {
	View   string `json:"view"`
	Format int    `json:"format"`
	Cut    string `json:"cut"` // what the stored pairs are the fold of; see [streams.ParseCut]
}

// Snapshot writes a copy of the store into a new folder on the store's file system, which can be opened as
// a store: every view as it stands, with the cut it stands at, lazy ones included. On one file system it
// links tables and takes little space at first. The views rest meanwhile and go on afterwards.
// Errors: fault.Unavailable when the copy cannot be written, also for want of space.
func (r *Runner) Snapshot(dir string) ([]Stored, error) {
	if err := r.saveAhead(); err != nil {
		return nil, err
	}
	slots, move := r.rest()
	defer move()
	for _, s := range slots {
		if err := r.save(s); err != nil {
			return nil, err
		}
	}
	// Views are written NoSync: without the flush the copy would lack what only the process has.
	if err := r.store.Copy(dir); err != nil {
		return nil, err
	}
	return r.store.Stored()
}

// Copy writes a copy of the store into a new folder on its file system, as [Runner.Snapshot] does. Of lazy views it has
// what was saved. Errors: fault.Unavailable when the copy cannot be written.
func (s *Store) Copy(dir string) error {
	return fault.Wrap(fault.Unavailable, s.db.Checkpoint(dir, pebble.WithFlushedWAL()), "the views cannot be copied into %s", dir)
}

// Stored lists the views the store holds, by name.
func (s *Store) Stored() ([]Stored, error) {
	var all []Stored
	err := scan(s.db, []byte{'m'}, []byte{'m' + 1}, false, func(k, v []byte) error {
		var m viewMeta
		if err := json.Unmarshal(v, &m); err != nil {
			return err
		}
		cut, err := s.cursor(m.Gen)
		all = append(all, Stored{View: string(k[1:]), Format: m.Format, Cut: cut.String()})
		return err
	})
	return all, err
}

// Readable refuses stored views of a newer format than this program knows; those it does not know are of
// another release, and nobody reads them. The error is fault.Corrupt and names the view.
func Readable(stored []Stored, factories ...Factory) error {
	for _, f := range factories {
		spec := f().Spec()
		for _, v := range stored {
			if v.View == spec.Name && v.Format > spec.Format {
				return fault.New(fault.Corrupt, "view %s is stored in format %d; this program knows up to %d", v.View, v.Format, spec.Format).
					WithHint("run the newer program, or remove the views folder: views are folded again from the log")
			}
		}
	}
	return nil
}

// Fits says whether a runner of these factories can go on from what the store holds, on a log whose
// partitions end at head: it is [Readable], and no view has folded what the log does not have. The error
// is fault.Corrupt and names the view.
func (s *Store) Fits(head streams.Cut, factories ...Factory) error {
	for _, f := range factories {
		spec := f().Spec()
		m, known, err := s.meta(spec.Name)
		if err != nil {
			return err
		}
		if err := Readable([]Stored{{View: spec.Name, Format: m.Format}}, f); err != nil {
			return err
		}
		if !known || m.Format < spec.Format {
			continue // it is folded from the start
		}
		cut, err := s.cursor(m.Gen)
		if err != nil {
			return fault.Wrap(fault.Corrupt, err, "view %s has a damaged cursor", spec.Name)
		}
		for tp, next := range cut {
			if next > head[tp] {
				return fault.New(fault.Corrupt, "view %s has folded %s up to offset %d, but the log ends at %d: the log has lost data, or the views are of another log",
					spec.Name, tp, next, head[tp]).WithHint("restore the log from a backup; or, if its loss is accepted, remove the views folder: views are folded again from the log")
			}
		}
	}
	return nil
}
