package ml

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
)

// NeuralCFRating is a rating to train on, by the rows of person and film.
type NeuralCFRating struct {
	User, Movie int32
	Rating      float32 // stars
}

// NeuralCFData is what a [NeuralCF] is trained on. The last Validation of the ratings are held out: give them in
// the order of time, so that the validation looks ahead.
type NeuralCFData struct {
	Users, Movies []string // by row; "" is nobody's
	Ratings       []NeuralCFRating
	Validation    int
}

// NeuralCFTrainer trains epoch by epoch. Its state after any epoch is a checkpoint, from which another trainer
// goes on to the same bytes. It is not safe for concurrent use; an epoch itself runs on GOMAXPROCS goroutines, and
// its result does not depend on their number.
//
// Adam moves the rows of an embedding that a step's ratings have, and leaves the others, as SparseAdam of PyTorch
// does: a step costs what its ratings cost, however many people and films there are.
type NeuralCFTrainer struct {
	m           *NeuralCF
	data        NeuralCFData
	hash        string
	epoch       int
	stale       int // epochs since the best
	best        *NeuralCF
	user, movie embeddingAdam
	mlp         *adam
	chunks      []*ncfScratch
	err         error
}

// embeddingAdam is Adam over those rows of an embedding that a step touches.
type embeddingAdam struct {
	dim      int
	m, v     []float32
	gradient []float32
	touched  []int32
	is       []bool
}

func newEmbeddingAdam(rows, dim int) embeddingAdam {
	n := rows * dim
	return embeddingAdam{dim, make([]float32, n), make([]float32, n), make([]float32, n), nil, make([]bool, rows)}
}

func (a *embeddingAdam) add(row int32, gradient []float32) {
	if !a.is[row] {
		a.is[row] = true
		a.touched = append(a.touched, row)
	}
	for c, g := range gradient {
		a.gradient[int(row)*a.dim+c] += g
	}
}

func (a *embeddingAdam) step(s adamStep, weights []float32) {
	for _, row := range a.touched {
		from, to := int(row)*a.dim, (int(row)+1)*a.dim
		s.update(weights[from:to], a.gradient[from:to], a.m[from:to], a.v[from:to])
		clear(a.gradient[from:to])
		a.is[row] = false
	}
	a.touched = a.touched[:0]
}

// ncfSpread is the standard deviation that embeddings begin with.
const ncfSpread = .05

// NewNeuralCFTrainer prepares training: embeddings begin normal, layers uniform in ±1/√inputs, and the output at
// the mean rating. Errors: parameters or ratings out of range.
func NewNeuralCFTrainer(d NeuralCFData, p NeuralCFParams) (*NeuralCFTrainer, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	if d.Validation < 0 || d.Validation > len(d.Ratings) {
		return nil, fmt.Errorf("ml: %d of %d ratings are for validation", d.Validation, len(d.Ratings))
	}
	m := &NeuralCF{Params: p, Users: d.Users, Movies: d.Movies, mlp: make([]float32, ncfSize(p))}
	for i, r := range d.Ratings {
		if r.User < 0 || int(r.User) >= len(d.Users) || r.Movie < 0 || int(r.Movie) >= len(d.Movies) || !finite(r.Rating) {
			return nil, fmt.Errorf("ml: rating %d is of a row there is not, or not finite", i)
		}
		if i == 0 {
			m.RatingMin, m.RatingMax = r.Rating, r.Rating
		}
		m.RatingMin, m.RatingMax = min(m.RatingMin, r.Rating), max(m.RatingMax, r.Rating)
	}
	e := p.Embedding
	t := &NeuralCFTrainer{m: m, data: d, user: newEmbeddingAdam(len(d.Users), e), movie: newEmbeddingAdam(len(d.Movies), e), mlp: newAdam(len(m.mlp), p.LearningRate)}
	t.hash = t.hashed()
	r := newRNG(p.Seed)
	m.user, m.movie = make([]float32, len(d.Users)*e), make([]float32, len(d.Movies)*e)
	for _, rows := range [][]float32{m.user, m.movie} {
		for i := range rows {
			rows[i] = r.normal() * ncfSpread
		}
	}
	layers := ncfLayers(p, m.mlp)
	for _, l := range layers {
		bound := float32(1 / math.Sqrt(float64(l.in)))
		for h := range l.out {
			for c := range l.in {
				l.w[h*l.stride()+c] = (2*r.uniform() - 1) * bound
			}
			l.b[h] = (2*r.uniform() - 1) * bound
		}
	}
	layers[len(layers)-1].b[0] = t.mean()
	return t, nil
}

// train are the ratings that are not held out.
func (t *NeuralCFTrainer) train() []NeuralCFRating {
	return t.data.Ratings[:len(t.data.Ratings)-t.data.Validation]
}

