package ml

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
)

// MLPParams are the parameters of the small neural baseline: features → hidden units (ReLU) →
// rating, trained with Adam (Kingma, Ba 2015) on the mean square error.
type MLPParams struct {
	Hidden          int     `json:"hidden"`           // units, 1 to 1024
	Batch           int     `json:"batch"`            // rows per step
	Epochs          int     `json:"epochs"`           // passes over the training rows
	LearningRate    float64 `json:"learning_rate"`    // of Adam
	ValidationShare float64 `json:"validation_share"` // of the rows, 0 to less than 1
	Seed            uint64  `json:"seed"`
}

// DefaultMLPParams are the baseline's customary parameters.
func DefaultMLPParams() MLPParams {
	return MLPParams{Hidden: 64, Batch: 32, Epochs: 5, LearningRate: 0.001, ValidationShare: 0.2, Seed: 1}
}

// Validate reports every parameter that is out of range.
func (p MLPParams) Validate() error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf("ml: "+format, args...))
		}
	}
	check(p.Hidden >= 1 && p.Hidden <= scanRows, "hidden is %d: give 1 to %d", p.Hidden, scanRows)
	check(p.Batch >= 1, "batch is %d: give 1 or more, usually 32", p.Batch)
	check(p.Epochs >= 1 && p.Epochs <= 100_000, "epochs is %d: give 1 to 100000", p.Epochs)
	check(p.LearningRate > 0 && p.LearningRate <= 1, "learning_rate is %v: give a number above 0, usually 0.001", p.LearningRate)
	check(p.ValidationShare >= 0 && p.ValidationShare < 1, "validation_share is %v: give 0 to less than 1", p.ValidationShare)
	return errors.Join(errs...)
}

// MoviePredictor predicts a rating from a feature vector. Features are standardised with the mean
// and standard deviation of the training rows.
type MoviePredictor struct {
	Params   MLPParams
	Features int

	mean, scale []float32 // of features
	weights     []float32 // see layout
}

// EpochReport is what training tells after each epoch. Losses are mean square errors in stars²; the
// training loss is the mean over the epoch, while the weights still moved.
type EpochReport struct {
	Epoch, Of                 int
	TrainRows, ValidationRows int
	TrainLoss, ValidationLoss float64 // ValidationLoss is NaN without validation rows
}

// layout cuts a vector of all weights into its tensors: w1 is Hidden rows of padded(Features), b1
// and w2 are padded(Hidden).
func (m *MoviePredictor) layout(v []float32) (w1, b1, w2, b2 []float32) {
	in, h := m.Params.Hidden*padded(m.Features), padded(m.Params.Hidden)
	return v[:in], v[in : in+h], v[in+h : in+2*h], v[in+2*h : in+2*h+1]
}

func (m *MoviePredictor) size() int {
	return m.Params.Hidden*padded(m.Features) + 2*padded(m.Params.Hidden) + 1
}

// Parameters is how many numbers are trained for so many features.
func (p MLPParams) Parameters(features int) int { return p.Hidden*features + 2*p.Hidden + 1 }

