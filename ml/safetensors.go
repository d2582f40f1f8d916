package ml

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"unicode/utf8"
)

// Safetensors is a file of tensors as PyTorch and others exchange them (https://github.com/huggingface/safetensors):
//
//	length   uint64, of the header
//	header   JSON object: of each tensor dtype, shape and its bytes from and to, "__metadata__" text by name
//	tensors  row-major, one after the other without gaps
//
// Integers and floats are little-endian. Tensors are written as F32 in the order given; F16, BF16, F32 and F64 are read.
type Safetensors struct {
	Tensors  []Tensor
	Metadata map[string]string
}

// safetensorsHeaderMax is the format's own limit. A file of more than safetensorsTensorsMax tensors is no model's: each costs
// more to read than its place in the header.
const (
	safetensorsHeaderMax  = 100_000_000
	safetensorsTensorsMax = 4096
)

const safetensorsMetadata = "__metadata__"

type safetensorsEntry struct {
	DType   string   `json:"dtype"`
	Shape   []int    `json:"shape"`
	Offsets []uint64 `json:"data_offsets"` // from and to, behind the header
}

// File makes the file. Errors: those of [Artifact.Encode] for its tensors.
func (f *Safetensors) File() (*File, error) {
	var header bytes.Buffer
	field := func(name string, v any) error {
		if header.Len() > 1 {
			header.WriteByte(',')
		}
		key, err := json.Marshal(name)
		if err != nil {
			return err
		}
		value, err := json.Marshal(v)
		if err != nil {
			return err
		}
		header.Write(key)
		header.WriteByte(':')
		header.Write(value)
		return nil
	}
	header.WriteByte('{')
	if len(f.Metadata) > 0 {
		if err := field(safetensorsMetadata, f.Metadata); err != nil {
			return nil, err
		}
	}
	seen, at := map[string]bool{safetensorsMetadata: true, "": true}, uint64(0)
	for _, t := range f.Tensors {
		n, err := volume(t.Shape)
		switch {
		case err != nil || n != len(t.Data):
			return nil, fmt.Errorf("ml: tensor %q of shape %v holds %d values", t.Name, t.Shape, len(t.Data))
		case seen[t.Name] || !utf8.ValidString(t.Name):
			return nil, fmt.Errorf("ml: the name %q is empty, not UTF-8 or used twice", t.Name)
		case notFinite(t.Data) >= 0:
			return nil, fmt.Errorf("ml: tensor %q: only finite numbers are stored", t.Name)
		}
		seen[t.Name] = true
		end := at + 4*uint64(n)
		if err := field(t.Name, safetensorsEntry{"F32", t.Shape, []uint64{at, end}}); err != nil {
			return nil, err
		}
		at = end
	}
	header.WriteByte('}')
	for header.Len()%8 != 0 { // so that the tensors can be mapped
		header.WriteByte(' ')
	}
	if header.Len() > safetensorsHeaderMax {
		return nil, fmt.Errorf("ml: a header of %d bytes; the format has at most %d", header.Len(), safetensorsHeaderMax)
	}
	file := &File{}
	file.addBytes(binary.LittleEndian.AppendUint64(nil, uint64(header.Len())))
	file.addBytes(header.Bytes())
	for _, t := range f.Tensors {
		file.addFloats(t.Data)
	}
	return file, nil
}

