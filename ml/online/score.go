package online

import (
	"cmp"
	"math"
	"slices"

	"github.com/projectionist/projectionist/ml/vector"
)

// Source is a rule that scores items.
type Source uint8

const (
	// Popularity is the number of counted events.
	Popularity Source = iota
	// DecayedPopularity weighs an event by 2^-min(events passed / 1000, days passed / 3), in whole
	// days: it forgets by events where there are few and by time where there are many.
	DecayedPopularity
	// CoCounts is Σ .9^age · c(i→j) / ((n_i + 20) · (n_j + 20)^¼) over the last 20 counted items i.
	CoCounts
	// Blend is λ · DecayedPopularity + (1-λ) · CoCounts · trend, each divided by its maximum. λ falls
	// from 1 for a stranger to .28 at 20 items of history; trend is the fourth root of the share of
	// an item's events that decay has left.
	Blend
)

// String is the name of the source as explanations write it.
func (s Source) String() string {
	switch s {
	case Popularity:
		return "popularity"
	case DecayedPopularity:
		return "decayed_popularity"
	case CoCounts:
		return "co_counts"
	case Blend:
		return "blend"
	}
	return "unknown"
}

// The constants below were chosen by HR@10 on the first halves of MovieTweetings (≥ 8 of 10) and
// MovieLens latest-small (≥ 4 of 5), test-then-learn in time order: one set of values that is close
// to the best on both. prequential_test.go reports the second halves.
const (
	halfLifeEvents = 1000
	halfLifeDays   = 3
	ageDecay       = .9
	coShrink       = 20 // pseudo-events of an item in the denominators of co-counts
	trendPrior     = .5 // pseudo-events of an item in its trend
	mixFloor       = .1 // λ = mixFloor + (1 - mixFloor) · mixHistory / (mixHistory + items of history)
	mixHistory     = 5
)

// Weights below 2^-20 are dropped: a million such events weigh as much as one of today. So are
// days more than a century before the newest, which only a broken clock gives.
const (
	weightMin     = 1.0 / (1 << 20)
	weightDaysMax = 36525
)

// Mix weighs what is said of an item: its popularity and its decayed popularity, co-counts, co-counts times trend, and Blend.
// Each is divided by the greatest there is. The weights are 0 or more; without any the mix is Blend alone. Where co-counts say
// nothing of a person, decayed popularity has their weight.
type Mix struct {
	Popularity float32 `json:"popularity"`
	Decayed    float32 `json:"decayed_popularity"`
	CoCounts   float32 `json:"co_counts"`
	Trend      float32 `json:"trend"`
	Blend      float32 `json:"blend"`
	// Forget is how many times as fast as [DecayedPopularity] popularity is forgotten, in all that is made of it; 0 is 1.
	Forget float32 `json:"forget,omitempty"`
}

// MixSources are the names of what a [Mix] weighs, in the order of [Mix.Weights].
var MixSources = [...]string{"blend", "popularity", "decayed_popularity", "co_counts", "trend"}

// Weights are those of the mix, in the order of [MixSources].
func (w Mix) Weights() [len(MixSources)]float32 {
	return [...]float32{w.Blend, w.Popularity, w.Decayed, w.CoCounts, w.Trend}
}

// Speed is how many times as fast as [DecayedPopularity] popularity is forgotten.
func (w Mix) Speed() float32 {
	if w.Forget == 0 {
		return 1
	}
	return w.Forget
}

// MixOf is the mix of weights in the order of [MixSources].
func MixOf(w [len(MixSources)]float32) Mix {
	return Mix{Blend: w[0], Popularity: w[1], Decayed: w[2], CoCounts: w[3], Trend: w[4]}
}

// Scratch keeps the buffers of Score and Explain, so that the next call allocates nothing. The zero
// value is ready. Not safe for concurrent use.
type Scratch struct {
	popularity []float32 // decayed, by weights, …
	trends     []float32 // … the factor of each item's co-counts by it …
	norms      []float32 // … and without, …
	popular    float32   // … and the greatest popularity …
	ticks      uint64    // … and what the items were then
	coCounts   []float32
	plain      []float32 // co-counts without trend, where a mix has them
	table      []uint32  // over all items, all 0 between uses
	after      []uint32  // what came after each item of a history, for each item that is explained

	weights []float32 // of a day, by its distance before newest
	forget  float64   // how many times as fast as DecayedPopularity
	newest  int32     // newest day with an event that is not after the day asked for
	model   *Model    // that weights were made of …
	change  uint64    // … and its daysChange then

	scored history // and factors of the last Blend or Mix
	factor factors
}

