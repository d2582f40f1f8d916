// Package gate is what every operation on a log passes: it turns away whom it cannot serve with one and the
// same words on every adapter, and counts those inside, so that closing the log can wait for them.
package gate

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/projectionist/projectionist/internal/fault"
)

// Gate is of one log. [New] makes one that is open.
type Gate struct {
	mu     sync.Mutex
	n      int
	closed atomic.Bool // written under mu
	ending chan struct{}
	idle   chan struct{} // closed when nobody is inside any more
}

// New is an open gate.
func New() *Gate { return &Gate{ending: make(chan struct{}), idle: make(chan struct{})} }

// Enter lets an operation in, and Leave must follow. It takes ctx only to look at it once. The error is
// fault.Unavailable: the log is closed, or the caller has gone.
func (g *Gate) Enter(ctx context.Context) error {
	if err := Ended(ctx); err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed.Load() {
		return Closed()
	}
	g.n++
	return nil
}

// EnterRead is Enter for a read from an offset on; a negative one is fault.Invalid.
func (g *Gate) EnterRead(ctx context.Context, from int64) error {
	if from < 0 {
		return fault.Field("from", "offset %d; want 0 or more", from)
	}
	return g.Enter(ctx)
}

// Leave ends an operation.
func (g *Gate) Leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.n--; g.n == 0 && g.closed.Load() {
		close(g.idle)
	}
}

// Stay says whether an operation may go on: the error is fault.Unavailable when Close has begun or the caller
// has gone.
func (g *Gate) Stay(ctx context.Context) error {
	if g.closed.Load() {
		return Closed()
	}
	return Ended(ctx)
}

// Ending is closed when Close begins.
func (g *Gate) Ending() <-chan struct{} { return g.ending }

// InUse is how many operations are under way.
func (g *Gate) InUse() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.n
}

// Close lets nobody in any more, tells those inside, and waits for them, for so long at most. It says whether
// all have left. It is called once.
func (g *Gate) Close(timeout time.Duration) bool {
	g.mu.Lock()
	g.closed.Store(true)
	if g.n == 0 {
		close(g.idle)
	}
	close(g.ending)
	g.mu.Unlock()
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case <-g.idle:
		return true
	case <-timer.C:
		return false
	}
}

// Ended is a caller's end as an error, or nil.
func Ended(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fault.Wrap(fault.Unavailable, err, "the caller gave up")
	}
	return nil
}

// Closed is the error of a log that is closed.
func Closed() error { return fault.New(fault.Unavailable, "the log is closed") }
