package features

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/document"
	"github.com/projectionist/projectionist/internal/fault"
)

// OnDemand is a view whose features are expressions over other features and over what a request says: they are computed when they are read,
// of the row that is read.
type OnDemand struct {
	Name        string                `json:"name"`
	Inputs      []OnDemandInput       `json:"inputs,omitempty"`
	Request     []events.FeatureField `json:"request,omitempty"` // what a request has to say
	Features    []OnDemandFeature     `json:"features"`
	Description string                `json:"description,omitempty"`
}

// OnDemandInput is a feature that expressions name.
type OnDemandInput struct {
	Name    string `json:"name"`
	Feature string `json:"feature"` // view:feature

	kind kind // of its values, when the expressions were read
}

// OnDemandFeature is an expression.
type OnDemandFeature struct {
	Name        string `json:"name"`
	Type        Type   `json:"type"`
	Expression  string `json:"expression"`
	Description string `json:"description,omitempty"`

	expression *Expression
}

// bare is the view without what does not count for [Definitions.Hash].
func (o *OnDemand) bare() *OnDemand {
	c := *o
	c.Description, c.Request, c.Features = "", slices.Clone(o.Request), slices.Clone(o.Features)
	for i := range c.Request {
		c.Request[i].Description = ""
	}
	for i := range c.Features {
		c.Features[i].Description = ""
	}
	return &c
}

// Hash is the SHA-256, in hex, of what the view is.
func (o *OnDemand) Hash() string { return hashOf("on_demand", o.bare()) }

// OnDemandView is the on-demand view of a name, or nil.
func (d *Definitions) OnDemandView(name string) *OnDemand {
	for _, o := range d.OnDemand {
		if o.Name == name {
			return o
		}
	}
	return nil
}

// Feature is the view's feature of a name, or nil.
func (o *OnDemand) Feature(name string) *OnDemandFeature {
	for i := range o.Features {
		if o.Features[i].Name == name {
			return &o.Features[i]
		}
	}
	return nil
}

// OnDemandEntities are those that the inputs of a view are of.
func (d *Definitions) OnDemandEntities(o *OnDemand) (all []Entity) {
	for _, in := range o.Inputs {
		view, _, _ := strings.Cut(in.Feature, ":")
		var e Entity
		if v := d.View(view); v != nil {
			e = v.Entity
		} else if x := d.ExternalView(view); x != nil {
			e = Entity(x.Entities[0])
		}
		if e != "" && !slices.Contains(all, e) {
			all = append(all, e)
		}
	}
	return all
}

const onDemandInputsMax = 60

// kinds of values that expressions take, by their types.
var kindsOf = map[string]kind{string(Float64): kindFloat, TypeFloat32: kindFloat, string(Int64): kindInt, TypeInt32: kindInt, TypeTimestamp: kindInt,
	string(String): kindText, TypeBool: kindBool}

// requestTypes are those of request data.
var requestTypes = []string{string(Float64), string(Int64), string(String), TypeBool}

func (d *Definitions) parseOnDemand(c *checker, list *document.Node) {
	items := c.List("on_demand_views", list)
	if len(items) > viewsMax {
		c.Fail(document.At("on_demand_views", list, "has %d views", len(items)).WithHint("list at most %d", viewsMax))
		return
	}
	for i, n := range items {
		path := fmt.Sprintf("on_demand_views[%d]", i)
		if !c.Mapping(path, n, "name", "inputs", "request", "description", "features") {
			continue
		}
		o := &OnDemand{Description: c.Text(document.Join(path, "description"), n.Field("description"))}
		o.Name = c.name(path, n, func(name string) bool {
			return d.View(name) != nil || d.ExternalView(name) != nil || d.OnDemandView(name) != nil
		})
		before := len(c.Errs)
		values := c.onDemandValues(d, o, path, n)
		known := len(c.Errs) == before
		fields := c.List(document.Join(path, "features"), n.Field("features"))
		if len(fields) == 0 || len(fields) > featuresMax {
			c.Fail(document.At(document.Join(path, "features"), n.Field("features"), "has %d features", len(fields)).WithHint("list 1 to %d", featuresMax))
		}
		for j, item := range fields {
			at := fmt.Sprintf("%s.features[%d]", path, j)
			if !c.Mapping(at, item, "name", "type", "expression", "description") {
				continue
			}
			f := OnDemandFeature{Description: c.Text(document.Join(at, "description"), item.Field("description"))}
			f.Name = c.name(at, item, func(name string) bool { return o.Feature(name) != nil })
			f.Type = Type(c.Text(document.Join(at, "type"), item.Field("type")))
			if f.Type != Float64 && f.Type != Int64 && f.Type != String {
				c.Fail(document.At(document.Join(at, "type"), cmpNode(item.Field("type"), item), "%q is not a type of an expression", f.Type).WithHint("want float64, int64 or string"))
			}
			text := item.Field("expression")
			if text == nil {
				c.Fail(document.At(document.Join(at, "expression"), item, "is missing").WithHint("write one, such as rating / 5"))
			}
			if f.Expression = c.Text(document.Join(at, "expression"), text); text != nil && known {
				c.expression(&f, document.Join(at, "expression"), text, values)
			}
			o.Features = append(o.Features, f)
		}
		d.OnDemand = append(d.OnDemand, o)
	}
}

