package features

import (
	"fmt"
	"iter"
	"math/rand/v2"
	"testing"
)

var benchGenres = []string{"Action", "Comedy", "Drama", "Horror", "Romance", "Sci-Fi", "Thriller", "War"}

// benchFacts are n facts over two years with m others.
func benchFacts(n, m int) []Fact {
	r := rand.New(rand.NewPCG(1, 1))
	facts := make([]Fact, n)
	for i := range facts {
		facts[i] = Fact{TimeMillis: int64(i) * 730 * dayMillis / int64(n), Other: fmt.Sprint(r.IntN(m)), Kind: testKinds[r.IntN(3)], Rating: float64(r.IntN(6))}
	}
	return facts
}

func benchCatalogue(m int) Catalogue {
	films := make(map[string]*Attributes, m)
	for i := range m {
		films[fmt.Sprint(i)] = &Attributes{Year: 2000, Genres: []string{benchGenres[i%8], benchGenres[(i/8)%8]}}
	}
	return func(id string) *Attributes { return films[id] }
}

func BenchmarkValues250(b *testing.B) {
	lookup := benchCatalogue(20000)
	for _, entity := range []Entity{User, Movie} {
		sel := mustParse(b, wide(entity, 250)).View("wide").Selection()
		for _, n := range []int{50, 200, 500, 10000} {
			s := fold(entity, benchFacts(n, 20000))
			b.Run(fmt.Sprintf("%s/facts=%d", entity, n), func(b *testing.B) {
				var dst []Value
				b.ReportAllocs()
				for b.Loop() {
					dst = sel.AppendValues(dst[:0], Inputs{User: s, Movie: s, MovieID: "1", Catalogue: lookup, NowMillis: 731 * dayMillis})
				}
			})
		}
	}
}

func BenchmarkAppendJSON250(b *testing.B) {
	sel := mustParse(b, wide(User, 250)).View("wide").Selection()
	values := sel.AppendValues(nil, Inputs{User: fold(User, benchFacts(200, 20000)), Catalogue: benchCatalogue(20000), NowMillis: 731 * dayMillis})
	var dst []byte
	for b.Loop() {
		dst = AppendJSON(dst[:0], values)
	}
}

func BenchmarkAdd(b *testing.B) {
	for _, entity := range []Entity{User, Movie} {
		for _, n := range []int{200, 10000} {
			facts := benchFacts(n, 20000)
			b.Run(fmt.Sprintf("%s/facts=%d", entity, n), func(b *testing.B) {
				for b.Loop() {
					fold(entity, facts)
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*n), "ns/fact")
			})
		}
	}
}

func BenchmarkStateCodec(b *testing.B) {
	for _, entity := range []Entity{User, Movie} {
		for _, n := range []int{200, 10000} {
			data := fold(entity, benchFacts(n, 20000)).AppendTo(nil)
			b.Run(fmt.Sprintf("parse/%s/facts=%d", entity, n), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if _, err := ParseState(data); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(len(data))/float64(n), "B/fact")
			})
			s, _ := ParseState(data)
			b.Run(fmt.Sprintf("append/%s/facts=%d", entity, n), func(b *testing.B) {
				for b.Loop() {
					data = s.AppendTo(data[:0])
				}
			})
		}
	}
}

// One row per fact, as for training: 500 users of 200 facts each.
func BenchmarkHistorical(b *testing.B) {
	d := mustParse(b, DefaultYAML())
	sel, _ := d.Select([]string{"user_features", "movie_features"}, true)
	all := map[Entity]map[string][]Fact{User: {}, Movie: {}}
	var rows []Row
	for i, f := range benchFacts(100000, 5000) {
		user, movie := fmt.Sprint(i%500), f.Other
		all[User][user] = append(all[User][user], f)
		f.Other = user
		all[Movie][movie] = append(all[Movie][movie], f)
		rows = append(rows, Row{UserID: user, MovieID: movie, TimeMillis: f.TimeMillis})
	}
	j := &Join{Selection: sel, Catalogue: benchCatalogue(5000), Exclusive: true, Facts: func(e Entity, id string) iter.Seq2[Fact, error] { return source(all)(e, id) }}
	for b.Loop() {
		if _, err := j.Historical(rows); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*len(rows)), "µs/row")
}
