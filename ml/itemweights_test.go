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

// solveDense solves a·x = b for every column of b, by elimination with pivots.
func solveDense(a, b [][]float64) [][]float64 {
	n := len(a)
	for p := range n {
		best := p
		for i := p; i < n; i++ {
			if math.Abs(a[i][p]) > math.Abs(a[best][p]) {
				best = i
			}
		}
		a[p], a[best], b[p], b[best] = a[best], a[p], b[best], b[p]
		for i := range n {
			if i == p {
				continue
			}
			f := a[i][p] / a[p][p]
			for j := range n {
				a[i][j] -= f * a[p][j]
			}
			for j := range b[i] {
				b[i][j] -= f * b[p][j]
			}
		}
	}
	for i := range n {
		for j := range b[i] {
			b[i][j] /= a[i][i]
		}
	}
	return b
}

func square(n int) [][]float64 {
	m := make([][]float64, n)
	for i := range m {
		m[i] = make([]float64, n)
	}
	return m
}

// dense is weights as a full matrix.
func (w *ItemWeights) dense() [][]float64 {
	m := square(w.Rows())
	for i := range m {
		items, weights := w.Row(int32(i))
		for k, j := range items {
			m[i][j] = float64(weights[k])
		}
	}
	return m
}

func sameMatrix(t *testing.T, got, want [][]float64) {
	t.Helper()
	for i := range want {
		for j := range want[i] {
			if math.Abs(got[i][j]-want[i][j]) > 1e-4 {
				t.Fatalf("weight %d to %d is %v; want %v", i, j, got[i][j], want[i][j])
			}
		}
	}
}

// EASE is, of every item, the ridge regression on all others.
func TestEASEIsRegression(t *testing.T) {
	d := synthetic(80, 30, 900, 7)
	w, info, err := TrainEASE(context.Background(), d, EASEParams{Lambda: 2, Items: 100, Keep: 100}, LinearHooks{})
	if err != nil {
		t.Fatal(err)
	}
	likes := make([][]float64, len(d.Users))
	for u := range likes {
		likes[u] = make([]float64, 30)
	}
	for _, s := range d.Samples {
		if s.Weight > 0 {
			likes[s.User][s.Item] = 1
		}
	}
	want := square(30)
	var loss float64
	for j := range 30 {
		var others []int
		for i := range 30 {
			if i != j {
				others = append(others, i)
			}
		}
		a, b := square(29), make([][]float64, 29)
		for r, i := range others {
			b[r] = []float64{0}
			for _, x := range likes {
				for c, k := range others {
					a[r][c] += x[i] * x[k]
				}
				b[r][0] += x[i] * x[j]
			}
			a[r][r] += 2
		}
		x := solveDense(a, b)
		for r, i := range others {
			want[i][j] = x[r][0]
			loss += 2 * x[r][0] * x[r][0]
		}
		for _, l := range likes {
			e := l[j]
			for r, i := range others {
				e -= x[r][0] * l[i]
			}
			loss += e * e
		}
	}
	sameMatrix(t, w.dense(), want)
	if loss /= float64(len(d.Users)); math.Abs(info.Loss-loss) > 1e-3*loss {
		t.Errorf("loss %v; want %v", info.Loss, loss)
	}
}

// The next item is a ridge regression on those before it.
func TestNextItemIsRegression(t *testing.T) {
	d := synthetic(60, 25, 800, 8)
	p := NextItemParams{Lambda: 3, Decay: .7, Window: 4, Items: 100, Keep: 100}
	w, info, err := TrainNextItem(context.Background(), d, p, LinearHooks{})
	if err != nil {
		t.Fatal(err)
	}
	a, b := square(25), square(25)
	rows, squares := 0, 0.
	type row struct {
		x    []float64
		next int32
	}
	var all []row
	for u := range d.Users {
		var sequence []int32
		for _, s := range d.Samples {
			if s.User == int32(u) && s.Weight > 0 && !slices.Contains(sequence, s.Item) {
				sequence = append(sequence, s.Item)
			}
		}
		for at := 1; at < len(sequence); at++ {
			x := make([]float64, 25)
			for k := max(0, at-p.Window); k < at; k++ {
				x[sequence[k]] = math.Pow(p.Decay, float64(at-1-k))
			}
			for i := range 25 {
				for j := range 25 {
					a[i][j] += x[i] * x[j]
				}
				b[i][sequence[at]] += x[i]
			}
			rows++
			all = append(all, row{x, sequence[at]})
		}
	}
	for i := range a {
		a[i][i] += p.Lambda
	}
	want := solveDense(a, b)
	for i := range want {
		for j := range want {
			squares += p.Lambda * want[i][j] * want[i][j]
		}
	}
	for _, r := range all {
		for j := range want {
			e := 0.
			if int32(j) == r.next {
				e = 1
			}
			for i, x := range r.x {
				e -= x * want[i][j]
			}
			squares += e * e
		}
	}
	for i := range want {
		want[i][i] = 0 // what speaks for an item that was just met is not kept
	}
	sameMatrix(t, w.dense(), want)
	if loss := squares / float64(rows); info.Rows != rows || math.Abs(info.Loss-loss) > 1e-3*loss {
		t.Errorf("%d rows with the loss %v; want %d, %v", info.Rows, info.Loss, rows, loss)
	}
}

