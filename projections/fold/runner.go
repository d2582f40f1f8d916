package fold

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/streams"
)

// Checkpoints of lazy views: often enough that a crash costs a second or two of folding, rarely enough
// that rewriting whole rows does not outweigh the folding itself. A few clicks are folded again in no time, and may
// have touched most rows there are.
const (
	checkpointEvery  = 30 * time.Second // where at least checkpointWorth inputs are not saved
	checkpointWorth  = 20_000
	checkpointAnyway = 10 * time.Minute
	checkpointInputs = 1_000_000

	tendEvery = 10 * time.Second // is how often a lazy view is looked after when nothing comes
)

// pauseAfterFault is how long a view rests before it looks again at a log that cannot be read or a disk that is full.
const pauseAfterFault = time.Second

// Factory makes an empty view. A rebuild makes a second one beside the first.
type Factory func() View

// Runner folds the log into a set of views and keeps them up to date.
//
// Every view has a worker of its own, which takes the next chunk of a partition, folds it, and shows queries how far
// it has got: a slow view holds up no other one, and a slow partition no other either. Chunks are decoded once and
// shared (lane.go). In a long replay the fast views wait for the slow ones, so that this stays so; near the end
// of the log nobody waits.
type Runner struct {
	log       streams.Log
	store     *Store
	factories []Factory
	refolded  []string
	definedAt streams.Cut // the moment whose definitions views that are begun read by; nil: now
	gatherFor time.Duration

	yields      func() bool // whether others need the processors more, for now; nil: never
	yieldWithin time.Duration

	mu    sync.Mutex // guards what follows, and of slots what is said there. Nothing is folded, read or written under it
	slots []*slot    // by the number of their factory
	lanes []*lane
	skips map[string]passed // by view; never changed, but replaced
	halts chan struct{}     // closed when it is known that a view has halted for now

	reads sync.WaitGroup // chunks that are read beside folding
	saves sync.WaitGroup // lazy views that are saved beside folding
}

// slot is one view and how far it has got.
type slot struct {
	spec       Spec
	view       View
	gen        *generation
	definition Definition

	// folding is held while the view folds or is saved: whoever holds it sees the view at rest. Then comes Runner.mu.
	folding sync.Mutex
	dirty   int64     // inputs folded that no save has, of a lazy view
	saved   time.Time // when one began last
	saving  *saving   // the one that is under way, or has ended and was not settled
	warm    bool      // a [Tended] view has nothing to prepare
	rested  time.Time // when it was last told to let go of what it does not need
	suspect *chunk    // a fold of it failed without naming a record: it is folded record by record
	stop    *Poison   // the record that is known to be at fault, and not to be folded

	// Under Runner.mu.
	cursor  streams.Cut // folded and to be seen; written under folding too
	until   streams.Cut // fold no further; nil: no limit
	halted  *Poison
	unsure  bool // whether the record it has halted at is to be skipped was not looked up yet: for others it is behind
	anew    bool // it may go on, but has to be opened anew
	inputs  int64
	stalled error         // why it is not folded for now: the disk is full
	taken   *chunk        // being folded
	held    bool          // waits for other views or for memory
	turn    int           // lane to look at next
	changed chan struct{} // closed when cursor has grown, or another slot is in this one's place
	awaited int           // who waits for what it has not folded yet
	wake    chan struct{} // there may be something to do; the worker's, and so handed on
	hurry   chan struct{} // somebody waits; likewise
}

func newSlot(v View, gen *generation, cursor streams.Cut) *slot {
	return &slot{spec: v.Spec(), view: v, gen: gen, cursor: cursor, saved: time.Now(), rested: time.Now(), changed: make(chan struct{}), wake: make(chan struct{}, 1), hurry: make(chan struct{}, 1)}
}

func (s *slot) folds(tp streams.TP) bool { return slices.Contains(s.spec.Topics, tp.Topic) }

func (s *slot) rouse() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// NewRunner opens every view at the state the store has of it. A view stored in an older format is
// folded again from the start; one of a newer format is refused.
func NewRunner(ctx context.Context, log streams.Log, store *Store, factories ...Factory) (*Runner, error) {
	return newRunner(log, store, factories).begin(ctx, nil)
}

