package workflow

import (
	"cmp"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Reference names a value of a run: "params.NAME", "tasks.TASK.OUTPUT" or "run.NAME", one of [RunNames]; or "var.value.KEY", a
// variable, which people set and change; or, in a trigger, of the event: "event.NAME".
type Reference struct {
	Root, Task, Name string
}

// secretRoot begins references to secrets, "secret.NAME": only in arguments that take them.
const secretRoot = "secret"

// RunNames are what a run is told by: its id, workflow and type; and the interval it is for, as of a schedule, whose beginning
// is its logical date, in RFC 3339.
var RunNames = []string{"id", "workflow", "type", "logical_date", "interval_start", "interval_end"}

// Told is what a run is told by, by [RunNames].
func Told(id, workflow, kind string, start, end time.Time) map[string]string {
	const form = "2006-01-02T15:04:05.000Z07:00"
	from, to := start.UTC().Format(form), end.UTC().Format(form)
	return map[string]string{"id": id, "workflow": workflow, "type": kind, "logical_date": from, "interval_start": from, "interval_end": to}
}

func (r Reference) String() string {
	if r.Root == "tasks" {
		return "tasks." + r.Task + "." + r.Name
	}
	return r.Root + "." + r.Name
}

// How variables are named, as in Airflow.
const (
	variableRoot  = "var"
	variableValue = "value."
)

// Variable is the key of the variable that the reference names; "" where it names something else.
func (r Reference) Variable() string {
	if r.Root != variableRoot {
		return ""
	}
	return r.Name[len(variableValue):]
}

// parseReference reads one; false for what is none.
func parseReference(text string) (Reference, bool) {
	root, rest, _ := strings.Cut(text, ".")
	r := Reference{Root: root, Name: rest}
	switch root {
	case "params", "run", "event", secretRoot:
	case variableRoot:
		return r, strings.HasPrefix(rest, variableValue) && valueName.MatchString(rest[len(variableValue):])
	case "tasks":
		r.Task, r.Name, _ = strings.Cut(rest, ".")
		if !namePattern.MatchString(r.Task) {
			return r, false
		}
	default:
		return r, false
	}
	return r, valueName.MatchString(r.Name)
}

// valueName is that of a param or an output, such as "als.dim" or "ndcg@10".
var valueName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.@-]{0,99}$`)

// Values are what references stand for; "" for what there is not, such as the output of a task that was skipped.
type Values func(Reference) string

// Template is text with references in it: "films of {{ params.year }}".
type Template struct {
	text       string
	pieces     []string // between the references: one more than those
	references []Reference
}

func (t Template) String() string { return t.text }

// References are those in it, in order.
func (t Template) References() []Reference { return t.references }

var inBraces = regexp.MustCompile(`\{\{\s*(.*?)\s*\}\}`)

// parseTemplate reads a text; the error is what is wrong with it.
func parseTemplate(text string) (Template, string) {
	t, last := Template{text: text}, 0
	for _, m := range inBraces.FindAllStringSubmatchIndex(text, -1) {
		r, ok := parseReference(text[m[2]:m[3]])
		if !ok {
			return t, "names nothing by {{ " + text[m[2]:m[3]] + " }}"
		}
		t.pieces, t.references, last = append(t.pieces, text[last:m[0]]), append(t.references, r), m[1]
	}
	t.pieces = append(t.pieces, text[last:])
	for _, piece := range t.pieces {
		if strings.Contains(piece, "{{") {
			return t, "opens {{ and does not close it"
		}
	}
	return t, ""
}

// Fill is the text with the values in place of the references.
func (t Template) Fill(v Values) string {
	if len(t.references) == 0 {
		return t.text
	}
	var b strings.Builder
	for i, r := range t.references {
		b.WriteString(t.pieces[i])
		b.WriteString(v(r))
	}
	b.WriteString(t.pieces[len(t.references)])
	return b.String()
}

// Condition says whether a task is wanted: comparisons of references, numbers and quoted texts by == != < <= > >=, with not,
// and, or, and parentheses. Two sides that are both numbers are compared as such, others as texts; a value that stands
// alone holds unless it is "", "0" or "false".
type Condition struct {
	text       string
	root       *expression
	references []Reference
}

func (c *Condition) String() string { return c.text }

// References are those in it, in order.
func (c *Condition) References() []Reference { return c.references }

// Holds says whether it is so.
func (c *Condition) Holds(v Values) bool { return c.root.holds(v) }

// expression is a node of a condition: of and, or and not with its parts, or a comparison of two sides.
type expression struct {
	op          string // "and", "or", "not", a comparison, or "" of a value alone
	parts       []*expression
	left, right side
}

// side is one side of a comparison: a reference, or a text as it stands.
type side struct {
	is   *Reference
	text string
}

func (s side) value(v Values) string {
	if s.is != nil {
		return v(*s.is)
	}
	return s.text
}

func (e *expression) holds(v Values) bool {
	switch e.op {
	case "and":
		return !slices.ContainsFunc(e.parts, func(p *expression) bool { return !p.holds(v) })
	case "or":
		return slices.ContainsFunc(e.parts, func(p *expression) bool { return p.holds(v) })
	case "not":
		return !e.parts[0].holds(v)
	case "":
		value := e.left.value(v)
		return value != "" && value != "0" && value != "false"
	}
	left, right := e.left.value(v), e.right.value(v)
	order := strings.Compare(left, right)
	if x, err := strconv.ParseFloat(left, 64); err == nil {
		if y, err := strconv.ParseFloat(right, 64); err == nil {
			if x != x || y != y { // NaN is equal to nothing, and not in order with anything
				return e.op == "!="
			}
			order = cmp.Compare(x, y)
		}
	}
	switch e.op {
	case "==":
		return order == 0
	case "!=":
		return order != 0
	case "<":
		return order < 0
	case "<=":
		return order <= 0
	case ">":
		return order > 0
	}
	return order >= 0
}

var conditionTokens = regexp.MustCompile(`\s*("(?:[^"\\]|\\.)*"|'[^']*'|==|!=|<=|>=|<|>|\(|\)|[A-Za-z_][A-Za-z0-9_.@-]*|-?[0-9][0-9.eE+-]*)`)

