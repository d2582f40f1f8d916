package als

import (
	"slices"
	"testing"

	"github.com/projectionist/projectionist/ml/online"
)

// A part that knows what people are about to like is given the weight, whichever it is, and noise is given none.
func TestChoiceFindsThePartThatKnows(t *testing.T) {
	const films = 40
	knows := func(at int) []float32 { // of 40 films the first stands at a place
		v := make([]float32, films)
		for i := range v {
			v[i] = 1 / float32(i+1)
		}
		v[0], v[at] = v[at], v[0]
		return v
	}
	for part := range len(online.MixSources) + len(decays) {
		var moments []moment
		for n := range 50 {
			m := moment{trained: true}
			for k := range len(online.MixSources) + len(decays) {
				at := 15 + (n*7+k*11)%20 // too far behind to be seen
				if k == part {
					at = n % 3
				}
				if k < len(online.MixSources) {
					m.counts = append(m.counts, knows(at))
				} else {
					m.factors = append(m.factors, knows(at))
				}
			}
			moments = append(moments, m)
		}
		best, decay, most := Blend{}, -1, -1.
		for d := range decays {
			mix := mixed(moments, d)
			if share, gain := shared(moments, d, mix); gain > most {
				best, decay, most = Blend{share, decays[d], mix}, d, gain
			}
		}
		if part < len(online.MixSources) {
			weights := best.Counts.Weights()
			if slices.Max(weights[:]) != weights[part] || best.ALSWeight > .5 || weights[part] < .5 {
				t.Errorf("%s knows; chosen is %+v", online.MixSources[part], best)
			}
		} else if decay != part-len(online.MixSources) || best.ALSWeight < .5 {
			t.Errorf("factors with decay %v know; chosen is %+v", decays[part-len(online.MixSources)], best)
		}
		if most/50 < .6 {
			t.Errorf("the gain is %v", most/50)
		}
	}
	if mix := mixed(nil, 0); mix != (online.Mix{Blend: 1}) {
		t.Errorf("without moments: %+v", mix)
	}
	if share, _ := shared(nil, 0, online.Mix{Blend: 1}); share != 0 {
		t.Errorf("without moments the factors have %v", share)
	}
}