// begin opens the views, each as the store has it. One that is begun anew reads by the definition given for it,
// or by the one in force.
func (r *Runner) begin(ctx context.Context, definitions map[string]Definition) (*Runner, error) {
	head, err := HeadCut(ctx, r.log, time.Time{})
	if err != nil {
		return nil, err
	}
	if err := r.store.Fits(head, r.factories...); err != nil {
		return nil, err
	}
	if err := r.LoadSkips(ctx); err != nil {
		return nil, err
	}
	for _, f := range r.factories {
		s, err := r.open(ctx, f, definitions[f().Spec().Name])
		if err != nil {
			return nil, err
		}
		r.slots = append(r.slots, s)
	}
	r.makeLanes()
	return r, nil
}

func newRunner(log streams.Log, store *Store, factories []Factory) *Runner {
	return &Runner{log: log, store: store, factories: factories, gatherFor: gatherFor, yieldWithin: yieldWithin, halts: make(chan struct{})}
}

func (r *Runner) open(ctx context.Context, f Factory, definition Definition) (*slot, error) {
	v := f()
	spec := v.Spec()
	m, known, err := r.store.meta(spec.Name)
	if err != nil {
		return nil, err
	}
	if known {
		s, why, err := r.stored(ctx, v, m)
		if s != nil || err != nil {
			return s, err
		}
		r.refolded = append(r.refolded, fmt.Sprintf("view %s %s: folding it again from the log", spec.Name, why))
	}
	old := m.Gen
	if m.Gen, err = r.store.newGeneration(); err != nil {
		return nil, err
	}
	v = f()
	if m.Definition = definition; definition.Hash == "" {
		if m.Definition, err = r.inForce(ctx, v); err != nil {
			return nil, err
		}
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
	return r.openAt(v, m.Gen, m.Definition)
}

// stored opens a view at what the store has of it; nil, and why, if that is to be folded again.
func (r *Runner) stored(ctx context.Context, v View, m viewMeta) (s *slot, why string, err error) {
	if now := v.Spec().Format; m.Format != now {
		return nil, fmt.Sprintf("is stored in format %d, this program writes %d", m.Format, now), nil
	}
	switch s, err = r.openAt(v, m.Gen, m.Definition); {
	case errors.Is(err, ErrDamaged): // then it is not this view alone
		return nil, "", err
	case err != nil:
		return nil, fmt.Sprintf("cannot be read (%v)", err), nil
	}
	if at, ok, err := r.outgrown(ctx, m.Gen); ok || err != nil {
		return nil, fmt.Sprintf("has passed over the event at %s, which this release can read", at), err
	}
	return s, "", nil
}

// Refolded tells, in sentences, which views had to be begun anew at the start, and why.
func (r *Runner) Refolded() []string { return r.refolded }

// openAt opens a view at a generation that is the fold under the definition.
func (r *Runner) openAt(v View, number uint32, definition Definition) (*slot, error) {
	if d, ok := v.(Defined); ok {
		if err := d.ReadBy(definition); err != nil {
			return nil, fault.Wrap(fault.Corrupt, err, "the view %s cannot be read by the definition it is the fold under", v.Spec().Name)
		}
	}
	cursor, err := r.store.cursor(number)
	if err != nil {
		return nil, err
	}
	gen := &generation{number: number}
	if err := v.Open(current{r.store, gen}); err != nil {
		return nil, fault.Wrap(fault.Corrupt, err, "view %s cannot be opened; it can be folded again: remove the views folder", v.Spec().Name)
	}
	s := newSlot(v, gen, cursor)
	s.definition = definition
	return s, nil
}

// Run folds until ctx ends, then checkpoints. It returns early only for an error of the store: a view that meets
// poison halts alone, and a log that cannot be read is looked at again.
func (r *Runner) Run(ctx context.Context) error {
	err := r.workers(ctx, r.live, r.watchers())
	if err != nil {
		return err
	}
	return r.checkpointIfRoom()
}

// workers runs one worker for each view, and helpers beside them, until all workers have returned, or one with an
// error, which it gives. The end of ctx is none.
func (r *Runner) workers(ctx context.Context, work func(ctx context.Context, i int) error, helpers []func(context.Context)) error {
	inner, stop := context.WithCancel(ctx)
	var working, helping sync.WaitGroup
	var once sync.Once
	var first error
	for _, help := range helpers {
		helping.Go(func() { help(inner) })
	}
	for i := range r.slots {
		working.Go(func() {
			if err := work(inner, i); err != nil && inner.Err() == nil {
				once.Do(func() { first = err })
				stop()
			}
		})
	}
	working.Wait()
	stop()
	helping.Wait()
	r.reads.Wait()
	r.saves.Wait() // the store may be closed now
	return first
}

// live folds one view until ctx ends.
func (r *Runner) live(ctx context.Context, i int) error {
	for ctx.Err() == nil {
		s, t := r.choose(i)
		err := r.do(ctx, i, s, t)
		var unread *logError
		switch {
		case errors.Is(err, errFull):
			r.stall(s, err)
			select {
			case <-time.After(pauseAfterFault):
			case <-ctx.Done():
			}
			r.stall(s, nil)
			continue
		case err != nil && !errors.As(err, &unread): // of the log, its lane says so, and rests
			return err
		case t.does > idle:
			continue
		}
		select {
		case <-s.wake:
		case <-ctx.Done():
		}
		r.gather(ctx, s)
	}
	return nil
}

const (
	// gatherFor is for how long a view that nobody awaits lets inputs come together: they cost less together, and it shall not share
	// the processors with whoever makes them.
	gatherFor = 10 * time.Millisecond
	// gatherMost is with how many of a partition at hand it does not.
	gatherMost = 1024
	// yieldWithin is for how long it does while others need the processors more.
	yieldWithin = 500 * time.Millisecond
)

// YieldTo has views that nobody awaits wait, for a moment, while others need the processors more. It is called before Run.
func (r *Runner) YieldTo(others func() bool) { r.yields = others }

// gather waits a moment for more, unless somebody waits for the view, or there is enough.
func (r *Runner) gather(ctx context.Context, s *slot) {
	select {
	case <-s.hurry: // of those who have what they waited for
	default:
	}
	yields := func() bool { return r.yields != nil && r.yields() }
	for since := time.Now(); ; {
		much := !yields()
		r.mu.Lock()
		much = much && slices.ContainsFunc(r.lanes, func(l *lane) bool { return s.folds(l.tp) && l.end(s)-s.cursor[l.tp] >= gatherMost })
		awaited := s.awaited > 0
		r.mu.Unlock()
		if awaited || much || !r.pause(ctx, s) || !yields() || time.Since(since) >= r.yieldWithin {
			return
		}
	}
}

// pause waits for gatherFor; false where it was not to end then: somebody waits for the view, or ctx has ended.
func (r *Runner) pause(ctx context.Context, s *slot) bool {
	more := time.NewTimer(r.gatherFor)
	defer more.Stop()
	select {
	case <-more.C:
		return true
	case <-s.hurry:
	case <-ctx.Done():
	}
	return false
}

// stall shows why a view is not folded for now.
func (r *Runner) stall(s *slot, err error) {
	r.mu.Lock()
	s.stalled = err
	r.mu.Unlock()
}

// checkpointIfRoom is Checkpoint, but for a full disk: a checkpoint only saves time, the log has everything.
func (r *Runner) checkpointIfRoom() error {
	if err := r.Checkpoint(); !errors.Is(err, errFull) {
		return err
	}
	return nil
}

// logError is an error of reading the log. Folding goes on when it can be read again: brokers are started again, a
// damaged file may be put back. Until then what was folded can be read, and [Runner.Status] says why there is no more.
type logError struct{ error }

func (e *logError) Unwrap() error { return e.error }

// watchers tell the workers of what comes into the log, and when to checkpoint.
func (r *Runner) watchers() []func(context.Context) {
	helpers := []func(context.Context){r.tick}
	for _, l := range r.lanes {
		helpers = append(helpers, func(ctx context.Context) { r.watch(ctx, l) })
	}
	return helpers
}

// watch notes how far a partition reaches, and wakes who folds it.
func (r *Runner) watch(ctx context.Context, l *lane) {
	for ctx.Err() == nil {
		head, err := HeadAt(ctx, r.log, l.tp, time.Time{})
		if err == nil {
			if err = r.grown(ctx, l, head); err == nil {
				err = r.waitFor(ctx, l.tp, head)
			}
		}
		if err != nil && ctx.Err() == nil {
			select {
			case <-ctx.Done():
			case <-time.After(pauseAfterFault): // the log is away: look again
			}
		}
	}
}

func (r *Runner) waitFor(ctx context.Context, tp streams.TP, head int64) error {
	if tp.Topic == events.LedgerTopic {
		return r.log.Ledger().Wait(ctx, head)
	}
	return r.log.Feed().Wait(ctx, tp, head)
}

// tick wakes lazy views now and then, so that they are saved when nothing comes.
func (r *Runner) tick(ctx context.Context) {
	t := time.NewTicker(tendEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			r.mu.Lock()
			for _, s := range r.slots {
				if s.spec.Lazy {
					s.rouse()
				}
			}
			r.mu.Unlock()
		}
	}
}

