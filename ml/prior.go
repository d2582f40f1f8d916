package ml

import (
	"context"
	"errors"
	"math"
)

// PopularityPrior turns popularity scores (0 or more, see [Popularity.Scores]) into a prior between
// 0 and 1, log(1+s)/log(1+max): on the scale of a factor model's scores, so that the two can be added.
func PopularityPrior(scores []float32) []float32 {
	var most float64
	for _, s := range scores {
		most = max(most, float64(s))
	}
	prior := make([]float32, len(scores))
	if most > 0 {
		for i, s := range scores {
			prior[i] = float32(math.Log1p(math.Max(0, float64(s))) / math.Log1p(most))
		}
	}
	return prior
}

// WithPrior adds weight·prior[i] to each score of s. Whoever the model knows nothing of, and scores
// 0 everywhere, is then ranked by the prior alone.
func WithPrior(s Scorer, prior []float32, weight float32) Scorer {
	return ScorerFunc(func(dst []float32, user int32) {
		s.Score(dst, user)
		whole := len(prior) &^ (lanes - 1)
		axpy(dst, weight, prior, whole)
		for i := whole; i < len(prior); i++ {
			dst[i] = fma32(weight, prior[i], dst[i])
		}
	})
}

// PriorChoice is a prior that [ChoosePrior] found.
type PriorChoice struct {
	HalfLifeDays float64 `json:"half_life_days"` // 0 is no decay
	Weight       float64 `json:"weight"`
	Validation   Report  `json:"validation"`
}

// Priors to choose from: tastes of a week, as on social media, to those of years, as in an archive.
var (
	PriorHalfLivesDays = []float64{3, 7, 30, 90, 0}
	PriorWeights       = []float64{0, 0.1, 0.3, 1, 3}
)

// ChoosePrior returns the half-life and weight of [PriorHalfLivesDays] and [PriorWeights] with which
// popularity adds most to a scorer, by NDCG on a validation split; of equals the first. s must have
// been trained on validation.Train. Never give it the test split.
func ChoosePrior(ctx context.Context, validation *Split, s Scorer, o EvaluateOptions) (PriorChoice, error) {
	train := validation.Train
	if len(train.Samples) == 0 {
		return PriorChoice{}, errors.New("ml: no samples before the validation cut: cut later")
	}
	now, popularity := train.Samples[len(train.Samples)-1].Time, NewPopularity(train)
	var best PriorChoice
	for n, weight := range PriorWeights {
		for h, halfLife := range PriorHalfLivesDays {
			if weight == 0 && h > 0 {
				continue // the half-life of no prior does not matter
			}
			prior := PopularityPrior(popularity.Scores(now, halfLife))
			report, err := Evaluate(ctx, validation, WithPrior(s, prior, float32(weight)), o)
			if err != nil {
				return PriorChoice{}, err
			}
			if n == 0 || report.NDCG > best.Validation.NDCG {
				best = PriorChoice{halfLife, weight, report}
			}
		}
	}
	return best, nil
}
