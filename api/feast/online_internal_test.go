package feast

import (
	"math"
	"testing"

	"github.com/projectionist/projectionist/ml/features"
)

// A float is one in JSON too, whatever its value, so that clients that go by the text take no whole one for an integer.
func TestAppendValue(t *testing.T) {
	for want, x := range map[string]float64{`"NaN"`: math.NaN(), `"Infinity"`: math.Inf(1), `"-Infinity"`: math.Inf(-1), "0.0": 0, "3.0": 3, "-2.0": -2, "0.1": .1,
		"4503599627370497.0": 1<<52 + 1, "1e+16": 1e16, "1e+22": 1e22, "1e-07": 1e-7, "18.218006658202842": 18.218006658202842} {
		if got := string(appendValue(nil, &features.Value{Type: features.Float64, Float: x})); got != want {
			t.Errorf("%v: %s, want %s", x, got, want)
		}
	}
	if got := string(appendValue(nil, &features.Value{Type: features.Float64, Status: features.NullValue, Float: 3})); got != "null" {
		t.Errorf("none: %s", got)
	}
	if got := string(appendValue(nil, &features.Value{Type: features.Int64, Int: 3})); got != "3" {
		t.Errorf("an integer: %s", got)
	}
}