// CatchUp folds up to `until` (nil: the head now) and returns when every view is there. progress may be
// nil; it is called after every chunk.
func (r *Runner) CatchUp(ctx context.Context, until streams.Cut, progress func(done, total int64)) error {
	if err := r.foldUpTo(ctx, until, progress); err != nil {
		return err
	}
	return r.Checkpoint()
}

func (r *Runner) foldUpTo(ctx context.Context, until streams.Cut, progress func(done, total int64)) error {
	head, err := HeadCut(ctx, r.log, time.Time{})
	if err != nil {
		return err
	}
	if until == nil {
		until = head
	}
	r.mu.Lock()
	for _, s := range r.slots {
		if s.until == nil {
			s.until = until
		}
	}
	for _, l := range r.lanes {
		l.head = head[l.tp]
	}
	total := r.left()
	r.mu.Unlock()
	var telling sync.Mutex
	tell := func() {
		if progress != nil {
			telling.Lock()
			defer telling.Unlock()
			r.mu.Lock()
			left := r.left()
			r.mu.Unlock()
			progress(total-left, total)
		}
	}
	err = r.workers(ctx, func(ctx context.Context, i int) error { return r.catchUp(ctx, i, tell) }, nil)
	if err == nil {
		err = ctx.Err()
	}
	return err
}

