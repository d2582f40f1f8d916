package features

import (
	"math"
	"strconv"
	"unicode/utf8"
)

// Type is the type of a feature's value.
type Type string

const (
	Float64    Type = "float64"
	Int64      Type = "int64"
	String     Type = "string"
	StringList Type = "string_list"
)

// Status says whether a value is there, in the terms of Feast's online protocol.
type Status uint8

const (
	Present       Status = iota // there is a value
	NullValue                   // the entity is known, this value of it is not
	NotFound                    // the entity is not known: no facts, not in the catalogue
	OutsideMaxAge               // the newest fact is older than the view's ttl
)

func (s Status) String() string {
	return [...]string{"PRESENT", "NULL_VALUE", "NOT_FOUND", "OUTSIDE_MAX_AGE"}[s]
}

// Value is the value of one feature of one entity. The field named by Type holds it where Status is
// Present; otherwise all of them are zero. Of the types that only pushed values have ([ExternalTypes]), Str holds its one
// form in JSON.
type Value struct {
	Name            string
	Type            Type
	Status          Status
	Float           float64
	Int             int64
	Str             string
	List            []string // belongs to the catalogue or the definitions: not to be changed
	EventTimeMillis int64    // of the entity's newest fact or the catalogue's entry; 0 without one
}

// Number is the value as a model's input; ok is false where it is absent or not a number.
func (v *Value) Number() (x float64, ok bool) {
	switch {
	case v.Status != Present:
	case v.Type == Float64:
		return v.Float, true
	case v.Type == Int64:
		return float64(v.Int), true
	}
	return 0, false
}

// AppendJSON appends one JSON object, name to value, in the order of values; a value that is not
// Present is null.
func AppendJSON(dst []byte, values []Value) []byte {
	dst = append(dst, '{')
	for i := range values {
		if i > 0 {
			dst = append(dst, ',')
		}
		v := &values[i]
		dst = append(appendJSONString(dst, v.Name), ':')
		dst = v.AppendJSON(dst)
	}
	return append(dst, '}')
}

// AppendJSON appends the bare value: a number, a string, a list of strings, or null.
func (v *Value) AppendJSON(dst []byte) []byte {
	if v.Status != Present {
		return append(dst, "null"...)
	}
	switch v.Type {
	case Float64:
		return appendJSONFloat(dst, v.Float)
	case Int64:
		return strconv.AppendInt(dst, v.Int, 10)
	case String:
		return appendJSONString(dst, v.Str)
	case StringList:
	default:
		return append(dst, v.Str...)
	}
	dst = append(dst, '[')
	for i, s := range v.List {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendJSONString(dst, s)
	}
	return append(dst, ']')
}

// AppendText appends the value as a cell of a table has it: nothing where it is not Present, a list joined with "|".
func (v *Value) AppendText(dst []byte) []byte {
	if v.Status != Present {
		return dst
	}
	switch v.Type {
	case Float64:
		return strconv.AppendFloat(dst, v.Float, 'g', -1, 64)
	case Int64:
		return strconv.AppendInt(dst, v.Int, 10)
	case String:
		return append(dst, v.Str...)
	case StringList:
	default:
		return v.appendPushedText(dst)
	}
	for i, s := range v.List {
		if i > 0 {
			dst = append(dst, '|')
		}
		dst = append(dst, s...)
	}
	return dst
}

// appendJSONFloat writes the shortest text that reads back as x, as encoding/json does; what is no number, which only pushed
// values are, as a text.
func appendJSONFloat(dst []byte, x float64) []byte {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return AppendFloat(dst, x, 64)
	}
	if x == math.Trunc(x) && math.Abs(x) < 1<<53 {
		return strconv.AppendInt(dst, int64(x), 10)
	}
	if a := math.Abs(x); a < 1e-6 || a >= 1e21 {
		return strconv.AppendFloat(dst, x, 'e', -1, 64)
	}
	return strconv.AppendFloat(dst, x, 'f', -1, 64)
}

func appendJSONString(dst []byte, s string) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	from := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' && c < utf8.RuneSelf {
			i++
			continue
		}
		if c < utf8.RuneSelf {
			dst = append(dst, s[from:i]...)
			switch c {
			case '"', '\\':
				dst = append(dst, '\\', c)
			case '\n':
				dst = append(dst, '\\', 'n')
			default:
				dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
			}
			i++
			from = i
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && size == 1 {
			dst = append(append(dst, s[from:i]...), "\ufffd"...)
			from = i + 1
		}
		i += size
	}
	return append(append(dst, s[from:]...), '"')
}