// Weights do not depend on how many workers there are; few are kept, of few items, and those the right ones.
func TestItemWeightsKeep(t *testing.T) {
	d := synthetic(300, 200, 6000, 9)
	fits := map[string]func(items, keep int) (*ItemWeights, LinearInfo, error){
		"ease": func(items, keep int) (*ItemWeights, LinearInfo, error) {
			return TrainEASE(context.Background(), d, EASEParams{5, items, keep}, LinearHooks{})
		},
		"next item": func(items, keep int) (*ItemWeights, LinearInfo, error) {
			return TrainNextItem(context.Background(), d, NextItemParams{5, .8, 10, items, keep}, LinearHooks{})
		},
		"knn": func(items, keep int) (*ItemWeights, LinearInfo, error) {
			w, err := TrainItemKNN(context.Background(), d, keep, 10)
			return w, LinearInfo{}, err
		},
	}
	for name, fit := range fits {
		var first *ItemWeights
		for _, workers := range []int{1, 2, 5} {
			old := runtime.GOMAXPROCS(workers)
			w, _, err := fit(150, 20)
			runtime.GOMAXPROCS(old)
			if err != nil {
				t.Fatal(err)
			}
			if first == nil {
				first = w
			}
			if fmt.Sprint(w) != fmt.Sprint(first) {
				t.Errorf("%s: %d workers give other weights", name, workers)
			}
		}
		all, _, err := fit(150, 1000)
		if err != nil {
			t.Fatal(err)
		}
		met := map[int32]bool{}
		for i := range int32(200) {
			few, kept := first.Row(i)
			many, weights := all.Row(i)
			if len(few) > 20 || len(many) > 0 && len(few) != min(20, len(many)) || !slices.IsSorted(few) {
				t.Fatalf("%s: of %d weights, %v are kept", name, len(many), few)
			}
			least := float32(math.MaxFloat32)
			for _, w := range kept {
				least = min(least, max(w, -w))
			}
			for k, j := range many {
				met[i], met[j] = true, true
				if at, ok := slices.BinarySearch(few, j); ok && kept[at] != weights[k] || !ok && max(weights[k], -weights[k]) > least {
					t.Fatalf("%s: the weight %v of %d is not among %v %v", name, weights[k], j, few, kept)
				}
			}
		}
		if name != "knn" && len(met) > 150 {
			t.Errorf("%s: weights between %d items", name, len(met))
		}
	}
	for _, lambda := range []float64{0, -1, math.NaN(), math.Inf(1), 1e-60} {
		if _, _, err := TrainEASE(context.Background(), d, EASEParams{lambda, 10, 10}, LinearHooks{}); err == nil || !strings.Contains(err.Error(), "ridge penalty") {
			t.Errorf("penalty %v: %v", lambda, err)
		}
	}
	if _, _, err := TrainEASE(context.Background(), d, EASEParams{1, DenseMax + 1, 10}, LinearHooks{}); err == nil {
		t.Error("too many items are taken")
	}
}

// Without anybody there are no weights, and no error.
func TestItemWeightsOfNothing(t *testing.T) {
	for _, d := range []*Dataset{{}, {Users: []string{"u"}, Items: []string{"i", "j"}}, {Users: []string{"u"}, Items: []string{"i"}, Samples: []Sample{{Weight: 1}}}} {
		e, _, err := TrainEASE(context.Background(), d, EASEParams{1, 10, 10}, LinearHooks{})
		n, _, other := TrainNextItem(context.Background(), d, NextItemParams{1, .5, 3, 10, 10}, LinearHooks{})
		if err != nil || other != nil || len(e.Items) != 0 || len(n.Items) != 0 || e.Rows() != len(d.Items) {
			t.Error(e, n, err, other)
		}
	}
}

// Rows that do not fit together are refused.
func TestItemWeightsFromArtifact(t *testing.T) {
	w := &ItemWeights{Start: []int{0, 2, 2, 3}, Items: []int32{1, 2, 0}, Weight: []float32{.5, -1, 2}}
	read := func(change func(lengths, items []float32)) error {
		a := &Artifact{Tensors: w.Tensors()}
		change(a.Tensors[0].Data, a.Tensors[1].Data)
		got, err := ItemWeightsFromArtifact(a, 3)
		if err == nil && fmt.Sprint(got) != fmt.Sprint(w) {
			t.Error(got)
		}
		return err
	}
	if err := read(func(_, _ []float32) {}); err != nil {
		t.Error(err)
	}
	for what, change := range map[string]func(lengths, items []float32){
		"longer":     func(l, _ []float32) { l[0] = 3 },
		"shorter":    func(l, _ []float32) { l[0] = 1 },
		"half":       func(l, _ []float32) { l[0], l[1] = 1.5, .5 },
		"below":      func(l, _ []float32) { l[0], l[1] = 3, -1 },
		"huge":       func(l, _ []float32) { l[0] = 1e30 },
		"descending": func(_, i []float32) { i[0], i[1] = 2, 1 },
		"twice":      func(_, i []float32) { i[1] = 1 },
		"beyond":     func(_, i []float32) { i[1] = 3 },
		"broken":     func(_, i []float32) { i[1] = 1.5 },
		"negative":   func(_, i []float32) { i[2] = -1 },
		"lying":      func(l, _ []float32) { l[0], l[1], l[2] = 0, 0, 0 },
	} {
		if read(change) == nil {
			t.Errorf("%s: taken", what)
		}
	}
}
