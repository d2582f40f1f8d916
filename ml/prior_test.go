package ml

import (
	"context"
	"math"
	"slices"
	"testing"
)

func TestPopularityPrior(t *testing.T) {
	got := PopularityPrior([]float32{0, 1, 3, -2})
	if !slices.Equal(got, []float32{0, .5, 1, 0}) {
		t.Fatal(got)
	}
	if got := PopularityPrior([]float32{0, 0}); !slices.Equal(got, []float32{0, 0}) {
		t.Fatal(got)
	}
	prior := make([]float32, 13)
	for i := range prior {
		prior[i] = float32(i)
	}
	dst := make([]float32, 13)
	WithPrior(ScorerFunc(func(dst []float32, user int32) {
		for i := range dst {
			dst[i] = float32(user)
		}
	}), prior, .5).Score(dst, 3)
	for i, v := range dst {
		if v != 3+.5*float32(i) {
			t.Fatal(dst)
		}
	}
}

// TestChoosePrior: where the last days decide what is liked next, a short half-life is chosen; where
// the scorer already knows the answer and popularity misleads, no prior is.
func TestChoosePrior(t *testing.T) {
	d := &Dataset{Items: []string{"old", "new", "taste"}}
	for u := range 40 {
		d.Users = append(d.Users, string(rune('A'+u)))
		item, time := int32(0), int64(u)
		if u >= 30 {
			item, time = 1, int64(400*DayMillis)
		}
		d.Samples = append(d.Samples, Sample{User: int32(u), Item: item, Time: time, Weight: 1})
	}
	liked := func(item int32) *Split {
		w := *d
		w.Samples = slices.Clone(d.Samples)
		for u := range int32(30) {
			w.Samples = append(w.Samples, Sample{User: u, Item: item, Time: 401 * DayMillis, Weight: 1})
		}
		return SplitByTime(&w, 401*DayMillis)
	}
	nothing := ScorerFunc(func(dst []float32, _ int32) { dst[0], dst[1], dst[2] = 0, 0, .01 })
	got, err := ChoosePrior(context.Background(), liked(1), nothing, EvaluateOptions{K: 1})
	if err != nil || got.HalfLifeDays != 3 || got.Weight != .1 || got.Validation.NDCG != 1 {
		t.Fatalf("%+v, %v", got, err)
	}
	got, err = ChoosePrior(context.Background(), liked(2), nothing, EvaluateOptions{K: 1})
	if err != nil || got.Weight != 0 || got.Validation.NDCG != 1 {
		t.Fatalf("%+v, %v", got, err)
	}
	if _, err := ChoosePrior(context.Background(), &Split{Train: &Dataset{}, Test: &Dataset{}}, nothing, EvaluateOptions{K: 1}); err == nil {
		t.Fatal("chosen without samples")
	}
	if math.IsNaN(got.Validation.MRR) {
		t.Fatal(got)
	}
}
