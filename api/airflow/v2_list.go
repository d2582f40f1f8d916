package airflow

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/api/fastapi"
)

// Bounds of lists of /api/v2: Airflow's [api] fallback_page_limit and maximum_page_limit. More is cut to the latter, without a word.
const (
	v2LimitDefault = 50
	v2LimitMax     = 100
	orderByMax     = 10
	// totalLimit is beyond which Airflow does not count where a cursor is used. Here all are counted, and what is more is said as this.
	totalLimit = 50_000
)

// sortKey is what one attribute of an item is ordered by. Without a value it comes last, and first where the order is turned.
type sortKey struct {
	Null   bool    `json:"z,omitempty"`
	Number float64 `json:"n,omitempty"`
	Text   string  `json:"t,omitempty"`
}

func textKey(v string) sortKey { return sortKey{Text: v} }

func millisKey(v int64) sortKey { return sortKey{Null: v == 0, Number: float64(v)} }

// spanKey orders by how long something took.
func spanKey(startMillis, endMillis int64) sortKey {
	if startMillis == 0 || endMillis == 0 {
		return sortKey{Null: true}
	}
	return sortKey{Number: float64(endMillis - startMillis)}
}

func (a sortKey) compare(b sortKey) int {
	if a.Null != b.Null {
		if a.Null {
			return 1
		}
		return -1
	}
	return cmp.Or(cmp.Compare(a.Number, b.Number), strings.Compare(a.Text, b.Text))
}

// attributes are those that items of a list can be ordered by.
type attributes[T any] struct {
	by     map[string]func(*T) sortKey
	unique []func(*T) sortKey // which order what is equal else
}

// listing is which piece of a list is asked for, and in which order.
type listing struct {
	limit, offset int64
	orderBy       []string
	cursor        *string // keyset pagination: "" for the first page
}

// readListing reads limit, offset and order_by of a query, and its cursor where the list has pages by one.
func readListing(q *fastapi.Values, cursors bool) *listing {
	l := &listing{limit: min(q.Integer("limit", v2LimitDefault, 0, math.MaxInt64), v2LimitMax), offset: q.Integer("offset", 0, 0, math.MaxInt64), orderBy: q.Texts("order_by")}
	if cursors {
		if v, given := q.Text("cursor", 0); given {
			l.cursor = &v
		}
	}
	return l
}

// readBatchListing reads page_limit, page_offset and order_by of a body.
func readBatchListing(b *fastapi.Values) *listing {
	l := &listing{limit: min(b.Integer("page_limit", v2LimitMax, 0, math.MaxInt64), v2LimitMax), offset: b.Integer("page_offset", 0, 0, math.MaxInt64)}
	if v, given := b.Text("order_by", 0); given && v != "" {
		l.orderBy = []string{v}
	}
	return l
}

// place is where an item stands in an order: the position of a cursor.
type place struct {
	Keys []sortKey `json:"k"`
	Back bool      `json:"b,omitempty"` // what is before it is asked for
}

func (p place) token() *string {
	b, err := json.Marshal(p)
	if err != nil {
		return nil
	}
	v := base64.RawURLEncoding.EncodeToString(b)
	return &v
}

// ordering compares items by some of their attributes.
type ordering[T any] struct {
	parts []func(*T) sortKey
	back  []bool // by part
}

func orderingOf[T any](orderBy []string, by attributes[T]) (*ordering[T], error) {
	if len(orderBy) > orderByMax {
		return nil, fastapi.Refuse(http.StatusBadRequest, "Ordering with more than %d parameters is not allowed", orderByMax)
	}
	o := &ordering[T]{}
	for _, name := range orderBy {
		attribute := strings.TrimLeft(name, "-")
		key, ok := by.by[attribute]
		if !ok {
			return nil, fastapi.Refuse(http.StatusBadRequest, "Ordering with '%s' is disallowed or the attribute does not exist on the model", api.Short(attribute))
		}
		o.parts, o.back = append(o.parts, key), append(o.back, strings.HasPrefix(name, "-"))
	}
	for _, key := range by.unique {
		o.parts, o.back = append(o.parts, key), append(o.back, len(orderBy) > 0 && o.back[0])
	}
	return o, nil
}

