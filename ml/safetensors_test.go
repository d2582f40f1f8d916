package ml

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
)

func file(header string, data ...byte) []byte {
	return append(append(binary.LittleEndian.AppendUint64(nil, uint64(len(header))), header...), data...)
}

// written is a file as bytes, of the size that it says.
func written(t *testing.T, f *File, err error) []byte {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if n, err := f.WriteTo(&b); err != nil || n != f.Size() || n != int64(b.Len()) {
		t.Fatalf("%d bytes of %d, %d are there: %v", n, f.Size(), b.Len(), err)
	}
	return b.Bytes()
}

func TestSafetensors(t *testing.T) {
	f := &Safetensors{Tensors: []Tensor{{"a", []int{2, 2}, []float32{1, -2, .5, 4}}, {"b", []int{0}, []float32{}}, {"c", []int{1}, []float32{7}}},
		Metadata: map[string]string{"ids": `["1","é"]`}}
	made, err := f.File()
	b := written(t, made, err)
	if n := binary.LittleEndian.Uint64(b); n%8 != 0 || !bytes.Contains(b, []byte(`"a":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]}`)) {
		t.Errorf("%d, %q", n, b)
	}
	got, err := DecodeSafetensors(b)
	if err != nil || got.Metadata["ids"] != f.Metadata["ids"] || len(got.Tensors) != 3 || got.Tensors[0].Data[2] != .5 || got.Tensors[2].Data[0] != 7 {
		t.Fatalf("%+v, %v", got, err)
	}
	for n := range b {
		if _, err := DecodeSafetensors(b[:n]); err == nil {
			t.Errorf("%d bytes of %d are taken", n, len(b))
		}
	}
	if _, err := DecodeSafetensors(append(b, 0)); err == nil {
		t.Error("more is taken")
	}
}

// The types that PyTorch saves weights in.
func TestSafetensors_Types(t *testing.T) {
	for dtype, data := range map[string][]byte{
		"F16":  {0x00, 0x3e, 0x00, 0xc0, 0x01, 0x00}, // 1.5, -2, 2⁻²⁴
		"BF16": {0xc0, 0x3f, 0x00, 0xc0, 0x80, 0x33}, // 1.5, -2, 2⁻²⁴
		"F32":  {0, 0, 0xc0, 0x3f, 0, 0, 0, 0xc0, 0, 0, 0x80, 0x33},
		"F64":  {0, 0, 0, 0, 0, 0, 0xf8, 0x3f, 0, 0, 0, 0, 0, 0, 0, 0xc0, 0, 0, 0, 0, 0, 0, 0x70, 0x3e},
	} {
		size := map[string]string{"F16": "6", "BF16": "6", "F32": "12", "F64": "24"}[dtype]
		f, err := DecodeSafetensors(file(`{"x":{"dtype":"`+dtype+`","shape":[3],"data_offsets":[0,`+size+`]}}`, data...))
		if err != nil || f.Tensors[0].Data[0] != 1.5 || f.Tensors[0].Data[1] != -2 || f.Tensors[0].Data[2] != float32(math.Ldexp(1, -24)) {
			t.Errorf("%s: %v, %v", dtype, f, err)
		}
	}
}

// many is a header of so many tensors without numbers.
func many(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `%c"%d":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}`, "{,"[min(i, 1)], i)
	}
	return b.String() + "}"
}

