package api

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

// Past gives views as they were: folded from the log's beginning up to a cut, in folders of scratch. A moment that was
// asked for costs nothing the next time, and a later one what has come since: its folder begins as a copy of the nearest
// earlier one's, which takes no room of its own. What is kept is bounded, by number and by bytes; whoever reads keeps what
// they read.
type Past struct {
	log       streams.Log
	factories []fold.Factory
	dir       string
	logger    *slog.Logger

	work       context.Context // of folds: until close
	stop       context.CancelFunc
	folds      chan struct{} // a token for each that is under way
	background sync.WaitGroup

	keptMax      int
	keptBytesMax int64
	grace        time.Duration
	patience     time.Duration // of an answer

	mu     sync.Mutex
	closed bool
	all    []*kept // the last used last
}

func newPast(log streams.Log, factories []fold.Factory, dir string, logger *slog.Logger) *Past {
	p := &Past{log: log, factories: factories, dir: dir, logger: logger, folds: make(chan struct{}, pastFoldsMax),
		keptMax: pastKeptMax, keptBytesMax: pastKeptBytesMax, grace: pastGrace, patience: pastWaitMax}
	p.work, p.stop = context.WithCancel(context.Background())
	return p
}

// Wanted says which views, and as they were when.
type Wanted struct {
	Views       []string
	Cut         streams.Cut // what the log had; of partitions that the views do not fold it does not matter
	EventMillis int64       // what had happened, as [AsOfParam] has it; 0 for all
}

// Then is views as they were, until Release.
type Then struct {
	Views *fold.Runner // at rest
	Cut   streams.Cut  // of the partitions that they fold

	past *Past
	k    *kept
}

// Release ends the use of the views.
func (t *Then) Release() { t.past.release(t.k) }

// question is a wanted state, and all that it depends on.
type question struct {
	Wanted
	factories []fold.Factory
	log       streams.Log
	line      string // what states have in common that lead to each other in time
	lazy      bool   // a view has state in memory
}

// kept is views at a moment, on disk.
type kept struct {
	line string
	cut  streams.Cut
	lazy bool

	cancel      context.CancelFunc // of its fold
	ended       chan struct{}      // closed when it is folded, or will not be
	done, total atomic.Int64

	// Since ended is closed.
	err   error
	dir   string
	bytes int64

	opening sync.Mutex // held while it is opened, closed or copied. Then comes Past.mu
	store   *fold.Store
	views   *fold.Runner

	// Under Past.mu.
	uses     int       // who reads it, or waits for it
	awaited  time.Time // until when somebody may come back for it who was told to
	dropped  bool      // it is on the list no more: who ends the last use removes it
	finished bool      // ended is closed
}

// leadsTo says whether views at one moment, folded on, are those at another.
func (k *kept) leadsTo(o *kept) bool {
	if k.line != o.line {
		return false
	}
	for tp, next := range k.cut {
		if next > o.cut[tp] {
			return false
		}
	}
	return true
}

// size is how much of the log a cut has.
func size(cut streams.Cut) (n int64) {
	for _, next := range cut {
		n += next
	}
	return n
}

// question reads what is wanted.
func (p *Past) question(ctx context.Context, w Wanted) (*question, error) {
	q := &question{Wanted: w, log: p.log, line: strconv.FormatInt(w.EventMillis, 10)}
	if w.EventMillis != 0 {
		q.log = happenedBy{p.log, w.EventMillis}
	}
	var topics []string
	for _, f := range p.factories {
		v := f()
		spec := v.Spec()
		if !slices.Contains(w.Views, spec.Name) {
			continue
		}
		q.factories, q.lazy, topics, q.line = append(q.factories, f), q.lazy || spec.Lazy, append(topics, spec.Topics...), q.line+" "+spec.Name
		if d, ok := v.(fold.Defined); ok {
			by, err := d.InForce(ctx, p.log.Ledger(), fold.At{Cut: w.Cut})
			if err != nil {
				return nil, err
			}
			q.line += "=" + by.Hash
		}
	}
	if len(q.factories) < len(w.Views) {
		return nil, fault.New(fault.Internal, "of the views %q some are none", w.Views)
	}
	q.Cut = streams.Cut{}
	for _, tp := range streams.PartitionsOf() {
		if slices.Contains(topics, tp.Topic) {
			q.Cut[tp] = w.Cut[tp]
		}
	}
	return q, nil
}

