package tables

import (
	"encoding/base64"
	"encoding/json"
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/projectionist/projectionist/internal/arrow"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/ml/features"
)

// ValueIn is the value of a row as a feature of a type has it ([features.Coerce]): null where there is none.
func ValueIn(a *arrow.Array, i int, t string) (json.RawMessage, error) {
	if !a.Valid(i) {
		return json.RawMessage("null"), nil
	}
	scalar, list := features.ItemType(features.Type(t))
	if !list {
		raw, err := scalarIn(a, i, t)
		if err != nil {
			return nil, err
		}
		return features.Coerce(t, raw)
	}
	from, to := 0, 0
	switch a.Field.Type.ID {
	case arrow.List, arrow.LargeList:
		from, to = a.Item(i)
	case arrow.FixedSizeList:
		from, to = i*a.Field.Type.Size, (i+1)*a.Field.Type.Size
	default:
		return nil, fault.New(fault.Invalid, "want a list of %s", scalar)
	}
	raw, items := []byte{'['}, a.Children[0]
	for k := from; k < to; k++ {
		if k > from {
			raw = append(raw, ',')
		}
		if !items.Valid(k) {
			raw = append(raw, "null"...)
			continue
		}
		item, err := scalarIn(items, k, scalar)
		if err != nil {
			return nil, err
		}
		raw = append(raw, item...)
	}
	return features.Coerce(t, append(raw, ']'))
}

// scalarIn is a value as JSON, of the form that a type wants of such a column.
func scalarIn(a *arrow.Array, i int, t string) (json.RawMessage, error) {
	switch f := a.Field; f.Type.ID {
	case arrow.Bool:
		return strconv.AppendBool(nil, a.Buffers[1][i/8]>>(i%8)&1 == 1), nil
	case arrow.Int:
		if !f.Type.Signed {
			return strconv.AppendUint(nil, uint64(a.Int64(i)), 10), nil
		}
		return strconv.AppendInt(nil, a.Int64(i), 10), nil
	case arrow.FloatingPoint:
		switch {
		case f.Type.Bits == 32 && t == features.TypeFloat32:
			return features.AppendFloat(nil, float64(math.Float32frombits(uint32(a.Bits(i)))), 32), nil
		case f.Type.Bits == 32:
			return features.AppendFloat(nil, float64(math.Float32frombits(uint32(a.Bits(i)))), 64), nil
		case f.Type.Bits == 64 && t == features.TypeFloat32:
			x := floatOf(a, i)
			if narrow := float64(float32(x)); math.IsInf(narrow, 0) == math.IsInf(x, 0) {
				return features.AppendFloat(nil, narrow, 32), nil
			}
			return nil, fault.New(fault.Invalid, "is too large for a float32")
		case f.Type.Bits == 64:
			return features.AppendFloat(nil, floatOf(a, i), 64), nil
		}
	case arrow.Utf8, arrow.LargeUtf8, arrow.Binary, arrow.LargeBinary:
		if t == features.TypeBytes && (f.Type.ID == arrow.Binary || f.Type.ID == arrow.LargeBinary) {
			return json.Marshal(base64.StdEncoding.EncodeToString(a.Bytes(i)))
		}
		text := a.Text(i)
		if !utf8.ValidString(text) { // JSON would have another in its place
			return nil, fault.New(fault.Invalid, "must be valid UTF-8")
		}
		return json.Marshal(text)
	case arrow.Timestamp, arrow.Date:
		if t == features.TypeTimestamp {
			return strconv.AppendInt(nil, secondsOf(a, i), 10), nil
		}
	}
	return nil, fault.New(fault.Invalid, "want a value of type %s", t)
}

// secondsOf is a time in whole seconds since 1970.
func secondsOf(a *arrow.Array, i int) int64 {
	x := a.Int64(i)
	if a.Field.Type.ID == arrow.Date {
		if a.Field.Type.Unit == 0 {
			return x * 86_400
		}
		return floor(x, 1000)
	}
	return floor(x, [...]int64{1, 1000, 1_000_000, 1_000_000_000}[a.Field.Type.Unit])
}
