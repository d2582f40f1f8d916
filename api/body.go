package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"reflect"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/projectionist/projectionist/internal/fault"
)

// WriteBody writes a value of the program's own types, which always have a JSON form. A client that is
// gone is nobody's error.
func WriteBody(w io.Writer, v any) {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.Encode(v) //nolint:errcheck
}

// EncodeJSON is a value of the program's own types as answers have it, ended by a line break.
func EncodeJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return b.Bytes(), fault.Wrap(fault.Internal, err, "the answer has no JSON form")
}

// WriteJSON answers with a value of the program's own types.
func WriteJSON(w http.ResponseWriter, status int, v any) error {
	b, err := EncodeJSON(v)
	if err != nil {
		return err
	}
	return WriteBytes(w, status, b)
}

// WriteBytes answers with JSON that is written already.
func WriteBytes(w http.ResponseWriter, status int, b []byte) error {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(b) //nolint:errcheck // the client is gone
	return nil
}

// ReadBody reads a body of at most limit bytes into memory.
func ReadBody(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	var b bytes.Buffer
	err := ReceiveBody(w, r, limit, &b)
	return b.Bytes(), err
}

// ReceiveBody writes a body of at most limit bytes to where it can be read from later. A client must send each
// BodyBytesMax within bodyTimeout. Errors of into that are faults are passed on.
func ReceiveBody(w http.ResponseWriter, r *http.Request, limit int64, into io.Writer) error {
	if r.ContentLength > limit {
		w.Header().Set("Connection", "close") // rather than reading on
		return tooLarge(limit)
	}
	rc := http.NewResponseController(w)
	defer rc.SetReadDeadline(time.Time{}) //nolint:errcheck // of connections that have none
	in := http.MaxBytesReader(w, r.Body, limit)
	for {
		rc.SetReadDeadline(time.Now().Add(bodyTimeout)) //nolint:errcheck // of connections that have none
		_, err := io.CopyN(into, in, BodyBytesMax)
		var maxBytes *http.MaxBytesError
		var own *fault.Error
		switch {
		case err == nil:
		case err == io.EOF:
			return nil
		case errors.As(err, &maxBytes), errors.As(err, &own):
			return err
		default:
			return fault.Wrap(fault.Invalid, err, "the body could not be read")
		}
	}
}

// ReadJSON reads a JSON object into a struct, strictly. The body may be absent where empty is true.
func ReadJSON(w http.ResponseWriter, r *http.Request, into any, empty bool) error {
	b, err := ReadBody(w, r, BodyBytesMax)
	if err != nil {
		return err
	}
	if empty && len(bytes.TrimSpace(b)) == 0 {
		return nil
	}
	return Unmarshal(b, into)
}

// Unmarshal reads JSON, refusing fields that are not there to be set and anything after the value.
func Unmarshal(b []byte, into any) error {
	if len(bytes.TrimSpace(b)) == 0 {
		return fault.New(fault.Invalid, "the body is empty; want JSON")
	}
	if !utf8.Valid(b) {
		return fault.New(fault.Invalid, "the body is not valid UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return bodyFault(err, len(b), reflect.TypeOf(into))
	}
	if d.More() {
		return fault.New(fault.Invalid, "the body goes on after its JSON value, at byte %d", d.InputOffset())
	}
	if _, err := d.Token(); err != io.EOF {
		return fault.New(fault.Invalid, "the body goes on after its JSON value, at byte %d", d.InputOffset())
	}
	return nil
}

func bodyFault(err error, size int, into reflect.Type) error {
	var wrong *json.UnmarshalTypeError
	var syntax *json.SyntaxError
	var own *fault.Error
	if errors.As(err, &wrong) {
		wrong.Field = wireName(into, wrong.Field)
	}
	switch {
	case errors.As(err, &own):
		return own
	case errors.As(err, &wrong) && wrong.Field == "":
		return fault.New(fault.Invalid, "the body is a %s; want a JSON object", wrong.Value)
	case errors.As(err, &wrong) && wrong.Type == reflect.TypeFor[ID]():
		return fault.Field(wrong.Field, "must be a string or a non-negative whole number, not %s", wrong.Value)
	case errors.As(err, &wrong):
		return fault.Field(wrong.Field, "must be %s, not a %s", jsonType(wrong.Type.Kind().String()), wrong.Value)
	case errors.As(err, &syntax):
		return fault.New(fault.Invalid, "the body is not JSON at byte %d: %v", syntax.Offset, err)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fault.New(fault.Invalid, "the body is not whole JSON: it ends after %d bytes", size)
	}
	if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return fault.Field(Short(strings.Trim(name, `"`)), "is not a field of this request").WithHint("leave it out, or look for a typing error")
	}
	return fault.Wrap(fault.Invalid, err, "the body cannot be read")
}

// wireName is a path to a field without the names of embedded structs, which encoding/json puts before it.
func wireName(t reflect.Type, path string) string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	name, rest, more := strings.Cut(path, ".")
	if t.Kind() == reflect.Struct && more {
		if f, ok := t.FieldByName(name); ok && f.Anonymous {
			return wireName(f.Type, rest)
		}
	}
	return path
}

// jsonType is what JSON calls a kind of Go's.
func jsonType(kind string) string {
	switch kind {
	case "string":
		return "a string"
	case "bool":
		return "true or false"
	case "slice", "array":
		return "an array"
	case "struct", "map", "ptr":
		return "an object"
	case "float64", "float32":
		return "a number"
	}
	return "a whole number in range"
}

// ID is an id that a client may give as a string or as a non-negative whole number.
type ID string

func (v *ID) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		return json.Unmarshal(b, (*string)(v))
	}
	for _, c := range b {
		if c < '0' || c > '9' {
			return &json.UnmarshalTypeError{Value: Short(string(b)), Type: reflect.TypeFor[ID]()} // gets its field from the decoder
		}
	}
	*v = ID(b)
	return nil
}

// Names is a list of texts, of which a client may give a single one without a list.
type Names []string

func (v *Names) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		*v = make(Names, 1)
		return json.Unmarshal(b, &(*v)[0])
	}
	return json.Unmarshal(b, (*[]string)(v))
}

// Scalar is a setting that a client may give as a string, a number, true or false; it is kept as text.
type Scalar string

func (v *Scalar) UnmarshalJSON(b []byte) error {
	switch b[0] {
	case '"':
		return json.Unmarshal(b, (*string)(v))
	case '{', '[', 'n':
		return &json.UnmarshalTypeError{Value: "nested value or null", Type: reflect.TypeFor[Scalar]()}
	}
	*v = Scalar(b)
	return nil
}

// Interrupted is a reader that ends with a context. The error is fault.Unavailable.
func Interrupted(ctx context.Context, in io.Reader) io.Reader { return interrupted{ctx, in} }

type interrupted struct {
	ctx context.Context
	in  io.Reader
}

func (i interrupted) Read(b []byte) (int, error) {
	if i.ctx.Err() != nil {
		return 0, fault.New(fault.Unavailable, "the request was cut off before it was done")
	}
	return i.in.Read(b)
}
