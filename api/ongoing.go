package api

import (
	"context"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/projectionist/projectionist/internal/fault"
)

// Why an [Ongoing] ended before its work was done.
var (
	ErrCancelled   = fault.New(fault.Conflict, "it was cancelled")
	ErrInterrupted = fault.New(fault.Unavailable, "the program ended before it").WithHint("start it again")
)

// Ongoing is a long piece of work that goes on whether anybody follows it or not. One of a kind is under way at a time.
type Ongoing struct {
	ID   string
	Kind string
	// Opened records that it begins; an error is why it does not.
	Opened func() error
	// Work does it, until ctx ends.
	Work func(ctx context.Context, progress func(stage string, done, total int64)) (any, error)
	// Closed records what came of it: the error is ErrCancelled, or ErrInterrupted, where it ended so.
	Closed func(result any, err error)

	mu     sync.Mutex
	pace   pace
	at     Progress
	cancel context.CancelCauseFunc
	by     string // who has cancelled it
	ended  bool   // the work; under the lock of all
}

// Progress is how far it is.
func (o *Ongoing) Progress() Progress {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.at
}

func (o *Ongoing) progress(stage string, done, total int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.pace.hear(stage, time.Now())
	o.at = o.pace.at(done, total)
}

// Cancel ends it soon, in somebody's name.
func (o *Ongoing) Cancel(by string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.by == "" {
		o.by = by
	}
	o.cancel(ErrCancelled)
}

// CancelledBy is who has cancelled it, "" for nobody.
func (o *Ongoing) CancelledBy() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.by
}

// ongoings are those under way, by id.
type ongoings struct {
	mu      sync.Mutex
	all     map[string]*Ongoing
	running sync.WaitGroup
	closed  bool
}

// Ongoing is the work under way that has an id; nil for none.
func (c *Core) Ongoing(id string) *Ongoing {
	c.ongoing.mu.Lock()
	defer c.ongoing.mu.Unlock()
	return c.ongoing.all[id]
}

// Launch begins work that goes on after the request.
// Errors: fault.Conflict while another of its kind is under way; fault.Unavailable while there are too many, or the program ends; that of Opened.
func (c *Core) Launch(o *Ongoing) error {
	ctx, cancel := context.WithCancelCause(c.work)
	o.pace, o.cancel = pace{heard: time.Now()}, cancel
	if err := c.ongoing.take(o); err != nil {
		cancel(nil)
		return err
	}
	done, err := c.Begin()
	if err != nil {
		cancel(nil)
		c.ongoing.leave(o)
		return err
	}
	if err := o.Opened(); err != nil {
		cancel(nil)
		done()
		c.ongoing.leave(o)
		return err
	}
	go func() {
		defer c.ongoing.leave(o)
		defer done()
		defer cancel(nil)
		result, err := do(ctx, o)
		switch {
		case err == nil:
		case context.Cause(ctx) == ErrCancelled: //nolint:errorlint // the very one
			err = ErrCancelled
		case c.work.Err() != nil:
			err = ErrInterrupted
		}
		c.ongoing.ends(o)
		o.Closed(result, err)
	}()
	return nil
}

// do does the work. A panic is its error, and not the program's end.
func do(ctx context.Context, o *Ongoing) (result any, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fault.Wrap(fault.Internal, fmt.Errorf("panic: %v\n%s", p, debug.Stack()), "the work met a defect of the program; its log has it under the request's id")
		}
	}()
	return o.Work(ctx, o.progress)
}

// take admits a piece of work, as the one of its kind.
func (s *ongoings) take(o *Ongoing) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return fault.New(fault.Unavailable, "the server is shutting down")
	}
	for _, is := range s.all {
		if is.Kind == o.Kind && !is.ended {
			return fault.New(fault.Conflict, "a %s is under way already: operation %s", o.Kind, is.ID).
				WithHint("follow it at /api/v1/operations/%s, or cancel it there", is.ID)
		}
	}
	if s.all == nil {
		s.all = map[string]*Ongoing{}
	}
	s.all[o.ID] = o
	s.running.Add(1)
	return nil
}

// ends lets another of the kind begin: of this one only its end is still to be recorded.
func (s *ongoings) ends(o *Ongoing) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o.ended = true
}

func (s *ongoings) leave(o *Ongoing) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.all, o.ID)
	s.running.Done()
}

// shut lets none begin any more, and waits for those that were told to end, for as long as that; what has not ended by then, it gives.
func (s *ongoings) shut(most time.Duration) (left []*Ongoing) {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	ended := make(chan struct{})
	go func() {
		s.running.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(most):
		s.mu.Lock()
		defer s.mu.Unlock()
		left = slices.Collect(maps.Values(s.all))
	}
	return left
}
