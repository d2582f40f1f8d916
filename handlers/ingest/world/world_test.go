package world

import (
	"cmp"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/projectionist/projectionist/events"
)

var end = time.Date(2026, 3, 1, 18, 30, 0, 0, time.UTC)

func build(t testing.TB, p Params) *World {
	t.Helper()
	if p.End.IsZero() {
		p.End = end
	}
	w, err := New(p)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func TestParams(t *testing.T) {
	for name, c := range map[string]struct {
		p    Params
		want string
	}{
		"no end":       {Params{}, "End is not set"},
		"start late":   {Params{Start: end, End: end}, "End to be later"},
		"start 1969":   {Params{Start: time.Unix(-1, 0), End: end}, "1970"},
		"no such span": {Params{Start: end.AddDate(-101, 0, 0).AddDate(60, 0, 0), End: end.AddDate(60, 0, 0)}, "hundred years"},
		"users":        {Params{Users: -1, End: end}, "Users is -1"},
		"movies":       {Params{Movies: moviesMax + 1, End: end}, "Movies is"},
		"all at once":  {Params{Users: -1, Events: -1}, "Events is -1"},
	} {
		if _, err := New(c.p); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func TestDefaultWorld(t *testing.T) {
	w := build(t, Params{Seed: 1})
	films := w.Movies()
	if len(films) != 1000 || w.Events() != 60_000 {
		t.Fatalf("%d films, %d events", len(films), w.Events())
	}
	titles, fresh := map[string]bool{}, 0
	byID := map[string]*Movie{}
	start := end.AddDate(0, 0, -180)
	for i := range films {
		m := &films[i]
		byID[m.ID] = m
		titles[m.Title] = true
		if m.ReleasedMillis > start.UnixMilli() {
			fresh++
		}
		if m.Source != "simulated" || m.ID != events.CanonicalMovie(m.ID) || m.Year != time.UnixMilli(m.ReleasedMillis).UTC().Year() || m.Year < 1930 ||
			len(m.Genres) == 0 || !strings.HasSuffix(m.Overview, ".") || m.ReleasedMillis > end.UnixMilli() {
			t.Fatalf("%+v", m)
		}
	}
	if len(titles) != 1000 || len(byID) != 1000 || fresh < 100 || fresh > 300 {
		t.Errorf("%d titles, %d ids, %d new films", len(titles), len(byID), fresh)
	}
	kinds, users, byHour, byWeekday := map[string]int{}, map[string]int{}, [24]int{}, [7]int{}
	owner, stars := map[string]string{}, map[float64]int{}
	n, last := 0, start.UnixMilli()
	for x := range w.Interactions() {
		n++
		kinds[x.Kind]++
		users[x.UserID]++
		at := time.UnixMilli(x.TimeMillis).UTC()
		byHour[at.Hour()]++
		byWeekday[at.Weekday()]++
		m := byID[x.MovieID]
		switch {
		case x.TimeMillis < last || x.TimeMillis > end.UnixMilli():
			t.Fatalf("event %d is at %v, after %v", n, at, time.UnixMilli(last).UTC())
		case m == nil || x.TimeMillis < m.ReleasedMillis:
			t.Fatalf("%+v before the release of %+v", x, m)
		case (x.Kind == "rating") != (x.Rating != 0) || x.Rating < 0 || x.Rating > events.RatingMax || x.Rating*2 != math.Trunc(x.Rating*2):
			t.Fatalf("%+v", x)
		case owner[x.SessionID] != "" && owner[x.SessionID] != x.UserID:
			t.Fatalf("session %s is of %s and %s", x.SessionID, owner[x.SessionID], x.UserID)
		}
		last = x.TimeMillis
		owner[x.SessionID] = x.UserID
		if x.Rating > 0 {
			stars[x.Rating]++
		}
	}
	t.Logf("kinds %v, stars %v, %d people, %d sessions", kinds, stars, len(users), len(owner))
	if n != 60_000 || len(kinds) != 7 || len(stars) != 10 || users["1"] == 0 || users["7"] == 0 || len(users) < 550 {
		t.Errorf("%d events of kinds %v, stars %v, %d people", n, kinds, stars, len(users))
	}
	if kinds["view"] < kinds["click"] || kinds["click"] < kinds["watch"] || kinds["watch"] < kinds["rating"] || kinds["rating"] < 2000 {
		t.Errorf("kinds %v", kinds)
	}
	if byHour[21] < 5*byHour[6] || byWeekday[time.Saturday] < byWeekday[time.Tuesday] {
		t.Errorf("by hour %v, by weekday %v", byHour, byWeekday)
	}
	if gap := end.UnixMilli() - last; gap > 3*slotMillis {
		t.Errorf("the last event is %d ms before the end", gap)
	}
	if per := float64(n) / float64(len(owner)); per < 3 || per > 30 {
		t.Errorf("%.1f events a session", per)
	}
}

func TestDeterminism(t *testing.T) {
	p := Params{Seed: 5, Users: 40, Movies: 60, Events: 5000}
	w := build(t, p)
	first, second := slices.Collect(w.Interactions()), slices.Collect(w.Interactions())
	if !slices.Equal(first, second) {
		t.Error("a second pass differs")
	}
	again := build(t, p)
	if !reflect.DeepEqual(again.Movies(), w.Movies()) || !slices.Equal(slices.Collect(again.Interactions()), first) {
		t.Error("a second world of the same seed differs")
	}
	p.Seed = 6
	if slices.Equal(slices.Collect(build(t, p).Interactions()), first) {
		t.Error("another seed makes the same world")
	}
	n := 0
	for range w.Interactions() {
		if n++; n == 7 {
			break
		}
	}
	if n != 7 {
		t.Errorf("stopped after %d", n)
	}
}

func TestEdges(t *testing.T) {
	for name, p := range map[string]Params{
		"one person":            {Users: 1},
		"one person, no pause":  {Users: 1, Events: 200_000},
		"one film":              {Movies: 1, Users: 50, Events: 20_000},
		"one of each":           {Movies: 1, Users: 1, Events: 1},
		"a few":                 {Movies: 3, Users: 2, Events: 37},
		"more films than words": {Movies: 20_000, Events: 100, Start: end.Add(-24 * time.Hour)},
		"a millisecond":         {Start: end.Add(-time.Millisecond), Events: 500, Users: 5},
		"an hour":               {Start: end.Add(-time.Hour), Events: 5000},
		"forty years":           {Start: end.AddDate(-40, 0, 0), Events: 2000, Movies: 50},
	} {
		t.Run(name, func(t *testing.T) {
			p.Seed = 3
			w := build(t, p)
			titles := map[string]bool{}
			for _, m := range w.Movies() {
				titles[m.Title] = true
			}
			if len(titles) != len(w.Movies()) {
				t.Errorf("%d titles for %d films", len(titles), len(w.Movies()))
			}
			n, last := 0, w.start
			for x := range w.Interactions() {
				if n++; x.TimeMillis < last || x.TimeMillis > w.end {
					t.Fatalf("event %d at %d, after %d, end %d", n, x.TimeMillis, last, w.end)
				}
				last = x.TimeMillis
			}
			if n != w.Events() {
				t.Errorf("%d events, want %d", n, w.Events())
			}
		})
	}
}

// TestLearnable plays the first 80 % of a world, ranks all films for everyone by four ways, and looks how
// many of the films that they click on in the rest are among the first ten. Taste itself, which no
// recommender can see, bounds what can be learnt; item co-occurrence shows that some of it can. Exposure
// is what popularity, all-time or decayed, can at best find out.
func TestLearnable(t *testing.T) {
	for seed := range uint64(2) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			w := build(t, Params{Seed: seed})
			r := newRun(w)
			films, people := len(w.movies), len(w.people)
			liked := make([][]int, people)
			popular := make([]float64, films)
			together := make([]float64, films*films)
			var tastes [][dims]float64
			type hits struct{ popular, exposed, together, taste, all int }
			var h hits
			var order [4][][]int // the first ten, per way and person
			n := 0
			r.each(func(a act) bool {
				n++
				if n <= w.Events()*8/10 {
					if a.kind == click {
						popular[a.movie]++
						for _, other := range liked[a.user][max(0, len(liked[a.user])-30):] {
							together[int(a.movie)*films+other]++
							together[other*films+int(a.movie)]++
						}
						liked[a.user] = append(liked[a.user], int(a.movie))
					}
					return true
				}
				if tastes == nil {
					for u := range r.people {
						tastes = append(tastes, r.people[u].taste)
						order[0] = append(order[0], topTen(films, func(m int) float64 { return popular[m] }, liked[u]))
						order[1] = append(order[1], topTen(films, func(m int) float64 {
							var s float64
							weight := 1.0 // the latest click counts most, because tastes drift
							for _, other := range slices.Backward(liked[u]) {
								s += weight * together[m*films+other] / math.Sqrt((popular[m]+5)*(popular[other]+5))
								weight *= .95
							}
							return s
						}, liked[u]))
						order[2] = append(order[2], topTen(films, func(m int) float64 {
							return math.Log(r.weights[m]+1e-9) + choosiness*dot(&tastes[u], &w.vectors[m])
						}, liked[u]))
						order[3] = append(order[3], topTen(films, func(m int) float64 { return r.weights[m] }, liked[u]))
					}
				}
				if a.kind != click || len(liked[a.user]) < 5 || slices.Contains(liked[a.user], int(a.movie)) {
					return true
				}
				h.all++
				for way, count := range []*int{&h.popular, &h.together, &h.taste, &h.exposed} {
					if slices.Contains(order[way][a.user], int(a.movie)) {
						*count++
					}
				}
				return true
			})
			t.Logf("hits at 10 of %d clicks: popularity %d, exposure %d, co-occurrence %d, taste %d", h.all, h.popular, h.exposed, h.together, h.taste)
			if h.all < 1000 || 10*h.together < 14*max(h.popular, h.exposed) || 10*h.taste < 11*h.together {
				t.Errorf("taste should be well above co-occurrence, and that well above popularity: %+v", h)
			}
		})
	}
}

