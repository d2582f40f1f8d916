package features

import (
	"fmt"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"github.com/projectionist/projectionist/internal/fault"
)

// Bounds of a definitions file. Two thousand features take some 200 kB, five levels and eight keys
// a mapping; the YAML parser's effort grows with the square of depth and of keys.
const (
	documentBytesMax = 256 << 10
	documentDepthMax = 16
	mappingKeysMax   = 64
)

// node is one node of a YAML document with nothing left to interpret: no anchors, tags or merges.
type node struct {
	line   int
	kind   string // "text", "number", "boolean", "null", "list", "mapping"
	text   string // of a scalar
	items  []*node
	fields []field
}

type field struct {
	name  string
	value *node
}

// parseDocument reads a file of exactly one YAML document.
func parseDocument(data []byte) (root *node, err error) {
	if len(data) > documentBytesMax {
		return nil, fault.New(fault.TooLarge, "the definitions file has %d bytes, the limit is %d", len(data), documentBytesMax).
			WithHint("split the file or leave out what is not used")
	}
	// The YAML parser promises no more than any other not to panic on a hostile file, and the file
	// may come from a request.
	defer func() {
		if p := recover(); p != nil {
			root, err = nil, notYAML(fmt.Errorf("%v", p))
		}
	}()
	tokens := lexer.Tokenize(string(data))
	if err := checkTokens(tokens); err != nil {
		return nil, err
	}
	// Keys written twice are found by addField, at less cost than by the parser.
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		return nil, notYAML(err)
	}
	var bodies []ast.Node
	for _, d := range file.Docs {
		if d.Body != nil {
			bodies = append(bodies, d.Body)
		}
	}
	if len(bodies) != 1 {
		return nil, fault.New(fault.Invalid, "the definitions file holds %d YAML documents, expected 1", len(bodies)).
			WithHint("start from the default definitions")
	}
	return convert(bodies[0], "")
}

// checkTokens refuses, before the parser runs, what would exhaust its stack or its time (depth, keys),
// and the parts of YAML that definitions do not use: an alias can make a small file large.
func checkTokens(tokens token.Tokens) error {
	refuse := func(t *token.Token, format string, args ...any) error {
		return at("", &node{line: t.Position.Line}, format, args...).WithHint("write plain lists and mappings")
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
			return refuse(t, "%q is a part of YAML that definitions do not use", t.Value)
		}
		if len(stack) > documentDepthMax {
			return refuse(t, "is nested more than %d levels deep", documentDepthMax)
		}
		if top().keys > mappingKeysMax {
			return refuse(t, "has a mapping of more than %d keys", mappingKeysMax)
		}
	}
	return nil
}

func notYAML(err error) error {
	message, _, _ := strings.Cut(err.Error(), "\n") // "[line:column] what", without the excerpt of the file
	return fault.New(fault.Invalid, "the definitions file is not valid YAML: %s", message).
		WithHint("the brackets give line and column")
}

func convert(n ast.Node, path string) (*node, error) {
	out := &node{}
	if t := n.GetToken(); t != nil && t.Position != nil {
		out.line = t.Position.Line
	}
	switch n := n.(type) {
	case *ast.StringNode:
		out.kind, out.text = "text", n.Value
	case *ast.LiteralNode:
		out.kind, out.text = "text", n.Value.Value
	case *ast.IntegerNode, *ast.FloatNode:
		out.kind, out.text = "number", n.GetToken().Value
	case *ast.InfinityNode, *ast.NanNode:
		out.kind, out.text = "number", n.GetToken().Value
	case *ast.BoolNode:
		out.kind, out.text = "boolean", n.GetToken().Value
	case *ast.NullNode:
		out.kind = "null"
	case *ast.SequenceNode:
		out.kind = "list"
		for i, v := range n.Values {
			item, err := convert(v, fmt.Sprintf("%s[%d]", path, i))
			if err != nil {
				return nil, err
			}
			out.items = append(out.items, item)
		}
	case *ast.MappingNode:
		out.kind = "mapping"
		for _, v := range n.Values {
			if err := out.addField(v, path); err != nil {
				return nil, err
			}
		}
	case *ast.MappingValueNode:
		out.kind = "mapping"
		if err := out.addField(n, path); err != nil {
			return nil, err
		}
	default:
		return nil, at(path, out, "is a YAML %s, which definitions do not use", strings.ToLower(n.Type().String())).
			WithHint("write the value out")
	}
	return out, nil
}

func (n *node) addField(v *ast.MappingValueNode, path string) error {
	if _, ok := v.Key.(*ast.StringNode); !ok {
		return at(path, n, "has a key that is not plain text: %s", v.Key.GetToken().Value)
	}
	name := v.Key.(*ast.StringNode).Value
	if n.field(name) != nil {
		return at(join(path, name), n, "is written twice").WithHint("remove one")
	}
	value, err := convert(v.Value, join(path, name))
	if err != nil {
		return err
	}
	if t := v.Key.GetToken(); t != nil && t.Position != nil && len(n.fields) == 0 {
		n.line = t.Position.Line
	}
	n.fields = append(n.fields, field{name, value})
	return nil
}

func (n *node) field(name string) *node {
	for i := range n.fields {
		if n.fields[i].name == name {
			return n.fields[i].value
		}
	}
	return nil
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// at is an error about the node at a path.
func at(path string, n *node, format string, args ...any) *fault.Error {
	if n != nil && n.line > 0 {
		format += fmt.Sprintf(", line %d", n.line)
	}
	if path == "" {
		path = "definitions"
	}
	return fault.Field(path, format, args...)
}

// checker collects the faults of a document instead of stopping at the first.
type checker struct{ errs []error }

// faultsMax is how many faults are reported; who has more begins with these.
const faultsMax = 50

func (c *checker) fail(err *fault.Error) {
	if len(c.errs) < faultsMax {
		c.errs = append(c.errs, err)
	}
}

// mapping checks that n is a mapping of known keys only.
func (c *checker) mapping(path string, n *node, known ...string) bool {
	if n.kind != "mapping" {
		c.fail(at(path, n, "is a %s, expected a mapping", n.kind).WithHint("known keys: %s", strings.Join(known, ", ")))
		return false
	}
	for _, f := range n.fields {
		if !slices.Contains(known, f.name) {
			c.fail(at(join(path, f.name), f.value, "is not a known key").WithHint("known keys: %s", strings.Join(known, ", ")))
		}
	}
	return true
}

// list is the items of an optional list.
func (c *checker) list(path string, n *node) []*node {
	if n == nil {
		return nil
	}
	if n.kind != "list" {
		c.fail(at(path, n, "is a %s, expected a list", n.kind).WithHint("start each element with \"- \""))
		return nil
	}
	return n.items
}

// text is an optional text, "" without one.
func (c *checker) text(path string, n *node) string {
	if n == nil {
		return ""
	}
	if n.kind != "text" {
		c.fail(at(path, n, "is a %s, expected text", n.kind).WithHint("put quotes around it"))
		return ""
	}
	return n.text
}

// texts is an optional list of texts without repetition.
func (c *checker) texts(path string, n *node) []string {
	var out []string
	for i, item := range c.list(path, n) {
		p := fmt.Sprintf("%s[%d]", path, i)
		t := c.text(p, item)
		if t == "" && item.kind == "text" {
			c.fail(at(p, item, "is empty").WithHint("remove it"))
		}
		if t != "" && slices.Contains(out, t) {
			c.fail(at(p, item, "repeats %q", t).WithHint("remove it"))
		}
		out = append(out, t)
	}
	return out
}
