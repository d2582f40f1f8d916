package als

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/projectionist/projectionist/ml"
	"github.com/projectionist/projectionist/ml/online"
	"github.com/projectionist/projectionist/ml/recipe"
	"github.com/projectionist/projectionist/ml/signal"
)

// A list of ten among 27,000 films, by factors learned from 300,000 acts of 5,000 people of twenty tastes: by the products of
// films that may be on it, and by all.
func BenchmarkRank(b *testing.B) {
	const films, people, acts = 27_000, 5_000, 300_000
	rng := rand.New(rand.NewPCG(1, 2))
	in := recipe.Input{Data: &ml.Dataset{}, Content: func(string) recipe.Content { return recipe.Content{} }}
	for i := range people {
		in.Data.Users = append(in.Data.Users, fmt.Sprintf("u%04d", i))
	}
	for i := range films {
		in.Data.Items = append(in.Data.Items, fmt.Sprintf("%05d", i))
	}
	model := online.New()
	for i := range acts { // a film's place among those of its taste is exponential in a uniform number, as popularity is
		user := rng.IntN(people)
		taste := user % 20
		if rng.IntN(4) == 0 {
			taste = rng.IntN(20)
		}
		film := 20*int(math.Pow(films/20, rng.Float64())) - 20 + taste
		sig := signal.Default().Of("like", 0)
		in.Data.Samples = append(in.Data.Samples, ml.Sample{User: int32(user), Item: int32(film), Time: int64(i) * 60_000, Weight: sig.Weight()})
		in.Signals = append(in.Signals, sig)
		model.Add(in.Data.Users[user], in.Data.Items[film], int64(i)*60_000, uint64(i), sig)
	}
	p := DefaultParams()
	p.ALS.Sweeps, p.HoldoutEvents = 4, 50
	m, err := train(context.Background(), in, p, recipe.Hooks{})
	if err != nil {
		b.Fatal(err)
	}
	ranked := recipe.NewFilms(filmsOf(in))
	for _, share := range []float32{.5, 1} {
		m.Blend.ALSWeight = share
		some := m.Ranker(ranked, nil).(*ranker)
		all := &ranker{model: m, films: ranked, factors: some.factors}
		all.scratch.New = func() any { return &scratch{of: all} }
		for name, r := range map[string]*ranker{"some": some, "all": all} {
			b.Run(fmt.Sprintf("share %v/%s", share, name), func(b *testing.B) {
				looked := 0
				for i := 0; b.Loop(); i++ {
					r.Rank(model, recipe.Query{User: in.Data.Users[i%people], NowMillis: acts * 60_000, K: 10, Explain: recipe.Briefly})
					s := r.scratch.Get().(*scratch)
					looked += len(s.places)
					r.scratch.Put(s)
				}
				b.ReportMetric(float64(looked)/float64(b.N), "products/op")
			})
		}
	}
}
