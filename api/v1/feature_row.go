package v1

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/ml/features"
)

// keyOf reads an id from a cell of a row, in CSV and JSON alike.
func keyOf(e features.Entity, cell string) (string, error) {
	id, ok, err := events.KeyOf(cell)
	if err == nil && ok {
		err = api.CheckID("", id)
	}
	if err != nil || !ok {
		return "", err
	}
	return canonical(e, id), nil
}

// cellOf is a value of a JSON row as a cell of a table has it: null and nothing at all are empty.
func cellOf(raw json.RawMessage) (string, error) {
	switch {
	case len(raw) == 0 || string(raw) == "null":
		return "", nil
	case raw[0] == '"':
		var text string
		err := json.Unmarshal(raw, &text)
		return text, err
	case strings.Trim(string(raw), "0123456789.") == "":
		return string(raw), nil
	}
	return "", errors.New("want an id, as a string or a whole number, or null")
}

// rowOf reads what the join needs of a JSON row, and adds what is wrong with it to q.
func rowOf(i int, fields map[string]json.RawMessage, q *api.Query) (row features.Row) {
	fault := func(name string, err error) {
		if err != nil {
			q.Fault(fmt.Sprintf("rows[%d].%s", i, name), "%v", err)
		}
	}
	for _, id := range []struct {
		entity features.Entity
		name   string
		into   *string
	}{{features.User, "user_id", &row.UserID}, {features.Movie, "movie_id", &row.MovieID}} {
		cell, err := cellOf(fields[id.name])
		if err == nil {
			*id.into, err = keyOf(id.entity, cell)
		}
		fault(id.name, err)
	}
	var err error
	row.TimeMillis, err = events.MillisOf(strings.Trim(string(fields["event_timestamp"]), `"`))
	fault("event_timestamp", err)
	return row
}

// keyOfJSON is the value of a join key in a JSON row, a text as a cell of a table has it.
func keyOfJSON(k *events.FeatureField, raw json.RawMessage) json.RawMessage {
	var text string
	if len(raw) == 0 || raw[0] != '"' || json.Unmarshal(raw, &text) != nil {
		return raw
	}
	return features.KeyCell(k, text)
}

// jsonReader reads the body of a join in JSON, of which the rows need not fit memory: an object with the field "rows"
// and others, in any order.
type jsonReader struct {
	dec   *json.Decoder
	limit *rowLimit
	// others is the object without its rows.
	others []byte
	given  bool // rows
}

func newJSONReader(in io.Reader) *jsonReader {
	limit := &rowLimit{in: &utf8Reader{in: in}}
	return &jsonReader{dec: json.NewDecoder(limit), limit: limit}
}

// read calls each with every row. Its fields are valid until it returns. Errors are faults, or those of each.
func (d *jsonReader) read(each func(i int, fields map[string]json.RawMessage) error) error {
	switch first, err := d.dec.Token(); {
	case err == io.EOF:
		return fault.New(fault.Invalid, "the body is empty; want JSON")
	case err != nil:
		return d.fault(err)
	case first != json.Delim('{'):
		return fault.New(fault.Invalid, "the body is %s; want a JSON object", kindOf(first))
	}
	for d.dec.More() {
		d.limit.begun = d.dec.InputOffset()
		name, err := d.dec.Token()
		if err != nil {
			return d.fault(err)
		}
		if text, ok := name.(string); ok && strings.EqualFold(text, "rows") { // as encoding/json has it
			err = d.rows(each)
		} else {
			err = d.other(name)
		}
		if err != nil {
			return err
		}
	}
	if _, err := d.dec.Token(); err != nil { // the closing brace
		return d.fault(err)
	}
	if len(d.others) == 0 {
		d.others = append(d.others, '{')
	}
	d.others = append(d.others, '}')
	d.limit.begun = d.dec.InputOffset()
	if _, err := d.dec.Token(); err != io.EOF {
		return fault.New(fault.Invalid, "the body goes on after its JSON value, at byte %d", d.dec.InputOffset())
	}
	return nil
}

