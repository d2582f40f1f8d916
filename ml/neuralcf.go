package ml

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
)

// NeuralCFParams are the parameters of neural collaborative filtering (He et al. 2017, its multilayer part):
// an embedding of the person beside one of the film, hidden layers (ReLU, dropout), and a rating at the end,
// trained with Adam on the mean square error.
type NeuralCFParams struct {
	Embedding    int     `json:"embedding"`     // length of an embedding, 1 to 512
	Hidden       []int   `json:"hidden"`        // units of each hidden layer, 1 to 8 layers of 1 to 1024
	Dropout      float64 `json:"dropout"`       // share of hidden units that a step leaves out, 0 to .9
	Batch        int     `json:"batch"`         // ratings per step, 1 to 16384
	Epochs       int     `json:"epochs"`        // passes over the ratings at most
	Patience     int     `json:"patience"`      // passes without a better validation loss after which training ends; 0: never
	LearningRate float64 `json:"learning_rate"` // of Adam
	Seed         uint64  `json:"seed"`
}

// DefaultNeuralCFParams are the customary parameters.
func DefaultNeuralCFParams() NeuralCFParams {
	return NeuralCFParams{Embedding: 64, Hidden: []int{128, 64, 32}, Dropout: .3, Batch: 256, Epochs: 20, Patience: 3, LearningRate: .001, Seed: 1}
}

const (
	ncfEmbeddingMax = 512
	ncfLayersMax    = 8
	ncfChunks       = 16 // pieces of a batch that are worked on side by side
	ncfBatchMax     = ncfChunks * scanRows
)

// Validate reports every parameter that is out of range.
func (p NeuralCFParams) Validate() error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf("ml: "+format, args...))
		}
	}
	check(p.Embedding >= 1 && p.Embedding <= ncfEmbeddingMax, "embedding is %d: give 1 to %d", p.Embedding, ncfEmbeddingMax)
	check(len(p.Hidden) >= 1 && len(p.Hidden) <= ncfLayersMax, "there are %d hidden layers: give 1 to %d", len(p.Hidden), ncfLayersMax)
	for _, h := range p.Hidden {
		check(h >= 1 && h <= scanRows, "a hidden layer has %d units: give 1 to %d", h, scanRows)
	}
	check(p.Dropout >= 0 && p.Dropout <= .9, "dropout is %v: give 0 to 0.9", p.Dropout)
	check(p.Batch >= 1 && p.Batch <= ncfBatchMax, "batch is %d: give 1 to %d", p.Batch, ncfBatchMax)
	check(p.Epochs >= 1 && p.Epochs <= 100_000, "epochs is %d: give 1 to 100000", p.Epochs)
	check(p.Patience >= 0 && p.Patience <= 100_000, "patience is %d: give 0 to 100000", p.Patience)
	check(p.LearningRate > 0 && p.LearningRate <= 1, "learning_rate is %v: give a number above 0, at most 1", p.LearningRate)
	return errors.Join(errs...)
}

// NeuralCF predicts what a person would rate a film. A row of an embedding is that of the id in its place;
// the id "" is nobody's. A trained one does not change, and may be used from several goroutines.
type NeuralCF struct {
	Params        NeuralCFParams
	Users, Movies []string
	// RatingMin and RatingMax are what predictions are cut to, in stars; both 0: to nothing.
	RatingMin, RatingMax float32
	Info                 NeuralCFInfo

	user, movie []float32 // embeddings, rows of Params.Embedding
	mlp         []float32 // see layers

	userRow, movieRow map[string]int
	anyUser           []float32 // the mean embedding of those with an id, for who has none here
	byUser, byMovie   dense     // the two halves of the first layer; its bias is with the person's
	first             []float32 // what each film gives to the first layer, and last what the mean film does
}

// NeuralCFInfo is what training has found out; zero where the model was not trained here.
type NeuralCFInfo struct {
	Epoch          int     `json:"epoch"` // whose weights were kept
	TrainRows      int     `json:"train_rows"`
	ValidationRows int     `json:"validation_rows"`
	RMSE           float64 `json:"rmse"` // over the validation rows, stars
	MAE            float64 `json:"mae"`
}

// dense is a layer: w has out rows of padded(in), b has padded(out).
type dense struct {
	in, out int
	w, b    []float32
}

func (d *dense) stride() int { return padded(d.in) }

