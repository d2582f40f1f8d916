package ml

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
)

// fields are those of a protobuf message: numbers, and bytes as they stand.
type fields map[protowire.Number][]any

func parsed(t *testing.T, b []byte) fields {
	t.Helper()
	all := fields{}
	for len(b) > 0 {
		number, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			t.Fatal(protowire.ParseError(n))
		}
		b = b[n:]
		switch kind {
		case protowire.VarintType:
			v, n := protowire.ConsumeVarint(b)
			if n < 0 {
				t.Fatal(protowire.ParseError(n))
			}
			all[number], b = append(all[number], v), b[n:]
		case protowire.BytesType:
			v, n := protowire.ConsumeBytes(b)
			if n < 0 {
				t.Fatal(protowire.ParseError(n))
			}
			all[number], b = append(all[number], v), b[n:]
		default:
			t.Fatalf("field %d is of wire type %d", number, kind)
		}
	}
	return all
}

func (f fields) text(number protowire.Number) string {
	if len(f[number]) == 0 {
		return ""
	}
	return string(f[number][0].([]byte))
}

func (f fields) texts(number protowire.Number) (all []string) {
	for _, v := range f[number] {
		all = append(all, string(v.([]byte)))
	}
	return all
}

func (f fields) number(number protowire.Number) uint64 {
	if len(f[number]) == 0 {
		return 0
	}
	return f[number][0].(uint64)
}

func (f fields) each(t *testing.T, number protowire.Number) (all []fields) {
	for _, v := range f[number] {
		all = append(all, parsed(t, v.([]byte)))
	}
	return all
}

// matrix is a value of a graph that is run: rows of so many columns.
type matrix struct {
	rows, columns int
	v             []float64
}

// graphRun reads a file as onnx.proto says, and runs it in float64 as the operators are specified.
func graphRun(t *testing.T, file []byte, user, item []int64) (output string, got []float64, metadata map[string]string) {
	t.Helper()
	vector := func(rows []int64) matrix {
		m := matrix{rows: len(rows), columns: 1}
		for _, r := range rows {
			m.v = append(m.v, float64(r))
		}
		return m
	}
	return graphOf(t, file, map[string]matrix{"user": vector(user), "item": vector(item)}, "user 7 n", "item 7 n")
}

// graphOf runs a graph of the inputs that are given, whose names, types and shapes are as want says.
func graphOf(t *testing.T, file []byte, values map[string]matrix, want ...string) (output string, got []float64, metadata map[string]string) {
	t.Helper()
	model := parsed(t, file)
	sets := model.each(t, 8)
	if model.number(1) != 7 || len(sets) != 1 || sets[0].text(1) != "" || sets[0].number(2) != 13 || model.text(2) != "projectionist" {
		t.Errorf("IR version %d, operators %v, producer %s", model.number(1), sets, model.text(2))
	}
	metadata = map[string]string{}
	for _, m := range model.each(t, 14) {
		metadata[m.text(1)] = m.text(2)
	}
	graph := model.each(t, 7)[0]
	if graph.text(2) == "" {
		t.Error("the graph has no name")
	}
	for _, tensor := range graph.each(t, 5) {
		shape := []int{}
		for _, d := range tensor[1] {
			shape = append(shape, int(d.(uint64)))
		}
		raw := tensor[9][0].([]byte)
		m := matrix{rows: 1, columns: 1}
		switch len(shape) {
		case 1:
			m.rows = shape[0]
		case 2:
			m.rows, m.columns = shape[0], shape[1]
		}
		switch tensor.number(2) {
		case 1:
			for i := 0; i < len(raw); i += 4 {
				m.v = append(m.v, float64(math.Float32frombits(binary.LittleEndian.Uint32(raw[i:]))))
			}
		case 7:
			for i := 0; i < len(raw); i += 8 {
				m.v = append(m.v, float64(int64(binary.LittleEndian.Uint64(raw[i:]))))
			}
		}
		if len(m.v) != m.rows*m.columns {
			t.Fatalf("%s of shape %v has %d values", tensor.text(8), shape, len(m.v))
		}
		values[tensor.text(8)] = m
	}
	shapeOf := func(v fields) string {
		tensor := v.each(t, 2)[0].each(t, 1)[0]
		s := fmt.Sprint(v.text(1), " ", tensor.number(1))
		for _, dim := range tensor.each(t, 2)[0].each(t, 1) {
			if s += " " + dim.text(2); dim.text(2) == "" {
				s += fmt.Sprint(dim.number(1))
			}
		}
		return s
	}
	var inputs []string
	for _, in := range graph.each(t, 11) {
		inputs = append(inputs, shapeOf(in))
	}
	outputs := graph.each(t, 12)
	if !slices.Equal(inputs, want) || len(outputs) != 1 || !strings.HasSuffix(shapeOf(outputs[0]), " 1 n") {
		t.Errorf("from %v to %v", inputs, outputs)
	}
	for _, n := range graph.each(t, 1) {
		var in []matrix
		for _, name := range n.texts(1) {
			v, ok := values[name]
			if !ok {
				t.Fatalf("%s reads %s before it is there", n.text(4), name)
			}
			in = append(in, v)
		}
		attributes := map[string]int64{}
		for _, a := range n.each(t, 5) {
			if a.number(20) != 2 {
				t.Errorf("attribute %v", a)
			}
			attributes[a.text(1)] = int64(a.number(3))
		}
		values[n.texts(2)[0]] = operate(t, n.text(4), attributes, in)
	}
	output = outputs[0].text(1)
	return output, values[output].v, metadata
}

