package ml

import (
	"context"
	"math"
	"runtime"
	"testing"
)

// evaluateWorld: one user saw item 0 and will like 2 and 4; another saw 1 and will like it again.
func evaluateWorld() *Split {
	d := &Dataset{Users: []string{"a", "b", "c"}, Items: []string{"0", "1", "2", "3", "4", "5"}}
	d.Samples = []Sample{
		{User: 0, Item: 0, Time: 1, Weight: 1}, {User: 1, Item: 1, Time: 1, Weight: 1}, {User: 2, Item: 1, Time: 1, Weight: -1},
		{User: 0, Item: 2, Time: 9, Weight: 1}, {User: 0, Item: 4, Time: 9, Weight: 1},
		{User: 0, Item: 5, Time: 9, Weight: -1}, {User: 1, Item: 1, Time: 9, Weight: 1}, {User: 2, Item: 3, Time: 9, Weight: 1},
	}
	return SplitByTime(d, 5)
}

func TestEvaluate(t *testing.T) {
	// Order: 0 1 2 3 4 5. User a is shown 1 2 | 3 4 5, user c, who saw 1, 0 2 | 3 4 5.
	scorer := ConstantScorer([]float32{9, 8, 7, 7, 6, 5})
	got, err := Evaluate(context.Background(), evaluateWorld(), scorer, EvaluateOptions{K: 2})
	if err != nil {
		t.Fatal(err)
	}
	a := (1 / math.Log2(3)) / (1 + 1/math.Log2(3)) // novelty: items 0, 1 known by one of three, 2 by none
	want := Report{
		K: 2, Users: 2, HitRate: .5, NDCG: a / 2, Precision: .25, Recall: .25,
		MAP: (.5 / 2) / 2, MRR: (1./2 + 1./3) / 2, Coverage: 3. / 6, Novelty: math.Log2(3),
	}
	for name, pair := range map[string][2]float64{
		"users": {float64(got.Users), float64(want.Users)}, "hit rate": {got.HitRate, want.HitRate}, "ndcg": {got.NDCG, want.NDCG},
		"precision": {got.Precision, want.Precision}, "recall": {got.Recall, want.Recall}, "map": {got.MAP, want.MAP},
		"mrr": {got.MRR, want.MRR}, "coverage": {got.Coverage, want.Coverage}, "novelty": {got.Novelty, want.Novelty},
	} {
		if !near(pair[0], pair[1], 1e-12) {
			t.Errorf("%s is %v, want %v", name, pair[0], pair[1])
		}
	}

	t.Run("NothingScored", func(t *testing.T) {
		nan := float32(math.NaN())
		got, err := Evaluate(context.Background(), evaluateWorld(), ConstantScorer([]float32{nan, nan, nan, nan, nan, nan}), EvaluateOptions{K: 2})
		if err != nil || got != (Report{K: 2, Users: 2}) {
			t.Fatal(got, err)
		}
	})
	t.Run("ErrK", func(t *testing.T) {
		if _, err := Evaluate(context.Background(), evaluateWorld(), scorer, EvaluateOptions{}); err == nil {
			t.Fatal("k 0 is taken")
		}
	})
}

func TestEvaluateSampled(t *testing.T) {
	ctx, scorer := context.Background(), ConstantScorer([]float32{9, 8, 7, 7, 6, 5})
	// All that is left over: a has no interaction with 1 3, c none with 0 2 4 5.
	// a: 2 comes after 1 and, equal, 3: rank 3; 4 comes after both: rank 3. c: 3 after 0 and, equal, 2: rank 3.
	for k, want := range map[int]float64{2: 0, 3: 1} {
		got, err := EvaluateSampled(ctx, evaluateWorld(), scorer, 100, EvaluateOptions{K: k})
		if err != nil || got.Users != 2 || got.HitRate != want || !near(got.MRR, 1./3, 1e-12) || !near(got.NDCG, want/2, 1e-12) {
			t.Fatalf("k %d: %+v, %v", k, got, err)
		}
	}

	t.Run("Chance", func(t *testing.T) { // random scores: a positive is among the first 10 of 101 in 10/101 of cases
		split := SplitLeaveLast(synthetic(3000, 2000, 20_000, 1))
		got, err := EvaluateSampled(ctx, split, ScorerFunc(func(dst []float32, user int32) {
			r := newRNG(uint64(user))
			for i := range dst {
				dst[i] = r.uniform()
			}
		}), 100, EvaluateOptions{K: 10})
		if err != nil || !near(got.HitRate, 10./101, .02) {
			t.Fatal(got, err)
		}
	})
}

func TestSampleUnused(t *testing.T) {
	used := NewBitset(1000)
	for i := int32(0); i < 1000; i += 3 {
		used.Add(i)
	}
	r := newRNG(1)
	for _, n := range []int{1, 100, 600, 5000} {
		list, seen := sampleUnused(r, 1000, n, used), NewBitset(1000)
		if len(list) != min(n, 666) {
			t.Fatalf("%d items, want %d", len(list), min(n, 666))
		}
		for _, i := range list {
			if used.Has(i) || seen.Has(i) || i >= 1000 {
				t.Fatalf("drew %d", i)
			}
			seen.Add(i)
		}
	}
}

func TestEvaluateIsDeterministic(t *testing.T) {
	ctx, d := context.Background(), synthetic(400, 300, 8000, 7)
	split := SplitLeaveLast(d)
	m := mustTrain(t, split.Train, smallParams())
	o := EvaluateOptions{K: 10, SampleUsers: 100, Seed: 3}
	var first [2]Report
	for i, workers := range []int{1, 2, 4} {
		old := runtime.GOMAXPROCS(workers)
		full, err := Evaluate(ctx, split, m, o)
		sampled, err2 := EvaluateSampled(ctx, split, m.FoldInScorer(split.Train), 50, o)
		runtime.GOMAXPROCS(old)
		if err != nil || err2 != nil || full.Users != 100 || sampled.Users != 100 {
			t.Fatal(full, sampled, err, err2)
		}
		if got := [2]Report{full, sampled}; i == 0 {
			first = got
		} else if got != first {
			t.Fatalf("%d workers: %+v, want %+v", workers, got, first)
		}
	}
	o.Seed++
	if other, err := Evaluate(ctx, split, m, o); err != nil || other == first[0] {
		t.Fatal("another seed evaluates the same users", err)
	}
}
