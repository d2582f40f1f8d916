package flight

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/arrow"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/internal/spill"
	"github.com/projectionist/projectionist/ml/features"
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

// TestMoment_KnownOfMany: rows that nearly repeat are compared in a time that is in proportion to them: each with each would take as good as for ever.
func TestMoment_KnownOfMany(t *testing.T) {
	m := moment{}
	turns := []said{{`{"n":1}`, 1}, {`{"n":1}`, 2}}
	const n = 500_000
	for i := range n {
		m.add(turns[i%2])
	}
	for i := range n - 1 {
		m.knows(turns[i%2].digest())
	}
	other := said{`{"n":1}`, 3}
	m.knows(other.digest())
	if got := m.known(); got != 0 {
		t.Error(got)
	}
}

// TestTake_TooMuch: what rows take on the disk is bounded; a column of gaps takes nothing of a table that is sent, and its name of every row.
func TestTake_TooMuch(t *testing.T) {
	column := func(f *arrow.Field) *arrow.Array {
		c := arrow.NewColumn(f)
		for range 100 {
			c.Int(1_700_000_000_000)
		}
		return c.Array()
	}
	gaps := &arrow.Array{Field: &arrow.Field{Name: "n", Type: arrow.Type{ID: arrow.Null}}, Len: 100, Nulls: 100}
	columns := []*arrow.Array{column(arrow.Int64("id")), gaps, column(arrow.Millis("at"))}
	x := &features.External{Name: "v", JoinKeys: []events.FeatureField{{Name: "id", Type: "int64"}}, Features: []events.FeatureField{{Name: strings.Repeat("n", 100), Type: "int64"}}}
	w := &offlineWriting{x: x, rows: spill.NewSorter(t.TempDir(), sortMemoryBytes), room: 10_000, fields: []*arrow.Field{columns[0].Field, gaps.Field, columns[2].Field}, keys: []int{0}, features: []int{1}, at: 2, created: -1}
	defer w.rows.Close()
	for i := range 100 {
		err := w.take(columns, i, i, time.UnixMilli(1_800_000_000_000))
		if i < 50 && err != nil {
			t.Fatal(i, err)
		}
		if err != nil {
			if !fault.Is(err, fault.TooLarge) {
				t.Error(err)
			}
			return
		}
	}
	t.Error("no end")
}