func operate(t *testing.T, op string, attributes map[string]int64, in []matrix) matrix {
	t.Helper()
	pairs := func(f func(a, b float64) float64) matrix {
		out := matrix{in[0].rows, in[0].columns, nil}
		for i, a := range in[0].v {
			out.v = append(out.v, f(a, in[1].v[i%len(in[1].v)])) // one for all, or a row for each, is repeated
		}
		return out
	}
	switch op {
	case "Gather":
		out := matrix{len(in[1].v), in[0].columns, nil}
		for _, row := range in[1].v {
			at := (int(row) + in[0].rows) % in[0].rows
			out.v = append(out.v, in[0].v[at*in[0].columns:(at+1)*in[0].columns]...)
		}
		return out
	case "Concat":
		out := matrix{in[0].rows, in[0].columns + in[1].columns, nil}
		for i := range in[0].rows {
			out.v = append(append(out.v, in[0].v[i*in[0].columns:(i+1)*in[0].columns]...), in[1].v[i*in[1].columns:(i+1)*in[1].columns]...)
		}
		if attributes["axis"] != 1 {
			t.Error("Concat along", attributes)
		}
		return out
	case "Gemm": // x·wᵀ + b
		out := matrix{in[0].rows, in[1].rows, nil}
		for i := range in[0].rows {
			for h := range in[1].rows {
				sum := in[2].v[h]
				for c := range in[0].columns {
					sum += in[0].v[i*in[0].columns+c] * in[1].v[h*in[1].columns+c]
				}
				out.v = append(out.v, sum)
			}
		}
		if attributes["transB"] != 1 || in[0].columns != in[1].columns {
			t.Error("Gemm of", in[0].columns, "by", in[1].columns, attributes)
		}
		return out
	case "Relu":
		out := matrix{in[0].rows, in[0].columns, nil}
		for _, v := range in[0].v {
			out.v = append(out.v, max(0, v))
		}
		return out
	case "Squeeze", "ReduceSum":
		out := matrix{in[0].rows, 1, nil}
		for i := range in[0].rows {
			var sum float64
			for _, v := range in[0].v[i*in[0].columns : (i+1)*in[0].columns] {
				sum += v
			}
			out.v = append(out.v, sum)
		}
		if in[1].v[0] != 1 || op == "Squeeze" && in[0].columns != 1 {
			t.Error(op, in)
		}
		return out
	case "Clip":
		out := matrix{in[0].rows, 1, nil}
		for _, v := range in[0].v {
			out.v = append(out.v, max(in[1].v[0], min(v, in[2].v[0])))
		}
		return out
	case "Identity":
		return in[0]
	case "Sub":
		return pairs(func(a, b float64) float64 { return a - b })
	case "Add":
		return pairs(func(a, b float64) float64 { return a + b })
	case "Mul":
		return pairs(func(a, b float64) float64 { return a * b })
	}
	t.Fatalf("an operator %s", op)
	return matrix{}
}

