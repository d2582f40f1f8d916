// Package nextitem is the recipe "nextitem": a ridge regression of the next film that a person likes on those before it,
// of which the newest weigh most.
package nextitem

import (
	"context"

	"github.com/projectionist/projectionist/ml"
	"github.com/projectionist/projectionist/ml/recipe"
)

const (
	name   = "nextitem"
	kind   = "next-item"
	lambda = name + ".lambda"
	decay  = name + ".decay"
	window = name + ".window"
	films  = name + ".films"
	keep   = name + ".keep"
)

// Recipe is the recipe "nextitem".
var Recipe = &recipe.Recipe{
	Name:        name,
	Description: "Linear regression of the next film on those before it, the newest weighing most",
	Code:        "next-item/1",
	Params: []recipe.Param{
		recipe.AboveParam(lambda, 100, 0, 1e9, "λ, the ridge penalty of large weights"),
		recipe.AboveParam(decay, .8, 0, 1, "what a film weighs beside the one liked after it, in training and for a person"),
		recipe.IntegerParam(window, 50, 1, 1000, "films before the next that are looked at, in training and for a person"),
		recipe.IntegerParam(films, 8_000, 1, ml.DenseMax, "films in the matrices at most, those that most people like; others are not ranked by it; 8 bytes for each pair, and time with the third power"),
		recipe.IntegerParam(keep, 500, 1, ml.DenseMax, "weights of a film that are kept, those furthest from 0; with films at most 100,000,000 together"),
	},
	Check: func(p recipe.Params) error { return recipe.CheckLinear(p, films, keep) },
	Train: func(ctx context.Context, in recipe.Input, p recipe.Params, h recipe.Hooks) (recipe.Model, error) {
		m := &recipe.Related{Kind: kind, Source: name, History: recipe.History{Decay: p.Number(decay), Max: p.Int(window)}}
		return recipe.TrainLinear(m, in, h, func(h ml.LinearHooks) (*ml.ItemWeights, ml.LinearInfo, error) {
			return ml.TrainNextItem(ctx, in.Data, ml.NextItemParams{Lambda: p.Number(lambda), Decay: p.Number(decay), Window: p.Int(window),
				Items: p.Int(films), Keep: p.Int(keep)}, h)
		})
	},
	Decode: func(b []byte) (recipe.Model, error) {
		m, err := recipe.DecodeRelated(b, kind, name)
		if err != nil {
			return nil, err // not a nil *Related in an interface
		}
		return m, nil
	},
}
