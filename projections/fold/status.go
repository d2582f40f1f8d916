package fold

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/streams"
)

// What queries see of the runner: each view as it was after the last round of folding, never in the middle
// of one. Everything here is guarded by statusMu.

// shown is how far a view has got.
type shown struct {
	cursor streams.Cut
	halted *Poison
	inputs int64
}

// publish shows queries how far the views have got.
func (r *Runner) publish() {
	r.statusMu.Lock()
	for _, s := range r.slots {
		s.shown = shown{s.cursor.Clone(), s.halted, s.inputs}
	}
	close(r.changed)
	r.changed = make(chan struct{})
	r.statusMu.Unlock()
}

// Of is the runner's current view of type V. It panics when there is none: a wiring fault.
func Of[V View](r *Runner) V {
	r.statusMu.Lock()
	defer r.statusMu.Unlock()
	for _, s := range r.slots {
		if v, ok := s.view.(V); ok {
			return v
		}
	}
	panic(fmt.Sprintf("no view of type %T", *new(V)))
}

// Wait blocks until the named views (none: all) have folded the record at p, a view halts before it, or
// ctx ends.
func (r *Runner) Wait(ctx context.Context, p streams.Position, views ...string) error {
	for {
		r.statusMu.Lock()
		changed, reached := r.changed, true
		for _, s := range r.slots {
			if !s.folds(p.TP) || len(views) > 0 && !slices.Contains(views, s.spec.Name) {
				continue
			}
			if !s.shown.cursor.Covers(p) {
				if s.shown.halted != nil {
					defer r.statusMu.Unlock()
					return fault.Wrap(fault.Unavailable, s.shown.halted, "a view has halted")
				}
				reached = false
			}
		}
		r.statusMu.Unlock()
		if reached {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fault.Wrap(fault.Unavailable, ctx.Err(), "the views have not folded %s yet", p)
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

// Status lists the views with their lag behind the log's head.
func (r *Runner) Status(ctx context.Context) ([]Status, error) {
	head, err := HeadCut(ctx, r.log, time.Time{})
	if err != nil {
		return nil, err
	}
	r.statusMu.Lock()
	defer r.statusMu.Unlock()
	out := make([]Status, 0, len(r.slots))
	for _, s := range r.slots {
		st := Status{View: s.spec.Name, Cursor: s.shown.cursor.Clone(), Cut: s.shown.cursor.String(), Inputs: s.shown.inputs, Halted: s.shown.halted}
		for tp, n := range head {
			if s.folds(tp) && n > s.shown.cursor[tp] {
				st.Lag += n - s.shown.cursor[tp]
			}
		}
		if st.Lag > 0 && r.stalled != nil {
			st.Error = r.stalled.Error()
		}
		if st.Halted != nil {
			st.Error = st.Halted.Error()
		}
		out = append(out, st)
	}
	return out, nil
}

// CursorOf is what the named view has folded, as queries see it.
func (r *Runner) CursorOf(view string) streams.Cut {
	r.statusMu.Lock()
	defer r.statusMu.Unlock()
	for _, s := range r.slots {
		if s.spec.Name == view {
			return s.shown.cursor.Clone()
		}
	}
	return nil
}

// FoldedTo is the offset up to which queries see the partition in the named view.
func (r *Runner) FoldedTo(view string, tp streams.TP) int64 {
	r.statusMu.Lock()
	defer r.statusMu.Unlock()
	for _, s := range r.slots {
		if s.spec.Name == view {
			return s.shown.cursor[tp]
		}
	}
	return 0
}
