package recipe

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/projectionist/projectionist/internal/fault"
)

// Param declares a parameter of a recipe.
type Param struct {
	Name     string   `json:"name"` // "als.dim"
	Type     Type     `json:"type"`
	Default  string   `json:"default"`
	Min      float64  `json:"min,omitempty"`       // of Integer and Number
	Max      float64  `json:"max,omitempty"`       // math.MaxFloat64: none
	AboveMin bool     `json:"above_min,omitempty"` // Min itself is out of range
	Choices  []string `json:"choices,omitempty"`   // of Choice
	Search   *Search  `json:"search,omitempty"`    // where good values of an Integer or Number are looked for; see [Recipe.Searched]
	Meaning  string   `json:"meaning"`
}

// IntegerParam declares an integer from least to most.
func IntegerParam(name string, value, least, most int, meaning string) Param {
	return Param{Name: name, Type: Integer, Default: strconv.Itoa(value), Min: float64(least), Max: float64(most), Meaning: meaning}
}

// NumberParam declares a number from least to most.
func NumberParam(name string, value, least, most float64, meaning string) Param {
	return Param{Name: name, Type: Number, Default: number(value), Min: least, Max: most, Meaning: meaning}
}

// AboveParam declares a number above least, at most most.
func AboveParam(name string, value, least, most float64, meaning string) Param {
	return Param{Name: name, Type: Number, Default: number(value), Min: least, AboveMin: true, Max: most, Meaning: meaning}
}

// Type is what a parameter's value is.
type Type string

const (
	Integer Type = "integer"
	Number  Type = "number" // finite
	Choice  Type = "choice"
	Seed    Type = "seed" // of all randomness in training: 0 to 2⁶⁴−1
)

// Every recipe has these: what it holds out for its own choices, if it makes any, and by which it is judged.
const (
	HoldoutShare  = "holdout_share"
	HoldoutEvents = "holdout_events"
)

var holdout = []Param{
	{Name: HoldoutShare, Type: Number, Default: "0.1", Min: 0, AboveMin: true, Max: .4,
		Meaning: "the last part of the data in time that choices are made on, and in an evaluation the part that is judged"},
	{Name: HoldoutEvents, Type: Integer, Default: "1000", Min: 1, Max: 1e9,
		Meaning: "how many moments of it are scored at most, evenly over time"},
}

// Declared are all parameters of the recipe: its own, and those that every one has.
func (r *Recipe) Declared() []Param { return append(slices.Clone(r.Params), holdout...) }

// takes says what the parameter takes, for messages.
func (p *Param) takes() string {
	switch p.Type {
	case Choice:
		return "one of " + strings.Join(p.Choices, ", ")
	case Seed:
		return "an integer from 0 to 18446744073709551615"
	case Integer:
		return fmt.Sprintf("an integer from %.0f to %.0f", p.Min, p.Max)
	}
	from := "from "
	if p.AboveMin {
		from = "above "
	}
	if p.Max == math.MaxFloat64 {
		return "a number " + from + number(p.Min)
	}
	if p.AboveMin {
		return fmt.Sprintf("a number above %s, at most %s", number(p.Min), number(p.Max))
	}
	return fmt.Sprintf("a number from %s to %s", number(p.Min), number(p.Max))
}

// canonical is the one spelling of a value, as versions state it; false for a value out of range.
func (p *Param) canonical(value string) (string, bool) {
	switch p.Type {
	case Integer:
		v, err := strconv.ParseInt(value, 10, 64)
		return strconv.FormatInt(v, 10), err == nil && float64(v) >= p.Min && float64(v) <= p.Max
	case Seed:
		v, err := strconv.ParseUint(value, 10, 64)
		return strconv.FormatUint(v, 10), err == nil
	case Choice:
		return value, slices.Contains(p.Choices, value)
	}
	v, err := strconv.ParseFloat(value, 64)
	low := v >= p.Min && !(p.AboveMin && v == p.Min)
	return number(v), err == nil && low && v <= p.Max
}

// number is a number as JSON has it; "" for one that is not finite.
func number(v float64) string {
	b, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	return string(b)
}

// Params are values of all parameters of a recipe, in range and in their canonical spelling: "als.dim"
// is "64". [Recipe.Parse] makes them.
type Params map[string]string

// Parse completes parameters by their defaults. Errors: faults that name each parameter there is not, or
// whose value is out of range, and say what it takes.
func (r *Recipe) Parse(given map[string]string) (Params, error) {
	p, err := r.Stated(given)
	if err == nil && r.Check != nil {
		err = r.Check(p)
	}
	return p, err
}

// Stated is Parse of what a version says it was trained by: what it may ask for was judged then.
func (r *Recipe) Stated(given map[string]string) (Params, error) {
	p := Params{}
	var errs []error
	for _, d := range r.Declared() {
		value, ok := given[d.Name]
		if !ok {
			value = d.Default
		}
		canonical, ok := d.canonical(value)
		if !ok {
			errs = append(errs, fault.Field(d.Name, "is %q; %s takes %s", value, r.Name, d.takes()))
		}
		p[d.Name] = canonical
	}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if _, ok := p[name]; !ok {
			errs = append(errs, fault.Field(name, "is no parameter of %s; it has %s", r.Name, strings.Join(slices.Sorted(maps.Keys(p)), ", ")))
		}
	}
	return p, errors.Join(errs...)
}

// Seed is the value of the parameter that seeds training, 0 for a recipe that has none.
func (r *Recipe) Seed(p Params) uint64 {
	for _, d := range r.Params {
		if d.Type == Seed {
			return p.Seed(d.Name)
		}
	}
	return 0
}

// Int is the value of an Integer.
func (p Params) Int(name string) int { return int(value(p, name, parseInt)) }

// Number is the value of a Number.
func (p Params) Number(name string) float64 { return value(p, name, parseFloat) }

// Seed is the value of a Seed.
func (p Params) Seed(name string) uint64 { return value(p, name, parseUint) }

func parseInt(s string) (int64, error)     { return strconv.ParseInt(s, 10, 64) }
func parseUint(s string) (uint64, error)   { return strconv.ParseUint(s, 10, 64) }
func parseFloat(s string) (float64, error) { return strconv.ParseFloat(s, 64) }

// value panics where a recipe asks for what it has not declared so.
func value[T any](p Params, name string, parse func(string) (T, error)) T {
	v, err := parse(p[name])
	if err != nil {
		panic(fmt.Sprintf("parameter %s is %q: it was not parsed, or is of another type: %v", name, p[name], err))
	}
	return v
}
