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
	"github.com/projectionist/projectionist/projections/recommend"
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

// movie reads the id of a film that must be there.
func (b body) movie() string {
	v, ok := b.Need("movie_id")
	if !ok {
		return ""
	}
	return b.id(v, "movie_id")
}

// users reads the ids of 1 to most people.
func (b body) users(name string, most int) []string {
	ids := b.ids(name, most)
	for i, id := range ids {
		ids[i] = events.CanonicalUser(id)
	}
	return ids
}

// has says whether a field is given, and notes it where another is that it excludes.
func (b body) has(name string, others ...string) bool {
	v, ok := b.Whole()[name]
	for _, other := range others {
		if _, both := b.Whole()[other]; ok && both {
			b.Take(other)
			b.Wrong(v, "is given with "+other+": give one of them", name)
		}
	}
	return ok
}

// pairs reads 1 to most pairs of a person and a film.
func (b body) pairs(most int) []recommend.Pair {
	list := b.list("pairs", most)
	pairs := make([]recommend.Pair, len(list))
	for i, v := range list {
		fields, ok := v.(map[string]any)
		if !ok {
			b.Flaw("model_attributes_type", "Input should be a valid dictionary or object to extract fields from", v, nil, "pairs", i)
			continue
		}
		within := body{b.Within(fields, "pairs", i)}
		pairs[i] = recommend.Pair{User: within.user(), Film: within.movie()}
		b.Add(within.Values)
	}
	return pairs
}

// k reads how many films each of so many lists may have: all of them together at most itemsMax.
func (b body) k(lists int) int {
	return int(b.Integer("k", kDefault, 1, int64(min(recommend.KMax, itemsMax/max(1, lists)))))
}

// ids reads 1 to most ids, as they came.
func (b body) ids(name string, most int) []string {
	list := b.list(name, most)
	ids := make([]string, len(list))
	for i, v := range list {
		ids[i] = b.id(v, name, i)
	}
	return ids
}

// list reads a list of 1 to most values; nil for what is none.
func (b body) list(name string, most int) []any {
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
		return list
	}
	return nil
}
