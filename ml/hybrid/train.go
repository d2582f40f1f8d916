package hybrid

import (
	"context"
	"encoding/json"
	"fmt"
	"math"

	"github.com/projectionist/projectionist/ml"
	"github.com/projectionist/projectionist/ml/online"
)

// Input is what a model is trained on.
type Input struct {
	Data         *ml.Dataset
	Signals      []online.Signal // of Data.Samples, in their order
	Content      func(item string) Content
	FeaturesHash string
}

// Hooks let a caller follow training and survive a crash in it. All are optional.
type Hooks struct {
	Progress func(stage string, done, of int, loss float64)
	Save     func(checkpoint []byte) error // after every sweep
	Resume   []byte                        // a checkpoint of the same input and parameters
}

// checkpoint is the state of Train after a sweep: which stage it is in, what the stages before it
// found, and the trainer's own state.
type checkpoint struct {
	Stage     string  `json:"stage"`
	ALSWeight float32 `json:"als_weight"`
	Trainer   []byte  `json:"trainer"`
}

const (
	stageTune = "tune" // factors of all but the holdout, for choosing the blend
	stageFit  = "fit"  // factors of everything
)

// Train fits a model: it chooses the weight of the factors in the blend on the last part of the data in
// time, scored test-then-learn, and then fits the factors on all of it. The same input and parameters
// give the same bytes, whether or not training was interrupted and resumed.
func Train(ctx context.Context, in Input, p Params, h Hooks) (*Model, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	var resume checkpoint
	if h.Resume != nil {
		if err := json.Unmarshal(h.Resume, &resume); err != nil {
			return nil, fmt.Errorf("checkpoint: %w", err)
		}
	}
	weight := resume.ALSWeight
	if resume.Stage != stageFit {
		split := in.at(1 - p.HoldoutShare)
		m, err := in.fit(ctx, split, p, stageTune, 0, resume, h)
		if err != nil {
			return nil, err
		}
		if weight, err = chooseWeight(ctx, in, m, split, len(in.Data.Samples), p); err != nil {
			return nil, err
		}
	}
	m, err := in.fit(ctx, len(in.Data.Samples), p, stageFit, weight, resume, h)
	if err != nil {
		return nil, err
	}
	m.ALSWeight = weight
	return m, nil
}

// at is the number of samples before the given share of the data, moved back to a change of time.
func (in Input) at(share float64) int {
	s := in.Data.Samples
	n := min(int(float64(len(s))*share), len(s))
	for n > 0 && n < len(s) && s[n].Time == s[n-1].Time {
		n--
	}
	return n
}

// fit trains factors on the first n samples.
func (in Input) fit(ctx context.Context, n int, p Params, stage string, weight float32, resume checkpoint, h Hooks) (*Model, error) {
	data := &ml.Dataset{Users: in.Data.Users, Items: in.Data.Items, Samples: in.Data.Samples[:n]}
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
		if err := t.Restore(resume.Trainer); err != nil {
			return nil, err
		}
	}
	for t.Sweeps() < p.ALS.Sweeps {
		if err := t.Sweep(ctx); err != nil {
			return nil, err
		}
		if h.Progress != nil {
			h.Progress(stage, t.Sweeps(), p.ALS.Sweeps, t.Loss())
		}
		if h.Save != nil {
			state, err := t.Checkpoint()
			if err != nil {
				return nil, err
			}
			b, err := json.Marshal(checkpoint{stage, weight, state})
			if err != nil {
				return nil, err
			}
			if err := h.Save(b); err != nil {
				return nil, err
			}
		}
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

// weights are the shares of the factors that are tried.
var weights = []float32{0, .1, .2, .3, .4, .5, .6, .7, .8, .9, 1}

// chooseWeight takes the share of the factors that gives the best NDCG@10 on the samples from..to.
func chooseWeight(ctx context.Context, in Input, m *Model, from, to int, p Params) (float32, error) {
	gains := make([]float64, len(weights))
	err := in.replay(ctx, m, from, to, p.HoldoutEvents, func(c components) {
		for i, w := range weights {
			gains[i] += gain(c.rank(w))
		}
	})
	best := 0
	for i, g := range gains {
		if g > gains[best] {
			best = i
		}
	}
	return weights[best], err
}

// gain is NDCG@10 of one relevant film at a rank from 1.
func gain(rank int) float64 {
	if rank > 10 {
		return 0
	}
	return 1 / math.Log2(float64(rank)+1)
}
