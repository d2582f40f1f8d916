package inference

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/events"
)

// flaw is one thing wrong with a request, as pydantic says it (https://docs.pydantic.dev/latest/errors/validation_errors).
type flaw struct {
	Type  string         `json:"type"`
	Loc   []any          `json:"loc"`
	Msg   string         `json:"msg"`
	Input any            `json:"input"`
	Ctx   map[string]any `json:"ctx,omitempty"`
}

// body is a request's JSON object, read field by field; what is wrong is collected.
type body struct {
	fields map[string]any
	taken  map[string]bool
	flaws  []flaw
}

// readBody reads a JSON object. It answers itself what is none, and gives nil then.
func readBody(w http.ResponseWriter, r *http.Request) (*body, error) {
	raw, err := api.ReadBody(w, r, api.BodyBytesMax)
	if err != nil {
		return nil, err
	}
	if !utf8.Valid(raw) {
		return nil, api.WriteJSON(w, http.StatusBadRequest, map[string]any{"detail": "There was an error parsing the body"})
	}
	b := &body{taken: map[string]bool{}}
	if len(bytes.TrimSpace(raw)) == 0 {
		b.flaw("missing", "Field required", nil, nil)
		return nil, b.refuse(w)
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	err = d.Decode(&v)
	if err == nil {
		if _, more := d.Token(); more != io.EOF {
			err = errExtra
		}
	}
	if err != nil {
		b.flaws = append(b.flaws, flaw{Type: "json_invalid", Loc: []any{"body", whereOf(err, d, raw)}, Msg: "JSON decode error", Input: struct{}{},
			Ctx: map[string]any{"error": wordsOf(err)}})
		return nil, b.refuse(w)
	}
	fields, ok := v.(map[string]any)
	if !ok {
		b.flaw("model_attributes_type", "Input should be a valid dictionary or object to extract fields from", v, nil)
		return nil, b.refuse(w)
	}
	b.fields = fields
	return b, nil
}

var errExtra = errors.New("extra data")

// whereOf is the offset of a JSON error.
func whereOf(err error, d *json.Decoder, raw []byte) int64 {
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &syntax):
		return max(0, syntax.Offset-1)
	case err == errExtra:
		rest := raw[d.InputOffset():]
		return d.InputOffset() + int64(len(rest)-len(bytes.TrimLeft(rest, " \t\r\n")))
	}
	return int64(len(raw))
}

// wordsOf is a JSON error in the words of Python's decoder.
func wordsOf(err error) string {
	if err == errExtra {
		return "Extra data"
	}
	text := err.Error()
	for part, words := range map[string]string{
		"beginning of value": "Expecting value", "beginning of object key": "Expecting property name enclosed in double quotes",
		"after object key:value pair": "Expecting ',' delimiter", "after array element": "Expecting ',' delimiter", "after object key": "Expecting ':' delimiter",
		"unexpected": "Expecting value", "in literal": "Expecting value", "in string literal": "Invalid control character at",
	} {
		if strings.HasSuffix(text, part) || part != "after object key" && strings.Contains(text, part) {
			return words
		}
	}
	return text
}

func (b *body) flaw(kind, msg string, input any, ctx map[string]any, loc ...any) {
	b.flaws = append(b.flaws, flaw{kind, append([]any{"body"}, loc...), msg, input, ctx})
}

// refuse answers with what is wrong.
func (b *body) refuse(w http.ResponseWriter) error {
	return api.WriteJSON(w, http.StatusUnprocessableEntity, struct {
		Detail []flaw `json:"detail"`
	}{b.flaws})
}

// done refuses fields that nobody has taken, and answers with all that is wrong; false where nothing is.
func (b *body) done(w http.ResponseWriter) (bool, error) {
	for _, name := range slices.Sorted(maps.Keys(b.fields)) {
		if !b.taken[name] {
			b.flaw("extra_forbidden", "Extra inputs are not permitted", b.fields[name], nil, name)
		}
	}
	if len(b.flaws) == 0 {
		return false, nil
	}
	return true, b.refuse(w)
}

// take is a field's value, and whether it is there.
func (b *body) take(name string) (any, bool) {
	v, ok := b.fields[name]
	b.taken[name] = true
	return v, ok
}

// need is take for a field that must be there.
func (b *body) need(name string) (any, bool) {
	v, ok := b.take(name)
	if !ok {
		b.flaw("missing", "Field required", b.fields, nil, name)
	}
	return v, ok
}

