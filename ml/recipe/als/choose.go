package als

import (
	"context"

	"github.com/projectionist/projectionist/ml"
	"github.com/projectionist/projectionist/ml/online"
	"github.com/projectionist/projectionist/ml/recipe"
)

// What is tried, and how much of it is held at once.
var decays = []float32{1, .95, .9, .8, .7}

const (
	candidates = 50   // films, the best, that each part puts forward at a moment
	momentsMax = 2000 // each takes up to 20 KB
	rounds     = 24
	priorUnits = 6 // of the online model's own blend, which is where choosing begins
	shareSteps = 20
)

// moment is a person about to like a film: what parts say of the films that any of them puts forward, that film first.
type moment struct {
	factors [][]float32 // by decay; of nothing but 0 where they say nothing of the person
	counts  [][]float32 // by [online.MixSources]
	trained bool
}

// choose learns how scores are blended, by the mean gain on the samples from there on: how fast popularity is forgotten
// ([recipe.Input.Forgetting]); then, for each decay of histories, one after
// another a share is given to the part which makes it greatest (Caruana et al. 2004, "Ensemble Selection from Libraries of
// Models"), as long as it rises; then the share of the factors beside what that has made of the counts.
func choose(ctx context.Context, in recipe.Input, m *Model, from int, p Params) (Blend, error) {
	r := m.Ranker(in.Films(), nil).(*ranker)
	forget, err := in.Forgetting(ctx, r.films, from, min(momentsMax, p.HoldoutEvents))
	if err != nil {
		return Blend{}, err
	}
	moments, err := momentsOf(ctx, in, r, from, p, forget)
	if err != nil {
		return Blend{}, err
	}
	best, most := Blend{0, 1, online.Mix{Blend: 1, Forget: forget}}, -1.
	for d, decay := range decays {
		if err := ctx.Err(); err != nil {
			return best, err
		}
		mix := mixed(moments, d)
		share, gain := shared(moments, d, mix)
		if gain > most {
			mix.Forget = forget
			best, most = Blend{share, decay, mix}, gain
		}
	}
	return best, nil
}

// momentsOf are the moments on the samples from there on.
func momentsOf(ctx context.Context, in recipe.Input, r *ranker, from int, p Params, forget float32) (moments []moment, err error) {
	s := &scratch{of: r}
	err = in.Replay(ctx, from, len(in.Data.Samples), min(momentsMax, p.HoldoutEvents), func(o *online.Model, user string, timeMillis int64, film int) {
		moments = append(moments, r.moment(o, user, timeMillis, film, forget, s))
	})
	return moments, err
}

// moment asks every part, of which counts forget popularity so many times as fast as usual.
func (r *ranker) moment(m *online.Model, user string, timeMillis int64, film int, forget float32, s *scratch) moment {
	var all [][]float32
	for i := range online.MixSources {
		var w [len(online.MixSources)]float32
		w[i] = 1
		s.counts.Mix = online.MixOf(w)
		s.counts.Mix.Forget = forget
		s.counts.Sum(m, r.films, user, timeMillis, false)
		all = append(all, append([]float32(nil), s.counts.Score...))
	}
	var out moment
	for _, decay := range decays {
		if out.trained = r.vector(m, user, decay, s) && r.fold(s); !out.trained {
			s.als = recipe.Grow(s.als, r.films.Len())
			clear(s.als)
		}
		all = append(all, append([]float32(nil), s.als...))
	}
	forward := []int32{int32(film)}
	known := map[int32]bool{int32(film): true}
	for _, score := range all {
		for _, top := range ml.TopKScores(score, candidates, func(i int32) bool { return s.counts.Score[i] == online.Excluded }) {
			if top.Score > 0 && !known[top.Index] {
				known[top.Index] = true
				forward = append(forward, top.Index)
			}
		}
	}
	for i, score := range all {
		said := make([]float32, len(forward))
		for k, place := range forward {
			said[k] = score[place]
		}
		if i < len(online.MixSources) {
			out.counts = append(out.counts, said)
		} else {
			out.factors = append(out.factors, said)
		}
	}
	return out
}

// mixed is the mix of counts that does best beside factors of a decay.
func mixed(moments []moment, d int) online.Mix {
	const n = len(online.MixSources) + 1 // the last are the factors
	of := func(m *moment, k int) []float32 {
		if k == n-1 {
			return m.factors[d]
		}
		return m.counts[k]
	}
	sums, next := make([][]float32, len(moments)), []float32(nil)
	for i := range moments {
		sums[i] = make([]float32, len(moments[i].counts[0]))
		for k, v := range moments[i].counts[0] {
			sums[i][k] = float32(priorUnits * v)
		}
	}
	gain := func(k int) (sum float64) { // with one unit more of a part, -1 for none
		for i := range moments {
			next = append(next[:0], sums[i]...)
			if k >= 0 {
				for j, v := range of(&moments[i], k) {
					next[j] += v
				}
			}
			sum += recipe.Gain(recipe.Rank(next, 0))
		}
		return sum
	}
	units := [n]float32{priorUnits}
	chosen, best := units, gain(-1)
	for range rounds {
		at, most := 0, -1.
		for k := range n {
			if g := gain(k); g > most {
				at, most = k, g
			}
		}
		units[at]++
		for i := range moments {
			for j, v := range of(&moments[i], at) {
				sums[i][j] += v
			}
		}
		if most > best {
			best, chosen = most, units
		}
	}
	weights := [len(online.MixSources)]float32(chosen[:])
	var total float32
	for _, u := range weights {
		total += u
	}
	for k := range weights {
		weights[k] /= total
	}
	return online.MixOf(weights)
}

// shared is the share of the factors, of a decay, beside a mix of counts, and the gain with it; of equal ones the least.
func shared(moments []moment, d int, mix online.Mix) (share float32, best float64) {
	best = -1
	weights := mix.Weights()
	counts := make([][]float32, len(moments))
	for i := range moments {
		counts[i] = make([]float32, len(moments[i].counts[0]))
		for k, w := range weights {
			for j, v := range moments[i].counts[k] {
				if w > 0 {
					counts[i][j] += float32(w * v)
				}
			}
		}
		recipe.Scale(counts[i], counts[i])
	}
	var score []float32
	for step := range shareSteps + 1 {
		w, gain := float32(step)/shareSteps, 0.
		for i := range moments {
			m := &moments[i]
			score = append(score[:0], counts[i]...)
			if m.trained {
				for j, v := range m.factors[d] {
					score[j] = float32((1-w)*score[j]) + float32(w*v)
				}
			}
			gain += recipe.Gain(recipe.Rank(score, 0))
		}
		if gain > best {
			share, best = w, gain
		}
	}
	return share, best
}