// fixedCF is a model of numbers that nothing was trained for.
func fixedCF(hidden ...int) *NeuralCF {
	p := smallCF()
	p.Hidden = hidden
	m := &NeuralCF{Params: p, Users: []string{"a", "", "é"}, Movies: []string{"1", "2", "3", "4"}, RatingMin: .5, RatingMax: 5, mlp: make([]float32, ncfSize(p))}
	r := newRNG(11)
	numbers := func(v []float32) {
		for i := range v {
			v[i] = 2*r.uniform() - 1
		}
	}
	m.user, m.movie = make([]float32, len(m.Users)*p.Embedding), make([]float32, len(m.Movies)*p.Embedding)
	numbers(m.user)
	numbers(m.movie)
	for _, l := range ncfLayers(p, m.mlp) {
		for h := range l.out {
			numbers(l.w[h*l.stride() : h*l.stride()+l.in])
		}
		numbers(l.b[:l.out])
	}
	return m
}

// A graph gives what the model does, cut to the scale, for whoever has no row too.
func TestNeuralCF_ONNX(t *testing.T) {
	for _, hidden := range [][]int{{9, 5, 3}, {16}, {8, 8}} {
		for _, scale := range []float32{0, .01} {
			m := fixedCF(hidden...)
			m.RatingMin, m.RatingMax = -scale, scale
			if err := m.ready(); err != nil {
				t.Fatal(err)
			}
			made, err := m.ONNX()
			var user, item []int64
			for u := range int64(len(m.Users) + 1) {
				for i := range int64(len(m.Movies) + 1) {
					user, item = append(user, u-1), append(item, i-1)
				}
			}
			output, got, metadata := graphRun(t, written(t, made, err), user, item)
			if output != "rating" || metadata["user_ids"] != `["a","","é"]` || metadata["item_ids"] != `["1","2","3","4"]` {
				t.Errorf("%s, %v", output, metadata)
			}
			beyond := false
			for i := range user {
				name, row := "nobody", []int32{int32(len(m.Movies))}
				if user[i] >= 0 {
					name = m.Users[user[i]]
				}
				if item[i] >= 0 {
					row[0] = int32(item[i])
				}
				if name == "" { // nobody's row has no name to ask by
					continue
				}
				var want [1]float32
				m.Predict(want[:], name, row)
				if math.Abs(got[i]-float64(m.Cut(want[0]))) > 1e-5 {
					t.Errorf("%v, scale %v, rows %d and %d: %v, want %v", hidden, scale, user[i], item[i], got[i], m.Cut(want[0]))
				}
				beyond = beyond || want[0] < -.01 || want[0] > .01
			}
			if !beyond {
				t.Error("no prediction is beyond the scale")
			}
		}
	}
}

func TestFactors_ONNX(t *testing.T) {
	m := &Factors{Users: []string{"a", "b"}, Items: []string{"x", "y", "z"}, Dim: 3, Mean: 3.5, Low: 1, High: 5, UserBias: []float32{.25, -3}, ItemBias: []float32{.5, 0, 2},
		User: []float32{1, 2, 3, -1, .5, 0}, Item: []float32{.1, .2, .3, 0, 0, 1, -.5, .25, 0}}
	user, item := []int64{0, 1, 0, 1, -1, -1, 0, 1}, []int64{0, 1, 2, 2, 2, -1, -1, 0}
	for want, high := range map[string]float32{"rating": 5, "score": 0} {
		if m.High = high; high == 0 {
			m.Low = 0
		}
		made, err := m.ONNX()
		output, got, metadata := graphRun(t, written(t, made, err), user, item)
		if output != want || metadata["user_ids"] != `["a","b"]` || metadata["item_ids"] != `["x","y","z"]` {
			t.Errorf("%s, %v", output, metadata)
		}
		for i := range user {
			v := m.Of(int(user[i]), int(item[i]))
			if high > 0 {
				v = m.Cut(v)
			}
			if math.Abs(got[i]-float64(v)) > 1e-5 {
				t.Errorf("%s of rows %d and %d: %v, want %v", output, user[i], item[i], got[i], v)
			}
		}
		m.Low, m.High = 1, 5
	}
	none, err := (&Factors{Dim: 2}).ONNX()
	if output, got, metadata := graphRun(t, written(t, none, err), []int64{-1}, []int64{-1}); output != "score" || !slices.Equal(got, []float64{0}) || metadata["user_ids"] != "[]" {
		t.Errorf("of nobody: %v %v", got, metadata)
	}
}

