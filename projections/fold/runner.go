package fold

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sort"
	"sync"
	"time"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/streams"
)

// Checkpoints of lazy views: often enough that a crash costs a second or two of folding, rarely enough
// that rewriting whole rows does not outweigh the folding itself.
const (
	checkpointEvery  = 30 * time.Second
	checkpointInputs = 1_000_000
)

// Factory makes an empty view. A rebuild makes a second one beside the first.
type Factory func() View

// Runner folds the log into a set of views and keeps them up to date. It reads and decodes every chunk
// of the log once and gives it to all views that have not folded it, in parallel.
type Runner struct {
	log       streams.Log
	store     *Store
	factories []Factory

	mu    sync.Mutex // held through a round of folding: whoever holds it sees every view at rest
	slots []*slot

	statusMu sync.Mutex // guards what queries read: slots' view and shown
	changed  chan struct{}
	stalled  error // why nothing is folded for now: the disk is full, or the log is away
	skips    map[string]map[streams.Position]bool
	refolded []string
}

// slot is one view and how far it has got.
type slot struct {
	spec   Spec
	view   View
	gen    uint32
	cursor streams.Cut // folded; in memory for lazy views
	until  streams.Cut // fold no further; nil: no limit
	halted *Poison
	inputs int64 // folded by this process
	dirty  int64 // of them not yet checkpointed
	saved  time.Time

	shown shown // what queries see of the above, as it was after the last round
}

func (s *slot) folds(tp streams.TP) bool {
	return slices.Contains(s.spec.Topics, tp.Topic)
}

// NewRunner opens every view at the state the store has of it. A view stored in an older format is
// folded again from the start; one of a newer format is refused.
func NewRunner(ctx context.Context, log streams.Log, store *Store, factories ...Factory) (*Runner, error) {
	r := &Runner{log: log, store: store, factories: factories, changed: make(chan struct{})}
	head, err := HeadCut(ctx, log, time.Time{})
	if err != nil {
		return nil, err
	}
	if err := store.Fits(head, factories...); err != nil {
		return nil, err
	}
	if err := r.loadSkips(ctx); err != nil {
		return nil, err
	}
	for _, f := range factories {
		s, err := r.open(f)
		if err != nil {
			return nil, err
		}
		r.slots = append(r.slots, s)
	}
	return r, nil
}

func (r *Runner) open(f Factory) (*slot, error) {
	v := f()
	spec := v.Spec()
	m, known, err := r.store.meta(spec.Name)
	if err != nil {
		return nil, err
	}
	if known && m.Format == spec.Format {
		s, err := r.openAt(v, m.Gen)
		if err == nil {
			return s, nil
		}
		r.refolded = append(r.refolded, fmt.Sprintf("view %s cannot be read (%v): folding it again from the log", spec.Name, err))
	} else if known {
		r.refolded = append(r.refolded, fmt.Sprintf("view %s is stored in format %d, this program writes %d: folding it again from the log", spec.Name, m.Format, spec.Format))
	}
	old := m.Gen
	if m.Gen, err = r.store.newGeneration(); err != nil {
		return nil, err
	}
	m.Format = spec.Format
	if err := r.store.point(spec.Name, m); err != nil {
		return nil, err
	}
	if known {
		if err := r.store.drop(old); err != nil {
			return nil, err
		}
	}
	return r.openAt(f(), m.Gen)
}

// Refolded tells, in sentences, which views NewRunner had to begin anew, and why.
func (r *Runner) Refolded() []string { return r.refolded }

func (r *Runner) openAt(v View, gen uint32) (*slot, error) {
	cursor, err := r.store.cursor(gen)
	if err != nil {
		return nil, err
	}
	if err := v.Open(space{r.store.db, gen}); err != nil {
		return nil, fault.Wrap(fault.Corrupt, err, "view %s cannot be opened; it can be folded again: remove the views folder", v.Spec().Name)
	}
	return &slot{spec: v.Spec(), view: v, gen: gen, cursor: cursor, saved: time.Now(), shown: shown{cursor: cursor.Clone()}}, nil
}

