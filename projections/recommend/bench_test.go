package recommend

import (
	"fmt"
	"strconv"
	"testing"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/ml/online"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
)

// A list in a world of 20,000 films, 4,000 people and 200,000 facts, with a model deployed.
func BenchmarkRecommend(b *testing.B) {
	w := newWorld(b)
	w.fill(20_000, 4_000, 200_000)
	w.deploy("als", w.train("als", map[string]string{"als.sweeps": "3", "holdout_events": "50"}))
	w.recommend("1", 10)
	ask := func(b *testing.B, k int, explain bool) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			res, err := w.service.Recommend(Request{UserID: strconv.Itoa(1 + i%4_000), K: k, NowMillis: now.UnixMilli(), Explain: explain})
			if err != nil || len(res.Items) != k {
				b.Fatal(res, err)
			}
		}
	}
	for _, k := range []int{10, 1000} {
		for _, explain := range []bool{false, true} {
			b.Run(fmt.Sprintf("k=%d/explain=%v", k, explain), func(b *testing.B) { ask(b, k, explain) })
		}
	}
	b.Run("100 people", func(b *testing.B) {
		b.ReportAllocs()
		users := make([]string, 100)
		for i := 0; b.Loop(); i++ {
			for k := range users {
				users[k] = strconv.Itoa(1 + (100*i+k)%4_000)
			}
			lists, err := w.service.RecommendEach(Version{}, users, Request{K: 10, NowMillis: now.UnixMilli()})
			if err != nil || len(lists) != len(users) {
				b.Fatal(lists, err)
			}
		}
	})
	b.Run("popular/k=10", func(b *testing.B) {
		for b.Loop() {
			if items, err := w.service.Popular(10); err != nil || len(items) != 10 {
				b.Fatal(items, err)
			}
		}
	})
	b.Run("judge", func(b *testing.B) {
		w.must(w.service.Hold())
		l := &projections.Learning{Input: &fold.Input{Event: &events.Event{Time: now}}, Act: &events.Interaction{MovieID: "17"}}
		fold.Of[*projections.Online](w.views).Read(func(m *online.Model) { l.Model = m })
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			l.Act.UserID = strconv.Itoa(1 + i%4_000)
			if _, ok := w.service.Judge(l); !ok {
				b.Fatal("nothing is at hand")
			}
		}
	})
	// One film is listed, and a list asked for.
	b.Run("after a new film", func(b *testing.B) {
		for i := 0; b.Loop(); i++ {
			b.StopTimer()
			w.list(fmt.Sprintf("new%d 2020 Drama", i))
			b.StartTimer()
			if _, err := w.service.Recommend(Request{UserID: "7", K: 10, NowMillis: now.UnixMilli()}); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// A list by the blend of all recipes beside one by als, in the same world as above: what is to be compared is measured in one run.
func BenchmarkBlend(b *testing.B) {
	w := newWorld(b)
	w.fill(20_000, 4_000, 200_000)
	for _, algorithm := range []string{"als", "blend"} {
		params := map[string]string{"als.sweeps": "3", "holdout_events": "50"}
		if algorithm == "blend" {
			params["ease.films"], params["nextitem.films"] = "800", "800"
		}
		w.deploy(algorithm, w.train(algorithm, params))
		for _, c := range []struct {
			name           string
			explain, again bool
		}{{"asked for nothing", false, false}, {"explained", true, false}, {"what was met too", false, true}} {
			b.Run(algorithm+"/"+c.name, func(b *testing.B) {
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					res, err := w.service.Recommend(Request{UserID: strconv.Itoa(1 + i%4_000), K: 10, NowMillis: now.UnixMilli(), Explain: c.explain, Again: c.again})
					if err != nil || len(res.Items) != 10 || res.ModelName != algorithm {
						b.Fatal(res, err)
					}
				}
			})
		}
	}
}
