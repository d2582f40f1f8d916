package v1

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/ml/features"
)

// requestParam is the parameter, or the field, of what a request says for the expressions of on-demand views.
const requestParam = "request"

// saying is a selection as a request reads it. said gives what the request says of a field, as JSON; how tells to say it. names are
// all that it says.
func saying(sel *features.Selection, names []string, said func(f *events.FeatureField) (json.RawMessage, bool), how string) (*features.Selection, error) {
	wanted := sel.Request()
	operands := make([]features.Operand, len(wanted))
	known := map[string]bool{}
	for i := range wanted {
		f := &wanted[i].FeatureField
		known[f.Name] = true
		raw, ok := said(f)
		if !ok {
			return nil, fault.Field(requestParam, "says nothing of %s, which the on-demand view %s wants", f.Name, wanted[i].View).WithHint(how, f.Name, f.Type)
		}
		v, err := features.RequestValue(f, raw)
		if err != nil {
			e := err.(*fault.Error)
			e.Field = requestParam + "." + e.Field
			return nil, e
		}
		operands[i] = features.OperandOf(&v)
	}
	for _, name := range names {
		if !known[name] {
			return nil, fault.Field(requestParam+"."+name, "is wanted by none of the features").WithHint("leave it out, or ask for features of the on-demand view that wants it")
		}
	}
	if len(wanted) == 0 {
		return sel, nil
	}
	return sel.Saying(operands), nil
}

// sayingCells is [saying] of a query: request=NAME=VALUE, once for each.
func sayingCells(sel *features.Selection, given []string) (*features.Selection, error) {
	cells, names := map[string]string{}, []string(nil)
	for _, text := range given {
		name, cell, ok := strings.Cut(text, "=")
		if _, twice := cells[name]; !ok || name == "" || twice {
			return nil, fault.Field(requestParam, "%q is no value of its own", text).WithHint("write request=NAME=VALUE, each name once")
		}
		cells[name], names = cell, append(names, name)
	}
	return saying(sel, names, func(f *events.FeatureField) (json.RawMessage, bool) {
		cell, ok := cells[f.Name]
		return features.RequestCell(f, cell), ok
	}, "add request=%s=VALUE, of type %s")
}

// sayingJSON is [saying] of a body.
func sayingJSON(sel *features.Selection, given map[string]json.RawMessage) (*features.Selection, error) {
	var names []string
	for name := range given {
		names = append(names, name)
	}
	slices.Sort(names)
	return saying(sel, names, func(f *events.FeatureField) (json.RawMessage, bool) {
		raw, ok := given[f.Name]
		return raw, ok
	}, `add "request": {"%s": VALUE}, of type %s`)
}