// Run folds until ctx ends, then checkpoints. It returns early only for an error of the log or the store:
// a view that meets poison halts alone.
func (r *Runner) Run(ctx context.Context) error {
	wake := make(chan struct{}, 1)
	var waiters sync.WaitGroup
	wctx, stop := context.WithCancel(ctx)
	defer waiters.Wait()
	defer stop()
	r.mu.Lock()
	tps := r.partitions()
	r.mu.Unlock()
	for _, tp := range tps {
		waiters.Add(1)
		go func() {
			defer waiters.Done()
			r.watch(wctx, tp, wake)
		}()
	}
	tick := time.NewTicker(checkpointEvery)
	defer tick.Stop()
	for {
		more, err := r.round(ctx)
		stalled := passes(err)
		r.statusMu.Lock()
		if r.stalled = nil; stalled {
			r.stalled = err
		}
		r.statusMu.Unlock()
		switch {
		case ctx.Err() != nil && err != nil:
			return r.checkpointIfRoom()
		case stalled:
			select {
			case <-ctx.Done():
				return r.checkpointIfRoom()
			case <-time.After(time.Second):
			}
			continue
		case err != nil:
			return err
		}
		if more {
			if ctx.Err() != nil {
				return r.checkpointIfRoom()
			}
			continue
		}
		select {
		case <-ctx.Done():
			return r.checkpointIfRoom()
		case <-wake:
		case <-tick.C:
			r.mu.Lock()
			err := r.checkpoint(func(s *slot) bool { return s.dirty > 0 && time.Since(s.saved) >= checkpointEvery })
			r.mu.Unlock()
			if err != nil && !errors.Is(err, errFull) {
				return err
			}
		}
	}
}

// checkpointIfRoom is Checkpoint, but for a full disk: a checkpoint only saves time, the log has everything.
func (r *Runner) checkpointIfRoom() error {
	if err := r.Checkpoint(); !errors.Is(err, errFull) {
		return err
	}
	return nil
}

// logError is an error of reading the log; nothing was folded of what it concerns.
type logError struct{ error }

func (e *logError) Unwrap() error { return e.error }

// passes says whether folding goes on after an error of a round: there is no room on the disk, or the log
// cannot be read, for brokers that are started again or for a damaged file that may be put back. Until
// then what was folded can be read, and [Runner.Status] says why there is no more.
func passes(err error) bool {
	var unread *logError
	return errors.Is(err, errFull) || errors.As(err, &unread)
}

// watch wakes the loop whenever a partition grows.
func (r *Runner) watch(ctx context.Context, tp streams.TP, wake chan<- struct{}) {
	for ctx.Err() == nil {
		head, err := headOf(ctx, r.log, tp, time.Time{})
		if err == nil {
			select {
			case wake <- struct{}{}:
			default:
			}
			if tp.Topic == events.LedgerTopic {
				err = r.log.Ledger().Wait(ctx, head)
			} else {
				err = r.log.Feed().Wait(ctx, tp, head)
			}
		}
		if err != nil && ctx.Err() == nil {
			select {
			case <-ctx.Done():
			case <-time.After(time.Second): // the log is away: look again
			}
		}
	}
}

// CatchUp folds up to `until` (nil: the head now) and returns when every view is there. progress may be
// nil; it is called after every chunk.
func (r *Runner) CatchUp(ctx context.Context, until streams.Cut, progress func(done, total int64)) error {
	if until == nil {
		var err error
		if until, err = HeadCut(ctx, r.log, time.Time{}); err != nil {
			return err
		}
	}
	r.mu.Lock()
	var total int64
	for _, s := range r.slots {
		if s.until == nil {
			s.until = until
		}
		total += s.remaining()
	}
	r.mu.Unlock()
	for {
		more, err := r.round(ctx)
		if err != nil {
			return err
		}
		r.mu.Lock()
		var left int64
		for _, s := range r.slots {
			if s.halted != nil {
				defer r.mu.Unlock()
				return s.halted
			}
			left += s.remaining()
		}
		r.mu.Unlock()
		if progress != nil {
			progress(total-left, total)
		}
		if !more {
			break
		}
	}
	return r.Checkpoint()
}

