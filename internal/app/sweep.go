package app

import (
	"context"
	"maps"
	"path/filepath"
	"time"

	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
)

const (
	// sweepGrace is how long a blob may be without an event that names it: a data set of ten million rows
	// is written long before the event that ends its task.
	sweepGrace = 24 * time.Hour
	sweepEvery = 6 * time.Hour
)

// Sweep removes blobs that no event names, such as those of tasks that were killed, and checkpoints of
// runs that have ended.
func (a *App) Sweep(ctx context.Context) (removed int, bytes int64, err error) {
	active, err := fold.Of[*projections.Workflows](a.Views).Active()
	if err != nil {
		return 0, 0, err
	}
	open := map[string]bool{}
	for _, run := range active {
		open[run.RunID] = true
	}
	n := &a.named
	n.mu.Lock()
	defer n.mu.Unlock()
	path := filepath.Join(a.opts.Dir, namesFile)
	if n.ever == nil {
		if err := n.load(ctx, path, a.Log.Ledger()); err != nil {
			return 0, 0, err
		}
	} else {
		// Before what is new is read: the view may not have its runs yet.
		maps.DeleteFunc(n.held, func(run string, _ map[string]bool) bool { return !open[run] })
	}
	from := n.next
	if err := n.read(ctx, a.Log.Ledger()); err != nil {
		return 0, 0, err
	}
	if n.next > from {
		if err := n.save(path); err != nil {
			a.opts.Logger.Warn("what blobs are named cannot be kept; the next start reads the ledger from its beginning", "error", err)
		}
	}
	return a.Blobs.Sweep(func(hash string) bool {
		if n.ever[hash] {
			return true
		}
		for run, held := range n.held {
			if open[run] && held[hash] {
				return true
			}
		}
		return false
	}, a.opts.Now(), sweepGrace)
}

// sweeps sweeps now and then until ctx ends.
func (a *App) sweeps(ctx context.Context) {
	for {
		removed, bytes, err := a.Sweep(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			a.opts.Logger.Warn("blobs that nothing names could not be swept", "error", err)
		case removed > 0:
			a.opts.Logger.Info("swept blobs that nothing names", "removed", removed, "bytes", bytes)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(sweepEvery):
		}
	}
}
