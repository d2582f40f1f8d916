package online

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/projectionist/projectionist/ml/signal"
)

func near(a, b float64) bool { return math.Abs(a-b) <= 1e-5*max(1, math.Abs(b)) }

func score(m *Model, user, item string, now int64, source Source) float64 {
	at, _ := m.Lookup(item)
	return float64(m.Score(nil, user, now, source, new(Scratch))[at])
}

// Users a: 1, 2, 3; b: 1, 2; c: 1.
func small() *Model {
	m := New()
	for _, e := range []event{
		liked("a", "1", 0), liked("a", "2", 1), liked("a", "3", 2),
		liked("b", "1", 0), liked("b", "2", 1), liked("c", "1", 0),
	} {
		e.addTo(m)
	}
	return m
}

func TestScoreByHand(t *testing.T) {
	m := small()
	// c has met 1 (3 events); 1→2 twice, 1→3 once.
	for item, want := range map[string]float64{
		"2": 2. / (3 + 20) / math.Pow(2+20, .25),
		"3": 1. / (3 + 20) / math.Pow(1+20, .25),
	} {
		if got := score(m, "c", item, 0, CoCounts); !near(got, want) {
			t.Errorf("co-count score of %s = %v, want %v", item, got, want)
		}
	}
	// b: 2→3 once at age 0, 1→3 once at age 1.
	if got, want := score(m, "b", "3", 0, CoCounts), (1./22+.9/23)/math.Pow(21, .25); !near(got, want) {
		t.Errorf("co-count score = %v, want %v", got, want)
	}
	if got := score(m, "stranger", "1", 0, Popularity); got != 3 {
		t.Errorf("popularity = %v, want 3", got)
	}
	if got := score(m, "stranger", "1", 0, Blend); got != 1 {
		t.Errorf("a stranger's best blend = %v, want 1", got)
	}
	if got := score(m, "c", "1", 0, Blend); !math.IsInf(got, -1) {
		t.Errorf("score of a seen item = %v, want -Inf", got)
	}
	event{"c", "3", 9, 9, signal.Default().Of("dislike", 0)}.addTo(m)
	if got := score(m, "c", "3", 0, Popularity); !math.IsInf(got, -1) {
		t.Errorf("score of a disliked item = %v, want -Inf", got)
	}
}

func TestDecayByHand(t *testing.T) {
	m := New()
	// 2000 events on day 0, one on day 3: for day 0, 2000 events have passed, two half-lives, but
	// only 3 days, one half-life.
	for k := range 2000 {
		liked(fmt.Sprint(k), "old", 0).addTo(m)
	}
	liked("u", "new", 3*dayMillis).addTo(m)
	for _, c := range []struct {
		item string
		day  int64
		want float64
	}{
		{"old", 3, 1000}, {"new", 3, 1},
		{"old", 100, 1000}, // nothing happened since
		{"old", 1, 2000},   // as of day 1
	} {
		if got := score(m, "", c.item, c.day*dayMillis, DecayedPopularity); !near(got, c.want) {
			t.Errorf("%s on day %d = %v, want %v", c.item, c.day, got, c.want)
		}
	}
	// Another 3 days and an event on: 6 days are two half-lives, 2001 events a bit more.
	liked("v", "new", 6*dayMillis).addTo(m)
	if got := score(m, "", "old", 6*dayMillis, DecayedPopularity); !near(got, 500) {
		t.Errorf("old on day 6 = %v, want 500", got)
	}
	// Where few events pass, days do not matter.
	if got, want := score(m, "", "new", 6*dayMillis, DecayedPopularity), 1+math.Exp2(-1./1000); !near(got, want) {
		t.Errorf("new on day 6 = %v, want %v", got, want)
	}
	// A kept scratch sees every change, also one on an old day.
	var s Scratch
	old, _ := m.Lookup("old")
	before := m.Score(nil, "", 6*dayMillis, DecayedPopularity, &s)[old]
	for k := range 500 {
		liked(fmt.Sprint("w", k), "new", 4*dayMillis).addTo(m)
	}
	after := m.Score(nil, "", 6*dayMillis, DecayedPopularity, &s)[old]
	fresh := m.Score(nil, "", 6*dayMillis, DecayedPopularity, new(Scratch))[old]
	if after != fresh || after != before { // days still rule: 2^-2 either way
		t.Errorf("kept scratch %v, new scratch %v, before %v", after, fresh, before)
	}
	liked("x", "new", 60*dayMillis).addTo(m)
	if got, fresh := m.Score(nil, "", 60*dayMillis, DecayedPopularity, &s)[old], m.Score(nil, "", 60*dayMillis, DecayedPopularity, new(Scratch))[old]; got != fresh || got >= after {
		t.Errorf("kept scratch %v, new scratch %v, before %v", got, fresh, after)
	}
}

