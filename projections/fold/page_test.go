package fold_test

import (
	"fmt"
	"testing"

	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/projections/fold/foldtest"
	"github.com/projectionist/projectionist/streams"
)

func TestPage(t *testing.T) {
	s := foldtest.NewMemory()
	for i := range 25 {
		s.Put(fold.Table('a').U32(uint32(i)), nil)
	}
	s.Put(fold.Table('b').U32(0), nil)
	s.Put(fold.Table('Z').U32(0), nil)
	odd := func(_ fold.Reader, kv fold.KV) (uint32, bool, error) {
		n := fold.Parts(kv.Key).U32()
		return n, n%2 == 1, nil
	}
	var up, down []uint32
	for n := uint32(1); n < 25; n += 2 {
		up, down = append(up, n), append([]uint32{n}, down...)
	}
	for _, limit := range []int{1, 2, 5, 12, 13, 100} {
		for back, want := range map[bool][]uint32{false: up, true: down} {
			got := foldtest.Pages(t, limit, func(q fold.PageQuery) (fold.Page[uint32], error) {
				return fold.Paginate(s, fold.Table('a'), back, q, odd)
			})
			equal(t, fmt.Sprintf("pages of %d, back %v", limit, back), got, want)
		}
	}
	for _, q := range []fold.PageQuery{{Limit: -1}, {Limit: fold.PageLimitMax + 1}, {Cursor: "%"}, {Cursor: fold.PageCursor(fold.Table('b').U32(0))}} {
		if _, err := fold.Paginate(s, fold.Table('a'), false, q, odd); !fault.Is(err, fault.Invalid) {
			t.Errorf("%+v: error %v; want an invalid one", q, err)
		}
	}
}

func TestPageBoundsItsScan(t *testing.T) {
	s := foldtest.NewMemory()
	for i := range fold.PageScanMax + 10 {
		s.Put(fold.Table('a').U32(uint32(i)), nil)
	}
	last := func(_ fold.Reader, kv fold.KV) (uint32, bool, error) {
		n := fold.Parts(kv.Key).U32()
		return n, n >= fold.PageScanMax, nil
	}
	p := must[fold.Page[uint32]](t)(fold.Paginate(s, fold.Table('a'), false, fold.PageQuery{}, last))
	if len(p.Items) != 0 || p.Next == "" {
		t.Fatalf("first page has %d items and cursor %q; want none, and a cursor", len(p.Items), p.Next)
	}
	p = must[fold.Page[uint32]](t)(fold.Paginate(s, fold.Table('a'), false, fold.PageQuery{Cursor: p.Next}, last))
	if len(p.Items) != 10 || p.Next != "" {
		t.Fatalf("second page has %d items and cursor %q; want 10, and none", len(p.Items), p.Next)
	}
}

// A page of large items ends before it takes much memory, whether they stand in its entries or elsewhere.
func TestPageBoundsItsBytes(t *testing.T) {
	s := foldtest.NewMemory()
	large := make([]byte, 1<<20)
	for i := range uint32(10) {
		s.Put(fold.Table('a').U32(i), large)
		s.Put(fold.Table('i').U32(i), fold.Table('a').U32(i))
	}
	s.Put(fold.Table('i').U32(10), fold.Table('b')) // of nothing
	for _, table := range []byte{'a', 'i'} {
		read := 0
		load := func(r fold.Reader, kv fold.KV) (n int, ok bool, err error) {
			read++
			if table == 'a' {
				return len(kv.Value), true, nil
			}
			v, ok, err := r.Get(kv.Value)
			return len(v), ok, err
		}
		p := must[fold.Page[int]](t)(fold.Paginate(s, fold.Table(table), false, fold.PageQuery{Limit: 1000}, load))
		if len(p.Items) != 4 || p.Next == "" || read != 4 {
			t.Errorf("table %c: %d items, %d read, cursor %q", table, len(p.Items), read, p.Next)
		}
		all := foldtest.Pages(t, 1000, func(q fold.PageQuery) (fold.Page[int], error) {
			return fold.Paginate(s, fold.Table(table), true, q, load)
		})
		if len(all) != 10 {
			t.Errorf("table %c: %d items in all", table, len(all))
		}
	}
}

func TestAt(t *testing.T) {
	tp := streams.TP{Topic: "mlops-events"}
	pos := streams.Position{TP: tp, Offset: 5}
	for _, c := range []struct {
		at   fold.At
		want bool
	}{
		{fold.At{}, true},
		{fold.At{EventMillis: 100}, true},
		{fold.At{EventMillis: 99}, false},
		{fold.At{RecordedMillis: 200}, true},
		{fold.At{RecordedMillis: 199}, false},
		{fold.At{Cut: streams.Cut{tp: 6}}, true},
		{fold.At{Cut: streams.Cut{tp: 5}}, false},
		{fold.At{Cut: streams.Cut{}}, false},
		{fold.At{EventMillis: 100, RecordedMillis: 200, Cut: streams.Cut{tp: 6}}, true},
		{fold.At{EventMillis: 99, RecordedMillis: 200, Cut: streams.Cut{tp: 6}}, false},
	} {
		if got := c.at.Admits(100, 200, pos); got != c.want {
			t.Errorf("%+v admits: %v; want %v", c.at, got, c.want)
		}
	}
}
