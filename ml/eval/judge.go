package eval

import (
	"context"
	"math"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/projectionist/projectionist/ml/online"
	"github.com/projectionist/projectionist/ml/recipe"
)

// Names of metrics. Those of ranks are over all films that the person has not met.
const (
	HR10        = "hr@10"
	NDCG10      = "ndcg@10"
	MRR         = "mrr"
	HR10Of100   = "hr@10/100"   // among 100 films that were never met
	NDCG10Of100 = "ndcg@10/100" // the same
	Recall20    = "recall@20"   // of min(20, those that count)
	Recall50    = "recall@50"
	NDCG100     = "ndcg@100"
	RMSE        = "rmse"
	MAE         = "mae"
)

// measure is a metric of one ask: of the places, from 1, of the films that count, and of the one among the sampled.
type measure struct {
	name string
	of   func(ranks []int, sampled int) float64
}

func hit(k int) func([]int, int) float64 {
	return func(ranks []int, _ int) float64 {
		if len(ranks) > 0 && ranks[0] <= k {
			return 1
		}
		return 0
	}
}

func gain(k int) func([]int, int) float64 {
	return func(ranks []int, _ int) float64 {
		var sum, ideal float64
		for i, r := range ranks {
			if i < k {
				ideal += 1 / math.Log2(float64(i+2))
			}
			if r <= k {
				sum += 1 / math.Log2(float64(r)+1)
			}
		}
		if ideal == 0 {
			return 0
		}
		return sum / ideal
	}
}

func recall(k int) func([]int, int) float64 {
	return func(ranks []int, _ int) float64 {
		found := 0
		for _, r := range ranks {
			if r <= k {
				found++
			}
		}
		if len(ranks) == 0 {
			return 0
		}
		return float64(found) / float64(min(k, len(ranks)))
	}
}

func reciprocal(ranks []int, _ int) float64 {
	if len(ranks) == 0 {
		return 0
	}
	return 1 / float64(ranks[0])
}

func among(f func([]int, int) float64) func([]int, int) float64 {
	return func(_ []int, sampled int) float64 { return f([]int{sampled}, 0) }
}

var measures = []measure{
	{HR10, hit(10)}, {NDCG10, gain(10)}, {MRR, reciprocal},
	{HR10Of100, among(hit(10))}, {NDCG10Of100, among(gain(10))},
	{Recall20, recall(20)}, {Recall50, recall(50)}, {NDCG100, gain(100)},
}

func measureOf(name string) measure {
	return measures[slices.IndexFunc(measures, func(m measure) bool { return m.name == name })]
}

// before says whether a film of score v stands before one that is judged: of equal scores, and without a number, what is
// judged comes last.
func before(v, judged float32) bool { return !(v < judged) && v == v || judged != judged }

// ranksOf are the places of the films that count among those that are not [online.Excluded], in ascending order. Films
// that count do not stand in each other's way beyond their own places.
func ranksOf(score []float32, relevant []int32, ranks []int) []int {
	ranks = ranks[:0]
	if len(relevant) == 1 { // most often
		mine, rank := score[relevant[0]], 1
		for i, v := range score {
			if v != online.Excluded && before(v, mine) && int32(i) != relevant[0] {
				rank++
			}
		}
		return append(ranks, rank)
	}
	// Others before each one, then the films that count among themselves.
	order := slices.Clone(relevant)
	slices.SortFunc(order, func(a, b int32) int {
		switch x, y := score[a], score[b]; {
		case x == y || x != x && y != y:
			return int(a - b)
		case x > y || y != y:
			return -1
		}
		return 1
	})
	others := make([]int, len(order)) // before order[i] and not before order[i-1]
	for i, v := range score {
		if v == online.Excluded {
			continue
		}
		if _, counts := slices.BinarySearch(relevant, int32(i)); counts {
			continue
		}
		at, _ := slices.BinarySearchFunc(order, v, func(film int32, v float32) int {
			if before(v, score[film]) {
				return 0
			}
			return -1
		})
		if at < len(order) {
			others[at]++
		}
	}
	sum := 0
	for i := range order {
		sum += others[i]
		ranks = append(ranks, sum+i+1)
	}
	return ranks
}

// rankAmong is the place of a film among some others.
func rankAmong(score []float32, film int32, others []int32) int {
	rank := 1
	for _, i := range others {
		if i != film && before(score[i], score[film]) {
			rank++
		}
	}
	return rank
}

