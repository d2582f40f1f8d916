package roles

import (
	"strings"
	"testing"
)

func TestGate(t *testing.T) {
	at := func(v float64) *float64 { return &v }
	for _, test := range []struct {
		moments           int
		model, popularity float64
		deployed          *float64
		name              string
		promote           bool
		reason            string
	}{
		{0, 0, 0, nil, "", true, "nothing is deployed"},
		{29, 0, .1, nil, "", true, "29 moments"},
		{29, .3, 0, at(.2), "als/1", false, "29 moments"},
		{30, .2, .1, nil, "", true, "0.2000"},
		{30, .1, .1, nil, "", true, ""},
		{30, .09, .1, nil, "", false, "below popularity"},
		{30, .2, .1, at(.21), "als/1", true, "als/1 recorded 0.2100"},
		{30, .19, .1, at(.2), "als/1", true, ""}, // 5 % below, not more
		{30, .1899, .1, at(.2), "als/1", false, "more than 5 % below"},
		{30, .2, .1, nil, "als/1", true, ""}, // one without a record
	} {
		promote, reason := gate(test.moments, test.model, test.popularity, test.deployed, test.name)
		if promote != test.promote || !strings.Contains(reason, test.reason) || reason == "" {
			t.Errorf("%+v: %v, %s", test, promote, reason)
		}
	}
}