// mean is the mean rating, or the middle of the stars without any.
func (t *NeuralCFTrainer) mean() float32 {
	const middle = 2.5
	var sum float64
	for _, r := range t.train() {
		sum += float64(r.Rating)
	}
	if n := len(t.train()); n > 0 {
		return float32(sum / float64(n))
	}
	return middle
}

// hashed names what is trained on, so that a checkpoint is not continued on other ratings.
func (t *NeuralCFTrainer) hashed() string {
	h := sha256.New()
	hashStrings(h, t.data.Users)
	hashStrings(h, t.data.Movies)
	b := binary.LittleEndian.AppendUint64(nil, uint64(t.data.Validation))
	for _, r := range t.data.Ratings {
		b = binary.LittleEndian.AppendUint32(b, uint32(r.User))
		b = binary.LittleEndian.AppendUint32(b, uint32(r.Movie))
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(r.Rating))
	}
	h.Write(b)
	return hex.EncodeToString(h.Sum(nil))
}

// Parameters is how many numbers are trained.
func (t *NeuralCFTrainer) Parameters() int { return t.m.Parameters() }

// Epochs is how many epochs are done.
func (t *NeuralCFTrainer) Epochs() int { return t.epoch }

// Done says whether training is over: by the number of epochs, by patience, or for want of ratings.
func (t *NeuralCFTrainer) Done() bool {
	p := &t.m.Params
	return t.epoch >= p.Epochs || len(t.train()) == 0 || p.Patience > 0 && t.stale >= p.Patience
}

// Epoch goes through the ratings once, in an order drawn from the seed and the epoch. When ctx ends it, the weights
// are half moved and the trainer is of no further use: go on from a checkpoint.
func (t *NeuralCFTrainer) Epoch(ctx context.Context) (EpochReport, error) {
	if t.err != nil {
		return EpochReport{}, t.err
	}
	train := t.train()
	order := make([]int32, len(train))
	for i := range order {
		order[i] = int32(i)
	}
	r := newRNG(mix64(t.m.Params.Seed ^ mix64(uint64(t.epoch)+1)))
	for i := len(order) - 1; i > 0; i-- {
		j := r.intn(i + 1)
		order[i], order[j] = order[j], order[i]
	}
	var loss float64
	batch := make([]NeuralCFRating, 0, t.m.Params.Batch)
	for from := 0; from < len(order); from += t.m.Params.Batch {
		batch = batch[:0]
		for _, i := range order[from:min(from+t.m.Params.Batch, len(order))] {
			batch = append(batch, train[i])
		}
		l, err := t.step(ctx, batch, r.next())
		if err != nil {
			t.err = fmt.Errorf("ml: epoch %d of neural collaborative filtering: %w", t.epoch+1, err)
			return EpochReport{}, t.err
		}
		loss += l
	}
	t.epoch++
	report := EpochReport{Epoch: t.epoch, Of: t.m.Params.Epochs, TrainRows: len(train), ValidationRows: t.data.Validation, TrainLoss: loss / float64(len(train))}
	square, absolute, err := t.m.evaluate(ctx, t.data.Ratings[len(train):])
	if err != nil {
		t.err = err
		return EpochReport{}, err
	}
	n := float64(t.data.Validation)
	report.ValidationLoss = square / n
	t.m.Info = NeuralCFInfo{Epoch: t.epoch, TrainRows: len(train), ValidationRows: t.data.Validation}
	if n > 0 {
		t.m.Info.RMSE, t.m.Info.MAE = math.Sqrt(square/n), absolute/n
	}
	if math.IsNaN(report.TrainLoss) || math.IsInf(report.TrainLoss, 0) {
		t.err = fmt.Errorf("ml: training diverged in epoch %d: lower learning_rate (%v)", t.epoch, t.m.Params.LearningRate)
		return report, t.err
	}
	t.judge()
	return report, nil
}

// judge keeps the weights of the epoch with the least validation loss; without validation those of the last.
func (t *NeuralCFTrainer) judge() {
	if t.best != nil && t.data.Validation > 0 && !(t.m.Info.RMSE < t.best.Info.RMSE) {
		t.stale++
		return
	}
	t.stale = 0
	if t.best == nil {
		t.best = &NeuralCF{}
	}
	b := t.best
	b.Info = t.m.Info
	b.user, b.movie, b.mlp = append(b.user[:0], t.m.user...), append(b.movie[:0], t.m.movie...), append(b.mlp[:0], t.m.mlp...)
}

