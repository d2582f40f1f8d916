package ml

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
)

// nonlinear rows: the rating depends on a product, which no linear model fits.
func nonlinear(n int) (x [][]float32, y []float32) {
	r := newRNG(4)
	for range n {
		f := []float32{r.normal(), r.normal(), 1990 + 20*r.uniform(), 7}
		x, y = append(x, f), append(y, 2.5+f[0]*f[1])
	}
	return
}

func TestMoviePredictor(t *testing.T) {
	ctx := context.Background()
	x, y := nonlinear(2000)
	p := DefaultMLPParams()
	p.Epochs = 20
	var reports []EpochReport
	m, err := TrainMoviePredictor(ctx, x, y, p, func(r EpochReport) { reports = append(reports, r) })
	if err != nil {
		t.Fatal(err)
	}
	first, last := reports[0], reports[len(reports)-1]
	if len(reports) != 20 || last.Epoch != 20 || last.Of != 20 || last.TrainRows != 1600 || last.ValidationRows != 400 {
		t.Fatalf("%d reports, the last %+v", len(reports), last)
	}
	if first.ValidationLoss < .5 || last.ValidationLoss > .15 || last.TrainLoss > .15 {
		t.Fatalf("loss from %+v to %+v: it learns too little, or knew before", first, last)
	}

	t.Run("Deterministic", func(t *testing.T) {
		again, err := TrainMoviePredictor(ctx, x, y, p, nil)
		if err != nil || !slices.Equal(again.weights, m.weights) {
			t.Fatal("other weights", err)
		}
		q := p
		q.Seed++
		other, err := TrainMoviePredictor(ctx, x, y, q, nil)
		if err != nil || slices.Equal(other.weights, m.weights) {
			t.Fatal("another seed, the same weights", err)
		}
	})
	t.Run("Artifact", func(t *testing.T) {
		a, err := m.Artifact()
		if err != nil {
			t.Fatal(err)
		}
		b, err := a.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if a, err = DecodeArtifact(b); err != nil {
			t.Fatal(err)
		}
		read, err := MoviePredictorFromArtifact(a)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range x[:50] {
			if got, want := read.Predict(f), m.Predict(f); got != want || got < 0 || got > 5 {
				t.Fatalf("%v, want %v", got, want)
			}
		}
		a.Tensors = a.Tensors[1:]
		if _, err := MoviePredictorFromArtifact(a); err == nil || !strings.Contains(err.Error(), "input.mean") {
			t.Fatal(err)
		}
	})
	t.Run("Err", func(t *testing.T) {
		nan := float32(math.NaN())
		cancelled, cancel := context.WithCancel(ctx)
		cancel()
		if _, err := TrainMoviePredictor(cancelled, x, y, p, nil); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		for want, rows := range map[string][][]float32{"no rows": {}, "row 1": {{1}, {1, 2}}, "row 0": {{nan}}, "empty": {{}}} {
			if _, err := TrainMoviePredictor(ctx, rows, make([]float32, len(rows)), p, nil); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%v, want one that names %q", err, want)
			}
		}
		err := MLPParams{ValidationShare: 1}.Validate()
		for _, field := range []string{"hidden", "batch", "epochs", "learning_rate", "validation_share"} {
			if err == nil || !strings.Contains(err.Error(), field) {
				t.Errorf("%s is not named in: %v", field, err)
			}
		}
	})
}

// TestMoviePredictorGradient compares one step's gradient with differences of the loss: Adam's first
// step moves every weight by the learning rate against the sign of its gradient.
func TestMoviePredictorGradient(t *testing.T) {
	x, y := nonlinear(8)
	p := MLPParams{Hidden: 5, Batch: 8, Epochs: 1, LearningRate: 1e-4, Seed: 2}
	var before float64
	after, err := TrainMoviePredictor(context.Background(), x, y, p, func(r EpochReport) { before = r.TrainLoss })
	if err != nil {
		t.Fatal(err)
	}
	loss := func() (sum float64) {
		in, h := make([]float32, padded(after.Features)), make([]float32, padded(p.Hidden))
		for i, f := range x {
			after.input(in, f)
			e := float64(after.forward(h, in) - y[i])
			sum += e * e
		}
		return sum / float64(len(x))
	}
	if now := loss(); !(now < before) {
		t.Fatalf("one step changes the loss from %v to %v", before, now)
	}
	p.LearningRate = 1e-9 // so that the weights are those of the start
	start, err := TrainMoviePredictor(context.Background(), x, y, p, nil)
	if err != nil {
		t.Fatal(err)
	}
	moved := after.weights
	after = start
	checked := 0
	for i := range start.weights {
		const h = 1e-2
		w := start.weights[i]
		start.weights[i] = w + h
		up := loss()
		start.weights[i] = w - h
		down := loss()
		start.weights[i] = w
		if slope := (up - down) / (2 * h); math.Abs(slope) > .02 {
			checked++
			if step := float64(moved[i] - w); !near(step, -1e-4*math.Copysign(1, slope), 2e-6) {
				t.Errorf("weight %d: slope %v, step %v", i, slope, step)
			}
		}
	}
	if checked < 10 {
		t.Fatalf("only %d weights matter", checked)
	}
}
