// Package itemknn is the recipe "itemknn": films are alike that the same people like, and a person is shown what is most
// like what they liked.
package itemknn

import (
	"context"
	"math"

	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/ml"
	"github.com/projectionist/projectionist/ml/recipe"
)

const (
	name   = "itemknn"
	kind   = "item-knn"
	k      = name + ".k"
	shrink = name + ".shrink"
)

// Recipe is the recipe "itemknn".
var Recipe = &recipe.Recipe{
	Name:        name,
	Description: "Nearest films by the cosine of who likes them, shrunk where few do",
	Code:        "item-knn/1",
	Params: append([]recipe.Param{
		recipe.IntegerParam(k, 200, 1, 10_000, "nearest films that are kept of each; of all films at most 100,000,000"),
		recipe.NumberParam(shrink, 10, 0, 1e6, "people who like both of two films at which half of their likeness is believed"),
	}, recipe.HistoryParams(name, recipe.History{Decay: .6, Max: 200})...),
	Train: train,
	Decode: func(b []byte) (recipe.Model, error) {
		m, err := recipe.DecodeRelated(b, kind, name)
		if err != nil {
			return nil, err // not a nil *Related in an interface
		}
		return m, nil
	},
}

func train(ctx context.Context, in recipe.Input, p recipe.Params, h recipe.Hooks) (recipe.Model, error) {
	if h.Sizes != nil {
		h.Sizes([]recipe.Size{{Name: "people", N: len(in.Data.Users)}, {Name: "films", N: len(in.Data.Items)}})
	}
	if films, most := len(in.Data.Items), recipe.WeightsMax/max(1, len(in.Data.Items)); p.Int(k) > most {
		return nil, fault.Field(k, "is %d, of %d films: the most is %d weights together", p.Int(k), films, recipe.WeightsMax).WithHint("set %s to %d or less", k, most)
	}
	weights, err := ml.TrainItemKNN(ctx, in.Data, p.Int(k), p.Number(shrink))
	if err != nil {
		return nil, err
	}
	if h.Progress != nil {
		h.Progress(recipe.StageFit, 1, 1, math.NaN())
	}
	return &recipe.Related{Kind: kind, Source: name, FeaturesHash: in.FeaturesHash, Items: in.Data.Items, Weights: weights, History: recipe.HistoryOf(name, p),
		Found: map[string]float64{"weights": float64(len(weights.Items))}}, nil
}
