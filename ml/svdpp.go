package ml

import (
	"context"
	"fmt"
	"math"
)

// SVDPPParams are the parameters of [SVDPPTrainer].
type SVDPPParams struct {
	Dim            int     `json:"dim"`            // length of a factor, 1 to 1024
	Epochs         int     `json:"-"`              // passes over the ratings
	LearningRate   float64 `json:"learning_rate"`  // of the first pass
	RateDecay      float64 `json:"rate_decay"`     // of the learning rate, from pass to pass
	Regularization float64 `json:"regularization"` // of factors and biases
	Seed           uint64  `json:"seed"`           // of the first factors
}

// Validate says what is out of range.
func (p SVDPPParams) Validate() error {
	if p.Dim < 1 || p.Dim > 1024 || p.Epochs < 1 || p.Epochs > 10_000 || !(p.LearningRate > 0 && p.LearningRate <= 1) ||
		!(p.RateDecay > 0 && p.RateDecay <= 1) || !(p.Regularization >= 0 && p.Regularization <= 1) {
		return fmt.Errorf("ml: %+v: give a dim from 1 to 1024, epochs from 1 to 10000, a learning_rate and rate_decay above 0 to 1, a regularization from 0 to 1", p)
	}
	return nil
}

// SVDPPTrainer fits SVD++ (Koren 2008, "Factorization Meets the Neighborhood"): a factorisation of ratings in which a
// user is, beside their own factor, the sum of what the items they have rated say of them. It goes through users and
// their ratings in order, on one core; what the ratings of a user change in those items is added at the user's end.
type SVDPPTrainer struct {
	params   SVDPPParams
	set      RatingSet
	start    []int // of each user's ratings
	m        Factors
	implicit []float32 // what an item says of who has rated it
	epochs   int
	data     string
	err      error
}

// NewSVDPPTrainer prepares training on a set.
func NewSVDPPTrainer(set RatingSet, p SVDPPParams) (*SVDPPTrainer, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	nu, ni, s := len(set.Users), len(set.Items), padded(p.Dim)
	t := &SVDPPTrainer{params: p, set: set, start: make([]int, nu+1), data: dataHash(set.Users, set.Items, set.Ratings),
		m: Factors{Users: set.Users, Items: set.Items, Dim: p.Dim, UserBias: make([]float32, nu), ItemBias: make([]float32, ni),
			User: make([]float32, nu*s), Item: make([]float32, ni*s)}, implicit: make([]float32, ni*s)}
	var sum float64
	for i, r := range set.Ratings {
		t.start[r.User+1]++
		sum += float64(r.Stars)
		if i == 0 {
			t.m.Low, t.m.High = r.Stars, r.Stars
		}
		t.m.Low, t.m.High = min(t.m.Low, r.Stars), max(t.m.High, r.Stars)
	}
	for u := range nu {
		t.start[u+1] += t.start[u]
	}
	t.m.Mean = float32(sum / float64(max(1, len(set.Ratings))))
	r := newRNG(p.Seed)
	for _, f := range [][]float32{t.m.User, t.m.Item, t.implicit} {
		for i := range f {
			if i%s < p.Dim {
				f[i] = .1 * r.normal() / float32(math.Sqrt(float64(p.Dim)))
			}
		}
	}
	return t, nil
}

// Done is how many epochs are.
func (t *SVDPPTrainer) Done() int { return t.epochs }

