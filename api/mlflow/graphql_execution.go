package mlflow

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"slices"

	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"

	"github.com/projectionist/projectionist/api"
)

// execution answers one operation that is valid.
type execution struct {
	s      *Surface
	r      *http.Request
	doc    *ast.QueryDocument
	op     *ast.OperationDefinition
	root   *ast.Definition
	vars   map[string]any
	errors gqlerror.List

	experiments map[string]any   // by id, as they were asked for
	versions    map[string][]any // of models, by the run they came of; nil until one is asked for
}

// response is what a query calls one value: the fields of that name, which are of one.
type response struct {
	*ast.Field
	set ast.SelectionSet // of all of them
}

// collect adds what is selected of an object, in the order in which it is.
func (x *execution) collect(set ast.SelectionSet, all []*response) []*response {
	for _, selection := range set {
		switch f := selection.(type) {
		case *ast.Field:
			if !x.wanted(f.Directives) {
				continue
			}
			i := slices.IndexFunc(all, func(r *response) bool { return r.Alias == f.Alias })
			if i < 0 {
				i, all = len(all), append(all, &response{Field: f})
			}
			all[i].set = append(all[i].set, f.SelectionSet...)
		case *ast.InlineFragment: // of the object's own type, as the schema has no other that it could be
			if x.wanted(f.Directives) {
				all = x.collect(f.SelectionSet, all)
			}
		case *ast.FragmentSpread:
			if x.wanted(f.Directives) {
				all = x.collect(x.doc.Fragments.ForName(f.Name).SelectionSet, all)
			}
		}
	}
	return all
}

// wanted says whether @skip and @include let something be.
func (x *execution) wanted(directives ast.DirectiveList) bool {
	if d := directives.ForName("skip"); d != nil && d.ArgumentMap(x.vars)["if"] == true {
		return false
	}
	d := directives.ForName("include")
	return d == nil || d.ArgumentMap(x.vars)["if"] == true
}

// object writes what is selected of an object of a type.
func (x *execution) object(out *bytes.Buffer, def *ast.Definition, set ast.SelectionSet, of map[string]any, path ast.Path) error {
	out.WriteByte('{')
	for i, f := range x.collect(set, nil) {
		if i > 0 {
			out.WriteByte(',')
		}
		write(out, f.Alias)
		out.WriteByte(':')
		if f.Name == "__typename" {
			write(out, def.Name)
			continue
		}
		at := append(slices.Clone(path), ast.PathName(f.Alias))
		v, err := x.resolve(def, f, of)
		if err != nil {
			if err := x.fault(err, f, at); err != nil {
				return err
			}
			out.WriteString("null")
			continue
		}
		if err := x.value(out, f.Definition.Type, f, v, at); err != nil {
			return err
		}
	}
	out.WriteByte('}')
	return nil
}

// none is the value of a field that is null. Nil is that of one which is not set, and has its type's default, as the
// messages of MLflow have.
type none struct{}

// resolve is the value of a field.
func (x *execution) resolve(def *ast.Definition, f *response, of map[string]any) (any, error) {
	switch {
	case def == x.root:
		return x.ask(f)
	case f.Name == "apiError": // what is refused stands among the errors
		return none{}, nil
	case def.Name == "MlflowRunExtension" && f.Name == "experiment":
		return x.experiment(of)
	case def.Name == "MlflowRunExtension" && f.Name == "modelVersions":
		return x.versionsOf(of)
	}
	return of[snake(f.Name)], nil
}

// ask is a field of the root: a message of the REST API.
func (x *execution) ask(f *response) (any, error) {
	h, posted := x.s.message(f.Name)
	if h == nil {
		return nil, invalid("%s is not answered here: there is no introspection", f.Name)
	}
	input := map[string]any{}
	if a := f.Arguments.ForName("input"); a != nil {
		v, err := a.Value.Value(x.vars)
		if err != nil {
			return nil, invalid("input: %v", err)
		}
		input, _ = v.(map[string]any)
	}
	return ask(x.r, h, posted, input)
}

