package fold

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime/debug"
	"sort"
	"time"

	"github.com/projectionist/projectionist/streams"
)

// How a view is given its inputs, and what becomes of one that cannot fold them.
//
// A view that names the record at fault has folded what comes before it: it halts there. One that fails without a
// name, by a panic most of all, has folded nobody knows how much: it is put back to what the store has and given its
// records one by one, so that the very one is found that it cannot fold.

// do does what was chosen.
func (r *Runner) do(ctx context.Context, i int, s *slot, t task) error {
	switch t.does {
	case readIt:
		return r.read(ctx, t.lane, t.from, t.end)
	case foldIt:
		r.readOn(ctx, s, t)
		return r.foldChunk(i, s, t.c)
	case lookUp:
		return r.lookUp(ctx, s)
	case openIt:
		return r.openAnew(i, s)
	case saveIt:
		return r.tend(i, s)
	}
	return nil
}

// foldChunk gives a view a chunk, and shows how far it has got. The error is of the store; poison only halts the view.
func (r *Runner) foldChunk(i int, s *slot, c *chunk) error {
	s.folding.Lock()
	defer s.folding.Unlock()
	defer r.release(s, c)
	if r.slot(i) != s {
		return nil // another is in its place
	}
	if err := r.store.room(); err != nil {
		return err
	}
	p := r.part(s, c)
	if p.bar != nil && p.next == s.cursor[c.tp] {
		at := *p.bar
		return errors.Join(r.save(s), r.halt(s, &at)) // what it has is whole
	}
	if s.stop != nil && s.stop.Position == (streams.Position{TP: c.tp, Offset: s.cursor[c.tp]}) {
		return r.halt(s, s.stop)
	}
	err := r.store.passOver(s.gen.number, p.passed)
	switch {
	case err != nil:
	case s.suspect != nil && s.suspect.tp == c.tp && s.cursor[c.tp] < s.suspect.next && p.next > s.suspect.from:
		err = r.foldSingly(i, s, c.tp, p.in, p.next)
	default:
		err = r.foldWhole(i, s, c, p.in, p.next)
	}
	if err == nil && s.spec.Lazy && s.dirty >= checkpointInputs {
		err = r.saveBeside(s)
	}
	return r.noteDamage(s, err)
}

// part is what of a chunk a view gets.
type part struct {
	in     []Input
	next   int64   // the offset after it
	bar    *Poison // what stands there, if the view may not pass it
	passed []int64 // offsets of commits that it passes over because it cannot read them
}

func (r *Runner) part(s *slot, c *chunk) part {
	r.mu.Lock()
	defer r.mu.Unlock()
	at, p := s.cursor[c.tp], part{in: c.in, next: c.next}
	if s.until != nil {
		p.next = min(p.next, s.until[c.tp])
	}
	if s.stop != nil && s.stop.Position.TP == c.tp {
		p.next = min(p.next, s.stop.Position.Offset)
	}
	r.bar(s, c, &p)
	from := func(offset int64) int {
		return sort.Search(len(c.in), func(i int) bool { return c.in[i].Position.Offset >= offset })
	}
	if at > c.from || p.next < c.next {
		p.in = c.in[from(at):max(from(at), from(p.next))]
	}
	p.in = admitted(&s.spec, r.skips[s.spec.Name], p.in)
	return p
}

// admitted leaves out what the view does not get: malformed facts, and records an operator has skipped.
func admitted(spec *Spec, skips map[streams.Position]bool, in []Input) []Input {
	clean := len(skips) == 0
	if clean && !spec.Malformed {
		for i := range in {
			if in[i].Malformed != nil {
				clean = false
				break
			}
		}
	}
	if clean {
		return in
	}
	kept := make([]Input, 0, len(in))
	for i := range in {
		if skips[in[i].Position] || in[i].Malformed != nil && !spec.Malformed {
			continue
		}
		kept = append(kept, in[i])
	}
	return kept
}

// foldWhole folds inputs at once.
func (r *Runner) foldWhole(i int, s *slot, c *chunk, in []Input, next int64) error {
	err := r.apply(s, c.tp, in, next)
	var named *Poison
	switch {
	case err == nil:
		return nil
	case !isFold(err):
		return err
	case errors.As(err, &named) && s.spec.Lazy:
		r.advance(s, c.tp, named.Position.Offset, 0)
		return r.halt(s, named)
	case errors.As(err, &named):
		at := named.Position.Offset
		before := in[:sort.Search(len(in), func(i int) bool { return in[i].Position.Offset >= at })]
		if err := r.apply(s, c.tp, before, at); err != nil {
			return fmt.Errorf("view %s failed on inputs it had folded: %w", s.spec.Name, err)
		}
		return r.halt(s, named)
	case s.spec.Lazy: // nobody knows what is in its memory
		return r.reopen(i, s, func(s *slot) { s.suspect = c })
	}
	return r.foldSingly(i, s, c.tp, in, next)
}

