package world

import (
	"iter"
	"math/rand/v2"
	"strconv"
)

// PeopleMax is of how many people at most an age is told: the first ones. Whoever keeps it writes of each by itself.
const PeopleMax = 100_000

// Ages yields people by their ids, "1" and on, with their ages in years.
func (w *World) Ages() iter.Seq2[string, int] {
	return func(yield func(string, int) bool) {
		r := rand.New(rand.NewPCG(w.params.Seed, 4)) // a stream of its own: nothing else of the world depends on it
		for i := range min(w.params.Users, PeopleMax) {
			if !yield(strconv.Itoa(i+1), 13+r.IntN(20)+r.IntN(20)+r.IntN(20)) {
				return
			}
		}
	}
}
