package features

import (
	"bytes"
	"cmp"
	"errors"
	"iter"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/projectionist/projectionist/events"
)

// naive computes a feature from the definition's words: one look at every fact, no state, no sharing.
func naive(f *Feature, entity Entity, facts []Fact, movie *Attributes, said []Said, lookup Catalogue, now int64) Value {
	v := Value{Name: f.Name, Type: f.Type, Status: Present}
	for _, x := range facts {
		v.EventTimeMillis = max(v.EventTimeMillis, x.TimeMillis)
	}
	if len(facts) == 0 && movie == nil && len(said) == 0 {
		return Value{Name: f.Name, Type: f.Type, Status: NotFound}
	}
	day := func(millis int64) int64 { return int64(math.Floor(float64(millis) / dayMillis)) }
	var count, rated, decayed, sum, first, last float64
	days, others, genres := map[int64]bool{}, map[string]bool{}, map[string]float64{}
	var mentions, genreRated, genreSum float64
	for _, x := range facts {
		if len(f.Kinds) > 0 && !slices.Contains(f.Kinds, x.Kind) {
			continue
		}
		age := day(now) - day(x.TimeMillis)
		if f.WindowDays > 0 && age >= f.WindowDays {
			continue
		}
		if count == 0 {
			first, last = float64(x.TimeMillis), float64(x.TimeMillis)
		}
		first, last = min(first, float64(x.TimeMillis)), max(last, float64(x.TimeMillis))
		count++
		if x.Rating > 0 {
			rated, sum = rated+1, sum+x.Rating
		}
		if f.HalfLifeDays > 0 {
			decayed += math.Exp2(-float64(age) / f.HalfLifeDays)
		}
		days[day(x.TimeMillis)], others[x.Other] = true, true
		if m := lookup(x.Other); entity == User && m != nil {
			for _, g := range m.Genres {
				genres[g]++
				mentions++
				if g == f.Genre && x.Rating > 0 {
					genreRated, genreSum = genreRated+1, genreSum+x.Rating
				}
			}
		}
	}
	mean := func(sum, n float64) (float64, bool) {
		return (f.PriorMean*f.PriorCount + sum) / (f.PriorCount + n), f.PriorCount+n > 0
	}
	x, ok := 0.0, true
	switch f.Aggregation {
	case "count":
		x = count
	case "rating_count":
		x = rated
	case "active_days":
		x = float64(len(days))
	case "distinct_movies":
		x = float64(len(others))
	case "mean":
		x, ok = mean(sum, rated)
	case "decayed_count":
		x = decayed
	case "recency":
		x, ok = (float64(now)-last)/dayMillis, count > 0
	case "age":
		x, ok = (float64(now)-first)/dayMillis, count > 0
	case "genre_mean":
		x, ok = mean(genreSum, genreRated)
	case "genre_share":
		if entity == User {
			x, ok = genres[f.Genre]/mentions, mentions > 0
		} else if ok = movie != nil && len(movie.Genres) > 0; ok && slices.Contains(movie.Genres, f.Genre) {
			x = 1 / float64(len(movie.Genres))
		}
	case "top_genre", "top_genres":
		var names []string
		for g := range genres {
			names = append(names, g)
		}
		slices.SortFunc(names, func(a, b string) int { return cmp.Or(cmp.Compare(genres[b], genres[a]), cmp.Compare(a, b)) })
		if ok = len(names) > 0; ok && f.Type == String {
			v.Str = names[0]
		} else if ok {
			v.List = names[:min(f.K, len(names))]
		}
	case "attribute", "years_since_release":
		for ok = false; entity == User && len(said) > 0 && !ok; said = said[:len(said)-1] { // the last word about the age
			x = float64(said[len(said)-1].Age)
			ok = x > 0
		}
		if ok || entity == User {
			break
		}
		if ok = movie != nil; ok {
			switch f.Of {
			case "title":
				v.Str, ok = movie.Title, movie.Title != ""
			case "genres":
				v.List, ok = movie.Genres, len(movie.Genres) > 0
			case "year":
				x, ok = float64(movie.Year), movie.Year > 0
			case "": // the test's facts are all of 1969 and 1970
				year := 1970.
				if now < 0 {
					year = 1969
				}
				x, ok = year-float64(movie.Year), movie.Year > 0
			}
		}
	}
	if !ok {
		v.Status = NullValue
	} else if f.Type == Int64 {
		v.Int = int64(math.Floor(x))
	} else if f.Type == Float64 {
		v.Float = x
	}
	return v
}

