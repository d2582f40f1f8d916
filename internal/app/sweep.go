package app

import (
	"context"
	"regexp"
	"time"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
)

const (
	// sweepGrace is how long a blob may be without an event that names it: a data set of ten million rows
	// is written long before the event that ends its task.
	sweepGrace = 24 * time.Hour
	sweepEvery = 6 * time.Hour
)

var hash = regexp.MustCompile(`"([0-9a-f]{64})"`)

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
	named := map[string]bool{}
	for com, err := range a.Log.Ledger().Read(ctx, 0) {
		if com == nil { // else what it names is kept, whether this program can read it or not
			return 0, 0, err
		}
		for i := range com.Events {
			if e, ok := com.Events[i].Data.(*events.TaskLeaseRenewed); ok && !open[e.RunID] {
				continue
			}
			for _, m := range hash.FindAllSubmatch(com.Events[i].Raw, -1) {
				named[string(m[1])] = true
			}
		}
	}
	return a.Blobs.Sweep(func(hash string) bool { return named[hash] }, a.opts.Now(), sweepGrace)
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
