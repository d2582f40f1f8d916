package flight

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// TestMoment_Known: what the log has ends with the first rows, as many as can be.
func TestMoment_Known(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	few := []said{{"{}", 1}, {"{}", 2}, {`{"n":1}`, 1}}
	for range 5000 {
		m := moment{}
		for range rng.IntN(9) {
			m.add(few[rng.IntN(len(few))])
		}
		var sums []digest
		for range rng.IntN(20) {
			row := few[rng.IntN(len(few))]
			sums = append(sums, row.digest())
			m.knows(row.digest())
		}
		want := 0
		for n := min(len(sums), len(m.rows)); n > 0 && want == 0; n-- {
			if slices.Equal(sums[len(sums)-n:], m.sums[:n]) {
				want = n
			}
		}
		if got := m.known(); got != want {
			t.Fatalf("%d of %v are known, want %d", got, m.rows, want)
		}
	}
}

// TestMoment_KnownOfMany: rows that nearly repeat are compared in a time that is in proportion to them.
func TestMoment_KnownOfMany(t *testing.T) {
	m := moment{}
	turns := []said{{`{"n":1}`, 1}, {`{"n":1}`, 2}}
	const n = 200_000
	for i := range n {
		m.add(turns[i%2])
	}
	for i := range n - 1 {
		m.knows(turns[i%2].digest())
	}
	other := said{`{"n":1}`, 3}
	m.knows(other.digest())
	start := time.Now()
	if got := m.known(); got != 0 {
		t.Error(got)
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("%d rows took %s", n, took)
	}
}
