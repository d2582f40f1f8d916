package ml_test

import (
	"context"
	"math"
	"testing"

	"github.com/projectionist/projectionist/ml"
)

func TestNeighbours(t *testing.T) {
	d := &ml.Dataset{Users: []string{"a", "b", "c", "d"}, Items: []string{"w", "x", "y", "z"}}
	for u, items := range [][]int32{{0, 1, 2}, {0, 1}, {0, 1}, {2}} {
		for _, i := range items {
			d.Samples = append(d.Samples, ml.Sample{User: int32(u), Item: i, Weight: 1}, ml.Sample{User: int32(u), Item: i, Weight: 1})
		}
	}
	got, err := ml.Neighbours(context.Background(), d, 5, 1)
	if err != nil {
		t.Fatal(err)
	}
	// w and x: co 3 of 3 and 3, shrunk by 3/4. w and y: 1/√(3·2), shrunk by 1/2. z is liked by no one.
	want := [][]ml.Scored{
		{{1, .75}, {2, float32(.5 / math.Sqrt(6))}},
		{{0, .75}, {2, float32(.5 / math.Sqrt(6))}},
		{{0, float32(.5 / math.Sqrt(6))}, {1, float32(.5 / math.Sqrt(6))}},
		{},
	}
	for i := range want {
		if len(got[i]) != len(want[i]) {
			t.Fatalf("item %d: %v, want %v", i, got[i], want[i])
		}
		for n := range want[i] {
			if got[i][n].Index != want[i][n].Index || math.Abs(float64(got[i][n].Score-want[i][n].Score)) > 1e-6 {
				t.Fatalf("item %d: %v, want %v", i, got[i], want[i])
			}
		}
	}
}