// apply writes w·x + b to y, of padded(out) values.
func (d *dense) apply(y, x []float32) {
	dotRows(y, x, d.w, iota32[:d.out], d.stride(), d.stride())
	for h, b := range d.b[:d.out] {
		y[h] += b
	}
}

// ncfLayers are the hidden layers and the output, cut out of one vector.
func ncfLayers(p NeuralCFParams, v []float32) []dense {
	var all []dense
	in := 2 * p.Embedding
	for _, out := range append(slices.Clone(p.Hidden), 1) {
		n, b := out*padded(in), padded(out)
		all = append(all, dense{in, out, v[:n], v[n : n+b]})
		v, in = v[n+b:], out
	}
	return all
}

func ncfSize(p NeuralCFParams) (n int) {
	in := 2 * p.Embedding
	for _, out := range append(slices.Clone(p.Hidden), 1) {
		n += out*padded(in) + padded(out)
		in = out
	}
	return n
}

// Parameters is how many numbers training can move.
func (m *NeuralCF) Parameters() int {
	n := (len(m.Users) + len(m.Movies)) * m.Params.Embedding
	for _, l := range ncfLayers(m.Params, m.mlp) {
		n += l.in*l.out + l.out
	}
	return n
}

// ready prepares predictions. Errors: weights that are not finite, or so large that a prediction may not be; an id that is there twice.
func (m *NeuralCF) ready() error {
	for _, w := range [][]float32{m.user, m.movie, m.mlp} {
		if notFinite(w) >= 0 {
			return fmt.Errorf("ml: weights that are not finite: training diverged, lower learning_rate (%v)", m.Params.LearningRate)
		}
	}
	if most := m.most(); !(most <= math.MaxFloat32) { // it is no number where a layer that may reach infinity meets a weight of 0
		return fmt.Errorf("ml: weights so large that predictions may reach %.3g: they are to stay below %.3g", most, math.MaxFloat32)
	}
	var err error
	if m.userRow, err = rowsOf("person", m.Users); err != nil {
		return err
	}
	if m.movieRow, err = rowsOf("film", m.Movies); err != nil {
		return err
	}
	e := m.Params.Embedding
	l := ncfLayers(m.Params, m.mlp)[0]
	m.byUser = dense{e, l.out, make([]float32, l.out*padded(e)), l.b}
	m.byMovie = dense{e, l.out, make([]float32, l.out*padded(e)), make([]float32, len(l.b))}
	for h := range l.out {
		row := l.w[h*l.stride():]
		copy(m.byUser.w[h*padded(e):], row[:e])
		copy(m.byMovie.w[h*padded(e):], row[e:2*e])
	}
	m.anyUser = meanRow(m.user, m.Users, e)
	s := padded(l.out)
	m.first = make([]float32, (len(m.Movies)+1)*s)
	x := make([]float32, padded(e))
	for i := range m.Movies {
		copy(x, m.movie[i*e:(i+1)*e])
		m.byMovie.apply(m.first[i*s:(i+1)*s], x)
	}
	copy(x, meanRow(m.movie, m.Movies, e))
	m.byMovie.apply(m.first[len(m.Movies)*s:], x)
	return nil
}

// most is a bound of what can come out of any layer, and of any sum on the way there.
func (m *NeuralCF) most() float64 {
	in := max(farthest(m.user), farthest(m.movie))
	most := in
	for _, l := range ncfLayers(m.Params, m.mlp) {
		out := 0.
		for h := range l.out {
			sum := math.Abs(float64(l.b[h]))
			for _, w := range l.w[h*l.stride() : h*l.stride()+l.in] {
				sum += float64(math.Abs(float64(w)) * in)
			}
			out = max(out, sum)
		}
		in, most = out, max(most, out)
	}
	return most
}

// farthest is the greatest distance of a value from 0.
func farthest(v []float32) (most float64) {
	for _, x := range v {
		most = max(most, math.Abs(float64(x)))
	}
	return most
}

func rowsOf(what string, ids []string) (map[string]int, error) {
	rows := make(map[string]int, len(ids))
	for i, id := range ids {
		if id == "" {
			continue
		}
		if at, ok := rows[id]; ok {
			return nil, fmt.Errorf("ml: the %s %q has the rows %d and %d", what, id, at, i)
		}
		rows[id] = i
	}
	return rows, nil
}

