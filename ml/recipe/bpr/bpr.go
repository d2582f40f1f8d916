// Package bpr is the recipe "bpr": factors by which what a person likes stands before what they have not met.
package bpr

import (
	"context"

	"github.com/projectionist/projectionist/ml"
	"github.com/projectionist/projectionist/ml/recipe"
)

const (
	name           = "bpr"
	kind           = "bpr"
	dim            = name + ".dim"
	epochs         = name + ".epochs"
	learningRate   = name + ".learning_rate"
	regularization = name + ".regularization"
	seed           = name + ".seed"
)

// Recipe is the recipe "bpr".
var Recipe = &recipe.Recipe{
	Name:        name,
	Description: "Factors by which what a person likes stands before what they have not met (BPR)",
	Code:        "bpr/1",
	OfPeople:    true,
	ONNX:        true,
	Params: []recipe.Param{
		recipe.IntegerParam(dim, 64, 1, 1024, "length of a factor"),
		recipe.IntegerParam(epochs, 100, 1, 100_000, "passes, of as many steps as there are likes"),
		recipe.AboveParam(learningRate, .05, 0, 1, "learning rate"),
		recipe.NumberParam(regularization, .003, 0, 1, "penalty of large factors and biases"),
		{Name: seed, Type: recipe.Seed, Default: "1", Meaning: "of the first factors and of what is drawn"},
	},
	Train: train,
	Decode: func(b []byte) (recipe.Model, error) {
		m, err := recipe.DecodeFactors(b, kind, name)
		if err != nil {
			return nil, err // not a nil *Factors in an interface
		}
		return m, nil
	},
}

func train(ctx context.Context, in recipe.Input, p recipe.Params, h recipe.Hooks) (recipe.Model, error) {
	params := ml.BPRParams{Dim: p.Int(dim), Epochs: p.Int(epochs), LearningRate: p.Number(learningRate), Regularization: p.Number(regularization), Seed: p.Seed(seed)}
	t, err := ml.NewBPRTrainer(in.Data, params)
	if err != nil {
		return nil, err
	}
	if h.Sizes != nil {
		h.Sizes([]recipe.Size{{Name: "people", N: len(in.Data.Users)}, {Name: "films", N: len(in.Data.Items)}})
	}
	if err := recipe.Steps(ctx, t, params.Epochs, h); err != nil {
		return nil, err
	}
	f, err := t.Model()
	if err != nil {
		return nil, err
	}
	return &recipe.Factors{Factors: f, Kind: kind, Source: name, FeaturesHash: in.FeaturesHash,
		Found: map[string]float64{"parameters": float64(f.Parameters())}}, nil
}