// onDemandValues reads what the expressions of a view may name: its inputs, then what a request says.
func (c *checker) onDemandValues(d *Definitions, o *OnDemand, path string, n *document.Node) (values []named) {
	fields := func(name string) []document.Field {
		f := n.Field(name)
		if f == nil {
			return nil
		}
		at := document.Join(path, name)
		switch {
		case f.Kind != "mapping":
			c.Fail(document.At(at, f, "is a %s, expected a mapping", f.Kind).WithHint("write NAME: VIEW:FEATURE under inputs, and NAME: TYPE under request"))
			return nil
		case len(f.Fields) > onDemandInputsMax:
			c.Fail(document.At(at, f, "has %d names", len(f.Fields)).WithHint("write at most %d", onDemandInputsMax))
			return nil
		}
		return f.Fields
	}
	name := func(at string, f *document.Field) string {
		switch {
		case !namePattern.MatchString(f.Name) || strings.Contains(f.Name, "__") || slices.Contains([]string{"and", "or", "not", "true", "false"}, f.Name):
			c.Fail(document.At(at, f.Value, "%q is not a name", f.Name).WithHint("use letters, digits and single underscores, a letter first, and no word of expressions"))
		case slices.ContainsFunc(values, func(v named) bool { return v.name == f.Name }):
			c.Fail(document.At(at, f.Value, "%q is taken", f.Name).WithHint("choose another name"))
		}
		return f.Name
	}
	for _, f := range fields("inputs") {
		at := document.Join(document.Join(path, "inputs"), f.Name)
		in := OnDemandInput{Name: name(at, &f), Feature: c.Text(at, f.Value)}
		view, feature, ok := strings.Cut(in.Feature, ":")
		t := ""
		switch v, x := d.View(view), d.ExternalView(view); {
		case !ok || f.Value.Kind != "text":
			c.Fail(document.At(at, f.Value, "%q is no feature", in.Feature).WithHint("write view:feature"))
		case v != nil && v.Feature(feature) != nil:
			t = string(v.Feature(feature).Type)
		case x != nil && x.Feature(feature) != nil:
			t = x.Feature(feature).Type
		default:
			c.Fail(document.At(at, f.Value, "there is no feature %q", in.Feature).WithHint("name one of feature_views or external_views; one of Feast's registry, of a user or a movie, is declared among external_views, too"))
		}
		k, ok := kindsOf[t]
		if !ok && t != "" {
			c.Fail(document.At(at, f.Value, "%s is of type %s", in.Feature, t).WithHint("expressions take numbers, texts, and true and false"))
		}
		in.kind = k
		o.Inputs, values = append(o.Inputs, in), append(values, named{in.Name, k})
	}
	for _, f := range fields("request") {
		at := document.Join(document.Join(path, "request"), f.Name)
		r := events.FeatureField{Name: name(at, &f), Type: c.Text(at, f.Value)}
		if !slices.Contains(requestTypes, r.Type) {
			c.Fail(document.At(at, f.Value, "%q is not a type of request data", r.Type).WithHint("want one of %s", strings.Join(requestTypes, ", ")))
		}
		if key := r.Name; key == "user_id" || key == "movie_id" || key == timeColumn {
			c.Fail(document.At(at, f.Value, "%s is a column of its own in every request", key).WithHint("choose another name"))
		}
		o.Request, values = append(o.Request, r), append(values, named{r.Name, kindsOf[r.Type]})
	}
	return values
}

