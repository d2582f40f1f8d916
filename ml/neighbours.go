package ml

import (
	"context"
	"math"
)

// CoCosine is the similarity of two items that co people like both of, a and b people each:
// the cosine co/√(a·b), shrunk by co/(co+shrink) so that a few coincidences do not look like a
// likeness. It is 0 where a count is 0.
func CoCosine(co, a, b int64, shrink float64) float64 {
	if co <= 0 || a <= 0 || b <= 0 {
		return 0
	}
	c := float64(co)
	return c / math.Sqrt(float64(a)*float64(b)) * (c / (c + shrink))
}

// Neighbours returns for every item its k most similar ones by [CoCosine] over the users with a
// positive for both, best first. It takes Σ over users of the square of their positives in time.
func Neighbours(ctx context.Context, d *Dataset, k int, shrink float64) ([][]Scored, error) {
	byUser, err := positives(d)
	if err != nil {
		return nil, err
	}
	byItem := byUser.transpose(len(d.Items))
	support := func(i int32) int64 { return int64(byItem.start[i+1] - byItem.start[i]) }
	out := make([][]Scored, len(d.Items))
	err = parallel(ctx, workerCount(), len(d.Items), 16, func(_, lo, hi int) {
		co, scores := make([]int64, len(d.Items)), make([]float32, len(d.Items))
		for i := lo; i < hi; i++ {
			clear(co)
			users, _ := byItem.row(i)
			for _, u := range users {
				items, _ := byUser.row(int(u))
				for _, j := range items {
					co[j]++
				}
			}
			for j, c := range co {
				scores[j] = float32(CoCosine(c, support(int32(i)), support(int32(j)), shrink))
			}
			out[i] = TopKScores(scores, k, func(j int32) bool { return int(j) == i || co[j] == 0 })
		}
	})
	return out, err
}