// factors are what a mix multiplies sources by.
type factors struct{ popularity, decayed, plain, trend float32 }

// Excluded is the score of what is not to be shown to the person: what they have met, as the signals of their events
// say.
var Excluded = float32(math.Inf(-1))

// Score writes a score for every item into dst[:ItemCount], which grows if need be, and returns it.
// The greater the better, 0 where nothing speaks for an item, [Excluded] where an event of
// the person hides it at nowMillis ([signal.Signal.Hides]). A stranger gets popularity under Blend and zeros under CoCounts.
// Decay is as of nowMillis (event time); an event after it counts as new.
func (m *Model) Score(dst []float32, userID string, nowMillis int64, source Source, s *Scratch) []float32 {
	dst = m.ScoreAll(dst, userID, nowMillis, source, s)
	m.exclude(dst, userID, nowMillis)
	return dst
}

func (m *Model) exclude(dst []float32, userID string, nowMillis int64) {
	u := m.user(userID)
	if u == nil {
		return
	}
	for _, list := range [][]entry{u.counted, u.other} {
		for k := range list {
			if e := &list[k]; e.signal.Hides(e.time, nowMillis) {
				dst[e.item] = Excluded
			}
		}
	}
}

// ScoreMix is Score by a mix.
func (m *Model) ScoreMix(dst []float32, userID string, nowMillis int64, mix Mix, s *Scratch) []float32 {
	dst = m.ScoreMixAll(dst, userID, nowMillis, mix, s)
	m.exclude(dst, userID, nowMillis)
	return dst
}

// ScoreMixAll is ScoreMix with nothing excluded.
func (m *Model) ScoreMixAll(dst []float32, userID string, nowMillis int64, mix Mix, s *Scratch) []float32 {
	dst = resize(dst, len(m.items))
	s.scored = m.history(m.user(userID))
	s.factor = m.mix(dst, s.scored, dayOf(nowMillis), mix, s)
	f, popularity := s.factor, s.popularity[:len(dst)]
	vector.Mix(dst, popularity, f.decayed, dst, f.trend)
	if f.plain > 0 {
		vector.Mix(dst, dst, 1, s.plain[:len(dst)], f.plain)
	}
	if f.popularity > 0 {
		for j, n := range m.counted {
			dst[j] += float32(f.popularity * float32(n))
		}
	}
	return dst
}

// ScoreAll is Score with nothing excluded.
func (m *Model) ScoreAll(dst []float32, userID string, nowMillis int64, source Source, s *Scratch) []float32 {
	dst = resize(dst, len(m.items))
	u := m.user(userID)
	switch source {
	case Popularity:
		for i, n := range m.counted {
			dst[i] = float32(n)
		}
	case DecayedPopularity:
		m.decay(dayOf(nowMillis), 1, s)
		copy(dst, s.popularity)
	case CoCounts:
		m.relate(dst, m.history(u), s)
		for j, c := range dst {
			if c > 0 {
				dst[j] = c * m.norm(uint32(j))
			}
		}
	default:
		return m.ScoreMixAll(dst, userID, nowMillis, Mix{}, s)
	}
	return dst
}

// Reason is a part of a Blend score.
type Reason struct {
	Source Source // DecayedPopularity, CoCounts or, of a mix, Popularity
	ItemID string // the item of the person's history that contributed; empty for popularity
	Score  float32
}

// Explain gives, for each item, the parts of its Blend score for a user, the greatest first; up to
// rounding they add up to it. An item that the person has already met is explained as if it were
// new, one that is not known has no parts. All items cost little more than one.
func (m *Model) Explain(userID string, nowMillis int64, s *Scratch, itemIDs ...string) [][]Reason {
	s.scored = m.history(m.user(userID))
	s.coCounts = resize(s.coCounts, len(m.items))
	s.factor = m.mix(s.coCounts, s.scored, dayOf(nowMillis), Mix{}, s)
	return m.ExplainScored(s, itemIDs...)
}

