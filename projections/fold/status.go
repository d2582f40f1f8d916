package fold

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/streams"
)

// What queries see of the runner: how far each view has got by itself. A view that is behind shows in its own
// cursor, and holds up only those who wait for it.

// Of is the runner's current view of type V. It panics when there is none: a wiring fault.
func Of[V View](r *Runner) V {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.slots {
		if v, ok := s.view.(V); ok {
			return v
		}
	}
	panic(fmt.Sprintf("no view of type %T", *new(V)))
}

// Wait blocks until each of the named views (none: all that fold the partition) has folded the record at p for itself,
// one of them halts before it, or ctx ends. What others do, and other partitions, does not matter.
func (r *Runner) Wait(ctx context.Context, p streams.Position, views ...string) error {
	return r.wait(ctx, p, func() (behind []*slot, err error) {
		for _, s := range r.slots {
			if !s.folds(p.TP) || len(views) > 0 && !slices.Contains(views, s.spec.Name) || s.cursor.Covers(p) {
				continue
			}
			if p := s.poison(); p != nil {
				return nil, fault.Wrap(fault.Unavailable, p, "a view has halted")
			}
			behind = append(behind, s)
		}
		return behind, nil
	})
}

// Settle blocks until every view that folds the partition, and is awaited ([Spec.Unawaited]), has folded the record at p, has halted or stalled, or is busy
// with something else, or ctx ends: until there is nothing at hand that will have it in a moment. With views only these
// are waited for, whatever they are busy with.
func (r *Runner) Settle(ctx context.Context, p streams.Position, views ...string) error {
	return r.wait(ctx, p, func() (behind []*slot, err error) {
		for _, s := range r.slots {
			awaited := !s.spec.Unawaited && !s.busyBefore(p)
			if len(views) > 0 {
				awaited = slices.Contains(views, s.spec.Name)
			}
			if s.folds(p.TP) && awaited && !s.cursor.Covers(p) && s.poison() == nil && r.stalled(s) == nil {
				behind = append(behind, s)
			}
		}
		return behind, nil
	})
}

// busyBefore says whether the view is in the midst of records among which p is not. What it has folded it may hold for a moment longer.
func (s *slot) busyBefore(p streams.Position) bool {
	c := s.taken
	return c != nil && s.cursor[c.tp] < c.next && (c.tp != p.TP || p.Offset >= c.next)
}

// wait waits as long as look, which is called under Runner.mu, gives views that are behind. These are in a hurry then.
func (r *Runner) wait(ctx context.Context, p streams.Position, look func() ([]*slot, error)) error {
	var behind []*slot
	defer func() {
		if behind != nil {
			r.mu.Lock()
			hurry(behind, -1)
			r.mu.Unlock()
		}
	}()
	for {
		r.mu.Lock()
		hurry(behind, -1)
		var err error
		behind, err = look()
		hurry(behind, +1)
		var changed <-chan struct{}
		if len(behind) > 0 {
			changed = behind[0].changed
		}
		halts := r.halts
		r.mu.Unlock()
		if len(behind) == 0 {
			return err
		}
		select {
		case <-changed:
		case <-halts:
		case <-ctx.Done():
			return fault.Wrap(fault.Unavailable, ctx.Err(), "the views have not folded %s yet", p)
		}
	}
}

// hurry says that somebody waits for views, or waits no longer, under Runner.mu.
func hurry(all []*slot, by int) {
	for _, s := range all {
		if s.awaited += by; by > 0 {
			select {
			case s.hurry <- struct{}{}:
			default:
			}
		}
	}
}

// Status is how far one view has got.
type Status struct {
	View   string      `json:"view"`
	Cursor streams.Cut `json:"-"`
	Cut    string      `json:"cut"`
	Lag    int64       `json:"lag_events"` // records of its topics not folded yet
	Inputs int64       `json:"inputs"`     // folded since the start
	Halted *Poison     `json:"-"`
	Error  string      `json:"error,omitempty"`
}

// Damaged is nil until damage was met in the files of the views; then the error, which is fault.Corrupt, names the first.
func (r *Runner) Damaged() error {
	err := r.store.Damaged()
	if err == nil {
		return nil
	}
	return &fault.Error{Code: fault.Corrupt, Message: "views in " + r.store.dir + " cannot be read", Err: err, Hint: hintRestart}
}

// Status lists the views with their lag behind the log's head.
func (r *Runner) Status(ctx context.Context) ([]Status, error) {
	head, err := HeadCut(ctx, r.log, time.Time{})
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make([]Status, 0, len(r.slots))
	for _, s := range r.slots {
		st := Status{View: s.spec.Name, Cursor: s.cursor.Clone(), Cut: s.cursor.String(), Inputs: s.inputs, Halted: s.poison()}
		for tp, n := range head {
			if s.folds(tp) && n > s.cursor[tp] {
				st.Lag += n - s.cursor[tp]
			}
		}
		if why := r.stalled(s); st.Lag > 0 && why != nil {
			st.Error = why.Error()
		}
		if st.Halted != nil {
			st.Error = st.Halted.Error()
		}
		out = append(out, st)
	}
	return out, nil
}

// stalled is why a view is not folded for now.
func (r *Runner) stalled(s *slot) error {
	for _, l := range r.lanes {
		if s.stalled == nil && l.err != nil && s.folds(l.tp) {
			return l.err
		}
	}
	return s.stalled
}

// FoldedTo is the offset up to which queries see the partition in the named view.
func (r *Runner) FoldedTo(view string, tp streams.TP) int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.slots {
		if s.spec.Name == view {
			return s.cursor[tp]
		}
	}
	return 0
}

// Seen is a cut that queries of the named views see all of: up to where they have folded what they fold, of several the least, and of other
// partitions, which they do not depend on, up to where any view has. A view that has halted counts for nothing: what it answers stays as it is.
// The log is not asked.
func (r *Runner) Seen(views ...string) streams.Cut {
	seen, named := streams.Cut{}, streams.Cut{}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.slots {
		if s.poison() != nil {
			continue
		}
		for _, tp := range streams.PartitionsOf() {
			if !s.folds(tp) {
				continue
			}
			seen[tp] = max(seen[tp], s.cursor[tp])
			if next, ok := named[tp]; slices.Contains(views, s.spec.Name) && (!ok || s.cursor[tp] < next) {
				named[tp] = s.cursor[tp]
			}
		}
	}
	maps.Copy(seen, named)
	return seen
}
