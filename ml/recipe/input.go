package recipe

import (
	"context"
	"math"

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
	met := map[pair]int{} // the first meeting
	liked := map[int]bool{}
	for i, s := range in.Data.Samples[:to] {
		if !in.Signals[i].Meets() {
			continue
		}
		p := pair{s.User, s.Item}
		first, again := met[p]
		if !again {
			first, met[p] = i, i
		}
		if first >= from && s.Weight > 0 && s.Time-in.Data.Samples[first].Time <= likedWithin {
			liked[first] = true
		}
	}
	var moments []int
	for i := from; i < to; i++ {
		if liked[i] {
			moments = append(moments, i)
		}
	}
	return moments
}

// Replay goes through the samples before to in time order, test-then-learn: before a person meets a film
// that they are going to like, within from..to, judge is given the online model as it stands, the person, the
// time and the film's place. At most limit such moments are judged, evenly over the range.
func (in Input) Replay(ctx context.Context, from, to, limit int, judge func(m *online.Model, user string, timeMillis int64, film int)) error {
	moments := in.moments(from, to)
	every := max(1, (len(moments)+limit-1)/limit)
	model := online.New()
	n := 0
	for i, sample := range in.Data.Samples[:to] {
		user := in.Data.Users[sample.User]
		if n < len(moments) && moments[n] == i {
			if n%every == 0 {
				if err := ctx.Err(); err != nil {
					return err
				}
				judge(model, user, sample.Time, int(sample.Item))
			}
			n++
		}
		model.Add(user, in.Data.Items[sample.Item], sample.Time, uint64(i), in.Signals[i])
	}
	return nil
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
