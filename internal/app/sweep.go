package app

import (
	"context"
	"errors"
	"path/filepath"
	"time"
)

const (
	// sweepGrace is how long a blob may be without an event that names it: a data set of ten million rows
	// is written long before the event that ends its task.
	sweepGrace = 24 * time.Hour
	sweepEvery = 6 * time.Hour
)

// Sweep removes blobs that no event names, such as those of tasks that were killed, and checkpoints of
// runs that have ended. From the bucket it takes these checkpoints alone: what another node, or another log, has put
// there and has not named yet, nobody can tell from what nobody names.
func (a *App) Sweep(ctx context.Context) (removed int, bytes int64, err error) {
	n := &a.named
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := a.readNames(ctx); err != nil {
		return 0, 0, err
	}
	if err := a.removeFromBucket(ctx); err != nil {
		a.opts.Logger.Warn("the bucket keeps blobs that nothing needs", "error", err)
	}
	return a.Blobs.Sweep(n.names, a.opts.Now(), sweepGrace)
}

// readNames takes in what the ledger has since the names that were kept, and keeps that too. a.named is locked.
func (a *App) readNames(ctx context.Context) error {
	n := &a.named
	if n.ever == nil {
		if err := n.load(ctx, a.namesPath(), a.Log.Ledger()); err != nil {
			return err
		}
	}
	from := n.next
	if err := n.read(ctx, a.Log.Ledger()); err != nil {
		return err
	}
	if n.next > from {
		if err := n.save(a.namesPath()); err != nil {
			a.opts.Logger.Warn("what blobs are named cannot be kept; the next start reads the ledger from its beginning", "error", err)
		}
	}
	return nil
}

func (a *App) namesPath() string { return filepath.Join(a.opts.Dir, namesFile) }

// removeFromBucket takes from the bucket what the log has let go of. a.named is locked.
func (a *App) removeFromBucket(ctx context.Context) error {
	n := &a.named
	if a.Blobs.Remote == nil {
		n.released = nil
		return nil
	}
	var errs []error
	for len(n.released) > 0 && len(errs) < removalsFailedMax && ctx.Err() == nil {
		hash := n.released[0]
		n.released = n.released[1:]
		if n.names(hash) {
			continue
		}
		if err := a.Blobs.Remote.Remove(ctx, hash); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// removalsFailedMax is after how many failures a sweep leaves the bucket alone.
const removalsFailedMax = 3

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
