package ml

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// onnxGraph is a model as others run it: a graph of operators in the protobuf form of ONNX (onnx.proto,
// https://github.com/onnx/onnx/blob/main/docs/IR.md). Nodes stand in the order in which they are computed. The same graph
// is always written to the same bytes.
type onnxGraph struct {
	name            string
	inputs, outputs []onnxValue
	nodes           []onnxNode
	tensors         []onnxTensor // what is learned, and other constants
	metadata        map[string]string
}

// onnxValue is an input or output: as many numbers as are asked for, or rows of so many columns.
type onnxValue struct {
	name    string
	kind    uint64 // onnxFloat or onnxInt64
	columns int    // 0: a vector
}

// onnxNode computes one output from inputs by an operator of the default set.
type onnxNode struct {
	op     string
	inputs []string
	output string
	ints   map[string]int64 // attributes
}

// onnxTensor is a constant: of float32, row-major and in pieces that follow each other, or of int64. No shape is a scalar.
type onnxTensor struct {
	name   string
	shape  []int
	floats [][]float32
	ints   []int64
}

// What is written: IR version 7 with operators of set 13 (ONNX 1.8, 2020), which runtimes since then read.
const (
	onnxIR       = 7
	onnxOperator = 13
	onnxFloat    = 1 // TensorProto.DataType
	onnxInt64    = 7
	onnxIntKind  = 2 // AttributeProto.AttributeType
	onnxRows     = "n"
)

// onnxSizeMax is what protobuf allows a message.
const onnxSizeMax = math.MaxInt32

// Numbers of fields of onnx.proto.
const (
	fieldModelIR, fieldModelProducer, fieldModelGraph, fieldModelOperators, fieldModelMetadata                                 = 1, 2, 7, 8, 14
	fieldGraphNode, fieldGraphName, fieldGraphTensor, fieldGraphInput, fieldGraphOutput                                        = 1, 2, 5, 11, 12
	fieldNodeInput, fieldNodeOutput, fieldNodeName, fieldNodeOperator, fieldNodeAttribute                                      = 1, 2, 3, 4, 5
	fieldAttributeName, fieldAttributeInt, fieldAttributeType                                                                  = 1, 3, 20
	fieldTensorDims, fieldTensorType, fieldTensorName, fieldTensorRaw                                                          = 1, 2, 8, 9
	fieldValueName, fieldValueType, fieldTypeTensor, fieldElementType, fieldShapeOf, fieldShapeDim, fieldDimValue, fieldDimVar = 1, 2, 1, 1, 2, 1, 1, 2
	fieldSetVersion, fieldEntryKey, fieldEntryValue                                                                            = 2, 1, 2
)

// onnxMessage is a protobuf message under way.
type onnxMessage struct{ File }

func (m *onnxMessage) bytes(field protowire.Number, b []byte) {
	m.addBytes(protowire.AppendBytes(protowire.AppendTag(nil, field, protowire.BytesType), b))
}

func (m *onnxMessage) text(field protowire.Number, s string) { m.bytes(field, []byte(s)) }

func (m *onnxMessage) number(field protowire.Number, v uint64) {
	m.addBytes(protowire.AppendVarint(protowire.AppendTag(nil, field, protowire.VarintType), v))
}

func (m *onnxMessage) embed(field protowire.Number, o *onnxMessage) {
	m.addBytes(protowire.AppendVarint(protowire.AppendTag(nil, field, protowire.BytesType), uint64(o.size)))
	m.addFile(&o.File)
}

// file writes the graph. Errors: names that are used twice or of nothing, tensors whose values do not fit their shape or
// are not finite, more than protobuf takes.
func (g *onnxGraph) file() (*File, error) {
	if err := g.check(); err != nil {
		return nil, err
	}
	var graph onnxMessage
	for i, n := range g.nodes {
		graph.embed(fieldGraphNode, n.message(fmt.Sprintf("%s_%d", n.op, i)))
	}
	graph.text(fieldGraphName, g.name)
	for i := range g.tensors {
		graph.embed(fieldGraphTensor, g.tensors[i].message())
	}
	for _, v := range g.inputs {
		graph.embed(fieldGraphInput, v.message())
	}
	for _, v := range g.outputs {
		graph.embed(fieldGraphOutput, v.message())
	}
	var m, operators onnxMessage
	operators.number(fieldSetVersion, onnxOperator)
	m.number(fieldModelIR, onnxIR)
	m.text(fieldModelProducer, "projectionist")
	m.embed(fieldModelGraph, &graph)
	m.embed(fieldModelOperators, &operators)
	for _, key := range slices.Sorted(maps.Keys(g.metadata)) {
		var entry onnxMessage
		entry.text(fieldEntryKey, key)
		entry.text(fieldEntryValue, g.metadata[key])
		m.embed(fieldModelMetadata, &entry)
	}
	if m.size > onnxSizeMax {
		return nil, fmt.Errorf("ml: the graph has %d bytes; an ONNX file has at most %d", m.size, onnxSizeMax)
	}
	return &m.File, nil
}