// What a scratch has kept of the last call is what a new one computes, whatever came in between.
func TestKeptScratch(t *testing.T) {
	for seed := range uint64(4) {
		rng := rand.New(rand.NewPCG(seed, 8))
		m, kept := New(), new(Scratch)
		events := randomEvents(rng, 600)
		for len(events) > 0 {
			n := min(len(events), 1+rng.IntN(9))
			for _, e := range events[:n] {
				if e.addTo(m); rng.IntN(3) == 0 {
					e.item = fmt.Sprint("more-", rng.IntN(300))
					e.time = 70 * dayMillis // the newest day, whose events change no weight
					e.addTo(m)
				}
			}
			events = events[n:]
			if rng.IntN(20) == 0 { // more than is kept, on the newest day
				m.Score(nil, "u1", 70*dayMillis, Blend, kept)
				for k := range tickedKept + 1 {
					event{"u0", []string{"one", "another"}[min(k, 1)], 70 * dayMillis, rng.Uint64(), signal.Default().Of("like", 0)}.addTo(m)
				}
			}
			now := int64(70+rng.IntN(2)) * dayMillis
			for _, source := range []Source{DecayedPopularity, Blend} {
				got, want := m.Score(nil, "u1", now, source, kept), m.Score(nil, "u1", now, source, new(Scratch))
				for i := range want {
					if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
						t.Fatalf("seed %d: %s of %s is %v by a kept scratch, %v by a new one", seed, source, m.ItemID(i), got[i], want[i])
					}
				}
			}
		}
	}
}

func TestBrokenClocks(t *testing.T) {
	m := small()
	for k, time := range []int64{math.MinInt64, math.MaxInt64, -1, 253402300799000} {
		event{"x", fmt.Sprint(k), time, 1, signal.Default().Of("like", 0)}.addTo(m)
	}
	var s Scratch
	for _, now := range []int64{math.MinInt64, -1, 0, math.MaxInt64} {
		for _, x := range m.Score(nil, "a", now, Blend, &s) {
			if math.IsNaN(float64(x)) || math.IsInf(float64(x), 1) {
				t.Fatalf("score %v at %d", x, now)
			}
		}
	}
	again, err := rows(m).fetched()
	if err != nil {
		t.Fatal(err)
	}
	diffRows(t, rows(again), rows(m))
	if !slices.Equal(again.days, m.days) {
		t.Errorf("days are %v, want %v", again.days, m.days)
	}
	if dayOf(-1) != -1 || dayOf(0) != 0 || dayOf(dayMillis) != 1 || dayOf(-dayMillis) != -1 {
		t.Error("days do not start at midnight UTC")
	}
}

func TestExplainAddsUp(t *testing.T) {
	m := New()
	for _, e := range randomEvents(rand.New(rand.NewPCG(6, 6)), 300) {
		e.addTo(m)
	}
	liked("one", "film-1", 0).addTo(m)
	var s Scratch
	const now = 50 * dayMillis
	for _, user := range []string{"one", "u1", "stranger"} {
		dst := m.Score(nil, user, now, Blend, &s)
		for i, want := range dst {
			if want == Excluded {
				continue
			}
			sum := 0.0
			for _, r := range m.Explain(user, now, &s, m.ItemID(i))[0] {
				sum += float64(r.Score)
				if (r.ItemID == "") != (r.Source == DecayedPopularity) {
					t.Fatalf("reason %+v", r)
				}
			}
			if !near(sum, float64(want)) {
				t.Fatalf("%s, %s: reasons add up to %v, score %v", user, m.ItemID(i), sum, want)
			}
		}
	}
	all := small().Explain("b", 0, &s, "unknown", "3")
	got := all[1]
	// Two items of history: λ = .1 + .9·5/7; the most popular item has three times the events of 3.
	if len(got) != 3 || !near(float64(got[0].Score), (.1+.9*5/7)/3) || got[1].ItemID != "2" || got[2].ItemID != "1" {
		t.Errorf("reasons are %+v, want popularity .2476, 2, 1", got)
	}
	if all[0] != nil {
		t.Error("an unknown item has reasons")
	}
}

func TestSimilarByHand(t *testing.T) {
	m := small()
	got := m.Similar("1", 5)
	want := []Neighbour{
		{"2", float32(2 / math.Sqrt(3*2) * 2 / 12)},
		{"3", float32(1 / math.Sqrt(3*1) * 1 / 11)},
	}
	if len(got) != 2 || got[0] != want[0] || got[1] != want[1] {
		t.Errorf("similar to 1: %v, want %v", got, want)
	}
	// 3 only ever came last: its neighbours are found from the other side.
	if got := m.Similar("3", 1); len(got) != 1 || got[0].ItemID != "2" {
		t.Errorf("similar to 3: %v, want 2", got)
	}
	if m.Similar("unknown", 3) != nil || m.Similar("1", 0) != nil {
		t.Error("neighbours out of nothing")
	}
}

