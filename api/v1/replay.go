package v1

import (
	"context"
	"errors"
	"os"
	"sync"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

// replays keep the views of one replay, on disk, for the next that can go on from there.
type replays struct {
	mu   sync.Mutex
	kept *replay // in use or at rest; nil for none
}

// replay is views folded up to a moment.
type replay struct {
	rest chan struct{} // holds a token while nobody uses the folder
	dir  string        // "" of one that came to nothing

	eventMillis int64       // as_of, 0 for none
	signals     string      // hash of the definition that acts are read by
	cut         streams.Cut // under replays.mu
}

// leadsTo says whether views at one moment, folded on, are those at another.
func (a *replay) leadsTo(b *replay) bool {
	if a.eventMillis != b.eventMillis || a.signals != b.signals {
		return false
	}
	for tp, next := range a.cut {
		if next > b.cut[tp] {
			return false
		}
	}
	return true
}

// take gives the folder to fold want in: the one that is kept, if it leads there, when nobody uses it any more, or a
// new one. shared is false of one that is nobody else's, because what is kept is in use for another moment.
func (r *replays) take(ctx context.Context, want *replay, scratch string) (got *replay, shared bool, err error) {
	r.mu.Lock()
	k := r.kept
	leads := k != nil && k.leadsTo(want)
	r.mu.Unlock()
	if leads {
		select {
		case <-k.rest:
		case <-ctx.Done():
			return nil, false, ctx.Err()
		}
		r.mu.Lock()
		if k.dir != "" && k.leadsTo(want) { // still
			k.cut = want.cut
			r.mu.Unlock()
			return k, true, nil
		}
		r.mu.Unlock()
		k.rest <- struct{}{}
	}
	if err := os.MkdirAll(scratch, 0o700); err != nil {
		return nil, false, err
	}
	if want.dir, err = os.MkdirTemp(scratch, "recommend-"); err != nil {
		return nil, false, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if k = r.kept; k != nil {
		select {
		case <-k.rest:
			err = os.RemoveAll(k.dir)
			k.dir = ""
			k.rest <- struct{}{}
		default:
			return want, false, nil
		}
	}
	r.kept = want
	return want, true, err
}

// give ends a use. What went wrong is not gone on from.
func (r *replays) give(k *replay, shared, whole bool) error {
	if shared && whole {
		k.rest <- struct{}{}
		return nil
	}
	r.mu.Lock()
	if r.kept == k {
		r.kept = nil
	}
	dir := k.dir
	k.dir = ""
	r.mu.Unlock()
	k.rest <- struct{}{}
	return os.RemoveAll(dir)
}

// viewsAt folds the views that a ranking takes up to a moment, for use to read, and keeps them: the same moment again
// costs nothing, and a later one what has come since. They are what a fold from the log's beginning gives.
func (s *Surface) viewsAt(ctx context.Context, m api.Moment, progress func(done, total int64), use func(*fold.Runner, streams.Cut) error) error {
	cut, err := m.Cut(ctx, s.Log)
	if err != nil {
		return err
	}
	by, err := projections.NewOnline().InForce(ctx, s.Log.Ledger(), fold.At{Cut: cut})
	if err != nil {
		return err
	}
	for {
		want := &replay{rest: make(chan struct{}, 1), eventMillis: m.EventMillis, signals: by.Hash, cut: cut}
		r, shared, err := s.replays.take(ctx, want, s.ScratchDir)
		if err != nil {
			return err
		}
		folded, err := s.foldTo(ctx, r.dir, m.EventMillis, cut, progress, use)
		if err := errors.Join(err, s.replays.give(r, shared, folded)); folded || r == want || ctx.Err() != nil {
			return err
		}
		// What was kept cannot be gone on from.
	}
}

// foldTo is viewsAt in a folder. folded says whether what is in it can be gone on from.
func (s *Surface) foldTo(ctx context.Context, dir string, eventMillis int64, cut streams.Cut, progress func(done, total int64), use func(*fold.Runner, streams.Cut) error) (folded bool, err error) {
	store, err := fold.OpenStore(dir, fold.StoreOptions{CacheBytes: scratchCacheBytes})
	if err != nil {
		return false, err
	}
	log := s.Log
	if eventMillis != 0 {
		log = happenedBy{s.Log, eventMillis}
	}
	views, err := fold.Replay(ctx, log, store, cut, progress, s.factoriesOf("catalogue", "online", "deployments", "registry")...)
	folded = err == nil
	if folded {
		err = use(views, cut)
	}
	closed := store.Close()
	return folded && closed == nil, errors.Join(err, closed)
}
