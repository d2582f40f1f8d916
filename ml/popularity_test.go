package ml_test

import (
	"math"
	"slices"
	"testing"

	"github.com/projectionist/projectionist/ml"
)

func TestDayOf(t *testing.T) {
	for millis, want := range map[int64]int32{
		0: 0, ml.DayMillis - 1: 0, ml.DayMillis: 1, -1: -1, -ml.DayMillis: -1, -ml.DayMillis - 1: -2,
		math.MaxInt64: math.MaxInt32, math.MinInt64: math.MinInt32,
	} {
		if got := ml.DayOf(millis); got != want {
			t.Errorf("DayOf(%d) = %d, want %d", millis, got, want)
		}
	}
}

func TestDecayedCount(t *testing.T) {
	counts := []ml.DayCount{{80, 16}, {90, 8}, {100, 3}, {101, 1000}}
	for _, c := range []struct{ halfLife, want float64 }{
		{10, 16./4 + 8./2 + 3}, {5, 16./16 + 8./4 + 3}, {0, 27}, {math.NaN(), 27}, {math.Inf(1), 27},
	} {
		if got := ml.DecayedCount(counts, 100, c.halfLife); got != c.want {
			t.Errorf("half-life %v: %v, want %v", c.halfLife, got, c.want)
		}
	}
}

func TestPopularity(t *testing.T) {
	d := &ml.Dataset{Users: []string{"a", "b"}, Items: []string{"x", "y", "z"}, Samples: []ml.Sample{
		{User: 0, Item: 0, Time: 0, Weight: 1},
		{User: 1, Item: 0, Time: 5, Weight: 1},
		{User: 0, Item: 1, Time: 6, Weight: -1},
		{User: 0, Item: 1, Time: 10 * ml.DayMillis, Weight: 2},
		{User: 1, Item: 1, Time: 11 * ml.DayMillis, Weight: 1},
	}}
	p := ml.NewPopularity(d)
	if got := p.Scores(10*ml.DayMillis, 5); !slices.Equal(got, []float32{.5, 1, 0}) {
		t.Error(got)
	}
	if got := p.Scores(11*ml.DayMillis, 0); !slices.Equal(got, []float32{2, 2, 0}) {
		t.Error(got)
	}
}
