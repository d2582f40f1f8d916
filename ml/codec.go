package ml

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"strings"
	"unicode/utf8"
)

// Artifact is what a trained model is stored as: named tensors and string lists, with what is
// needed to refuse the wrong ones. The same Artifact always encodes to the same bytes:
//
//	magic    8 bytes "PROJMODL"
//	version  uint32, 1
//	length   uint32, of the header
//	header   JSON: kind, kernel, feature_hash, params, tensors (name, shape), strings (name, count)
//	tensors  float32 each, row-major, in the order of the header
//	strings  per list and string: uvarint length, UTF-8 bytes
//	crc      uint32, CRC-32C of all before
//
// Integers and floats are little-endian. A change to the format raises the version, and
// [DecodeArtifact] keeps reading the older ones.
type Artifact struct {
	Kind        string          // what the model is, e.g. "ials"
	Kernel      string          // [Kernel] of the machine that trained it
	FeatureHash string          // hash of the feature definitions it was trained with, or ""
	Params      json.RawMessage // parameters, a JSON value
	Tensors     []Tensor
	Strings     []StringList
}

// Tensor is an array of finite float32, row-major; len(Data) is the product of Shape.
type Tensor struct {
	Name  string
	Shape []int
	Data  []float32
}

// Parameters is how many numbers the tensors have, but for the statistics of a model's input, "input.…".
func (a *Artifact) Parameters() (n int) {
	for _, t := range a.Tensors {
		if !strings.HasPrefix(t.Name, "input.") {
			n += len(t.Data)
		}
	}
	return n
}

// StringList is a named list of UTF-8 strings.
type StringList struct {
	Name   string
	Values []string
}

const (
	artifactMagic   = "PROJMODL"
	artifactVersion = 1
	headerMax       = 16 << 20 // a header holds names and parameters only
	rankMax         = 8
)

type artifactHeader struct {
	Kind        string          `json:"kind"`
	Kernel      string          `json:"kernel"`
	FeatureHash string          `json:"feature_hash"`
	Params      json.RawMessage `json:"params"`
	Tensors     []tensorHeader  `json:"tensors"`
	Strings     []stringsHeader `json:"strings"`
}

type tensorHeader struct {
	Name  string `json:"name"`
	Shape []int  `json:"shape"`
}