// scorer gives the scores of films by their place in Items, for a person at a moment: the whole under "", and its parts.
type scorer interface {
	score(m *online.Model, user string, at int64, f func(part string, score []float32))
}

// byRanker scores as a model's ranker does.
type byRanker struct{ recipe.Ranker }

func (r byRanker) score(m *online.Model, user string, at int64, f func(string, []float32)) {
	r.Score(m, user, at, f)
}

// byCounts scores as counting alone does, each source as a part.
type byCounts struct {
	films   *recipe.Films
	scratch sync.Pool // of *counts
}

type counts struct {
	online.Scratch
	raw, byPlace []float32
}

// OfOnline is the name under which a source of the online model is judged alone.
func OfOnline(s online.Source) string { return recipe.SourceOnline + ":" + s.String() }

// sources are what counting alone is judged by.
var sources = []online.Source{online.Popularity, online.DecayedPopularity, online.CoCounts, online.Blend}

func newCounts(films *recipe.Films) *byCounts {
	c := &byCounts{films: films}
	c.scratch.New = func() any { return &counts{} }
	return c
}

func (c *byCounts) score(m *online.Model, user string, at int64, f func(string, []float32)) {
	s := c.scratch.Get().(*counts)
	defer c.scratch.Put(s)
	place := c.films.Places(m)
	for _, source := range sources {
		s.byPlace = recipe.Grow(s.byPlace, c.films.Len())
		clear(s.byPlace)
		s.raw = m.Score(s.raw, user, at, source, &s.Scratch)
		for i, v := range s.raw {
			if p := place[i]; p >= 0 {
				s.byPlace[p] = v
			}
		}
		f(OfOnline(source), s.byPlace)
	}
}

// finding is what was found of a ranking or a part of it: values by metric and ask.
type finding struct {
	part   string
	values [][]float64
}

// judge ranks for everybody of a part and gives what was found, by part of the ranking in the order in which they come.
func (p *part) judge(ctx context.Context, s scorer, metrics []string, progress func(done, of int)) ([]finding, error) {
	m := onlineOf(p.known)
	m.Score(nil, "", 0, online.Blend, &online.Scratch{}) // what is made at the first call is there for all
	var names []string
	if len(p.asks) > 0 {
		s.score(m, p.known.Data.Users[p.asks[0].user], p.asks[0].at, func(part string, _ []float32) { names = append(names, part) })
	}
	found := make([]finding, len(names))
	for i, name := range names {
		found[i] = finding{part: name, values: make([][]float64, len(metrics))}
		for k := range metrics {
			found[i].values[k] = make([]float64, len(p.asks))
		}
	}
	list := make([]measure, len(metrics))
	for k, name := range metrics {
		list[k] = measureOf(name)
	}
	var next, done atomic.Int64
	var workers sync.WaitGroup
	var telling sync.Mutex
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			var ranks []int
			for ctx.Err() == nil {
				n := int(next.Add(1)) - 1
				if n >= len(p.asks) {
					return
				}
				a := &p.asks[n]
				s.score(m, p.known.Data.Users[a.user], a.at, func(part string, score []float32) {
					at := slices.Index(names, part)
					if at < 0 {
						return // of this person alone
					}
					ranks = ranksOf(score, a.relevant, ranks)
					among := math.MaxInt // without others nothing is hit among them
					if len(a.negatives) > 0 {
						among = rankAmong(score, a.relevant[0], a.negatives)
					}
					for k := range list {
						found[at].values[k][n] = list[k].of(ranks, among)
					}
				})
				telling.Lock()
				progress(int(done.Add(1)), len(p.asks))
				telling.Unlock()
			}
		})
	}
	workers.Wait()
	return found, ctx.Err()
}

// onlineOf is the online model that has met all of an input.
func onlineOf(in recipe.Input) *online.Model {
	samples := in.Data.Samples
	return online.Of(in.Data.Users, in.Data.Items, len(samples), func(i int) online.Event {
		s := &samples[i]
		return online.Event{User: s.User, Item: s.Item, TimeMillis: s.Time, ID: uint64(i), Signal: in.Signals[i]}
	})
}

// people numbers the people of n asks, of whom each is asked once.
func people(n int) []int {
	person := make([]int, n)
	for i := range person {
		person[i] = i
	}
	return person
}