func source(all map[Entity]map[string][]Fact) func(Entity, string) iter.Seq2[Fact, error] {
	return func(e Entity, id string) iter.Seq2[Fact, error] {
		return func(yield func(Fact, error) bool) {
			for _, f := range all[e][id] {
				if !yield(f, nil) {
					return
				}
			}
		}
	}
}

func randomLog(r *rand.Rand, n int) map[Entity]map[string][]Fact {
	all := map[Entity]map[string][]Fact{User: {}, Movie: {}}
	for _, f := range randomFacts(r, n, 60) {
		user, movie := "u"+string(rune('0'+r.IntN(4))), f.Other
		several := []Fact{f}
		if f.Rating > 0 && r.IntN(3) == 0 { // corrected, once or twice
			several[0].Turn = 1
			for turn := 2; turn <= 2+r.IntN(2); turn++ {
				f.Rating, f.Turn = float64(1+r.IntN(10))/2, turn
				f.RecordedMillis += int64(r.IntN(20*24)-24) * 3600 * 1000
				several = append(several, f)
			}
			r.Shuffle(len(several), func(i, j int) { several[i], several[j] = several[j], several[i] })
		}
		for _, f := range several {
			all[User][user] = append(all[User][user], f)
			f.Other = user
			all[Movie][movie] = append(all[Movie][movie], f)
		}
	}
	for _, byID := range all {
		for _, facts := range byID {
			slices.SortStableFunc(facts, func(a, b Fact) int { return cmp.Compare(a.TimeMillis, b.TimeMillis) })
		}
	}
	return all
}

func randomCatalogue(r *rand.Rand) Catalogue {
	m := map[string]*Attributes{}
	names := []string{"Action", "Comedy", "Drama", "Horror", "War", "Made Up"}
	for c := 'a'; c < 'k'; c++ { // two of the twelve films are not in the catalogue
		a := &Attributes{Title: string(c), Year: 1950 + r.IntN(20)}
		for _, g := range names {
			if r.IntN(3) == 0 {
				a.Genres = append(a.Genres, g)
			}
		}
		m[string(c)] = a
	}
	return func(id string) *Attributes { return m[id] }
}

func randomPeople(r *rand.Rand) map[string][]Said {
	people := map[string][]Said{}
	for c := '0'; c < '6'; c++ { // one more than act
		id := "u" + string(c)
		for range r.IntN(4) {
			since := int64(events.Always)
			if r.IntN(3) > 0 {
				since = int64(r.IntN(70)-8) * dayMillis
			}
			people[id] = append(people[id], Said{SinceMillis: since, RecordedMillis: int64(r.IntN(80)+1) * dayMillis, User: events.User{Age: r.IntN(90)}})
		}
		slices.SortStableFunc(people[id], func(a, b Said) int { return cmp.Compare(a.SinceMillis, b.SinceMillis) })
	}
	return people
}

func same(a, b Value) bool {
	return a.Status == b.Status && a.Int == b.Int && a.Str == b.Str && slices.Equal(a.List, b.List) &&
		math.Abs(a.Float-b.Float) <= 1e-12*(1+math.Abs(b.Float))
}