// ExplainScored is Explain for the person, time and mix of the last Score by Blend or ScoreMix with s. The model has not
// changed since.
func (m *Model) ExplainScored(s *Scratch, itemIDs ...string) [][]Reason {
	at := make([]int32, len(itemIDs)) // -1: not known
	for k, id := range itemIDs {
		at[k] = -1
		if i, ok := m.itemAt[id]; ok {
			at[k] = int32(i)
		}
	}
	m.follow(at, s)
	out := make([][]Reason, len(itemIDs))
	for k, i := range at {
		if i >= 0 {
			out[k] = m.parts(uint32(i), s.after[k*s.scored.n:(k+1)*s.scored.n], s)
		}
	}
	return out
}

// follow sets s.after to how often each of some items, -1 for none, came after each item of the history.
func (m *Model) follow(items []int32, s *Scratch) {
	n := s.scored.n
	s.after = slices.Grow(s.after[:0], len(items)*n)[:len(items)*n]
	table := s.zeros(len(m.items)) // the place in items, + 1, of the first that is this one
	for k, i := range items {
		if i >= 0 && table[i] == 0 {
			table[i] = uint32(k + 1)
		}
	}
	for h, i := range s.scored.items[:n] {
		r := m.next(i)
		for k, i := range items {
			if i >= 0 {
				s.after[k*n+h] = r.packedCount(uint32(i))
			}
		}
		for _, l := range r.loose {
			if k := table[l>>1]; k > 0 {
				s.after[int(k-1)*n+h] += change(l)
			}
		}
	}
	for k, i := range items { // those that are asked for again have what the first has
		if i >= 0 && int(table[i]) != k+1 {
			first := int(table[i] - 1)
			copy(s.after[k*n:(k+1)*n], s.after[first*n:(first+1)*n])
		}
	}
	for _, i := range items {
		if i >= 0 {
			table[i] = 0
		}
	}
}

// parts are those of the score of an item that came so often after each item of the history.
func (m *Model) parts(at uint32, after []uint32, s *Scratch) []Reason {
	var parts [Window + 2]Reason
	n := 0
	if p := s.factor.decayed * s.popularity[at]; p > 0 {
		parts[n] = Reason{DecayedPopularity, "", p}
		n++
	}
	if p := s.factor.popularity * float32(m.counted[at]); p > 0 {
		parts[n] = Reason{Popularity, "", p}
		n++
	}
	factor := s.factor.trend * s.trends[at]
	if s.factor.plain > 0 {
		factor += float32(s.factor.plain * s.norms[at])
	}
	for k, i := range s.scored.items[:s.scored.n] {
		if c := after[k]; c > 0 {
			parts[n] = Reason{CoCounts, m.items[i].id, factor * s.scored.weights[k] * float32(c)}
			n++
		}
	}
	if n == 0 {
		return nil
	}
	reasons := slices.Clone(parts[:n])
	slices.SortFunc(reasons, func(a, b Reason) int {
		if a.Score != b.Score {
			return cmp.Compare(b.Score, a.Score)
		}
		return cmp.Or(cmp.Compare(a.ItemID, b.ItemID), cmp.Compare(b.Source, a.Source))
	})
	return reasons
}

// MostCounted gives the k items with the most counted events of those that keep lets through, the most
// first, by their index; of equals the lesser id is first.
func (m *Model) MostCounted(k int, keep func(item int) bool) []int {
	if k <= 0 {
		return nil
	}
	var best []int
	least := uint32(0) // count of the k-th so far
	cut := func() {
		slices.SortFunc(best, func(a, b int) int {
			return cmp.Or(cmp.Compare(m.counted[b], m.counted[a]), cmp.Compare(m.items[a].id, m.items[b].id))
		})
		best = best[:min(k, len(best))]
	}
	for i, n := range m.counted {
		if n < least || !keep(i) {
			continue
		}
		if best = append(best, i); len(best) == 2*k {
			cut()
			least = m.counted[best[k-1]]
		}
	}
	cut()
	return best
}

