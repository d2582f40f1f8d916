// Package fastapi reads requests, and says what is wrong with them, as servers made with FastAPI do
// (https://fastapi.tiangolo.com/tutorial/handling-errors), for the surfaces whose clients expect that.
package fastapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/projectionist/projectionist/api"
)

// Values are the named values of a request's body or query, read one by one; what is wrong with them is collected.
type Values struct {
	place  []any // where clients are told that a value stands: "body" or "query", and the way from there
	fields map[string]any
	taken  map[string]bool
	flaws  []Flaw
}

// Body reads a JSON object. The error is a [Refusal] for what is none.
func Body(w http.ResponseWriter, r *http.Request) (*Values, error) {
	raw, err := api.ReadBody(w, r, api.BodyBytesMax)
	if err != nil {
		return nil, err
	}
	if !utf8.Valid(raw) {
		return nil, &Refusal{http.StatusBadRequest, "There was an error parsing the body"}
	}
	b := &Values{place: []any{"body"}, taken: map[string]bool{}}
	if len(bytes.TrimSpace(raw)) == 0 {
		b.Flaw("missing", "Field required", nil, nil)
		return nil, b.Err()
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
		b.flaws = append(b.flaws, Flaw{Type: "json_invalid", Loc: []any{"body", whereOf(err, d, raw)}, Msg: "JSON decode error", Input: struct{}{},
			Ctx: map[string]any{"error": wordsOf(err)}})
		return nil, b.Err()
	}
	fields, ok := v.(map[string]any)
	if !ok {
		b.Flaw("model_attributes_type", "Input should be a valid dictionary or object to extract fields from", v, nil)
		return nil, b.Err()
	}
	b.fields = fields
	return b, nil
}

// Query reads a request's parameters. Those that are lists may be given several times; of others the last counts.
func Query(r *http.Request, lists ...string) (*Values, error) {
	q := &Values{place: []any{"query"}, taken: map[string]bool{}, fields: map[string]any{}}
	given, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, &Refusal{http.StatusBadRequest, "the query cannot be read: " + err.Error()}
	}
	for name, values := range given {
		switch {
		case name == "after" && !slices.Contains(lists, name): // which views were waited for
		case slices.Contains(lists, name):
			all := make([]any, len(values))
			for i, v := range values {
				all[i] = v
			}
			q.fields[name] = all
		default:
			q.fields[name] = values[len(values)-1]
		}
	}
	return q, nil
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

// Flaw notes what is wrong with a value, or with all together where no place is given.
func (b *Values) Flaw(kind, msg string, input any, ctx map[string]any, loc ...any) {
	b.flaws = append(b.flaws, Flaw{kind, append(slices.Clone(b.place), loc...), msg, input, ctx})
}

// Wrong notes that a value is not what a rule wants which the client is told in words.
func (b *Values) Wrong(input any, msg string, loc ...any) {
	b.Flaw("value_error", "Value error, "+msg, input, map[string]any{"error": struct{}{}}, loc...)
}

// Within are the values of an object among them; what is wrong with it is added by Add.
func (b *Values) Within(fields map[string]any, loc ...any) *Values {
	return &Values{place: append(slices.Clone(b.place), loc...), fields: fields, taken: map[string]bool{}}
}

// Add takes in what is wrong with values within, of which all are read.
func (b *Values) Add(of *Values) {
	of.Done() //nolint:errcheck // it is told with the others
	b.flaws = append(b.flaws, of.flaws...)
}

// Whole is all of it, for what is wrong with values together.
func (b *Values) Whole() map[string]any { return b.fields }

// Err is a [Refusal] with all that was noted; nil for nothing.
func (b *Values) Err() error {
	if len(b.flaws) == 0 {
		return nil
	}
	return &Refusal{http.StatusUnprocessableEntity, b.flaws}
}

// Done is Err when all is read: what nobody has taken is wrong too.
func (b *Values) Done() error {
	for _, name := range slices.Sorted(maps.Keys(b.fields)) {
		if !b.taken[name] {
			b.Flaw("extra_forbidden", "Extra inputs are not permitted", b.fields[name], nil, name)
		}
	}
	return b.Err()
}

// Take is a field's value, and whether it is there.
func (b *Values) Take(name string) (any, bool) {
	v, ok := b.fields[name]
	b.taken[name] = true
	return v, ok
}

// Need is Take for a field that must be there.
func (b *Values) Need(name string) (any, bool) {
	v, ok := b.Take(name)
	if !ok {
		b.Flaw("missing", "Field required", b.fields, nil, name)
	}
	return v, ok
}

// Integer reads a whole number of [least, most], or what it is when absent.
func (b *Values) Integer(name string, absent, least, most int64) int64 {
	v, ok := b.Take(name)
	if !ok {
		return absent
	}
	n, kind, msg := WholeOf(v)
	switch {
	case kind != "":
		b.Flaw(kind, msg, v, nil, name)
	case n < least:
		b.Flaw("greater_than_equal", "Input should be greater than or equal to "+strconv.FormatInt(least, 10), v, map[string]any{"ge": least}, name)
	case n > most:
		b.Flaw("less_than_equal", "Input should be less than or equal to "+strconv.FormatInt(most, 10), v, map[string]any{"le": most}, name)
	default:
		return n
	}
	return absent
}

// WholeOf is a whole number; one beyond 64 bits is as large as they go. kind is the error's, or "".
func WholeOf(v any) (n int64, kind, msg string) {
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
	case errors.Is(err, strconv.ErrRange):
		return 0, "finite_number", "Input should be a finite number"
	case err != nil || f != math.Trunc(f):
		return 0, "int_from_float", "Input should be a valid integer, got a number with a fractional part"
	case f >= math.MaxInt64:
		return math.MaxInt64, "", ""
	case f <= math.MinInt64:
		return math.MinInt64, "", ""
	}
	return int64(f), "", ""
}

// Flag reads true or false, or what it is when absent.
func (b *Values) Flag(name string, absent bool) bool {
	v, ok := b.Take(name)
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
		b.Flaw("bool_parsing", "Input should be a valid boolean, unable to interpret input", v, nil, name)
	default:
		b.Flaw("bool_type", "Input should be a valid boolean", v, nil, name)
	}
	return absent
}