// The join, in all its modes, gives what the naive reading of the definitions gives over exactly the
// facts a row may see; and so does a state folded from those facts and written and read back.
func TestHistoricalEqualsNaive(t *testing.T) {
	d := mustParse(t, DefaultYAML())
	sel, err := d.Select([]string{"user_features", "movie_features"}, true)
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(9, 10))
	seen, corrected := map[Status]int{}, 0
	for round := range 60 {
		all, lookup, people := randomLog(r, 20+r.IntN(200)), randomCatalogue(r), randomPeople(r)
		var rows []Row
		for range 25 {
			rows = append(rows, Row{UserID: "u" + string(rune('0'+r.IntN(7))), MovieID: string(rune('a' + r.IntN(13))),
				TimeMillis: int64(r.IntN(70*24))*3600*1000 - 8*dayMillis})
		}
		j := &Join{Selection: sel, Facts: source(all), Catalogue: lookup, People: func(id string) []Said { return people[id] }, KnownAtRow: round%4 == 1, Exclusive: round%3 == 1}
		if round%2 == 0 {
			j.KnownAtMillis = int64(r.IntN(80)+1) * dayMillis
		}
		columns, err := j.Historical(rows)
		if err != nil {
			t.Fatal(err)
		}
		for i, row := range rows {
			c := 0
			for _, v := range []*View{d.View("user_features"), d.View("movie_features")} {
				var visible []Fact
				for _, f := range all[v.Entity][row.id(v.Entity)] {
					if f.TimeMillis > row.TimeMillis || j.Exclusive && f.TimeMillis == row.TimeMillis ||
						j.KnownAtMillis != 0 && f.RecordedMillis > j.KnownAtMillis || j.KnownAtRow && f.RecordedMillis > row.TimeMillis {
						continue
					}
					visible = append(visible, f)
				}
				all := slices.Clone(visible)
				visible = slices.DeleteFunc(visible, func(f Fact) bool {
					return f.Turn > 0 && slices.ContainsFunc(all, func(g Fact) bool {
						return g.TimeMillis == f.TimeMillis && g.Other == f.Other && g.Kind == f.Kind && g.Turn > f.Turn
					})
				})
				corrected += len(all) - len(visible)
				var movie *Attributes
				var said []Said
				if v.Entity == Movie {
					movie = lookup(row.MovieID)
				} else {
					for _, s := range people[row.UserID] {
						if s.SinceMillis > row.TimeMillis || j.Exclusive && s.SinceMillis == row.TimeMillis ||
							j.KnownAtMillis != 0 && s.RecordedMillis > j.KnownAtMillis || j.KnownAtRow && s.RecordedMillis > row.TimeMillis {
							continue
						}
						said = append(said, s)
					}
				}
				r.Shuffle(len(visible), func(i, j int) { visible[i], visible[j] = visible[j], visible[i] })
				state, err := ParseState(fold(v.Entity, visible).AppendTo(nil))
				if err != nil {
					t.Fatal(err)
				}
				online := v.Selection().AppendValues(nil, Inputs{User: state, Movie: state, UserID: row.UserID, MovieID: row.MovieID, Catalogue: lookup,
					People: func(string) []Said { return said }, NowMillis: row.TimeMillis})
				for k := range v.Features {
					got, want := columns[c].Value(i), naive(&v.Features[k], v.Entity, visible, movie, said, lookup, row.TimeMillis)
					if !same(got, want) {
						t.Fatalf("round %d, row %d, %s: joined %+v, naive %+v, of %d facts", round, i, columns[c].Name, got, want, len(visible))
					}
					online[k].Name = got.Name
					if a, b := AppendJSON(nil, []Value{online[k]}), AppendJSON(nil, []Value{got}); !bytes.Equal(a, b) || online[k].EventTimeMillis != got.EventTimeMillis {
						t.Fatalf("round %d, row %d: online %s, joined %s", round, i, a, b)
					}
					seen[got.Status]++
					c++
				}
			}
		}
	}
	if corrected < 1000 {
		t.Errorf("%d facts of rows were corrected: the test's data does not try it", corrected)
	}
	for _, s := range []Status{Present, NullValue, NotFound} {
		if seen[s] < 1000 {
			t.Errorf("%s was seen %d times only: the test's data does not try it", s, seen[s])
		}
	}
}

func bytesOf(t *testing.T, j *Join, rows []Row) (out [][]byte) {
	t.Helper()
	columns, err := j.Historical(rows)
	if err != nil {
		t.Fatal(err)
	}
	for i := range rows {
		var values []Value
		for c := range columns {
			values = append(values, columns[c].Value(i))
		}
		out = append(out, AppendJSON(nil, values))
	}
	return out
}

