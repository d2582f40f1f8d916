package features

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"time"
)

// subject is whose features are read, and where else than in the facts something stands of them.
type subject struct {
	id        string // of a movie
	catalogue Catalogue
	person    func(millis int64) *person // nil: nothing was said of the user, or it is none
}

// evaluator computes the features of a plan. The tallies of genres are the only part of it that
// outlives a read: the join keeps them up to date fact by fact instead of walking all movies for
// every row. They are integers, so both ways give the same.
type evaluator struct {
	plan *plan
	subject

	genres   [][]sums // per genre set, per genre
	mentions []int64  // per genre set, Σ of the counts of its genres
	names    []string // of the genres
	extra    map[string]int

	status      Status // of the entity as a whole
	expired     bool
	lastMillis  int64
	nowMillis   int64
	movie       *Attributes
	user        *person
	kindsIn     []bool // per set, per kind of the state
	windows     []windowSums
	decayed     []float64
	first, last []int64 // per set
	total       []sums  // per set
	state       *State
}

type windowSums struct {
	sums
	days int64 // with a fact
}

func newEvaluator(p *plan, of subject) *evaluator {
	ev := &evaluator{
		plan:    p,
		subject: of,
		windows: make([]windowSums, p.windows),
		decayed: make([]float64, len(p.decays)),
		first:   make([]int64, len(p.sets)),
		last:    make([]int64, len(p.sets)),
		total:   make([]sums, len(p.sets)),
	}
	if n := len(p.genreSets); n > 0 {
		ev.genres, ev.mentions = make([][]sums, n), make([]int64, n)
		for i := range ev.genres {
			ev.genres[i] = make([]sums, len(p.genres), len(p.genres)+16)
		}
		ev.names = make([]string, len(p.genres), len(p.genres)+16)
		for name, i := range p.genres {
			ev.names[i] = name
		}
	}
	return ev
}

// tallyState counts the genres of all movies of the state.
func (ev *evaluator) tallyState(s *State) {
	if len(ev.plan.genreSets) == 0 || s == nil || ev.catalogue == nil {
		return
	}
	ev.selectKinds(s)
	n := len(s.kinds)
	perKind := make([]sums, n*cap(ev.names)) // per genre, per kind of the state
	var movie *Attributes
	for i := range s.others {
		t := &s.others[i]
		if i == 0 || t.id != s.others[i-1].id {
			movie = ev.catalogue(t.id)
		}
		if movie == nil {
			continue
		}
		for _, genre := range movie.Genres {
			at := ev.genre(genre)*n + t.kind
			if at >= len(perKind) {
				perKind = append(perKind, make([]sums, max(len(perKind), at+1))...)
			}
			perKind[at].add(t.sums)
		}
	}
	for gs, set := range ev.plan.genreSets {
		for g := range ev.genres[gs] {
			for k := range n {
				if ev.kindsIn[set*n+k] && g*n+k < len(perKind) {
					ev.genres[gs][g].add(perKind[g*n+k])
					ev.mentions[gs] += perKind[g*n+k].count
				}
			}
		}
	}
}

// tallyFact counts the genres of one more fact.
func (ev *evaluator) tallyFact(f *Fact) { ev.tally(f, f.sums()) }

// correctFact takes a fact for one that was tallied, of another rating.
func (ev *evaluator) correctFact(f *Fact, was float64) { ev.tally(f, correction(was, f.Rating)) }

func (ev *evaluator) tally(f *Fact, more sums) {
	if len(ev.plan.genreSets) == 0 || ev.catalogue == nil {
		return
	}
	movie := ev.catalogue(f.Other)
	if movie == nil {
		return
	}
	for _, genre := range movie.Genres {
		g := ev.genre(genre)
		for gs, set := range ev.plan.genreSets {
			if ev.plan.sets[set].has(f.Kind) {
				ev.genres[gs][g].add(more)
				ev.mentions[gs] += more.count
			}
		}
	}
}

