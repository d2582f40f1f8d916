// Package mf is the recipe "mf": a factorisation of ratings with biases, the mean of what many draws of it predict.
package mf

import (
	"context"

	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/ml"
	"github.com/projectionist/projectionist/ml/recipe"
)

const (
	name    = "mf"
	kind    = "rating-mf"
	dim     = name + ".dim"
	burn    = name + ".burn"
	samples = name + ".samples"
	thin    = name + ".thin"
	seed    = name + ".seed"
)

// rowMax bounds the numbers that are kept of a person or film: 8 KiB.
const rowMax = 2048

// Recipe is the recipe "mf".
var Recipe = &recipe.Recipe{
	Name:        name,
	Description: "Bayesian matrix factorisation of ratings with biases, by alternating draws",
	Code:        "rating-mf/1",
	Predicts:    true,
	OfPeople:    true,
	ONNX:        true,
	Check: func(p recipe.Params) error {
		if n := p.Int(dim) * p.Int(samples); n > rowMax {
			return fault.Field(samples, "%d of %s %d are %d numbers of each person and film; at most %d are kept", p.Int(samples), dim, p.Int(dim), n, rowMax).
				WithHint("lower %s or %s", dim, samples)
		}
		return nil
	},
	Params: []recipe.Param{
		recipe.IntegerParam(dim, 15, 1, 256, "length of a factor").Within(5, 40),
		recipe.IntegerParam(burn, 50, 0, 10_000, "passes over all people and all films before the first that is kept"),
		recipe.IntegerParam(samples, 24, 1, 256, "passes that are kept; the weights have as many factors of each person and film").Within(8, 48),
		recipe.IntegerParam(thin, 4, 1, 100, "passes of which one is kept"),
		{Name: seed, Type: recipe.Seed, Default: "1", Meaning: "of the first factors and of what is drawn"},
	},
	Train: train,
	Decode: func(b []byte) (recipe.Model, error) {
		m, err := recipe.DecodeFactors(b, kind, name)
		if err != nil {
			return nil, err
		}
		return recipe.Ratings{Factors: m}, nil
	},
}

func train(ctx context.Context, in recipe.Input, p recipe.Params, h recipe.Hooks) (recipe.Model, error) {
	set, err := ml.RatingsOf(in.Data)
	if err != nil {
		return nil, err
	}
	params := ml.MFParams{Dim: p.Int(dim), Burn: p.Int(burn), Samples: p.Int(samples), Thin: p.Int(thin), Seed: p.Seed(seed)}
	t, err := ml.NewMFTrainer(set, params)
	if err != nil {
		return nil, err
	}
	recipe.TellRatings(set, params.Dim*params.Samples, h)
	if err := recipe.Steps(ctx, t, params.Sweeps(), h); err != nil {
		return nil, err
	}
	f, err := t.Model()
	if err != nil {
		return nil, err
	}
	return recipe.RatingModel(f, set, kind, name, in), nil
}