// conditionParser goes through the tokens of a condition.
type conditionParser struct {
	tokens     []string
	depth      int
	references []Reference
	wrong      string // the first thing that is
}

// conditionDepthMax bounds parentheses and nots.
const conditionDepthMax = 16

// parseCondition reads a condition; the error is what is wrong with it.
func parseCondition(text string) (*Condition, string) {
	p := &conditionParser{}
	for at := 0; at < len(strings.TrimRight(text, " \t\n")); {
		m := conditionTokens.FindStringSubmatchIndex(text[at:])
		if m == nil || m[0] != 0 {
			return nil, "cannot be read from " + strconv.Quote(text[at:])
		}
		p.tokens = append(p.tokens, text[at+m[2]:at+m[3]])
		at += m[1]
	}
	root := p.any()
	if p.wrong == "" && len(p.tokens) > 0 {
		p.fail("has %q too many", p.tokens[0])
	}
	if p.wrong != "" {
		return nil, p.wrong
	}
	return &Condition{text, root, p.references}, ""
}

func (p *conditionParser) fail(format, token string) {
	if p.wrong == "" {
		p.wrong = strings.Replace(format, "%q", strconv.Quote(token), 1)
	}
}

func (p *conditionParser) next() string {
	if len(p.tokens) == 0 {
		return ""
	}
	return p.tokens[0]
}

func (p *conditionParser) take() string {
	t := p.next()
	if t == "" {
		p.fail("ends too early", "")
		return ""
	}
	p.tokens = p.tokens[1:]
	return t
}

// any is parts of which one must hold; all is parts that all must.
func (p *conditionParser) any() *expression { return p.several("or", p.all) }
func (p *conditionParser) all() *expression { return p.several("and", p.one) }

func (p *conditionParser) several(op string, part func() *expression) *expression {
	e := &expression{op: op, parts: []*expression{part()}}
	for p.next() == op && p.wrong == "" {
		p.take()
		e.parts = append(e.parts, part())
	}
	if len(e.parts) == 1 {
		return e.parts[0]
	}
	return e
}

func (p *conditionParser) one() *expression {
	if p.depth++; p.depth > conditionDepthMax {
		p.fail("is nested too deep", "")
		return &expression{}
	}
	defer func() { p.depth-- }()
	switch p.next() {
	case "not":
		p.take()
		return &expression{op: "not", parts: []*expression{p.one()}}
	case "(":
		p.take()
		e := p.any()
		if p.take() != ")" {
			p.fail("lacks a )", "")
		}
		return e
	}
	e := &expression{left: p.side()}
	switch op := p.next(); op {
	case "==", "!=", "<", "<=", ">", ">=":
		p.take()
		e.op, e.right = op, p.side()
	}
	return e
}

func (p *conditionParser) side() side {
	t := p.take()
	switch {
	case t == "":
		return side{}
	case t[0] == '"':
		text, err := strconv.Unquote(t)
		if err != nil {
			p.fail("has a text that cannot be read: %q", t)
		}
		return side{text: text}
	case t[0] == '\'':
		return side{text: t[1 : len(t)-1]}
	case t == "true" || t == "false":
		return side{text: t}
	}
	if _, err := strconv.ParseFloat(t, 64); err == nil && (t[0] == '-' || t[0] >= '0' && t[0] <= '9') {
		return side{text: t}
	}
	r, ok := parseReference(t)
	if !ok {
		p.fail("names nothing by %q", t)
	}
	p.references = append(p.references, r)
	return side{is: &r}
}