// Views gives views as they were, which are the caller's to release. It waits for them until ctx ends, and tells progress,
// which may be nil, how many records are folded meanwhile. If ctx has ended by its deadline the fold goes on for a while,
// for whoever comes back; else one that nobody waits for any more is given up.
// Errors: fault.Unavailable when they are not there yet, for want of time or of room, or when one of them had halted then.
func (p *Past) Views(ctx context.Context, w Wanted, progress func(done, total int64)) (*Then, error) {
	q, err := p.question(ctx, w)
	if err != nil {
		return nil, err
	}
	for again := false; ; again = true {
		k, err := p.take(q)
		if err == nil {
			err = p.await(ctx, k, progress)
		}
		if err != nil {
			return nil, err
		}
		views, err := p.open(ctx, k, q)
		if err == nil {
			return &Then{Views: views, Cut: k.cut, past: p, k: k}, nil
		}
		unreadable := damaged(err)
		if unreadable {
			p.drop(k)
		}
		p.release(k)
		if again || !unreadable {
			return nil, err
		}
	}
}

// damaged says whether an error tells of files that cannot be read any more.
func damaged(err error) bool { return errors.Is(err, fold.ErrDamaged) || fault.Is(err, fault.Corrupt) }

// take gives the state that is asked for, for a use: as it is kept, or as it begins to be folded.
func (p *Past) take(q *question) (*kept, error) {
	k := &kept{line: q.line, cut: q.Cut, lazy: q.lazy, ended: make(chan struct{})}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, fault.New(fault.Unavailable, "the server is shutting down")
	}
	if i := slices.IndexFunc(p.all, func(o *kept) bool { return o.leadsTo(k) && k.leadsTo(o) }); i >= 0 {
		k = p.all[i]
		p.all = append(slices.Delete(p.all, i, i+1), k)
		k.uses++
		return k, nil
	}
	if p.busy() >= pastBusyMax {
		return nil, fault.New(fault.Unavailable, "%d other moments of the past are being folded or read", pastBusyMax).WithHint("ask again when one of them is done with")
	}
	var work context.Context
	work, k.cancel = context.WithCancel(p.work)
	p.all = append(p.all, k)
	k.uses++
	p.background.Go(func() { p.fold(work, k, q) })
	return k, nil
}

// busy is how many states are folded or read, and cannot be let go of. Under mu.
func (p *Past) busy() (n int) {
	for _, k := range p.all {
		if !k.finished || k.uses > 0 {
			n++
		}
	}
	return n
}

// await waits until a state is folded. After an error the use has ended.
func (p *Past) await(ctx context.Context, k *kept, progress func(done, total int64)) error {
	tick := time.NewTicker(progressEvery)
	defer tick.Stop()
	for {
		select {
		case <-k.ended:
			if k.err != nil {
				p.release(k)
			} else if progress != nil {
				progress(k.total.Load(), k.total.Load())
			}
			return k.err
		case <-tick.C:
			if progress != nil {
				progress(k.done.Load(), k.total.Load())
			}
		case <-ctx.Done():
			p.leave(k, errors.Is(ctx.Err(), context.DeadlineExceeded))
			return fault.Wrap(fault.Unavailable, ctx.Err(), "the log is being folded up to then: %d of %d records", k.done.Load(), k.total.Load()).(*fault.Error).
				WithHint("ask again: it goes on meanwhile")
		}
	}
}

