package ml

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// taste is ratings by two hidden tastes and by how generous users are: what is left of them, .3 stars, nobody can know.
func taste(users, items, n int, seed uint64) (train, test RatingSet) {
	r := newRNG(seed)
	x, y := randomRows(r, users, 3), randomRows(r, items, 3)
	d := &Dataset{}
	for u := range users {
		d.Users = append(d.Users, fmt.Sprintf("u%04d", u))
	}
	for i := range items {
		d.Items = append(d.Items, fmt.Sprintf("i%04d", i))
	}
	var tests []Rating
	for range n {
		u, i := int32(r.intn(users)), int32(r.intn(items))
		v := 3 + .5*x[u*3+2] + .5*y[i*3+2] + x[u*3]*y[i*3] + x[u*3+1]*y[i*3+1]*.7 + .3*r.normal()
		if v = min(max(v, .5), 5); r.intn(5) == 0 {
			tests = append(tests, Rating{u, i, v})
		} else {
			d.Samples = append(d.Samples, Sample{User: u, Item: i, Rating: v, Weight: v - 3})
		}
	}
	train, err := RatingsOf(d)
	if err != nil || len(train.Users) != users || len(train.Items) != items {
		panic(fmt.Sprint(len(train.Users), len(train.Items), err))
	}
	return train, RatingSet{train.Users, train.Items, tests}
}

func rmseOf(m *Factors, set RatingSet) float64 {
	var sum float64
	for _, r := range set.Ratings {
		e := float64(m.Cut(m.Of(int(r.User), int(r.Item))) - r.Stars)
		sum += e * e
	}
	return math.Sqrt(sum / float64(len(set.Ratings)))
}

type stepwise interface {
	Step(context.Context) (float64, error)
	Done() int
	Checkpoint() ([]byte, error)
	Restore([]byte) error
	Model() (*Factors, error)
}

