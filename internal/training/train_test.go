package training

import (
	"maps"
	"testing"

	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/ml/hybrid"
)

func TestParamsRoundTrip(t *testing.T) {
	p := hybrid.DefaultParams()
	p.ALS.Dim, p.ALS.Seed, p.HoldoutShare = 32, 1<<63+1, .2
	flat, err := ParamsToMap(p)
	if err != nil {
		t.Fatal(err)
	}
	if flat["als.dim"] != "32" || flat["als.seed"] != "9223372036854775809" || flat["holdout_share"] != "0.2" {
		t.Fatal(flat)
	}
	back, err := ParamsFromMap(flat)
	if err != nil || back != p {
		t.Fatal(back, err)
	}
	again, _ := ParamsToMap(back)
	if !maps.Equal(flat, again) {
		t.Fatal(again)
	}
	for name, value := range map[string]string{"als.dims": "3", "als.dim": "many", "holdout_share": "2"} {
		if _, err := ParamsFromMap(map[string]string{name: value}); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s=%s: %v", name, value, err)
		}
	}
}