func TestSafetensors_Refusals(t *testing.T) {
	nan := []byte{0, 0, 0xc0, 0x7f}
	for header, says := range map[string]string{
		`{`:             "no JSON object",
		`[]`:            "begins with a brace",
		` {}`:           "begins with a brace",
		"{\"\xff\":{}}": "UTF-8",
		`{"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"y":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`: `"y" claims the bytes 0 to 4; those from 4 on are next`,
		`{"x":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}`:                                                      "claims the bytes",
		`{"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4,9]}}`:                                                    "data_offsets are 3 numbers",
		`{"x":{"dtype":"F32","shape":[1],"data_offsets":[0]}}`:                                                        "data_offsets are 1 numbers",
		`{"x":{"dtype":"F32","shape":[1],"data_offsets":[-4,0]}}`:                                                     "data_offsets",
		`{"x":{"dtype":"F32","shape":[1],"data_offsets":[0,99999999999999999999]}}`:                                   "data_offsets",
		`{"x":{"dtype":"F32","shape":[1.5],"data_offsets":[0,4]}}`:                                                    "shape",
		`{"x":{"dtype":"F32","shape":null,"data_offsets":[0,4]}}`:                                                     "want dtype, shape and data_offsets",
		`{"x":{"dtype":"F32","data_offsets":[0,4]}}`:                                                                  "want dtype, shape and data_offsets",
		`{"x":{"dtype":"F32","DTYPE":"F16","shape":[1],"data_offsets":[0,4]}}`:                                        "more than 3 fields",
		`{"x":{"dtype":"F32","dtype":"F32","shape":[1]}}`:                                                             "twice",
		`{"x":7}`:                             "brace",
		`{"__metadata__":{"a":"1","a":"2"}}`:  "twice",
		`{"__metadata__":{"a":null}}`:         `"a" is no text`,
		"{" + strings.Repeat(`"a":{`, 20_000): "no JSON object",
		many(safetensorsTensorsMax + 2):       "more than",
		`{}x`:                                 "more follows",
		`{"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`: "twice",
		`{"x":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}`:                                                      "has 4 bytes, not 8",
		`{"x":{"dtype":"F32","shape":[1],"data_offsets":[0,400]}}`:                                                    "claims the bytes",
		`{"x":{"dtype":"F32","shape":[0],"data_offsets":[4,4]}}`:                                                      "claims the bytes",
		`{"x":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}`:                                                      "follow the last tensor",
		`{"x":{"dtype":"I64","shape":[1],"data_offsets":[0,4]}}`:                                                      `"I64"`,
		`{"x":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}`:                                                     "shape",
		`{"x":{"dtype":"F32","shape":[4000000000,4000000000],"data_offsets":[0,4]}}`:                                  "shape",
		`{"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`:                                                      "finite",
		`{"__metadata__":[1]}`: "__metadata__",
	} {
		if f, err := DecodeSafetensors(file(header, nan...)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, %v; want %q", header, f, err, says)
		}
	}
	lying := file(`{}`)
	binary.LittleEndian.PutUint64(lying, 1<<62)
	if _, err := DecodeSafetensors(lying); err == nil {
		t.Error("a header longer than the file is taken")
	}
	for _, bad := range []Safetensors{
		{Tensors: []Tensor{{"x", []int{2}, []float32{1}}}},
		{Tensors: []Tensor{{"x", []int{1}, []float32{1}}, {"x", []int{1}, []float32{1}}}},
		{Tensors: []Tensor{{"__metadata__", []int{1}, []float32{1}}}},
		{Tensors: []Tensor{{"x", []int{1}, []float32{float32(math.NaN())}}}},
	} {
		if _, err := bad.File(); err == nil {
			t.Errorf("%+v is written", bad)
		}
	}
}

// Where what may come out of a layer is beyond any number, and the next weighs it by 0, there is no number at all: it is refused too.
func TestWeightsBeyondNumbers(t *testing.T) {
	p := smallCF()
	p.Hidden = slices.Repeat([]int{1}, 8)
	m, _ := trainedCF(t, ratedCF(200), p)
	a, err := m.Artifact()
	if err != nil {
		t.Fatal(err)
	}
	f, err := a.Safetensors()
	if err != nil {
		t.Fatal(err)
	}
	for i, tensor := range f.Tensors {
		v := float32(3e38)
		if i == len(f.Tensors)-4 || strings.HasSuffix(tensor.Name, "bias") { // the weights of the last hidden layer
			v = 0
		}
		for k := range tensor.Data {
			tensor.Data[k] = v
		}
	}
	if _, err := NeuralCFFromSafetensors(f); err == nil || !strings.Contains(err.Error(), "may reach") {
		t.Errorf("they are taken: %v", err)
	}
}