func (g *onnxGraph) check() error {
	known := map[string]bool{"": true}
	define := func(name string) error {
		if known[name] || !utf8.ValidString(name) {
			return fmt.Errorf("ml: the name %q of a graph is empty, not UTF-8 or used twice", name)
		}
		known[name] = true
		return nil
	}
	for _, v := range g.inputs {
		if err := define(v.name); err != nil {
			return err
		}
	}
	for i := range g.tensors {
		t := &g.tensors[i]
		if err := define(t.name); err != nil {
			return err
		}
		if err := t.check(); err != nil {
			return err
		}
	}
	for _, n := range g.nodes {
		for _, name := range n.inputs {
			if name == "" || !known[name] {
				return fmt.Errorf("ml: %s reads %q, which nothing before it gives", n.op, name)
			}
		}
		if err := define(n.output); err != nil {
			return err
		}
	}
	for _, v := range g.outputs {
		if v.name == "" || !known[v.name] {
			return fmt.Errorf("ml: nothing gives the output %q", v.name)
		}
	}
	for key, value := range g.metadata {
		if !utf8.ValidString(key) || !utf8.ValidString(value) {
			return fmt.Errorf("ml: the metadata %q of a graph is not UTF-8", key)
		}
	}
	return nil
}

func (t *onnxTensor) check() error {
	want, has := 1, len(t.ints)
	if len(t.shape) > 0 {
		var err error
		if want, err = volume(t.shape); err != nil {
			return fmt.Errorf("ml: tensor %q: %w", t.name, err)
		}
	}
	for _, piece := range t.floats {
		if notFinite(piece) >= 0 {
			return fmt.Errorf("ml: tensor %q: only finite numbers are stored", t.name)
		}
		has += len(piece)
	}
	if has != want || len(t.floats) > 0 && len(t.ints) > 0 {
		return fmt.Errorf("ml: tensor %q of shape %v holds %d values", t.name, t.shape, has)
	}
	return nil
}

func (n *onnxNode) message(name string) *onnxMessage {
	var m onnxMessage
	for _, in := range n.inputs {
		m.text(fieldNodeInput, in)
	}
	m.text(fieldNodeOutput, n.output)
	m.text(fieldNodeName, name)
	m.text(fieldNodeOperator, n.op)
	for _, key := range slices.Sorted(maps.Keys(n.ints)) {
		var a onnxMessage
		a.text(fieldAttributeName, key)
		a.number(fieldAttributeInt, uint64(n.ints[key]))
		a.number(fieldAttributeType, onnxIntKind)
		m.embed(fieldNodeAttribute, &a)
	}
	return &m
}

func (t *onnxTensor) message() *onnxMessage {
	var m onnxMessage
	for _, d := range t.shape {
		m.number(fieldTensorDims, uint64(d))
	}
	var raw onnxMessage
	kind := uint64(onnxFloat)
	for _, piece := range t.floats {
		raw.addFloats(piece)
	}
	if len(t.ints) > 0 {
		kind = onnxInt64
		var b []byte
		for _, v := range t.ints {
			b = protowire.AppendFixed64(b, uint64(v)) // little-endian, as raw data is
		}
		raw.addBytes(b)
	}
	m.number(fieldTensorType, kind)
	m.text(fieldTensorName, t.name)
	m.embed(fieldTensorRaw, &raw)
	return &m
}

func (v *onnxValue) message() *onnxMessage {
	var m, kind, tensor, shape, rows onnxMessage
	rows.text(fieldDimVar, onnxRows)
	shape.embed(fieldShapeDim, &rows)
	if v.columns > 0 {
		var columns onnxMessage
		columns.number(fieldDimValue, uint64(v.columns))
		shape.embed(fieldShapeDim, &columns)
	}
	tensor.number(fieldElementType, v.kind)
	tensor.embed(fieldShapeOf, &shape)
	kind.embed(fieldTypeTensor, &tensor)
	m.text(fieldValueName, v.name)
	m.embed(fieldValueType, &kind)
	return &m
}
