package app

import (
	"context"
	"maps"
	"regexp"
	"sync"
	"time"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

const (
	// sweepGrace is how long a blob may be without an event that names it: a data set of ten million rows
	// is written long before the event that ends its task.
	sweepGrace = 24 * time.Hour
	sweepEvery = 6 * time.Hour
)

var hash = regexp.MustCompile(`"([0-9a-f]{64})"`)

// names are the blobs that the ledger names, as far as it was read: the next sweep goes on from there.
type names struct {
	mu   sync.Mutex
	next int64                      // offset of the first commit not read
	ever map[string]bool            // by an event that lasts
	held map[string]map[string]bool // by a lease, by its workflow run: while that is active
}

// read takes in what the ledger has since.
func (n *names) read(ctx context.Context, ledger streams.Ledger) error {
	for com, err := range ledger.Read(ctx, n.next) {
		if com == nil { // else what it names is kept, whether this program can read it or not
			return err
		}
		for i := range com.Events {
			into := n.ever
			if e, ok := com.Events[i].Data.(*events.TaskLeaseRenewed); ok {
				if into = n.held[e.RunID]; into == nil {
					into = map[string]bool{}
					n.held[e.RunID] = into
				}
			}
			for _, m := range hash.FindAllSubmatch(com.Events[i].Raw, -1) {
				into[string(m[1])] = true
			}
		}
		n.next = com.Position.Offset + 1
	}
	return nil
}

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
	if n.ever == nil {
		n.ever, n.held = map[string]bool{}, map[string]map[string]bool{}
	}
	// Before what is new is read: the view may not have its runs yet.
	maps.DeleteFunc(n.held, func(run string, _ map[string]bool) bool { return !open[run] })
	if err := n.read(ctx, a.Log.Ledger()); err != nil {
		return 0, 0, err
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
