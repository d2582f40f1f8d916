package recipe

import (
	"fmt"
	"math"

	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/ml"
)

// stageSolve is the stage of [TrainLinear] that solves for all films at once.
const stageSolve = "solve"

// WeightsMax bounds the weights from film to film of a model that is trained: each takes up to 30 bytes until the model is written.
const WeightsMax = 100_000_000

// CheckLinear says where parameters ask for more weights than [WeightsMax]: of so many films, the values of films, so many each, the value of keep.
func CheckLinear(p Params, films, keep string) error {
	n, each := p.Int(films), p.Int(keep)
	if n*min(n, each) <= WeightsMax {
		return nil
	}
	alone := max(WeightsMax/each, int(math.Sqrt(WeightsMax)))
	return fault.Field(keep, "is %d, of %d films (%s): that is up to %d weights, and the most is %d", each, n, films, n*min(n, each), WeightsMax).
		WithHint("set %s to %d or less, or %s to %d or less", keep, WeightsMax/n, films, alone)
}

// TrainLinear has a fit of a dense matrix tell the hooks how it goes on, and makes its weights a model. Such a fit has no
// state to go on from: it takes seconds, and is begun again.
func TrainLinear(m *Related, in Input, h Hooks, fit func(ml.LinearHooks) (*ml.ItemWeights, ml.LinearInfo, error)) (Model, error) {
	tell := func(stage string, done, of int, loss float64) {
		if h.Progress != nil {
			h.Progress(stage, done, of, loss)
		}
	}
	weights, info, err := fit(ml.LinearHooks{
		Begin: func(i ml.LinearInfo) {
			note := ""
			if i.Items < i.OfAll {
				note = fmt.Sprintf("those that most people like, of %d", i.OfAll)
			}
			if h.Sizes != nil {
				h.Sizes([]Size{{Name: "people", N: len(in.Data.Users)}, {Name: "films", N: i.Items, Note: note}, {Name: "rows", N: i.Rows}})
			}
		},
		Progress: func(done, of int) { tell(stageSolve, done, of, math.NaN()) },
	})
	if err != nil {
		return nil, err
	}
	tell(StageFit, 1, 1, info.Loss)
	m.FeaturesHash, m.Items, m.Weights = in.FeaturesHash, in.Data.Items, weights
	m.Found = map[string]float64{"films": float64(info.Items), "weights": float64(len(weights.Items)), "loss": info.Loss}
	return m, nil
}
