// Package gate counts the operations under way on a log, so that closing it can turn new ones away and wait
// for the rest.
package gate

import (
	"sync"
	"time"
)

// Gate is open from its zero value on.
type Gate struct {
	mu     sync.Mutex
	n      int
	closed bool
	idle   chan struct{} // made by Close; closed when n is 0
}

// Enter lets an operation in, and Leave must follow; or says that the gate is closed.
func (g *Gate) Enter() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return false
	}
	g.n++
	return true
}

// Leave ends an operation.
func (g *Gate) Leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.n--; g.n == 0 && g.closed {
		close(g.idle)
	}
}

// InUse is how many operations are under way.
func (g *Gate) InUse() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.n
}

// Close lets nobody in any more, calls ending to tell those inside, and waits for them, for so long at
// most. It says whether all have left. It is called once.
func (g *Gate) Close(timeout time.Duration, ending func()) bool {
	g.mu.Lock()
	g.closed, g.idle = true, make(chan struct{})
	if g.n == 0 {
		close(g.idle)
	}
	ending()
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
