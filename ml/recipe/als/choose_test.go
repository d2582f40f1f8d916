package als

import (
	"math"
	"slices"
	"testing"

	"github.com/projectionist/projectionist/ml/online"
	"github.com/projectionist/projectionist/ml/recipe"
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
	for part := range len(parts) + len(decays) {
		var moments []moment
		for n := range 50 {
			m := moment{trained: true, share: 1. / 50}
			for k := range len(parts) + len(decays) {
				at := 15 + (n*7+k*11)%20 // too far behind to be seen
				if k == part {
					at = n % 3
				}
				if k < len(parts) {
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
		if part < len(parts) {
			weights := weightsOf(best.Counts)
			if slices.Max(weights) != weights[part] || best.ALSWeight > .5 || weights[part] < .5 {
				t.Errorf("%s knows; chosen is %+v", parts[part], best)
			}
		} else if decay != part-len(parts) || best.ALSWeight < .5 {
			t.Errorf("factors with decay %v know; chosen is %+v", decays[part-len(parts)], best)
		}
		if most < .6 {
			t.Errorf("the gain is %v", most)
		}
	}
	if mix := mixed(nil, 0); mix != (online.Mix{Blend: 1}) {
		t.Errorf("without moments: %+v", mix)
	}
	if share, _ := shared(nil, 0, online.Mix{Blend: 1}); share != 0 {
		t.Errorf("without moments the factors have %v", share)
	}
}

// The blend is chosen for people, who count alike, however many moments are theirs: one with ten does not outvote two with one each.
func TestChoiceIsForPeople(t *testing.T) {
	in, p := groups(600), small()
	split := in.At(1 - p.HoldoutShare)
	m, err := fit(t.Context(), in, split, p, stageTune, Blend{}, checkpoint{}, recipe.Hooks{NoLoss: true})
	if err != nil {
		t.Fatal(err)
	}
	moments, err := momentsOf(t.Context(), in, m, split, p)
	if err != nil {
		t.Fatal(err)
	}
	var people []string
	if err := in.Replay(t.Context(), split, len(in.Data.Samples), p.HoldoutEvents, func(_ *online.Model, user string, _ int64, _ int) { people = append(people, user) }); err != nil {
		t.Fatal(err)
	}
	theirs := map[string]float64{}
	for i := range moments {
		theirs[people[i]] += moments[i].share
	}
	if len(moments) != len(people) || len(theirs) < 5 {
		t.Fatalf("%d moments of %d people, want %d", len(moments), len(theirs), len(people))
	}
	for user, share := range theirs {
		if math.Abs(share*float64(len(theirs))-1) > 1e-9 {
			t.Errorf("%s of %d people counts %v", user, len(theirs), share)
		}
	}

	says := func(right bool) []float32 {
		if right {
			return []float32{1, .5}
		}
		return []float32{.5, 1}
	}
	moments = nil
	for i, share := range recipe.Shares([]string{"a", "a", "a", "a", "a", "b", "c"}) {
		x := moment{trained: true, share: share}
		for range parts {
			x.counts = append(x.counts, says(i < 5)) // counts are right for one person
		}
		for range decays {
			x.factors = append(x.factors, says(i >= 5)) // factors for two
		}
		moments = append(moments, x)
	}
	if share, _ := shared(moments, 0, online.Mix{Blend: 1}); share <= .5 {
		t.Errorf("factors that are right for two of three people have %v", share)
	}
}
