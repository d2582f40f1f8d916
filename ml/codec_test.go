package ml

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"slices"
	"strings"
	"testing"
)

func sampleArtifact() *Artifact {
	return &Artifact{
		Kind: "test", Kernel: "go", FeatureHash: "ab<&>", Params: json.RawMessage(`{"b": 1, "a": "x<y"}`),
		Tensors: []Tensor{{"factors", []int{2, 3}, []float32{1, 2, 3, 4, -5.5, 0}}, {"empty", []int{0, 4}, nil}, {"prior", []int{1}, []float32{7}}},
		Strings: []StringList{{"items", []string{"a", "", "Fantômas", "日本"}}, {"none", nil}},
	}
}

func TestArtifact(t *testing.T) {
	a := sampleArtifact()
	b, err := a.Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := DecodeArtifact(b)
	if err != nil {
		t.Fatal(err)
	}
	again, err := got.Encode()
	if err != nil || !bytes.Equal(again, b) {
		t.Fatal("decoded and encoded again, the bytes differ", err)
	}
	if got.Kind != "test" || got.Kernel != "go" || got.FeatureHash != "ab<&>" {
		t.Fatal(got)
	}
	var params struct{ A string }
	if err := json.Unmarshal(got.Params, &params); err != nil || params.A != "x<y" {
		t.Fatal(params, err)
	}
	factors, err := got.Tensor("factors", 2, 3)
	if err != nil || !slices.Equal(factors, a.Tensors[0].Data) {
		t.Fatal(factors, err)
	}
	items, err := got.List("items")
	if err != nil || !slices.Equal(items, a.Strings[0].Values) {
		t.Fatal(items, err)
	}
	for _, err := range []error{second(got.Tensor("factors", 3, 2)), second(got.Tensor("items", 1)), second(got.List("factors"))} {
		if err == nil {
			t.Error("a missing or ill-shaped part is returned")
		}
	}
	if min, err := (&Artifact{}).Encode(); err != nil {
		t.Error(err)
	} else if _, err := DecodeArtifact(min); err != nil {
		t.Error(err)
	}
}

func second[T any](_ T, err error) error { return err }

func TestArtifactErrEncode(t *testing.T) {
	for want, change := range map[string]func(*Artifact){
		"shape":        func(a *Artifact) { a.Tensors[0].Shape = []int{2, 2} },
		"finite":       func(a *Artifact) { a.Tensors[0].Data[3] = float32(math.NaN()) },
		"used twice":   func(a *Artifact) { a.Tensors[1].Name = "items" },
		"empty":        func(a *Artifact) { a.Strings[0].Name = "" },
		"UTF-8":        func(a *Artifact) { a.Strings[0].Values[1] = "\xff" },
		"header":       func(a *Artifact) { a.Params = json.RawMessage(`{`) },
		"feature hash": func(a *Artifact) { a.FeatureHash = "\xff" },
	} {
		a := sampleArtifact()
		change(a)
		if _, err := a.Encode(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want one that says %q", err, want)
		}
	}
}

func TestArtifactErrDecode(t *testing.T) {
	b, err := sampleArtifact().Encode()
	if err != nil {
		t.Fatal(err)
	}
	for n := range b {
		if _, err := DecodeArtifact(b[:n]); !errors.Is(err, ErrArtifact) {
			t.Fatalf("cut to %d bytes: %v", n, err)
		}
		flipped := bytes.Clone(b)
		flipped[n] ^= 1
		if _, err := DecodeArtifact(flipped); !errors.Is(err, ErrArtifact) {
			t.Fatalf("byte %d flipped: %v", n, err)
		}
	}
	if _, err := DecodeArtifact(append(bytes.Clone(b), 0)); !errors.Is(err, ErrArtifact) {
		t.Fatal("a byte too many is taken", err)
	}
	newer := bytes.Clone(b)
	newer[len(artifactMagic)] = 2
	if _, err := DecodeArtifact(newer); err == nil || !strings.Contains(err.Error(), "version is 2") {
		t.Fatal(err)
	}
	for want, header := range map[string]string{
		"larger":  `{"tensors":[{"name":"a","shape":[2147483647,2147483647,2]}]}`,
		"longer":  `{"tensors":[{"name":"a","shape":[500000000]}]}`,
		"shape":   `{"tensors":[{"name":"a","shape":[-1]}]}`,
		"claims":  `{"strings":[{"name":"a","count":1000000000}]}`,
		"unknown": `{"extra":1}`,
		"other":   `{}{}`,
		"twice":   `{"tensors":[{"name":"a","shape":[0]}],"strings":[{"name":"a","count":0}]}`,
	} {
		_, err := DecodeArtifact(rawArtifact([]byte(header), nil))
		if !errors.Is(err, ErrArtifact) || want != "larger" && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", header, err)
		}
	}
	nan := binary.LittleEndian.AppendUint32(nil, math.Float32bits(float32(math.NaN())))
	if _, err := DecodeArtifact(rawArtifact([]byte(`{"tensors":[{"name":"a","shape":[1]}]}`), nan)); !errors.Is(err, ErrArtifact) {
		t.Error(err)
	}
}

// rawArtifact frames header and body, with a valid checksum.
func rawArtifact(header, body []byte) []byte {
	b := append([]byte(artifactMagic), artifactVersion, 0, 0, 0)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(header)))
	b = append(append(b, header...), body...)
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

func FuzzDecodeArtifact(f *testing.F) {
	b, err := sampleArtifact().Encode()
	if err != nil {
		f.Fatal(err)
	}
	n := binary.LittleEndian.Uint32(b[12:])
	f.Add(b[16:16+n], b[16+n:len(b)-4])
	f.Add([]byte(`{"strings":[{"name":"a","count":2}]}`), []byte{1, 'x', 0xff})
	f.Add([]byte(`{"params":{"a":[1]},"tensors":[{"name":"a","shape":[1,1]}]}`), []byte{0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, header, body []byte) {
		raw := rawArtifact(header, body)
		a, err := DecodeArtifact(raw)
		if err != nil {
			if !errors.Is(err, ErrArtifact) {
				t.Fatal(err)
			}
			return
		}
		first, err := a.Encode()
		if err != nil {
			t.Fatalf("decoded, but cannot be encoded: %v", err)
		}
		b, err := DecodeArtifact(first)
		if err != nil {
			t.Fatal(err)
		}
		second, err := b.Encode()
		if err != nil || !bytes.Equal(first, second) {
			t.Fatal("encoding is not stable", err)
		}
	})
}

func TestALSArtifact(t *testing.T) {
	m := mustTrain(t, synthetic(60, 40, 900, 5), smallParams())
	encode := func(m *ALS) []byte {
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
	b := encode(m)
	a, err := DecodeArtifact(b)
	if err != nil {
		t.Fatal(err)
	}
	read, err := ALSFromArtifact(a)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(encode(read), b) {
		t.Fatal("the model read back encodes to other bytes")
	}
	history, weights := []int32{1, 5, 7}, []float32{1, 2, 1}
	sameBits(t, "fold-in", read.FoldIn(history, weights), m.FoldIn(history, weights))
	if fmt.Sprint(read.Items) != fmt.Sprint(m.Items) || read.Params != m.Params || a.Kernel != Kernel() {
		t.Fatal("parameters, items or kernel differ")
	}
	a.Params = json.RawMessage(`{"dim": 21}`)
	if _, err := ALSFromArtifact(a); err == nil {
		t.Fatal("parameters out of range are taken")
	}
}
