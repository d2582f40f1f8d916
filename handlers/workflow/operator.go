package workflow

import (
	"errors"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/projectionist/projectionist/internal/fault"
)

// Operator is what a task can do.
type Operator struct {
	Name        string   `json:"name"`
	Description string   `json:"description"`
	Args        []Param  `json:"args"` // what a task may say under with; with OpenArgs it may say more
	OpenArgs    bool     `json:"open_args,omitempty"`
	Inputs      []string `json:"inputs"`  // operators whose outputs it reads: each of a task before it
	Outputs     []string `json:"outputs"` // names of what it puts out; with OpenOutputs there may be others
	OpenOutputs bool     `json:"open_outputs,omitempty"`
	// Off is why this server does not do it, as people are told when they apply a definition; "" where it does.
	Off string `json:"off,omitempty"`
	// Conf checks those entries of a run's conf that its workflow does not declare; nil where it takes none.
	Conf func(conf map[string]string) error `json:"-"`
}

// Operators are all there are, by name.
type Operators map[string]*Operator

// Allow says which tasks of a definition are made of operators that are off here. The definition is good all the same, where
// they are on.
func (o Operators) Allow(d *Definition) error {
	var errs []error
	for i := range d.Tasks {
		if op := o[d.Tasks[i].Operator]; op != nil && op.Off != "" {
			errs = append(errs, fault.Field("task "+d.Tasks[i].Name, "is of operator %s: %s", op.Name, op.Off))
		}
	}
	return errors.Join(errs...)
}

// Names are in alphabetical order.
func (o Operators) Names() []string { return slices.Sorted(maps.Keys(o)) }

// Type is what a param may hold. All values are texts.
type Type string

// Types of params.
const (
	Text    Type = "text"
	Whole   Type = "whole"   // a whole number
	Number  Type = "number"  // a finite number
	Boolean Type = "boolean" // true or false
	// Mapping is of an operator's arguments alone: names with a text each. That of a name in one is called "ARGUMENT.NAME".
	Mapping Type = "mapping"
)

var types = []Type{Text, Whole, Number, Boolean}

// Param is a declared setting, of a run or of a task.
type Param struct {
	Name        string   `json:"name"`
	Type        Type     `json:"type"`
	Description string   `json:"description,omitempty"`
	Default     *string  `json:"default"`           // nil: it must be given
	Least       *float64 `json:"minimum,omitempty"` // of numbers
	Most        *float64 `json:"maximum,omitempty"`
	OneOf       []string `json:"enum,omitempty"`
	// Of an operator's arguments: Secret ones may name secrets, and Literal ones name nothing: they are code, and what a run is
	// told is not.
	Secret  bool `json:"secret,omitempty"`
	Literal bool `json:"literal,omitempty"`
}

// check says what is wrong with a value, under a field's name.
func (p *Param) check(field, value string) error {
	bad := func(want string) error {
		return fault.Field(field, "is %q; want %s", value, want)
	}
	if len(p.OneOf) > 0 && !slices.Contains(p.OneOf, value) {
		return bad("one of " + strings.Join(p.OneOf, ", "))
	}
	x := 0.
	switch p.Type {
	case Whole:
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil {
			return bad("a whole number")
		}
		x = float64(n)
	case Number:
		var err error
		if x, err = strconv.ParseFloat(value, 64); err != nil || math.IsNaN(x) || math.IsInf(x, 0) {
			return bad("a finite number")
		}
	case Boolean:
		if value != "true" && value != "false" {
			return bad("true or false")
		}
		return nil
	default:
		return nil
	}
	switch {
	case p.Least != nil && x < *p.Least:
		return bad("at least " + strconv.FormatFloat(*p.Least, 'g', -1, 64))
	case p.Most != nil && x > *p.Most:
		return bad("at most " + strconv.FormatFloat(*p.Most, 'g', -1, 64))
	}
	return nil
}

func paramOf(all []Param, name string) *Param {
	for i := range all {
		if all[i].Name == name {
			return &all[i]
		}
	}
	return nil
}
