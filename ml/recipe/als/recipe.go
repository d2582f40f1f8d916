package als

import (
	"context"
	"fmt"
	"math"

	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/ml"
	"github.com/projectionist/projectionist/ml/recipe"
)

// Recipe is the recipe "als".
var Recipe = &recipe.Recipe{
	Name:        "als",
	Description: "Implicit matrix factorisation (iALS), blended with online co-counts and content",
	Code:        "hybrid-ials/4",
	Params:      declared(DefaultParams()),
	Check: func(p recipe.Params) error {
		if solver, steps := p["als.solver"], p.Int("als.cg_steps"); solver == ml.SolverCG && steps < 1 {
			return fault.Field("als.cg_steps", "is %d; with the solver %s it takes an integer from 1", steps, solver)
		}
		return nil
	},
	Train: func(ctx context.Context, in recipe.Input, p recipe.Params, h recipe.Hooks) (recipe.Model, error) {
		m, err := train(ctx, in, paramsOf(p), h)
		if err != nil {
			return nil, err // not a nil *Model in an interface
		}
		return m, nil
	},
	Decode: func(b []byte) (recipe.Model, error) {
		m, err := decode(b)
		if err != nil {
			return nil, err
		}
		return m, nil
	},
}

func declared(d Params) []recipe.Param {
	integer := func(name string, value, least, most int, meaning string) recipe.Param {
		return recipe.Param{Name: name, Type: recipe.Integer, Default: fmt.Sprint(value), Min: float64(least), Max: float64(most), Meaning: meaning}
	}
	above := func(name string, value, least, most float64, meaning string) recipe.Param {
		return recipe.Param{Name: name, Type: recipe.Number, Default: fmt.Sprint(value), Min: least, AboveMin: true, Max: most, Meaning: meaning}
	}
	from := func(name string, value, least, most float64, meaning string) recipe.Param {
		return recipe.Param{Name: name, Type: recipe.Number, Default: fmt.Sprint(value), Min: least, Max: most, Meaning: meaning}
	}
	return []recipe.Param{
		integer("als.dim", d.ALS.Dim, 1, 1024, "length of a factor").Within(32, 192),
		integer("als.sweeps", d.ALS.Sweeps, 1, 10_000, "passes over all people and all films"),
		above("als.regularization", d.ALS.Regularization, 0, 1e6, "λ, the penalty of large factors").Within(1e-4, 1e-1),
		above("als.unobserved_weight", d.ALS.UnobservedWeight, 0, 1e6, "w₀, the weight of \"no preference\" for every pair").Within(.01, 1),
		from("als.nu", d.ALS.Nu, 0, 2, "ν: 1 scales the regularisation with frequency, 0 not at all"),
		above("als.init_scale", d.ALS.InitScale, 0, 100, "standard deviation of the initial factors, times the root of dim"),
		{Name: "als.solver", Type: recipe.Choice, Default: d.ALS.Solver, Choices: []string{ml.SolverCG, ml.SolverCholesky},
			Meaning: "how a row is solved: a few steps of conjugate gradient, or exactly"},
		integer("als.cg_steps", d.ALS.CGSteps, 0, 1000, "steps of conjugate gradient; of no meaning to other solvers"),
		integer("als.history_max", d.ALS.HistoryMax, 1, 1_000_000, "most recent films of a person that their vector is made of"),
		{Name: "als.seed", Type: recipe.Seed, Default: fmt.Sprint(d.ALS.Seed), Meaning: "of the initial factors"},
		from("content_trust", d.ContentTrust, 0, math.MaxFloat64, "positives at which a film's learned factor counts as much as the one its content suggests"),
		above("content_lambda", d.ContentLambda, 0, math.MaxFloat64, "ridge penalty of predicting factors from content"),
	}
}

func paramsOf(p recipe.Params) Params {
	return Params{
		ALS: ml.ALSParams{Dim: p.Int("als.dim"), Sweeps: p.Int("als.sweeps"), Regularization: p.Number("als.regularization"),
			UnobservedWeight: p.Number("als.unobserved_weight"), Nu: p.Number("als.nu"), InitScale: p.Number("als.init_scale"),
			Solver: p["als.solver"], CGSteps: p.Int("als.cg_steps"), HistoryMax: p.Int("als.history_max"), Seed: p.Seed("als.seed")},
		ContentTrust: p.Number("content_trust"), ContentLambda: p.Number("content_lambda"),
		HoldoutShare: p.Number(recipe.HoldoutShare), HoldoutEvents: p.Int(recipe.HoldoutEvents),
	}
}
