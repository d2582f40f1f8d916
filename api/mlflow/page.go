package mlflow

import (
	"container/heap"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strconv"
)

// page is a piece of a list that a request asks for: at most so many things, after a place in the order.
//
// MLflow's own tokens count what came before, so that what arrives or goes between two pages makes them skip or repeat.
// Ours say what the last thing was ordered by, its id among that: whatever keeps its place is met once.
type page struct {
	size  int
	of    string  // what the token's search is bound to, digested
	after []value // nil: the beginning
}

// page reads max_results, and page_token, which must be of the same search: what it is of, in parts. zero says whether
// nothing may be asked for.
func (q *request) page(absent, most int64, zero bool, of ...any) page {
	size := q.whole("max_results", absent)
	if size < 0 || size > most || size == 0 && !zero {
		q.fault(invalid("Invalid value %d for parameter 'max_results' supplied: It must be at least 1 and at most %d", size, most))
		return page{}
	}
	p, err := pageAt(q.text("page_token"), int(size), of...)
	if err != nil {
		q.fault(err)
	}
	return p
}

// pageAt is the page that a token, "" for none, says where to begin. The token must be of the same search: what it is of, in parts.
func pageAt(token string, size int, of ...any) (page, error) {
	raw, err := json.Marshal(of)
	if err != nil {
		return page{}, err
	}
	digest := sha256.Sum256(raw)
	p := page{size: size, of: base64.RawURLEncoding.EncodeToString(digest[:9])}
	if token == "" {
		return p, nil
	}
	var t pageToken
	raw, err = base64.StdEncoding.DecodeString(token)
	switch {
	case err != nil:
		return p, invalid("Invalid page token, could not base64-decode")
	case json.Unmarshal(raw, &t) != nil || t.Of == "":
		return p, invalid("Invalid page token: it is not one that this server gave out")
	case t.Of != p.of:
		return p, invalid("Invalid page token: it is of a search with another filter, order or scope. Leave it out to start at the beginning.")
	}
	for _, part := range t.After {
		v, ok := part.value()
		if !ok {
			return p, invalid("Invalid page token: it is not one that this server gave out")
		}
		p.after = append(p.after, v)
	}
	return p, nil
}

// pageToken is what a token says.
type pageToken struct {
	Of    string      `json:"of"`
	After []tokenPart `json:"after,omitempty"`
}

// tokenPart is one thing that a list is ordered by: a text, a number, or neither.
type tokenPart struct {
	Text   *string `json:"t,omitempty"`
	Number *string `json:"n,omitempty"` // as strconv has it, which has NaN
}

func partOf(v value, numeric bool) (p tokenPart) {
	switch {
	case !v.is:
	case numeric:
		n := strconv.FormatFloat(v.number, 'g', -1, 64)
		p.Number = &n
	default:
		p.Text = &v.text
	}
	return p
}

func (p tokenPart) value() (value, bool) {
	switch {
	case p.Text != nil:
		return text(*p.Text), p.Number == nil
	case p.Number != nil:
		n, err := strconv.ParseFloat(*p.Number, 64)
		return number(n), err == nil
	}
	return value{}, true
}

// place is where a thing stands in a list.
type place[T any] struct {
	by   []value
	item T
}

// pager picks a page out of things that come in any order. It holds no more than the page and one.
type pager[T any] struct {
	page
	order order
	kept  []place[T] // a heap, the last in the order on top
	by    []value    // of the thing at hand
}

func newPager[T any](p page, o order) (*pager[T], error) {
	if p.after != nil && len(p.after) != len(o) {
		return nil, invalid("Invalid page token: it is not one that this server gave out")
	}
	return &pager[T]{page: p, order: o, by: make([]value, len(o))}, nil
}

func (p *pager[T]) Len() int           { return len(p.kept) }
func (p *pager[T]) Less(i, j int) bool { return p.order.compare(p.kept[i].by, p.kept[j].by) > 0 }
func (p *pager[T]) Swap(i, j int)      { p.kept[i], p.kept[j] = p.kept[j], p.kept[i] }
func (p *pager[T]) Push(x any)         { p.kept = append(p.kept, x.(place[T])) }
func (p *pager[T]) Pop() any {
	last := p.kept[len(p.kept)-1]
	p.kept = p.kept[:len(p.kept)-1]
	return last
}

// offer takes a thing in if it is on the page so far, or the first behind it. item is called only then. It says whether
// the thing, and with it all that come later in the order, is beyond that.
func (p *pager[T]) offer(has having, item func() T) (beyond bool) {
	open := len(p.kept) > p.size // whether it is still to be seen that the thing is not beyond
	for i := range p.order {
		p.by[i] = has(p.order[i].kind, p.order[i].key)
		if open {
			c := p.order[i:i+1].compare(p.by[i:i+1], p.kept[0].by[i:i+1])
			if c > 0 {
				return true
			}
			open = c == 0
		}
	}
	return p.take(item)
}

// take is offer for a thing of which p.by says what it is ordered by.
func (p *pager[T]) take(item func() T) (beyond bool) {
	if p.after != nil && p.order.compare(p.by, p.after) <= 0 {
		return false
	}
	if len(p.kept) <= p.size {
		heap.Push(p, place[T]{slices.Clone(p.by), item()})
		return false
	}
	if p.order.compare(p.by, p.kept[0].by) >= 0 {
		return true
	}
	p.kept[0] = place[T]{slices.Clone(p.by), item()}
	heap.Fix(p, 0)
	return false
}

// end gives the page, in order, and the token of the next; "" at the end.
func (p *pager[T]) end() (items []T, next string, err error) {
	slices.SortFunc(p.kept, func(a, b place[T]) int { return p.order.compare(a.by, b.by) })
	for i := range p.kept[:min(p.size, len(p.kept))] {
		items = append(items, p.kept[i].item)
	}
	if len(p.kept) <= p.size {
		return items, "", nil
	}
	t, last := pageToken{Of: p.of}, p.after
	if p.size > 0 {
		last = p.kept[p.size-1].by
	}
	for i, v := range last {
		t.After = append(t.After, partOf(v, p.order[i].numeric))
	}
	raw, err := json.Marshal(t)
	return items, base64.StdEncoding.EncodeToString(raw), err
}