func (o *ordering[T]) turn(i, c int) int {
	if o.back[i] {
		return -c
	}
	return c
}

func (o *ordering[T]) compare(a, b *T) int {
	for i, part := range o.parts {
		if c := part(a).compare(part(b)); c != 0 {
			return o.turn(i, c)
		}
	}
	return 0
}

// to compares an item with a place.
func (o *ordering[T]) to(a *T, keys []sortKey) int {
	for i, part := range o.parts {
		if c := part(a).compare(keys[i]); c != 0 {
			return o.turn(i, c)
		}
	}
	return 0
}

// at is the place of an item.
func (o *ordering[T]) at(a *T, back bool) place {
	p := place{Back: back}
	for _, part := range o.parts {
		p.Keys = append(p.Keys, part(a))
	}
	return p
}

// piece is the part of a list that was asked for.
type piece[T any] struct {
	items      []T
	total      int
	next, back *string // cursors of the pages after and before
}

// counted are the totals and cursors of the answer of a list that can have pages by a cursor.
func (p *piece[T]) counted(l *listing, name string, list any) map[string]any {
	v := map[string]any{name: list, "total_entries": p.total, "total_entries_limit": nil, "next_cursor": p.next, "previous_cursor": p.back}
	if l.cursor != nil {
		v["total_entries"], v["total_entries_limit"] = min(p.total, totalLimit), totalLimit
	}
	return v
}

// list orders items, as far as it must, and takes the piece that is asked for. They are its own afterwards.
func list[T any](l *listing, items []T, by attributes[T]) (*piece[T], error) {
	o, err := orderingOf(l.orderBy, by)
	if err != nil {
		return nil, err
	}
	p := &piece[T]{total: len(items)}
	if l.cursor == nil {
		first := o.first(items, int(min(l.offset, int64(len(items)))+l.limit))
		p.items = first[min(l.offset, int64(len(first))):]
		return p, nil
	}
	at, err := o.parse(*l.cursor)
	if err != nil {
		return nil, err
	}
	left := items[:0] // on the side of the place that is asked for
	for i := range items {
		if c := 1; at != nil {
			if c = o.to(&items[i], at.Keys); at.Back && c >= 0 || !at.Back && c <= 0 {
				continue
			}
		}
		left = append(left, items[i])
	}
	beyond, behind := len(left) > int(l.limit), len(left) < p.total
	if at != nil && at.Back {
		o.turnRound()
		p.items = o.first(left, int(l.limit))
		o.turnRound()
		slices.Reverse(p.items)
		beyond, behind = behind, beyond
	} else {
		p.items = o.first(left, int(l.limit))
	}
	if n := len(p.items); n > 0 && beyond {
		p.next = o.at(&p.items[n-1], false).token()
	}
	if len(p.items) > 0 && behind {
		p.back = o.at(&p.items[0], true).token()
	}
	return p, nil
}

// first are the first few of items in their order.
func (o *ordering[T]) first(items []T, n int) []T {
	compare := func(a, b T) int { return o.compare(&a, &b) }
	if n >= len(items)/8 {
		if !slices.IsSortedFunc(items, compare) {
			slices.SortFunc(items, compare)
		}
		return items[:min(n, len(items))]
	}
	top := make([]T, 0, n+1)
	for i := range items {
		if len(top) == n && (n == 0 || o.compare(&items[i], &top[n-1]) >= 0) {
			continue
		}
		at, _ := slices.BinarySearchFunc(top, items[i], compare)
		if top = slices.Insert(top, at, items[i]); len(top) > n {
			top = top[:n]
		}
	}
	return top
}

func (o *ordering[T]) turnRound() {
	for i := range o.back {
		o.back[i] = !o.back[i]
	}
}

