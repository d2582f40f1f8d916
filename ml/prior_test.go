package ml_test

import (
	"context"
	"math"
	"slices"
	"testing"

	"github.com/projectionist/projectionist/ml"
)

func TestPopularityPrior(t *testing.T) {
	got := ml.PopularityPrior([]float32{0, 1, 3, -2})
	if !slices.Equal(got, []float32{0, .5, 1, 0}) {
		t.Fatal(got)
	}
	if got := ml.PopularityPrior([]float32{0, 0}); !slices.Equal(got, []float32{0, 0}) {
		t.Fatal(got)
	}
	prior := make([]float32, 13)
	for i := range prior {
		prior[i] = float32(i)
	}
	dst := make([]float32, 13)
	ml.WithPrior(ml.ScorerFunc(func(dst []float32, user int32) {
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
	d := &ml.Dataset{Items: []string{"old", "new", "taste"}}
	for u := range 40 {
		d.Users = append(d.Users, string(rune('A'+u)))
		item, time := int32(0), int64(u)
		if u >= 30 {
			item, time = 1, int64(400*ml.DayMillis)
		}
		d.Samples = append(d.Samples, ml.Sample{User: int32(u), Item: item, Time: time, Weight: 1})
	}
	liked := func(item int32) *ml.Split {
		w := *d
		w.Samples = slices.Clone(d.Samples)
		for u := range int32(30) {
			w.Samples = append(w.Samples, ml.Sample{User: u, Item: item, Time: 401 * ml.DayMillis, Weight: 1})
		}
		return ml.SplitByTime(&w, 401*ml.DayMillis)
	}
	nothing := ml.ScorerFunc(func(dst []float32, _ int32) { dst[0], dst[1], dst[2] = 0, 0, .01 })
	got, err := ml.ChoosePrior(context.Background(), liked(1), nothing, ml.EvaluateOptions{K: 1})
	if err != nil || got.HalfLifeDays != 3 || got.Weight != .1 || got.Validation.NDCG != 1 {
		t.Fatalf("%+v, %v", got, err)
	}
	got, err = ml.ChoosePrior(context.Background(), liked(2), nothing, ml.EvaluateOptions{K: 1})
	if err != nil || got.Weight != 0 || got.Validation.NDCG != 1 {
		t.Fatalf("%+v, %v", got, err)
	}
	if _, err := ml.ChoosePrior(context.Background(), &ml.Split{Train: &ml.Dataset{}, Test: &ml.Dataset{}}, nothing, ml.EvaluateOptions{K: 1}); err == nil {
		t.Fatal("chosen without samples")
	}
	if math.IsNaN(got.Validation.MRR) {
		t.Fatal(got)
	}
}