// expression reads the expression of a feature, which must give its type.
func (c *checker) expression(f *OnDemandFeature, path string, n *document.Node, values []named) {
	e, err := parseExpression(f.Expression, values)
	if err != nil {
		said := err.(*fault.Error)
		at := document.At(path, n, "%s", said.Message)
		if said.Hint != "" {
			at = at.WithHint("%s", said.Hint)
		}
		c.Fail(at)
		return
	}
	is, want := e.root.kind, kindsOf[string(f.Type)]
	switch {
	case is == want:
	case is == kindInt && want == kindFloat:
		e.root = asFloat(e.root)
	case is == kindFloat && want == kindInt:
		c.Fail(document.At(path, n, "gives %s, and the feature is of type int64", is).WithHint("say how with round, floor or ceil"))
	case is == kindBool:
		c.Fail(document.At(path, n, "gives true or false").WithHint("write if(…, 1, 0) with the type int64"))
	default:
		c.Fail(document.At(path, n, "gives %s, and the feature is of type %s", is, f.Type))
	}
	f.expression = e
}

// Operand is a value as expressions take it.
type Operand struct {
	operand
	known  bool  // there is somebody, or something, whose value it is
	millis int64 // event time
}

// NoOperand is a value that there is not.
var NoOperand = Operand{operand: null}

// OperandOf is a computed value.
func OperandOf(v *Value) Operand {
	o := Operand{operand: null, known: v.Status != NotFound, millis: v.EventTimeMillis}
	if v.Status != Present {
		return o
	}
	switch v.Type {
	case Float64:
		o.operand = finite(v.Float)
	case Int64:
		o.operand = operand{whole: v.Int}
	case String:
		o.operand = operand{text: v.Str}
	default: // of a type that only pushed values have: in its one form as JSON
		return OperandJSON(string(v.Type), []byte(v.Str), v.Status, v.EventTimeMillis)
	}
	return o
}

// OperandJSON is a value of a type in its one form as JSON ([Coerce]).
func OperandJSON(t string, raw []byte, status Status, millis int64) Operand {
	o := Operand{operand: null, known: status != NotFound, millis: millis}
	if status != Present || string(raw) == "null" {
		return o
	}
	switch kindsOf[t] {
	case kindFloat:
		if x, err := strconv.ParseFloat(string(raw), 64); err == nil { // what is no number is quoted
			o.operand = finite(x)
		}
	case kindInt:
		if n, err := strconv.ParseInt(string(raw), 10, 64); err == nil {
			o.operand = operand{whole: n}
		}
	case kindText:
		var text string
		if json.Unmarshal(raw, &text) == nil {
			o.operand = operand{text: text}
		}
	case kindBool:
		o.operand = operand{is: string(raw) == "true"}
	}
	return o
}

// RequestCell is a value of request data, from a text in a table or in a query, as [RequestValue] takes it: what tables have in the
// place of none is null, of texts nothing alone. True and False are spelt as pandas spells them too.
func RequestCell(f *events.FeatureField, cell string) json.RawMessage {
	if f.Type == string(String) {
		if cell == "" {
			return nil
		}
		return appendJSONString(nil, cell)
	}
	if _, some, err := events.KeyOf(cell); err == nil && !some {
		return nil
	}
	cell = strings.TrimSpace(cell)
	if f.Type != TypeBool {
		return appendJSONString(nil, cell)
	}
	switch cell {
	case "true", "True", "TRUE":
		return json.RawMessage("true")
	case "false", "False", "FALSE":
		return json.RawMessage("false")
	}
	return appendJSONString(nil, cell) // which is none
}

// RequestValue is what a request says, as it is in JSON; nothing is null. The error is fault.Invalid and names the field.
func RequestValue(f *events.FeatureField, raw json.RawMessage) (Value, error) {
	form, err := Coerce(f.Type, raw)
	if err != nil {
		return Value{}, fault.Field(f.Name, "%v", err).WithHint("give a value of type %s, or null", f.Type)
	}
	if string(form) == "null" {
		return Value{Name: f.Name, Type: Type(f.Type), Status: NullValue}, nil
	}
	return ValueOf(f, form), nil
}

// compute is the value of a feature of the values that its view names, inputs first, then request data, into v. Its time is that of the newest input; of
// an entity of which nothing is known it is not known either.
func (f *OnDemandFeature) compute(v *Value, inputs, request []Operand) {
	in := make([]operand, 0, len(inputs)+len(request))
	*v = Value{Name: f.Name, Type: f.Type, Status: NotFound, EventTimeMillis: 0}
	for i := range inputs {
		in = append(in, inputs[i].operand)
		if inputs[i].known {
			v.Status, v.EventTimeMillis = NullValue, max(v.EventTimeMillis, inputs[i].millis)
		}
	}
	if len(inputs) == 0 {
		v.Status = NullValue
	}
	for i := range request {
		in = append(in, request[i].operand)
	}
	out := f.expression.root.eval(in)
	if out.null {
		return
	}
	v.Status = Present
	switch f.Type {
	case Float64:
		v.Float = out.float
	case Int64:
		v.Int = out.whole
	case String:
		v.Str = out.text
	}
}