// A model that goes through a file predicts the same, and what does not fit is said.
func TestNeuralCFFromSafetensors(t *testing.T) {
	m, _ := trainedCF(t, ratedCF(200), smallCF())
	a, err := m.Artifact()
	if err != nil {
		t.Fatal(err)
	}
	fresh := func() *Safetensors {
		f, err := a.Safetensors()
		if err != nil {
			t.Fatal(err)
		}
		made, err := f.File()
		if f, err = DecodeSafetensors(written(t, made, err)); err != nil {
			t.Fatal(err)
		}
		return f
	}
	same, err := NeuralCFFromSafetensors(fresh())
	if err != nil || !bytes.Equal(encodedCF(t, same), encodedCF(t, m)) {
		t.Fatal("it comes back as another", err)
	}
	foreign := fresh()
	foreign.Metadata = map[string]string{"user_ids": "[" + strings.Repeat("null,", 28) + `7,"x"]`, "movie_ids": foreign.Metadata["movie_ids"]}
	other, err := NeuralCFFromSafetensors(foreign)
	if err != nil || other.Users[28] != "7" || other.Users[29] != "x" || other.Users[0] != "" || other.RatingMax != 0 || !other.KnowsUser("x") || other.KnowsUser("") {
		t.Fatal(other, err)
	}
	var want, got [1]float32
	m.Predict(want[:], "u29", []int32{3})
	if other.Predict(got[:], "x", []int32{3}); got != want {
		t.Errorf("%v, want %v", got, want)
	}
	scaled := fresh()
	scaled.Metadata["params"] = `{"rating_min":2,"rating_max":3}`
	if m, err := NeuralCFFromSafetensors(scaled); err != nil || m.RatingMin != 2 || m.RatingMax != 3 || m.Cut(9) != 3 {
		t.Error("a file that says its scale alone:", err)
	}
	for says, change := range map[string]func(*Safetensors){
		"no tensor user_embedding.weight": func(f *Safetensors) { f.Tensors = f.Tensors[1:] },
		`"mlp.3.weight" has shape`:        func(f *Safetensors) { f.Tensors[4].Shape = []int{9, 5} },
		`"output.bias" has shape`:         func(f *Safetensors) { f.Tensors[9].Shape = []int{1, 1} },
		"11 tensors":                      func(f *Safetensors) { f.Tensors = append(f.Tensors, Tensor{"more", []int{0}, nil}) },
		"0 hidden layers":                 func(f *Safetensors) { f.Tensors[2].Name = "fc.weight" },
		"no user_ids":                     func(f *Safetensors) { delete(f.Metadata, "user_ids") },
		"movie_ids has 1 ids":             func(f *Safetensors) { f.Metadata["movie_ids"] = `["1"]` },
		"more follows it":                 func(f *Safetensors) { f.Metadata["movie_ids"] += "]" },
		"may reach":                       func(f *Safetensors) { f.Tensors[0].Data[3], f.Tensors[2].Data[3] = 3e38, 3e38 },
		"no JSON array":                   func(f *Safetensors) { f.Metadata["movie_ids"] = `{"1":2}` },
		"entry 0 is 1.5":                  func(f *Safetensors) { f.Metadata["movie_ids"] = "[1.5" + strings.Repeat(",1", 19) + "]" },
		`film "1" has the rows 0 and 1`:   func(f *Safetensors) { f.Metadata["movie_ids"] = "[1" + strings.Repeat(",1", 19) + "]" },
		"no scale":                        func(f *Safetensors) { f.Metadata["params"] = `{"rating_min":3,"rating_max":1}` },
	} {
		f := fresh()
		change(f)
		if _, err := NeuralCFFromSafetensors(f); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v; want %q", err, says)
		}
	}
}