func steps(t *testing.T, s stepwise, of int) *Factors {
	t.Helper()
	for s.Done() < of {
		if _, err := s.Step(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	m, err := s.Model()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func mustMF(t *testing.T, set RatingSet, p MFParams) *MFTrainer {
	t.Helper()
	s, err := NewMFTrainer(set, p)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func mustSVDPP(t *testing.T, set RatingSet, p SVDPPParams) *SVDPPTrainer {
	t.Helper()
	s, err := NewSVDPPTrainer(set, p)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var (
	smallMF    = MFParams{Dim: 6, Burn: 15, Samples: 15, Thin: 1, Seed: 1}
	smallSVDPP = SVDPPParams{Dim: 6, Epochs: 60, LearningRate: .02, RateDecay: .98, Regularization: .02, Seed: 1}
)

// Both find the tastes: what they leave of ratings that they have not seen is near what nobody can know.
func TestRatingFactorsFindTastes(t *testing.T) {
	train, test := taste(300, 200, 12_000, 4)
	_, spread := mean64(test.Ratings)
	for name, got := range map[string]float64{
		"mf":    rmseOf(steps(t, mustMF(t, train, smallMF), smallMF.Sweeps()), test),
		"svdpp": rmseOf(steps(t, mustSVDPP(t, train, smallSVDPP), smallSVDPP.Epochs), test),
	} {
		t.Logf("%s: %.3f of %.3f", name, got, spread)
		if got > .45 {
			t.Errorf("%s leaves %.3f of %.3f; nobody can know .3", name, got, spread)
		}
	}
}

func mean64(list []Rating) (mean, spread float64) {
	for _, r := range list {
		mean += float64(r.Stars) / float64(len(list))
	}
	for _, r := range list {
		spread += (float64(r.Stars) - mean) * (float64(r.Stars) - mean) / float64(len(list))
	}
	return mean, math.Sqrt(spread)
}

// More dimensions than there is to be found do not hurt draws.
func TestMFDoesNotOverfit(t *testing.T) {
	train, test := taste(200, 150, 5_000, 5)
	few, many := smallMF, smallMF
	few.Dim, many.Dim = 3, 30
	a, b := rmseOf(steps(t, mustMF(t, train, few), few.Sweeps()), test), rmseOf(steps(t, mustMF(t, train, many), many.Sweeps()), test)
	if t.Logf("%.3f with 3, %.3f with 30", a, b); b > a*1.1 {
		t.Errorf("30 dimensions leave %.3f, 3 leave %.3f", b, a)
	}
}

func TestMFDoesNotDependOnWorkers(t *testing.T) {
	train, _ := taste(150, 120, 4000, 6)
	p := MFParams{Dim: 5, Burn: 2, Samples: 3, Thin: 2, Seed: 9}
	var want *Factors
	for _, workers := range []int{1, 2, 5} {
		old := runtime.GOMAXPROCS(workers)
		m := steps(t, mustMF(t, train, p), p.Sweeps())
		runtime.GOMAXPROCS(old)
		if want == nil {
			want = m
		}
		sameBits(t, fmt.Sprint(workers, " workers"), m.Item, want.Item)
		sameBits(t, fmt.Sprint(workers, " workers"), m.User, want.User)
	}
	if p.Seed++; slices.Equal(steps(t, mustMF(t, train, p), p.Sweeps()).Item, want.Item) {
		t.Error("another seed gives the same factors")
	}
}

// A training that goes on from any of its checkpoints ends as it would have; one of others is refused.
func TestStepwiseResume(t *testing.T) {
	train, _ := taste(40, 30, 600, 7)
	other, _ := taste(40, 30, 601, 7)
	likes := synthetic(40, 30, 600, 7)
	bpr := func(d *Dataset, dim int) stepwise {
		s, err := NewBPRTrainer(d, BPRParams{Dim: dim, Epochs: 4, LearningRate: .1, Regularization: .01, Seed: 3})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	mf := func(set RatingSet, dim int) stepwise {
		return mustMF(t, set, MFParams{Dim: dim, Burn: 2, Samples: 2, Thin: 1, Seed: 3})
	}
	svdpp := func(set RatingSet, dim int) stepwise {
		return mustSVDPP(t, set, SVDPPParams{Dim: dim, Epochs: 4, LearningRate: .01, RateDecay: .9, Regularization: .1, Seed: 3})
	}
	for name, fresh := range map[string]func(same, dim bool) stepwise{
		"mf":    func(same, dim bool) stepwise { return mf(pick(same, train, other), pick(dim, 3, 4)) },
		"svdpp": func(same, dim bool) stepwise { return svdpp(pick(same, train, other), pick(dim, 3, 4)) },
		"bpr": func(same, dim bool) stepwise {
			return bpr(pick(same, likes, synthetic(40, 30, 700, 7)), pick(dim, 3, 4))
		},
	} {
		want := steps(t, fresh(true, true), 4)
		for stop := 0; stop < 4; stop++ {
			first := fresh(true, true)
			for first.Done() < stop {
				if _, err := first.Step(context.Background()); err != nil {
					t.Fatal(err)
				}
			}
			state, err := first.Checkpoint()
			if err != nil {
				t.Fatal(err)
			}
			again := fresh(true, true)
			if err := again.Restore(state); err != nil || again.Done() != stop {
				t.Fatal(name, again.Done(), err)
			}
			m := steps(t, again, 4)
			sameBits(t, name, m.User, want.User)
			sameBits(t, name, m.Item, want.Item)
			sameBits(t, name, m.ItemBias, want.ItemBias)
			for what, s := range map[string]stepwise{"samples": fresh(false, true), "parameters": fresh(true, false)} {
				if err := s.Restore(state); err == nil || !strings.Contains(err.Error(), what) {
					t.Errorf("%s: a checkpoint of other %s: %v", name, what, err)
				}
			}
			for cut := 0; cut < len(state); cut += 1 + len(state)/50 {
				if fresh(true, true).Restore(state[:cut]) == nil {
					t.Errorf("%s: a checkpoint of %d bytes is taken", name, cut)
				}
			}
		}
		ended, cancel := context.WithCancel(context.Background())
		cancel()
		s := fresh(true, true)
		if _, err := s.Step(ended); err == nil {
			t.Errorf("%s does not end with its context", name)
		}
		if _, err := s.Checkpoint(); err == nil {
			t.Errorf("%s saves a step that was broken off", name)
		}
	}
}

func pick[T any](first bool, a, b T) T {
	if first {
		return a
	}
	return b
}

// What diverges is told in the epoch in which it does.
func TestBPRDiverges(t *testing.T) {
	d := &Dataset{Users: []string{"a"}, Items: []string{"x", "y"}, Samples: []Sample{{User: 0, Item: 0, Weight: 1}}}
	b, err := NewBPRTrainer(d, BPRParams{Dim: 4, Epochs: 9, LearningRate: 1, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	for i := range b.y {
		b.y[i] = float32(math.Inf(1))
	}
	if _, err := b.Step(t.Context()); err == nil {
		t.Error("factors without bounds are taken for a step")
	}
}

// What users like comes to stand before what they do not.
func TestBPRLearns(t *testing.T) {
	d := synthetic(200, 100, 6000, 3)
	for i := range d.Samples { // two tastes
		s := &d.Samples[i]
		s.Item = s.Item/2*2 + s.User%2
	}
	b, err := NewBPRTrainer(d, BPRParams{Dim: 8, Epochs: 30, LearningRate: .1, Regularization: .001, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	first, err := b.Step(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	m := steps(t, b, 29)
	last, err := b.Step(context.Background())
	if err != nil || last > first/2 {
		t.Errorf("the loss goes from %v to %v: %v", first, last, err)
	}
	right, all := 0, 0
	for u := range m.Users {
		for i := 0; i+1 < len(m.Items); i += 2 {
			own, other := i+u%2, i+1-u%2
			if all++; m.Of(u, own) > m.Of(u, other) {
				right++
			}
		}
	}
	if float64(right) < .8*float64(all) {
		t.Errorf("%d of %d pairs are in order", right, all)
	}
}

// The last rating of a film counts, and users need not come in order.
func TestRatingsOf(t *testing.T) {
	nan := float32(math.NaN())
	got, err := RatingsOf(&Dataset{Users: []string{"b", "a", "c"}, Items: []string{"x", "y", "z"}, Samples: []Sample{
		{User: 0, Item: 1, Rating: 4}, {User: 1, Item: 0, Rating: 2}, {User: 0, Item: 1, Rating: 1}, {User: 2, Item: 2, Rating: nan}, {User: 0, Item: 0, Rating: 5}}})
	want := RatingSet{[]string{"a", "b"}, []string{"x", "y"}, []Rating{{0, 0, 2}, {1, 0, 5}, {1, 1, 1}}}
	if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%v; want %v: %v", got, want, err)
	}
	if _, err := RatingsOf(&Dataset{Users: []string{"a"}, Items: []string{"x"}, Samples: []Sample{{User: 1, Rating: 3}}}); err == nil {
		t.Error("a user there is not is taken")
	}
}

func TestExp(t *testing.T) {
	for x := -40.; x < 40; x += .037 {
		if got, want := exp(x), math.Exp(x); math.Abs(got-want) > 1e-14*want {
			t.Errorf("exp(%v) is %v; want %v", x, got, want)
		}
	}
	for x, want := range map[float64]float64{math.Inf(-1): 0, -1e9: 0, 0: 1, 1e9: math.MaxFloat64} {
		if got := exp(x); got != want {
			t.Errorf("exp(%v) is %v", x, got)
		}
	}
	if exp(math.NaN()) != 0 || sigmoid(0) != .5 {
		t.Error(exp(math.NaN()), sigmoid(0))
	}
}