// step takes one step down the mean square error of a batch, and returns the sum of the squares before it.
func (t *NeuralCFTrainer) step(ctx context.Context, batch []NeuralCFRating, seed uint64) (float64, error) {
	p := &t.m.Params
	size := max(32, (p.Batch+ncfChunks-1)/ncfChunks) // of a chunk: of the parameters alone, so that sums are the same anywhere
	n := (len(batch) + size - 1) / size
	for len(t.chunks) < n {
		t.chunks = append(t.chunks, newNCFScratch(*p, size, true))
	}
	err := parallel(ctx, min(workerCount(), n), n, 1, func(_, lo, hi int) {
		for c := lo; c < hi; c++ {
			part := batch[c*size : min((c+1)*size, len(batch))]
			s := t.chunks[c]
			s.forward(t.m, part, newRNG(mix64(seed+uint64(c))))
			s.backward(t.m, part, len(batch))
		}
	})
	if err != nil {
		return 0, err
	}
	var loss float64
	e := p.Embedding
	for c := range n {
		s := t.chunks[c]
		loss += s.loss
		if c > 0 {
			axpy(t.chunks[0].gradient, 1, s.gradient, len(s.gradient))
		}
		for i, r := range batch[c*size : min((c+1)*size, len(batch))] {
			g := s.delta[0][i*padded(2*e):]
			t.user.add(r.User, g[:e])
			t.movie.add(r.Movie, g[e:2*e])
		}
	}
	step := t.mlp.tick()
	step.update(t.m.mlp, t.chunks[0].gradient, t.mlp.m, t.mlp.v)
	t.user.step(step, t.m.user)
	t.movie.step(step, t.m.movie)
	return loss, nil
}

// ncfScratch is what a piece of a batch is worked on with, by one goroutine.
type ncfScratch struct {
	x        [][]float32 // inputs of each layer after ReLU and dropout, rows of padded(in)
	delta    [][]float32 // the loss by x; nil where there is no training
	y        []float32   // predictions, not cut
	column   []float32
	gradient []float32 // of the layers
	layers   []dense   // gradient, cut as they are
	loss     float64
}

func newNCFScratch(p NeuralCFParams, rows int, training bool) *ncfScratch {
	s := &ncfScratch{y: make([]float32, rows)}
	for _, l := range ncfLayers(p, make([]float32, ncfSize(p))) {
		s.x = append(s.x, make([]float32, rows*l.stride()))
		if training {
			s.delta = append(s.delta, make([]float32, rows*l.stride()))
		}
	}
	if training {
		s.column, s.gradient = make([]float32, rows), make([]float32, ncfSize(p))
		s.layers = ncfLayers(p, s.gradient)
	}
	return s
}

// forward fills x and y. drop chooses the units that are left out; nil leaves out none.
func (s *ncfScratch) forward(m *NeuralCF, batch []NeuralCFRating, drop *rng) {
	e := m.Params.Embedding
	layers := ncfLayers(m.Params, m.mlp)
	for i, r := range batch {
		x := s.x[0][i*layers[0].stride():]
		copy(x[:e], m.user[int(r.User)*e:])
		copy(x[e:2*e], m.movie[int(r.Movie)*e:])
	}
	share, keep := float32(m.Params.Dropout), float32(1/(1-m.Params.Dropout))
	last := len(layers) - 1
	for k, l := range layers[:last] {
		in, out := l.stride(), padded(l.out)
		for i := range batch {
			h := s.x[k+1][i*out : (i+1)*out]
			l.apply(h, s.x[k][i*in:(i+1)*in])
			rectify(h[:l.out])
			if drop != nil && share > 0 {
				for c := range h[:l.out] {
					if drop.uniform() < share {
						h[c] = 0
					}
					h[c] *= keep
				}
			}
		}
	}
	l := layers[last]
	dotRows(s.y[:len(batch)], l.w, s.x[last], iota32[:len(batch)], l.stride(), l.stride())
	for i := range batch {
		s.y[i] += l.b[0]
	}
}

// backward fills gradient, delta and loss after forward. of is how many ratings the step has.
func (s *ncfScratch) backward(m *NeuralCF, batch []NeuralCFRating, of int) {
	layers := ncfLayers(m.Params, m.mlp)
	clear(s.gradient)
	s.loss = 0
	n, last := len(batch), len(layers)-1
	for i, r := range batch {
		e := s.y[i] - r.Rating
		s.loss += float64(float64(e) * float64(e))
		s.column[i] = 2 * e / float32(of)
	}
	keep := float32(1 / (1 - m.Params.Dropout))
	upper := s.column[:n] // the loss by the layer's outputs, rows of width
	width := 1
	for k := last; k >= 0; k-- {
		l, g := layers[k], s.layers[k]
		in := l.stride()
		below := s.delta[k]
		for i := range n {
			row := below[i*in : (i+1)*in]
			clear(row)
			axpyRows(row, upper[i*width:i*width+l.out], l.w, iota32[:l.out], in, in)
		}
		column := s.column[:n]
		for h := range l.out {
			for i := range column {
				column[i] = upper[i*width+h]
				g.b[h] += column[i]
			}
			axpyRows(g.w[h*in:(h+1)*in], column, s.x[k], iota32[:n], in, in)
		}
		if k > 0 {
			for i, v := range s.x[k][:n*in] {
				if v > 0 {
					below[i] *= keep
				} else {
					below[i] = 0
				}
			}
		}
		upper, width = below, in
	}
}