// Of a header in which anything is changed, what is taken says where every byte belongs, once.
func TestSafetensors_Lies(t *testing.T) {
	r := newRNG(5)
	dtypes := []string{"F32", "F16", "BF16", "F64", "I32", "", "f32"}
	taken := 0
	for range 20_000 {
		data := make([]byte, 4*r.intn(6))
		entries := map[string]safetensorsEntry{}
		for at, i := uint64(0), 0; i < 1+r.intn(3); i++ {
			n := r.intn(4)
			e := safetensorsEntry{"F32", []int{n}, []uint64{at, at + 4*uint64(n)}}
			at = e.Offsets[1]
			if i == 0 || r.intn(2) == 0 {
				data = make([]byte, at)
			}
			switch r.intn(8) {
			case 0:
				e.DType = dtypes[r.intn(len(dtypes))]
			case 1:
				e.Shape = append(e.Shape, r.intn(3)-1)
			case 2:
				e.Offsets[r.intn(2)] += uint64(r.intn(9)) - 4
			case 3:
				e.Offsets = []uint64{r.next(), r.next()}[:r.intn(3)]
			case 4:
				e.Shape = []int{int(r.next() >> 1)}
			}
			entries[fmt.Sprint("t", i)] = e
		}
		header, err := json.Marshal(entries)
		if err != nil {
			t.Fatal(err)
		}
		f, err := DecodeSafetensors(file(string(header), data...))
		if err != nil {
			continue
		}
		taken++
		covered := uint64(0)
		for _, tensor := range f.Tensors {
			e := entries[tensor.Name]
			size := map[string]int{"F16": 2, "BF16": 2, "F32": 4, "F64": 8}[e.DType]
			if e.Offsets[0] != covered || e.Offsets[1]-e.Offsets[0] != uint64(size*len(tensor.Data)) || fmt.Sprint(e.Shape) != fmt.Sprint(tensor.Shape) {
				t.Fatalf("%s of %d bytes is taken", header, len(data))
			}
			covered = e.Offsets[1]
		}
		if covered != uint64(len(data)) || len(f.Tensors) != len(entries) {
			t.Fatalf("%s of %d bytes is taken", header, len(data))
		}
	}
	if taken < 500 || taken > 15_000 {
		t.Errorf("%d are taken", taken)
	}
}

// Whatever a file is, it is refused, or read to what is written and read again the same; a model in it predicts numbers.
func FuzzDecodeSafetensors(f *testing.F) {
	p := smallCF()
	p.Embedding, p.Hidden = 2, []int{3, 2}
	m, err := NewNeuralCFTrainer(NeuralCFData{Users: []string{"a", ""}, Movies: []string{"b", "c"}}, p)
	if err != nil {
		f.Fatal(err)
	}
	a, err := m.m.Artifact()
	if err != nil {
		f.Fatal(err)
	}
	whole, err := a.Safetensors()
	if err != nil {
		f.Fatal(err)
	}
	made, err := whole.File()
	if err != nil {
		f.Fatal(err)
	}
	var b bytes.Buffer
	if _, err := made.WriteTo(&b); err != nil {
		f.Fatal(err)
	}
	n := binary.LittleEndian.Uint64(b.Bytes())
	f.Add(string(b.Bytes()[8:8+n]), b.Bytes()[8+n:], uint64(n))
	f.Add(`{"x":{"dtype":"BF16","shape":[1],"data_offsets":[0,2]},"y":{"dtype":"F64","shape":[],"data_offsets":[2,10]}}`, make([]byte, 10), uint64(106))
	f.Add(`{"__metadata__":{"a":"b"}}   `, []byte{}, uint64(1)<<63)
	f.Fuzz(func(t *testing.T, header string, data []byte, claimed uint64) {
		raw := file(header, data...)
		if claimed%4 == 1 {
			binary.LittleEndian.PutUint64(raw, claimed)
		}
		got, err := DecodeSafetensors(raw)
		if err != nil {
			return
		}
		if m, err := NeuralCFFromSafetensors(got); err == nil {
			rating := make([]float32, 1)
			for _, user := range append([]string{"nobody"}, m.Users...) {
				if m.Predict(rating, user, []int32{int32(len(m.Movies))}); notFinite(rating) >= 0 {
					t.Fatalf("a model that is taken predicts %v", rating)
				}
			}
			if g, err := m.ONNX(); err != nil || g.Size() == 0 {
				t.Fatal("a model that is taken is no graph:", err)
			}
		}
		for _, tensor := range got.Tensors {
			if len(tensor.Shape) == 0 || tensor.Name == "" { // a scalar is read, and not written
				return
			}
		}
		made, err := got.File()
		again, err := DecodeSafetensors(written(t, made, err))
		if err != nil || len(again.Tensors) != len(got.Tensors) || len(again.Metadata) != len(got.Metadata) {
			t.Fatal("it comes back as another", err)
		}
		for i := range got.Tensors {
			if a, b := again.Tensors[i], got.Tensors[i]; fmt.Sprint(a.Shape) != fmt.Sprint(b.Shape) || len(a.Data) != len(b.Data) {
				t.Fatalf("%+v, was %+v", a, b)
			}
		}
	})
}
