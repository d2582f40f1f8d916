package als

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/projectionist/projectionist/ml"
	"github.com/projectionist/projectionist/ml/online"
	"github.com/projectionist/projectionist/ml/recipe"
)

// checkpoint is the state of train after a sweep: which stage it is in, what the stages before it
// found, and the trainer's own state. It is stored as a line of JSON, and the latter.
type checkpoint struct {
	Stage     string  `json:"stage"`
	ALSWeight float32 `json:"als_weight"`
	trainer   []byte
}

func (c *checkpoint) encode() ([]byte, error) {
	line, err := json.Marshal(c)
	return slices.Concat(line, []byte{'\n'}, c.trainer), err
}

func decodeCheckpoint(b []byte) (c checkpoint, err error) {
	line, trainer, ok := bytes.Cut(b, []byte{'\n'})
	if err = json.Unmarshal(line, &c); err == nil && !ok {
		err = errors.New("it ends early")
	}
	if err != nil {
		return c, fmt.Errorf("checkpoint: %w", err)
	}
	c.trainer = trainer
	return c, nil
}

// stageTune fits factors of all but the holdout, for choosing the blend; recipe.StageFit those of everything.
const stageTune = "tune"

// train fits a model: it chooses the weight of the factors in the blend on the last part of the data in
// time, scored test-then-learn, and then fits the factors on all of it. The same input and parameters
// give the same bytes, whether or not training was interrupted and resumed.
func train(ctx context.Context, in recipe.Input, p Params, h recipe.Hooks) (*Model, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	var resume checkpoint
	if h.Resume != nil {
		var err error
		if resume, err = decodeCheckpoint(h.Resume); err != nil {
			return nil, err
		}
	}
	weight := resume.ALSWeight
	if resume.Stage != recipe.StageFit {
		split := in.At(1 - p.HoldoutShare)
		m, err := fit(ctx, in, split, p, stageTune, 0, resume, h)
		if err != nil {
			return nil, err
		}
		if weight, err = chooseWeight(ctx, in, m, split, len(in.Data.Samples), p); err != nil {
			return nil, err
		}
	}
	m, err := fit(ctx, in, len(in.Data.Samples), p, recipe.StageFit, weight, resume, h)
	if err != nil {
		return nil, err
	}
	m.ALSWeight = weight
	return m, nil
}

// fit trains factors on the first n samples.
func fit(ctx context.Context, in recipe.Input, n int, p Params, stage string, weight float32, resume checkpoint, h recipe.Hooks) (*Model, error) {
	data := in.Before(n).Data
	m := &Model{Params: p, FeaturesHash: in.FeaturesHash, Items: data.Items, Support: make([]float32, len(data.Items))}
	for _, s := range data.Samples {
		if s.Weight > 0 {
			m.Support[s.Item]++
		}
	}
	t, err := ml.NewALSTrainer(data, p.ALS)
	if err != nil {
		return nil, err
	}
	if resume.Stage == stage {
		if err := t.Restore(resume.trainer); err != nil {
			return nil, err
		}
	}
	key, err := fitKey(t, p)
	if err != nil {
		return nil, err
	}
	if kept := in.Fits.Get(key); kept != nil && t.Sweeps() < p.ALS.Sweeps {
		if err := t.Restore(kept); err != nil {
			return nil, err
		}
	}
	for t.Sweeps() < p.ALS.Sweeps {
		if err := t.Sweep(ctx); err != nil {
			return nil, err
		}
		if h.Progress != nil {
			loss := math.NaN()
			if !h.NoLoss {
				loss = t.Loss()
			}
			h.Progress(stage, t.Sweeps(), p.ALS.Sweeps, loss)
		}
		if h.Save != nil {
			err := h.Save(func() ([]byte, error) {
				state, err := t.Checkpoint()
				if err != nil {
					return nil, err
				}
				return (&checkpoint{stage, weight, state}).encode()
			})
			if err != nil {
				return nil, err
			}
		}
	}
	if in.Fits != nil && stage == stageTune { // an evaluation of the same data judges this fit
		state, err := t.Checkpoint()
		if err != nil {
			return nil, err
		}
		in.Fits.Keep(key, state)
	}
	als, err := t.Model()
	if err != nil {
		return nil, err
	}
	m.Factors = als.ItemFactors
	m.Genres = vocabulary(m.Items, in.Content)
	features := make([][]float32, len(m.Items))
	for i, id := range m.Items {
		features[i] = m.contentVector(nil, in.Content(id))
	}
	if m.Ridge, err = ml.FitContentRidge(features, m.Factors, p.ALS.Dim, m.Support, p.ContentLambda); err != nil {
		return nil, err
	}
	return m, m.ready()
}

// fitKey names a fit by all that decides its bytes.
func fitKey(t *ml.ALSTrainer, p Params) (string, error) {
	params, err := json.Marshal(p.ALS)
	return sourceFactors + " " + t.Data() + " " + string(params), err
}

// weights are the shares of the factors that are tried.
var weights = []float32{0, .1, .2, .3, .4, .5, .6, .7, .8, .9, 1}

// chooseWeight takes the share of the factors that gives people the best NDCG@10 on the samples from..to, in the mean over them
// ([recipe.Shares]): whoever has a short history is served best by more of it than the few who have met most films.
func chooseWeight(ctx context.Context, in recipe.Input, m *Model, from, to int, p Params) (float32, error) {
	r, s := m.Ranker(in.Films(), nil).(*ranker), &scratch{}
	var people []string
	var moments [][]float64 // their gains, by weight
	err := in.Replay(ctx, from, to, p.HoldoutEvents, func(model *online.Model, user string, timeMillis int64, film int) {
		trained := r.components(model, user, timeMillis, false, s)
		gains := make([]float64, len(weights))
		for i, w := range weights {
			if !trained {
				w = 0
			}
			s.mix(w)
			gains[i] = recipe.Gain(recipe.Rank(s.score, film))
		}
		people, moments = append(people, user), append(moments, gains)
	})
	mean := make([]float64, len(weights))
	for n, share := range recipe.Shares(people) {
		for i, g := range moments[n] {
			mean[i] += float64(share * g)
		}
	}
	best := 0
	for i, g := range mean {
		if g > mean[best] {
			best = i
		}
	}
	return weights[best], err
}