func TestMoviePredictor_ONNX(t *testing.T) {
	r := newRNG(2)
	var rows [][]float32
	var stars []float32
	in := matrix{columns: 3}
	for range 60 {
		row := []float32{r.uniform(), 10 * r.uniform(), r.uniform() - 5}
		rows, stars = append(rows, row), append(stars, 7*row[0]) // beyond the scale
		for _, v := range row {
			in.v = append(in.v, float64(v))
		}
		in.rows++
	}
	m, err := TrainMoviePredictor(context.Background(), rows, stars, MLPParams{Hidden: 5, Batch: 4, Epochs: 40, LearningRate: .05, Seed: 1}, nil)
	if err != nil {
		t.Fatal(err)
	}
	made, err := m.ONNX()
	output, got, _ := graphOf(t, written(t, made, err), map[string]matrix{"features": in}, "features 1 n 3")
	cut := 0
	for i, row := range rows {
		want := float64(m.Predict(row))
		if output != "rating" || math.Abs(got[i]-want) > 1e-5 {
			t.Errorf("%s %v, want %v", output, got[i], want)
		}
		if want == predictedMax {
			cut++
		}
	}
	if cut == 0 || cut == len(rows) {
		t.Errorf("%d of %d are cut", cut, len(rows))
	}
}

// The same model is the same file, today and by any later program: a change here is a change for whoever compares hashes.
func TestONNX_SameBytes(t *testing.T) {
	m := fixedCF(9, 5, 3)
	if err := m.ready(); err != nil {
		t.Fatal(err)
	}
	f := &Factors{Users: []string{"a"}, Items: []string{"x"}, Dim: 1, Mean: 3, Low: 1, High: 5, UserBias: []float32{1}, ItemBias: []float32{2}, User: []float32{3}, Item: []float32{4}}
	for want, of := range map[string]func() (*File, error){
		"041a994d749744f81fd3d72c8063cb55ffa41d0f4b9cbd035dabd88cee28410a": m.ONNX,
		"ef4b95ba0f3f4534a04f01621a7a5befce67cdf31ba48e6b26a0fba89bc982b1": f.ONNX,
	} {
		made, err := of()
		first := written(t, made, err)
		made, err = of()
		if again := written(t, made, err); !slices.Equal(first, again) {
			t.Error("two times, two files")
		}
		if got := fmt.Sprintf("%x", sha256.Sum256(first)); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

func TestONNX_Refusals(t *testing.T) {
	for says, change := range map[string]func(*onnxGraph){
		"used twice":           func(g *onnxGraph) { g.constant("user", nil, []float32{1}) },
		"empty":                func(g *onnxGraph) { g.node("Identity", "", nil, "user") },
		"reads \"later\"":      func(g *onnxGraph) { g.node("Identity", "more", nil, "later") },
		"the output \"score\"": func(g *onnxGraph) { g.nodes = nil },
		"holds 1 values":       func(g *onnxGraph) { g.constant("two", []int{2}, []float32{1}) },
		"finite":               func(g *onnxGraph) { g.constant("inf", nil, []float32{float32(math.Inf(1))}) },
		"metadata":             func(g *onnxGraph) { g.metadata["\xff"] = "" },
		"has at most": func(g *onnxGraph) {
			g.constant("large", []int{1 << 29}, make([]float32, 1<<20))
			g.tensors[0].floats = slices.Repeat(g.tensors[0].floats, 1<<9)
		},
	} {
		g, err := onnxPairs("g", "score", []string{"a"}, nil)
		if err != nil {
			t.Fatal(err)
		}
		g.node("Identity", "score", nil, "user")
		change(g)
		if _, err := g.file(); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v; want %q", err, says)
		}
	}
	var ids []string
	g, err := onnxPairs("g", "score", []string{"a\"<"}, nil)
	if err != nil || json.Unmarshal([]byte(g.metadata["user_ids"]), &ids) != nil || ids[0] != "a\"<" {
		t.Error(g, err)
	}
}
