// Package ease is the recipe "ease": a linear model in which every film is explained by all others, in closed form.
package ease

import (
	"context"

	"github.com/projectionist/projectionist/ml"
	"github.com/projectionist/projectionist/ml/recipe"
)

const (
	name   = "ease"
	kind   = "ease"
	lambda = name + ".lambda"
	films  = name + ".films"
	keep   = name + ".keep"
)

// Recipe is the recipe "ease".
var Recipe = &recipe.Recipe{
	Name:        name,
	Description: "Linear model in which every film is explained by all others (EASE), in closed form",
	Code:        "ease/1",
	Params: append([]recipe.Param{
		recipe.AboveParam(lambda, 500, 0, 1e9, "λ, the ridge penalty of large weights"),
		recipe.IntegerParam(films, 10_000, 1, ml.DenseMax, "films in the matrix at most, those that most people like; others are not ranked by it; 4 bytes for each pair, and time with the third power"),
		recipe.IntegerParam(keep, 500, 1, ml.DenseMax, "weights of a film that are kept, those furthest from 0; with films at most 100,000,000 together"),
	}, recipe.HistoryParams(name, recipe.History{Decay: .8, Max: 200})...),
	Check: func(p recipe.Params) error { return recipe.CheckLinear(p, films, keep) },
	Train: func(ctx context.Context, in recipe.Input, p recipe.Params, h recipe.Hooks) (recipe.Model, error) {
		m := &recipe.Related{Kind: kind, Source: name, History: recipe.HistoryOf(name, p)}
		return recipe.TrainLinear(m, in, h, func(h ml.LinearHooks) (*ml.ItemWeights, ml.LinearInfo, error) {
			return ml.TrainEASE(ctx, in.Data, ml.EASEParams{Lambda: p.Number(lambda), Items: p.Int(films), Keep: p.Int(keep)}, h)
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
