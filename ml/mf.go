package ml

import (
	"context"
	"fmt"
)

// MFParams are the parameters of [MFTrainer].
type MFParams struct {
	Dim     int    `json:"dim"`     // length of a factor, 1 to 256
	Burn    int    `json:"burn"`    // sweeps before the first that is kept
	Samples int    `json:"samples"` // sweeps that are kept, 1 to 256: the model is the mean of what they predict
	Thin    int    `json:"thin"`    // a sweep is kept of so many
	Seed    uint64 `json:"seed"`
}

// Sweeps is how many there are in all.
func (p MFParams) Sweeps() int { return p.Burn + p.Samples*p.Thin }

// Validate says what is out of range.
func (p MFParams) Validate() error {
	if p.Dim < 1 || p.Dim > 256 || p.Burn < 0 || p.Burn > 10_000 || p.Samples < 1 || p.Samples > 256 || p.Thin < 1 || p.Thin > 100 {
		return fmt.Errorf("ml: %+v: give a dim from 1 to 256, burn from 0 to 10000, samples from 1 to 256, thin from 1 to 100", p)
	}
	return nil
}

// MFTrainer factorises ratings with biases: alternating least squares, in which each row is drawn from what is known of it
// instead of its mean, and how much rows differ, and ratings from what is predicted, is taken from the rows (Salakhutdinov
// and Mnih 2008, "Bayesian Probabilistic Matrix Factorization using Markov Chain Monte Carlo"; empirical Bayes in place of
// their hyperpriors). So there is no penalty to choose. What is kept of a sweep are the means that its rows were drawn around:
// of who has rated little a draw is mostly chance. It runs on all cores, and its result does not depend on how many.
type MFTrainer struct {
	params  MFParams
	set     RatingSet
	byUser  *csr // weight: the rating less the mean
	byItem  *csr
	mean    float64
	users   mfSide
	items   mfSide
	means   [2]mfSide          // that the users and items of the last sweep that is kept were drawn around
	values  map[string]float64 // noise: precision of a rating; loss: of the last sweep
	kept    Factors            // sums over the sweeps that are kept, rows of Samples·Dim
	sweeps  int
	data    string
	workers []*mfWorker
	err     error
}

// mfSide is the factors of all rows of a side, each with 1 behind it, padded; and the biases.
type mfSide struct {
	rows []float32
	bias []float32
}

type mfWorker struct {
	solver *rowSolver
	weight []float32
	x      []float32
	mean   []float32
}

// NewMFTrainer prepares training on a set.
func NewMFTrainer(set RatingSet, p MFParams) (*MFTrainer, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	t := &MFTrainer{params: p, set: set, data: dataHash(set.Users, set.Items, set.Ratings), values: map[string]float64{"noise": 1, "loss": 0}}
	nu, ni := len(set.Users), len(set.Items)
	for _, r := range set.Ratings {
		t.mean += float64(r.Stars)
	}
	t.mean /= float64(max(1, len(set.Ratings)))
	t.byUser = &csr{start: make([]int, nu+1), sum: make([]float32, nu)}
	var squares float64
	for _, r := range set.Ratings {
		d := float64(r.Stars) - t.mean
		squares += float64(d * d)
		t.byUser.start[r.User+1]++
		t.byUser.cols, t.byUser.weight = append(t.byUser.cols, r.Item), append(t.byUser.weight, float32(d))
	}
	for u := range nu {
		t.byUser.start[u+1] += t.byUser.start[u]
	}
	t.byItem = t.byUser.transpose(ni)
	t.values["noise"] = (1 + float64(len(set.Ratings))) / (1 + squares)
	rng := newRNG(p.Seed)
	t.users, t.items, t.means = t.side(nu, rng), t.side(ni, rng), [2]mfSide{t.side(nu, nil), t.side(ni, nil)}
	t.kept = Factors{Users: set.Users, Items: set.Items, Dim: p.Dim * p.Samples, Mean: float32(t.mean), UserBias: make([]float32, nu), ItemBias: make([]float32, ni),
		User: make([]float32, nu*p.Dim*p.Samples), Item: make([]float32, ni*p.Dim*p.Samples)}
	for i, r := range set.Ratings {
		if i == 0 {
			t.kept.Low, t.kept.High = r.Stars, r.Stars
		}
		t.kept.Low, t.kept.High = min(t.kept.Low, r.Stars), max(t.kept.High, r.Stars)
	}
	return t, nil
}