// DecodeSafetensors reads a file whole. Tensors come in the order of their bytes. Errors: a file that is cut short, a
// header that is none or does not say where every byte belongs, a type of number that is not read, values that are
// not finite as float32.
func DecodeSafetensors(b []byte) (*Safetensors, error) {
	if len(b) < 8 {
		return nil, errors.New("ml: no safetensors file: it is shorter than 8 bytes")
	}
	n := binary.LittleEndian.Uint64(b)
	if n > safetensorsHeaderMax || n > uint64(len(b)-8) {
		return nil, fmt.Errorf("ml: no safetensors file: its header claims %d bytes of %d", n, len(b)-8)
	}
	header, data := b[8:8+n], b[8+n:]
	if len(header) == 0 || header[0] != '{' || !utf8.Valid(header) {
		return nil, errors.New("ml: no safetensors file: its header is no UTF-8 that begins with a brace")
	}
	raw, err := objectFields(header, safetensorsTensorsMax+1)
	if err != nil {
		return nil, fmt.Errorf("ml: the file's header is no JSON object of tensors: %w", err)
	}
	f := &Safetensors{}
	if m, ok := raw[safetensorsMetadata]; ok {
		if f.Metadata, err = safetensorsTexts(m); err != nil {
			return nil, fmt.Errorf("ml: %s of the file is not text by name: %w", safetensorsMetadata, err)
		}
		delete(raw, safetensorsMetadata)
	}
	entries := make(map[string]safetensorsEntry, len(raw))
	for _, name := range slices.Sorted(maps.Keys(raw)) { // in order, so that of several errors the same is told
		e, err := safetensorsEntryOf(raw[name])
		if err != nil {
			return nil, fmt.Errorf("ml: tensor %.60q in the file's header: %w", name, err)
		}
		entries[name] = e
	}
	names := slices.SortedFunc(maps.Keys(entries), func(a, b string) int {
		x, y := entries[a].Offsets, entries[b].Offsets
		return cmp.Or(cmp.Compare(x[0], y[0]), cmp.Compare(x[1], y[1]), cmp.Compare(a, b))
	})
	at := uint64(0)
	for _, name := range names {
		e := entries[name]
		if e.Offsets[0] != at || e.Offsets[1] < at || e.Offsets[1] > uint64(len(data)) {
			return nil, fmt.Errorf("ml: tensor %.60q claims the bytes %d to %d; those from %d on are next, of %d", name, e.Offsets[0], e.Offsets[1], at, len(data))
		}
		at = e.Offsets[1]
	}
	if at != uint64(len(data)) {
		return nil, fmt.Errorf("ml: %d bytes follow the last tensor", uint64(len(data))-at)
	}
	for _, name := range names {
		e := entries[name]
		t, err := safetensorsTensor(name, e, data[e.Offsets[0]:e.Offsets[1]])
		if err != nil {
			return nil, err
		}
		f.Tensors = append(f.Tensors, t)
	}
	return f, nil
}

// objectFields reads a JSON object of at most so many fields; one that is there twice is an error.
func objectFields(object []byte, most int) (map[string]json.RawMessage, error) {
	d := json.NewDecoder(bytes.NewReader(object))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, errors.Join(err, errors.New("it does not begin with a brace"))
	}
	all := map[string]json.RawMessage{}
	for d.More() {
		if len(all) == most {
			return nil, fmt.Errorf("it has more than %d fields", most)
		}
		name, err := d.Token()
		if err != nil {
			return nil, err
		}
		key, _ := name.(string)
		var v json.RawMessage
		if err := d.Decode(&v); err != nil {
			return nil, err
		}
		if _, twice := all[key]; twice {
			return nil, fmt.Errorf("it has %.60q twice", key)
		}
		all[key] = v
	}
	if _, err := d.Token(); err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("more follows it")
	}
	return all, nil
}

// safetensorsTexts reads the metadata: texts by name.
func safetensorsTexts(object []byte) (map[string]string, error) {
	raw, err := objectFields(object, safetensorsTensorsMax)
	if err != nil {
		return nil, err
	}
	texts := make(map[string]string, len(raw))
	for _, name := range slices.Sorted(maps.Keys(raw)) {
		var text *string
		if err := json.Unmarshal(raw[name], &text); err != nil || text == nil {
			return nil, fmt.Errorf("%.60q is no text", name)
		}
		texts[name] = *text
	}
	return texts, nil
}

// safetensorsEntryOf reads what the header says of a tensor: dtype, shape and data_offsets, each once, and no more.
func safetensorsEntryOf(object []byte) (e safetensorsEntry, err error) {
	raw, err := objectFields(object, 3)
	if err != nil {
		return e, err
	}
	for _, field := range []struct {
		name string
		to   any
	}{{"dtype", &e.DType}, {"shape", &e.Shape}, {"data_offsets", &e.Offsets}} {
		v, ok := raw[field.name]
		if !ok || string(v) == "null" {
			return e, errors.New("want dtype, shape and data_offsets, and nothing else")
		}
		if err := json.Unmarshal(v, field.to); err != nil {
			return e, fmt.Errorf("%s: %w", field.name, err)
		}
	}
	if len(e.Offsets) != 2 {
		return e, fmt.Errorf("data_offsets are %d numbers; want where its bytes begin and end", len(e.Offsets))
	}
	return e, nil
}