// leave ends the use of a state that is not folded yet. Unless somebody else waits for it, or comes back, it is given up.
func (p *Past) leave(k *kept, back bool) {
	p.mu.Lock()
	if back && !k.finished {
		k.awaited = time.Now().Add(p.grace)
		time.AfterFunc(p.grace, func() {
			p.mu.Lock()
			p.forget(k)
			p.mu.Unlock()
		})
	}
	p.mu.Unlock()
	p.release(k)
}

// forget gives up a fold that nobody wants. Under mu.
func (p *Past) forget(k *kept) {
	if k.uses == 0 && !k.finished && !time.Now().Before(k.awaited) {
		p.unlist(k)
		k.cancel()
	}
}

// unlist takes a state off the list, so that nobody else is given it. Under mu.
func (p *Past) unlist(k *kept) {
	k.dropped = true
	p.all = slices.DeleteFunc(p.all, func(o *kept) bool { return o == k })
}

// drop is unlist.
func (p *Past) drop(k *kept) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.unlist(k)
}

// release ends a use. A state in memory is not kept there while nobody uses it.
func (p *Past) release(k *kept) {
	p.mu.Lock()
	k.uses--
	p.forget(k)
	p.mu.Unlock()
	p.rest(k)
	p.trim()
}

// rest closes what nobody uses, where that is worth it, and removes what is not to be kept.
func (p *Past) rest(k *kept) {
	k.opening.Lock()
	defer k.opening.Unlock()
	p.mu.Lock()
	if k.store != nil && k.store.Damaged() != nil {
		p.unlist(k)
	}
	unused, dropped := k.uses == 0 && k.finished, k.dropped
	p.mu.Unlock()
	if !unused {
		return
	}
	if k.lazy || dropped {
		p.close(k)
	}
	if dropped {
		p.remove(k.dir)
	}
}

// close closes a state's store, under kept.opening.
func (p *Past) close(k *kept) {
	if k.store == nil {
		return
	}
	if err := k.store.Close(); err != nil {
		p.logger.Warn("views of the past could not be closed: they are folded again", "error", err)
		p.drop(k)
	}
	k.store, k.views = nil, nil
}

func (p *Past) remove(dir string) {
	if dir == "" {
		return
	}
	if err := os.RemoveAll(dir); err != nil {
		p.logger.Warn("views of the past could not be removed: they go at the next start", "dir", dir, "error", err)
	}
}

// trim lets go of what was not used for longest, down to what is to be kept.
func (p *Past) trim() {
	for {
		p.mu.Lock()
		var bytes int64
		for _, k := range p.all {
			if k.finished {
				bytes += k.bytes
			}
		}
		i := -1
		if len(p.all) > p.keptMax || bytes > p.keptBytesMax {
			i = slices.IndexFunc(p.all, func(k *kept) bool { return k.finished && k.uses == 0 })
		}
		if i < 0 || i == len(p.all)-1 && len(p.all) <= p.keptMax { // the last one is kept, whatever its size
			p.mu.Unlock()
			return
		}
		k := p.all[i]
		p.unlist(k)
		p.mu.Unlock()
		p.rest(k)
	}
}

// folder is where a state's store is: it is not there before the store is made.
func (k *kept) folder() string { return filepath.Join(k.dir, "views") }

// open gives a folded state's views.
func (p *Past) open(ctx context.Context, k *kept, q *question) (*fold.Runner, error) {
	k.opening.Lock()
	defer k.opening.Unlock()
	if k.views != nil {
		return k.views, nil
	}
	store, err := fold.OpenStore(k.folder(), fold.StoreOptions{CacheBytes: pastCacheBytes})
	if err != nil {
		return nil, err
	}
	views, err := fold.NewRunner(ctx, q.log, store, q.factories...)
	if err == nil && len(views.Refolded()) > 0 { // it was begun anew, and is empty
		err = fault.New(fault.Corrupt, "views of the past cannot be read: %s", views.Refolded()[0])
	}
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	k.store, k.views = store, views
	return views, nil
}