// meanRow is the mean of the rows that are somebody's.
func meanRow(rows []float32, ids []string, dim int) []float32 {
	sum, n := make([]float64, dim), 0
	for i, id := range ids {
		if id == "" {
			continue
		}
		n++
		for c, v := range rows[i*dim : (i+1)*dim] {
			sum[c] += float64(v)
		}
	}
	mean := make([]float32, dim)
	for c, v := range sum {
		mean[c] = float32(v / float64(max(n, 1)))
	}
	return mean
}

// KnowsUser says whether the person has an embedding of their own.
func (m *NeuralCF) KnowsUser(id string) bool { _, ok := m.userRow[id]; return ok && id != "" }

// MovieRow is the row of a film; for one without an embedding of its own, ok is false and the row stands for
// the mean film.
func (m *NeuralCF) MovieRow(id string) (row int, ok bool) {
	if row, ok = m.movieRow[id]; ok {
		return row, true
	}
	return len(m.Movies), false
}

// Predict writes to dst what the person would rate the films of the given rows, in stars, not [NeuralCF.Cut].
// Somebody without an embedding is taken for the mean person.
func (m *NeuralCF) Predict(dst []float32, user string, rows []int32) {
	e := m.Params.Embedding
	x := make([]float32, padded(e))
	copy(x, m.anyUser)
	if at, ok := m.userRow[user]; ok {
		copy(x, m.user[at*e:(at+1)*e])
	}
	mine := make([]float32, padded(m.byUser.out))
	m.byUser.apply(mine, x)
	layers := ncfLayers(m.Params, m.mlp)[1:]
	buffers := [][]float32{make([]float32, len(mine))}
	for _, l := range layers {
		buffers = append(buffers, make([]float32, padded(l.out)))
	}
	for i, row := range rows {
		h := buffers[0]
		for c, v := range m.first[int(row)*len(h) : (int(row)+1)*len(h)] {
			h[c] = max(0, mine[c]+v)
		}
		for k := range layers {
			y := buffers[k+1]
			layers[k].apply(y, h)
			if k < len(layers)-1 {
				rectify(y[:layers[k].out])
			}
			h = y
		}
		dst[i] = h[0]
	}
}

// Cut is a prediction within the scale.
func (m *NeuralCF) Cut(v float32) float32 {
	if m.RatingMin == 0 && m.RatingMax == 0 {
		return v
	}
	return max(m.RatingMin, min(v, m.RatingMax))
}

func rectify(v []float32) {
	for i, x := range v {
		v[i] = max(0, x)
	}
}

// Near gives the k films whose embeddings have the greatest cosine with a film's, best first: their rows and
// the cosines. None for a film without one.
func (m *NeuralCF) Near(id string, k int) []Scored {
	at, ok := m.movieRow[id]
	if !ok {
		return nil
	}
	e := m.Params.Embedding
	of := m.movie[at*e : (at+1)*e]
	score := make([]float32, len(m.Movies))
	for i := range score {
		score[i] = cosine(of, m.movie[i*e:(i+1)*e])
	}
	return TopKScores(score, k, func(i int32) bool { return m.Movies[i] == "" || int(i) == at })
}

func cosine(a, b []float32) float32 {
	var ab, aa, bb float64
	for i, x := range a {
		y := float64(b[i])
		ab += float64(float64(x) * y)
		aa += float64(float64(x) * float64(x))
		bb += float64(y * y)
	}
	if aa == 0 || bb == 0 {
		return 0
	}
	return float32(ab / math.Sqrt(float64(aa*bb)))
}

const ncfKind = "neural-cf"

// Names of the lists and tensors of an [Artifact] of a NeuralCF: those of the PyTorch module with two Embeddings,
// a Sequential "mlp" of Linear, ReLU and Dropout for each layer, and a Linear "output".
const (
	ncfUserIDs, ncfMovieIDs = "user_ids", "movie_ids"
	ncfUsers, ncfMovies     = "user_embedding.weight", "movie_embedding.weight"
)

// ncfTensor is the name of a layer's tensor, of so many hidden layers.
func ncfTensor(layer, hidden int, what string) string {
	if layer == hidden {
		return "output." + what
	}
	return fmt.Sprintf("mlp.%d.%s", 3*layer, what)
}

type ncfHeader struct {
	NeuralCFParams
	RatingMin float32      `json:"rating_min"`
	RatingMax float32      `json:"rating_max"`
	Info      NeuralCFInfo `json:"info"`
}

