// Package watermark is a number that only grows, and wakes those who wait for it: the end of what may be read
// of a partition.
package watermark

import (
	"sync"
	"sync/atomic"
)

// Mark is 0 at first.
type Mark struct {
	n      atomic.Int64 // written under mu
	mu     sync.Mutex
	raised chan struct{} // closed when n grows; nil while nobody waits
}

// Load is the number.
func (m *Mark) Load() int64 { return m.n.Load() }

// Raise lifts it to n, or leaves it where it is higher.
func (m *Mark) Raise(n int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if n <= m.n.Load() {
		return
	}
	m.n.Store(n)
	if m.raised != nil {
		close(m.raised)
		m.raised = nil
	}
}

// Watch gives the number and what is closed when it has grown above that.
func (m *Mark) Watch() (n int64, raised <-chan struct{}) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.raised == nil {
		m.raised = make(chan struct{})
	}
	return m.n.Load(), m.raised
}

// Above is nil when the mark is above n, else what is closed when it has grown.
func (m *Mark) Above(n int64) <-chan struct{} {
	if m.n.Load() > n {
		return nil
	}
	if now, raised := m.Watch(); now <= n {
		return raised
	}
	return nil
}
