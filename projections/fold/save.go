package fold

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/projectionist/projectionist/streams"
)

// How lazy views are saved: at once where somebody waits for that (a snapshot, a verification, the end), and beside
// folding where it is only time to, so that clicks do not wait for rows to be written.

// saving is a view's state at a moment on its way into the store.
type saving struct {
	dropped atomic.Bool // it is not to be committed: the view is not what it was
	done    chan struct{}
	err     error // once done is closed
}

// save writes what a lazy view at rest has only in memory. One that has halted is left as it was last saved: its
// fold may have ended half-way, and it is opened anew when it goes on.
func (r *Runner) save(s *slot) error {
	if err := s.settle(); err != nil {
		return err
	}
	b, err := r.toSave(s)
	if b == nil || err != nil {
		return err
	}
	if err := s.view.Flush(b); err != nil {
		b.close()
		return r.noteDamage(s, unsaved(s, err))
	}
	if err := r.store.commitBulk(b, s.cursor, new(atomic.Bool)); err != nil {
		return err
	}
	s.dirty, s.saved = 0, time.Now()
	return nil
}

// saveBeside begins to save a lazy view at rest, which goes on meanwhile. One save is under way at a time.
func (r *Runner) saveBeside(s *slot) error {
	v, ok := s.view.(Tended)
	if !ok {
		return r.save(s)
	}
	if err := s.settle(); err != nil {
		return err
	}
	b, err := r.toSave(s)
	if b == nil || err != nil {
		return err
	}
	v.Rest()
	write, cut, under := v.Save(b), s.cursor.Clone(), &saving{done: make(chan struct{})}
	s.dirty, s.saved, s.rested, s.saving = 0, time.Now(), time.Now(), under
	r.saves.Go(func() {
		defer close(under.done)
		under.err = r.finish(s, b, write, cut, under)
		s.rouse()
	})
	return nil
}

// saveAhead saves lazy views beside folding, so that little is left to be saved when all views are to rest.
func (r *Runner) saveAhead() error {
	for i := range r.slots {
		s := r.still(i)
		err := r.saveBeside(s)
		under := s.saving
		s.folding.Unlock()
		if err != nil {
			return err
		}
		if under != nil {
			<-under.done
		}
	}
	return nil
}

func (r *Runner) finish(s *slot, b *bulk, write func() error, cut streams.Cut, under *saving) error {
	if err := write(); err != nil {
		b.close()
		return r.noteDamage(s, unsaved(s, err))
	}
	return r.store.commitBulk(b, cut, &under.dropped)
}

func unsaved(s *slot, err error) error { return fmt.Errorf("view %s: %w", s.spec.Name, err) }

// toSave is for what a view has not saved; nil where there is nothing.
func (r *Runner) toSave(s *slot) (*bulk, error) {
	if !s.spec.Lazy || s.dirty == 0 || r.hasHalted(s) {
		return nil, nil
	}
	if err := r.store.room(); err != nil {
		return nil, err
	}
	return r.store.newBulk(s.gen.number), nil
}

// settle waits for the save that is under way. After an error of it the view is as it was saved before.
func (s *slot) settle() error {
	if s.saving == nil {
		return nil
	}
	<-s.saving.done
	err := s.saving.err
	s.saving = nil
	return err
}

// settled is settle where that is to be had without waiting.
func (s *slot) settled() (bool, error) {
	if s.saving != nil {
		select {
		case <-s.saving.done:
		default:
			return false, nil
		}
	}
	return true, s.settle()
}

// drop sees to it that nothing more of a view at rest comes into the store.
func (s *slot) drop() {
	if s.saving != nil {
		s.saving.dropped.Store(true)
		s.settle() //nolint:errcheck // what it wrote is not wanted
	}
	s.dirty = 0
}

// tend does for a lazy view what is to be done when there is nothing to fold.
func (r *Runner) tend(i int, s *slot) error {
	s.folding.Lock()
	defer s.folding.Unlock()
	if r.slot(i) != s {
		return nil
	}
	settled, err := s.settled()
	if !settled || err != nil {
		return err
	}
	if age := time.Since(s.saved); s.dirty > 0 && (age >= checkpointAnyway || age >= checkpointEvery && s.dirty >= checkpointWorth) {
		return r.saveBeside(s)
	}
	v, ok := s.view.(Tended)
	if !ok || r.hasHalted(s) {
		return nil
	}
	if time.Since(s.rested) >= tendEvery {
		v.Rest()
		s.rested, s.warm = time.Now(), false
	}
	if !s.warm {
		more, err := v.Warm()
		if s.warm = !more || err != nil; err != nil {
			r.noteDamage(s, err) // who asks for what cannot be read is told
		}
		if !s.warm {
			s.rouse()
		}
	}
	return nil
}

// noteDamage leaves a mark for the next start, if an error tells of damage that a view has met. It gives the error.
func (r *Runner) noteDamage(s *slot, err error) error {
	if errors.Is(err, ErrDamaged) {
		r.store.damaged("view "+s.spec.Name, err)
	}
	return err
}