func topTen(n int, score func(int) float64, except []int) []int {
	type scored struct {
		movie int
		score float64
	}
	var top []scored // by descending score, then by ascending number
	for m := range n {
		if slices.Contains(except, m) {
			continue
		}
		x := scored{m, score(m)}
		i, _ := slices.BinarySearchFunc(top, x, func(a, b scored) int {
			return cmp.Or(cmp.Compare(b.score, a.score), cmp.Compare(a.movie, b.movie))
		})
		if top = slices.Insert(top, i, x); len(top) > 10 {
			top = top[:10]
		}
	}
	var movies []int
	for _, x := range top {
		movies = append(movies, x.movie)
	}
	return movies
}

// TestDrift looks at tastes from inside, and for their trace in what can be seen: the genres of what
// people click on in the last fifth are closer to the fifth before than to the first.
func TestDrift(t *testing.T) {
	w := build(t, Params{Seed: 2})
	r := newRun(w)
	fifths := make([][5][dims]float64, len(w.people))
	n := 0
	r.each(func(a act) bool {
		if a.kind == click {
			for i, x := range w.vectors[a.movie] {
				fifths[a.user][n*5/w.Events()][i] += x
			}
		}
		n++
		return true
	})
	var moved, near, far float64
	people := 0
	for u := range w.people {
		moved += dot(&w.people[u].taste, &r.people[u].taste)
		f := &fifths[u]
		if f[0] == [dims]float64{} || f[3] == [dims]float64{} || f[4] == [dims]float64{} {
			continue
		}
		people++
		first, before, last := unit(f[0]), unit(f[3]), unit(f[4])
		near += dot(&before, &last)
		far += dot(&first, &last)
	}
	moved /= float64(len(w.people))
	near /= float64(people)
	far /= float64(people)
	t.Logf("cosine of tastes at start and end %.2f; of clicks in the last fifth with the one before %.2f, with the first %.2f (%d people)", moved, near, far, people)
	if moved > .85 || moved < .1 || near < far+.05 {
		t.Error("tastes do not drift as they should")
	}
	// Within a day little changes.
	p := w.people[0]
	before := p.taste
	r.drift(&p, p.tasteAt+dayMillis)
	if c := dot(&before, &p.taste); c < .95 {
		t.Errorf("cosine after a day: %.3f", c)
	}
}

