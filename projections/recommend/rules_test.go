package recommend

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/ml/recipe/all"
)

// A list with rules is the ranking without the films that they leave out, as long as was asked for, by every recipe and in
// every form of the request.
func TestRulesLeaveNoGap(t *testing.T) {
	w := newWorld(t)
	w.fill(80, 30, 900)
	for _, id := range []string{"10", "11"} {
		w.dispatch(&commands.ListMovie{Dataset: "test", Movie: events.Movie{MovieID: id, Title: "Film " + id, Year: 1999, Genres: []string{"Sci-Fi"}, Language: "FR"}})
	}
	w.list("90 0 Drama", "91 1999")
	w.dispatch(&commands.HideMovie{MovieID: "20", Reason: "no licence"})
	w.dispatch(&commands.HideMovie{MovieID: "21", Reason: "no licence"})
	for _, r := range all.Recipes() {
		v := w.train(r.Name, nil)
		for _, ask := range []Request{{UserID: "3"}, {UserID: "nobody"}, {Films: []string{"1", "91"}}, {UserID: "4", Again: true}} {
			if len(ask.Films) > 0 && r.OfPeople {
				continue
			}
			ask.NowMillis = now.UnixMilli()
			list := func(k int, rules events.ListRules) *Result {
				t.Helper()
				ask := ask
				ask.K, ask.Rules = k, rules
				res, err := w.service.RecommendEach(Version{r.Name, v}, []string{ask.UserID}, ask)
				w.must(err)
				return res[0]
			}
			whole := list(500, events.ListRules{})
			if slices.Contains(whole.ids(), "20") || slices.Contains(whole.ids(), "21") {
				t.Errorf("%s shows a hidden film", r.Name)
			}
			for _, rules := range []events.ListRules{
				{Exclude: []string{"movie_007", "8", "no film", whole.Items[0].MovieID}}, {Genres: []string{"sci fi", " Horror"}}, {Genres: []string{"Western"}},
				{YearFrom: 1980}, {YearTo: 1960}, {YearFrom: 1970, YearTo: 1990, Genres: []string{"drama"}}, {Languages: []string{"fr", "de"}}, {Offset: 7}, {Offset: 400},
			} {
				checked, err := CheckRules(rules, 10)
				w.must(err)
				var want []string
				for _, it := range whole.Items {
					genre := len(rules.Genres) == 0 || slices.ContainsFunc(it.Genres, func(g string) bool {
						return slices.ContainsFunc(rules.Genres, func(wanted string) bool {
							return strings.EqualFold(strings.ReplaceAll(g, "-", " "), strings.TrimSpace(wanted))
						})
					})
					years := rules.YearFrom+rules.YearTo == 0 || it.Year > 0 && it.Year >= rules.YearFrom && (rules.YearTo == 0 || it.Year <= rules.YearTo)
					french := len(rules.Languages) == 0 || it.MovieID == "10" || it.MovieID == "11"
					if genre && years && french && !slices.Contains(checked.Exclude, it.MovieID) {
						want = append(want, it.MovieID)
					}
				}
				want = want[min(rules.Offset, len(want)):]
				want = want[:min(10, len(want))]
				got := list(10, rules)
				if !slices.Equal(got.ids(), want) {
					t.Errorf("%s, %+v: %v; want %v", r.Name, rules, got.ids(), want)
				}
				for i, it := range got.Items {
					if it.Position != rules.Offset+i+1 {
						t.Errorf("place %d has the position %d", i, it.Position)
					}
				}
			}
		}
	}
}

// Pages of one order, whatever it is made by, are together that order.
func TestPages(t *testing.T) {
	w := newWorld(t)
	w.fill(120, 30, 900)
	w.deploy("als", w.train("als", nil))
	for _, rules := range []events.ListRules{{}, {Diversity: .5}, {Fresh: .3}, {Diversity: 1, Fresh: 1, Genres: []string{"Drama", "Comedy"}}} {
		ask := Request{UserID: "3", K: KMax, NowMillis: now.UnixMilli(), Rules: rules, Explain: true}
		whole, err := w.service.Recommend(ask)
		w.must(err)
		var ids []string
		for at := 0; ; at += 7 {
			ask.K, ask.Rules.Offset = 7, at
			page, err := w.service.Recommend(ask)
			w.must(err)
			if len(page.Items) == 0 {
				break
			}
			ids = append(ids, page.ids()...)
			for i, it := range page.Items {
				if it.Score != whole.Items[at+i].Score || it.Position != at+i+1 {
					t.Fatalf("place %d: %+v", at+i, it)
				}
				var sum float64
				for _, why := range it.Because {
					sum += why.Score
				}
				if math.Abs(sum-it.Score) > 1e-6 {
					t.Fatalf("reasons of place %d add up to %v of %v", at+i, sum, it.Score)
				}
			}
		}
		if !slices.Equal(ids, whole.ids()) {
			t.Errorf("%+v: pages have %v\nwhole %v", rules, ids, whole.ids())
		}
		if sorted := slices.Sorted(slices.Values(ids)); len(slices.Compact(sorted)) != len(ids) || len(ids) < 20 {
			t.Errorf("%+v: %d places, %d films", rules, len(ids), len(slices.Compact(sorted)))
		}
	}
}

