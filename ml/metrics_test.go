package ml

import (
	"math"
	"testing"
)

func TestMetrics(t *testing.T) {
	log3 := math.Log2(3)
	hits := Hits([]int32{7, 3, 9, 1, 5}, []int32{3, 1, 8}) // ranks 2 and 4 of three relevant items
	none := Hits([]int32{7, 9}, []int32{3})
	for _, c := range []struct {
		name      string
		got, want float64
	}{
		{"HitRate@1", HitRate(hits, 1), 0},
		{"HitRate@2", HitRate(hits, 2), 1},
		{"HitRate@4", HitRate(hits, 4), 1},
		{"HitRate, none", HitRate(none, 10), 0},
		{"HitRate@0", HitRate(hits, 0), 0},
		{"Precision@4", Precision(hits, 4), .5},
		{"Precision@10, short list", Precision(hits, 10), .2},
		{"Precision@0", Precision(hits, 0), 0},
		{"Recall@2", Recall(hits, 3, 2), 1. / 3},
		{"Recall@10", Recall(hits, 3, 10), 2. / 3},
		{"Recall of nothing", Recall(none, 0, 10), 0},
		{"NDCG@2", NDCG(hits, 3, 2), (1 / log3) / (1 + 1/log3)},
		{"NDCG@4", NDCG(hits, 3, 4), (1/log3 + 1/math.Log2(5)) / (1 + 1/log3 + .5)},
		{"NDCG@10", NDCG(hits, 3, 10), (1/log3 + 1/math.Log2(5)) / (1 + 1/log3 + .5)},
		{"NDCG, perfect", NDCG([]bool{true, true}, 2, 10), 1},
		{"NDCG of nothing", NDCG(none, 0, 10), 0},
		{"AP@4", AveragePrecision(hits, 3, 4), (1./2 + 2./4) / 3},
		{"AP@2", AveragePrecision(hits, 3, 2), (1. / 2) / 2},
		{"AP, perfect", AveragePrecision([]bool{true, true, false}, 2, 3), 1},
		{"AP of nothing", AveragePrecision(none, 0, 3), 0},
		{"RR", ReciprocalRank(hits), .5},
		{"RR, none", ReciprocalRank(none), 0},
		{"RMSE", RMSE([]float32{1, 2, 5}, []float32{2, 2, 3}), math.Sqrt(5. / 3)},
		{"MAE", MAE([]float32{1, 2, 5}, []float32{2, 2, 3}), 1},
		{"Coverage", Coverage([][]int32{{0, 1}, {1, 4}}, 8), 3. / 8},
		{"Coverage of nothing", Coverage(nil, 0), 0},
		// 8 users; item 0 known by 8 (0 bits), 1 by 2 (2 bits), 2 by none, taken as 1 (3 bits).
		{"Novelty", Novelty([][]int32{{0, 1}, {2, 1}}, []int{8, 2, 0}, 8), (0. + 2 + 3 + 2) / 4},
		{"Novelty of nothing", Novelty(nil, nil, 8), 0},
	} {
		if !near(c.got, c.want, 1e-12) {
			t.Errorf("%s = %v, want %v", c.name, c.got, c.want)
		}
	}
	if !math.IsNaN(RMSE(nil, nil)) || !math.IsNaN(MAE(nil, nil)) {
		t.Error("the error of no predictions is not NaN")
	}
}