// TestTrends: films that come out while people watch get their share at once, and lose it again.
func TestTrends(t *testing.T) {
	w := build(t, Params{Seed: 4})
	var young, old float64
	fresh := map[string]int64{}
	for _, m := range w.Movies() {
		if m.ReleasedMillis > w.start && m.ReleasedMillis < w.end-90*dayMillis {
			fresh[m.ID] = m.ReleasedMillis
		}
	}
	for x := range w.Interactions() {
		if released, ok := fresh[x.MovieID]; ok && x.Kind == "view" {
			switch age := x.TimeMillis - released; {
			case age < 20*dayMillis:
				young++
			case age > 60*dayMillis && age < 80*dayMillis:
				old++
			}
		}
	}
	if young < 1.5*old || old == 0 {
		t.Errorf("%.0f views in the first twenty days, %.0f in the fourth", young, old)
	}
}

func TestAlias(t *testing.T) {
	weights := []float64{0, 1, 0, 3, 6, 0}
	a := newAlias(weights)
	// The table is exact: the share of each index is what it keeps plus what others leave to it.
	share := make([]float64, len(weights))
	for i, k := range a.keep {
		share[i] += k / float64(len(weights))
		share[a.other[i]] += (1 - k) / float64(len(weights))
	}
	for i, x := range weights {
		if math.Abs(share[i]-x/10) > 1e-12 {
			t.Errorf("index %d: share %v, want %v", i, share[i], x/10)
		}
	}
}

func BenchmarkInteractions(b *testing.B) {
	for _, p := range []Params{{}, {Users: 50_000, Movies: 20_000, Events: 1_000_000}} {
		b.Run(fmt.Sprintf("%d users", p.Users), func(b *testing.B) {
			w := build(b, p)
			for b.Loop() {
				n := 0
				for range w.Interactions() {
					n++
				}
				if n != w.Events() {
					b.Fatal(n)
				}
			}
			b.ReportMetric(float64(w.Events())*float64(b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
}
