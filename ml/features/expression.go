package features

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/projectionist/projectionist/internal/fault"
)

// Expression is a formula over named values: typed, without effects, the same on every machine. A null in it is a null of it, but for
// coalesce, is_null, and the branch of an if that is not taken; so is what is no finite number, and a whole number beyond 64 bits.
//
//	or, and, not                     of true and false
//	== != < <= > >=                  of numbers; == and != of texts, and of true and false
//	+ - * / %                        of numbers; of two whole ones a whole one, but for /
//	min(a, b, …) max(a, b, …)        of numbers
//	abs(a) sqrt(a) log(a)            log is the natural one
//	floor(a) ceil(a) round(a)        whole numbers; round goes away from zero at a half
//	if(condition, a, b)              without b it is null there
//	coalesce(a, b, …) is_null(a)     the first that is not null
type Expression struct {
	text string
	root *term
}

// Limits of an expression.
const (
	expressionBytesMax = 1000
	expressionDepthMax = 32
)

// kind is what a term's value is.
type kind uint8

const (
	kindFloat kind = iota
	kindInt
	kindText
	kindBool
)

func (k kind) String() string {
	return [...]string{"a number", "a whole number", "a text", "true or false"}[k]
}

func (k kind) number() bool { return k == kindFloat || k == kindInt }

// operand is a value within an expression; the field of its kind holds it unless it is null.
type operand struct {
	null  bool
	float float64
	whole int64
	text  string
	is    bool
}

// term is a node of an expression.
type term struct {
	kind  kind
	op    string // of an operator or function; "input" and "constant" are the leaves
	args  []*term
	input int
	value operand
}

// named is a value that an expression may name.
type named struct {
	name string
	kind kind
}

// parseExpression reads an expression over named values. An error says at which character.
func parseExpression(text string, inputs []named) (*Expression, error) {
	if len(text) > expressionBytesMax {
		return nil, fault.New(fault.Invalid, "has %d bytes", len(text)).WithHint("write at most %d: a part of it may be a feature of its own view", expressionBytesMax)
	}
	if !utf8.ValidString(text) {
		return nil, fault.New(fault.Invalid, "is not valid UTF-8")
	}
	p := &expressionParser{text: text, inputs: inputs}
	if err := p.scan(); err != nil {
		return nil, err
	}
	root, err := p.expression(0, 0)
	if err == nil && p.token.kind != "" {
		err = p.wrong("%s is not expected here", p.token)
	}
	if err != nil {
		return nil, err
	}
	return &Expression{text, root}, nil
}

// token is a word of an expression: its kind is "number", "text", "name", or itself; "" is the end.
type token struct {
	kind, text string
	at         int // in bytes
}

func (t token) String() string {
	if t.kind == "" {
		return "the end"
	}
	return strconv.Quote(t.text)
}

type expressionParser struct {
	text   string
	inputs []named
	next   int
	token  token
}

func (p *expressionParser) wrong(format string, args ...any) error {
	return p.wrongAt(p.token.at, format, args...)
}

func (p *expressionParser) wrongAt(at int, format string, args ...any) error {
	return fault.New(fault.Invalid, "at character %d: %s", utf8.RuneCountInString(p.text[:at])+1, fmt.Sprintf(format, args...))
}

const operators = "+-*/%(),<>=!"

