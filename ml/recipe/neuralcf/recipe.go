// Package neuralcf is the recipe "neural_cf": an embedding of the person beside one of the film, hidden layers, and a
// rating at the end. As a recommender it ranks by the rating it predicts. Its weights have the names of the PyTorch
// module that people know it as, see [ml.NeuralCF.Artifact].
package neuralcf

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/projectionist/projectionist/ml"
	"github.com/projectionist/projectionist/ml/recipe"
)

const name = "neural_cf"

// Names of the parameters.
const (
	Users        = name + ".users"
	Movies       = name + ".movies"
	Embedding    = name + ".embedding"
	Hidden1      = name + ".hidden_1"
	Hidden2      = name + ".hidden_2"
	Hidden3      = name + ".hidden_3"
	Dropout      = name + ".dropout"
	Batch        = name + ".batch"
	Epochs       = name + ".epochs"
	Patience     = name + ".patience"
	LearningRate = name + ".learning_rate"
	Seed         = name + ".seed"
)

// rowsMax bounds an embedding: of 64 numbers it takes a gigabyte, and its training four.
const rowsMax = 4_000_000

// Recipe is the recipe "neural_cf".
var Recipe = &recipe.Recipe{
	Name:        name,
	Description: "Neural collaborative filtering: embeddings and hidden layers that predict ratings",
	Code:        "neural-cf/1",
	Predicts:    true,
	OfPeople:    true,
	ONNX:        true,
	Params:      declared(ml.DefaultNeuralCFParams()),
	Train: func(ctx context.Context, in recipe.Input, p recipe.Params, h recipe.Hooks) (recipe.Model, error) {
		m, err := train(ctx, in, p, h)
		if err != nil {
			return nil, err // not a nil *model in an interface
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
	Import: fromFile,
}

func declared(d ml.NeuralCFParams) []recipe.Param {
	integer := func(name string, value, least, most int, meaning string) recipe.Param {
		return recipe.Param{Name: name, Type: recipe.Integer, Default: fmt.Sprint(value), Min: float64(least), Max: float64(most), Meaning: meaning}
	}
	return []recipe.Param{
		integer(Users, 0, 0, rowsMax, "people with an embedding, those with the most ratings; 0: everybody who has rated"),
		integer(Movies, 0, 0, rowsMax, "films with an embedding, those with the most ratings; 0: every one that was rated"),
		integer(Embedding, d.Embedding, 1, 512, "length of an embedding").Within(8, 128),
		integer(Hidden1, d.Hidden[0], 1, 1024, "units of the first hidden layer"),
		integer(Hidden2, d.Hidden[1], 1, 1024, "units of the second hidden layer"),
		integer(Hidden3, d.Hidden[2], 1, 1024, "units of the third hidden layer"),
		recipe.Param{Name: Dropout, Type: recipe.Number, Default: fmt.Sprint(d.Dropout), Min: 0, Max: .9, Meaning: "share of hidden units that a step leaves out"}.Within(0, .6),
		integer(Batch, d.Batch, 1, 16384, "ratings per step"),
		integer(Epochs, d.Epochs, 1, 10_000, "passes over the ratings at most"),
		integer(Patience, d.Patience, 0, 10_000, "passes without a better validation loss after which training ends; 0: never"),
		recipe.Param{Name: LearningRate, Type: recipe.Number, Default: fmt.Sprint(d.LearningRate), Min: 0, AboveMin: true, Max: 1, Meaning: "learning rate of Adam"}.Within(1e-4, 1e-2),
		{Name: Seed, Type: recipe.Seed, Default: fmt.Sprint(d.Seed), Meaning: "of the first weights, the order of ratings, and what is left out"},
	}
}

func paramsOf(p recipe.Params) ml.NeuralCFParams {
	return ml.NeuralCFParams{Embedding: p.Int(Embedding), Hidden: []int{p.Int(Hidden1), p.Int(Hidden2), p.Int(Hidden3)}, Dropout: p.Number(Dropout),
		Batch: p.Int(Batch), Epochs: p.Int(Epochs), Patience: p.Int(Patience), LearningRate: p.Number(LearningRate), Seed: p.Seed(Seed)}
}

// Data is what the recipe trains on: the ratings that the chosen people gave the chosen films, in the order of time,
// the last share of them (holdout_share) for validation. Where fewer people or films than asked for have ratings, the
// other rows are nobody's.
func Data(in recipe.Input, p recipe.Params) ml.NeuralCFData {
	byUser, byMovie := make([]int, len(in.Data.Users)), make([]int, len(in.Data.Items))
	for i, s := range in.Data.Samples {
		if in.Signals[i].RatingCenti() > 0 {
			byUser[s.User]++
			byMovie[s.Item]++
		}
	}
	var d ml.NeuralCFData
	var userRow, movieRow []int32
	d.Users, userRow = chosen(in.Data.Users, byUser, p.Int(Users))
	d.Movies, movieRow = chosen(in.Data.Items, byMovie, p.Int(Movies))
	for i, s := range in.Data.Samples {
		u, m := userRow[s.User], movieRow[s.Item]
		if in.Signals[i].RatingCenti() > 0 && u >= 0 && m >= 0 {
			d.Ratings = append(d.Ratings, ml.NeuralCFRating{User: u, Movie: m, Rating: float32(in.Signals[i].Rating())})
		}
	}
	d.Validation = int(float64(len(d.Ratings)) * p.Number(recipe.HoldoutShare))
	return d
}

// chosen are the ids with the most ratings, in order of id, filled up with nobody to rows; 0 rows are as many as
// have any. row is the row of each id, or -1.
func chosen(ids []string, ratings []int, rows int) (list []string, row []int32) {
	var some []int32
	for i, n := range ratings {
		if n > 0 {
			some = append(some, int32(i))
		}
	}
	if rows == 0 {
		rows = len(some)
	}
	if len(some) > rows {
		slices.SortFunc(some, func(a, b int32) int { return cmp.Or(cmp.Compare(ratings[b], ratings[a]), cmp.Compare(a, b)) })
		some = some[:rows]
		slices.Sort(some)
	}
	list, row = make([]string, rows), make([]int32, len(ids))
	for i := range row {
		row[i] = -1
	}
	for at, i := range some {
		list[at], row[i] = ids[i], int32(at)
	}
	return list, row
}

// about says whose the rows are, where that is not everybody's who is in a rating.
func about(rows []string, in recipe.Input, of func(sample int) int32) string {
	rated := map[int32]bool{}
	for i, s := range in.Signals {
		if s.RatingCenti() > 0 {
			rated[of(i)] = true
		}
	}
	switch n := len(rated); {
	case n > len(rows):
		return fmt.Sprintf("those with the most ratings, of %d", n)
	case n < len(rows):
		return fmt.Sprintf("%d have ratings; %d rows are nobody's yet", n, len(rows)-n)
	}
	return ""
}

func train(ctx context.Context, in recipe.Input, p recipe.Params, h recipe.Hooks) (*model, error) {
	d := Data(in, p)
	t, err := ml.NewNeuralCFTrainer(d, paramsOf(p))
	if err != nil {
		return nil, err
	}
	if h.Sizes != nil {
		h.Sizes([]recipe.Size{
			{Name: "people", N: len(d.Users), Note: about(d.Users, in, func(i int) int32 { return in.Data.Samples[i].User })},
			{Name: "films", N: len(d.Movies), Note: about(d.Movies, in, func(i int) int32 { return in.Data.Samples[i].Item })},
			{Name: "training ratings", N: len(d.Ratings) - d.Validation}, {Name: "validation ratings", N: d.Validation, Note: "the newest"},
			{Name: "parameters", N: t.Parameters()},
		})
	}
	if h.Resume != nil {
		if err := t.Restore(h.Resume); err != nil {
			return nil, err
		}
	}
	tell := func(stage string, done, of int, loss float64) {
		if h.Progress != nil {
			h.Progress(stage, done, of, loss)
		}
	}
	if t.Done() && t.Epochs() == 0 { // without ratings
		tell(recipe.StageFit, 0, 0, math.NaN())
	}
	for !t.Done() {
		e, err := t.Epoch(ctx)
		if err != nil {
			return nil, err
		}
		if e.ValidationRows > 0 {
			tell(recipe.StageValidate, e.Epoch, e.Of, e.ValidationLoss)
		}
		tell(recipe.StageFit, e.Epoch, e.Of, e.TrainLoss)
		if h.Save != nil {
			if err := h.Save(t.Checkpoint); err != nil {
				return nil, err
			}
		}
	}
	trained, err := t.Model()
	if err != nil {
		return nil, err
	}
	return &model{NeuralCF: trained, featuresHash: in.FeaturesHash}, ctx.Err()
}

func decode(b []byte) (*model, error) {
	a, err := ml.DecodeArtifact(b)
	if err != nil {
		return nil, err
	}
	m, err := ml.NeuralCFFromArtifact(a)
	if err != nil {
		return nil, err
	}
	return &model{NeuralCF: m, featuresHash: a.FeatureHash}, nil
}

// fromFile reads a model from a safetensors file, of this program or of PyTorch; see [ml.NeuralCFFromSafetensors].
func fromFile(b []byte, user, movie func(string) (string, error)) (recipe.Model, error) {
	f, err := ml.DecodeSafetensors(b)
	if err != nil {
		return nil, err
	}
	m, err := ml.NeuralCFFromSafetensors(f)
	if err != nil {
		return nil, err
	}
	var errs []error
	if m.Users, err = named(m.Users, "user_ids", user); err != nil {
		errs = append(errs, err)
	}
	if m.Movies, err = named(m.Movies, "movie_ids", movie); err != nil {
		errs = append(errs, err)
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return again(m)
}

func named(ids []string, list string, of func(string) (string, error)) ([]string, error) {
	out := make([]string, len(ids))
	for i, id := range ids {
		if id == "" {
			continue
		}
		var err error
		if out[i], err = of(id); err != nil {
			return nil, fmt.Errorf("%s, entry %d: %w", list, i, err)
		}
	}
	return out, nil
}

// again reads a model whose ids were changed through its own form, which checks it.
func again(m *ml.NeuralCF) (recipe.Model, error) {
	a, err := m.Artifact()
	if err != nil {
		return nil, err
	}
	m, err = ml.NeuralCFFromArtifact(a)
	if err != nil {
		return nil, err
	}
	return &model{NeuralCF: m}, nil
}