// other gathers a field that is not the rows.
func (d *jsonReader) other(name json.Token) error {
	var value json.RawMessage
	if err := d.dec.Decode(&value); err != nil {
		return d.fault(err)
	}
	text, err := json.Marshal(name)
	if err != nil {
		return err
	}
	between := byte(',')
	if len(d.others) == 0 {
		between = '{'
	}
	d.others = append(append(append(append(d.others, between), text...), ':'), value...)
	if len(d.others) > api.BodyBytesMax {
		return fault.New(fault.TooLarge, "the body has more than %d bytes beside its rows", api.BodyBytesMax)
	}
	return nil
}

func (d *jsonReader) rows(each func(i int, fields map[string]json.RawMessage) error) error {
	if d.given {
		return fault.Field("rows", "is given twice")
	}
	d.given = true
	switch first, err := d.dec.Token(); {
	case err != nil:
		return d.fault(err)
	case first == nil: // null
		return nil
	case first != json.Delim('['):
		return fault.Field("rows", "must be an array, not %s", kindOf(first))
	}
	fields := map[string]json.RawMessage{}
	for i := 0; ; i++ {
		d.limit.begun = d.dec.InputOffset()
		if !d.dec.More() {
			break
		}
		clear(fields)
		if err := d.dec.Decode(&fields); err != nil {
			var wrong *json.UnmarshalTypeError
			if errors.As(err, &wrong) {
				return fault.Field(fmt.Sprintf("rows[%d]", i), "must be an object, not a %s", wrong.Value)
			}
			return d.fault(err)
		}
		if err := each(i, fields); err != nil {
			return err
		}
	}
	if _, err := d.dec.Token(); err != nil { // the closing bracket
		return d.fault(err)
	}
	return nil
}

// fault says what is wrong with the body.
func (d *jsonReader) fault(err error) error {
	var own *fault.Error
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &own):
		return own
	case err == io.EOF, errors.Is(err, io.ErrUnexpectedEOF):
		return fault.New(fault.Invalid, "the body is not whole JSON: it ends after %d bytes", d.limit.read)
	case errors.As(err, &syntax):
		return fault.New(fault.Invalid, "the body is not JSON after byte %d: %v", d.dec.InputOffset(), err)
	}
	return fault.Wrap(fault.Invalid, err, "the body cannot be read")
}

// kindOf is what JSON calls a value that a token begins.
func kindOf(t json.Token) string {
	switch t := t.(type) {
	case nil:
		return "null"
	case bool:
		return "true or false"
	case string:
		return "a string"
	case json.Delim:
		if t == '[' {
			return "an array"
		}
		return "an object"
	}
	return "a number"
}

// rowLimit reads a body of which no row may be longer than rowBytesMax: who reads the rows says where each begins.
type rowLimit struct {
	in          io.Reader
	read, begun int64
}

func (l *rowLimit) Read(b []byte) (int, error) {
	if l.read-l.begun > rowBytesMax {
		return 0, fault.New(fault.TooLarge, "a row has more than %d bytes; it begins at byte %d", rowBytesMax, l.begun).
			WithHint("give less with each row: an id of your own finds the rest again")
	}
	n, err := l.in.Read(b)
	l.read += int64(n)
	return n, err
}

// utf8Reader refuses what is not UTF-8.
type utf8Reader struct {
	in   io.Reader
	tail []byte // the beginning of a character
}

func (u *utf8Reader) Read(b []byte) (int, error) {
	n, err := u.in.Read(b)
	rest := b[:n]
	for len(u.tail) > 0 && len(rest) > 0 && !utf8.FullRune(u.tail) {
		u.tail, rest = append(u.tail, rest[0]), rest[1:]
	}
	valid := true
	if len(u.tail) > 0 && utf8.FullRune(u.tail) {
		valid, u.tail = utf8.Valid(u.tail), u.tail[:0]
	}
	at := len(rest)
	for at > 0 && at > len(rest)-utf8.UTFMax && !utf8.RuneStart(rest[at-1]) {
		at--
	}
	if at > 0 && !utf8.FullRune(rest[at-1:]) {
		u.tail, rest = append(u.tail, rest[at-1:]...), rest[:at-1]
	}
	if !valid || !utf8.Valid(rest) || err == io.EOF && len(u.tail) > 0 {
		return 0, fault.New(fault.Invalid, "the body is not valid UTF-8")
	}
	return n, err
}
