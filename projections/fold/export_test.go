package fold

import (
	"bytes"
	"context"
	"iter"
	"slices"
	"sync/atomic"
	"time"

	"github.com/projectionist/projectionist/streams"
)

// What tests from outside look at, and break.

const PageScanMax = pageScanMax

// FoldUp folds all there is, and no checkpoint follows.
func (r *Runner) FoldUp(ctx context.Context) error { return r.foldUpTo(ctx, nil, nil) }

// Tamper overwrites a pair of a view behind its back.
func (r *Runner) Tamper(view string, key, value []byte) error {
	for _, s := range r.slots {
		if s.spec.Name == view {
			return r.store.db.Set(genKey(s.gen.number, key), value, nil)
		}
	}
	return nil
}

// BeginFlush has what is in memory written; done is closed once it is.
func (s *Store) BeginFlush() (done <-chan struct{}, err error) { return s.db.AsyncFlush() }

// StoreAs says that a view is stored in a format.
func (s *Store) StoreAs(view string, format int) error {
	m, _, err := s.meta(view)
	if err != nil {
		return err
	}
	m.Format = format
	return s.point(view, m)
}

// ViewNamed is a view of the runner.
func (r *Runner) ViewNamed(name string) View {
	for _, s := range r.slots {
		if s.spec.Name == name {
			return s.view
		}
	}
	return nil
}

// CursorOf is what the named view has folded, as queries see it.
func (r *Runner) CursorOf(view string) streams.Cut {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.slots {
		if s.spec.Name == view {
			return s.cursor.Clone()
		}
	}
	return nil
}

// Pairs are what the store has of a view.
func (r *Runner) Pairs(view string) iter.Seq2[KV, error] {
	return func(yield func(KV, error) bool) { r.ReaderOf(view).Scan(nil, nil)(yield) }
}

// ReaderOf is what a view has been given to read from.
func (r *Runner) ReaderOf(view string) Reader {
	for _, s := range r.slots {
		if s.spec.Name == view {
			return current{r.store, s.gen}
		}
	}
	return nil
}

// GatherFor has views that nobody awaits wait so long for more.
func (r *Runner) GatherFor(d time.Duration) { r.gatherFor = d }

// YieldWithin has them do so no longer than this while others need the processors.
func (r *Runner) YieldWithin(d time.Duration) { r.yieldWithin = d }

// Room is what folding asks for.
func (s *Store) Room() error { return s.room() }

// Save is one that is under way beside folding.
type Save struct {
	r     *Runner
	i     int
	under *saving
}

// SaveBeside begins to save a view that goes on meanwhile.
func (r *Runner) SaveBeside(view string) (Save, error) {
	i := slices.IndexFunc(r.slots, func(s *slot) bool { return s.spec.Name == view })
	s := r.still(i)
	defer s.folding.Unlock()
	err := r.saveBeside(s)
	return Save{r, i, s.saving}, err
}

// Dropped says whether nothing of it is wanted any more.
func (s Save) Dropped() bool { return s.under.dropped.Load() }

// Settled waits until it is over.
func (s Save) Settled() error {
	at := s.r.still(s.i)
	defer at.folding.Unlock()
	return at.settle()
}

// StoredCut is what the store has of a view.
func (r *Runner) StoredCut(view string) (streams.Cut, error) { return r.ReaderOf(view).Cut() }

// Tend has a view do what it does when there is nothing to fold.
func (r *Runner) Tend(view string) error {
	i := slices.IndexFunc(r.slots, func(s *slot) bool { return s.spec.Name == view })
	r.slot(i).warm = false
	return r.tend(i, r.slot(i))
}

// BulkBatch is up to which size a save is one batch, and BulkTable the size of its tables beyond that.
const (
	BulkBatch = bulkBatch
	BulkTable = bulkTable
)

// SaveBulk commits pairs of a generation, empty values being deletions, with a cursor.
func (s *Store) SaveBulk(gen uint32, pairs map[string][]byte, cursor streams.Cut, dropped bool) error {
	b := s.newBulk(gen)
	for key, value := range pairs {
		var err error
		if len(value) == 0 {
			err = b.Delete([]byte(key))
		} else {
			err = b.Set([]byte(key), value)
		}
		if err != nil {
			return err
		}
	}
	var drop atomic.Bool
	drop.Store(dropped)
	return s.commitBulk(b, cursor, &drop)
}

// Generation is what the store has of one, and its cursor.
func (s *Store) Generation(gen uint32) (map[string][]byte, streams.Cut, error) {
	all := map[string][]byte{}
	for kv, err := range (space{s, s.db, gen}).Scan(nil, nil) {
		if err != nil {
			return nil, nil, err
		}
		all[string(kv.Key)] = bytes.Clone(kv.Value)
	}
	cut, err := s.cursor(gen)
	return all, cut, err
}
