package mlflow

import (
	"testing"
	"testing/quick"

	"github.com/projectionist/projectionist/api"
)

// TestRunJSON: what is written by hand is what encoding/json would write, of every field there is.
func TestRunJSON(t *testing.T) {
	same := func(v run) bool {
		want, err := api.EncodeJSON(&v)
		if err != nil {
			t.Fatal(err)
		}
		got, err := v.append(nil)
		if err != nil {
			t.Fatal(err)
		}
		if string(got)+"\n" != string(want) {
			t.Logf("%s\n%s", got, want)
			return false
		}
		return true
	}
	if err := quick.Check(same, nil); err != nil {
		t.Error(err)
	}
	for _, key := range []string{"loss", `a"b`, "a\\b", "ü", "\u2028", "a\nb", "<b>&", ""} {
		if v := (run{Data: runData{Metrics: []runMetric{{Key: key, Value: 1e-9, Timestamp: -1, Step: 1 << 62}}}}); !same(v) {
			t.Errorf("%q", key)
		}
	}
}