// parse reads a cursor; nil for the first page.
func (o *ordering[T]) parse(cursor string) (*place, error) {
	if cursor == "" {
		return nil, nil
	}
	at := &place{}
	b, err := base64.RawURLEncoding.DecodeString(cursor)
	if err == nil {
		err = json.Unmarshal(b, at)
	}
	if err != nil || len(at.Keys) != len(o.parts) {
		return nil, fastapi.Refuse(http.StatusBadRequest, "Invalid cursor token")
	}
	return at, nil
}

// bounds are those of a time or a number, NAME_gte, _gt, _lte and _lt; nothing is within them that has no value.
type bounds struct {
	gte, gt, lte, lt float64
	any              bool
}

func noBounds() bounds {
	return bounds{gte: math.Inf(-1), gt: math.Inf(-1), lte: math.Inf(1), lt: math.Inf(1)}
}

// timeBounds are in milliseconds.
func timeBounds(q *fastapi.Values, name string, aware bool) bounds {
	b := noBounds()
	for suffix, into := range map[string]*float64{"_gte": &b.gte, "_gt": &b.gt, "_lte": &b.lte, "_lt": &b.lt} {
		if t := q.Time(name+suffix, aware); !t.IsZero() {
			*into, b.any = float64(t.Sub(time.UnixMilli(0)))/float64(time.Millisecond), true
			if t.Year() < 1700 || t.Year() > 2250 { // beyond a Duration
				*into = float64(t.UnixMilli())
			}
		}
	}
	return b
}

func numberBounds(q *fastapi.Values, name string) bounds {
	b := noBounds()
	for suffix, into := range map[string]*float64{"_gte": &b.gte, "_gt": &b.gt, "_lte": &b.lte, "_lt": &b.lt} {
		if v, given := q.Number(name + suffix); given {
			*into, b.any = v, true
		}
	}
	return b
}

func (b *bounds) has(v float64, known bool) bool {
	return !b.any || known && v >= b.gte && v > b.gt && v <= b.lte && v < b.lt
}

func (b *bounds) hasMillis(v int64) bool { return b.has(float64(v), v != 0) }

// hasSpan says it of how long something took, in seconds.
func (b *bounds) hasSpan(startMillis, endMillis int64) bool {
	return b.has(float64(endMillis-startMillis)/1000, startMillis != 0 && endMillis != 0)
}

// patterns are NAME_pattern, of which one of several between bars stands anywhere in a text, with SQL's signs and without regard to
// case, and NAME_prefix_pattern, of which one begins it.
type patterns struct {
	within, before []string
}

func readPatterns(q *fastapi.Values, name string) (p patterns) {
	terms := func(field string) []string {
		v, given := q.Text(field, 0)
		if !given || v == "" {
			return nil
		}
		if v == "~" {
			v = "%"
		}
		var all []string
		for _, term := range strings.Split(v, "|") {
			if term = strings.TrimSpace(term); term != "" {
				all = append(all, term)
			}
		}
		return all
	}
	return patterns{terms(name + "_pattern"), terms(name + "_prefix_pattern")}
}

func (p *patterns) match(text string) bool {
	return (p.within == nil || slices.ContainsFunc(p.within, func(t string) bool { return matches(t, text) })) &&
		(p.before == nil || slices.ContainsFunc(p.before, func(t string) bool { return t == "%" || strings.HasPrefix(text, t) }))
}

// given says whether a text is asked for that nothing has here, such as the version of a bundle.
func (p *patterns) given() bool { return p.within != nil || p.before != nil }

// anyOf says whether a value is one of those that are asked for, or none are.
func anyOf(wanted []string, v string) bool { return len(wanted) == 0 || slices.Contains(wanted, v) }

// statesOf reads a list of states of a query; what is none is refused in Airflow's words.
func statesOf(q *fastapi.Values, name, what string, all ...string) ([]string, error) {
	wanted := q.Texts(name)
	for _, v := range wanted {
		if !slices.Contains(all, v) && v != "none" {
			return nil, fastapi.Refuse(http.StatusUnprocessableEntity, "Invalid value for %s. Valid values are %s", what, strings.Join(all, ", "))
		}
	}
	return wanted, nil
}
