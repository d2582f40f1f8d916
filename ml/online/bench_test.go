package online

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"sort"
	"sync"
	"testing"

	"github.com/projectionist/projectionist/ml/signal"
)

// simulated is a stream of n ratings shaped like MovieLens 1M: 6,040 people, 3,700 films, activity
// and popularity log-normal, a third of the people active at a time, ratings mostly 3 to 5. Films
// are drawn independently of taste, which spreads co-counts over more pairs than real people do.
var simulated = sync.OnceValue(func() []event {
	const n, people, films = 1_000_000, 6040, 3700
	rng := rand.New(rand.NewPCG(1, 1))
	film := cumulative(rng, films, 1.5)
	person := cumulative(rng, people, 1)
	events := make([]event, n)
	for k := range events {
		u := (draw(rng, person)/3 + k*(people*2/3)/n) % people
		events[k] = event{
			user: fmt.Sprint(u), item: fmt.Sprint(1 + draw(rng, film)),
			time: 956_700_000_000 + int64(k)*90_000, id: rng.Uint64(),
			signal: signal.Default().Of("rating", min(5, max(1, math.Round(3.6+1.1*rng.NormFloat64())))),
		}
	}
	return events
})

func cumulative(rng *rand.Rand, n int, sigma float64) []float64 {
	sum, out := 0.0, make([]float64, n)
	for i := range out {
		sum += math.Exp(sigma * rng.NormFloat64())
		out[i] = sum
	}
	return out
}

func draw(rng *rand.Rand, cumulative []float64) int {
	return sort.SearchFloat64s(cumulative, rng.Float64()*cumulative[len(cumulative)-1])
}

var simulatedModel = sync.OnceValue(func() *Model {
	m := New()
	for _, e := range simulated() {
		e.addTo(m)
	}
	return m
})

func BenchmarkAdd(b *testing.B) {
	events := simulated()
	b.Run("in-order", func(b *testing.B) {
		m := New()
		for k := 0; b.Loop(); k++ {
			if k == len(events) {
				b.StopTimer()
				k, m = 0, New()
				b.StartTimer()
			}
			events[k].addTo(m)
		}
	})
	b.Run("rated", func(b *testing.B) {
		m := New()
		for k := 0; b.Loop(); k++ {
			if k == len(events) {
				b.StopTimer()
				k, m = 0, New()
				b.StartTimer()
			}
			events[k].rateIn(m)
		}
	})
	b.Run("shuffled", func(b *testing.B) {
		shuffled := append([]event(nil), events...)
		rand.New(rand.NewPCG(2, 2)).Shuffle(len(events), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		m := New()
		for k := 0; b.Loop(); k++ {
			if k == len(events) {
				b.StopTimer()
				k, m = 0, New()
				b.StartTimer()
			}
			shuffled[k].addTo(m)
		}
	})
}

func BenchmarkScore(b *testing.B) {
	m := simulatedModel()
	users := slices.Collect(m.Users())
	now := m.users[users[0]].counted[0].time + 2000*dayMillis
	for _, source := range []Source{Popularity, DecayedPopularity, CoCounts, Blend} {
		b.Run(source.String(), func(b *testing.B) {
			var s Scratch
			var dst []float32
			for k := 0; b.Loop(); k++ {
				dst = m.Score(dst, users[k%len(users)], now, source, &s)
			}
		})
	}
}

func BenchmarkSimilar(b *testing.B) {
	m := simulatedModel()
	for k := 0; b.Loop(); k++ {
		m.Similar(m.items[k%len(m.items)].id, 10)
	}
}

func BenchmarkEncode(b *testing.B) {
	m := simulatedModel()
	users, items := slices.Collect(m.Users()), slices.Collect(m.Items())
	var dst []byte
	size := 0
	for b.Loop() {
		size = 0
		encode := func(t Table, ids []string) {
			for _, id := range ids {
				dst = m.Encode(dst[:0], t, id)
				size += len(dst)
			}
		}
		encode(UserRows, users)
		encode(ItemRows, items)
		encode(NextRows, items)
	}
	b.ReportMetric(float64(size)/float64(len(simulated())), "bytes/event")
}

func BenchmarkRestore(b *testing.B) {
	store := rows(simulatedModel())
	users := slices.Collect(simulatedModel().Users())
	b.Run("opened", func(b *testing.B) {
		for b.Loop() {
			if _, err := store.open(); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("for one person", func(b *testing.B) {
		m, err := store.open()
		if err != nil {
			b.Fatal(err)
		}
		for k := 0; b.Loop(); k++ {
			if err := m.Fetch(users[k%len(users)]); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("whole", func(b *testing.B) {
		for b.Loop() {
			if _, err := store.fetched(); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// rateIn is addTo for one that is recorded in a partition and may be corrected, as the view has it.
func (e event) rateIn(m *Model) { m.Rate(e.user, e.item, e.time, e.id, e.signal, "rating", 1) }

// BenchmarkMemory grows a model event by event, as the import does: by Add and by Rate.
func BenchmarkMemory(b *testing.B) {
	events := simulated()
	for name, add := range map[string]func(event, *Model){"added": func(e event, m *Model) { e.addTo(m) }, "rated": event.rateIn} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				var before, after runtime.MemStats
				runtime.GC()
				runtime.ReadMemStats(&before)
				m := New()
				for _, e := range events {
					add(e, m)
				}
				runtime.GC()
				runtime.ReadMemStats(&after)
				b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/float64(len(events)), "heap-bytes/event")
				runtime.KeepAlive(m)
			}
		})
	}
}