// Neighbour is an item and its similarity.
type Neighbour struct {
	ItemID string
	Score  float32
}

// similarShrink is how many pairs it takes for half of the cosine to be believed; not tuned.
const similarShrink = 10

// Similar gives the k items nearest to an item, the nearest first: the cosine of co-counts in both
// directions, (c(i→j) + c(j→i)) / √(n_i·n_j), times c / (c + 10).
func (m *Model) Similar(itemID string, k int) []Neighbour {
	i, ok := m.itemAt[itemID]
	if !ok || k <= 0 {
		return nil
	}
	after := make([]uint32, len(m.items))
	m.next(i).spread(after)
	var all []Neighbour
	for j := range m.items {
		c := float64(after[j]) + float64(m.next(uint32(j)).count(i))
		if c > 0 {
			cosine := c / math.Sqrt(float64(m.counted[i])*float64(m.counted[j]))
			all = append(all, Neighbour{m.items[j].id, float32(cosine * c / (c + similarShrink))})
		}
	}
	slices.SortFunc(all, func(a, b Neighbour) int {
		return cmp.Or(cmp.Compare(b.Score, a.Score), cmp.Compare(a.ItemID, b.ItemID))
	})
	return slices.Clone(all[:min(k, len(all))])
}

// history is the last counted items of a person, each once, the newest first.
type history struct {
	items   [Window]uint32
	weights [Window]float32 // .9^age / (n + 20)
	n       int
}

func (m *Model) history(u *user) (h history) {
	if u == nil {
		return h
	}
	weight := 1.0
	for k := len(u.counted) - 1; k >= max(0, len(u.counted)-Window); k-- {
		i := u.counted[k].item
		if slices.Contains(h.items[:h.n], i) {
			continue
		}
		h.items[h.n] = i
		h.weights[h.n] = float32(weight / (float64(m.counted[i]) + coShrink))
		h.n++
		weight *= ageDecay
	}
	return h
}

// relate sets dst to the weighted co-counts of a history. Each item of the history adds to an item at most once, so the
// order of sums is the history's.
func (m *Model) relate(dst []float32, h history, s *Scratch) {
	clear(dst)
	table := s.zeros(len(m.items))
	for k, i := range h.items[:h.n] {
		m.next(i).weigh(dst, h.weights[k], table)
	}
}

// zeros is a table over n items, all 0; they are 0 again when who has it is done.
func (s *Scratch) zeros(n int) []uint32 {
	if len(s.table) < n {
		s.table = make([]uint32, n+n/4)
	}
	return s.table
}

// mix sets s.popularity to decayed popularity, dst to co-counts with their trend and, where w has them, s.plain to co-counts
// without, and gives the factor of each.
func (m *Model) mix(dst []float32, h history, today int32, w Mix, s *Scratch) (f factors) {
	if w.Weights() == (Mix{}).Weights() {
		w.Blend = 1
	}
	m.decay(today, float64(w.Speed()), s)
	m.relate(dst, h, s)
	if w.CoCounts > 0 {
		s.plain = resize(s.plain, len(m.items))
	}
	// Maxima do not depend on the order of items, as sums of floats would.
	var plainMax, trendMax float32
	trends, norms := s.trends[:len(dst)], s.norms[:len(dst)]
	if w.CoCounts > 0 {
		plainMax = vector.Multiply(s.plain[:len(dst)], dst, norms) // an item without co-counts keeps its 0
	}
	trendMax = vector.Multiply(dst, dst, trends)
	popular := float32(mixFloor + (1-mixFloor)*mixHistory/(mixHistory+float64(h.n)))
	decayed := w.Decayed + float32(w.Blend*popular)
	if trendMax == 0 {
		decayed = w.Decayed + w.Blend + w.CoCounts + w.Trend
	} else {
		f.trend = (w.Trend + float32(w.Blend*(1-popular))) / trendMax
		if plainMax > 0 {
			f.plain = w.CoCounts / plainMax
		}
	}
	if s.popular > 0 {
		f.decayed = decayed / s.popular
	}
	if w.Popularity > 0 {
		most := uint32(1)
		for _, n := range m.counted {
			most = max(most, n)
		}
		f.popularity = w.Popularity / float32(most)
	}
	return f
}

