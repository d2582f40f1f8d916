package features

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/projectionist/projectionist/events"
)

// ValueOf is a value of a feature of an external view, given in the one form of its type ([Coerce]); it is not null.
func ValueOf(f *events.FeatureField, form []byte) Value {
	v := Value{Name: f.Name, Type: Type(f.Type)}
	switch v.Type {
	case Int64:
		v.Int, _ = strconv.ParseInt(string(form), 10, 64)
	case Float64:
		v.Float, _ = floatOf(strings.Trim(string(form), `"`), 64)
	case String:
		v.Str = textOf(form)
	case StringList:
		v.List = []string{}
		for _, item := range Items(string(form)) {
			v.List = append(v.List, textOf(item))
		}
	default:
		v.Str = string(form)
	}
	return v
}

// Items are those of a list in its one form.
func Items(form string) (items []json.RawMessage) {
	json.Unmarshal([]byte(form), &items) //nolint:errcheck // it is a list
	return items
}

func textOf(form []byte) (text string) {
	json.Unmarshal(form, &text) //nolint:errcheck // it is a text
	return text
}

// Scalar is a value of one of the types that only pushed values have, or an item of a list of any, as columns have it.
type Scalar struct {
	Int   int64 // whole numbers, seconds since 1970; 1 is true
	Float float64
	Text  string // also bytes as they are
}

// ScalarOf reads the one form of a scalar of a type.
func ScalarOf(t string, form []byte) (s Scalar) {
	switch t {
	case TypeInt32, string(Int64), TypeTimestamp:
		s.Int, _ = strconv.ParseInt(string(form), 10, 64)
	case TypeFloat32, string(Float64):
		bits := 64
		if t == TypeFloat32 {
			bits = 32
		}
		s.Float, _ = floatOf(strings.Trim(string(form), `"`), bits)
	case TypeBool:
		if string(form) == "true" {
			s.Int = 1
		}
	case TypeBytes:
		var b []byte
		json.Unmarshal(form, &b) //nolint:errcheck // it is base64
		s.Text = string(b)
	default:
		s.Text = textOf(form)
	}
	return s
}

// ItemType is the type of a list's items; false for what is no list.
func ItemType(t Type) (scalar string, list bool) { return strings.CutSuffix(string(t), listSuffix) }

// appendPushedText appends a value of a type that only pushed values have as a cell of a table has it.
func (v *Value) appendPushedText(dst []byte) []byte {
	scalar, list := ItemType(v.Type)
	if !list {
		return appendCell(dst, scalar, []byte(v.Str))
	}
	for i, item := range Items(v.Str) {
		if i > 0 {
			dst = append(dst, '|')
		}
		dst = appendCell(dst, scalar, item)
	}
	return dst
}

func appendCell(dst []byte, t string, form []byte) []byte {
	switch {
	case t == TypeTimestamp:
		return time.Unix(ScalarOf(t, form).Int, 0).UTC().AppendFormat(dst, time.RFC3339)
	case form[0] == '"': // bytes in base64, what is no number
		return append(dst, textOf(form)...)
	}
	return append(dst, form...)
}

// KeyCell is the value of a join key, from a text in a table, as [External.EntityKey] reads it. Of ids it is what [events.KeyOf]
// makes of it.
func KeyCell(k *events.FeatureField, cell string) json.RawMessage {
	if k.Name == userColumn || k.Name == movieColumn || k.Type != string(String) {
		id, ok, err := events.KeyOf(cell)
		if err == nil {
			cell = id
		}
		if err == nil && !ok {
			return nil
		}
	}
	if !utf8.ValidString(cell) {
		return json.RawMessage(cell) // which is refused
	}
	return appendJSONString(nil, cell)
}

// JoinKey is the view's join key of a name.
func (x *External) JoinKey(name string) *events.FeatureField {
	for i := range x.JoinKeys {
		if x.JoinKeys[i].Name == name {
			return &x.JoinKeys[i]
		}
	}
	return nil
}

// EntityValues reads what [External.EntityKey] wrote: the values of the join keys, as texts, in the order of the view's; false
// for a key of another form, or with an id of another type, which only others than this program push.
func (x *External) EntityValues(key string) ([]string, bool) {
	parts := strings.Split(key, "&")
	if len(parts) != len(x.JoinKeys) {
		return nil, false
	}
	values := make([]string, len(parts))
	for i := range x.JoinKeys {
		k, found := &x.JoinKeys[i], false
		for _, part := range parts {
			name, value, ok := strings.Cut(part, "=")
			if !ok || keyUnescaper.Replace(name) != k.Name {
				continue
			}
			found, values[i] = true, keyUnescaper.Replace(value)
		}
		if k.Name != NobodysKey && (!found || values[i] == "") {
			return nil, false
		}
		if k.Type == string(Int64) || k.Type == TypeInt32 {
			if n, err := strconv.ParseInt(values[i], 10, 64); err != nil || strconv.FormatInt(n, 10) != values[i] {
				return nil, false
			}
		}
	}
	return values, true
}

var keyUnescaper = strings.NewReplacer("%25", "%", "%26", "&", "%3D", "=")
