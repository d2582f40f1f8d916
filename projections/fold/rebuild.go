package fold

import (
	"context"
	"fmt"

	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/streams"
)

// Rebuild folds the named view again from the start of the log, beside the running one, and puts it in
// the running one's place when it has caught up. Queries see the old one until then. A crash in between
// leaves the old one in force.
func (r *Runner) Rebuild(ctx context.Context, name string, progress func(done, total int64)) error {
	var factory Factory
	for _, f := range r.factories {
		if f().Spec().Name == name {
			factory = f
		}
	}
	if factory == nil {
		return fault.Field("view", "no view is named %q", name)
	}
	r.mu.Lock()
	gen, err := r.store.newGeneration()
	r.mu.Unlock()
	if err != nil {
		return err
	}
	discard := func(err error) error {
		r.mu.Lock()
		defer r.mu.Unlock()
		if dropErr := r.store.drop(gen); dropErr != nil {
			return fmt.Errorf("%w (and the unfinished copy could not be deleted: %v)", err, dropErr)
		}
		return err
	}
	fresh := &Runner{log: r.log, store: r.store, factories: []Factory{factory}, changed: make(chan struct{})}
	if err := fresh.loadSkips(ctx); err != nil {
		return discard(err)
	}
	s, err := fresh.openAt(factory(), gen)
	if err != nil {
		return discard(err)
	}
	fresh.slots = []*slot{s}
	if err := fresh.CatchUp(ctx, nil, progress); err != nil {
		return discard(err)
	}

	r.mu.Lock() // the running view rests: fold the last few records and swap
	defer r.mu.Unlock()
	for i, old := range r.slots {
		if old.spec.Name != name {
			continue
		}
		if old.halted == nil {
			s.until = old.cursor.Clone()
		} else {
			s.until = nil
		}
		if err := fresh.CatchUp(ctx, s.until, nil); err != nil {
			r.store.drop(gen)
			return err
		}
		s.until = nil
		if err := r.store.point(name, viewMeta{Gen: gen, Format: s.spec.Format}); err != nil {
			return err
		}
		r.statusMu.Lock()
		r.slots[i] = s
		r.statusMu.Unlock()
		r.publish()
		return r.store.drop(old.gen)
	}
	return fault.New(fault.Internal, "view %s vanished", name)
}

// Replay folds all views up to a cut into a store of its own.
func Replay(ctx context.Context, log streams.Log, store *Store, until streams.Cut, progress func(done, total int64), factories ...Factory) (*Runner, error) {
	r, err := NewRunner(ctx, log, store, factories...)
	if err != nil {
		return nil, err
	}
	if err := r.CatchUp(ctx, until, progress); err != nil {
		return nil, err
	}
	r.publish()
	return r, nil
}
