package airflow

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// TestMessages: lines of logs as messages with their times and levels; what has another form is a message of its own.
func TestMessages(t *testing.T) {
	text := "[2026-01-02T03:04:05.678+0000] {h1} ERROR - it's {broken} - yes\n2026-01-02T03:04:05.678Z INFO  all well\nTraceback:\n\n[nonsense] {h} INFO - x\n"
	at := "2026-01-02T03:04:05.678000Z"
	want := []v2Message{{&at, "it's {broken} - yes", "error", "h1"}, {&at, "all well", "info", ""}, {Event: "Traceback:"}, {}, {Event: "[nonsense] {h} INFO - x"}}
	got := messagesOf(text)
	if len(got) != len(want) {
		t.Fatalf("%+v", got)
	}
	for i := range want {
		g, w := got[i], want[i]
		if g.Event != w.Event || g.Level != w.Level || g.Logger != w.Logger || (g.Timestamp == nil) != (w.Timestamp == nil) || g.Timestamp != nil && *g.Timestamp != *w.Timestamp {
			t.Errorf("%d: %+v; want %+v", i, g, w)
		}
	}
	if none := messagesOf(""); none == nil || len(none) != 0 {
		t.Errorf("%+v", none)
	}
}

// TestPages: whatever the order, with ties and without values, pages by offsets and by cursors have every item once and in that order, and
// cursors lead back the same way.
func TestPages(t *testing.T) {
	type item struct{ id, a, b int }
	number := func(v int) sortKey { return sortKey{Null: v == 0, Number: float64(v)} }
	by := attributes[item]{by: map[string]func(*item) sortKey{"a": func(i *item) sortKey { return number(i.a) }, "b": func(i *item) sortKey { return textKey(string(rune('a' + i.b))) }},
		unique: []func(*item) sortKey{func(i *item) sortKey { return sortKey{Number: float64(i.id)} }}}
	r := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		all := make([]item, r.IntN(60))
		for i := range all {
			all[i] = item{i + 1, r.IntN(4), r.IntN(3)}
		}
		orderBy := [][]string{nil, {"a"}, {"-a"}, {"b", "-a"}, {"-b", "a"}}[r.IntN(5)]
		limit := int64(1 + r.IntN(9))
		ask := func(offset int64, cursor *string) *piece[item] {
			shuffled := slices.Clone(all)
			r.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
			p, err := list(&listing{limit: limit, offset: offset, orderBy: orderBy, cursor: cursor}, shuffled, by)
			if err != nil || p.total != len(all) {
				t.Fatalf("%v, %d of %d", err, p.total, len(all))
			}
			return p
		}
		want := slices.Clone(all)
		o, err := orderingOf(orderBy, by)
		if err != nil {
			t.Fatal(err)
		}
		slices.SortFunc(want, func(a, b item) int { return o.compare(&a, &b) })
		var byOffset, byCursor []item
		for offset := int64(0); offset <= int64(len(all)); offset += limit {
			byOffset = append(byOffset, ask(offset, nil).items...)
		}
		first := ""
		var pages []*piece[item]
		for cursor := &first; cursor != nil; {
			p := ask(0, cursor)
			pages = append(pages, p)
			byCursor = append(byCursor, p.items...)
			cursor = p.next
		}
		if !slices.Equal(byOffset, want) || !slices.Equal(byCursor, want) {
			t.Fatalf("by %v, %d a page: %v and %v; want %v", orderBy, limit, byOffset, byCursor, want)
		}
		for i := len(pages) - 1; i > 0; i-- {
			if back := ask(0, pages[i].back); !slices.Equal(back.items, pages[i-1].items) || (back.back == nil) != (i == 1) || back.next == nil {
				t.Fatalf("by %v, back from page %d: %v; want %v", orderBy, i, back.items, pages[i-1].items)
			}
		}
		if len(pages) > 0 && pages[0].back != nil {
			t.Fatalf("there is a page before the first: %v", all)
		}
	}
}
