package features

import (
	"cmp"
	"iter"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestTrace: before and after are what a read at the fact's time gives, without the fact and with it, of those that are wanted.
func TestTrace(t *testing.T) {
	defs := mustParse(t, DefaultYAML())
	r := rand.New(rand.NewPCG(3, 4))
	catalogue := func(id string) *Attributes {
		if id == "a" {
			return nil
		}
		return &Attributes{Title: id, Year: 1990, Genres: []string{[]string{"Drama", "War"}[id[0]%2]}, TimeMillis: 1}
	}
	for _, v := range defs.Views {
		sel := v.Selection()
		in := Inputs{Catalogue: catalogue}
		if in.UserID = "u"; v.Entity == Movie {
			in.UserID, in.MovieID = "", "b"
		}
		read := func(facts []Fact, millis int64) []Value {
			in := in
			in.User, in.Movie, in.NowMillis = fold(v.Entity, facts), fold(v.Entity, facts), millis
			return sel.AppendValues(nil, in)
		}
		same := func(what string, got, want []Value) {
			t.Helper()
			for i, c := range sel.Columns(v.Entity) {
				if !got[i].Same(&want[c]) || got[i].Name != want[c].Name {
					t.Fatalf("%s: %+v; want %+v", what, got[i], want[c])
				}
			}
		}
		for range 20 {
			facts := randomFacts(r, 1+r.IntN(40), 30)
			slices.SortStableFunc(facts, func(a, b Fact) int { return cmp.Compare(a.TimeMillis, b.TimeMillis) })
			all := func(yield func(Fact, error) bool) {
				for _, f := range facts {
					if !yield(f, nil) {
						return
					}
				}
			}
			from, told := r.IntN(len(facts)), 0
			err := sel.Trace(v.Entity, in, iter.Seq2[Fact, error](all), func(i int) bool { return i >= from }, func(i int, before, after []Value) error {
				told++
				same("before", before, read(facts[:i], facts[i].TimeMillis))
				same("after", after, read(facts[:i+1], facts[i].TimeMillis))
				return nil
			})
			if err != nil || told != len(facts)-from {
				t.Fatalf("%d of %d told: %v", told, len(facts)-from, err)
			}
		}
	}
}
