// Package svdpp is the recipe "svdpp": a factorisation of ratings in which a person is, beside their own factor, the sum of
// what the films they have rated say of them.
package svdpp

import (
	"context"

	"github.com/projectionist/projectionist/ml"
	"github.com/projectionist/projectionist/ml/recipe"
)

const (
	name           = "svdpp"
	kind           = "svdpp"
	dim            = name + ".dim"
	epochs         = name + ".epochs"
	learningRate   = name + ".learning_rate"
	rateDecay      = name + ".rate_decay"
	regularization = name + ".regularization"
	seed           = name + ".seed"
)

// Recipe is the recipe "svdpp".
var Recipe = &recipe.Recipe{
	Name:        name,
	Description: "Matrix factorisation of ratings that also learns from which films were rated (SVD++)",
	Code:        "svdpp/1",
	Predicts:    true,
	OfPeople:    true,
	ONNX:        true,
	Params: []recipe.Param{
		recipe.IntegerParam(dim, 32, 1, 1024, "length of a factor"),
		recipe.IntegerParam(epochs, 50, 1, 10_000, "passes over the ratings"),
		recipe.AboveParam(learningRate, .02, 0, 1, "learning rate of the first pass"),
		recipe.AboveParam(rateDecay, .95, 0, 1, "what the learning rate is multiplied by from pass to pass"),
		recipe.NumberParam(regularization, .05, 0, 1, "penalty of large factors and biases"),
		{Name: seed, Type: recipe.Seed, Default: "1", Meaning: "of the first factors"},
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
	params := ml.SVDPPParams{Dim: p.Int(dim), Epochs: p.Int(epochs), LearningRate: p.Number(learningRate), RateDecay: p.Number(rateDecay),
		Regularization: p.Number(regularization), Seed: p.Seed(seed)}
	t, err := ml.NewSVDPPTrainer(set, params)
	if err != nil {
		return nil, err
	}
	recipe.TellRatings(set, params.Dim, h)
	if err := recipe.Steps(ctx, t, params.Epochs, h); err != nil {
		return nil, err
	}
	f, err := t.Model()
	if err != nil {
		return nil, err
	}
	return recipe.RatingModel(f, set, kind, name, in), nil
}