// scan reads the next token.
func (p *expressionParser) scan() error {
	for p.next < len(p.text) && strings.IndexByte(" \t\r\n", p.text[p.next]) >= 0 {
		p.next++
	}
	from := p.next
	p.token = token{at: from}
	if from == len(p.text) {
		return nil
	}
	end := func(in func(byte) bool) int {
		n := from
		for n < len(p.text) && in(p.text[n]) {
			n++
		}
		return n
	}
	letter := func(c byte) bool { return c == '_' || c|' ' >= 'a' && c|' ' <= 'z' }
	digit := func(c byte) bool { return c >= '0' && c <= '9' }
	switch c := p.text[from]; {
	case letter(c):
		p.next = end(func(c byte) bool { return letter(c) || digit(c) })
		p.token.kind = "name"
		if word := p.text[from:p.next]; slices.Contains([]string{"and", "or", "not", "true", "false"}, word) {
			p.token.kind = word
		}
	case digit(c) || c == '.':
		p.next = end(func(c byte) bool { return digit(c) || c == '.' })
		if p.next < len(p.text) && p.text[p.next]|' ' == 'e' {
			n := p.next + 1
			if n < len(p.text) && (p.text[n] == '+' || p.text[n] == '-') {
				n++
			}
			if n < len(p.text) && digit(p.text[n]) {
				for p.next = n; p.next < len(p.text) && digit(p.text[p.next]); {
					p.next++
				}
			}
		}
		p.token.kind = "number"
	case c == '"' || c == '\'':
		n := strings.IndexByte(p.text[from+1:], c)
		if n < 0 {
			return p.wrong("the text that begins here does not end")
		}
		p.next = from + n + 2
		p.token.kind = "text"
	case strings.IndexByte(operators, c) >= 0:
		p.next++
		if p.next < len(p.text) && p.text[p.next] == '=' && strings.IndexByte("<>=!", c) >= 0 {
			p.next++
		}
		if p.token.kind = p.text[from:p.next]; p.token.kind == "=" || p.token.kind == "!" {
			return p.wrong("%q is no operator; want == or !=, and not", p.token.kind)
		}
	default:
		r, _ := utf8.DecodeRuneInString(p.text[from:])
		return p.wrong("%q has no meaning", r)
	}
	p.token.text = p.text[from:p.next]
	return nil
}

// strength of the operators between two terms; a stronger one binds first.
var strength = map[string]int{"or": 1, "and": 2, "==": 4, "!=": 4, "<": 4, "<=": 4, ">": 4, ">=": 4, "+": 5, "-": 5, "*": 6, "/": 6, "%": 6}

const (
	strengthNot   = 3
	strengthMinus = 7
)

// expression reads a term and the operators behind it that are stronger than least.
func (p *expressionParser) expression(least, depth int) (*term, error) {
	left, err := p.operandTerm(depth)
	for err == nil {
		op := p.token
		s := strength[op.kind]
		if s <= least {
			return left, nil
		}
		if err = p.scan(); err != nil {
			return nil, err
		}
		var right *term
		if right, err = p.expression(s, depth+1); err == nil {
			left, err = p.apply(op, left, right)
		}
		if err == nil && s == 4 && strength[p.token.kind] == 4 {
			err = p.wrong("%s: comparisons do not follow one another; join them by and", p.token)
		}
	}
	return nil, err
}

// operandTerm reads a term without an operator behind it.
func (p *expressionParser) operandTerm(depth int) (*term, error) {
	if depth > expressionDepthMax {
		return nil, p.wrong("is nested more than %d levels deep", expressionDepthMax)
	}
	t := p.token
	if err := p.scan(); err != nil {
		return nil, err
	}
	switch t.kind {
	case "number":
		return p.number(t)
	case "text":
		return &term{kind: kindText, op: "constant", value: operand{text: t.text[1 : len(t.text)-1]}}, nil
	case "true", "false":
		return &term{kind: kindBool, op: "constant", value: operand{is: t.kind == "true"}}, nil
	case "-", "not":
		s := strengthMinus
		if t.kind == "not" {
			s = strengthNot
		}
		arg, err := p.expression(s, depth+1)
		if err != nil {
			return nil, err
		}
		return p.apply(t, arg)
	case "(":
		inner, err := p.expression(0, depth+1)
		if err != nil {
			return nil, err
		}
		return inner, p.expect(")")
	case "name":
		if p.token.kind == "(" {
			return p.call(t, depth)
		}
		for i, in := range p.inputs {
			if in.name == t.text {
				return &term{kind: in.kind, op: "input", input: i}, nil
			}
		}
		return nil, p.wrongAt(t.at, "%q is neither an input nor request data; there are %s", t.text, p.names())
	}
	return nil, p.wrongAt(t.at, "%s is not expected here; want a value", t)
}

