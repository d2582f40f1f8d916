package all_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"flag"
	"fmt"
	"hash/crc32"
	"math"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/projectionist/projectionist/ml"
	"github.com/projectionist/projectionist/ml/online"
	"github.com/projectionist/projectionist/ml/recipe"
	"github.com/projectionist/projectionist/ml/recipe/all"
)

var update = flag.Bool("update", false, "rewrite the goldens of this package: only with a new generation of a recipe's code")

// Versions that people have registered are trained again to the same bytes, on any machine and any number of cores.
func TestGoldenWeights(t *testing.T) {
	var sums bytes.Buffer
	for _, r := range all.Recipes() {
		a, err := ml.DecodeArtifact(weights(t, r))
		if err != nil {
			t.Fatal(err)
		}
		a.Kernel = "amd64-avx2" // all kernels give the same bits, and write their name
		b, err := a.Encode()
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&sums, "%-11s %7d bytes  %x\n", r.Name, len(b), sha256.Sum256(b))
	}
	const path = "testdata/sums.txt"
	if *update {
		if err := os.WriteFile(path, sums.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(sums.Bytes(), want) {
		t.Errorf("%s differs:\n%s\nwant\n%s%v", path, sums.Bytes(), want, err)
	}
}

// damaged is weights with a change at a place, and a checksum that is right again.
func damaged(b []byte, at int, value byte) []byte {
	b = bytes.Clone(b)
	b[at%(len(b)-4)] = value
	return binary.LittleEndian.AppendUint32(b[:len(b)-4], crc32.Checksum(b[:len(b)-4], crc32.MakeTable(crc32.Castagnoli)))
}

// survives reads weights; those that are taken rank, and score with numbers.
func survives(t *testing.T, r *recipe.Recipe, b []byte, in recipe.Input, o *online.Model) {
	m, err := r.Decode(b)
	if err != nil {
		return
	}
	if _, err := m.Encode(); err != nil {
		t.Fatal("taken, and not written again:", err)
	}
	ranker := m.Ranker(in.Films(), nil)
	for _, user := range []string{"u03", "stranger"} {
		q := recipe.Query{User: user, NowMillis: in.Data.Samples[len(in.Data.Samples)-1].Time, K: 5, Explain: recipe.Fully}
		for _, it := range ranker.Rank(o, q).Items {
			if math.IsNaN(float64(it.Score)) {
				t.Fatalf("%s is shown a film with %v", user, it.Score)
			}
		}
	}
	if p, ok := m.(recipe.Predictor); ok {
		for _, user := range []string{"u03", "stranger"} {
			for _, v := range p.Predict(user, []string{"01", "none"}).Ratings {
				if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
					t.Fatalf("%s is told a rating of %v", user, v)
				}
			}
		}
		p.Near("01", 3)
	}
}

// Weights that were changed somewhere, with a right checksum, are refused or rank without a crash.
func TestDamagedWeights(t *testing.T) {
	in := tastes(400)
	o := learned(in)
	rng := rand.New(rand.NewPCG(5, 6))
	for _, r := range all.Recipes() {
		b := weights(t, r)
		head := 16 + int(binary.LittleEndian.Uint32(b[12:]))
		tries := 300
		if r.Name == "blend" {
			tries = 100
		}
		for n := range tries {
			at := rng.IntN(len(b) - 4)
			if n%3 == 0 {
				at = rng.IntN(head)
			}
			survives(t, r, damaged(b, at, byte(rng.Uint32())), in, o)
		}
		a, err := ml.DecodeArtifact(b)
		if err != nil {
			t.Fatal(err)
		}
		for i, tensor := range a.Tensors { // a tensor that is none, is short, or is missing
			if len(tensor.Data) == 0 {
				continue
			}
			for _, to := range []ml.Tensor{{Name: tensor.Name, Shape: []int{len(tensor.Data) - 1}, Data: tensor.Data[1:]}, {Name: "other", Shape: tensor.Shape, Data: tensor.Data}} {
				changed := *a
				changed.Tensors = append([]ml.Tensor(nil), a.Tensors...)
				changed.Tensors[i] = to
				b, err := changed.Encode()
				if err != nil {
					t.Fatal(err)
				}
				if _, err := r.Decode(b); err == nil {
					t.Errorf("%s: taken with %s of %d values called %s", r.Name, tensor.Name, len(to.Data), to.Name)
				}
			}
		}
	}
}

func FuzzDecode(f *testing.F) {
	in := tastes(400)
	o := learned(in)
	recipes := all.Recipes()
	f.Add(uint8(3), uint32(40), byte('9'), uint32(900), byte(0xff))
	f.Fuzz(func(t *testing.T, which uint8, at uint32, value byte, at2 uint32, value2 byte) {
		r := recipes[int(which)%len(recipes)]
		b := weights(t, r)
		b = damaged(damaged(b, int(at%uint32(len(b)-4)), value), int(at2%uint32(len(b)-4)), value2)
		survives(t, r, b, in, o)
	})
}