func safetensorsTensor(name string, e safetensorsEntry, b []byte) (Tensor, error) {
	t := Tensor{Name: name, Shape: e.Shape}
	n := 1
	if len(e.Shape) > 0 { // a scalar has no shape
		var err error
		if n, err = volume(e.Shape); err != nil {
			return t, fmt.Errorf("ml: tensor %.60q: %w", name, err)
		}
	}
	size := map[string]int{"F16": 2, "BF16": 2, "F32": 4, "F64": 8}[e.DType]
	if size == 0 {
		return t, fmt.Errorf("ml: tensor %.60q has numbers of type %.20q: F32, F64, F16 and BF16 are read", name, e.DType)
	}
	if len(b) != n*size {
		return t, fmt.Errorf("ml: tensor %.60q of shape %v and type %s has %d bytes, not %d", name, e.Shape, e.DType, len(b), n*size)
	}
	t.Data = make([]float32, n)
	for i := range t.Data {
		at := b[i*size:]
		switch e.DType {
		case "F16":
			t.Data[i] = half(binary.LittleEndian.Uint16(at))
		case "BF16":
			t.Data[i] = math.Float32frombits(uint32(binary.LittleEndian.Uint16(at)) << 16)
		case "F32":
			t.Data[i] = math.Float32frombits(binary.LittleEndian.Uint32(at))
		case "F64":
			t.Data[i] = float32(math.Float64frombits(binary.LittleEndian.Uint64(at)))
		}
	}
	if i := notFinite(t.Data); i >= 0 {
		return t, fmt.Errorf("ml: tensor %.60q, value %d is %v: want finite numbers", name, i, t.Data[i])
	}
	return t, nil
}

// half is a number of IEEE 754's binary16.
func half(v uint16) float32 {
	sign, exponent, fraction := float32(1), int(v>>10&31), float32(v&1023)
	if v>>15 == 1 {
		sign = -1
	}
	switch exponent {
	case 0:
		return sign * float32(math.Ldexp(float64(fraction), -24))
	case 31:
		return float32(math.NaN())
	}
	return sign * float32(math.Ldexp(float64(1024+fraction), exponent-25))
}

// Safetensors is the artifact as others read it: its tensors, and in the metadata its lists as JSON arrays beside kind,
// params and feature hash.
func (a *Artifact) Safetensors() (*Safetensors, error) {
	f := &Safetensors{Tensors: a.Tensors, Metadata: map[string]string{"format": "pt", metadataKind: a.Kind, metadataParams: string(a.Params)}}
	if a.FeatureHash != "" {
		f.Metadata[metadataFeatures] = a.FeatureHash
	}
	for _, l := range a.Strings {
		b, err := json.Marshal(l.Values)
		if err != nil {
			return nil, err
		}
		f.Metadata[l.Name] = string(b)
	}
	return f, nil
}

const metadataKind, metadataParams, metadataFeatures = "kind", "params", "feature_hash"

