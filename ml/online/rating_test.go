package online

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/projectionist/projectionist/ml/signal"
)

// act is an event with stars as a log has it.
type act struct {
	user, item, kind string
	time             int64
	stars            float64
	id               uint64 // names all of the above
}

func (a act) rate(m *Model, partition int32) (was, is int) {
	return m.Rate(a.user, a.item, a.time, a.id, signal.Default().Of(a.kind, a.stars), a.kind, partition)
}

// randomActs are those of several partitions: corrections, corrections of corrections, repetitions where the first is
// and elsewhere; most people are in one partition.
func randomActs(rng *rand.Rand, n int) [][]act {
	log := make([][]act, 3)
	var all []act
	ids := map[act]uint64{}
	for range n {
		a := act{user: fmt.Sprintf("u%d", rng.IntN(4)), item: []string{"1", "2", "film-3"}[rng.IntN(3)], kind: "rating",
			time: int64(rng.IntN(6)) * dayMillis / 3, stars: float64(1+rng.IntN(10)) / 2}
		if rng.IntN(4) == 0 {
			a.kind = "review"
		}
		if rng.IntN(5) == 0 && len(all) > 0 {
			a = all[rng.IntN(len(all))]
		} else {
			if ids[a] == 0 {
				ids[a] = rng.Uint64()
			}
			a.id = ids[a]
		}
		all = append(all, a)
		p := int(a.user[1]) % len(log)
		if a.user == "u3" || rng.IntN(20) == 0 {
			p = rng.IntN(len(log))
		}
		log[p] = append(log[p], a)
	}
	return log
}

// lastRated are the acts that count, by the definition.
func lastRated(log [][]act) (events []event) {
	type place struct{ partition, offset int }
	before := func(a, b place) bool {
		return a.partition < b.partition || a.partition == b.partition && a.offset < b.offset
	}
	places := map[act]place{}
	for p := range log {
		for o, a := range log[p] {
			if _, ok := places[a]; !ok { // partitions and offsets ascend
				places[a] = place{p, o}
			}
		}
	}
	for a, at := range places {
		last := true
		for b, other := range places {
			if a.user == b.user && a.item == b.item && a.kind == b.kind && a.time == b.time && before(at, other) {
				last = false
			}
		}
		if last {
			events = append(events, event{a.user, a.item, a.time, a.id, signal.Default().Of(a.kind, a.stars)})
		}
	}
	return events
}

// TestLastRatingCounts gives a model a log's acts with stars in several interleavings, some twice, saved and opened in
// between: it holds those that count, and the same bytes.
func TestLastRatingCounts(t *testing.T) {
	for seed := range uint64(30) {
		rng := rand.New(rand.NewPCG(seed, 3))
		log := randomActs(rng, 250)
		counting := lastRated(log)
		pairs, stats := naive(counting)
		var want stored
		for turn := range 6 {
			m, store := New(), stored{}
			left := append([][]act(nil), log...)
			for {
				p := rng.IntN(len(left))
				if turn == 0 {
					p = 0
				}
				for k := 0; k < len(left) && len(left[p]) == 0; k++ {
					p = (p + 1) % len(left)
				}
				if len(left[p]) == 0 {
					break
				}
				n := 1 + rng.IntN(len(left[p]))
				for range 1 + rng.IntN(2) {
					for _, a := range left[p][:n] {
						if err := m.FetchUser(a.user); err != nil {
							t.Fatal(err)
						}
						a.rate(m, int32(p))
					}
				}
				left[p] = left[p][n:]
				if rng.IntN(2) == 0 {
					var err error
					store.save(t, m)
					if m, err = store.fetched(); err != nil {
						t.Fatal(err)
					}
				}
			}
			store.save(t, m)
			m, err := store.fetched()
			if err != nil {
				t.Fatal(err)
			}
			got := rows(m)
			diffRows(t, got, store)
			if turn == 0 {
				want = got
			}
			diffRows(t, got, want)
			for id, s := range stats {
				if m.Stats(id) != s {
					t.Fatalf("seed %d: stats of %s are %+v, want %+v", seed, id, m.Stats(id), s)
				}
			}
			for p, n := range pairs {
				if got := m.CoCount(p[0], p[1]); got != n {
					t.Fatalf("seed %d: c(%s→%s) = %d, want %d", seed, p[0], p[1], got, n)
				}
			}
			held := map[string]uint64{}
			for _, e := range counting {
				held[e.user] += e.id
			}
			for user, sum := range held {
				if _, ids := m.UserDigest(user); ids != sum {
					t.Fatalf("seed %d: %s has other events than those that count", seed, user)
				}
			}
		}
	}
}

func TestRateSaysWhatCounted(t *testing.T) {
	m := New()
	first, second := act{"u", "1", "rating", 5, 2, 1}, act{"u", "1", "rating", 5, 4.5, 2}
	other, late := act{"u", "1", "review", 5, 3, 3}, act{"u", "1", "rating", 6, 1, 4}
	for i, step := range []struct {
		act
		partition int32
		was, is   int
	}{
		{first, 1, 0, 200}, {second, 1, 200, 450}, {first, 1, 450, 450}, {second, 1, 450, 450},
		{other, 1, 0, 300}, {late, 1, 0, 100},
		{act{"u", "1", "rating", 5, 3.5, 5}, 0, 450, 450}, // an earlier partition's
		{second, 0, 450, 200},                             // recorded there too, so that it was before the first
		{first, 0, 200, 200},
	} {
		if was, is := step.rate(m, step.partition); was != step.was || is != step.is {
			t.Errorf("step %d: %d counted and %d does, want %d and %d", i, was, is, step.was, step.is)
		}
	}
}

// TestUsualRatingsTakeNoMore: of what was never corrected nothing but the entry is kept, whichever partition it is in.
func TestUsualRatingsTakeNoMore(t *testing.T) {
	m := New()
	for k := range 100 {
		act{"u", fmt.Sprint(k), "rating", int64(k / 3), 4, uint64(k + 1)}.rate(m, 2)
	}
	if n := len(m.users["u"].ratings); n > 0 {
		t.Fatalf("more is kept of %d", n)
	}
	act{"u", "7", "rating", 2, 1, 1000}.rate(m, 2)
	if n := len(m.users["u"].ratings); n != 2 {
		t.Fatalf("of a correction %d are kept, want both", n)
	}
}

func TestDamagedRatingsAreNotTaken(t *testing.T) {
	m := New()
	act{"u", "1", "rating", 5, 2, 1}.rate(m, 1)
	act{"u", "1", "rating", 5, 4.5, 2}.rate(m, 1)
	act{"u", "2", "review", 6, 4.5, 3}.rate(m, 2)
	store := rows(m)
	whole := store["u/u"]
	for at := range whole {
		for bit := range 8 {
			b := []byte(whole)
			b[at] ^= 1 << bit
			store["u/u"] = string(b)
			got, err := store.open()
			if err != nil {
				t.Fatal(err)
			}
			if err := got.FetchUser("u"); err != nil {
				continue
			}
			if again := string(got.Encode(nil, UserRows, "u")); again != string(b) {
				t.Fatalf("byte %d, bit %d: a row was taken that is written in another way: %x, want %x", at, bit, again, b)
			}
		}
	}
}
