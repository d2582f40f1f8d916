package events_test

import (
	"bytes"
	"encoding/json"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/projectionist/projectionist/events"
)

// TestMetricsJSON: values of metrics are written to the byte as encoding/json writes them.
func TestMetricsJSON(t *testing.T) {
	type plain events.RunMetricsLogged // without its own form
	rng := rand.New(rand.NewPCG(1, 2))
	letters := []rune("ab/:-_ .é日\"\\<>&\x00\x1f\x7f\u2028\u2029\ufffd😀")
	text := func() string {
		b := make([]rune, rng.IntN(6))
		for i := range b {
			b[i] = letters[rng.IntN(len(letters))]
		}
		if rng.IntN(20) == 0 {
			return string(b) + "\xff" // no UTF-8
		}
		return string(b)
	}
	numbers := []float64{0, math.Copysign(0, -1), 1, -1.5, 1e-7, 1e21, 1e308, math.SmallestNonzeroFloat64, math.NaN(), math.Inf(1), math.Inf(-1)}
	for range 2000 {
		var x events.RunMetricsLogged
		if x.RunID = text(); rng.IntN(20) > 0 {
			x.Metrics = []events.Metric{}
		}
		for range rng.IntN(4) {
			m := events.Metric{Key: text(), Value: events.Number(math.Float64frombits(rng.Uint64())), Step: rng.Int64() >> rng.IntN(64), TimestampMillis: -rng.Int64() >> rng.IntN(64)}
			if rng.IntN(2) == 0 {
				m.Value = events.Number(numbers[rng.IntN(len(numbers))])
			}
			if rng.IntN(2) == 0 {
				m.ModelID, m.DatasetName, m.DatasetDigest = text(), text(), text()
			}
			x.Metrics = append(x.Metrics, m)
		}
		want, err := json.Marshal(plain(x))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := json.Marshal(&x); err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%v\ngot  %s\nwant %s", err, got, want)
		}
		event := events.Event{ID: "<e>", Source: "/s", Schema: events.SchemaOf(x.EventType()), Data: &x}
		fresh, err := json.Marshal(event)
		if err != nil {
			t.Fatal(err)
		}
		event.Raw = want
		if read, err := json.Marshal(event); err != nil || !bytes.Equal(fresh, read) {
			t.Fatalf("%v\nfresh %s\nread  %s", err, fresh, read)
		}
	}
}
