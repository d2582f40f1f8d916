package ml

import (
	"context"
	"fmt"
	"math"
	"slices"
)

// BPRParams are the parameters of [BPRTrainer].
type BPRParams struct {
	Dim            int     `json:"dim"`            // length of a factor, 1 to 1024
	Epochs         int     `json:"-"`              // steps, as many as there are positives in each
	LearningRate   float64 `json:"learning_rate"`  // of stochastic gradient descent
	Regularization float64 `json:"regularization"` // of factors and biases
	Seed           uint64  `json:"seed"`           // of the first factors, and of what is drawn
}

// Validate says what is out of range.
func (p BPRParams) Validate() error {
	if p.Dim < 1 || p.Dim > 1024 || p.Epochs < 1 || p.Epochs > 100_000 || !(p.LearningRate > 0 && p.LearningRate <= 1) || !(p.Regularization >= 0 && p.Regularization <= 1) {
		return fmt.Errorf("ml: %+v: give a dim from 1 to 1024, epochs from 1 to 100000, a learning_rate above 0 to 1, a regularization from 0 to 1", p)
	}
	return nil
}

// BPRTrainer factorises what users like so that it stands before what they have not met (Rendle et al. 2009, "BPR:
// Bayesian Personalized Ranking from Implicit Feedback"). Pairs are drawn by the seed and learned from one after the other,
// on one core.
type BPRTrainer struct {
	params BPRParams
	users  []string // all
	items  []string
	likes  *csr
	of     []int32 // user of each entry of likes
	x, y   []float32
	bias   []float32
	epochs int
	data   string
	err    error
}

// NewBPRTrainer prepares training on the positives of d.
func NewBPRTrainer(d *Dataset, p BPRParams) (*BPRTrainer, error) {
	if err := p.Validate(); err != nil {
		return nil, err
	}
	d = usersInOrder(d)
	likes, err := positives(d)
	if err != nil {
		return nil, err
	}
	t := &BPRTrainer{params: p, users: d.Users, items: d.Items, likes: likes, of: make([]int32, len(likes.cols)), bias: make([]float32, len(d.Items))}
	ratings := make([]Rating, 0, len(likes.cols))
	for u := range likes.rows() {
		items, _ := likes.row(u)
		for k, i := range items {
			t.of[likes.start[u]+k] = int32(u)
			ratings = append(ratings, Rating{int32(u), i, 0})
		}
	}
	t.data = dataHash(d.Users, d.Items, ratings)
	r, s := newRNG(p.Seed), padded(p.Dim)
	t.x, t.y = make([]float32, len(d.Users)*s), make([]float32, len(d.Items)*s)
	for _, f := range [][]float32{t.x, t.y} {
		for i := range f {
			if i%s < p.Dim {
				f[i] = .1 * r.normal() / float32(math.Sqrt(float64(p.Dim)))
			}
		}
	}
	return t, nil
}

// Done is how many epochs are.
func (t *BPRTrainer) Done() int { return t.epochs }

// drawsMax is how often an item is drawn that the user likes before a positive is left alone.
const drawsMax = 20

// Step takes as many steps as there are positives, and gives how surely, in the mean, the pair of a step stood the wrong
// way round before it: .5 where nothing is known.
func (t *BPRTrainer) Step(ctx context.Context) (float64, error) {
	if t.err != nil {
		return 0, t.err
	}
	p, s := &t.params, padded(t.params.Dim)
	r := newRNG(mix64(p.Seed+1) ^ mix64(uint64(t.epochs)+1))
	rate, shrink := float32(p.LearningRate), 1-float32(p.LearningRate*p.Regularization)
	unsure, reach, steps := 0., 0., 0
	for n := range len(t.of) {
		if n%4096 == 0 {
			if t.err = ctx.Err(); t.err != nil {
				return 0, t.err
			}
		}
		k := r.intn(len(t.of))
		u, i := t.of[k], t.likes.cols[k]
		liked, _ := t.likes.row(int(u))
		j, found := int32(0), true
		for draw := 0; draw < drawsMax && found; draw++ {
			j = int32(r.intn(len(t.items)))
			_, found = slices.BinarySearch(liked, j)
		}
		if found {
			continue
		}
		x, yi, yj := t.x[int(u)*s:(int(u)+1)*s], t.y[int(i)*s:(int(i)+1)*s], t.y[int(j)*s:(int(j)+1)*s]
		margin := dot(x, yi, s) - dot(x, yj, s) + t.bias[i] - t.bias[j]
		wrong := sigmoid(-float64(margin))
		unsure += wrong
		reach += math.Abs(float64(margin)) // the sigmoid of what is no number is one
		steps++
		step := float32(rate * float32(wrong))
		t.bias[i] = float32(t.bias[i]*shrink) + step
		t.bias[j] = float32(t.bias[j]*shrink) - step
		for c, v := range x {
			a, b := yi[c], yj[c]
			x[c] = float32(v*shrink) + float32(step*(a-b))
			yi[c] = float32(a*shrink) + float32(step*v)
			yj[c] = float32(b*shrink) - float32(step*v)
		}
	}
	t.epochs++
	loss := unsure / float64(max(1, steps))
	if reach-reach != 0 {
		t.err = fmt.Errorf("ml: training diverged in epoch %d: lower learning_rate (%v)", t.epochs, p.LearningRate)
	}
	return loss, t.err
}

// Model is the factorisation as it is now, of the users and items with a positive.
func (t *BPRTrainer) Model() (*Factors, error) {
	if t.err != nil {
		return nil, t.err
	}
	s, byItem := padded(t.params.Dim), t.likes.transpose(len(t.items))
	m := &Factors{Dim: t.params.Dim}
	for u, id := range t.users {
		if t.likes.start[u+1] > t.likes.start[u] {
			m.Users, m.UserBias, m.User = append(m.Users, id), append(m.UserBias, 0), append(m.User, t.x[u*s:u*s+m.Dim]...)
		}
	}
	for i, id := range t.items {
		if byItem.start[i+1] > byItem.start[i] {
			m.Items, m.ItemBias, m.Item = append(m.Items, id), append(m.ItemBias, t.bias[i]), append(m.Item, t.y[i*s:i*s+m.Dim]...)
		}
	}
	if notFinite(m.User) >= 0 || notFinite(m.Item) >= 0 || notFinite(m.ItemBias) >= 0 {
		return nil, fmt.Errorf("ml: training diverged: lower learning_rate (%v)", t.params.LearningRate)
	}
	return m, nil
}

func (t *BPRTrainer) fit() *fitState {
	return &fitState{kind: "bpr-checkpoint", params: t.params, data: t.data, done: &t.epochs,
		state: []Tensor{flat("users", t.x), flat("items", t.y), flat("item_bias", t.bias)}}
}

// Checkpoint returns the state after the last whole epoch.
func (t *BPRTrainer) Checkpoint() ([]byte, error) {
	if t.err != nil {
		return nil, t.err
	}
	return t.fit().checkpoint()
}

// Restore puts the trainer into the state of a checkpoint of the same positives and parameters; Epochs may differ.
func (t *BPRTrainer) Restore(checkpoint []byte) error { return t.fit().restore(checkpoint) }
