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
	"github.com/projectionist/projectionist/ml/recipe"
)

// checkpoint is the state of train after a sweep: which stage it is in, what the stages before it
// found, and the trainer's own state. It is stored as a line of JSON, and the latter.
type checkpoint struct {
	Stage   string `json:"stage"`
	Blend          // once it is chosen
	trainer []byte
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

// train fits a model: it chooses how scores are blended on the last part of the data in
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
	if resume.Stage == recipe.StageFit && resume.Counts.Forget == 0 { // of an earlier generation, which chose less
		resume = checkpoint{}
	}
	chosen := resume.Blend
	if resume.Stage != recipe.StageFit {
		split := in.At(1 - p.HoldoutShare)
		m, err := fit(ctx, in, split, p, stageTune, Blend{}, resume, h)
		if err != nil {
			return nil, err
		}
		if chosen, err = choose(ctx, in, m, split, p); err != nil {
			return nil, err
		}
	}
	m, err := fit(ctx, in, len(in.Data.Samples), p, recipe.StageFit, chosen, resume, h)
	if err != nil {
		return nil, err
	}
	m.Blend = chosen
	return m, nil
}

// fit trains factors on the first n samples.
func fit(ctx context.Context, in recipe.Input, n int, p Params, stage string, chosen Blend, resume checkpoint, h recipe.Hooks) (*Model, error) {
	data := in.Before(n).Data
	m := &Model{Params: p, Blend: Blend{HistoryDecay: 1}, FeaturesHash: in.FeaturesHash, Items: data.Items, Support: make([]float32, len(data.Items))}
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
				return (&checkpoint{stage, chosen, state}).encode()
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
