package events_test

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/projectionist/projectionist/events"
)

// TestNumber: every float comes back as it was, and those that JSON has have the bytes they always had.
func TestNumber(t *testing.T) {
	all := []float64{1<<53 - 1, 1 << 53, 1<<53 + 2, -1<<53 + 1, -1 << 63, 1e15, 123456, 0, math.Copysign(0, -1), 1, -1.5e-9, 0.1 + 0.2, 1e21, 5e-324, math.MaxFloat64, -math.MaxFloat64, math.NaN(), math.Inf(1), math.Inf(-1)}
	for r := rand.New(rand.NewPCG(1, 1)); len(all) < 20_000; {
		all = append(all, math.Float64frombits(r.Uint64()), math.Round(r.NormFloat64()*1e6)/1e3, math.Round(r.NormFloat64()*1e17))
	}
	for _, f := range all {
		raw, err := json.Marshal(events.Number(f))
		if err != nil {
			t.Fatal(err)
		}
		if plain, err := json.Marshal(f); err == nil && string(plain) != string(raw) {
			t.Errorf("%v: %s; want %s", f, raw, plain)
		}
		var back events.Number
		if err := json.Unmarshal(raw, &back); err != nil || math.Float64bits(float64(back)) != math.Float64bits(f) && !(math.IsNaN(f) && math.IsNaN(float64(back))) {
			t.Errorf("%v: %s reads as %v, %v", f, raw, back, err)
		}
	}
	for _, raw := range []string{`"1"`, `"nan"`, `"inf"`, `"Inf"`, `""`, `true`, `[1]`, `1e999`} {
		var n events.Number
		if err := json.Unmarshal([]byte(raw), &n); err == nil {
			t.Errorf("%s reads as %v", raw, n)
		}
	}
}

// TestMetricsOfBefore: values of logs from before there were others than numbers read as they did.
func TestMetricsOfBefore(t *testing.T) {
	data, err := events.Decode("run.metrics_logged", 1, json.RawMessage(`{"run_id":"r","metrics":[{"key":"loss","value":-1.5e-9,"step":4,"timestamp_millis":5}]}`))
	if err != nil {
		t.Fatal(err)
	}
	if m := data.(*events.RunMetricsLogged).Metrics[0]; m != (events.Metric{Key: "loss", Value: -1.5e-9, Step: 4, TimestampMillis: 5}) {
		t.Errorf("%+v", m)
	}
}