func (p *expressionParser) names() string {
	var names []string
	for _, in := range p.inputs {
		names = append(names, in.name)
	}
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

func (p *expressionParser) expect(kind string) error {
	if p.token.kind != kind {
		return p.wrong("want %q, not %s", kind, p.token)
	}
	return p.scan()
}

func (p *expressionParser) number(t token) (*term, error) {
	if n, err := strconv.ParseInt(t.text, 10, 64); err == nil {
		return &term{kind: kindInt, op: "constant", value: operand{whole: n}}, nil
	}
	x, err := strconv.ParseFloat(t.text, 64)
	if err != nil || math.IsInf(x, 0) {
		return nil, p.wrongAt(t.at, "%q is no number", t.text)
	}
	return &term{kind: kindFloat, op: "constant", value: operand{float: x}}, nil
}

// call reads a function's arguments.
func (p *expressionParser) call(name token, depth int) (*term, error) {
	if err := p.scan(); err != nil {
		return nil, err
	}
	var args []*term
	for p.token.kind != ")" || len(args) > 0 {
		arg, err := p.expression(0, depth+1)
		if err != nil {
			return nil, err
		}
		if args = append(args, arg); p.token.kind != "," {
			break
		}
		if err := p.scan(); err != nil {
			return nil, err
		}
	}
	if err := p.expect(")"); err != nil {
		return nil, err
	}
	return p.apply(name, args...)
}

// functions are how many arguments each takes; most is 0 for any number.
var functions = map[string]struct{ least, most int }{"min": {2, 0}, "max": {2, 0}, "abs": {1, 1}, "sqrt": {1, 1}, "log": {1, 1}, "floor": {1, 1}, "ceil": {1, 1}, "round": {1, 1},
	"if": {2, 3}, "coalesce": {2, 0}, "is_null": {1, 1}}

// apply makes a term of an operator or a function, and finds what it gives.
func (p *expressionParser) apply(op token, args ...*term) (*term, error) {
	t := &term{op: op.text, args: args}
	wrong := func(a *term, want string) error {
		return p.wrongAt(op.at, "%s is given %s; want %s", op.text, a.kind, want)
	}
	if op.kind == "name" {
		f, ok := functions[op.text]
		if !ok {
			return nil, p.wrongAt(op.at, "there is no function %q; there are abs, ceil, coalesce, floor, if, is_null, log, max, min, round and sqrt", op.text)
		}
		if len(args) < f.least || f.most > 0 && len(args) > f.most {
			return nil, p.wrongAt(op.at, "%s is given %d arguments", op.text, len(args))
		}
	}
	if op.text == "-" && len(args) == 1 {
		t.op = "minus"
	}
	alike := args // that must be of one kind
	switch op.text {
	case "and", "or", "not":
		t.kind = kindBool
		for _, a := range args {
			if a.kind != kindBool {
				return nil, wrong(a, "true or false")
			}
		}
		return t, nil
	case "is_null":
		t.kind = kindBool
		return t, nil
	case "if":
		if args[0].kind != kindBool {
			return nil, wrong(args[0], "a condition first")
		}
		alike = args[1:]
	case "==", "!=", "coalesce":
	default:
		for _, a := range args {
			if !a.kind.number() {
				return nil, wrong(a, "numbers")
			}
		}
	}
	t.kind = alike[0].kind
	for _, a := range alike[1:] {
		switch {
		case a.kind == t.kind:
		case a.kind.number() && t.kind.number():
			t.kind = kindFloat
		default:
			return nil, p.wrongAt(op.at, "%s is given %s and %s; want two of a kind", op.text, t.kind, a.kind)
		}
	}
	if t.kind == kindFloat { // whole numbers among others become such
		for i, a := range args {
			if a.kind == kindInt && op.text != "floor" && op.text != "ceil" && op.text != "round" {
				args[i] = asFloat(a)
			}
		}
	}
	switch op.text {
	case "==", "!=", "<", "<=", ">", ">=":
		t.kind = kindBool
	case "/", "sqrt", "log":
		for i, a := range args {
			if a.kind == kindInt {
				args[i] = asFloat(a)
			}
		}
		t.kind = kindFloat
	case "floor", "ceil", "round":
		t.kind = kindInt
	}
	return t, nil
}

func asFloat(t *term) *term { return &term{kind: kindFloat, op: "float", args: []*term{t}} }