// foldSingly folds record by record, up to the first that fails.
func (r *Runner) foldSingly(i int, s *slot, tp streams.TP, in []Input, next int64) error {
	for len(in) > 0 {
		at := in[0].Position.Offset
		n := sort.Search(len(in), func(i int) bool { return in[i].Position.Offset > at })
		if err := r.apply(s, tp, in[:n], at+1); err != nil {
			if !isFold(err) {
				return err
			}
			var named *Poison
			if !errors.As(err, &named) {
				named = poisonAt(&in[0], err)
			}
			if s.spec.Lazy { // what it has of this record goes
				return r.reopen(i, s, func(s *slot) { s.stop = named })
			}
			r.advance(s, tp, at, 0)
			return r.halt(s, named)
		}
		in = in[n:]
	}
	r.advance(s, tp, next, 0)
	return nil
}

// foldError is the view's own: not one of the store, whose damage is no fault of a record's.
type foldError struct{ error }

func (e *foldError) Unwrap() error { return e.error }

func isFold(err error) bool {
	var f *foldError
	return errors.As(err, &f)
}

// apply has the view fold inputs, and shows that it has: state and cursor go in one batch, of views that are not lazy.
func (r *Runner) apply(s *slot, tp streams.TP, in []Input, next int64) error {
	b := r.store.newBatch(s.gen.number, s.spec.Indexed)
	if err := call(s.view, b, in); err != nil {
		b.b.Close()
		return err
	}
	if s.spec.Lazy {
		b.b.Close()
		s.dirty += int64(len(in))
	} else {
		cut := maps.Clone(s.cursor)
		cut[tp] = next
		if err := r.store.commit(b, cut); err != nil {
			return err
		}
	}
	r.advance(s, tp, next, len(in))
	return nil
}

// call runs the fold; a panic is an error of it.
func call(v View, w Writer, in []Input) (err error) {
	if len(in) == 0 {
		return nil
	}
	defer func() {
		if p := recover(); p != nil {
			err = &foldError{fmt.Errorf("panic: %v\n%s", p, debug.Stack())}
		}
	}()
	if err = v.Apply(w, in); err != nil && !errors.Is(err, ErrDamaged) {
		err = &foldError{err}
	}
	return err
}

// advance shows how far a view has got.
func (r *Runner) advance(s *slot, tp streams.TP, next int64, inputs int) {
	r.mu.Lock()
	s.cursor[tp] = next
	s.inputs += int64(inputs)
	s.show()
	r.mu.Unlock()
}

// show wakes who waits for the view, under Runner.mu.
func (s *slot) show() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// release says that a view is done with a chunk.
func (r *Runner) release(s *slot, c *chunk) {
	r.mu.Lock()
	s.taken = nil
	for _, l := range r.lanes {
		if l.tp == c.tp {
			r.prune(l)
		}
	}
	r.rouseHeld()
	r.mu.Unlock()
}

// halt stops a view at a record. Whether that is to be skipped is looked up next.
func (r *Runner) halt(s *slot, p *Poison) error {
	p.View = s.spec.Name
	r.mu.Lock()
	s.halted, s.unsure, s.stop = p, true, nil
	for _, l := range r.lanes {
		r.prune(l)
	}
	s.show()
	r.mu.Unlock()
	return nil
}

// lookUp asks the ledger whether the record at which a view has halted is to be skipped.
func (r *Runner) lookUp(ctx context.Context, s *slot) error {
	if err := r.LoadSkips(ctx); err != nil {
		time.AfterFunc(pauseAfterFault, s.rouse)
		return &logError{err}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if s.unsure = false; s.halted != nil {
		close(r.halts)
		r.halts = make(chan struct{})
	}
	return nil
}

// openAnew lets a lazy view go on that had halted: from what the store has.
func (r *Runner) openAnew(i int, s *slot) error {
	s.folding.Lock()
	defer s.folding.Unlock()
	if r.slot(i) != s {
		return nil
	}
	return r.reopen(i, s, func(*slot) {})
}

// reopen puts a view as the store has it in the place of one at rest.
func (r *Runner) reopen(i int, old *slot, and func(*slot)) error {
	old.drop() // what is in its memory is not to be trusted
	s, err := r.openAt(r.factories[i](), old.gen.number, old.definition)
	if err != nil {
		return err
	}
	s.until, s.inputs = old.until, old.inputs
	and(s)
	r.put(i, s)
	return nil
}

// put puts a view in the place of the one that is there, which is at rest.
func (r *Runner) put(i int, s *slot) {
	if v, ok := r.slot(i).view.(Tended); ok {
		v.Replaced(s.view)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	old := r.slots[i]
	s.wake, s.hurry = old.wake, old.hurry
	r.slots[i] = s
	old.gen.after.Store(s.gen)
	close(old.changed) // who waits looks at the new one
	old.changed = make(chan struct{})
	s.rouse()
}
