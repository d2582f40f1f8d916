package mlflow

import (
	"fmt"
	"math"
	"math/rand/v2"
	"net/url"
	"testing"
)

// listed is a thing of a list that changes.
type listed struct {
	id  int
	has map[string]value
}

func (l *listed) get(kind, key string) value {
	if key == "id" {
		return number(float64(l.id))
	}
	return l.has[key]
}

// TestPages: whatever stands at one place while a list is read, in pages of any size, is met exactly once, whatever
// comes, goes and moves between them; and what is met is in order.
func TestPages(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 7))
		random := func(id int) *listed {
			l := &listed{id, map[string]value{}}
			for _, key := range []string{"n", "t"} {
				switch k := r.IntN(6); {
				case k == 0: // nothing
				case key == "t":
					l.has[key] = text(string(rune('a' + r.IntN(3))))
				case k == 1:
					l.has[key] = number(math.NaN())
				default:
					l.has[key] = number([]float64{0, -1, .1, math.MaxFloat64, 5e-324}[r.IntN(5)])
				}
			}
			return l
		}
		o := order{{"metric", "n", true, r.IntN(2) == 0}, {"tag", "t", false, r.IntN(2) == 0}, {ofAttribute, "id", true, r.IntN(2) == 0}}
		if r.IntN(2) == 0 {
			o = o[1:]
		}
		all, ids := map[int]*listed{}, 0
		for range r.IntN(40) {
			ids++
			all[ids] = random(ids)
		}
		stood, met := map[int]bool{}, map[int]int{}
		for id := range all {
			stood[id] = true
		}
		var last []value
		for token := ""; ; {
			q := request{query: url.Values{"page_token": {token}, "max_results": {fmt.Sprint(1 + r.IntN(6))}}}
			pages, err := newPager[*listed](q.page(1, 100, false, "test"), o)
			if q.err != nil || err != nil {
				t.Fatal(q.err, err)
			}
			for _, l := range all { // in any order
				pages.offer(l.get, func() *listed { return l })
			}
			items, next, err := pages.end()
			if err != nil {
				t.Fatal(err)
			}
			for _, l := range items {
				by := make([]value, len(o))
				for i := range o {
					by[i] = l.get(o[i].kind, o[i].key)
				}
				if last != nil && o.compare(last, by) >= 0 {
					t.Fatalf("seed %d: %v after %v", seed, by, last)
				}
				last = by
				met[l.id]++
			}
			if token = next; token == "" {
				break
			}
			for range r.IntN(4) {
				switch id := 1 + r.IntN(ids); r.IntN(3) {
				case 0:
					ids++
					all[ids] = random(ids)
				case 1:
					delete(all, id)
					delete(stood, id)
				case 2:
					if all[id] != nil {
						all[id] = random(id)
						delete(stood, id)
					}
				}
			}
		}
		for id := range stood {
			if met[id] != 1 {
				t.Fatalf("seed %d: %d stood throughout and was met %d times", seed, id, met[id])
			}
		}
	}
}

// TestPageTokens: what is no token of this very search is refused.
func TestPageTokens(t *testing.T) {
	o := order{{ofAttribute, "id", true, false}}
	read := func(token string, of ...any) error {
		q := request{query: url.Values{"page_token": {token}}}
		_, err := newPager[int](q.page(1, 100, false, of...), o)
		if q.err != nil {
			return q.err
		}
		return err
	}
	first := request{query: url.Values{}}
	pages, err := newPager[int](first.page(1, 100, false, "runs", "f"), o)
	if err != nil {
		t.Fatal(err)
	}
	for id := range 3 {
		pages.offer((&listed{id: id}).get, func() int { return id })
	}
	_, token, err := pages.end()
	if err != nil || read(token, "runs", "f") != nil {
		t.Fatal(err, read(token, "runs", "f"))
	}
	for _, c := range []struct {
		token string
		of    []any
	}{
		{token, []any{"runs", "other"}}, {token, []any{"models", "f"}}, {token, nil},
		{"?", []any{"runs", "f"}}, {"e30=", []any{"runs", "f"}}, {"eyJvZmZzZXQiOiAyfQ==", []any{"runs", "f"}}, {token[:len(token)-4], []any{"runs", "f"}},
		{"bnVsbA==", []any{"runs", "f"}}, {"WzFd", []any{"runs", "f"}},
	} {
		var own *refusal
		err := read(c.token, c.of...)
		if own, _ = err.(*refusal); own == nil || own.Code != codeInvalid {
			t.Errorf("%s of %v: %v; want %s", c.token, c.of, err, codeInvalid)
		}
	}
}
