package door

import (
	"context"
	"sync"
)

// budget is a number of bytes that many share.
type budget struct {
	mu    sync.Mutex
	free  int64
	freed chan struct{} // closed when bytes come back; nil while nobody waits
}

func newBudget(n int64) *budget { return &budget{free: n} }

// try takes n bytes if there are so many.
func (b *budget) try(n int64) bool {
	ok, _ := b.take(n, false)
	return ok
}

// acquire takes n bytes and waits for them; false when ctx ends first.
func (b *budget) acquire(ctx context.Context, n int64) bool {
	for {
		ok, freed := b.take(n, true)
		if ok {
			return true
		}
		select {
		case <-freed:
		case <-ctx.Done():
			return false
		}
	}
}

func (b *budget) take(n int64, wait bool) (ok bool, freed <-chan struct{}) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.free >= n {
		b.free -= n
		return true, nil
	}
	if wait && b.freed == nil {
		b.freed = make(chan struct{})
	}
	return false, b.freed
}

func (b *budget) release(n int64) {
	if n == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.free += n
	if b.freed != nil {
		close(b.freed)
		b.freed = nil
	}
}