// Whatever happens after a row's time leaves no trace in it; and what becomes known late leaves none
// in what was known before.
func TestNoLeak(t *testing.T) {
	d := mustParse(t, DefaultYAML())
	sel, _ := d.Select([]string{"user_features", "movie_features"}, true)
	r := rand.New(rand.NewPCG(11, 12))
	all, lookup, people := randomLog(r, 300), randomCatalogue(r), map[string][]Said{"u0": {{RecordedMillis: 1, User: events.User{Age: 20}}}}
	const at, known = 30 * dayMillis, 50 * dayMillis
	rows := []Row{{"u0", "a", at}, {"u1", "b", at}, {"u2", "c", at - 5*dayMillis}, {"u3", "d", at - 1}}
	j := &Join{Selection: sel, Facts: source(all), Catalogue: lookup, People: func(id string) []Said { return people[id] }, KnownAtMillis: known}
	want := bytesOf(t, j, rows)
	people["u0"] = append(people["u0"], Said{SinceMillis: 2, RecordedMillis: known + 1, User: events.User{Age: 30}}, Said{SinceMillis: at + 1, RecordedMillis: 2, User: events.User{Age: 40}})
	people["u1"] = []Said{{SinceMillis: events.Always, RecordedMillis: known + 1, User: events.User{Age: 50}}}

	poisoned := map[Entity]map[string][]Fact{}
	for e, byID := range all {
		poisoned[e] = map[string][]Fact{}
		for id, facts := range byID {
			var list []Fact
			for i, f := range facts {
				if f.TimeMillis > at { // the future, turned upside down
					f.Rating, f.Kind = 5-f.Rating/2, "like"
				}
				list = append(list, f)
				if i%3 == 0 { // news of the past that came too late
					list = append(list, Fact{TimeMillis: f.TimeMillis, RecordedMillis: known + 1, Other: f.Other, Kind: "rating", Rating: 5})
				}
			}
			poisoned[e][id] = append(list, Fact{TimeMillis: 90 * dayMillis, Other: "x", Kind: "rating", Rating: 5})
		}
	}
	j.Facts = source(poisoned)
	for i, got := range bytesOf(t, j, rows) {
		if !bytes.Equal(got, want[i]) {
			t.Errorf("row %d changed:\n%s\n%s", i, want[i], got)
		}
	}
	// The test would see a leak: with the late facts known, rows do change.
	j.KnownAtMillis = 0
	if bytes.Equal(bytes.Join(bytesOf(t, j, rows), nil), bytes.Join(want, nil)) {
		t.Error("the late facts change nothing even where they are allowed")
	}
}

// A training row that is a rating must not contain that rating.
func TestExclusive(t *testing.T) {
	d := mustParse(t, DefaultYAML())
	sel, _ := d.Select([]string{"user_features:rating_count"}, false)
	all := map[Entity]map[string][]Fact{User: {"u": {{TimeMillis: 10, Kind: "rating", Rating: 1}, {TimeMillis: 20, Kind: "rating", Rating: 5}}}}
	rows := []Row{{UserID: "u", TimeMillis: 20}, {UserID: "u", TimeMillis: 21}, {UserID: "u", TimeMillis: 10}}
	for exclusive, want := range map[bool]string{false: `{"rating_count":2}{"rating_count":2}{"rating_count":1}`, true: `{"rating_count":1}{"rating_count":2}{"rating_count":null}`} {
		j := &Join{Selection: sel, Facts: source(all), Exclusive: exclusive}
		if got := string(bytes.Join(bytesOf(t, j, rows), nil)); got != want {
			t.Errorf("exclusive %v: %s, want %s", exclusive, got, want)
		}
	}
}

func TestHistoricalErrors(t *testing.T) {
	d := mustParse(t, DefaultYAML())
	sel, _ := d.Select([]string{"user_features:rating_count"}, false)
	unordered := map[Entity]map[string][]Fact{User: {"u": {{TimeMillis: 2}, {TimeMillis: 1}}}}
	j := &Join{Selection: sel, Facts: source(unordered)}
	if _, err := j.Historical([]Row{{UserID: "u", TimeMillis: 5}}); err == nil || !strings.Contains(err.Error(), "user u are not in the order") {
		t.Errorf("unordered facts: %v", err)
	}
	if columns, err := j.Historical([]Row{{MovieID: "1"}}); err != nil || columns[0].Statuses[0] != NotFound {
		t.Errorf("no id: %v, %v", columns, err)
	}
	broken := errors.New("disk")
	for _, atRow := range []bool{false, true} {
		j = &Join{Selection: sel, KnownAtRow: atRow, Facts: func(Entity, string) iter.Seq2[Fact, error] {
			return func(yield func(Fact, error) bool) { yield(Fact{}, broken) }
		}}
		if _, err := j.Historical([]Row{{UserID: "u"}}); !errors.Is(err, broken) {
			t.Errorf("a failing source: %v", err)
		}
	}
	if columns, err := j.Historical(nil); err != nil || len(columns) != 1 {
		t.Errorf("no rows: %v", err)
	}
}
