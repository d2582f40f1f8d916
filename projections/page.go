package projections

import (
	"container/heap"
	"slices"
)

// Page is a piece of a list: Limit items, after Offset of them.
type Page struct{ Offset, Limit int64 }

// top keeps of what it is given, in its order, as much as a page needs: a heap whose first is the last of them.
type top[T any] struct {
	Page
	order func(a, b *T) int // of any two one is before; nil: as they come
	all   []T
}

func newTop[T any](p Page, order func(a, b *T) int) *top[T] { return &top[T]{Page: p, order: order} }

// full says whether it has as much as the page needs.
func (t *top[T]) full() bool { return int64(len(t.all)) >= t.Offset+t.Limit }

// takes says whether v is among what it has by now.
func (t *top[T]) takes(v *T) bool {
	return !t.full() || t.order != nil && len(t.all) > 0 && t.order(v, &t.all[0]) < 0
}

// add takes in a copy of v, if it is among those.
func (t *top[T]) add(v *T) {
	switch {
	case !t.full():
		if t.order == nil {
			t.all = append(t.all, *v)
		} else {
			heap.Push(t, *v)
		}
	case t.takes(v):
		t.all[0] = *v
		heap.Fix(t, 0)
	}
}

// page are the items of the page. Nothing is added any more.
func (t *top[T]) page() []T {
	if t.order != nil {
		slices.SortFunc(t.all, func(a, b T) int { return t.order(&a, &b) })
	}
	return t.all[min(t.Offset, int64(len(t.all))):]
}

func (t *top[T]) Len() int           { return len(t.all) }
func (t *top[T]) Less(i, j int) bool { return t.order(&t.all[i], &t.all[j]) > 0 }
func (t *top[T]) Swap(i, j int)      { t.all[i], t.all[j] = t.all[j], t.all[i] }
func (t *top[T]) Push(v any)         { t.all = append(t.all, v.(T)) }
func (t *top[T]) Pop() any {
	last := t.all[len(t.all)-1]
	t.all = t.all[:len(t.all)-1]
	return last
}