// genre is the index of a genre. Every film of a user asks for some, so the names that the plan
// knows are found by a glance at three of their bytes before any map is asked.
func (ev *evaluator) genre(name string) int {
	if g := int(ev.plan.glance[glance(name)]); g < len(ev.plan.genres) && ev.names[g] == name {
		return g
	}
	if g, ok := ev.plan.genres[name]; ok {
		return g
	}
	if g, ok := ev.extra[name]; ok {
		return g
	}
	if ev.extra == nil {
		ev.extra = map[string]int{}
	}
	g := len(ev.names)
	ev.extra[name] = g
	ev.names = append(ev.names, name)
	for i := range ev.genres {
		ev.genres[i] = append(ev.genres[i], sums{})
	}
	return g
}

func glance(name string) uint8 {
	if name == "" {
		return 0
	}
	return name[0]*5 + name[len(name)/2]*3 + name[len(name)-1] + uint8(len(name))
}

func (ev *evaluator) selectKinds(s *State) {
	ev.kindsIn = ev.kindsIn[:0]
	for i := range ev.plan.sets {
		for k := range s.kinds {
			ev.kindsIn = append(ev.kindsIn, ev.plan.sets[i].has(s.kinds[k].name))
		}
	}
}

var noFacts = State{}

// read computes what the steps share. The genres are tallied already.
func (ev *evaluator) read(s *State, nowMillis int64) {
	if s == nil {
		s = &noFacts
	}
	p := ev.plan
	ev.state, ev.nowMillis, ev.lastMillis, ev.movie, ev.user = s, nowMillis, s.LastMillis(), nil, nil
	switch {
	case !p.attributes && !s.Empty():
	case p.entity == Movie && ev.catalogue != nil:
		ev.movie = ev.catalogue(ev.id)
	case p.entity == User && ev.person != nil:
		ev.user = ev.person(nowMillis)
	}
	ev.status = Present
	if s.Empty() && ev.movie == nil && ev.user == nil {
		ev.status = NotFound
		return
	}
	ev.expired = p.ttlMillis > 0 && !s.Empty() && ev.lastMillis < nowMillis-p.ttlMillis
	ev.selectKinds(s)
	today, n := dayOf(nowMillis), len(s.kinds)
	for i := range p.sets {
		in := ev.kindsIn[i*n : (i+1)*n]
		ev.first[i], ev.last[i], ev.total[i] = math.MaxInt64, math.MinInt64, sums{}
		for k := range s.kinds {
			if in[k] {
				kind := &s.kinds[k]
				ev.first[i], ev.last[i] = min(ev.first[i], kind.first), max(ev.last[i], kind.last)
				ev.total[i].add(kind.sums)
			}
		}
		set := &p.sets[i]
		sumWindows(ev.windows[set.base:set.base+len(set.windows)], set.windows, s.days, in, today)
	}
	for i, d := range p.decays {
		in := ev.kindsIn[d.set*n : (d.set+1)*n]
		sum := 0.0
		for j := range s.days {
			if b := &s.days[j]; in[b.kind] {
				sum += float64(float64(b.count) * d.table.weight(today-b.day))
			}
		}
		ev.decayed[i] = sum
	}
}

// sumWindows walks the days once, from the newest back to the end of the longest window.
func sumWindows(out []windowSums, windows []int64, days []dayBucket, in []bool, today int64) {
	var acc windowSums
	w, counted := 0, int64(math.MinInt64)
	for i := len(days) - 1; i >= 0 && w < len(windows); i-- {
		b := &days[i]
		for w < len(windows) && today-b.day >= windows[w] {
			out[w] = acc
			w++
		}
		if in[b.kind] {
			acc.add(b.sums)
			if b.day != counted {
				acc.days, counted = acc.days+1, b.day
			}
		}
	}
	for ; w < len(windows); w++ {
		out[w] = acc
	}
}