// The more diversity is asked for the more genres ten films have, and the first stays the first; the fresher is asked for the
// newer they are.
func TestDiversityAndFreshness(t *testing.T) {
	w := newWorld(t)
	w.fill(200, 30, 900)
	v := w.train("popularity", nil) // which has no vectors: films are alike as their genres are
	list := func(rules events.ListRules) *Result {
		res, err := w.service.RecommendBy("popularity", v, Request{UserID: "5", K: 10, NowMillis: now.UnixMilli(), Rules: rules})
		w.must(err)
		return res
	}
	alike := func(r *Result) (same int) {
		for i, a := range r.Items {
			for _, b := range r.Items[:i] {
				if slices.ContainsFunc(a.Genres, func(g string) bool { return slices.Contains(b.Genres, g) }) {
					same++
				}
			}
		}
		return same
	}
	years := func(r *Result) (sum int) {
		for _, it := range r.Items {
			sum += it.Year
		}
		return sum
	}
	plain, diverse := list(events.ListRules{}), list(events.ListRules{Diversity: .8})
	if alike(diverse) >= alike(plain) || diverse.Items[0].MovieID != plain.Items[0].MovieID || len(diverse.Items) != 10 {
		t.Errorf("pairs that share a genre: %d, with diversity %d", alike(plain), alike(diverse))
	}
	fresh := list(events.ListRules{Fresh: 1})
	if years(fresh) <= years(plain) || fmt.Sprint(plain.Rules, fresh.Rules.Fresh) != fmt.Sprint(events.ListRules{}, 1) {
		t.Errorf("years %d, with freshness %d; rules %+v", years(plain), years(fresh), fresh.Rules)
	}
	if again := list(events.ListRules{Diversity: .8}); !slices.Equal(again.ids(), diverse.ids()) {
		t.Error("asked again it is another list")
	}
}

// A hidden film is on no list of any kind, at once, and is there again when it is not hidden any more.
func TestHidden(t *testing.T) {
	w := newWorld(t)
	w.fill(40, 20, 500)
	w.deploy("als", w.train("als", nil))
	everywhere := func() (lists [][]string) {
		t.Helper()
		each, err := w.service.RecommendEach(Version{}, []string{"1", "nobody"}, Request{K: 40, NowMillis: now.UnixMilli(), Again: true, Current: true})
		w.must(err)
		popular, err := w.service.Popular(40)
		w.must(err)
		guest, err := w.service.Recommend(Request{Films: []string{"3"}, K: 40, NowMillis: now.UnixMilli()})
		w.must(err)
		for _, near := range []Version{{}, {"als", 1}} {
			like, err := w.service.Near(near, "1", 39)
			w.must(err)
			lists = append(lists, (&Result{Items: like}).ids())
		}
		return append(lists, each[0].ids(), each[1].ids(), guest.ids(), (&Result{Items: popular}).ids())
	}
	before := everywhere()
	w.dispatch(&commands.HideMovie{MovieID: "movie_005", Reason: "no licence"})
	for i, ids := range everywhere() {
		if want := slices.DeleteFunc(slices.Clone(before[i]), func(id string) bool { return id == "5" }); !slices.Equal(ids, want) {
			t.Errorf("list %d: %v\nwant %v", i, ids, want)
		}
	}
	w.list("5 1990 Horror") // what is said of it does not show it
	for i, ids := range everywhere() {
		if slices.Contains(ids, "5") {
			t.Errorf("list %d has it", i)
		}
	}
	w.dispatch(&commands.UnhideMovie{MovieID: "5"})
	for i, ids := range everywhere() {
		if slices.Contains(before[i], "5") != slices.Contains(ids, "5") {
			t.Errorf("list %d: %v", i, ids)
		}
	}
}

func TestCheckRules(t *testing.T) {
	many := make([]string, ExcludeMax+1)
	for name, c := range map[string]struct {
		rules events.ListRules
		k     int
	}{
		"exclude": {events.ListRules{Exclude: many}, 10}, "genre": {events.ListRules{Genres: []string{"Drama", " - "}}, 10},
		"language": {events.ListRules{Languages: []string{"english"}}, 10}, "year_from": {events.ListRules{YearFrom: 1492}, 10},
		"year_to": {events.ListRules{YearFrom: 2000, YearTo: 1999}, 10}, "diversity": {events.ListRules{Diversity: math.NaN()}, 10},
		"fresh": {events.ListRules{Fresh: -.1}, 10}, "offset": {events.ListRules{Offset: 991}, 10},
		"exclude, a control character": {events.ListRules{Exclude: []string{"a\x01b"}}, 10}, "genre, a tab": {events.ListRules{Genres: []string{"Sci\tFi"}}, 10},
		"genre, no UTF-8": {events.ListRules{Genres: []string{"Sci\xff"}}, 10},
	} {
		_, err := CheckRules(c.rules, c.k)
		name, _, _ = strings.Cut(name, ",")
		if !fault.Is(err, fault.Invalid) || !strings.HasPrefix(err.Error(), name+":") {
			t.Errorf("%s: %v", name, err)
		}
	}
	got, err := CheckRules(events.ListRules{Exclude: []string{"movie_007", "7"}, Genres: []string{" Drama ", "Drama"}, Languages: []string{"EN"}, Offset: 990}, 10)
	if want := (events.ListRules{Exclude: []string{"7"}, Genres: []string{"Drama"}, Languages: []string{"en"}, Offset: 990}); err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%+v, %v", got, err)
	}
}