// Model is the model with the weights that were kept.
func (t *NeuralCFTrainer) Model() (*NeuralCF, error) {
	if t.err != nil {
		return nil, t.err
	}
	m := &NeuralCF{Params: t.m.Params, Users: t.m.Users, Movies: t.m.Movies, RatingMin: t.m.RatingMin, RatingMax: t.m.RatingMax}
	from := t.best
	if from == nil {
		from = t.m
	}
	m.Info, m.user, m.movie, m.mlp = from.Info, from.user, from.movie, from.mlp
	return m, m.ready()
}

const ncfCheckpointKind = "neural-cf-checkpoint"

type ncfCheckpoint struct {
	Params NeuralCFParams `json:"params"`
	Data   string         `json:"data"`
	Epoch  int            `json:"epoch"`
	Stale  int            `json:"stale"`
	C1     float64        `json:"c1"` // of Adam
	C2     float64        `json:"c2"`
	Best   NeuralCFInfo   `json:"best"`
}

// states are the vectors of a checkpoint, by name. The best weights are kept from the first epoch on.
func (t *NeuralCFTrainer) states() []Tensor {
	all := []Tensor{{"user", nil, t.m.user}, {"user.m", nil, t.user.m}, {"user.v", nil, t.user.v}, {"movie", nil, t.m.movie}, {"movie.m", nil, t.movie.m},
		{"movie.v", nil, t.movie.v}, {"mlp", nil, t.m.mlp}, {"mlp.m", nil, t.mlp.m}, {"mlp.v", nil, t.mlp.v},
		{"best.user", nil, t.best.user}, {"best.movie", nil, t.best.movie}, {"best.mlp", nil, t.best.mlp}}
	for i := range all {
		all[i].Shape = []int{len(all[i].Data)}
	}
	return all
}

// Checkpoint returns the state after the last whole epoch, of which there must be one.
func (t *NeuralCFTrainer) Checkpoint() ([]byte, error) {
	if t.err != nil {
		return nil, t.err
	}
	if t.best == nil {
		return nil, errors.New("ml: no epoch is done: there is nothing to save")
	}
	header, err := json.Marshal(ncfCheckpoint{t.m.Params, t.hash, t.epoch, t.stale, t.mlp.c1, t.mlp.c2, t.best.Info})
	if err != nil {
		return nil, err
	}
	a := &Artifact{Kind: ncfCheckpointKind, Kernel: Kernel(), Params: header, Tensors: t.states()}
	return a.Encode()
}

// Restore puts the trainer into the state of a checkpoint of the same ratings and parameters (Epochs may differ: one
// may go on for longer). Errors: a checkpoint that is damaged or of another training.
func (t *NeuralCFTrainer) Restore(checkpoint []byte) error {
	a, err := DecodeArtifact(checkpoint)
	if err != nil {
		return err
	}
	var header ncfCheckpoint
	if a.Kind != ncfCheckpointKind {
		return fmt.Errorf("ml: this is an artifact of kind %q: give a checkpoint of neural collaborative filtering", a.Kind)
	}
	if err := json.Unmarshal(a.Params, &header); err != nil {
		return fmt.Errorf("ml: checkpoint: %w", err)
	}
	params := header.Params
	params.Epochs = t.m.Params.Epochs
	switch {
	case !reflect.DeepEqual(params, t.m.Params):
		return fmt.Errorf("ml: the checkpoint is of parameters %+v, this training of %+v: start anew", params, t.m.Params)
	case header.Data != t.hash:
		return errors.New("ml: the checkpoint is of other ratings: start anew")
	case header.Epoch < 1 || header.Stale < 0 || header.Stale >= header.Epoch:
		return fmt.Errorf("ml: the checkpoint claims %d epochs: start anew", header.Epoch)
	}
	t.best = &NeuralCF{Info: header.Best, user: make([]float32, len(t.m.user)), movie: make([]float32, len(t.m.movie)), mlp: make([]float32, len(t.m.mlp))}
	for _, to := range t.states() {
		from, err := a.Tensor(to.Name, to.Shape...)
		if err != nil {
			return err
		}
		copy(to.Data, from)
	}
	t.epoch, t.stale, t.mlp.c1, t.mlp.c2, t.err = header.Epoch, header.Stale, header.C1, header.C2, nil
	return nil
}