// value computes step i of the plan.
func (ev *evaluator) value(i int, v *Value) {
	s := &ev.plan.steps[i]
	*v = Value{Name: s.name, Type: s.typ, Status: ev.status, EventTimeMillis: ev.lastMillis}
	switch {
	case s.ageless && ev.movie != nil:
		v.EventTimeMillis = ev.movie.TimeMillis
	case s.ageless && ev.user != nil:
		v.EventTimeMillis = ev.user.sinceMillis
	}
	if v.Status != Present {
		return
	}
	if ev.expired && !s.ageless {
		v.Status = OutsideMaxAge
		return
	}
	ok := true
	switch s.op {
	case opCount:
		v.setInt(ev.windows[s.window].count)
	case opRatingCount:
		v.setInt(ev.windows[s.window].rated)
	case opActiveDays:
		v.setInt(ev.windows[s.window].days)
	case opDistinctMovies:
		v.setInt(ev.distinct(s.set))
	case opMean:
		v.Float, ok = s.prior.mean(ev.windows[s.window].sums)
	case opDecayedCount:
		v.Float = ev.decayed[s.decay]
	case opRecency:
		if ok = ev.total[s.set].count > 0; ok {
			v.setDays(ev.nowMillis - ev.last[s.set])
		}
	case opAge:
		if ok = ev.total[s.set].count > 0; ok {
			v.setDays(ev.nowMillis - ev.first[s.set])
		}
	case opAttribute, opYearsSinceRelease:
		if ev.plan.entity == User {
			ok = ev.user != nil && ev.user.attribute(s, v)
		} else {
			ok = ev.movie != nil && ev.attribute(s, v)
		}
	case opGenreShare:
		if ev.plan.entity == Movie {
			if ok = ev.movie != nil && len(ev.movie.Genres) > 0; ok && slices.Contains(ev.movie.Genres, s.label) {
				v.Float = 1 / float64(len(ev.movie.Genres))
			}
		} else if ok = ev.mentions[s.genreSet] > 0; ok {
			v.Float = float64(ev.genres[s.genreSet][s.genre].count) / float64(ev.mentions[s.genreSet])
		}
	case opGenreMean:
		v.Float, ok = s.prior.mean(ev.genres[s.genreSet][s.genre])
	case opTopGenre:
		top := ev.topGenres(s.genreSet, 1)
		if ok = len(top) > 0; ok {
			v.Str = top[0]
		}
	case opTopGenres:
		v.List = ev.topGenres(s.genreSet, s.k)
		ok = len(v.List) > 0
	}
	if !ok {
		v.Status, v.Float = NullValue, 0
	}
}

func (v *Value) setInt(x int64) {
	if v.Type == Float64 {
		v.Float = float64(x)
	} else {
		v.Int = x
	}
}

// setDays sets a span in days: exact, or as an integer the whole days in it.
func (v *Value) setDays(millis int64) {
	if v.Type == Float64 {
		v.Float = float64(millis) / dayMillis
	} else {
		v.Int = dayOf(millis)
	}
}

func (ev *evaluator) distinct(set int) (n int64) {
	others, kinds := ev.state.others, len(ev.state.kinds)
	counted := -1
	for i := range others {
		if ev.kindsIn[set*kinds+others[i].kind] && (counted < 0 || others[i].id != others[counted].id) {
			n, counted = n+1, i
		}
	}
	return n
}

func (ev *evaluator) attribute(s *step, v *Value) bool {
	m := ev.movie
	if s.op == opYearsSinceRelease {
		v.setInt(int64(time.UnixMilli(ev.nowMillis).UTC().Year() - m.Year))
		if m.Year == 0 {
			v.Int = 0
		}
		return m.Year != 0
	}
	switch s.of {
	case "title":
		v.Str = m.Title
		return m.Title != ""
	case "language":
		v.Str = m.Language
		return m.Language != ""
	case "year":
		v.setInt(int64(m.Year))
		return m.Year != 0
	case "runtime_minutes":
		v.setInt(int64(m.RuntimeMinutes))
		return m.RuntimeMinutes != 0
	}
	if s.typ == String {
		v.Str = strings.Join(m.Genres, "|")
	} else {
		v.List = m.Genres
	}
	if len(m.Genres) == 0 {
		v.List = nil
	}
	return len(m.Genres) > 0
}

// topGenres are the k genres with the most facts, ties by name.
func (ev *evaluator) topGenres(genreSet, k int) []string {
	counts := ev.genres[genreSet]
	var top []int
	for g := range counts {
		if counts[g].count > 0 {
			top = append(top, g)
		}
	}
	slices.SortFunc(top, func(a, b int) int {
		if c := cmp.Compare(counts[b].count, counts[a].count); c != 0 {
			return c
		}
		return cmp.Compare(ev.names[a], ev.names[b])
	})
	names := make([]string, min(k, len(top)))
	for i := range names {
		names[i] = ev.names[top[i]]
	}
	return names
}