// catchUp folds one view until it has all it may.
func (r *Runner) catchUp(ctx context.Context, i int, tell func()) error {
	for ctx.Err() == nil {
		s, t := r.choose(i)
		if err := r.do(ctx, i, s, t); err != nil {
			return err
		}
		if t.does > idle {
			tell()
			continue
		}
		r.mu.Lock()
		halted, there := s.halted, r.left1(s) == 0
		r.mu.Unlock()
		switch {
		case halted != nil:
			return fault.Wrap(fault.Unavailable, halted, "a view has halted")
		case there:
			return nil
		}
		select {
		case <-s.wake:
		case <-ctx.Done():
		}
	}
	return nil
}

// left is how many records views have not folded that they may.
func (r *Runner) left() (n int64) {
	for _, s := range r.slots {
		n += r.left1(s)
	}
	return n
}

func (r *Runner) left1(s *slot) (n int64) {
	for _, l := range r.lanes {
		if s.folds(l.tp) {
			n += max(0, l.end(s)-s.cursor[l.tp])
		}
	}
	return n
}

// Checkpoint writes the state of every lazy view.
func (r *Runner) Checkpoint() error {
	for i := range r.slots {
		s := r.still(i)
		err := r.save(s)
		s.folding.Unlock()
		if err != nil {
			return err
		}
	}
	return nil
}

// still is the view in a place, at rest: its folding is to be unlocked.
func (r *Runner) still(i int) *slot {
	for {
		s := r.slot(i)
		s.folding.Lock()
		if r.slot(i) == s {
			return s
		}
		s.folding.Unlock()
	}
}

func (r *Runner) slot(i int) *slot {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.slots[i]
}

// rest stops every view between two chunks until move is called.
func (r *Runner) rest() (slots []*slot, move func()) {
	for i := range r.slots {
		slots = append(slots, r.still(i))
	}
	return slots, func() {
		for _, s := range slots {
			s.folding.Unlock()
		}
	}
}

// hasHalted says whether a view has halted, and has not gone on.
func (r *Runner) hasHalted(s *slot) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return s.halted != nil || s.anew
}

// poison is the record at which a view has halted for all who ask, under Runner.mu: nil while it may be one to skip.
func (s *slot) poison() *Poison {
	if s.unsure {
		return nil
	}
	return s.halted
}

func (r *Runner) anyHalted() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.ContainsFunc(r.slots, func(s *slot) bool { return s.halted != nil })
}
