package projections

import (
	"fmt"
	"testing"

	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/streams"
)

// pages reads a list to its end.
func pages[T any](t testing.TB, limit int, read func(PageQuery) (Page[T], error)) (all []T) {
	t.Helper()
	for q := (PageQuery{Limit: limit}); ; {
		p, err := read(q)
		must0(t, err)
		if len(p.Items) > limit {
			t.Fatalf("page of %d items; limit %d", len(p.Items), limit)
		}
		all = append(all, p.Items...)
		if q.Cursor = p.Next; p.Next == "" {
			return all
		}
	}
}

func TestPage(t *testing.T) {
	s := newMemory()
	for i := range 25 {
		s.m[string(Table('a').U32(uint32(i)))] = nil
	}
	s.m[string(Table('b').U32(0))], s.m[string(Table('Z').U32(0))] = nil, nil
	odd := func(kv KV) (uint32, bool, error) { n := Parts(kv.Key).U32(); return n, n%2 == 1, nil }
	var up, down []uint32
	for n := uint32(1); n < 25; n += 2 {
		up, down = append(up, n), append([]uint32{n}, down...)
	}
	for _, limit := range []int{1, 2, 5, 12, 13, 100} {
		for back, want := range map[bool][]uint32{false: up, true: down} {
			got := pages(t, limit, func(q PageQuery) (Page[uint32], error) { return page(s, Table('a'), back, q, odd) })
			equal(t, fmt.Sprintf("pages of %d, back %v", limit, back), got, want)
		}
	}
	for _, q := range []PageQuery{{Limit: -1}, {Limit: PageLimitMax + 1}, {Cursor: "%"}, {Cursor: cursorOf(Table('b').U32(0))}} {
		if _, err := page(s, Table('a'), false, q, odd); !fault.Is(err, fault.Invalid) {
			t.Errorf("%+v: error %v; want an invalid one", q, err)
		}
	}
}

func TestPageBoundsItsScan(t *testing.T) {
	s := newMemory()
	for i := range pageScanMax + 10 {
		s.m[string(Table('a').U32(uint32(i)))] = nil
	}
	last := func(kv KV) (uint32, bool, error) { n := Parts(kv.Key).U32(); return n, n >= pageScanMax, nil }
	p := must[Page[uint32]](t)(page(s, Table('a'), false, PageQuery{}, last))
	if len(p.Items) != 0 || p.Next == "" {
		t.Fatalf("first page has %d items and cursor %q; want none, and a cursor", len(p.Items), p.Next)
	}
	p = must[Page[uint32]](t)(page(s, Table('a'), false, PageQuery{Cursor: p.Next}, last))
	if len(p.Items) != 10 || p.Next != "" {
		t.Fatalf("second page has %d items and cursor %q; want 10, and none", len(p.Items), p.Next)
	}
}

func TestAt(t *testing.T) {
	tp := streams.TP{Topic: "mlops-events"}
	pos := streams.Position{TP: tp, Offset: 5}
	for _, c := range []struct {
		at   At
		want bool
	}{
		{At{}, true},
		{At{EventMillis: 100}, true},
		{At{EventMillis: 99}, false},
		{At{RecordedMillis: 200}, true},
		{At{RecordedMillis: 199}, false},
		{At{Cut: streams.Cut{tp: 6}}, true},
		{At{Cut: streams.Cut{tp: 5}}, false},
		{At{Cut: streams.Cut{}}, false},
		{At{EventMillis: 100, RecordedMillis: 200, Cut: streams.Cut{tp: 6}}, true},
		{At{EventMillis: 99, RecordedMillis: 200, Cut: streams.Cut{tp: 6}}, false},
	} {
		if got := c.at.Admits(100, 200, pos); got != c.want {
			t.Errorf("%+v admits: %v; want %v", c.at, got, c.want)
		}
	}
}
