package fold

import (
	"context"
	"fmt"
	"slices"

	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/streams"
)

// Rebuild folds the named view again from the start of the log, beside the running one, and puts it in
// the running one's place when it has caught up. Queries see the old one until then, and who holds on to that
// reads the new one. A crash in between leaves the old one in force.
func (r *Runner) Rebuild(ctx context.Context, name string, progress func(done, total int64)) error {
	i := slices.IndexFunc(r.factories, func(f Factory) bool { return f().Spec().Name == name })
	if i < 0 {
		return fault.Field("view", "no view is named %q", name)
	}
	number, err := r.store.newGeneration()
	if err != nil {
		return err
	}
	replaced, err := r.rebuild(ctx, i, number, progress)
	if err != nil {
		if dropErr := r.store.drop(number); dropErr != nil {
			return fmt.Errorf("%w (and the unfinished copy could not be deleted: %v)", err, dropErr)
		}
		return err
	}
	return r.store.drop(replaced)
}

// rebuild folds a view into a generation and puts it in force. It gives the one that was.
func (r *Runner) rebuild(ctx context.Context, i int, number uint32, progress func(done, total int64)) (replaced uint32, err error) {
	fresh := newRunner(r.log, r.store, r.factories[i:i+1])
	if err := fresh.LoadSkips(ctx); err != nil {
		return 0, err
	}
	v := r.factories[i]()
	definition, err := fresh.inForce(ctx, v)
	if err != nil {
		return 0, err
	}
	s, err := fresh.openAt(v, number, definition)
	if err != nil {
		return 0, err
	}
	fresh.slots = []*slot{s}
	fresh.makeLanes()
	if err := fresh.CatchUp(ctx, nil, progress); err != nil {
		return 0, err
	}

	old := r.still(i) // fold the last few records, and swap
	defer old.folding.Unlock()
	var until streams.Cut // of one that has halted: the end of the log
	if !r.hasHalted(old) {
		until = old.cursor.Clone()
	}
	s = fresh.slots[0] // it may have been opened anew
	s.until = until
	if err := fresh.CatchUp(ctx, until, nil); err != nil {
		return 0, err
	}
	s = fresh.slots[0]
	s.until = old.until
	if err := r.store.point(s.spec.Name, viewMeta{Gen: number, Format: s.spec.Format, Definition: s.definition}); err != nil {
		return 0, err
	}
	old.drop()
	replaced = old.gen.number
	r.put(i, s)
	return replaced, nil
}

// Replay folds all views up to a cut into a store of its own, by the definitions that were in force then.
func Replay(ctx context.Context, log streams.Log, store *Store, until streams.Cut, progress func(done, total int64), factories ...Factory) (*Runner, error) {
	r := newRunner(log, store, factories)
	r.definedAt = until
	r, err := r.begin(ctx, nil)
	if err != nil {
		return nil, err
	}
	return r, r.CatchUp(ctx, until, progress)
}
