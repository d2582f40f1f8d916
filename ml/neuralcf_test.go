package ml

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"strings"
	"testing"
)

// smallCF are parameters of a network that is trained in milliseconds.
func smallCF() NeuralCFParams {
	p := DefaultNeuralCFParams()
	p.Embedding, p.Hidden, p.Batch, p.Epochs, p.Patience, p.LearningRate = 6, []int{9, 5, 3}, 40, 6, 0, .01
	return p
}

// ratedCF is people of two tastes who rate films of two kinds.
func ratedCF(n int) NeuralCFData {
	r := newRNG(7)
	d := NeuralCFData{Validation: n / 5}
	for i := range 30 {
		d.Users = append(d.Users, fmt.Sprint("u", i))
	}
	for i := range 20 {
		d.Movies = append(d.Movies, fmt.Sprint("m", i))
	}
	for range n {
		u, m := int32(r.intn(30)), int32(r.intn(20))
		d.Ratings = append(d.Ratings, NeuralCFRating{u, m, []float32{4.5, 1.5}[(u+m)%2] + .5*r.uniform()})
	}
	return d
}

func trainedCF(t *testing.T, d NeuralCFData, p NeuralCFParams) (*NeuralCF, []EpochReport) {
	t.Helper()
	trainer, err := NewNeuralCFTrainer(d, p)
	if err != nil {
		t.Fatal(err)
	}
	var reports []EpochReport
	for !trainer.Done() {
		r, err := trainer.Epoch(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		reports = append(reports, r)
	}
	m, err := trainer.Model()
	if err != nil {
		t.Fatal(err)
	}
	return m, reports
}

func encodedCF(t *testing.T, m *NeuralCF) []byte {
	t.Helper()
	a, err := m.Artifact()
	if err != nil {
		t.Fatal(err)
	}
	b, err := a.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// predictCF is what a person would rate a film, in float64, straight from the tensors as PyTorch's module does.
func predictCF(a *Artifact, user, movie int) float64 {
	tensor := map[string]Tensor{}
	for _, t := range a.Tensors {
		tensor[t.Name] = t
	}
	var x []float64
	for _, of := range []struct {
		name string
		row  int
	}{{"user_embedding.weight", user}, {"movie_embedding.weight", movie}} {
		e := tensor[of.name]
		for _, v := range e.Data[of.row*e.Shape[1] : (of.row+1)*e.Shape[1]] {
			x = append(x, float64(v))
		}
	}
	linear := func(name string) []float64 {
		w, b := tensor[name+".weight"], tensor[name+".bias"]
		y := make([]float64, w.Shape[0])
		for h := range y {
			y[h] = float64(b.Data[h])
			for c, v := range x {
				y[h] += v * float64(w.Data[h*w.Shape[1]+c])
			}
		}
		return y
	}
	for i := 0; ; i += 3 {
		name := fmt.Sprintf("mlp.%d", i)
		if _, ok := tensor[name+".weight"]; !ok {
			return linear("output")[0]
		}
		x = linear(name)
		for c, v := range x {
			x[c] = max(0, v)
		}
	}
}

// The guide's sizes have the guide's number of parameters.
func TestNeuralCF_Parameters(t *testing.T) {
	d := NeuralCFData{Users: make([]string, 100), Movies: make([]string, 1000)}
	m, _ := trainedCF(t, d, DefaultNeuralCFParams())
	if n := m.Parameters(); n != 97_281 {
		t.Errorf("%d parameters", n)
	}
	a, err := DecodeArtifact(encodedCF(t, m))
	if err != nil {
		t.Fatal(err)
	}
	if n := a.Parameters(); n != 97_281 {
		t.Errorf("%d numbers in the artifact", n)
	}
}

func TestNeuralCF_Learns(t *testing.T) {
	p := smallCF()
	p.Epochs, p.Dropout, p.Hidden, p.Batch = 40, .1, []int{24, 12}, 16
	m, reports := trainedCF(t, ratedCF(600), p)
	first, last := reports[0], reports[len(reports)-1]
	if !(last.TrainLoss < first.TrainLoss/3) || first.TrainRows != 480 || first.ValidationRows != 120 {
		t.Errorf("%+v, then %+v", first, last)
	}
	if !(m.Info.RMSE < .6) || !(m.Info.MAE <= m.Info.RMSE) {
		t.Errorf("%+v", m.Info)
	}
	got := make([]float32, 2)
	m.Predict(got, "u3", []int32{0, 1})
	if got[1] < got[0]+1 {
		t.Errorf("who likes odd films is told %v", got)
	}
	best := math.Inf(1)
	for _, r := range reports {
		best = min(best, r.ValidationLoss)
	}
	if math.Abs(m.Info.RMSE-math.Sqrt(best)) > 1e-12 {
		t.Errorf("kept %v, the best epoch had %v", m.Info.RMSE, math.Sqrt(best))
	}
}

// Predictions are those of PyTorch's module with the same tensors, whatever the sizes.
func TestNeuralCF_Predict(t *testing.T) {
	for _, hidden := range [][]int{{9, 5, 3}, {16}, {8, 8}} {
		p := smallCF()
		p.Hidden = hidden
		m, _ := trainedCF(t, ratedCF(300), p)
		a, err := m.Artifact()
		if err != nil {
			t.Fatal(err)
		}
		got := make([]float32, 3)
		m.Predict(got, "u5", []int32{0, 7, 19})
		for i, movie := range []int{0, 7, 19} {
			if want := predictCF(a, 5, movie); math.Abs(float64(got[i])-want) > 1e-5 {
				t.Errorf("hidden %v, film %d: %v, want %v", hidden, movie, got[i], want)
			}
		}
	}
}

// What training steps along is the gradient of the loss.
func TestNeuralCF_Gradient(t *testing.T) {
	p := smallCF()
	p.Dropout = 0
	d := ratedCF(50)
	trainer, err := NewNeuralCFTrainer(d, p)
	if err != nil {
		t.Fatal(err)
	}
	m := trainer.m
	batch := d.Ratings[:20]
	s := newNCFScratch(p, len(batch), true)
	s.forward(m, batch, nil)
	s.backward(m, batch, len(batch))
	loss := func() float64 {
		a, err := m.Artifact()
		if err != nil {
			t.Fatal(err)
		}
		var sum float64
		for _, r := range batch {
			e := predictCF(a, int(r.User), int(r.Movie)) - float64(r.Rating)
			sum += e * e
		}
		return sum / float64(len(batch))
	}
	check := func(name string, weight *float32, got float32) {
		const h = 1e-3
		was := *weight
		*weight = was + h
		up := loss()
		*weight = was - h
		down := loss()
		*weight = was
		if want := (up - down) / (2 * h); math.Abs(want-float64(got)) > 2e-3*(1+math.Abs(want)) {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	for k, l := range ncfLayers(p, m.mlp) {
		for h := range l.out {
			check(fmt.Sprint("bias of layer ", k), &l.b[h], s.layers[k].b[h])
			for c := range l.in {
				check(fmt.Sprint("weight of layer ", k), &l.w[h*l.stride()+c], s.layers[k].w[h*l.stride()+c])
			}
		}
	}
	for i, r := range batch {
		trainer.user.add(r.User, s.delta[0][i*padded(12):][:6])
		trainer.movie.add(r.Movie, s.delta[0][i*padded(12):][6:12])
	}
	for _, r := range batch[:5] {
		for c := range 6 {
			check("person", &m.user[int(r.User)*6+c], trainer.user.gradient[int(r.User)*6+c])
			check("film", &m.movie[int(r.Movie)*6+c], trainer.movie.gradient[int(r.Movie)*6+c])
		}
	}
}

// The same ratings and parameters give the same bytes, on however many cores, and gone on with from any epoch.
func TestNeuralCF_SameBytes(t *testing.T) {
	p := smallCF()
	p.Batch = 200 // several pieces
	d := ratedCF(500)
	m, _ := trainedCF(t, d, p)
	want := encodedCF(t, m)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	for _, cores := range []int{1, 3} {
		runtime.GOMAXPROCS(cores)
		if m, _ := trainedCF(t, d, p); !bytes.Equal(encodedCF(t, m), want) {
			t.Errorf("other bytes on %d cores", cores)
		}
	}
	trainer, err := NewNeuralCFTrainer(d, p)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := trainer.Checkpoint(); err == nil {
		t.Error("a checkpoint of nothing")
	}
	for !trainer.Done() {
		if _, err := trainer.Epoch(context.Background()); err != nil {
			t.Fatal(err)
		}
		saved, err := trainer.Checkpoint()
		if err != nil {
			t.Fatal(err)
		}
		next, err := NewNeuralCFTrainer(d, p)
		if err != nil {
			t.Fatal(err)
		}
		if err := next.Restore(saved); err != nil {
			t.Fatal(err)
		}
		for !next.Done() {
			if _, err := next.Epoch(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
		m, err := next.Model()
		if err != nil || !bytes.Equal(encodedCF(t, m), want) {
			t.Errorf("other bytes from epoch %d on: %v", trainer.Epochs(), err)
		}
		other := ratedCF(501)
		if next, err = NewNeuralCFTrainer(other, p); err != nil || next.Restore(saved) == nil {
			t.Error("a checkpoint of other ratings is taken", err)
		}
		if next, err = NewNeuralCFTrainer(d, DefaultNeuralCFParams()); err != nil || next.Restore(saved) == nil || next.Restore(saved[:len(saved)-1]) == nil {
			t.Error("a checkpoint of other parameters, or half of one, is taken", err)
		}
	}
}

func TestNeuralCF_Patience(t *testing.T) {
	p := smallCF()
	p.Epochs, p.Patience, p.LearningRate = 1000, 2, .05
	m, reports := trainedCF(t, ratedCF(200), p)
	if n := len(reports); n >= 1000 || n != m.Info.Epoch+2 {
		t.Errorf("%d epochs, the best %d", n, m.Info.Epoch)
	}
}

func TestNeuralCF_Refusals(t *testing.T) {
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	trainer, err := NewNeuralCFTrainer(ratedCF(200), smallCF())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := trainer.Epoch(ended); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if _, err := trainer.Model(); err == nil {
		t.Error("half an epoch is a model")
	}
	for what, change := range map[string]func(*NeuralCFData, *NeuralCFParams){
		"validation": func(d *NeuralCFData, _ *NeuralCFParams) { d.Validation = 1000 },
		"rating 3":   func(d *NeuralCFData, _ *NeuralCFParams) { d.Ratings[3].User = 30 },
		"embedding":  func(_ *NeuralCFData, p *NeuralCFParams) { p.Embedding = 0 },
		"batch":      func(_ *NeuralCFData, p *NeuralCFParams) { p.Batch = 1 << 20 },
		"dropout":    func(_ *NeuralCFData, p *NeuralCFParams) { p.Dropout = 1 },
		"hidden":     func(_ *NeuralCFData, p *NeuralCFParams) { p.Hidden = nil },
	} {
		d, p := ratedCF(200), smallCF()
		change(&d, &p)
		if _, err := NewNeuralCFTrainer(d, p); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: %v", what, err)
		}
	}
	p := smallCF()
	p.LearningRate, p.Epochs = 1, 200
	d := ratedCF(200)
	for i := range d.Ratings {
		d.Ratings[i].Rating *= 1e18
	}
	if trainer, err = NewNeuralCFTrainer(d, p); err != nil {
		t.Fatal(err)
	}
	for err == nil && !trainer.Done() {
		_, err = trainer.Epoch(context.Background())
	}
	if err == nil || !strings.Contains(err.Error(), "diverged") {
		t.Error("training that diverges says", err)
	}
}

func TestNeuralCF_Near(t *testing.T) {
	p := smallCF()
	p.Epochs = 30
	m, _ := trainedCF(t, ratedCF(900), p)
	near := m.Near("m4", 5)
	if len(near) != 5 || m.Near("nope", 5) != nil || len(m.Near("m4", 100)) != 19 {
		t.Fatal(near)
	}
	for i, n := range near {
		if n.Index%2 != 0 || n.Score > 1 || i > 0 && n.Score > near[i-1].Score {
			t.Errorf("like an even film: %+v", near)
		}
	}
}
