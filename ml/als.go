package ml

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"math"
	"slices"
)

// ALSParams are the parameters of implicit matrix factorisation. The loss is
//
//	Σ_positive c·(1 − x·y)² + w₀·Σ_all (x·y)² + λ·Σ_u (n_u + w₀·|I|)^ν·|x_u|² + λ·Σ_i (n_i + w₀·|U|)^ν·|y_i|²
//
// with c the weight of a pair and n the sum of a row's weights (Hu, Koren, Volinsky 2008; the
// regularisation scaled by frequency and the parameters' names: Rendle et al. 2021, "Revisiting the
// Performance of iALS on Item Recommendation Benchmarks", arXiv 2110.14037).
type ALSParams struct {
	Dim              int     `json:"dim"`               // length of a factor, 1 to 1024
	Sweeps           int     `json:"sweeps"`            // passes over all users and all items
	Regularization   float64 `json:"regularization"`    // λ
	UnobservedWeight float64 `json:"unobserved_weight"` // w₀, the weight of "no preference" for every pair
	Nu               float64 `json:"nu"`                // ν: 1 scales the regularisation with frequency, 0 not at all
	InitScale        float64 `json:"init_scale"`        // standard deviation of the initial factors, times √Dim
	Solver           string  `json:"solver"`            // "cg" or "cholesky"
	CGSteps          int     `json:"cg_steps"`          // steps of conjugate gradient from the last sweep's factor (Takács et al. 2011)
	HistoryMax       int     `json:"history_max"`       // most recent interactions that [ALS.FoldIn] looks at
	Seed             uint64  `json:"seed"`
}

// Solvers of one row's least-squares problem.
const (
	SolverCG       = "cg"       // a few steps of conjugate gradient: the fast one
	SolverCholesky = "cholesky" // exact
)

// DefaultALSParams are the parameters used unless told otherwise. Regularization and
// UnobservedWeight were chosen on validation splits of MovieLens latest-small and MovieTweetings,
// never on the test splits (see TestQuality).
func DefaultALSParams() ALSParams {
	return ALSParams{
		Dim:              64,
		Sweeps:           16,
		Regularization:   0.01,
		UnobservedWeight: 0.1,
		Nu:               1,
		InitScale:        0.1,
		Solver:           SolverCG,
		CGSteps:          3,
		HistoryMax:       300,
		Seed:             1,
	}
}

// Validate reports every parameter that is out of range.
func (p ALSParams) Validate() error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf("ml: "+format, args...))
		}
	}
	check(p.Dim >= 1 && p.Dim <= 1024, "dim is %d: give 1 to 1024", p.Dim)
	check(p.Sweeps >= 1 && p.Sweeps <= 10_000, "sweeps is %d: give 1 to 10000", p.Sweeps)
	check(p.Regularization > 0 && p.Regularization <= 1e6, "regularization is %v: give a number above 0", p.Regularization)
	check(p.UnobservedWeight > 0 && p.UnobservedWeight <= 1e6, "unobserved_weight is %v: give a number above 0", p.UnobservedWeight)
	check(p.Nu >= 0 && p.Nu <= 2, "nu is %v: give 0 to 2", p.Nu)
	check(p.InitScale > 0 && p.InitScale <= 100, "init_scale is %v: give a number above 0, usually 0.1", p.InitScale)
	check(p.Solver == SolverCG || p.Solver == SolverCholesky, "solver is %q: give %q or %q", p.Solver, SolverCG, SolverCholesky)
	check(p.Solver != SolverCG || p.CGSteps >= 1 && p.CGSteps <= 1000, "cg_steps is %d: give 1 to 1000, usually 3", p.CGSteps)
	check(p.HistoryMax >= 1 && p.HistoryMax <= 1_000_000, "history_max is %d: give 1 to 1000000", p.HistoryMax)
	return errors.Join(errs...)
}

// ridge is the regularisation of a row whose weights sum to n, against other rows on the far side.
func (p *ALSParams) ridge(n float32, other int) float32 {
	frequency := float64(n) + float64(p.UnobservedWeight*float64(other))
	if p.Nu != 1 {
		frequency = math.Pow(frequency, p.Nu)
	}
	return float32(p.Regularization * frequency)
}

// ALS is a trained implicit factorisation: user u likes item i as much as the dot product of their
// factors says, 1 being "a positive", 0 "unknown".
//
// Factors are row-major, Dim values a row. An ALS that was read from an [Artifact] has no Users and
// UserFactors: vectors of users come from [ALS.FoldIn]. The fields are not to be changed.
type ALS struct {
	Params       ALSParams
	Users, Items []string
	UserFactors  []float32
	ItemFactors  []float32

	folder *Folder
}

