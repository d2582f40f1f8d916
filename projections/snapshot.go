package projections

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
// links tables and takes little space at first. The runner rests meanwhile and goes on afterwards.
// Errors: fault.Unavailable when the copy cannot be written, also for want of space.
func (r *Runner) Snapshot(dir string) ([]Stored, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.checkpoint(func(s *slot) bool { return s.dirty > 0 }); err != nil {
		return nil, err
	}
	// Views are written NoSync: without the flush the copy would lack what only the process has.
	if err := r.store.db.Checkpoint(dir, pebble.WithFlushedWAL()); err != nil {
		return nil, fault.Wrap(fault.Unavailable, err, "the views cannot be copied into %s", dir)
	}
	return r.store.Stored()
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

// Fits says whether a runner of these factories can go on from what the store holds, on a log whose
// partitions end at head: no view is of a newer format, or has folded what the log does not have. The
// error is fault.Corrupt and names the view.
func (s *Store) Fits(head streams.Cut, factories ...Factory) error {
	all, err := s.Stored()
	if err != nil {
		return err
	}
	known := map[string]int{}
	for _, f := range factories {
		spec := f().Spec()
		known[spec.Name] = spec.Format
	}
	for _, v := range all {
		format, ok := known[v.View]
		if !ok {
			continue // of another release: nobody reads it
		}
		if v.Format > format {
			return fault.New(fault.Corrupt, "view %s is stored in format %d; this program knows up to %d", v.View, v.Format, format)
		}
		cut, err := streams.ParseCut(v.Cut)
		if err != nil {
			return fault.Wrap(fault.Corrupt, err, "view %s has a damaged cursor", v.View)
		}
		for tp, next := range cut {
			if next > head[tp] {
				return fault.New(fault.Corrupt, "view %s has folded %s up to offset %d, but the log ends at %d", v.View, tp, next, head[tp])
			}
		}
	}
	return nil
}
