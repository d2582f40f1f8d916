// Package recipetest judges recipes on published data sets, for tests.
package recipetest

import (
	"context"
	"math"
	"slices"
	"testing"

	"github.com/projectionist/projectionist/handlers/ingest/dataset"
	"github.com/projectionist/projectionist/internal/realdata"
	"github.com/projectionist/projectionist/ml"
	"github.com/projectionist/projectionist/ml/online"
	"github.com/projectionist/projectionist/ml/recipe"
	"github.com/projectionist/projectionist/ml/signal"
)

// Real reads a published data set as training gets it, or skips loudly.
func Real(t testing.TB, name string) recipe.Input {
	t.Helper()
	set, err := dataset.Open(realdata.Path(t, name))
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	content := map[string]recipe.Content{}
	for m, err := range set.Movies(context.Background()) {
		if err != nil {
			t.Fatal(err)
		}
		content[m.ID] = recipe.Content{Genres: m.Genres, Year: m.Year}
	}
	in := recipe.Input{Data: &ml.Dataset{}, Content: func(id string) recipe.Content { return content[id] }}
	var users, items []string
	var stars []float64
	for r, err := range set.SortedRatings(context.Background(), nil) {
		if err != nil {
			t.Fatal(err)
		}
		users, items, stars = append(users, r.UserID), append(items, r.MovieID), append(stars, r.Rating)
		in.Data.Samples = append(in.Data.Samples, ml.Sample{Time: r.TimeMillis})
	}
	in.Data.Users, in.Data.Items = unique(users), unique(items)
	for i := range in.Data.Samples {
		s, sig := &in.Data.Samples[i], signal.Default().Of("rating", stars[i])
		user, _ := slices.BinarySearch(in.Data.Users, users[i])
		item, _ := slices.BinarySearch(in.Data.Items, items[i])
		s.User, s.Item, s.Rating, s.Weight = int32(user), int32(item), float32(sig.Rating()), sig.Weight()
		in.Signals = append(in.Signals, sig)
	}
	return in
}

func unique(ids []string) []string {
	ids = slices.Clone(ids)
	slices.Sort(ids)
	return slices.Compact(ids)
}

// Of are the samples that keep lets through.
func Of(in recipe.Input, keep func(i int) bool) recipe.Input {
	data := &ml.Dataset{Users: in.Data.Users, Items: in.Data.Items}
	var signals []signal.Signal
	for i, s := range in.Data.Samples {
		if keep(i) {
			data.Samples, signals = append(data.Samples, s), append(signals, in.Signals[i])
		}
	}
	in.Data, in.Signals = data, signals
	return in
}

// Figures are those of a ranking of all films that the person has not met.
type Figures struct {
	People   int
	HR, NDCG float64 // at 10
}

// LeaveLast trains on all but each person's last like, and what came after it, and ranks that among all films they have not
// met. At most limit people are judged, evenly over all.
func LeaveLast(t testing.TB, r *recipe.Recipe, in recipe.Input, given map[string]string, limit int) Figures {
	t.Helper()
	last, likes := make([]int, len(in.Data.Users)), make([]int, len(in.Data.Users))
	for i, s := range in.Data.Samples {
		if s.Weight > 0 {
			last[s.User], likes[s.User] = i, likes[s.User]+1
		}
	}
	before := Of(in, func(i int) bool { u := in.Data.Samples[i].User; return likes[u] < 2 || i < last[u] })
	m := Train(t, r, before, given)
	o := online.Of(before.Data.Users, before.Data.Items, len(before.Signals), func(i int) online.Event {
		s := &before.Data.Samples[i]
		return online.Event{User: s.User, Item: s.Item, TimeMillis: s.Time, ID: uint64(i), Signal: before.Signals[i]}
	})
	ranker := m.Ranker(in.Films(), nil)
	var people []int
	for u, n := range likes {
		if n >= 2 {
			people = append(people, u)
		}
	}
	var f Figures
	every := max(1, (len(people)+limit-1)/limit)
	for n := 0; n < len(people); n += every {
		s := in.Data.Samples[last[people[n]]]
		first := true
		ranker.Score(o, in.Data.Users[s.User], s.Time, func(_ string, score []float32) {
			if !first || score[s.Item] == online.Excluded {
				return
			}
			first = false
			rank := recipe.Rank(score, int(s.Item))
			f.People++
			f.NDCG += recipe.Gain(rank)
			if rank <= 10 {
				f.HR++
			}
		})
	}
	f.HR /= float64(max(1, f.People))
	f.NDCG /= float64(max(1, f.People))
	return f
}

// Train trains with parameters.
func Train(t testing.TB, r *recipe.Recipe, in recipe.Input, given map[string]string) recipe.Model {
	t.Helper()
	p, err := r.Parse(given)
	if err != nil {
		t.Fatal(err)
	}
	m, err := r.Train(context.Background(), in, p, recipe.Hooks{NoLoss: true})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// RMSE is the error of ratings in stars, cross-validated: each fifth of the ratings, drawn at random by a fixed seed, is
// predicted by what was trained on the others. Of the five folds the first so many are judged.
func RMSE(t testing.TB, r *recipe.Recipe, in recipe.Input, given map[string]string, folds int) float64 {
	t.Helper()
	fold := func(i int) int { return int(mix(uint64(i)) % 5) }
	var squares float64
	n := 0
	for k := range folds {
		m := Train(t, r, Of(in, func(i int) bool { return fold(i) != k }), given).(recipe.Predictor)
		for i, s := range in.Data.Samples {
			if fold(i) == k && s.Rating > 0 {
				e := float64(m.Predict(in.Data.Users[s.User], []string{in.Data.Items[s.Item]}).Ratings[0]) - float64(s.Rating)
				squares += e * e
				n++
			}
		}
	}
	return math.Sqrt(squares / float64(n))
}

// mix is the finalizer of SplitMix64.
func mix(z uint64) uint64 {
	z += 0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}
