package features

import (
	"slices"
	"strings"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
)

// Derivation is how features that are asked for come of what is read: some are that, others are computed of it by the expressions of on-demand
// views. One function does it for online reads and joins.
type Derivation struct {
	Base    []string       // what is read, as view:feature, each once
	Request []RequestField // what the request has to say

	outputs []output
}

// RequestField is what expressions want of a request.
type RequestField struct {
	events.FeatureField
	View string // the first that wants it
}

// output is a feature that is asked for.
type output struct {
	columnInfo
	base    int // what is read; -1 where it is computed
	feature *OnDemandFeature
	inputs  []int // of Base
	request []int // of Request
}

// Derive resolves references of which some are of on-demand views, as [Definitions.Select] does; nil where none is. external finds views whose
// values are pushed.
func (d *Definitions) Derive(refs []string, fullNames bool, external func(view string) *External) (*Derivation, error) {
	if !slices.ContainsFunc(refs, func(ref string) bool {
		name, _, _ := strings.Cut(ref, ":")
		return d.View(name) == nil && d.OnDemandView(name) != nil
	}) {
		return nil, nil
	}
	x, seen := &Derivation{}, map[string]string{}
	typeOf := func(view, feature string) string {
		if v := d.View(view); v != nil {
			if f := v.Feature(feature); f != nil {
				return string(f.Type)
			}
		} else if ext := external(view); ext != nil {
			if f := ext.Feature(feature); f != nil {
				return f.Type
			}
		}
		return "" // which the selection of what is read refuses
	}
	for _, ref := range refs {
		name, feature, one := strings.Cut(ref, ":")
		add := func(feature string, o output) error {
			full := name + ":" + feature
			if o.name = feature; fullNames {
				o.name = name + "__" + feature
			}
			if other, ok := seen[o.name]; ok {
				e := fault.New(fault.Conflict, "%s and %s are both called %s", other, full, o.name)
				e.Field = "features"
				if other == full {
					return e.WithHint("name each feature once")
				}
				return e.WithHint("ask for full feature names")
			}
			seen[o.name], o.ref = full, full
			x.outputs = append(x.outputs, o)
			return nil
		}
		if ext := external(name); ext != nil {
			for _, f := range ext.Features {
				if one && f.Name != feature {
					continue
				}
				if err := add(f.Name, output{columnInfo: columnInfo{typ: Type(f.Type)}, base: x.read(name + ":" + f.Name)}); err != nil {
					return nil, err
				}
			}
			if !one || ext.Feature(feature) != nil {
				continue
			}
		}
		r, err := d.resolve(ref)
		if err != nil {
			err.Field = "features"
			return nil, err
		}
		for _, i := range r.features {
			var o output
			if r.onDemand == nil {
				f := &r.view.Features[i]
				feature, o = f.Name, output{columnInfo: columnInfo{typ: f.Type}, base: x.read(name + ":" + f.Name)}
			} else {
				f := &r.onDemand.Features[i]
				feature, o = f.Name, output{columnInfo: columnInfo{typ: f.Type}, base: -1, feature: f}
				if err := x.reads(&o, r.onDemand, typeOf); err != nil {
					return nil, err
				}
			}
			if err := add(feature, o); err != nil {
				return nil, err
			}
		}
	}
	return x, nil
}

// computedAlone refuses references to what is pushed, which a [Selection] does not read.
func (d *Definitions) computedAlone(refs []string) error {
	for _, ref := range refs {
		if view, _, _ := strings.Cut(ref, ":"); d.View(view) == nil && d.ExternalView(view) != nil {
			e := fault.New(fault.Conflict, "%s is pushed, and here only what is computed is read, and what on-demand views make of it", ref)
			e.Field = "features"
			return e.WithHint("read it by POST /get-online-features on port 6566")
		}
	}
	return nil
}

// read is the place of a feature that is read.
func (x *Derivation) read(ref string) int {
	i := slices.Index(x.Base, ref)
	if i < 0 {
		i = len(x.Base)
		x.Base = append(x.Base, ref)
	}
	return i
}

// reads finds what an expression reads.
func (x *Derivation) reads(o *output, of *OnDemand, typeOf func(view, feature string) string) error {
	for _, in := range of.Inputs {
		view, feature, _ := strings.Cut(in.Feature, ":")
		t := typeOf(view, feature)
		if k, ok := kindsOf[t]; t != "" && (!ok || k != in.kind) { // another version of either
			e := fault.New(fault.Conflict, "%s was defined when %s was %s, and it is of type %s", of.Name, in.Feature, in.kind, t)
			e.Field = "features"
			return e.WithHint("read the version that is in force together with it: %s", strings.SplitN(of.Name, "@", 2)[0])
		}
		o.inputs = append(o.inputs, x.read(in.Feature))
	}
	for _, f := range of.Request {
		i := slices.IndexFunc(x.Request, func(has RequestField) bool { return has.Name == f.Name })
		switch {
		case i < 0:
			i = len(x.Request)
			x.Request = append(x.Request, RequestField{f, of.Name})
		case x.Request[i].Type != f.Type:
			e := fault.New(fault.Conflict, "two views want %s of the request, as %s and as %s", f.Name, x.Request[i].Type, f.Type)
			e.Field = "features"
			return e.WithHint("ask for them one after the other")
		}
		o.request = append(o.request, i)
	}
	return nil
}

// Names are the names of the features in order.
func (x *Derivation) Names() []string {
	names := make([]string, len(x.outputs))
	for i := range names {
		names[i] = x.outputs[i].name
	}
	return names
}

// References are the features in order as view:feature.
func (x *Derivation) References() []string {
	refs := make([]string, len(x.outputs))
	for i := range refs {
		refs[i] = x.outputs[i].ref
	}
	return refs
}

// Unknown are the features in order, of nobody.
func (x *Derivation) Unknown() []Value {
	values := make([]Value, len(x.outputs))
	for i := range values {
		values[i] = Value{Name: x.outputs[i].name, Type: x.outputs[i].typ, Status: NotFound}
	}
	return values
}

// Outputs is how many features there are; of each Of says whether it is one that is read, and which.
func (x *Derivation) Outputs() int { return len(x.outputs) }

// Of is the place of what is read that the i-th feature is; false where an expression gives it.
func (x *Derivation) Of(i int) (base int, ok bool) { return x.outputs[i].base, x.outputs[i].base >= 0 }

// Compute is the i-th feature, which an expression gives, of what was read and of what the request says; nil is that it says nothing.
func (x *Derivation) Compute(i int, read func(base int) Operand, request []Operand) (v Value) {
	o := &x.outputs[i]
	inputs, said := make([]Operand, len(o.inputs)), make([]Operand, len(o.request))
	for k, base := range o.inputs {
		inputs[k] = read(base)
	}
	for k, r := range o.request {
		if said[k] = NoOperand; request != nil {
			said[k] = request[r]
		}
	}
	o.feature.compute(&v, inputs, said)
	v.Name = o.name
	return v
}

// Finish appends the features in order, of what was read.
func (x *Derivation) Finish(dst, read []Value, request []Operand) []Value {
	for i := range x.outputs {
		o := &x.outputs[i]
		if o.base >= 0 {
			v := read[o.base]
			v.Name = o.name
			dst = append(dst, v)
			continue
		}
		dst = append(dst, x.Compute(i, func(base int) Operand { return OperandOf(&read[base]) }, request))
	}
	return dst
}