func (s *slot) remaining() (n int64) {
	for tp, end := range s.until {
		if s.folds(tp) && end > s.cursor[tp] {
			n += end - s.cursor[tp]
		}
	}
	return n
}

// round folds one chunk of every partition that has something new, decoding the next chunk while views
// fold the current one. It reports whether anything was folded.
func (r *Runner) round(ctx context.Context) (bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.store.room(); err != nil {
		return false, err
	}
	type result struct {
		c   *chunk
		err error
	}
	tps := r.partitions()
	read := func(tp streams.TP) chan result {
		from, until, wanted := r.next(tp)
		ch := make(chan result, 1)
		if !wanted {
			ch <- result{}
			return ch
		}
		go func() {
			c, err := readChunk(ctx, r.log, tp, from, until)
			ch <- result{c, err}
		}()
		return ch
	}
	if len(tps) == 0 {
		return false, nil
	}
	any, reload := false, false
	pending := read(tps[0])
	for i := range tps {
		got := <-pending
		if i+1 < len(tps) {
			pending = read(tps[i+1])
		}
		if got.err != nil {
			if i+1 < len(tps) {
				<-pending
			}
			if any {
				r.publish()
			}
			return any, &logError{got.err}
		}
		if got.c == nil || got.c.next == got.c.from {
			continue
		}
		any = true
		if err := r.fold(got.c); err != nil {
			if i+1 < len(tps) {
				<-pending
			}
			return any, err
		}
		if got.c.tp.Topic == events.LedgerTopic {
			for j := range got.c.in {
				if _, ok := got.c.in[j].Event.Data.(*events.ViewEventSkipped); ok {
					reload = true
				}
			}
		}
	}
	if reload {
		if err := r.loadSkips(ctx); err != nil {
			return any, err
		}
		r.resume()
	}
	if any {
		r.publish()
	}
	return any, nil
}

// next is the range of a partition that some view still wants.
func (r *Runner) next(tp streams.TP) (from, until int64, wanted bool) {
	from, until = -1, 0
	for _, s := range r.slots {
		if s.halted != nil || !s.folds(tp) {
			continue
		}
		end := int64(-1) // no limit
		if s.until != nil {
			if end = s.until[tp]; s.cursor[tp] >= end {
				continue
			}
		}
		if from < 0 || s.cursor[tp] < from {
			from = s.cursor[tp]
		}
		if end < 0 || until < 0 {
			until = -1
		} else {
			until = max(until, end)
		}
		wanted = true
	}
	return from, until, wanted
}

// fold gives a chunk to every view that wants some of it, in parallel. The error is of the store;
// poison only halts its view.
func (r *Runner) fold(c *chunk) error {
	var wg sync.WaitGroup
	errs := make([]error, len(r.slots))
	for i, s := range r.slots {
		if s.halted != nil || !s.folds(c.tp) || s.cursor[c.tp] >= c.next || s.cursor[c.tp] < c.from {
			continue
		}
		wg.Add(1)
		go func() {
			defer wg.Done()
			errs[i] = r.foldInto(s, c)
		}()
	}
	wg.Wait()
	return errors.Join(errs...)
}