// TrainALS trains for Params.Sweeps sweeps. progress, where not nil, is told the loss after each.
// For resuming, see [ALSTrainer]. Errors: parameters or samples out of range, ctx done.
func TrainALS(ctx context.Context, d *Dataset, p ALSParams, progress func(sweep, of int, loss float64)) (*ALS, error) {
	t, err := NewALSTrainer(d, p)
	if err != nil {
		return nil, err
	}
	for t.Sweeps() < p.Sweeps {
		if err := t.Sweep(ctx); err != nil {
			return nil, err
		}
		if progress != nil {
			progress(t.Sweeps(), p.Sweeps, t.Loss())
		}
	}
	return t.Model()
}

// ALSTrainer trains sweep by sweep. Its state after any sweep is a checkpoint, from which another
// trainer goes on to the same bytes. It is not safe for concurrent use; a sweep itself runs on
// GOMAXPROCS goroutines, and its result does not depend on their number.
type ALSTrainer struct {
	params       ALSParams
	users, items []string
	byUser       *csr
	byItem       *csr
	x, y         []float32 // factors of users and items, rows of padded(Dim)
	gx, gy       []float32 // their Gramians, nil where they are not known
	sweeps       int
	data         string // hash of what is trained on
	workers      []*rowSolver
	err          error
}

// NewALSTrainer prepares training on the positives of d, with factors drawn from p.Seed.
func NewALSTrainer(d *Dataset, p ALSParams) (*ALSTrainer, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	byUser, err := positives(d)
	if err != nil {
		return nil, err
	}
	t := &ALSTrainer{
		params: p, users: d.Users, items: d.Items,
		byUser: byUser, byItem: byUser.transpose(len(d.Items)),
	}
	t.data = t.hash()
	r := newRNG(p.Seed)
	t.x = t.initial(r, t.byUser)
	t.y = t.initial(r, t.byItem)
	return t, nil
}

func (t *ALSTrainer) initial(r *rng, m *csr) []float32 {
	dim, s := t.params.Dim, padded(t.params.Dim)
	scale := float32(t.params.InitScale / math.Sqrt(float64(dim)))
	f := make([]float32, m.rows()*s)
	for i := range m.rows() {
		row, _ := m.row(i)
		for c := range dim {
			if v := r.normal() * scale; len(row) > 0 { // rows without positives stay 0
				f[i*s+c] = v
			}
		}
	}
	return f
}

// hash names the parameters and the matrix, so that a checkpoint is not continued on others.
func (t *ALSTrainer) hash() string {
	h := sha256.New()
	hashStrings(h, t.users)
	hashStrings(h, t.items)
	const block = 32 << 10 // bytes that are hashed together: all of a large matrix need not stand in memory once more
	buf := make([]byte, 0, block+8)
	full := func() {
		if len(buf) >= block {
			h.Write(buf)
			buf = buf[:0]
		}
	}
	for _, v := range t.byUser.start {
		buf = binary.LittleEndian.AppendUint64(buf, uint64(v))
		full()
	}
	for i, c := range t.byUser.cols {
		buf = binary.LittleEndian.AppendUint32(buf, uint32(c))
		buf = binary.LittleEndian.AppendUint32(buf, math.Float32bits(t.byUser.weight[i]))
		full()
	}
	h.Write(buf)
	return hex.EncodeToString(h.Sum(nil))
}

func hashStrings(h hash.Hash, list []string) {
	var buf []byte
	buf = binary.LittleEndian.AppendUint64(buf, uint64(len(list)))
	for _, s := range list {
		buf = binary.LittleEndian.AppendUint64(buf, uint64(len(s)))
		buf = append(buf, s...)
	}
	h.Write(buf)
}

// Data names what is trained on: the same for the same positives of the same users and items alone.
func (t *ALSTrainer) Data() string { return t.data }

// Sweeps returns how many sweeps are done.
func (t *ALSTrainer) Sweeps() int { return t.sweeps }

// Sweep solves all users against the items, then all items against the users. When ctx ends it,
// the factors are half done and the trainer is of no further use: go on from a checkpoint.
func (t *ALSTrainer) Sweep(ctx context.Context) error {
	if t.err != nil {
		return t.err
	}
	t.err = t.half(ctx, t.byUser, t.x, t.y, &t.gx, &t.gy)
	if t.err == nil {
		t.err = t.half(ctx, t.byItem, t.y, t.x, &t.gy, &t.gx)
	}
	if t.err == nil {
		t.sweeps++
		return nil
	}
	t.err = fmt.Errorf("ml: sweep %d of iALS: %w", t.sweeps+1, t.err)
	return t.err
}

