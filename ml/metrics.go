package ml

import (
	"math"
	"slices"
)

// Ranking metrics look at one user's list as hits: hits[r] says whether the item at rank r (0 is the
// best) is relevant. relevant is how many relevant items there are in all; where it is 0, a metric
// is 0. A list may be shorter than k. The mean over users is the caller's: see [Evaluate].

// Hits compares a ranked list with the relevant items.
func Hits(ranked, relevant []int32) []bool {
	hits := make([]bool, len(ranked))
	for r, i := range ranked {
		hits[r] = slices.Contains(relevant, i)
	}
	return hits
}

func countHits(hits []bool, k int) (n int) {
	for _, h := range hits[:max(0, min(k, len(hits)))] {
		if h {
			n++
		}
	}
	return
}

// HitRate is 1 where a relevant item is among the first k, else 0.
func HitRate(hits []bool, k int) float64 {
	return float64(min(1, countHits(hits, k)))
}

// Precision is the share of the first k places that hold a relevant item.
func Precision(hits []bool, k int) float64 {
	if k <= 0 {
		return 0
	}
	return float64(countHits(hits, k)) / float64(k)
}

// Recall is the share of the relevant items that are among the first k.
func Recall(hits []bool, relevant, k int) float64 {
	if relevant <= 0 {
		return 0
	}
	return float64(countHits(hits, k)) / float64(relevant)
}

// NDCG is the discounted gain Σ 1/log₂(rank+1) of the hits among the first k, ranks from 1, as a
// share of what the best order would have.
func NDCG(hits []bool, relevant, k int) float64 {
	var gain, ideal float64
	for r := range max(0, k) {
		g := 1 / math.Log2(float64(r+2))
		if r < relevant {
			ideal += g
		}
		if r < len(hits) && hits[r] {
			gain += g
		}
	}
	if ideal == 0 {
		return 0
	}
	return gain / ideal
}

// AveragePrecision is the mean of the precision at each hit among the first k, over min(k, relevant)
// hits possible. Its mean over users is MAP@k.
func AveragePrecision(hits []bool, relevant, k int) float64 {
	if n := min(k, relevant); n > 0 {
		var found, sum float64
		for r, h := range hits[:min(k, len(hits))] {
			if h {
				found++
				sum += found / float64(r+1)
			}
		}
		return sum / float64(n)
	}
	return 0
}

// ReciprocalRank is 1/rank of the first hit, 0 without one.
func ReciprocalRank(hits []bool) float64 {
	for r, h := range hits {
		if h {
			return 1 / float64(r+1)
		}
	}
	return 0
}

// RMSE is the root mean square error of predictions, NaN without any. Both slices are of one length.
func RMSE(predicted, actual []float32) float64 {
	var sum float64
	for i, p := range predicted {
		e := float64(p) - float64(actual[i])
		sum += float64(e * e)
	}
	return math.Sqrt(sum / float64(len(predicted)))
}

// MAE is the mean absolute error of predictions, NaN without any. Both slices are of one length.
func MAE(predicted, actual []float32) float64 {
	var sum float64
	for i, p := range predicted {
		sum += math.Abs(float64(p) - float64(actual[i]))
	}
	return sum / float64(len(predicted))
}

// Coverage is the share of items that occur in at least one list.
func Coverage(lists [][]int32, items int) float64 {
	if items <= 0 {
		return 0
	}
	seen, n := NewBitset(items), 0
	for _, list := range lists {
		for _, i := range list {
			if !seen.Has(i) {
				seen.Add(i)
				n++
			}
		}
	}
	return float64(n) / float64(items)
}

// Novelty is the mean self-information −log₂(count/users) of recommended items, in bits: how
// surprising it is that someone knows them. count[i] is how many of the users have a positive for
// item i in the training set; items without any count as 1. It is 0 for empty lists.
func Novelty(lists [][]int32, count []int, users int) float64 {
	var sum float64
	n := 0
	for _, list := range lists {
		for _, i := range list {
			sum -= math.Log2(float64(max(1, count[i])) / float64(users))
			n++
		}
	}
	if n == 0 {
		return 0
	}
	return sum / float64(n)
}
