package events

import (
	"encoding/json"
	"fmt"
	"math"
)

// Number is a 64-bit float, one of those included that JSON has no number for: they are the texts "NaN", "Infinity" and
// "-Infinity", as in protobuf's JSON.
type Number float64

func (n Number) MarshalJSON() ([]byte, error) {
	switch f := float64(n); {
	case math.IsNaN(f):
		return []byte(`"NaN"`), nil
	case math.IsInf(f, 1):
		return []byte(`"Infinity"`), nil
	case math.IsInf(f, -1):
		return []byte(`"-Infinity"`), nil
	default:
		return json.Marshal(f)
	}
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
