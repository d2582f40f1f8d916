package ml

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"runtime"
	"strings"
	"testing"
)

// synthetic is a random world with skewed popularity: users × items, about n samples.
func synthetic(users, items, n int, seed uint64) *Dataset {
	r := newRNG(seed)
	d := &Dataset{}
	for u := range users {
		d.Users = append(d.Users, fmt.Sprintf("u%06d", u))
	}
	for i := range items {
		d.Items = append(d.Items, fmt.Sprintf("i%06d", i))
	}
	for s := range n {
		// Pareto, shape 1.2, as peers of this benchmark draw their items.
		item := int(60*(math.Pow(1-float64(r.uniform()), -1/1.2)-1)) % items
		d.Samples = append(d.Samples, Sample{
			User: int32(r.intn(users)), Item: int32(item),
			Time: int64(s), Rating: float32(r.intn(5) + 1), Weight: 1,
		})
	}
	d.Sort()
	return d
}

func factorsHash(m *ALS) [32]byte {
	h := sha256.New()
	for _, f := range [][]float32{m.UserFactors, m.ItemFactors} {
		_ = binary.Write(h, binary.LittleEndian, f)
	}
	return [32]byte(h.Sum(nil))
}

func smallParams() ALSParams {
	p := DefaultALSParams()
	p.Dim, p.Sweeps = 20, 4
	return p
}