// NeuralCFFromSafetensors reads a NeuralCF from a file that [NeuralCF.Artifact] or a PyTorch module of the same names
// has made: sizes are those of its tensors, people and films the lists user_ids and movie_ids of its metadata, of as
// many entries as their embedding has rows (text or whole numbers; null is nobody). Errors name what does not fit.
func NeuralCFFromSafetensors(f *Safetensors) (*NeuralCF, error) {
	a := &Artifact{Kind: ncfKind, Tensors: f.Tensors}
	shapes := map[string][]int{}
	for _, t := range f.Tensors {
		shapes[t.Name] = t.Shape
	}
	m := &NeuralCF{Params: DefaultNeuralCFParams()}
	if err := m.readHeader(f); err != nil {
		return nil, err
	}
	user, movie := shapes[ncfUsers], shapes[ncfMovies]
	for _, name := range []string{ncfUsers, ncfMovies} {
		if len(shapes[name]) != 2 {
			return nil, fmt.Errorf("ml: the file has no tensor %s of two dimensions; it has %s", name, namesOf(f.Tensors))
		}
	}
	m.Params.Embedding, m.Params.Hidden = user[1], nil
	for i := range ncfLayersMax + 1 {
		shape := shapes[ncfTensor(i, -1, "weight")]
		if len(shape) == 0 {
			break
		}
		m.Params.Hidden = append(m.Params.Hidden, shape[0])
	}
	if err := m.Params.Validate(); err != nil {
		return nil, err
	}
	if want := 4 + 2*len(m.Params.Hidden); len(f.Tensors) != want {
		return nil, fmt.Errorf("ml: the file has %d tensors, a model of %d hidden layers has %d: %s", len(f.Tensors), len(m.Params.Hidden), want, namesOf(f.Tensors))
	}
	var err error
	if m.Users, err = idsOf(f, ncfUserIDs, user[0]); err != nil {
		return nil, err
	}
	if m.Movies, err = idsOf(f, ncfMovieIDs, movie[0]); err != nil {
		return nil, err
	}
	if err := m.take(a); err != nil {
		return nil, err
	}
	return m, m.ready()
}

// readHeader takes over what a file of kind "neural-cf" says of its training in params, a JSON object: rating_min and
// rating_max, the scale that predictions are cut to, and parameters. Another one has no word of it.
func (m *NeuralCF) readHeader(f *Safetensors) error {
	if f.Metadata[metadataKind] != ncfKind {
		return nil
	}
	header := ncfHeader{NeuralCFParams: m.Params}
	if err := json.Unmarshal([]byte(f.Metadata[metadataParams]), &header); err != nil {
		return fmt.Errorf("ml: params in the file's metadata: %w", err)
	}
	if !finite(header.RatingMin) || !finite(header.RatingMax) || header.RatingMin > header.RatingMax {
		return fmt.Errorf("ml: ratings from %v to %v in the file's metadata are no scale", header.RatingMin, header.RatingMax)
	}
	m.Params, m.Info, m.RatingMin, m.RatingMax = header.NeuralCFParams, header.Info, header.RatingMin, header.RatingMax
	return nil
}

func namesOf(tensors []Tensor) string {
	const most = 20
	var names []string
	for _, t := range tensors[:min(most, len(tensors))] {
		names = append(names, fmt.Sprintf("%.60s%v", t.Name, t.Shape))
	}
	return fmt.Sprint(names)
}

// idsOf reads a list of ids from the metadata, of as many entries as there are rows.
func idsOf(f *Safetensors, name string, rows int) ([]string, error) {
	text, ok := f.Metadata[name]
	if !ok {
		return nil, fmt.Errorf("ml: the file's %s has no %s: want a JSON array with the id of each of %d rows", safetensorsMetadata, name, rows)
	}
	var raw []any
	d := json.NewDecoder(bytes.NewReader([]byte(text)))
	d.UseNumber()
	err := d.Decode(&raw)
	if _, end := d.Token(); err == nil && end != io.EOF {
		err = errors.New("more follows it")
	}
	if err != nil {
		return nil, fmt.Errorf("ml: %s in the file's metadata is no JSON array: %w", name, err)
	}
	if len(raw) != rows {
		return nil, fmt.Errorf("ml: %s has %d ids, its embedding %d rows", name, len(raw), rows)
	}
	ids := make([]string, rows)
	for i, v := range raw {
		switch v := v.(type) {
		case nil:
		case string:
			ids[i] = v
		case json.Number:
			if _, err := v.Int64(); err != nil {
				return nil, fmt.Errorf("ml: %s, entry %d is %s: want text or a whole number", name, i, v)
			}
			ids[i] = v.String()
		default:
			return nil, fmt.Errorf("ml: %s, entry %d is neither text nor a number", name, i)
		}
	}
	return ids, nil
}
