package inference

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/projectionist/projectionist/api/fastapi"
	"github.com/projectionist/projectionist/events"
)

// body is a request's JSON object.
type body struct{ *fastapi.Values }

func readBody(w http.ResponseWriter, r *http.Request) (body, error) {
	v, err := fastapi.Body(w, r)
	return body{v}, err
}

// id reads the id of a person or film, text or a whole number.
func (b body) id(v any, loc ...any) string {
	at := func(kind string) []any { return append(slices.Clone(loc), kind) }
	switch v := v.(type) {
	case string:
		return b.text(v, at("str"))
	case json.Number:
		n, kind, msg := fastapi.WholeOf(v)
		if kind == "" {
			if text := v.String(); !strings.ContainsAny(text, ".eE") {
				return text
			}
			return strconv.FormatInt(n, 10)
		}
		b.Flaw(kind, msg, v, nil, at("int")...)
	default:
		b.Flaw("int_type", "Input should be a valid integer", v, nil, at("int")...)
	}
	b.Flaw("string_type", "Input should be a valid string", v, nil, at("str")...)
	return ""
}

func (b body) text(v string, loc []any) string {
	switch {
	case v == "":
		b.Flaw("string_too_short", "String should have at least 1 character", v, map[string]any{"min_length": 1}, loc...)
	case len(v) > events.IDBytesMax:
		b.Flaw("string_too_long", "String should have at most "+strconv.Itoa(events.IDBytesMax)+" characters", v, map[string]any{"max_length": events.IDBytesMax}, loc...)
	case strings.IndexFunc(v, unicode.IsControl) >= 0:
		b.Flaw("value_error", "Value error, must be without control characters", v, nil, loc...)
	}
	return v
}

// user reads the id of a person that must be there.
func (b body) user() string {
	v, ok := b.Need("user_id")
	if !ok {
		return ""
	}
	return events.CanonicalUser(b.id(v, "user_id"))
}

// movies reads the ids of 1 to most films, as they came.
func (b body) movies(name string, most int) []string {
	v, ok := b.Need(name)
	if !ok {
		return nil
	}
	list, ok := v.([]any)
	switch {
	case !ok:
		b.Flaw("list_type", "Input should be a valid list", v, nil, name)
	case len(list) == 0:
		b.Flaw("too_short", "List should have at least 1 item after validation, not 0", v, map[string]any{"field_type": "List", "min_length": 1, "actual_length": 0}, name)
	case len(list) > most:
		b.Flaw("too_long", "List should have at most "+strconv.Itoa(most)+" items after validation, not "+strconv.Itoa(len(list)), v,
			map[string]any{"field_type": "List", "max_length": most, "actual_length": len(list)}, name)
	default:
		ids := make([]string, len(list))
		for i, v := range list {
			ids[i] = b.id(v, name, i)
		}
		return ids
	}
	return nil
}
