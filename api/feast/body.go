package feast

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/internal/rawjson"
)

// asked is the body of a request for online features.
type asked struct {
	entities []column // in the order of the body
	service  string
	features []string
	full     bool // names view__feature
	metadata bool // of the views

	asOf, knownAt string // "" is now
}

// column is the values of one entity, by its join key.
type column struct {
	name   string
	values []json.RawMessage
}

// reading gathers what is wrong with a body, as pydantic reads it: all of it, and what is not known is passed over.
type reading struct{ details []detail }

func (r *reading) wrong(kind, message string, input json.RawMessage, loc ...any) {
	if len(r.details) < detailsMax {
		r.details = append(r.details, detail{kind, append([]any{"body"}, loc...), message, input, nil})
	}
}

// parse reads a body; what is wrong with it is an answer.
func parse(body []byte) (*asked, *refusal) {
	r := &reading{}
	a := r.body(body)
	if len(r.details) > 0 {
		return nil, &refusal{http.StatusUnprocessableEntity, invalid(r.details...)}
	}
	return a, nil
}

// fields are those of a body that is an object; of another, or of what is none, nothing.
func (r *reading) fields(body []byte) []field {
	if body = bytes.TrimSpace(body); len(body) == 0 {
		r.wrong("missing", "Field required", json.RawMessage("null"))
		return nil
	}
	switch {
	case !json.Valid(body):
		syntax := &json.SyntaxError{}
		errors.As(json.Unmarshal(body, new(json.RawMessage)), &syntax)
		r.details = append(r.details, detail{"json_invalid", []any{"body", syntax.Offset}, "JSON decode error", struct{}{}, map[string]string{"error": syntax.Error()}})
		return nil
	case !utf8.Valid(body):
		r.details = append(r.details, detail{"json_invalid", []any{"body", 0}, "JSON decode error", struct{}{}, map[string]string{"error": "not valid UTF-8"}})
		return nil
	case body[0] != '{':
		r.wrong("model_attributes_type", "Input should be a valid dictionary or object to extract fields from", body)
		return nil
	}
	return fieldsOf(body)
}

// inputMax bounds how much of a wrong body is given back.
const inputMax = 1 << 10

// rawOf is a body to be given back; null for one that is long.
func rawOf(body []byte) json.RawMessage {
	if len(body) > inputMax {
		return json.RawMessage("null")
	}
	return bytes.TrimSpace(body)
}

func (r *reading) body(body []byte) *asked {
	a, given := &asked{}, false
	for _, f := range r.fields(body) {
		switch f.name {
		case "entities":
			given = true
			a.entities = r.entities(f.value)
		case "feature_service":
			if string(f.value) != "null" {
				a.service = r.text(f.value, f.name)
			}
		case "features":
			all := r.list(f.value, f.name)
			a.features = make([]string, len(all))
			for i, v := range all {
				if v[0] == '"' { // hundreds of them
					a.features[i] = rawjson.Text(v)
				} else {
					a.features[i] = r.text(v, f.name, i)
				}
			}
		case api.AsOfParam, api.KnownAtParam:
			if string(f.value) == "null" {
				continue
			}
			if text := r.text(f.value, f.name); f.name == api.AsOfParam {
				a.asOf = text
			} else {
				a.knownAt = text
			}
		case "full_feature_names":
			a.full = r.truth(f.value, f.name)
		case "include_feature_view_version_metadata":
			a.metadata = r.truth(f.value, f.name)
		}
	}
	if !given && len(r.details) == 0 {
		r.wrong("missing", "Field required", bytes.TrimSpace(body), "entities")
	}
	return a
}

func (r *reading) entities(raw json.RawMessage) (columns []column) {
	if raw[0] != '{' {
		r.wrong("dict_type", "Input should be a valid dictionary", raw, "entities")
		return nil
	}
	for _, f := range fieldsOf(raw) {
		columns = append(columns, column{f.name, r.list(f.value, "entities", f.name)})
	}
	return columns
}

// listRoom is for how many values of a list there is room before they are read.
const listRoom = 1024

func (r *reading) list(raw json.RawMessage, loc ...any) (all []json.RawMessage) {
	if raw[0] != '[' {
		r.wrong("list_type", "Input should be a valid list", raw, loc...)
		return nil
	}
	all = make([]json.RawMessage, 0, min(1+bytes.Count(raw, []byte{','}), listRoom))
	rawjson.Each(raw, func(_, value []byte) { all = append(all, value) })
	return all
}

func (r *reading) text(raw json.RawMessage, loc ...any) (text string) {
	if raw[0] != '"' {
		r.wrong("string_type", "Input should be a valid string", raw, loc...)
		return ""
	}
	return rawjson.Text(raw)
}

// truth reads what pydantic takes for true or false.
func (r *reading) truth(raw json.RawMessage, loc ...any) bool {
	word := strings.ToLower(strings.Trim(string(raw), `"`))
	switch {
	case slices.Contains([]string{"true", "1", "yes", "y", "on", "t", "1.0"}, word):
		return true
	case slices.Contains([]string{"false", "0", "no", "n", "off", "f", "0.0"}, word):
	case raw[0] == '"' || raw[0] >= '0' && raw[0] <= '9' || raw[0] == '-':
		r.wrong("bool_parsing", "Input should be a valid boolean, unable to interpret input", raw, loc...)
	default:
		r.wrong("bool_type", "Input should be a valid boolean", raw, loc...)
	}
	return false
}

type field struct {
	name  string
	value json.RawMessage
}

// fieldsOf are the fields of a valid object in their order; of several of one name, the last.
func fieldsOf(object json.RawMessage) (fields []field) {
	at := map[string]int{}
	rawjson.Each(object, func(name, value []byte) {
		f := field{rawjson.Text(name), value}
		if i, again := at[f.name]; again {
			fields[i] = f
			return
		}
		at[f.name] = len(fields)
		fields = append(fields, f)
	})
	return fields
}