// Forget lets go of all that is kept and that nobody uses.
func (p *Past) Forget() {
	p.mu.Lock()
	idle := slices.DeleteFunc(slices.Clone(p.all), func(k *kept) bool { return k.uses > 0 || !k.finished })
	for _, k := range idle {
		p.unlist(k)
	}
	p.mu.Unlock()
	for _, k := range idle {
		p.rest(k)
	}
}

// shut ends the folds that are under way, and removes what is kept. What is still read then goes with its last use.
func (p *Past) shut() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.stop()
	p.background.Wait()
	p.mu.Lock()
	all := slices.Clone(p.all)
	for _, k := range all {
		p.unlist(k)
	}
	p.mu.Unlock()
	for _, k := range all {
		p.rest(k)
	}
}

// fold makes a state, from the nearest earlier one that is kept.
func (p *Past) fold(ctx context.Context, k *kept, q *question) {
	err := p.make(ctx, k, q)
	if err != nil && ctx.Err() != nil {
		err = fault.Wrap(fault.Unavailable, ctx.Err(), "the fold up to %s was given up", k.cut)
	}
	p.mu.Lock()
	k.cancel()
	if k.err = err; err != nil {
		p.unlist(k)
	}
	k.finished = true
	close(k.ended)
	p.mu.Unlock()
	p.rest(k)
	p.trim()
}

func (p *Past) make(ctx context.Context, k *kept, q *question) error {
	select {
	case p.folds <- struct{}{}:
		defer func() { <-p.folds }()
	case <-ctx.Done():
		return ctx.Err()
	}
	err := os.MkdirAll(p.dir, 0o700)
	if err == nil {
		k.dir, err = os.MkdirTemp(p.dir, "past-")
	}
	if err != nil {
		return fault.Wrap(fault.Unavailable, err, "there is no folder for views of the past")
	}
	if base := p.nearest(k); base != nil {
		err := p.copy(base, k.folder())
		unreadable := err != nil
		if err == nil {
			err = p.replay(ctx, k, q)
			unreadable = damaged(err)
		}
		if unreadable {
			p.drop(base)
		}
		p.release(base)
		if !unreadable {
			return err
		}
		p.logger.Warn("views of the past cannot be gone on from: they are folded from the beginning", "error", err)
		if err := os.RemoveAll(k.folder()); err != nil {
			return err
		}
	}
	return p.replay(ctx, k, q)
}

// nearest is the latest state that leads to another, for a use; nil for none.
func (p *Past) nearest(to *kept) (base *kept) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, k := range p.all {
		if k != to && k.finished && k.leadsTo(to) && (base == nil || size(k.cut) >= size(base.cut)) {
			base = k
		}
	}
	if base != nil {
		base.uses++
	}
	return base
}

// copy copies a folded state's store.
func (p *Past) copy(k *kept, dir string) error {
	k.opening.Lock()
	defer k.opening.Unlock()
	if k.store != nil {
		return k.store.Copy(dir)
	}
	store, err := fold.OpenStore(k.folder(), fold.StoreOptions{CacheBytes: pastCacheBytes})
	if err != nil {
		return err
	}
	return errors.Join(store.Copy(dir), store.Close())
}

// replay folds into a state's folder, and closes it: so it takes no memory, and is whole.
func (p *Past) replay(ctx context.Context, k *kept, q *question) error {
	store, err := fold.OpenStore(k.folder(), fold.StoreOptions{CacheBytes: pastCacheBytes})
	if err != nil {
		return err
	}
	began, told := time.Now(), time.Now()
	_, err = fold.Replay(ctx, q.log, store, q.Cut, func(done, total int64) { // never two at once
		k.done.Store(done)
		k.total.Store(total)
		if time.Since(told) > pastTellEvery {
			told = time.Now()
			p.logger.Info("folding views of the past", "cut", k.cut.String(), "records", done, "of", total, "seconds", int(time.Since(began).Seconds()))
		}
	}, q.factories...)
	if err = errors.Join(err, store.Close()); err != nil {
		return err
	}
	return filepath.WalkDir(k.dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if err == nil {
			k.bytes += info.Size() // also of what it shares with others
		}
		return err
	})
}
