package recipe

import (
	"slices"
	"sync"

	"github.com/projectionist/projectionist/ml"
	"github.com/projectionist/projectionist/ml/online"
	"github.com/projectionist/projectionist/ml/vector"
)

// Ranker ranks films for anyone, with a trained model (or none) and the state of the online model at the
// moment of asking. It is safe for concurrent use, as long as the online model is at rest during a call.
type Ranker interface {
	// Rank gives the best films that the person has not met, or with Query.Again of all.
	Rank(m *online.Model, q Query) Ranking
	// Score calls f with the score of every film by its place, as Rank orders them, and then with the scores
	// that parts of the recipe would give alone, under their names: of the same parts for everybody, 0 where a part says
	// nothing of the person. What the person has met has [online.Excluded]. f must not keep the slice.
	Score(m *online.Model, user string, nowMillis int64, f func(part string, score []float32))
	// Films are what is ranked.
	Films() *Films
}

// Member is a [Ranker] that can be one of an ensemble, which adds up what its members say and chooses the films.
type Member interface {
	Ranker
	// Ask gives what the ranker's own model says for a person; false where that says nothing of them, whatever Rank puts in its
	// place. With again it is of films that the person has met too.
	Ask(m *online.Model, user string, nowMillis int64, again bool) (Answer, bool)
}

// Answer is what a [Member] says for one person at one moment, as long as the online model is at rest. It belongs to one
// goroutine, and is not used after its Release.
type Answer interface {
	// Score is that of each film by its place, the answer's to keep. What the person is not to be shown has [online.Excluded].
	Score() []float32
	// Because gives, for each place, the reasons for its score: with [Fully] they add up to it. None are given where the model has none.
	Because(places []int, depth Depth) [][]Reason
	// Release gives back its memory.
	Release()
}

// Query asks for a ranking.
type Query struct {
	User      string // somebody unknown is a person without history
	NowMillis int64  // as of when, in event time
	K         int    // how many films at most
	Explain   Depth
	Again     bool // what the person has met may be shown too
	// Skip says of a place that its film must not be on the list, whatever its score; nil: all may.
	Skip func(place int32) bool
	// Order, where not nil, makes the list, K at most, of the best Among films, which it is given best first.
	Order func(best []ml.Scored) []ml.Scored
	Among int
}

// Most is how many of the best the list is made of.
func (q *Query) Most() int {
	if q.Order != nil {
		return q.Among
	}
	return q.K
}

// Best is the list by scores, by place: of the films that may be on it the best, or what Order makes of them. Films
// that are skipped leave no gap.
func (q *Query) Best(score []float32) []ml.Scored {
	best := ml.TopKScores(score, q.Most(), q.Skip)
	if at := slices.IndexFunc(best, func(s ml.Scored) bool { return s.Score == online.Excluded }); at >= 0 {
		best = best[:at]
	}
	if q.Order != nil {
		best = q.Order(best)
	}
	return best
}

// Vectors is a [Ranker] that has a vector for each film: films are alike whose vectors point the same way.
type Vectors interface {
	// Vectors gives the vectors of the films at places, one after another, all of one length above 0; nil: there are none.
	Vectors(places []int32) []float32
}

// Gather gives the rows of a matrix, dim values each.
func Gather(rows []float32, dim int, places []int32) []float32 {
	out := make([]float32, 0, len(places)*dim)
	for _, p := range places {
		out = append(out, rows[int(p)*dim:(int(p)+1)*dim]...)
	}
	return out
}

// Depth is how far a ranking is explained.
type Depth uint8

const (
	// Unexplained rankings have no reasons.
	Unexplained Depth = iota
	// Briefly gives the reasons that cost next to nothing once the films are ranked.
	Briefly
	// Fully gives all reasons, those for a score and those against it: they add up to it.
	Fully
)

// Ranking is films, best first.
type Ranking struct {
	Items []Item
	// Strategy is, in one word, how a trained model ranked; "" where it had nothing to say.
	Strategy string
}

// Item is one place of a ranking.
type Item struct {
	Place   int // in Films
	Score   float32
	Parts   []Part   // of Score, which they add up to; none of 0
	Because []Reason // strongest first
}

// Part is how much of a score came from one source.
type Part struct {
	Source string // SourceOnline, or as the recipe calls it
	Score  float32
}

// SourceOnline is the part of a score that the online model gave.
const SourceOnline = "online"

// Reason says how much of a film's score came from one film of the person's history, or from something
// that concerns no film of theirs.
type Reason struct {
	ID     string // of the history, or ""
	Score  float32
	Source string // "co_counts", "popular lately"
}

// ranked is the list of the best by scores: of a model, or, where it says nothing of a person, of counting.
func ranked(score []float32, q Query, model string, trained bool, because func(places []int) [][]Reason) Ranking {
	var out Ranking
	source := SourceOnline
	if trained {
		source, out.Strategy = model, model
	}
	for _, top := range q.Best(score) {
		it := Item{Place: int(top.Index), Score: top.Score}
		if top.Score != 0 {
			it.Parts = []Part{{source, top.Score}}
		}
		out.Items = append(out.Items, it)
	}
	if q.Explain != Unexplained {
		places := make([]int, len(out.Items))
		for i := range places {
			places[i] = out.Items[i].Place
		}
		for i, all := range because(places) {
			out.Items[i].Because = all
		}
	}
	return out
}

// Strongest sorts reasons, strongest first; of equal ones the order stays.
func Strongest(reasons []Reason) {
	slices.SortStableFunc(reasons, func(a, b Reason) int {
		switch {
		case a.Score > b.Score:
			return -1
		case a.Score < b.Score:
			return 1
		}
		return 0
	})
}

