package main

import (
	"bytes"
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/projectionist/projectionist/ml"
)

func TestHistogram(t *testing.T) {
	read := func(counts ...string) histogram {
		var text bytes.Buffer
		text.WriteString("# TYPE a histogram\na_bucket{route=\"/other\",le=\"0.1\"} 9\n")
		for i, le := range []string{"0.001", "0.01", "+Inf"} {
			text.WriteString(`a_bucket{route="/x",le="` + le + `"} ` + counts[i] + "\n")
		}
		h, err := readHistogram(&text, `a_bucket{route="/x",le="`)
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	h := read("90", "190", "2e+02").since(read("0", "0", "0"))
	if len(h.bounds) != 3 || !math.IsInf(h.bounds[2], 1) {
		t.Fatalf("%v", h)
	}
	h = read("150", "190", "200").since(read("50", "90", "100")) // all of a hundred at most .001
	for p, want := range map[float64]float64{.5: .0005, 1: .001} {
		if got := h.quantile(p); math.Abs(got-want) > 1e-9 {
			t.Errorf("quantile %v is %v, want %v", p, got, want)
		}
	}
	h = read("50", "150", "200").since(read("0", "0", "0"))
	for p, want := range map[float64]float64{.25: .001, .5: .0055, .75: .01, .99: .01} {
		if got := h.quantile(p); math.Abs(got-want) > 1e-9 {
			t.Errorf("quantile %v is %v, want %v", p, got, want)
		}
	}
	if _, err := readHistogram(bytes.NewBufferString("b 1\n"), "a_bucket"); err == nil {
		t.Error("a histogram that is not there was read")
	}
	if got := h.since(h).quantile(.5); !math.IsNaN(got) {
		t.Errorf("the median of nothing is %v", got)
	}
}

// The peer's weights are read row by row; one that differs is told.
func TestSameWeights(t *testing.T) {
	w := &ml.ItemWeights{Start: []int{0, 1, 2}, Items: []int32{1, 0}, Weight: []float32{.5, -.25}}
	path := filepath.Join(t.TempDir(), "weights")
	write := func(values ...float32) {
		var out bytes.Buffer
		if err := binary.Write(&out, binary.LittleEndian, values); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(0, .5, -.25, 0)
	if err := sameWeights(w, path); err != nil {
		t.Error(err)
	}
	write(0, .5, .25, 0)
	if err := sameWeights(w, path); err == nil || !strings.Contains(err.Error(), "film 1 to 0") {
		t.Error(err)
	}
	write(0, float32(math.NaN()), -.25, 0)
	if sameWeights(w, path) == nil {
		t.Error("a weight that is none is the same")
	}
	write(0, .5, -.25)
	if sameWeights(w, path) == nil {
		t.Error("a file of another size is the same")
	}
}

// A data set is read as it is trained on: people and films in order, acts by time, with what they mean.
func TestReadInput(t *testing.T) {
	dir := t.TempDir()
	p := popular{ratings: 2000, people: 50, films: 40, seed: 3}
	if err := p.write(dir); err != nil {
		t.Fatal(err)
	}
	in, err := readInput(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(in.Data.Samples) != p.ratings || len(in.Signals) != p.ratings || len(in.Data.Users) > p.people || len(in.Data.Items) != p.films {
		t.Fatalf("%d acts of %d people and %d films", len(in.Data.Samples), len(in.Data.Users), len(in.Data.Items))
	}
	for i, s := range in.Data.Samples {
		if i > 0 && s.Time < in.Data.Samples[i-1].Time || in.Signals[i].Rating() != float64(s.Rating) || in.Signals[i].Weight() != s.Weight {
			t.Fatalf("act %d is %+v, a %v", i, s, in.Signals[i])
		}
	}
}