func (r *Runner) foldInto(s *slot, c *chunk) error {
	in, next := c.in, c.next
	if at := s.cursor[c.tp]; at > c.from { // already folded by this view
		in = in[sort.Search(len(in), func(i int) bool { return in[i].Position.Offset >= at }):]
	}
	if s.until != nil && s.until[c.tp] < next {
		next = s.until[c.tp]
		in = in[:sort.Search(len(in), func(i int) bool { return in[i].Position.Offset >= next })]
	}
	in = r.admitted(s, in)

	b := r.store.newBatch(s.gen, s.spec.Indexed)
	err := apply(s, b, in)
	var poison *Poison
	if errors.As(err, &poison) {
		poison.View = s.spec.Name
		next = poison.Position.Offset
		if !s.spec.Lazy { // drop what the record at fault has written, keep all before it
			b.b.Close()
			b = r.store.newBatch(s.gen, s.spec.Indexed)
			in = in[:sort.Search(len(in), func(i int) bool { return in[i].Position.Offset >= next })]
			if err := apply(s, b, in); err != nil {
				return fmt.Errorf("view %s failed on inputs it had folded: %w", s.spec.Name, err)
			}
		}
		s.halted = poison
	} else if err != nil {
		b.b.Close()
		return err
	}
	s.cursor[c.tp] = next
	s.inputs += int64(len(in))
	if !s.spec.Lazy {
		return r.store.commit(b, s.cursor)
	}
	b.b.Close()
	if s.dirty += int64(len(in)); s.dirty >= checkpointInputs {
		return r.save(s)
	}
	return nil
}

// admitted leaves out what the view does not get: malformed facts, and records an operator has skipped.
func (r *Runner) admitted(s *slot, in []Input) []Input {
	skips := r.skips[s.spec.Name]
	clean := len(skips) == 0
	if clean && !s.spec.Malformed {
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
		if skips[in[i].Position] || in[i].Malformed != nil && !s.spec.Malformed {
			continue
		}
		kept = append(kept, in[i])
	}
	return kept
}

// apply runs the fold. Any error of a view is poison at the record it names, or at the first one.
func apply(s *slot, w Writer, in []Input) (err error) {
	if len(in) == 0 {
		return nil
	}
	defer func() {
		if p := recover(); p != nil {
			err = PoisonAt(&in[0], fmt.Errorf("panic in a chunk of %d records: %v\n%s", len(in), p, debug.Stack()))
		}
	}()
	err = s.view.Apply(w, in)
	var poison *Poison
	if err != nil && !errors.As(err, &poison) {
		err = PoisonAt(&in[0], err)
	}
	return err
}

// Checkpoint writes the state of every lazy view.
func (r *Runner) Checkpoint() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.checkpoint(func(s *slot) bool { return s.dirty > 0 })
}

func (r *Runner) checkpoint(due func(*slot) bool) error {
	if err := r.store.room(); err != nil {
		return err
	}
	for _, s := range r.slots {
		if s.spec.Lazy && due(s) {
			if err := r.save(s); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *Runner) save(s *slot) error {
	b := r.store.newBatch(s.gen, s.spec.Indexed)
	if err := s.view.Flush(b); err != nil {
		b.b.Close()
		return fmt.Errorf("view %s: %w", s.spec.Name, err)
	}
	if err := r.store.commit(b, s.cursor); err != nil {
		return err
	}
	s.dirty, s.saved = 0, time.Now()
	return nil
}

// resume clears halts whose record an operator has skipped.
func (r *Runner) resume() {
	for _, s := range r.slots {
		if s.halted != nil && r.skips[s.spec.Name][s.halted.Position] {
			s.halted = nil
		}
	}
}

func (r *Runner) loadSkips(ctx context.Context) error {
	skips := map[string]map[streams.Position]bool{}
	for _, f := range r.factories {
		name := f().Spec().Name
		for com, err := range r.log.Ledger().ReadStream(ctx, "view/"+name, 0) {
			if err != nil {
				return err
			}
			for i := range com.Events {
				if e, ok := com.Events[i].Data.(*events.ViewEventSkipped); ok {
					p, err := streams.ParsePosition(e.Position)
					if err != nil {
						return err
					}
					if skips[name] == nil {
						skips[name] = map[streams.Position]bool{}
					}
					skips[name][p] = true
				}
			}
		}
	}
	r.skips = skips
	return nil
}

func (r *Runner) partitions() []streams.TP {
	return slices.DeleteFunc(streams.PartitionsOf(), func(tp streams.TP) bool {
		return !slices.ContainsFunc(r.slots, func(s *slot) bool { return s.folds(tp) })
	})
}