// integer reads a whole number of [least, most], or what it is when absent.
func (b *body) integer(name string, absent, least, most int64) int64 {
	v, ok := b.take(name)
	if !ok {
		return absent
	}
	n, kind, msg := wholeOf(v)
	switch {
	case kind != "":
		b.flaw(kind, msg, v, nil, name)
	case n < least:
		b.flaw("greater_than_equal", "Input should be greater than or equal to "+strconv.FormatInt(least, 10), v, map[string]any{"ge": least}, name)
	case n > most:
		b.flaw("less_than_equal", "Input should be less than or equal to "+strconv.FormatInt(most, 10), v, map[string]any{"le": most}, name)
	default:
		return n
	}
	return absent
}

// wholeOf is a whole number; one beyond 64 bits is as large as they go. kind is the error's, or "".
func wholeOf(v any) (n int64, kind, msg string) {
	var text string
	switch v := v.(type) {
	case json.Number:
		text = v.String()
	case string:
		text = strings.TrimSpace(v)
	default:
		return 0, "int_type", "Input should be a valid integer"
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err == nil || errors.Is(err, strconv.ErrRange) {
		return n, "", ""
	}
	if _, is := v.(string); is {
		return 0, "int_parsing", "Input should be a valid integer, unable to parse string as an integer"
	}
	f, err := strconv.ParseFloat(text, 64)
	switch {
	case err != nil || f != math.Trunc(f):
		return 0, "int_from_float", "Input should be a valid integer, got a number with a fractional part"
	case f >= math.MaxInt64:
		return math.MaxInt64, "", ""
	case f <= math.MinInt64:
		return math.MinInt64, "", ""
	}
	return int64(f), "", ""
}

// flag reads true or false, or what it is when absent.
func (b *body) flag(name string, absent bool) bool {
	v, ok := b.take(name)
	if !ok {
		return absent
	}
	switch x := v.(type) {
	case bool:
		return x
	case json.Number, string:
		var text string
		if n, is := x.(json.Number); is {
			text = n.String()
		} else {
			text = strings.ToLower(x.(string))
		}
		switch text {
		case "1", "true", "t", "yes", "y", "on":
			return true
		case "0", "false", "f", "no", "n", "off":
			return false
		}
		b.flaw("bool_parsing", "Input should be a valid boolean, unable to interpret input", v, nil, name)
	default:
		b.flaw("bool_type", "Input should be a valid boolean", v, nil, name)
	}
	return absent
}

// id reads the id of a person or film, text or a whole number.
func (b *body) id(v any, loc ...any) string {
	at := func(kind string) []any { return append(slices.Clone(loc), kind) }
	switch v := v.(type) {
	case string:
		return b.text(v, at("str"))
	case json.Number:
		n, kind, msg := wholeOf(v)
		if kind == "" {
			if text := v.String(); !strings.ContainsAny(text, ".eE") {
				return text
			}
			return strconv.FormatInt(n, 10)
		}
		b.flaw(kind, msg, v, nil, at("int")...)
	default:
		b.flaw("int_type", "Input should be a valid integer", v, nil, at("int")...)
	}
	b.flaw("string_type", "Input should be a valid string", v, nil, at("str")...)
	return ""
}

func (b *body) text(v string, loc []any) string {
	switch {
	case v == "":
		b.flaw("string_too_short", "String should have at least 1 character", v, map[string]any{"min_length": 1}, loc...)
	case len(v) > events.IDBytesMax:
		b.flaw("string_too_long", "String should have at most "+strconv.Itoa(events.IDBytesMax)+" characters", v, map[string]any{"max_length": events.IDBytesMax}, loc...)
	case strings.IndexFunc(v, unicode.IsControl) >= 0:
		b.flaw("value_error", "Value error, must be without control characters", v, nil, loc...)
	}
	return v
}

// user reads the id of a person that must be there.
func (b *body) user() string {
	v, ok := b.need("user_id")
	if !ok {
		return ""
	}
	return events.CanonicalUser(b.id(v, "user_id"))
}

// movies reads the ids of 1 to most films, as they came.
func (b *body) movies(name string, most int) []string {
	v, ok := b.need(name)
	if !ok {
		return nil
	}
	list, ok := v.([]any)
	switch {
	case !ok:
		b.flaw("list_type", "Input should be a valid list", v, nil, name)
	case len(list) == 0:
		b.flaw("too_short", "List should have at least 1 item after validation, not 0", v, map[string]any{"field_type": "List", "min_length": 1, "actual_length": 0}, name)
	case len(list) > most:
		b.flaw("too_long", "List should have at most "+strconv.Itoa(most)+" items after validation, not "+strconv.Itoa(len(list)), v,
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