// gram returns the Gramian of factors, which it keeps.
func (t *ALSTrainer) gram(ctx context.Context, kept *[]float32, f []float32) (_ []float32, err error) {
	if *kept == nil {
		s := padded(t.params.Dim)
		*kept, err = gramian(ctx, f, len(f)/s, s, 1)
	}
	return *kept, err
}

// half solves every row of x against the fixed factors y. gx and gy are where their Gramians are kept.
func (t *ALSTrainer) half(ctx context.Context, m *csr, x, y []float32, gx, gy *[]float32) error {
	s := padded(t.params.Dim)
	other := len(y) / s
	gram, err := t.gram(ctx, gy, y)
	if err != nil {
		return err
	}
	*gx = nil
	gram = slices.Clone(gram)
	for i := range gram {
		gram[i] *= float32(t.params.UnobservedWeight)
	}
	count := workerCount()
	for len(t.workers) < count {
		t.workers = append(t.workers, newRowSolver(t.params.Dim))
	}
	const chunk = 32 // rows per turn: short enough to share the work evenly at the end
	workers := t.workers
	bad := make([]bool, m.rows())
	err = parallel(ctx, count, m.rows(), chunk, func(worker, lo, hi int) {
		solver := workers[worker]
		for r := lo; r < hi; r++ {
			idx, weight := m.row(r)
			if len(idx) == 0 {
				continue
			}
			ridge, row := t.params.ridge(m.sum[r], other), x[r*s:(r+1)*s]
			if t.params.Solver == SolverCholesky {
				bad[r] = !solver.exact(row, gram, ridge, y, idx, weight)
			} else {
				solver.conjugate(row, gram, ridge, y, idx, weight, t.params.CGSteps)
			}
		}
	})
	if err != nil {
		return err
	}
	for r, b := range bad {
		if b {
			return fmt.Errorf("row %d is not positive definite in float32: raise regularization (%v)", r, t.params.Regularization)
		}
	}
	return nil
}

// Loss returns the loss of the present factors, as [ALSParams] defines it.
func (t *ALSTrainer) Loss() float64 {
	s := padded(t.params.Dim)
	ctx := context.Background()
	perUser := make([]float64, t.byUser.rows())
	_ = parallel(ctx, workerCount(), t.byUser.rows(), 32, func(_, lo, hi int) {
		var scores []float32
		for u := lo; u < hi; u++ {
			idx, weight := t.byUser.row(u)
			scores = grow(scores, len(idx))
			dotRows(scores, t.x[u*s:], t.y, idx, s, s)
			for i, w := range weight {
				e := float64(1 - scores[i])
				perUser[u] += float64(float64(w) * float64(e*e))
			}
		}
	})
	var loss float64
	for _, l := range perUser {
		loss += l
	}
	gx, _ := t.gram(ctx, &t.gx, t.x)
	gy, _ := t.gram(ctx, &t.gy, t.y)
	var all float64
	for i := range gx {
		all += float64(float64(gx[i]) * float64(gy[i]))
	}
	loss += float64(t.params.UnobservedWeight * all)
	loss += t.penalty(t.byUser, t.x, len(t.items))
	return loss + t.penalty(t.byItem, t.y, len(t.users))
}

func (t *ALSTrainer) penalty(m *csr, f []float32, other int) (sum float64) {
	s := padded(t.params.Dim)
	for r := range m.rows() {
		row := f[r*s : (r+1)*s]
		sum += float64(float64(t.params.ridge(m.sum[r], other)) * float64(dot(row, row, s)))
	}
	return sum
}

// Model returns the factors as they are now. Errors: a factor that is not finite, which means that
// the problem is ill-conditioned (raise Regularization).
func (t *ALSTrainer) Model() (*ALS, error) {
	if t.err != nil {
		return nil, t.err
	}
	dim := t.params.Dim
	m := &ALS{
		Params: t.params, Users: t.users, Items: t.items,
		UserFactors: unpadRows(t.x, len(t.users), dim),
		ItemFactors: unpadRows(t.y, len(t.items), dim),
	}
	for _, f := range [][]float32{m.UserFactors, m.ItemFactors} {
		if i := notFinite(f); i >= 0 {
			return nil, fmt.Errorf("ml: factor %d is %v after %d sweeps: raise regularization (%v)", i/dim, f[i], t.sweeps, t.params.Regularization)
		}
	}
	var err error
	m.folder, err = NewFolder(m.ItemFactors, m.Params)
	return m, err
}