func (t *MFTrainer) side(n int, r *rng) mfSide {
	d, s := t.params.Dim, padded(t.params.Dim+1)
	side := mfSide{make([]float32, n*s), make([]float32, n)}
	for i := range n {
		for c := range d {
			if r != nil {
				side.rows[i*s+c] = .1 * r.normal()
			}
		}
		side.rows[i*s+d] = 1
	}
	return side
}

// Done is how many sweeps are.
func (t *MFTrainer) Done() int { return t.sweeps }

// Step is a sweep: it draws all users given the items, and all items given the users. It gives the mean square error that
// this draw leaves of the ratings.
func (t *MFTrainer) Step(ctx context.Context) (float64, error) {
	if t.err != nil {
		return 0, t.err
	}
	p := &t.params
	keep := t.sweeps >= p.Burn && (t.sweeps-p.Burn+1)%p.Thin == 0
	seed := mix64(p.Seed + uint64(2*t.sweeps) + 1)
	var means [2]*mfSide
	if keep {
		means = [2]*mfSide{&t.means[0], &t.means[1]}
	}
	if _, t.err = t.half(ctx, t.byUser, &t.users, &t.items, means[0], mix64(seed)); t.err == nil {
		var squares float64
		if squares, t.err = t.half(ctx, t.byItem, &t.items, &t.users, means[1], mix64(seed+1)); t.err == nil {
			n := float64(len(t.set.Ratings))
			t.values["loss"], t.values["noise"] = squares/max(1, n), (1+n)/(1+squares)
		}
	}
	if t.err != nil {
		t.err = fmt.Errorf("ml: sweep %d of the factorisation: %w", t.sweeps+1, t.err)
		return 0, t.err
	}
	if t.sweeps++; keep {
		t.keep((t.sweeps-p.Burn)/p.Thin - 1)
	}
	return t.values["loss"], nil
}

// half draws every row of x given y, and gives the sum of the squares of what is left of the ratings. means, where not
// nil, gets the means that rows are drawn around.
func (t *MFTrainer) half(ctx context.Context, m *csr, x, y *mfSide, means *mfSide, seed uint64) (float64, error) {
	dim, s := t.params.Dim+1, padded(t.params.Dim+1)
	n := len(x.bias)
	prior := make([]float32, s*s)
	for c := range dim {
		var sum float64
		for i := range n {
			v := float64(x.bias[i])
			if c < dim-1 {
				v = float64(x.rows[i*s+c])
			}
			sum += float64(v * v)
		}
		prior[c*s+c] = float32((1 + float64(n)) / (1 + sum))
	}
	noise := float32(t.values["noise"])
	for len(t.workers) < workerCount() {
		t.workers = append(t.workers, &mfWorker{solver: newRowSolver(dim), x: make([]float32, s), mean: make([]float32, s)})
	}
	squares, failed := make([]float64, n), make([]bool, n)
	err := parallel(ctx, workerCount(), n, rowChunk, func(worker, lo, hi int) {
		w := t.workers[worker]
		for i := lo; i < hi; i++ {
			idx, rating := m.row(i)
			w.weight = grow(w.weight, len(idx))
			for k := range idx {
				w.weight[k] = noise
			}
			w.solver.assemble(prior, 0, y.rows, idx, w.weight)
			for k, j := range idx {
				w.weight[k] = noise * (rating[k] - y.bias[j])
			}
			v := w.solver
			clear(w.x)
			axpyRows(w.x, w.weight, y.rows, idx, s, s)
			if !cholesky(v.a, v.invert, v.p, dim, s) {
				failed[i] = true
				continue
			}
			solveLower(v.a, v.invert, w.x, dim, s)
			if means != nil {
				copy(w.mean, w.x)
				failed[i] = !solveUpper(v.a, v.invert, w.mean, dim, s)
				means.set(i, w.mean, dim)
			}
			r := newRNG(seed ^ mix64(uint64(i)+1))
			for c := range dim {
				w.x[c] += r.normal()
			}
			failed[i] = !solveUpper(v.a, v.invert, w.x, dim, s) || failed[i]
			x.set(i, w.x, dim)
			dotRows(w.weight, w.x, y.rows, idx, s, s)
			for k, j := range idx {
				e := float64(rating[k]) - float64(y.bias[j]) - float64(w.weight[k])
				squares[i] += float64(e * e)
			}
		}
	})
	if err != nil {
		return 0, err
	}
	var sum float64
	for i, e := range squares {
		if failed[i] {
			return 0, fmt.Errorf("row %d is not positive definite in float32: lower dim (%d)", i, t.params.Dim)
		}
		sum += e
	}
	return sum, nil
}