func mustTrain(t testing.TB, d *Dataset, p ALSParams) *ALS {
	t.Helper()
	m, err := TrainALS(context.Background(), d, p, nil)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestALSDoesNotDependOnWorkers(t *testing.T) {
	d := synthetic(300, 200, 9000, 3)
	for _, solver := range []string{SolverCG, SolverCholesky} {
		p := smallParams()
		p.Solver = solver
		var want [32]byte
		for i, workers := range []int{1, 2, 5} {
			old := runtime.GOMAXPROCS(workers)
			got := factorsHash(mustTrain(t, d, p))
			runtime.GOMAXPROCS(old)
			if i == 0 {
				want = got
			}
			if got != want {
				t.Fatalf("%s: %d workers give other factors than 1", solver, workers)
			}
		}
		p.Seed++
		if factorsHash(mustTrain(t, d, p)) == want {
			t.Fatalf("%s: another seed gives the same factors", solver)
		}
	}
}

// TestALSGolden holds on every machine: the kernels are specified to the bit, and the samples are
// drawn with integers only.
func TestALSGolden(t *testing.T) {
	d, r := synthetic(60, 40, 900, 5), newRNG(5)
	for i := range d.Samples {
		d.Samples[i].Item = int32(min(r.intn(40), r.intn(40)))
	}
	for solver, want := range map[string]string{
		SolverCG:       "257ae379bec1c90ae0d70ae5cae043d03c14c1075e08d0745ad2e5d223e806b1",
		SolverCholesky: "d170cf4a68448a733c5a47596b73ff34f6f99172956d18e100976233ff7dd995",
	} {
		p := smallParams()
		p.Solver = solver
		if got := fmt.Sprintf("%x", factorsHash(mustTrain(t, d, p))); got != want {
			t.Errorf("%s: factors %s, want %s: models cannot be rebuilt from older logs any more", solver, got, want)
		}
	}
}

func TestALSResume(t *testing.T) {
	d, p, ctx := synthetic(200, 150, 5000, 4), smallParams(), context.Background()
	want := factorsHash(mustTrain(t, d, p))
	for stop := 0; stop <= p.Sweeps; stop++ {
		first, err := NewALSTrainer(d, p)
		if err != nil {
			t.Fatal(err)
		}
		for range stop {
			if err := first.Sweep(ctx); err != nil {
				t.Fatal(err)
			}
		}
		checkpoint, err := first.Checkpoint()
		if err != nil {
			t.Fatal(err)
		}
		second, err := NewALSTrainer(d, p)
		if err != nil {
			t.Fatal(err)
		}
		if err := second.Restore(checkpoint); err != nil {
			t.Fatal(err)
		}
		for second.Sweeps() < p.Sweeps {
			if err := second.Sweep(ctx); err != nil {
				t.Fatal(err)
			}
		}
		m, err := second.Model()
		if err != nil {
			t.Fatal(err)
		}
		if factorsHash(m) != want {
			t.Fatalf("resumed after sweep %d, the factors differ", stop)
		}
	}

	t.Run("ErrOtherTraining", func(t *testing.T) {
		trainer, _ := NewALSTrainer(d, p)
		checkpoint, err := trainer.Checkpoint()
		if err != nil {
			t.Fatal(err)
		}
		q := p
		q.Regularization *= 2
		other, _ := NewALSTrainer(d, q)
		if err := other.Restore(checkpoint); err == nil || !strings.Contains(err.Error(), "parameters") {
			t.Fatalf("restored other parameters: %v", err)
		}
		other, _ = NewALSTrainer(synthetic(200, 150, 5000, 9), p)
		if err := other.Restore(checkpoint); err == nil || !strings.Contains(err.Error(), "samples") {
			t.Fatalf("restored other samples: %v", err)
		}
		if err := other.Restore(checkpoint[:len(checkpoint)-5]); !errors.Is(err, ErrArtifact) {
			t.Fatalf("restored a damaged checkpoint: %v", err)
		}
	})
}

func TestALSCancel(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	_, err := TrainALS(ctx, synthetic(100, 100, 2000, 1), smallParams(), func(sweep, of int, _ float64) {
		if sweep == 2 {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "sweep 3") {
		t.Fatalf("cancelled after sweep 2: %v", err)
	}
}

// naiveLoss is the definition in ALSParams, written out over all pairs.
func naiveLoss(d *Dataset, m *ALS) (loss float64) {
	users, items, dim := len(d.Users), len(d.Items), m.Params.Dim
	c := make([]float64, users*items)
	nu, ni := make([]float64, users), make([]float64, items)
	for _, s := range d.Samples {
		if s.Weight > 0 {
			c[int(s.User)*items+int(s.Item)] += float64(s.Weight)
			nu[s.User] += float64(s.Weight)
			ni[s.Item] += float64(s.Weight)
		}
	}
	square := func(row []float32) (sum float64) {
		for _, v := range row {
			sum += float64(v) * float64(v)
		}
		return
	}
	p := m.Params
	for u := range users {
		x := m.UserFactors[u*dim : (u+1)*dim]
		for i := range items {
			var s float64
			for k, v := range m.ItemFactors[i*dim : (i+1)*dim] {
				s += float64(v) * float64(x[k])
			}
			loss += c[u*items+i]*(1-s)*(1-s) + p.UnobservedWeight*s*s
		}
		loss += p.Regularization * math.Pow(nu[u]+p.UnobservedWeight*float64(items), p.Nu) * square(x)
	}
	for i := range items {
		loss += p.Regularization * math.Pow(ni[i]+p.UnobservedWeight*float64(users), p.Nu) * square(m.ItemFactors[i*dim:(i+1)*dim])
	}
	return loss
}

func TestALSLoss(t *testing.T) {
	d := synthetic(120, 80, 3000, 6)
	for i := range d.Samples { // all kinds of weights, and pairs that occur more than once
		d.Samples[i].Weight = float32(i%5) - 1
	}
	for _, solver := range []string{SolverCG, SolverCholesky} {
		for _, nu := range []float64{0, .5, 1} {
			p := smallParams()
			p.Solver, p.Nu = solver, nu
			last := math.Inf(1)
			m, err := TrainALS(context.Background(), d, p, func(sweep, of int, loss float64) {
				if !(loss < last) || of != p.Sweeps {
					t.Errorf("%s, nu %v: the loss goes from %v to %v in sweep %d of %d", solver, nu, last, loss, sweep, of)
				}
				last = loss
			})
			if err != nil {
				t.Fatal(err)
			}
			if want := naiveLoss(d, m); math.Abs(last-want) > 1e-4*want {
				t.Errorf("%s, nu %v: loss %v, by definition %v", solver, nu, last, want)
			}
		}
	}
}

// TestALSSolvers: the exact solver zeroes the gradient, and enough steps of the other come to the same.
func TestALSSolvers(t *testing.T) {
	r, dim, n := newRNG(8), 37, 150
	s := padded(dim)
	f := padRows(randomRows(r, n, dim), n, dim)
	gram, err := gramian(context.Background(), f, n, s, .3)
	if err != nil {
		t.Fatal(err)
	}
	for _, count := range []int{1, 5, 63, 64, 65, 149} {
		idx, weight := make([]int32, count), make([]float32, count)
		for i := range idx {
			idx[i], weight[i] = int32(i), 1+r.uniform()
		}
		solver := newRowSolver(dim)
		x, y := make([]float32, s), make([]float32, s)
		if !solver.exact(x, gram, 2, f, idx, weight) {
			t.Fatal("not positive definite")
		}
		solver.conjugate(y, gram, 2, f, idx, weight, 60)
		for k := range dim {
			// gradient: (G + 2I)x − Σ c(1 − f·x)f
			g := 2 * float64(x[k])
			for j := range n {
				var dotx float64
				for c := range dim {
					dotx += float64(f[j*s+c]) * float64(x[c])
				}
				g += .3 * dotx * float64(f[j*s+k])
				if j < count {
					g -= float64(weight[j]) * (1 - dotx) * float64(f[j*s+k])
				}
			}
			if math.Abs(g) > 1e-3 {
				t.Fatalf("%d positives: gradient %d is %v", count, k, g)
			}
			if math.Abs(float64(x[k]-y[k])) > 1e-4 {
				t.Fatalf("%d positives: %v exactly, %v by conjugate gradient", count, x[k], y[k])
			}
		}
	}
}

func randomRows(r *rng, n, dim int) []float32 {
	f := make([]float32, n*dim)
	for i := range f {
		f[i] = r.normal()
	}
	return f
}

func TestALSMergesAndIgnores(t *testing.T) {
	d := &Dataset{Users: []string{"a", "b"}, Items: []string{"x", "y", "z"}}
	d.Samples = []Sample{
		{User: 0, Item: 1, Weight: 1}, {User: 0, Item: 1, Weight: 2}, {User: 0, Item: 0, Weight: -1}, {User: 1, Item: 2}, {User: 0, Item: 0, Weight: .5},
	}
	m, err := positives(d)
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(m.start, m.cols, m.weight, m.sum); got != "[0 2 2] [0 1] [0.5 3] [3.5 0]" {
		t.Fatal(got)
	}
	if got := m.transpose(3); fmt.Sprint(got.start, got.cols, got.weight, got.sum) != "[0 1 2 2] [0 0] [0.5 3] [0.5 3 0]" {
		t.Fatal(got)
	}
	model := mustTrain(t, d, smallParams())
	for k, v := range model.UserFactors[model.Params.Dim:] {
		if v != 0 {
			t.Fatalf("the user without positives has factor %d = %v", k, v)
		}
	}
}

func TestALSSmallestWorlds(t *testing.T) {
	for _, d := range []*Dataset{
		{},
		{Users: []string{"a"}},
		{Items: []string{"x"}},
		{Users: []string{"a"}, Items: []string{"x"}, Samples: []Sample{{Weight: 1}}},
		synthetic(1, 50, 20, 1),
		synthetic(50, 1, 20, 1),
	} {
		m := mustTrain(t, d, smallParams())
		if v := m.FoldIn([]int32{0, 99, -1}, []float32{1, 1, 1}); len(v) != 20 {
			t.Fatalf("folded in a vector of %d", len(v))
		}
	}
}

func TestALSErr(t *testing.T) {
	err := ALSParams{Dim: 0, Regularization: math.NaN(), Solver: "magic"}.Validate()
	for _, field := range []string{"dim", "sweeps", "regularization", "unobserved_weight", "init_scale", "solver", "history_max"} {
		if err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%s is not named in: %v", field, err)
		}
	}
	for _, s := range []Sample{{User: 1, Weight: 1}, {Item: -1, Weight: 1}, {Weight: float32(math.NaN())}} {
		d := &Dataset{Users: []string{"a"}, Items: []string{"x"}, Samples: []Sample{s}}
		if _, err := NewALSTrainer(d, smallParams()); err == nil || !strings.Contains(err.Error(), "Samples[0]") {
			t.Errorf("%+v: %v", s, err)
		}
	}
}

func TestFoldIn(t *testing.T) {
	d, p := synthetic(100, 80, 2500, 2), smallParams()
	p.Solver = SolverCholesky
	m := mustTrain(t, d, p)

	t.Run("AsASweepWould", func(t *testing.T) {
		trainer, _ := NewALSTrainer(d, p)
		trainer.y = padRows(m.ItemFactors, len(d.Items), p.Dim)
		if err := trainer.half(context.Background(), trainer.byUser, trainer.x, trainer.y, &trainer.gx, &trainer.gy); err != nil {
			t.Fatal(err)
		}
		for u := range d.Users {
			idx, weight := trainer.byUser.row(u)
			got, s := m.FoldIn(idx, weight), padded(p.Dim)
			for k, v := range got {
				if want := trainer.x[u*s+k]; math.Abs(float64(v-want)) > 1e-4 {
					t.Fatalf("user %d: %v, want %v", u, v, want)
				}
			}
		}
	})
	t.Run("OnlyTheMostRecent", func(t *testing.T) {
		q := p
		q.HistoryMax = 2
		f, err := NewFolder(m.ItemFactors, q)
		if err != nil {
			t.Fatal(err)
		}
		got := f.FoldIn(nil, []int32{9, 8, 1, 3, 7, 2}, []float32{1, 1, 1, -1, 0, 2})
		sameBits(t, "last two", got, f.FoldIn(nil, []int32{1, 2}, []float32{1, 2}))
	})
	t.Run("Shares", func(t *testing.T) {
		q := p
		q.HistoryMax = 4
		f, err := NewFolder(m.ItemFactors, q)
		if err != nil {
			t.Fatal(err)
		}
		items, weights := []int32{9, 8, 1, 3, 7, 2, 1}, []float32{1, 1, 1, -1, .5, 2, 1}
		rows := m.ItemFactors[:20*p.Dim]
		vector, all := f.FoldIn(nil, items, weights), f.Shares(items, weights, rows)
		if len(all) != 20 {
			t.Fatal(len(all))
		}
		for i, shares := range all {
			var sum, want, size float64
			for c, v := range vector {
				want += float64(v) * float64(rows[i*p.Dim+c])
			}
			for h, v := range shares {
				sum, size = sum+v, size+math.Abs(v)
				if counts := h == 2 || h > 3; counts != (v != 0) {
					t.Errorf("entry %d has %v", h, v)
				}
			}
			if math.Abs(sum-want) > 1e-5*size || shares[2] != shares[6] {
				t.Errorf("row %d: %v add up to %v, want %v", i, shares, sum, want)
			}
		}
		if none := f.Shares(nil, nil, rows); len(none) != 20 || len(none[0]) != 0 {
			t.Error(none)
		}
	})
	t.Run("ReusesDst", func(t *testing.T) {
		dst := make([]float32, p.Dim)
		if got := m.FoldInTo(dst, []int32{1}, []float32{1}); &got[0] != &dst[0] {
			t.Fatal("another slice")
		}
		if n := testing.AllocsPerRun(50, func() { m.FoldInTo(dst, []int32{1}, []float32{1}) }); n > 0 {
			t.Fatalf("%v allocations", n)
		}
	})
	t.Run("Unusable", func(t *testing.T) {
		huge, nan := float32(math.MaxFloat32), float32(math.NaN())
		for _, w := range [][]float32{{0, -1}, {nan, nan}, {huge, huge}, {}} {
			for _, v := range m.FoldIn([]int32{1, 2}, w) {
				if v != 0 {
					t.Fatalf("weights %v give %v", w, v)
				}
			}
		}
	})
}