// TrainMoviePredictor trains on rows of features and their ratings. The last ValidationShare of the
// rows are held out: give rows in the order of time, so that the validation looks ahead. Rows are
// visited in an order drawn from Seed, one after the other, so that the same input gives the same
// weights. Errors: parameters out of range, rows of different length, values that are not finite, ctx done.
func TrainMoviePredictor(ctx context.Context, features [][]float32, ratings []float32, p MLPParams, progress func(EpochReport)) (*MoviePredictor, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	if len(features) != len(ratings) {
		return nil, fmt.Errorf("ml: %d feature rows and %d ratings", len(features), len(ratings))
	}
	validation := int(float64(len(features)) * p.ValidationShare)
	train := len(features) - validation
	if train == 0 {
		return nil, errors.New("ml: no rows to train on: import ratings first")
	}
	m := &MoviePredictor{Params: p, Features: len(features[0])}
	if m.Features == 0 {
		return nil, errors.New("ml: feature rows are empty")
	}
	for i, f := range features {
		if len(f) != m.Features {
			return nil, fmt.Errorf("ml: row %d has %d features, the first has %d", i, len(f), m.Features)
		}
		if c := notFinite(f); c >= 0 || !finite(ratings[i]) {
			return nil, fmt.Errorf("ml: row %d: features and rating must be finite numbers", i)
		}
	}
	m.standardise(features[:train])
	in, s := padded(m.Features), padded(p.Hidden)
	x := make([]float32, len(features)*in)
	for i, f := range features {
		m.input(x[i*in:(i+1)*in], f)
	}

	// Weights start uniform in ±1/√inputs; the output starts at the mean rating.
	m.weights = make([]float32, m.size())
	w1, b1, w2, b2 := m.layout(m.weights)
	r := newRNG(p.Seed)
	uniform := func(inputs int) float32 { return (2*r.uniform() - 1) / float32(math.Sqrt(float64(inputs))) }
	for h := range p.Hidden {
		for c := range m.Features {
			w1[h*in+c] = uniform(m.Features)
		}
		b1[h], w2[h] = uniform(m.Features), uniform(p.Hidden)
	}
	var sum float64
	for _, y := range ratings[:train] {
		sum += float64(y)
	}
	b2[0] = float32(sum / float64(train))

	gradient := make([]float32, m.size())
	g1, gb1, g2, gb2 := m.layout(gradient)
	adam := newAdam(m.size(), p.LearningRate)
	hidden, delta := make([]float32, s), make([]float32, s)
	order := make([]int, train)
	for i := range order {
		order[i] = i
	}
	for epoch := 1; epoch <= p.Epochs; epoch++ {
		for i := train - 1; i > 0; i-- {
			j := r.intn(i + 1)
			order[i], order[j] = order[j], order[i]
		}
		var loss float64
		for from := 0; from < train; from += p.Batch {
			if err := ctx.Err(); err != nil {
				return nil, fmt.Errorf("ml: epoch %d of the movie predictor: %w", epoch, err)
			}
			batch := order[from:min(from+p.Batch, train)]
			clear(gradient)
			for _, n := range batch {
				row := x[n*in : (n+1)*in]
				e := m.forward(hidden, row) - ratings[n]
				loss += float64(float64(e) * float64(e))
				d := 2 * e / float32(len(batch))
				axpy(g2, d, hidden, s)
				gb2[0] += d
				for h, active := range hidden[:p.Hidden] {
					if active > 0 {
						delta[h] = d * w2[h]
						gb1[h] += delta[h]
						axpy(g1[h*in:(h+1)*in], delta[h], row, in)
					}
				}
			}
			adam.step(m.weights, gradient)
		}
		report := EpochReport{Epoch: epoch, Of: p.Epochs, TrainRows: train, ValidationRows: validation, TrainLoss: loss / float64(train)}
		loss = 0
		for n := train; n < len(features); n++ {
			e := float64(m.forward(hidden, x[n*in:(n+1)*in]) - ratings[n])
			loss += float64(e * e)
		}
		report.ValidationLoss = loss / float64(validation)
		if progress != nil {
			progress(report)
		}
	}
	if notFinite(m.weights) >= 0 {
		return nil, fmt.Errorf("ml: training diverged: lower learning_rate (%v)", p.LearningRate)
	}
	return m, nil
}

func (m *MoviePredictor) standardise(rows [][]float32) {
	m.mean, m.scale = make([]float32, m.Features), make([]float32, m.Features)
	for c := range m.Features {
		var sum, square float64
		for _, f := range rows {
			sum += float64(f[c])
		}
		mean := sum / float64(len(rows))
		for _, f := range rows {
			d := float64(f[c]) - mean
			square += float64(d * d)
		}
		m.mean[c], m.scale[c] = float32(mean), 1
		if sd := math.Sqrt(square / float64(len(rows))); sd > 1e-6 {
			m.scale[c] = float32(1 / sd)
		}
	}
}

func (m *MoviePredictor) input(dst, features []float32) {
	for c, v := range features {
		dst[c] = (v - m.mean[c]) * m.scale[c]
	}
}

// forward returns the prediction for standardised features, leaving the hidden layer in hidden.
func (m *MoviePredictor) forward(hidden, x []float32) float32 {
	w1, b1, w2, b2 := m.layout(m.weights)
	in, s := padded(m.Features), padded(m.Params.Hidden)
	dotRows(hidden, x, w1, iota32[:m.Params.Hidden], in, in)
	for h := range hidden[:m.Params.Hidden] {
		hidden[h] = max(0, hidden[h]+b1[h])
	}
	return b2[0] + dot(hidden, w2, s)
}

const predictedMax = 5 // stars