// set takes a row's solution: its factor, and its bias behind.
func (s *mfSide) set(i int, x []float32, dim int) {
	stride := len(x)
	copy(s.rows[i*stride:], x[:dim-1])
	s.bias[i] = x[dim-1]
}

// keep adds what the last sweep found to the model, the n-th that is kept.
func (t *MFTrainer) keep(n int) {
	d, s, share := t.params.Dim, padded(t.params.Dim+1), 1/float32(t.params.Samples)
	put := func(to, bias []float32, from *mfSide, scale float32) {
		for i := range from.bias {
			bias[i] += float32(from.bias[i] * share)
			row := to[i*d*t.params.Samples+n*d:][:d]
			for c := range row {
				row[c] = from.rows[i*s+c] * scale
			}
		}
	}
	put(t.kept.User, t.kept.UserBias, &t.means[0], 1)
	put(t.kept.Item, t.kept.ItemBias, &t.means[1], share)
}

// Model is the mean over the sweeps that were kept; all of them are done.
func (t *MFTrainer) Model() (*Factors, error) {
	if t.err != nil {
		return nil, t.err
	}
	if t.sweeps != t.params.Sweeps() {
		return nil, fmt.Errorf("ml: %d of %d sweeps are done", t.sweeps, t.params.Sweeps())
	}
	m := t.kept
	return &m, nil
}

func (t *MFTrainer) fit() *fitState {
	return &fitState{kind: "mf-checkpoint", params: t.params, data: t.data, done: &t.sweeps, values: t.values, state: []Tensor{
		flat("users", t.users.rows), flat("user_bias", t.users.bias), flat("items", t.items.rows), flat("item_bias", t.items.bias),
		flat("kept.users", t.kept.User), flat("kept.user_bias", t.kept.UserBias), flat("kept.items", t.kept.Item), flat("kept.item_bias", t.kept.ItemBias)}}
}

// Checkpoint returns the state after the last whole sweep.
func (t *MFTrainer) Checkpoint() ([]byte, error) {
	if t.err != nil {
		return nil, t.err
	}
	return t.fit().checkpoint()
}

// Restore puts the trainer into the state of a checkpoint of the same ratings and parameters.
func (t *MFTrainer) Restore(checkpoint []byte) error {
	if err := t.fit().restore(checkpoint); err != nil {
		return err
	}
	if t.sweeps > t.params.Sweeps() {
		return fmt.Errorf("ml: the checkpoint claims %d of %d sweeps: start anew", t.sweeps, t.params.Sweeps())
	}
	return nil
}