func TestScoreAllocatesNothing(t *testing.T) {
	m := small()
	var s Scratch
	dst := m.Score(nil, "b", 0, Blend, &s)
	if n := testing.AllocsPerRun(10, func() { dst = m.Score(dst, "b", 0, Blend, &s) }); n != 0 {
		t.Errorf("%v allocations, want 0", n)
	}
}

// Any mix is the sum of its sources, each divided by the greatest there is, and what explains a score adds up to it; Blend
// alone is Blend to the bit. Where co-counts say nothing of a person, decayed popularity takes their weight.
func TestMixAddsUp(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	m := New()
	for i := range 600 {
		liked(fmt.Sprint("u", rng.IntN(20)), fmt.Sprint("i", rng.IntN(30)), int64(i)*3_000_000).addTo(m)
	}
	now := int64(600 * 3_000_000)
	var s Scratch
	scores := func(user string, mix Mix) []float32 { return slices.Clone(m.ScoreMixAll(nil, user, now, mix, &s)) }
	for _, user := range []string{"u3", "u7", "stranger"} {
		if got, want := scores(user, Mix{Blend: 1}), m.ScoreAll(nil, user, now, Blend, new(Scratch)); !slices.Equal(got, want) || !slices.Equal(scores(user, Mix{}), want) {
			t.Errorf("%s: Blend alone is another", user)
		}
		alone := []Mix{{Popularity: 1}, {Decayed: 1}, {CoCounts: 1}, {Trend: 1}, {Blend: 1}}
		for range 20 {
			w := make([]float32, len(alone))
			for k := range w {
				w[k] = float32(rng.IntN(4))
			}
			w[4]++
			mix := Mix{w[0], w[1], w[2], w[3], w[4], 0}
			want := make([]float64, 30)
			for k, one := range alone {
				for j, v := range scores(user, one) {
					want[j] += float64(w[k] * v)
				}
			}
			got := scores(user, mix)
			for j, v := range got {
				if !near(float64(v), want[j]) {
					t.Fatalf("%s, %+v: item %d has %v; want %v", user, mix, j, v, want[j])
				}
				var sum float64
				for _, r := range m.ExplainScored(&s, m.ItemID(j))[0] {
					sum += float64(r.Score)
				}
				if !near(sum, float64(v)) {
					t.Fatalf("%s, %+v: reasons add up to %v of %v", user, mix, sum, v)
				}
			}
		}
	}
	if got, want := scores("stranger", Mix{CoCounts: 2, Trend: 1}), scores("stranger", Mix{Decayed: 3}); !slices.Equal(got, want) {
		t.Error("a stranger is not shown what is popular", got, want)
	}
}

// Popularity that is forgotten so many times as fast has each event weighed by that power; whoever scores by turns with another gets the same.
func TestMixForgets(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	m := New()
	for i := range 3000 {
		liked(fmt.Sprint("u", i), fmt.Sprint("i", rng.IntN(30)), int64(i)*dayMillis/40).addTo(m)
	}
	now := int64(3000) * dayMillis / 40
	var shared Scratch
	for _, forget := range []float32{.25, 1, 2, 8, 1, .5} {
		got := m.ScoreMixAll(nil, "stranger", now, Mix{Decayed: 1, Forget: forget}, &shared)
		if fresh := m.ScoreMixAll(nil, "stranger", now, Mix{Decayed: 1, Forget: forget}, new(Scratch)); !slices.Equal(got, fresh) {
			t.Errorf("%v: beside others the scores are others", forget)
		}
		want, most := make([]float64, 30), 0.
		for i := range want {
			for _, b := range m.items[i].buckets {
				newest := m.days[len(m.days)-1].day
				passed := 0.
				for _, d := range m.days {
					if d.day > b.day {
						passed += float64(d.count)
					}
				}
				want[i] += float64(b.count) * math.Exp2(-float64(forget)*min(passed/halfLifeEvents, float64(newest-b.day)/halfLifeDays))
			}
			most = max(most, want[i])
		}
		for i, v := range got {
			if !near(float64(v), want[i]/most) {
				t.Errorf("%v times as fast: item %d has %v; want %v", forget, i, v, want[i]/most)
			}
		}
	}
	if one, none := (Mix{Blend: 1, Forget: 1}), (Mix{}); one.Speed() != 1 || none.Speed() != 1 {
		t.Error("the usual speed is not 1")
	}
	a, b := m.ScoreMixAll(nil, "u7", now, Mix{Forget: 4}, &shared), m.ScoreMixAll(nil, "u7", now, Mix{Blend: 1, Forget: 4}, new(Scratch))
	if !slices.Equal(a, b) {
		t.Error("without weights it is not Blend alone")
	}
}