type stringsHeader struct {
	Name  string `json:"name"`
	Count int    `json:"count"`
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Encode returns the artifact's bytes. Errors: a name that is empty or used twice, a shape that
// does not fit its data, a value that is not finite, a string that is not UTF-8, Params that are not JSON.
func (a *Artifact) Encode() ([]byte, error) {
	h := artifactHeader{
		Kind: a.Kind, Kernel: a.Kernel, FeatureHash: a.FeatureHash, Params: a.Params,
		Tensors: []tensorHeader{}, Strings: []stringsHeader{},
	}
	if len(h.Params) == 0 {
		h.Params = json.RawMessage("null")
	}
	size := 0
	for _, t := range a.Tensors {
		shape := append([]int{}, t.Shape...)
		h.Tensors = append(h.Tensors, tensorHeader{t.Name, shape})
		n, err := volume(shape)
		if err != nil || n != len(t.Data) {
			return nil, fmt.Errorf("ml: tensor %q of shape %v holds %d values", t.Name, t.Shape, len(t.Data))
		}
		if i := notFinite(t.Data); i >= 0 {
			return nil, fmt.Errorf("ml: tensor %q, value %d is %v: only finite numbers are stored", t.Name, i, t.Data[i])
		}
		size += 4 * n
	}
	for _, l := range a.Strings {
		h.Strings = append(h.Strings, stringsHeader{l.Name, len(l.Values)})
		for i, s := range l.Values {
			if !utf8.ValidString(s) {
				return nil, fmt.Errorf("ml: list %q, string %d is not UTF-8", l.Name, i)
			}
			size += len(s) + binary.MaxVarintLen64
		}
	}
	if err := h.validate(); err != nil {
		return nil, err
	}
	header, err := json.Marshal(h)
	if err != nil {
		return nil, fmt.Errorf("ml: header of artifact: %w", err)
	}
	if len(header) > headerMax {
		return nil, fmt.Errorf("ml: header of %d bytes, at most %d: keep params small", len(header), headerMax)
	}
	out := make([]byte, 0, len(artifactMagic)+12+len(header)+size)
	out = append(out, artifactMagic...)
	out = binary.LittleEndian.AppendUint32(out, artifactVersion)
	out = binary.LittleEndian.AppendUint32(out, uint32(len(header)))
	out = append(out, header...)
	for _, t := range a.Tensors {
		for _, v := range t.Data {
			out = binary.LittleEndian.AppendUint32(out, math.Float32bits(v))
		}
	}
	for _, l := range a.Strings {
		for _, s := range l.Values {
			out = binary.AppendUvarint(out, uint64(len(s)))
			out = append(out, s...)
		}
	}
	return binary.LittleEndian.AppendUint32(out, crc32.Checksum(out, castagnoli)), nil
}

// ErrArtifact is wrapped by every error of [DecodeArtifact].
var ErrArtifact = errors.New("not a valid model artifact")

// DecodeArtifact reads what [Artifact.Encode] wrote. Whatever it is given, it returns an artifact
// that would encode, or an error that wraps [ErrArtifact].
func DecodeArtifact(b []byte) (*Artifact, error) {
	a, err := decodeArtifact(b)
	if err != nil {
		return nil, fmt.Errorf("ml: %w: %w", ErrArtifact, err)
	}
	return a, nil
}

func decodeArtifact(b []byte) (*Artifact, error) {
	const fixed = len(artifactMagic) + 8
	if len(b) < fixed+4 || string(b[:len(artifactMagic)]) != artifactMagic {
		return nil, fmt.Errorf("it does not begin with %q", artifactMagic)
	}
	if v := binary.LittleEndian.Uint32(b[len(artifactMagic):]); v != artifactVersion {
		return nil, fmt.Errorf("its format version is %d, this program reads %d: use a newer program", v, artifactVersion)
	}
	body, sum := b[:len(b)-4], binary.LittleEndian.Uint32(b[len(b)-4:])
	if crc32.Checksum(body, castagnoli) != sum {
		return nil, errors.New("its checksum is wrong: it was damaged or cut short")
	}
	n := binary.LittleEndian.Uint32(b[len(artifactMagic)+4:])
	if n > headerMax || int(n) > len(body)-fixed {
		return nil, fmt.Errorf("its header claims %d bytes", n)
	}
	var h artifactHeader
	dec := json.NewDecoder(bytes.NewReader(body[fixed : fixed+int(n)]))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&h); err != nil {
		return nil, fmt.Errorf("its header: %w", err)
	}
	if dec.InputOffset() != int64(n) {
		return nil, errors.New("its header is followed by other bytes")
	}
	if err := h.validate(); err != nil {
		return nil, err
	}
	rest := body[fixed+int(n):]
	a := &Artifact{Kind: h.Kind, Kernel: h.Kernel, FeatureHash: h.FeatureHash, Params: h.Params}
	if len(a.Params) == 0 {
		a.Params = json.RawMessage("null")
	}
	for _, t := range h.Tensors {
		count, err := volume(t.Shape)
		if err != nil || count > len(rest)/4 {
			return nil, fmt.Errorf("tensor %q of shape %v is longer than the file", t.Name, t.Shape)
		}
		data := make([]float32, count)
		for i := range data {
			data[i] = math.Float32frombits(binary.LittleEndian.Uint32(rest[4*i:]))
		}
		if i := notFinite(data); i >= 0 {
			return nil, fmt.Errorf("tensor %q, value %d is %v", t.Name, i, data[i])
		}
		rest = rest[4*count:]
		a.Tensors = append(a.Tensors, Tensor{t.Name, t.Shape, data})
	}
	for _, l := range h.Strings {
		if l.Count < 0 || l.Count > len(rest) {
			return nil, fmt.Errorf("list %q claims %d strings", l.Name, l.Count)
		}
		values := make([]string, l.Count)
		for i := range values {
			size, w := binary.Uvarint(rest)
			if w <= 0 || size > uint64(len(rest)-w) || !utf8.Valid(rest[w:w+int(size)]) {
				return nil, fmt.Errorf("list %q, string %d is cut short or not UTF-8", l.Name, i)
			}
			values[i] = string(rest[w : w+int(size)])
			rest = rest[w+int(size):]
		}
		a.Strings = append(a.Strings, StringList{l.Name, values})
	}
	if len(rest) != 0 {
		return nil, fmt.Errorf("%d bytes follow the last string", len(rest))
	}
	return a, nil
}

func (h *artifactHeader) validate() error {
	if !utf8.ValidString(h.Kind) || !utf8.ValidString(h.Kernel) || !utf8.ValidString(h.FeatureHash) {
		return errors.New("ml: kind, kernel or feature hash is not UTF-8")
	}
	seen := map[string]bool{}
	check := func(name string) error {
		if name == "" || seen[name] || !utf8.ValidString(name) {
			return fmt.Errorf("ml: the name %q is empty, not UTF-8 or used twice", name)
		}
		seen[name] = true
		return nil
	}
	for _, t := range h.Tensors {
		if err := check(t.Name); err != nil {
			return err
		}
	}
	for _, l := range h.Strings {
		if err := check(l.Name); err != nil {
			return err
		}
	}
	return nil
}

// volume is how many values a tensor of this shape holds.
func volume(shape []int) (int, error) {
	if len(shape) == 0 || len(shape) > rankMax {
		return 0, fmt.Errorf("a shape of %d dimensions: give 1 to %d", len(shape), rankMax)
	}
	n := 1
	for _, d := range shape {
		if d < 0 || d > math.MaxInt32 || d > 0 && n > math.MaxInt32/d {
			return 0, fmt.Errorf("shape %v is too large", shape)
		}
		n *= d
	}
	return n, nil
}

// Tensor returns the data of the named tensor, which must have this shape.
func (a *Artifact) Tensor(name string, shape ...int) ([]float32, error) {
	for _, t := range a.Tensors {
		if t.Name != name {
			continue
		}
		if fmt.Sprint(t.Shape) != fmt.Sprint(shape) {
			return nil, fmt.Errorf("ml: tensor %q has shape %v, not %v", name, t.Shape, shape)
		}
		return t.Data, nil
	}
	return nil, fmt.Errorf("ml: the artifact of kind %q has no tensor %q", a.Kind, name)
}

// List returns the named list of strings.
func (a *Artifact) List(name string) ([]string, error) {
	for _, l := range a.Strings {
		if l.Name == name {
			return l.Values, nil
		}
	}
	return nil, fmt.Errorf("ml: the artifact of kind %q has no list %q", a.Kind, name)
}
