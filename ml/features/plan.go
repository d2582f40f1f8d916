package features

import (
	"math"
	"slices"
)

// plan is the features of one view, arranged so that what several of them need is computed once:
// windows over the same kinds share one walk over the days, genres one walk over the movies.
type plan struct {
	entity     Entity
	ttlMillis  int64
	sets       []kindSet
	windows    int // of all sets
	decays     []decay
	genreSets  []int          // sets that genre features count
	genres     map[string]int // index of each genre that a feature names
	glance     [256]uint16    // genres by their glance; of two with the same, the later
	attributes bool           // some feature is of what is said of the entity, not of its facts
	steps      []step
}

// kindSet is a choice of kinds, nil for all, and the windows to be summed over them.
type kindSet struct {
	kinds   []string
	windows []int64 // days, ascending; the last may be math.MaxInt64 for all time
	base    int     // of its windows among all
}

// decay is a half-life and the kinds that are counted with it.
type decay struct {
	set   int
	table *decayTable
}

type step struct {
	op       op
	typ      Type
	name     string
	set      int
	window   int // among all windows of the plan
	decay    int
	genreSet int
	genre    int // index into plan.genres
	prior    sumsFloat
	of       string
	label    string // the genre's name
	k        int
	ageless  bool // an attribute: does not expire
}

// sumsFloat is a prior: a sum of ratings over a number of them.
type sumsFloat struct{ sum, count float64 }

func (p sumsFloat) mean(s sums) (float64, bool) {
	n := p.count + float64(s.rated)
	return (p.sum + float64(s.centi)/100) / n, n > 0
}

func windowOf(f *Feature) int64 {
	if f.WindowDays == 0 {
		return math.MaxInt64
	}
	return f.WindowDays
}

func (d *Definitions) compile(v *View, features []int) *plan {
	p := &plan{entity: v.Entity, ttlMillis: v.TTLMillis, genres: map[string]int{}}
	setOf := func(kinds []string) int {
		i := slices.IndexFunc(p.sets, func(s kindSet) bool { return slices.Equal(s.kinds, kinds) })
		if i < 0 {
			i = len(p.sets)
			p.sets = append(p.sets, kindSet{kinds: kinds})
		}
		return i
	}
	for _, i := range features {
		f := &v.Features[i]
		s := step{op: aggregationOf(f.Aggregation).op, typ: f.Type, name: f.Name, set: setOf(f.Kinds), of: f.Of, k: f.K}
		s.prior = sumsFloat{float64(f.PriorMean * f.PriorCount), f.PriorCount}
		set := &p.sets[s.set]
		switch s.op {
		case opCount, opRatingCount, opActiveDays, opMean:
			if w := windowOf(f); !slices.Contains(set.windows, w) {
				set.windows = append(set.windows, w)
			}
		case opDecayedCount:
			use := decay{s.set, d.tables[f.HalfLifeDays]}
			if s.decay = slices.Index(p.decays, use); s.decay < 0 {
				s.decay = len(p.decays)
				p.decays = append(p.decays, use)
			}
		case opAttribute, opYearsSinceRelease:
			p.attributes, s.ageless = true, true
		case opGenreShare, opGenreMean, opTopGenre, opTopGenres:
			if v.Entity == Movie {
				p.attributes, s.ageless, s.label = true, true, f.Genre
				break
			}
			if s.genreSet = slices.Index(p.genreSets, s.set); s.genreSet < 0 {
				s.genreSet = len(p.genreSets)
				p.genreSets = append(p.genreSets, s.set)
			}
			if f.Genre != "" {
				g, ok := p.genres[f.Genre]
				if !ok {
					g = len(p.genres)
					p.genres[f.Genre] = g
				}
				s.genre = g
			}
		}
		p.steps = append(p.steps, s)
	}
	for name, g := range p.genres {
		if at := &p.glance[glance(name)]; g >= int(*at) {
			*at = uint16(g)
		}
	}
	for i := range p.sets {
		slices.Sort(p.sets[i].windows)
		p.sets[i].base = p.windows
		p.windows += len(p.sets[i].windows)
	}
	for i := range p.steps {
		s := &p.steps[i]
		if w := slices.Index(p.sets[s.set].windows, windowOf(&v.Features[features[i]])); w >= 0 {
			s.window = p.sets[s.set].base + w
		}
	}
	return p
}

func (s *kindSet) has(kind string) bool { return s.kinds == nil || slices.Contains(s.kinds, kind) }