// norm is the factor of an item's co-counts where its trend is none.
func (m *Model) norm(j uint32) float32 { return root4(1 / (float32(m.counted[j]) + coShrink)) }

// trend is the factor of an item's co-counts in a blend: its normalisation and the share of its
// events that decay has left, under one fourth root.
func (m *Model) trend(j uint32, s *Scratch) float32 {
	n := float32(m.counted[j])
	return root4((s.popularity[j] + trendPrior) / ((n + trendPrior) * (n + coShrink)))
}

func root4(x float32) float32 {
	return float32(math.Sqrt(float64(float32(math.Sqrt(float64(x))))))
}

// decay makes s.popularity that of all items decayed as of a day, so many times as fast as DecayedPopularity, and what follows
// from it.
func (m *Model) decay(today int32, forget float64, s *Scratch) {
	same, known := s.weigh(m, today, forget), len(s.popularity)
	if !same || m.ticks-s.ticks > tickedKept || cap(s.popularity) < len(m.items) {
		known = 0
	}
	if same && known == len(m.items) && s.ticks == m.ticks {
		return
	}
	s.popularity = resize(s.popularity, len(m.items))
	s.trends, s.norms = resize(s.trends, len(m.items)), resize(s.norms, len(m.items))
	update := func(i uint32) {
		s.popularity[i] = m.decayed(i, s)
		s.trends[i], s.norms[i] = m.trend(i, s), m.norm(i)
	}
	if known > 0 {
		for ; s.ticks < m.ticks; s.ticks++ {
			if i := m.ticked[s.ticks%tickedKept]; int(i) < known {
				update(i)
			}
		}
	}
	for i := known; i < len(m.items); i++ {
		update(uint32(i))
	}
	s.ticks, s.popular = m.ticks, 0
	for _, v := range s.popularity {
		s.popular = max(s.popular, v)
	}
}

// decayed is the popularity of an item by the weights of a scratch.
func (m *Model) decayed(i uint32, s *Scratch) float32 {
	oldest := int64(s.newest) - int64(len(s.weights)) + 1
	if last := m.lastDay[i]; last == noDay || int64(last) < oldest {
		return 0
	}
	buckets := m.items[i].buckets
	sum := float32(0)
	for k := len(buckets) - 1; k >= 0 && int64(buckets[k].day) >= oldest; k-- {
		w := float32(1)
		if d := buckets[k].day; d <= s.newest {
			w = s.weights[s.newest-d]
		}
		sum += float32(w * float32(buckets[k].count))
	}
	return sum
}

// weigh makes the weights of days. Ages are taken from the newest day with an event up to today,
// and a day's events all count as passed once a newer day has one: an event on the newest day, where
// most fall, changes no weight. It says whether they were made before.
func (s *Scratch) weigh(m *Model, today int32, forget float64) (same bool) {
	n := len(m.days)
	for n > 0 && m.days[n-1].day > today {
		n--
	}
	newest := today
	if n > 0 {
		newest = m.days[n-1].day
	}
	if s.model == m.Origin() && s.change == m.daysChange && s.newest == newest && s.forget == forget {
		return true
	}
	s.model, s.change, s.newest, s.forget = m.Origin(), m.daysChange, newest, forget
	s.weights = s.weights[:0]
	passed := 0.0
	for k := n - 1; k >= 0; k-- {
		back := int64(newest) - int64(m.days[k].day)
		if back > weightDaysMax {
			break
		}
		if back > 0 {
			passed += float64(m.days[k].count)
		}
		w := math.Exp2(-float64(forget * min(passed/halfLifeEvents, float64(back)/halfLifeDays)))
		if w < weightMin {
			break
		}
		for int64(len(s.weights)) <= back { // days without an event are never looked up
			s.weights = append(s.weights, float32(w))
		}
	}
	return false
}

func resize(buffer []float32, n int) []float32 {
	if cap(buffer) < n {
		return make([]float32, n, n+n/4) // items keep coming
	}
	return buffer[:n]
}