// Step goes through all ratings once, and gives the mean square error before each was learned from.
func (t *SVDPPTrainer) Step(ctx context.Context) (float64, error) {
	if t.err != nil {
		return 0, t.err
	}
	s, p := padded(t.params.Dim), &t.params
	lr := p.LearningRate
	for range t.epochs {
		lr = float64(lr * p.RateDecay)
	}
	rate, reg := float32(lr), float32(p.Regularization)
	shrink := 1 - float32(rate*reg)
	z, both, acc, items, share := make([]float32, s), make([]float32, s), make([]float32, s), []int32(nil), []float32(nil)
	var squares float64
	for u := range t.set.Users {
		if t.err = ctx.Err(); t.err != nil {
			return 0, t.err
		}
		ratings := t.set.Ratings[t.start[u]:t.start[u+1]]
		if len(ratings) == 0 {
			continue
		}
		norm := 1 / float32(math.Sqrt(float64(len(ratings))))
		items, share = items[:0], share[:0]
		for _, r := range ratings {
			items, share = append(items, r.Item), append(share, norm)
		}
		clear(z)
		clear(acc)
		axpyRows(z, share, t.implicit, items, s, s)
		x, left := t.m.User[u*s:(u+1)*s], float32(1)
		for _, r := range ratings {
			y := t.m.Item[int(r.Item)*s : (int(r.Item)+1)*s]
			for c := range both {
				both[c] = x[c] + z[c]
			}
			e := r.Stars - t.m.Mean - t.m.UserBias[u] - t.m.ItemBias[r.Item] - dot(both, y, s)
			squares += float64(float64(e) * float64(e))
			step := float32(rate * e)
			t.m.UserBias[u] = float32(t.m.UserBias[u]*shrink) + step
			t.m.ItemBias[r.Item] = float32(t.m.ItemBias[r.Item]*shrink) + step
			axpy(acc, step, y, s)
			for c, v := range y {
				y[c] = float32(v*shrink) + float32(step*both[c])
				x[c] = float32(x[c]*shrink) + float32(step*v)
			}
			left = float32(left * shrink)
		}
		for _, i := range items {
			row := t.implicit[int(i)*s : (int(i)+1)*s]
			for c := range row {
				row[c] = float32(row[c]*left) + float32(acc[c]*norm)
			}
		}
	}
	t.epochs++
	loss := squares / float64(max(1, len(t.set.Ratings)))
	if loss-loss != 0 {
		t.err = fmt.Errorf("ml: training diverged in epoch %d: lower learning_rate (%v)", t.epochs, p.LearningRate)
	}
	return loss, t.err
}

// Model is the factorisation as it is now, with what a user's items say of them in the user's factor.
func (t *SVDPPTrainer) Model() (*Factors, error) {
	if t.err != nil {
		return nil, t.err
	}
	m, s := t.m, padded(t.params.Dim)
	users := append([]float32(nil), m.User...)
	for u := range m.Users {
		ratings := t.set.Ratings[t.start[u]:t.start[u+1]]
		norm := 1 / float32(math.Sqrt(float64(len(ratings))))
		for _, r := range ratings {
			axpy(users[u*s:(u+1)*s], norm, t.implicit[int(r.Item)*s:], s)
		}
	}
	m.User, m.Item = unpadRows(users, len(m.Users), m.Dim), unpadRows(m.Item, len(m.Items), m.Dim)
	m.UserBias, m.ItemBias = append([]float32(nil), m.UserBias...), append([]float32(nil), m.ItemBias...)
	if notFinite(m.User) >= 0 || notFinite(m.Item) >= 0 {
		return nil, fmt.Errorf("ml: training diverged: lower learning_rate (%v)", t.params.LearningRate)
	}
	return &m, nil
}

func (t *SVDPPTrainer) fit() *fitState {
	return &fitState{kind: "svdpp-checkpoint", params: t.params, data: t.data, done: &t.epochs, state: []Tensor{flat("users", t.m.User),
		flat("items", t.m.Item), flat("implicit", t.implicit), flat("user_bias", t.m.UserBias), flat("item_bias", t.m.ItemBias)}}
}

// Checkpoint returns the state after the last whole epoch.
func (t *SVDPPTrainer) Checkpoint() ([]byte, error) {
	if t.err != nil {
		return nil, t.err
	}
	return t.fit().checkpoint()
}

// Restore puts the trainer into the state of a checkpoint of the same ratings and parameters; Epochs may differ.
func (t *SVDPPTrainer) Restore(checkpoint []byte) error { return t.fit().restore(checkpoint) }
