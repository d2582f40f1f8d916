package all_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/ml"
	"github.com/projectionist/projectionist/ml/recipe"
	"github.com/projectionist/projectionist/ml/recipe/all"
)

// The weights of every recipe are a file of tensors, and of those that say so a graph; damaged ones are said to be.
func TestExport(t *testing.T) {
	for _, r := range all.Recipes() {
		b := weights(t, r)
		f, err := all.Export(r.Name, b, all.Safetensors)
		if err != nil {
			t.Fatal(r.Name, err)
		}
		var out bytes.Buffer
		if n, err := f.WriteTo(&out); err != nil || n != f.Size() {
			t.Errorf("%s: %d bytes of %d, %v", r.Name, n, f.Size(), err)
		}
		if got, err := ml.DecodeSafetensors(out.Bytes()); err != nil || len(got.Tensors) == 0 || got.Metadata["kind"] == "" {
			t.Errorf("%s: %v", r.Name, err)
		}
		m, err := r.Decode(b)
		if err != nil {
			t.Fatal(err)
		}
		if _, is := m.(recipe.Graph); is != r.ONNX {
			t.Errorf("%s says %v, its models %v", r.Name, r.ONNX, is)
		}
		f, err = all.Export(r.Name, b, all.ONNX)
		if !r.ONNX {
			if !fault.Is(err, fault.Conflict) || !strings.Contains(err.Error(), r.Name+" is no graph of ONNX; those of "+strings.Join(all.Graphs(), ", ")) {
				t.Errorf("%s: %v", r.Name, err)
			}
			continue
		}
		if err != nil || f.Size() < 100 {
			t.Errorf("%s: %v", r.Name, err)
		}
		for _, format := range []string{all.Safetensors, all.ONNX} {
			if _, err := all.Export(r.Name, b[:len(b)-1], format); !fault.Is(err, fault.Corrupt) {
				t.Errorf("%s, damaged, as %s: %v", r.Name, format, err)
			}
		}
	}
	if _, err := all.Export("neural_cf", nil, "pickle"); !fault.Is(err, fault.Invalid) {
		t.Error(err)
	}
	if _, err := all.Export("magic", weights(t, all.Default()), all.ONNX); !fault.Is(err, fault.Conflict) {
		t.Error(err)
	}
	if _, err := all.Export("movie_predictor", nil, all.ONNX); !fault.Is(err, fault.Corrupt) {
		t.Error(err)
	}
	m, err := ml.TrainMoviePredictor(t.Context(), [][]float32{{1, 2}, {3, 4}}, []float32{3, 4}, ml.MLPParams{Hidden: 4, Batch: 1, Epochs: 1, LearningRate: .1, Seed: 1}, nil)
	if err != nil {
		t.Fatal(err)
	}
	a, err := m.Artifact()
	if err != nil {
		t.Fatal(err)
	}
	b, err := a.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if f, err := all.Export("movie_predictor", b, all.ONNX); err != nil || f.Size() < 100 {
		t.Error("the neural baseline:", err)
	}
	for file, want := range map[string]string{"a.onnx": all.ONNX, "a/b.ONNX": all.ONNX, "onnx": all.Safetensors, "a.safetensors": all.Safetensors, "": all.Safetensors} {
		if got := all.FormatOf(file); got != want {
			t.Errorf("%q: %s", file, got)
		}
	}
}
