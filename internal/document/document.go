// Package document reads small YAML documents that people write (definitions of features, workflows) strictly: nothing to interpret is
// left in them, every fault names its place and the remedy, and a hostile one costs no more than a good one.
package document

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"github.com/projectionist/projectionist/internal/fault"
)

// Bounds of a document. Two thousand features take some 200 kB, five levels and eight keys
// a mapping; the YAML parser's effort grows with the square of depth and of keys.
const (
	BytesMax = 256 << 10
	depthMax = 16
	keysMax  = 64
)

// Node is one node of a YAML document with nothing left to interpret: no anchors, tags or merges.
type Node struct {
	Line   int
	Kind   string // "text", "number", "boolean", "null", "list", "mapping"
	Text   string // of a scalar
	Items  []*Node
	Fields []Field
}

// Field is a key of a mapping, with its value.
type Field struct {
	Name  string
	Value *Node
}

// Parse reads a file of exactly one YAML document; what names it in errors: "definitions".
func Parse(what string, data []byte) (root *Node, err error) {
	if len(data) > BytesMax {
		return nil, fault.New(fault.TooLarge, "the %s file has %d bytes, the limit is %d", what, len(data), BytesMax).
			WithHint("split the file or leave out what is not used")
	}
	// The YAML parser promises no more than any other not to panic on a hostile file, and the file
	// may come from a request.
	defer func() {
		if p := recover(); p != nil {
			root, err = nil, notYAML(what, fmt.Errorf("%v", p))
		}
	}()
	tokens := lexer.Tokenize(string(data))
	if err := checkTokens(tokens); err != nil {
		return nil, err
	}
	// Keys written twice are found by addField, at less cost than by the parser.
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		return nil, notYAML(what, err)
	}
	var bodies []ast.Node
	for _, d := range file.Docs {
		if d.Body != nil {
			bodies = append(bodies, d.Body)
		}
	}
	if len(bodies) != 1 {
		return nil, fault.New(fault.Invalid, "the %s file holds %d YAML documents, expected 1", what, len(bodies)).
			WithHint("start from the default one")
	}
	return convert(bodies[0], "")
}

// checkTokens refuses, before the parser runs, what would exhaust its stack or its time (depth, keys),
// and the parts of YAML that definitions do not use: an alias can make a small file large.
func checkTokens(tokens token.Tokens) error {
	refuse := func(t *token.Token, format string, args ...any) error {
		return At("", &Node{Line: t.Position.Line}, format, args...).WithHint("write plain lists and mappings")
	}
	type open struct {
		column int // of a block's first key or dash; 0 in flow style
		list   bool
		keys   int
	}
	stack := []open{{column: -1}}
	top := func() *open { return &stack[len(stack)-1] }
	// block goes back to the block that begins at a column, or opens it.
	block := func(column int, list bool) {
		for top().column > column || top().column == column && top().list && !list {
			stack = stack[:len(stack)-1]
		}
		if top().column != 0 && (top().column < column || top().list != list) {
			stack = append(stack, open{column: column, list: list})
		}
	}
	for i, t := range tokens {
		switch t.Type {
		case token.SequenceStartType, token.MappingStartType:
			stack = append(stack, open{})
		case token.SequenceEndType, token.MappingEndType:
			for top().column > 0 {
				stack = stack[:len(stack)-1]
			}
			if len(stack) > 1 {
				stack = stack[:len(stack)-1]
			}
		case token.SequenceEntryType:
			if top().column != 0 {
				block(t.Position.Column, true)
			}
		case token.MappingValueType:
			if top().column != 0 && i > 0 {
				block(tokens[i-1].Position.Column, false)
			}
			top().keys++
		case token.AnchorType, token.AliasType, token.TagType, token.MergeKeyType, token.MappingKeyType, token.DirectiveType:
			return refuse(t, "%q is a part of YAML that is not used here", t.Value)
		}
		if len(stack) > depthMax {
			return refuse(t, "is nested more than %d levels deep", depthMax)
		}
		if top().keys > keysMax {
			return refuse(t, "has a mapping of more than %d keys", keysMax)
		}
	}
	return nil
}

func notYAML(what string, err error) error {
	message, _, _ := strings.Cut(err.Error(), "\n") // "[Line:column] what", without the excerpt of the file
	return fault.New(fault.Invalid, "the %s file is not valid YAML: %s", what, message).
		WithHint("the brackets give line and column")
}

func convert(n ast.Node, path string) (*Node, error) {
	out := &Node{}
	if t := n.GetToken(); t != nil && t.Position != nil {
		out.Line = t.Position.Line
	}
	switch n := n.(type) {
	case *ast.StringNode:
		out.Kind, out.Text = "text", n.Value
	case *ast.LiteralNode:
		out.Kind, out.Text = "text", n.Value.Value
	case *ast.IntegerNode, *ast.FloatNode:
		out.Kind, out.Text = "number", n.GetToken().Value
	case *ast.InfinityNode, *ast.NanNode:
		out.Kind, out.Text = "number", n.GetToken().Value
	case *ast.BoolNode:
		out.Kind, out.Text = "boolean", n.GetToken().Value
	case *ast.NullNode:
		out.Kind = "null"
	case *ast.SequenceNode:
		out.Kind = "list"
		for i, v := range n.Values {
			item, err := convert(v, fmt.Sprintf("%s[%d]", path, i))
			if err != nil {
				return nil, err
			}
			out.Items = append(out.Items, item)
		}
	case *ast.MappingNode:
		out.Kind = "mapping"
		for _, v := range n.Values {
			if err := out.addField(v, path); err != nil {
				return nil, err
			}
		}
	case *ast.MappingValueNode:
		out.Kind = "mapping"
		if err := out.addField(n, path); err != nil {
			return nil, err
		}
	default:
		return nil, At(path, out, "is a YAML %s, which is not used here", strings.ToLower(n.Type().String())).
			WithHint("write the value out")
	}
	return out, nil
}

