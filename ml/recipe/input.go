package recipe

import (
	"context"
	"math"
	"slices"
	"sort"

	"github.com/projectionist/projectionist/ml"
	"github.com/projectionist/projectionist/ml/online"
	"github.com/projectionist/projectionist/ml/signal"
)

// Input is what a model is trained on. It is not changed.
type Input struct {
	Data         *ml.Dataset     // Items are sorted: an item's index is its place among Films
	Signals      []signal.Signal // of Data.Samples, in their order
	Content      func(item string) Content
	FeaturesHash string // of the feature definitions in force, "" without any
	Fits         *Fits  // what fits are taken from and kept in; may be nil

	replay *replay // what the last replay has left to the next; nil for nothing
}

// replay is the online model of the first samples.
type replay struct {
	model *online.Model
	added int
}

// At is the number of samples before the given share of the data, moved back to a change of time.
func (in Input) At(share float64) int {
	s := in.Data.Samples
	n := min(int(float64(len(s))*share), len(s))
	for n > 0 && n < len(s) && s[n].Time == s[n-1].Time {
		n--
	}
	return n
}

// Before is the first n samples; people and items stay.
func (in Input) Before(n int) Input {
	in.Data = &ml.Dataset{Users: in.Data.Users, Items: in.Data.Items, Samples: in.Data.Samples[:n]}
	in.Signals = in.Signals[:n]
	return in
}

// byAct has the acts of one person at one time in the order of what they are, film and then meaning. Training
// sets have them in the order of their events' ids, which are others where the same acts are sent again. It
// is a copy where the order is another.
func (in Input) byAct() Input {
	s, signals := in.Data.Samples, in.Signals
	together := func(i int) bool { return s[i-1].Time == s[i].Time && s[i-1].User == s[i].User }
	copied := false
	for from, to := 0, 1; to <= len(s); to++ {
		if to < len(s) && together(to) {
			continue
		}
		if to-from > 1 && !sort.IsSorted(simultaneous{s[from:to], signals[from:to]}) {
			if !copied {
				copied = true
				s, signals = slices.Clone(s), slices.Clone(signals)
			}
			sort.Stable(simultaneous{s[from:to], signals[from:to]})
		}
		from = to
	}
	in.Data = &ml.Dataset{Users: in.Data.Users, Items: in.Data.Items, Samples: s}
	in.Signals = signals
	return in
}

// simultaneous sorts samples with their signals.
type simultaneous struct {
	samples []ml.Sample
	signals []signal.Signal
}

func (a simultaneous) Len() int { return len(a.samples) }

func (a simultaneous) Less(i, j int) bool {
	if x, y := a.samples[i].Item, a.samples[j].Item; x != y {
		return x < y
	}
	return a.signals[i] < a.signals[j]
}

func (a simultaneous) Swap(i, j int) {
	a.samples[i], a.samples[j] = a.samples[j], a.samples[i]
	a.signals[i], a.signals[j] = a.signals[j], a.signals[i]
}

// Films are the items with their content.
func (in Input) Films() *Films {
	list := make([]*Film, len(in.Data.Items))
	for i, id := range in.Data.Items {
		list[i] = &Film{id, in.Content(id)}
	}
	return NewFilms(list)
}

// likedWithin is how long after meeting a film a person has to like it, for the meeting to count as one
// that a recommender should have foreseen: a view becomes a watch and a rating in one evening.
const likedWithin = 24 * 60 * 60 * 1000

// moments finds the samples of from..to at which a person meets a film for the first time, and likes it
// then or within likedWithin. To have been shown a film is not to meet it: see [signal.Signal.Meets].
func (in Input) moments(from, to int) []int {
	type pair struct{ user, item int32 }
	samples := in.Data.Samples
	first := map[pair]int{} // meeting in from..to, of pairs that had not met before
	active := make([]bool, len(in.Data.Users))
	for i := from; i < to; i++ {
		if s := &samples[i]; in.Signals[i].Meets() {
			active[s.User] = true
			if p := (pair{s.User, s.Item}); first[p] == 0 {
				first[p] = i + 1
			}
		}
	}
	for i := range samples[:from] {
		if s := &samples[i]; active[s.User] && in.Signals[i].Meets() {
			delete(first, pair{s.User, s.Item})
		}
	}
	liked := make([]bool, to-from)
	for i := from; i < to; i++ {
		s := &samples[i]
		if s.Weight <= 0 || !in.Signals[i].Meets() {
			continue
		}
		if met := first[pair{s.User, s.Item}] - 1; met >= 0 && s.Time-samples[met].Time <= likedWithin {
			liked[met-from] = true
		}
	}
	var moments []int
	for i, l := range liked {
		if l {
			moments = append(moments, from+i)
		}
	}
	return moments
}

// Replay goes through the samples before to in time order, test-then-learn: before a person meets a film
// that they are going to like, within from..to, judge is given the online model as it stands, the person, the
// time and the film's place. At most limit such moments are judged, evenly over the range.
func (in Input) Replay(ctx context.Context, from, to, limit int, judge func(m *online.Model, user string, timeMillis int64, film int)) error {
	moments := in.moments(from, to)
	if len(moments) == 0 {
		return ctx.Err()
	}
	every := max(1, (len(moments)+limit-1)/limit)
	r := in.replay
	if r == nil {
		r = &replay{}
	}
	if r.model == nil || r.added > moments[0] {
		r.model = nil // two of them need not be in memory
		r.model, r.added = online.Of(in.Data.Users, in.Data.Items, moments[0], in.event), moments[0]
	}
	for n := 0; n < len(moments); n += every {
		if err := ctx.Err(); err != nil {
			return err
		}
		for ; r.added < moments[n]; r.added++ {
			e := in.event(r.added)
			r.model.Add(in.Data.Users[e.User], in.Data.Items[e.Item], e.TimeMillis, e.ID, e.Signal)
		}
		s := &in.Data.Samples[r.added]
		judge(r.model, in.Data.Users[s.User], s.Time, int(s.Item))
	}
	return nil
}

// event is a sample as the online model takes it: each is an event of its own.
func (in Input) event(i int) online.Event {
	s := &in.Data.Samples[i]
	return online.Event{User: s.User, Item: s.Item, TimeMillis: s.Time, ID: uint64(i), Signal: in.Signals[i]}
}

// Shares are what moments count of a mean, by whose they are: everybody counts alike, however many are theirs, and all
// together are 1. What is chosen by moments alone is chosen by the few people who meet most films.
func Shares(people []string) []float64 {
	moments := map[string]int{}
	for _, p := range people {
		moments[p]++
	}
	shares := make([]float64, len(people))
	for i, p := range people {
		shares[i] = 1 / float64(len(moments)*moments[p])
	}
	return shares
}

// Rank is the place, from 1, at which the film stands by these scores among those not [online.Excluded];
// of equal ones it is the last.
func Rank(score []float32, film int) int {
	mine, rank := score[film], 1
	for i, v := range score {
		if i != film && v != online.Excluded && v >= mine {
			rank++
		}
	}
	return rank
}

// Gain is NDCG@10 of one relevant film at a rank from 1.
func Gain(rank int) float64 {
	if rank > 10 {
		return 0
	}
	return 1 / math.Log2(float64(rank)+1)
}