// Counts is how the online model scores films for a person: by place, scaled so that the
// best film they have not met has 1. It holds buffers, and belongs to one goroutine at a time.
type Counts struct {
	Mix      online.Mix // of what; the zero value is [online.Blend]
	Score    []float32
	byOnline []float32
	scratch  online.Scratch
}

// Compute fills Score; with again also for films that the person has met.
func (c *Counts) Compute(m *online.Model, films *Films, user string, nowMillis int64, again bool) {
	c.Sum(m, films, user, nowMillis, again)
	Scale(c.Score, c.Score)
}

// Sum is Compute without scaling.
func (c *Counts) Sum(m *online.Model, films *Films, user string, nowMillis int64, again bool) {
	place := films.Places(m)
	c.Score = Grow(c.Score, films.Len())
	clear(c.Score)
	if again {
		c.byOnline = m.ScoreMixAll(c.byOnline, user, nowMillis, c.Mix, &c.scratch)
	} else {
		c.byOnline = m.ScoreMix(c.byOnline, user, nowMillis, c.Mix, &c.scratch)
	}
	for i, v := range c.byOnline {
		if p := place[i]; p >= 0 {
			c.Score[p] = v
		}
	}
}

// Because gives, for each of some films, those of the history that co-counts took its score from, strongest first, their
// shares scaled to its part; Fully also what popularity gave, so that all add up to the part. Compute has come before, and m
// has not changed since.
func (c *Counts) Because(m *online.Model, ids []string, parts []float32, depth Depth) [][]Reason {
	out := make([][]Reason, len(ids))
	for k, all := range m.ExplainScored(&c.scratch, ids...) {
		if parts[k] == 0 {
			continue
		}
		var total float32
		for _, p := range all {
			total += p.Score
		}
		reasons := make([]Reason, 0, len(all))
		for _, p := range all {
			if p.ItemID != "" || depth == Fully {
				reasons = append(reasons, Reason{p.ItemID, p.Score / total * parts[k], p.Source.String()})
			}
		}
		if Strongest(reasons); len(reasons) > 0 {
			out[k] = reasons
		}
	}
	return out
}

// becauseAt is Because for the films at places, whose parts are what they have in score.
func (c *Counts) becauseAt(m *online.Model, films *Films, places []int, score []float32, depth Depth) [][]Reason {
	ids, parts := make([]string, len(places)), make([]float32, len(places))
	for i, p := range places {
		ids[i], parts[i] = films.At(p).ID, score[p]
	}
	return c.Because(m, ids, parts, depth)
}

// Exclude sets the scores, by place, of films that the person is not to be shown to [online.Excluded].
func Exclude(score []float32, m *online.Model, films *Films, user string, nowMillis int64) {
	place := films.Places(m)
	for e := range m.UserEntries(user) {
		if p := place[e.Item]; p >= 0 && e.Signal.Hides(e.TimeMillis, nowMillis) {
			score[p] = online.Excluded
		}
	}
}

// Silence makes scores those of a part that says nothing of a person: 0, but for what is not to be shown to them.
func Silence(score []float32) {
	for i, v := range score {
		if v != online.Excluded {
			score[i] = 0
		}
	}
}

// Scale divides scores by the greatest among films that excluded does not have as [online.Excluded]; it
// reports whether that is above 0, and does nothing if not.
func Scale(v, excluded []float32) bool {
	by := ScaleOf(v, excluded)
	if by == 0 {
		return false
	}
	vector.Scale(v, by)
	return true
}

// Grow gives n values, those of b where they fit; what they are is undefined.
func Grow(b []float32, n int) []float32 {
	if cap(b) < n {
		return make([]float32, n, n+n/8)
	}
	return b[:n]
}

// counting is a Ranker without a trained model.
type counting struct {
	films   *Films
	scratch sync.Pool // of *counted
}

// counted is what the online model says.
type counted struct {
	Counts
	of *counting
	m  *online.Model
}

// NewOnlineRanker ranks by the online model alone.
func NewOnlineRanker(films *Films) Member { return NewMixRanker(films, online.Mix{}) }

// NewMixRanker ranks by a mix of what the online model counts.
func NewMixRanker(films *Films, mix online.Mix) Member {
	r := &counting{films: films}
	r.scratch.New = func() any { return &counted{Counts: Counts{Mix: mix}, of: r} }
	return r
}

func (r *counting) Films() *Films { return r.films }

func (r *counting) Rank(m *online.Model, q Query) Ranking {
	c := r.ask(m, q.User, q.NowMillis, q.Again)
	defer c.Release()
	return ranked(c.Counts.Score, q, "", false, func(places []int) [][]Reason { return c.Because(places, q.Explain) })
}

func (r *counting) Score(m *online.Model, user string, nowMillis int64, f func(string, []float32)) {
	c := r.ask(m, user, nowMillis, false)
	defer c.Release()
	f("", c.Counts.Score)
}

// Ask has an answer for everybody.
func (r *counting) Ask(m *online.Model, user string, nowMillis int64, again bool) (Answer, bool) {
	return r.ask(m, user, nowMillis, again), true
}

func (r *counting) ask(m *online.Model, user string, nowMillis int64, again bool) *counted {
	c := r.scratch.Get().(*counted)
	c.m = m
	c.Compute(m, r.films, user, nowMillis, again)
	return c
}

func (c *counted) Score() []float32 { return c.Counts.Score }

func (c *counted) Because(places []int, depth Depth) [][]Reason {
	return c.becauseAt(c.m, c.of.films, places, c.Counts.Score, depth)
}

func (c *counted) Release() {
	c.m = nil
	c.of.scratch.Put(c)
}