func (n *Node) addField(v *ast.MappingValueNode, path string) error {
	if _, ok := v.Key.(*ast.StringNode); !ok {
		return At(path, n, "has a key that is not plain text: %s", v.Key.GetToken().Value)
	}
	name := v.Key.(*ast.StringNode).Value
	if n.Field(name) != nil {
		return At(Join(path, name), n, "is written twice").WithHint("remove one")
	}
	value, err := convert(v.Value, Join(path, name))
	if err != nil {
		return err
	}
	if t := v.Key.GetToken(); t != nil && t.Position != nil && len(n.Fields) == 0 {
		n.Line = t.Position.Line
	}
	n.Fields = append(n.Fields, Field{name, value})
	return nil
}

// Field is the value of a key of a mapping; nil without it.
func (n *Node) Field(name string) *Node {
	for i := range n.Fields {
		if n.Fields[i].Name == name {
			return n.Fields[i].Value
		}
	}
	return nil
}

// Join is the path of a key of the mapping at a path.
func Join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// At is an error about the node at a path, fault.Invalid, which names the line too.
func At(path string, n *Node, format string, args ...any) *fault.Error {
	if n != nil && n.Line > 0 {
		format += fmt.Sprintf(", line %d", n.Line)
	}
	if path == "" {
		path = "document"
	}
	return fault.Field(path, format, args...)
}

// Checker collects the faults of a document instead of stopping at the first.
type Checker struct{ Errs []error }

// faultsMax is how many faults are reported; who has more begins with these.
const faultsMax = 50

// Fail takes a fault down.
func (c *Checker) Fail(err *fault.Error) {
	if len(c.Errs) < faultsMax {
		c.Errs = append(c.Errs, err)
	}
}

// Mapping checks that n is a mapping of known keys only.
func (c *Checker) Mapping(path string, n *Node, known ...string) bool {
	if n.Kind != "mapping" {
		c.Fail(At(path, n, "is a %s, expected a mapping", n.Kind).WithHint("known keys: %s", strings.Join(known, ", ")))
		return false
	}
	for _, f := range n.Fields {
		if !slices.Contains(known, f.Name) {
			c.Fail(At(Join(path, f.Name), f.Value, "is not a known key").WithHint("known keys: %s", strings.Join(known, ", ")))
		}
	}
	return true
}

// List is the items of an optional list.
func (c *Checker) List(path string, n *Node) []*Node {
	if n == nil {
		return nil
	}
	if n.Kind != "list" {
		c.Fail(At(path, n, "is a %s, expected a list", n.Kind).WithHint("start each element with \"- \""))
		return nil
	}
	return n.Items
}

// Text is an optional text, "" without one.
func (c *Checker) Text(path string, n *Node) string {
	if n == nil {
		return ""
	}
	if n.Kind != "text" {
		c.Fail(At(path, n, "is a %s, expected text", n.Kind).WithHint("put quotes around it"))
		return ""
	}
	return n.Text
}

// Texts is an optional list of texts without repetition.
func (c *Checker) Texts(path string, n *Node) []string {
	var out []string
	for i, item := range c.List(path, n) {
		p := fmt.Sprintf("%s[%d]", path, i)
		t := c.Text(p, item)
		if t == "" && item.Kind == "text" {
			c.Fail(At(p, item, "is empty").WithHint("remove it"))
		}
		if t != "" && slices.Contains(out, t) {
			c.Fail(At(p, item, "repeats %q", t).WithHint("remove it"))
		}
		out = append(out, t)
	}
	return out
}

// Duration reads a whole number from 1 and a unit, s, m, h, d or w, such as 90d; 0 with a fault for anything else, or
// more than most.
func (c *Checker) Duration(path string, n *Node, most time.Duration, hint string) time.Duration {
	const day = 24 * time.Hour
	units := map[byte]time.Duration{'s': time.Second, 'm': time.Minute, 'h': time.Hour, 'd': day, 'w': 7 * day}
	if t := n.Text; n.Kind == "text" && len(t) >= 2 {
		x, err := strconv.ParseUint(t[:len(t)-1], 10, 32)
		if unit := units[t[len(t)-1]]; err == nil && x > 0 && unit > 0 && time.Duration(x) <= most/unit {
			return time.Duration(x) * unit
		}
	}
	bound := most.String()
	if most%day == 0 {
		bound = fmt.Sprintf("%dd", most/day)
	}
	c.Fail(At(path, n, "%q is not a duration of at most %s", n.Text, bound).WithHint("%s", hint))
	return 0
}

// Number reads a finite number from lo to hi; 0 with a fault for anything else.
func (c *Checker) Number(path string, n *Node, lo, hi float64) float64 {
	x, err := strconv.ParseFloat(n.Text, 64)
	if n.Kind != "number" || err != nil || !(x >= lo && x <= hi) || math.IsInf(x, 0) {
		c.Fail(At(path, n, "is %q, expected a number", n.Text).WithHint("write a number from %v to %v", lo, hi))
		return 0
	}
	return x
}