// Predict returns the rating expected for a feature vector, cut to 0 to 5 stars. It panics where
// features has not the length trained on.
func (m *MoviePredictor) Predict(features []float32) float32 {
	if len(features) != m.Features {
		panic(fmt.Sprintf("ml: %d features given to a predictor of %d", len(features), m.Features))
	}
	x := make([]float32, padded(m.Features))
	m.input(x, features)
	y := m.forward(make([]float32, padded(m.Params.Hidden)), x)
	return max(0, min(y, predictedMax))
}

// adam is the optimiser's state, with the customary β₁ .9, β₂ .999, ε 1e-8.
type adam struct {
	rate, c1, c2 float64 // c is βᵗ
	m, v         []float32
}

func newAdam(n int, rate float64) *adam {
	return &adam{rate: rate, c1: 1, c2: 1, m: make([]float32, n), v: make([]float32, n)}
}

func (a *adam) step(weights, gradient []float32) {
	a.tick().update(weights, gradient, a.m, a.v)
}

// tick begins a step.
func (a *adam) tick() adamStep {
	a.c1 *= adamBeta1
	a.c2 *= adamBeta2
	return adamStep{float32(a.rate / (1 - a.c1)), float32(1 / (1 - a.c2))}
}

const adamBeta1, adamBeta2 = 0.9, 0.999

// adamStep is one step: rate and scale take back that the moments begin at 0.
type adamStep struct{ rate, scale float32 }

// update moves weights, and the moments m and v of their gradient.
func (s adamStep) update(weights, gradient, m, v []float32) {
	const epsilon = 1e-8
	for i, g := range gradient {
		m[i] += float32((1 - adamBeta1) * (g - m[i]))
		v[i] += float32((1 - adamBeta2) * (float32(g*g) - v[i]))
		root := float32(math.Sqrt(float64(float32(v[i] * s.scale))))
		weights[i] -= float32(s.rate*m[i]) / (root + epsilon)
	}
}

const predictorKind = "movie-predictor"

type predictorHeader struct {
	MLPParams
	Features int `json:"features"`
}

// Artifact returns the predictor's weights, named as a two-layer network's in PyTorch.
func (m *MoviePredictor) Artifact() (*Artifact, error) {
	params, err := json.Marshal(predictorHeader{m.Params, m.Features})
	if err != nil {
		return nil, err
	}
	w1, b1, w2, b2 := m.layout(m.weights)
	h, f := m.Params.Hidden, m.Features
	return &Artifact{
		Kind: predictorKind, Kernel: Kernel(), Params: params,
		Tensors: []Tensor{
			{"input.mean", []int{f}, m.mean},
			{"input.scale", []int{f}, m.scale},
			{"fc1.weight", []int{h, f}, unpadRows(w1, h, f)},
			{"fc1.bias", []int{h}, b1[:h]},
			{"fc2.weight", []int{1, h}, w2[:h]},
			{"fc2.bias", []int{1}, b2},
		},
	}, nil
}

// MoviePredictorFromArtifact reads what [MoviePredictor.Artifact] made.
func MoviePredictorFromArtifact(a *Artifact) (*MoviePredictor, error) {
	var header predictorHeader
	if a.Kind != predictorKind {
		return nil, fmt.Errorf("ml: the artifact is of kind %q, not %q", a.Kind, predictorKind)
	}
	if err := json.Unmarshal(a.Params, &header); err != nil {
		return nil, fmt.Errorf("ml: params of artifact: %w", err)
	}
	if err := header.MLPParams.Validate(); err != nil {
		return nil, err
	}
	h, f := header.Hidden, header.Features
	var tensors [6][]float32
	for i, t := range []struct {
		name  string
		shape []int
	}{{"input.mean", []int{f}}, {"input.scale", []int{f}}, {"fc1.weight", []int{h, f}}, {"fc1.bias", []int{h}}, {"fc2.weight", []int{1, h}}, {"fc2.bias", []int{1}}} {
		var err error
		if tensors[i], err = a.Tensor(t.name, t.shape...); err != nil {
			return nil, err
		}
	}
	if f < 1 {
		return nil, fmt.Errorf("ml: a predictor of %d features", f)
	}
	m := &MoviePredictor{Params: header.MLPParams, Features: f, mean: tensors[0], scale: tensors[1]}
	m.weights = make([]float32, m.size())
	w1, b1, w2, b2 := m.layout(m.weights)
	copy(w1, padRows(tensors[2], h, f))
	copy(b1, tensors[3])
	copy(w2, tensors[4])
	copy(b2, tensors[5])
	return m, nil
}