// experiment is the experiment that a run is in; null where a run names one that is not known.
func (x *execution) experiment(run map[string]any) (any, error) {
	info, _ := run["info"].(map[string]any)
	id, _ := info["experiment_id"].(string)
	if v, ok := x.experiments[id]; ok {
		return v, nil
	}
	var v any = none{}
	answer, err := ask(x.r, x.s.getExperiment, false, map[string]any{"experimentId": id})
	var own *refusal
	switch {
	case errors.As(err, &own) && own.Code == codeNotFound:
	case err != nil:
		return nil, err
	default:
		v = answer["experiment"]
	}
	if x.experiments == nil {
		x.experiments = map[string]any{}
	}
	x.experiments[id] = v
	return v, nil
}

// versionsOf are the versions of models that came of a run. All are looked through once, for every run of the query.
func (x *execution) versionsOf(run map[string]any) (any, error) {
	if x.versions == nil {
		x.versions = map[string][]any{}
		for m, err := range x.s.allModels() {
			if err == nil {
				err = x.r.Context().Err()
			}
			if err != nil {
				return nil, err
			}
			for i := range m.Versions {
				if v := &m.Versions[i]; v.RunID != "" {
					x.versions[v.RunID] = append(x.versions[v.RunID], versionOf(m, v))
				}
			}
		}
	}
	info, _ := run["info"].(map[string]any)
	id, _ := info["run_id"].(string)
	return asRead(x.versions[id])
}

// asRead is a value as a client reads it.
func asRead(v any) (read any, err error) {
	b, err := api.EncodeJSON(v)
	if err != nil {
		return nil, err
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	err = d.Decode(&read)
	return read, err
}

// value writes a value of a type.
func (x *execution) value(out *bytes.Buffer, t *ast.Type, f *response, v any, path ast.Path) error {
	if _, null := v.(none); null {
		out.WriteString("null")
		return nil
	}
	if t.Elem != nil {
		list, _ := v.([]any)
		out.WriteByte('[')
		for i, one := range list {
			if i > 0 {
				out.WriteByte(',')
			}
			if err := x.value(out, t.Elem, f, one, append(slices.Clone(path), ast.PathIndex(i))); err != nil {
				return err
			}
		}
		out.WriteByte(']')
		return nil
	}
	def := graphSchema.Types[t.NamedType]
	if def.Kind == ast.Object {
		fields, _ := v.(map[string]any)
		return x.object(out, def, f.set, fields, path)
	}
	write(out, leaf(def, v))
	return nil
}

// leaf is a scalar as GraphQL has it. A number that is none has no form there.
func leaf(def *ast.Definition, v any) any {
	text, isText := v.(string)
	switch {
	case def.Kind == ast.Enum && !isText, def.Name == "Float" && isText:
		return nil
	case def.Name == "String" && v == nil:
		return ""
	case def.Name == "Boolean" && v == nil:
		return false
	case def.Name == "Float" && v == nil:
		return 0
	case def.Name == "LongString" && v == nil:
		return "0"
	case !isText && (def.Name == "String" || def.Name == "LongString"):
		return scalarText(v)
	case isText:
		return text
	}
	return v
}

func write(out *bytes.Buffer, v any) {
	api.WriteBody(out, v)
	out.Truncate(out.Len() - 1) // the line break
}

// fault keeps why a field is null. What is no fault of the query fails the request.
func (x *execution) fault(err error, f *response, path ast.Path) error {
	var own *refusal
	if !errors.As(err, &own) {
		if own = refusalOf(api.ProblemOf(err, api.RequestID(x.r))); own.status >= http.StatusInternalServerError {
			return err
		}
	}
	x.errors = append(x.errors, &gqlerror.Error{Message: own.Message, Path: path, Extensions: map[string]any{"code": own.Code},
		Locations: []gqlerror.Location{{Line: f.Position.Line, Column: f.Position.Column}}})
	return nil
}
