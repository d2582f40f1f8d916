package events

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
)

// Number is a 64-bit float, one of those included that JSON has no number for: they are the texts "NaN", "Infinity" and
// "-Infinity", as in protobuf's JSON.
type Number float64

func (n Number) MarshalJSON() ([]byte, error) { return n.AppendJSON(nil), nil }

// AppendJSON appends the number as encoding/json has it (ES6's form), for where there are very many.
func (n Number) AppendJSON(b []byte) []byte {
	f := float64(n)
	switch {
	case math.IsNaN(f):
		return append(b, `"NaN"`...)
	case math.IsInf(f, 1):
		return append(b, `"Infinity"`...)
	case math.IsInf(f, -1):
		return append(b, `"-Infinity"`...)
	}
	if n := int64(f); -1<<53 < n && n < 1<<53 && n != 0 && float64(n) == f { // the same digits, sooner
		return strconv.AppendInt(b, n, 10)
	}
	if size := math.Abs(f); size == 0 || size >= 1e-6 && size < 1e21 {
		return strconv.AppendFloat(b, f, 'f', -1, 64)
	}
	b = strconv.AppendFloat(b, f, 'e', -1, 64)
	if end := len(b) - 4; b[end] == 'e' && b[end+1] == '-' && b[end+2] == '0' { // e-09 is e-9
		b[end+2] = b[end+3]
		b = b[:end+3]
	}
	return b
}

func (n *Number) UnmarshalJSON(b []byte) error {
	switch string(b) {
	case `"NaN"`:
		*n = Number(math.NaN())
	case `"Infinity"`:
		*n = Number(math.Inf(1))
	case `"-Infinity"`:
		*n = Number(math.Inf(-1))
	default:
		var f float64
		if err := json.Unmarshal(b, &f); err != nil {
			return fmt.Errorf("%.40q is no number; want one, or \"NaN\", \"Infinity\" or \"-Infinity\"", b)
		}
		*n = Number(f)
	}
	return nil
}
