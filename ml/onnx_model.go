package ml

import (
	"encoding/json"
	"strconv"
)

// Names of what goes into a graph of ONNX and comes out: rows of people and films, and a number for each pair. The lists
// of ids by row are JSON arrays in the metadata, "user_ids" and "item_ids". The row -1 is of whoever, or whatever, has
// none: it stands for the mean person or film as the model takes them.
const (
	onnxUser, onnxItem       = "user", "item"
	onnxUserIDs, onnxItemIDs = "user_ids", "item_ids"
	onnxRating, onnxScore    = "rating", "score"
)

// onnxPairs is a graph of pairs of a person and a film, without nodes.
func onnxPairs(name, output string, users, items []string) (*onnxGraph, error) {
	g := &onnxGraph{name: name, inputs: []onnxValue{{onnxUser, onnxInt64, 0}, {onnxItem, onnxInt64, 0}}, outputs: []onnxValue{{output, onnxFloat, 0}}, metadata: map[string]string{}}
	for key, ids := range map[string][]string{onnxUserIDs: users, onnxItemIDs: items} {
		if ids == nil {
			ids = []string{}
		}
		b, err := json.Marshal(ids)
		if err != nil {
			return nil, err
		}
		g.metadata[key] = string(b)
	}
	return g, nil
}

func (g *onnxGraph) constant(name string, shape []int, pieces ...[]float32) string {
	g.tensors = append(g.tensors, onnxTensor{name: name, shape: shape, floats: pieces})
	return name
}

// axis is an axis as operators of set 13 take it.
func (g *onnxGraph) axis(name string, of int64) string {
	g.tensors = append(g.tensors, onnxTensor{name: name, shape: []int{1}, ints: []int64{of}})
	return name
}

func (g *onnxGraph) node(op, output string, attributes map[string]int64, inputs ...string) string {
	g.nodes = append(g.nodes, onnxNode{op, inputs, output, attributes})
	return output
}

// cut ends the graph: the output is a value within a scale; a scale from 0 to 0 is none.
func (g *onnxGraph) cut(value, output string, low, high float32) {
	if low == 0 && high == 0 {
		g.node("Identity", output, nil, value)
		return
	}
	g.node("Clip", output, nil, value, g.constant("rating_min", nil, []float32{low}), g.constant("rating_max", nil, []float32{high}))
}

// ONNX is the model as a graph from rows of people and films, int64[n] each, to ratings, float32[n], cut to the scale.
// Its tensors are named as in PyTorch; those of embeddings have a last row for whoever has none.
func (m *NeuralCF) ONNX() (*File, error) {
	g, err := onnxPairs("neural_cf", onnxRating, m.Users, m.Movies)
	if err != nil {
		return nil, err
	}
	e := m.Params.Embedding
	users := g.constant(ncfUsers, []int{len(m.Users) + 1, e}, m.user, m.anyUser)
	movies := g.constant(ncfMovies, []int{len(m.Movies) + 1, e}, m.movie, meanRow(m.movie, m.Movies, e))
	x := g.node("Concat", "pair", map[string]int64{"axis": 1},
		g.node("Gather", "user_embedding", nil, users, onnxUser), g.node("Gather", "movie_embedding", nil, movies, onnxItem))
	hidden := len(m.Params.Hidden)
	for i, l := range ncfLayers(m.Params, m.mlp) {
		w := g.constant(ncfTensor(i, hidden, "weight"), []int{l.out, l.in}, unpadRows(l.w, l.out, l.in))
		b := g.constant(ncfTensor(i, hidden, "bias"), []int{l.out}, l.b[:l.out])
		x = g.node("Gemm", "linear_"+strconv.Itoa(i), map[string]int64{"transB": 1}, x, w, b)
		if i < hidden {
			x = g.node("Relu", "hidden_"+strconv.Itoa(i), nil, x)
		}
	}
	g.cut(g.node("Squeeze", "prediction", nil, x, g.axis("axis_1", 1)), onnxRating, m.RatingMin, m.RatingMax)
	return g.file()
}

// ONNX is the model as a graph from rows of people and films, int64[n] each, to its numbers, float32[n]: "rating", cut to
// the scale, or "score" where it predicts none. Tensors have a last row, of zeros, for whoever was not learned.
func (m *Factors) ONNX() (*File, error) {
	output := onnxScore
	if m.High > 0 {
		output = onnxRating
	}
	g, err := onnxPairs("factors", output, m.Users, m.Items)
	if err != nil {
		return nil, err
	}
	none := make([]float32, m.Dim)
	of := func(what, row string, factors, bias []float32) (vector, own string) {
		n := len(bias) + 1
		return g.node("Gather", what+"_vector", nil, g.constant(what+"_factors", []int{n, m.Dim}, factors, none), row),
			g.node("Gather", what+"_own", nil, g.constant(what+"_bias", []int{n}, bias, none[:1]), row)
	}
	user, userBias := of("user", onnxUser, m.User, m.UserBias)
	item, itemBias := of("item", onnxItem, m.Item, m.ItemBias)
	product := g.node("ReduceSum", "product", map[string]int64{"keepdims": 0}, g.node("Mul", "products", nil, user, item), g.axis("axis_1", 1))
	biases := g.node("Add", "biases", nil, userBias, itemBias)
	base := g.node("Add", "base", nil, biases, g.constant("mean", nil, []float32{m.Mean}))
	g.cut(g.node("Add", "prediction", nil, base, product), output, m.Low, m.High)
	return g.file()
}

// ONNX is the predictor as a graph from "features", float32[n, Features] in the order that it was trained on, to "rating",
// float32[n], as [MoviePredictor.Predict] gives it. Its tensors are named as in PyTorch.
func (m *MoviePredictor) ONNX() (*File, error) {
	g := &onnxGraph{name: "movie_predictor", inputs: []onnxValue{{"features", onnxFloat, m.Features}}, outputs: []onnxValue{{onnxRating, onnxFloat, 0}}}
	w1, b1, w2, b2 := m.layout(m.weights)
	h, f := m.Params.Hidden, m.Features
	x := g.node("Sub", "centred", nil, "features", g.constant("input.mean", []int{f}, m.mean))
	x = g.node("Mul", "standardised", nil, x, g.constant("input.scale", []int{f}, m.scale))
	x = g.node("Gemm", "linear_0", map[string]int64{"transB": 1}, x, g.constant("fc1.weight", []int{h, f}, unpadRows(w1, h, f)), g.constant("fc1.bias", []int{h}, b1[:h]))
	x = g.node("Relu", "hidden_0", nil, x)
	x = g.node("Gemm", "linear_1", map[string]int64{"transB": 1}, x, g.constant("fc2.weight", []int{1, h}, w2[:h]), g.constant("fc2.bias", []int{1}, b2))
	g.cut(g.node("Squeeze", "prediction", nil, x, g.axis("axis_1", 1)), onnxRating, 0, predictedMax)
	return g.file()
}
