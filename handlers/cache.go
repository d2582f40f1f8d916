package handlers

import (
	"container/list"
	"context"
	"sync"
)

// cache keeps the values used last, by key, each locked by the one who works on it. It never holds the
// truth: a value that was evicted is made anew, even while somebody still works on the old one.
type cache[V any] struct {
	max  int
	make func() V

	mu    sync.Mutex
	byKey map[string]*list.Element
	order *list.List // of *entry[V], used last first
}

type entry[V any] struct {
	key   string
	lock  chan struct{} // holds one token while locked
	value V
}

func newCache[V any](max int, make func() V) *cache[V] {
	return &cache[V]{max: max, make: make, byKey: map[string]*list.Element{}, order: list.New()}
}

// acquire locks the key's value, waiting for whoever has it, or until ctx ends.
func (c *cache[V]) acquire(ctx context.Context, key string) (*entry[V], error) {
	e := c.get(key)
	select {
	case e.lock <- struct{}{}:
		return e, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (e *entry[V]) release() { <-e.lock }

func (c *cache[V]) get(key string) *entry[V] {
	c.mu.Lock()
	defer c.mu.Unlock()
	if at, ok := c.byKey[key]; ok {
		c.order.MoveToFront(at)
		return at.Value.(*entry[V])
	}
	e := &entry[V]{key: key, lock: make(chan struct{}, 1), value: c.make()}
	c.byKey[key] = c.order.PushFront(e)
	if c.order.Len() > c.max {
		oldest := c.order.Back()
		delete(c.byKey, c.order.Remove(oldest).(*entry[V]).key)
	}
	return e
}