// Checkpoint kind and tensors, see [Artifact].
const (
	checkpointKind    = "ials-checkpoint"
	tensorUserFactors = "user_factors"
	tensorItemFactors = "item_factors"
	stringsItems      = "items"
)

type checkpointHeader struct {
	Params ALSParams `json:"params"`
	Data   string    `json:"data"`
	Sweeps int       `json:"sweeps"`
}

// Checkpoint returns the state after the last whole sweep.
func (t *ALSTrainer) Checkpoint() ([]byte, error) {
	if t.err != nil {
		return nil, t.err
	}
	header, err := json.Marshal(checkpointHeader{t.params, t.data, t.sweeps})
	if err != nil {
		return nil, err
	}
	dim := t.params.Dim
	a := &Artifact{
		Kind: checkpointKind, Kernel: Kernel(), Params: header,
		Tensors: []Tensor{
			{tensorUserFactors, []int{len(t.users), dim}, unpadRows(t.x, len(t.users), dim)},
			{tensorItemFactors, []int{len(t.items), dim}, unpadRows(t.y, len(t.items), dim)},
		},
	}
	return a.Encode()
}

// Restore puts the trainer into the state of a checkpoint of the same samples and parameters
// (Sweeps may differ: one may go on for longer). Errors: a checkpoint that is damaged or of
// another training.
func (t *ALSTrainer) Restore(checkpoint []byte) error {
	a, err := DecodeArtifact(checkpoint)
	if err != nil {
		return err
	}
	var header checkpointHeader
	if a.Kind != checkpointKind {
		return fmt.Errorf("ml: this is an artifact of kind %q: give a checkpoint of iALS", a.Kind)
	}
	if err := json.Unmarshal(a.Params, &header); err != nil {
		return fmt.Errorf("ml: checkpoint: %w", err)
	}
	params := header.Params
	params.Sweeps = t.params.Sweeps
	switch {
	case params != t.params:
		return fmt.Errorf("ml: the checkpoint is of parameters %+v, this training of %+v: start anew", params, t.params)
	case header.Data != t.data:
		return errors.New("ml: the checkpoint is of other samples: start anew")
	case header.Sweeps < 0:
		return fmt.Errorf("ml: the checkpoint claims %d sweeps: start anew", header.Sweeps)
	}
	dim := t.params.Dim
	x, err := a.Tensor(tensorUserFactors, len(t.users), dim)
	if err != nil {
		return err
	}
	y, err := a.Tensor(tensorItemFactors, len(t.items), dim)
	if err != nil {
		return err
	}
	t.x, t.y = padRows(x, len(t.users), dim), padRows(y, len(t.items), dim)
	t.gx, t.gy = nil, nil
	t.sweeps, t.err = header.Sweeps, nil
	return nil
}

// alsKind is the kind of an [Artifact] that [ALS.Artifact] makes.
const alsKind = "ials"

// Artifact returns the model's weights: parameters, items and item factors.
func (m *ALS) Artifact() (*Artifact, error) {
	params, err := json.Marshal(m.Params)
	if err != nil {
		return nil, err
	}
	return &Artifact{
		Kind: alsKind, Kernel: Kernel(), Params: params,
		Tensors: []Tensor{{tensorItemFactors, []int{len(m.Items), m.Params.Dim}, m.ItemFactors}},
		Strings: []StringList{{stringsItems, m.Items}},
	}, nil
}

// ALSFromArtifact reads what [ALS.Artifact] made. It looks at Params, the tensor "item_factors" and
// the list "items" only, so it also reads artifacts of other kinds that hold those.
func ALSFromArtifact(a *Artifact) (*ALS, error) {
	m := &ALS{}
	if err := json.Unmarshal(a.Params, &m.Params); err != nil {
		return nil, fmt.Errorf("ml: params of artifact: %w", err)
	}
	if err := m.Params.Validate(); err != nil {
		return nil, err
	}
	var err error
	if m.Items, err = a.List(stringsItems); err != nil {
		return nil, err
	}
	if m.ItemFactors, err = a.Tensor(tensorItemFactors, len(m.Items), m.Params.Dim); err != nil {
		return nil, err
	}
	m.folder, err = NewFolder(m.ItemFactors, m.Params)
	return m, err
}

func notFinite(f []float32) int {
	for i, v := range f {
		if !finite(v) {
			return i
		}
	}
	return -1
}

func grow(s []float32, n int) []float32 {
	if cap(s) < n {
		return make([]float32, n, n+n/2)
	}
	return s[:n]
}