// Artifact returns the model's weights, named as in PyTorch.
func (m *NeuralCF) Artifact() (*Artifact, error) {
	params, err := json.Marshal(ncfHeader{m.Params, m.RatingMin, m.RatingMax, m.Info})
	if err != nil {
		return nil, err
	}
	e := m.Params.Embedding
	a := &Artifact{Kind: ncfKind, Kernel: Kernel(), Params: params,
		Tensors: []Tensor{{ncfUsers, []int{len(m.Users), e}, m.user}, {ncfMovies, []int{len(m.Movies), e}, m.movie}},
		Strings: []StringList{{ncfUserIDs, m.Users}, {ncfMovieIDs, m.Movies}}}
	for i, l := range ncfLayers(m.Params, m.mlp) {
		a.Tensors = append(a.Tensors,
			Tensor{ncfTensor(i, len(m.Params.Hidden), "weight"), []int{l.out, l.in}, unpadRows(l.w, l.out, l.in)},
			Tensor{ncfTensor(i, len(m.Params.Hidden), "bias"), []int{l.out}, l.b[:l.out]})
	}
	return a, nil
}

// NeuralCFFromArtifact reads what [NeuralCF.Artifact] made.
func NeuralCFFromArtifact(a *Artifact) (*NeuralCF, error) {
	if a.Kind != ncfKind {
		return nil, fmt.Errorf("ml: the artifact is of kind %q, not %q", a.Kind, ncfKind)
	}
	var header ncfHeader
	if err := json.Unmarshal(a.Params, &header); err != nil {
		return nil, fmt.Errorf("ml: params of artifact: %w", err)
	}
	if err := header.NeuralCFParams.Validate(); err != nil {
		return nil, err
	}
	if !finite(header.RatingMin) || !finite(header.RatingMax) || header.RatingMin > header.RatingMax {
		return nil, fmt.Errorf("ml: ratings from %v to %v are no scale", header.RatingMin, header.RatingMax)
	}
	m := &NeuralCF{Params: header.NeuralCFParams, RatingMin: header.RatingMin, RatingMax: header.RatingMax, Info: header.Info}
	var err error
	if m.Users, err = a.List(ncfUserIDs); err != nil {
		return nil, err
	}
	if m.Movies, err = a.List(ncfMovieIDs); err != nil {
		return nil, err
	}
	if err := m.take(a); err != nil {
		return nil, err
	}
	return m, m.ready()
}

// take copies the tensors, whose shapes Params, Users and Movies say.
func (m *NeuralCF) take(a *Artifact) (err error) {
	if m.user, err = a.Tensor(ncfUsers, len(m.Users), m.Params.Embedding); err != nil {
		return err
	}
	if m.movie, err = a.Tensor(ncfMovies, len(m.Movies), m.Params.Embedding); err != nil {
		return err
	}
	m.mlp = make([]float32, ncfSize(m.Params))
	for i, l := range ncfLayers(m.Params, m.mlp) {
		w, err := a.Tensor(ncfTensor(i, len(m.Params.Hidden), "weight"), l.out, l.in)
		if err != nil {
			return err
		}
		b, err := a.Tensor(ncfTensor(i, len(m.Params.Hidden), "bias"), l.out)
		if err != nil {
			return err
		}
		copy(l.w, padRows(w, l.out, l.in))
		copy(l.b, b)
	}
	return nil
}

// evaluate gives square and absolute errors over ratings, summed in order.
func (m *NeuralCF) evaluate(ctx context.Context, ratings []NeuralCFRating) (square, absolute float64, err error) {
	const chunk = scanRows
	parts := make([][2]float64, (len(ratings)+chunk-1)/chunk)
	scratch := make([]*ncfScratch, workerCount())
	err = parallel(ctx, len(scratch), len(parts), 1, func(worker, lo, hi int) {
		if scratch[worker] == nil {
			scratch[worker] = newNCFScratch(m.Params, chunk, false)
		}
		for c := lo; c < hi; c++ {
			part := ratings[c*chunk : min((c+1)*chunk, len(ratings))]
			s := scratch[worker]
			s.forward(m, part, nil)
			for i, r := range part {
				e := float64(m.Cut(s.y[i]) - r.Rating)
				parts[c][0] += float64(e * e)
				parts[c][1] += math.Abs(e)
			}
		}
	})
	for _, p := range parts {
		square += p[0]
		absolute += p[1]
	}
	return square, absolute, err
}
