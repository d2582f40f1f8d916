package als

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"fmt"
	"math"
	"os"
	"testing"

	"github.com/projectionist/projectionist/ml"
	"github.com/projectionist/projectionist/ml/online"
	"github.com/projectionist/projectionist/ml/recipe"
	"github.com/projectionist/projectionist/ml/signal"
)

var update = flag.Bool("update", false, "rewrite the goldens of this package: only with a new generation of its code")

// golden compares with testdata/name, which -update writes.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := "testdata/" + name
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs:\n%s\nwant\n%s", path, got, want)
	}
}

// onKernel is an artifact as a machine with AVX2 writes it: all kernels give the same bits but write their name.
func onKernel(t *testing.T, b []byte) []byte {
	t.Helper()
	a, err := ml.DecodeArtifact(b)
	if err != nil {
		t.Fatal(err)
	}
	a.Kernel = "amd64-avx2"
	if b, err = a.Encode(); err != nil {
		t.Fatal(err)
	}
	return b
}

// Versions that people have registered are trained again to the same bytes, and are read as they are.
func TestGoldenBytes(t *testing.T) {
	var sums bytes.Buffer
	for _, test := range []struct {
		name   string
		events int
		change func(*Params)
	}{
		{"small", 300, func(p *Params) { p.ALS.Dim, p.ALS.Sweeps = 8, 4 }},
		{"defaults", 500, func(*Params) {}},
		{"cholesky", 400, func(p *Params) {
			p.ALS.Dim, p.ALS.Sweeps, p.ALS.Solver, p.ALS.Seed, p.ALS.Nu = 12, 3, ml.SolverCholesky, 1<<63+7, .5
			p.ContentTrust, p.ContentLambda, p.HoldoutShare, p.HoldoutEvents, p.ALS.HistoryMax = .5, 2, .3, 40, 5
		}},
	} {
		p := DefaultParams()
		test.change(&p)
		in := groups(test.events)
		in.FeaturesHash = "f00d"
		m, err := train(context.Background(), in, p, recipe.Hooks{})
		if err != nil {
			t.Fatal(err)
		}
		b, err := m.Encode()
		if err != nil {
			t.Fatal(err)
		}
		b = onKernel(t, b)
		sum := sha256.Sum256(b)
		fmt.Fprintf(&sums, "%-8s  als_weight %.2f  %6d bytes  %s\n", test.name, m.Blend.ALSWeight, len(b), hex.EncodeToString(sum[:]))
		if test.name == "small" {
			golden(t, "small.bin", b)
		}
	}
	golden(t, "sums.txt", sums.Bytes())
}

// What a stored version ranks, and how it is explained, stands in events: it does not change either.
func TestGoldenRanking(t *testing.T) {
	for weights, list := range map[string]string{"small.bin": "ranking.txt", "small-3.bin": "ranking-3.txt", "small-2.bin": "ranking-2.txt"} {
		goldenRanking(t, weights, list)
	}
}

func goldenRanking(t *testing.T, weights, list string) {
	b, err := os.ReadFile("testdata/" + weights)
	if err != nil {
		t.Fatal(err)
	}
	m, err := decode(b)
	if err != nil {
		t.Fatal(err)
	}
	in := groups(300)
	model := online.New()
	for i, s := range in.Data.Samples {
		model.Add(in.Data.Users[s.User], in.Data.Items[s.Item], s.Time, uint64(i), in.Signals[i])
	}
	now := int64(300 * 60_000)
	model.Add("x", "00", now, 1, signal.Default().Of("like", 0))
	model.Add("x", "gone", now, 2, signal.Default().Of("like", 0))
	films := recipe.NewFilms(append(filmsOf(in), &recipe.Film{ID: "new", Content: recipe.Content{Genres: []string{"Comedy"}, Year: 2005}}))
	var text bytes.Buffer
	for _, weight := range []float32{m.Blend.ALSWeight, .5} {
		m.Blend.ALSWeight = weight
		r := m.Ranker(films, nil)
		for _, user := range []string{"u00", "u07", "x", "stranger"} {
			q := recipe.Query{User: user, NowMillis: now, K: 6, Explain: recipe.Briefly}
			brief := r.Rank(model, q).Items
			q.Explain = recipe.Fully
			for i, it := range r.Rank(model, q).Items {
				var sum float64
				for _, why := range it.Because {
					sum += float64(why.Score)
				}
				if math.Abs(sum-float64(it.Score)) > 1e-6 {
					t.Errorf("%s: the reasons for %s add up to %v of %v", user, films.At(it.Place).ID, sum, it.Score)
				}
				parts := map[string]float32{}
				for _, p := range it.Parts {
					parts[p.Source] = p.Score
				}
				fmt.Fprintf(&text, "%.1f %s %s %v als %v online %v\n  %v\n  %v\n", weight, user, films.At(it.Place).ID, it.Score,
					parts["als"], parts["online"], brief[i].Because, it.Because)
			}
		}
	}
	golden(t, list, text.Bytes())
}

// A version of generation 2, which chose the share of the factors alone, is read and ranks as it did, and so is one of 3, which did not choose how
// fast popularity is forgotten.
func TestGenerationsBefore(t *testing.T) {
	b, err := os.ReadFile("testdata/small-2.bin")
	if err != nil {
		t.Fatal(err)
	}
	m, err := decode(b)
	if err != nil {
		t.Fatal(err)
	}
	if want := (Blend{m.Blend.ALSWeight, 1, online.Mix{Blend: 1}}); m.Blend != want {
		t.Errorf("%+v", m.Blend)
	}
	a, err := ml.DecodeArtifact(b)
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range [][]float32{{-1, 1, 1, 1, 1}, {0, 0, 0, 0, 0}, {1, 0, 0}} {
		other := *a
		other.Tensors = append(append([]ml.Tensor(nil), a.Tensors...), ml.Tensor{Name: "history_decay", Shape: []int{1}, Data: []float32{1}},
			ml.Tensor{Name: "online_weights", Shape: []int{len(bad)}, Data: bad})
		if b, err := other.Encode(); err != nil {
			t.Fatal(err)
		} else if _, err := decode(b); err == nil {
			t.Errorf("counts weighed %v are taken", bad)
		}
	}
	if b, err = os.ReadFile("testdata/small-3.bin"); err != nil {
		t.Fatal(err)
	}
	if m, err = decode(b); err != nil || m.Blend.Counts.Forget != 0 || m.Figures()["online_forget"] != 1 {
		t.Errorf("%+v %v", m, err)
	}
	if a, err = ml.DecodeArtifact(b); err != nil {
		t.Fatal(err)
	}
	for _, bad := range [][]float32{{1, 1, 1, 1, 1, -1}, {1, 1, 1, 1, 1, 0}, {1, 1, 1, 1, 1}} {
		other := *a
		other.Tensors = append(append([]ml.Tensor(nil), a.Tensors...), ml.Tensor{Name: "online_mix", Shape: []int{len(bad)}, Data: bad})
		if b, err := other.Encode(); err != nil {
			t.Fatal(err)
		} else if _, err := decode(b); err == nil {
			t.Errorf("a mix of %v is taken", bad)
		}
	}
}

func filmsOf(in recipe.Input) []*recipe.Film {
	var list []*recipe.Film
	for _, id := range in.Data.Items {
		list = append(list, &recipe.Film{ID: id, Content: in.Content(id)})
	}
	return list
}
