package features

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/projectionist/projectionist/internal/fault"
)

func at20130901(hour int) int64 { return time.Date(2013, 9, 1, hour, 0, 0, 0, time.UTC).UnixMilli() }

var films = map[string]*Attributes{
	"1": {Title: "The Long \"Night\"", Year: 2010, Genres: []string{"Drama", "War"}, TimeMillis: 5},
	"2": {Title: "Laughter", Year: 2013, Genres: []string{"Comedy"}, Language: "en", RuntimeMinutes: 90},
	"3": {Title: "Unsorted"},
}

func catalogue(id string) *Attributes { return films[id] }

func byName(values []Value) map[string]Value {
	m := map[string]Value{}
	for _, v := range values {
		m[v.Name] = v
	}
	return m
}

// Hand-computed: three ratings and a click on film 1, read at noon of 1 September 2013.
func TestMovieValues(t *testing.T) {
	d := mustParse(t, DefaultYAML())
	s := NewState(Movie)
	s.Add(Fact{TimeMillis: at20130901(0), Other: "u1", Kind: "rating", Rating: 5})                  // today
	s.Add(Fact{TimeMillis: at20130901(0) - 30*dayMillis, Other: "u2", Kind: "rating", Rating: 4})   // 30 days ago: outside 30d
	s.Add(Fact{TimeMillis: at20130901(0) - 60*dayMillis, Other: "u3", Kind: "rating", Rating: 2.5}) // 60 days ago
	s.Add(Fact{TimeMillis: at20130901(0) - 6*dayMillis, Other: "u3", Kind: "click"})                // within 7d
	s.Add(Fact{TimeMillis: at20130901(0) - 6*dayMillis - 1, Other: "u3", Kind: "skip"})             // outside 7d, no popularity
	got := byName(s.Values(d.View("movie_features"), "1", catalogue, at20130901(12)))

	floats := map[string]float64{
		"rating":          (35 + 11.5) / 13,
		"rating_mean":     11.5 / 3,
		"rating_mean_90d": (35 + 11.5) / 13,
		"popularity":      1 + math.Exp2(-1) + math.Exp2(-2) + math.Exp2(-6.0/30),
		"recency_days":    .5,
		"age_days":        60.5,
		"genre_drama":     .5,
		"genre_war":       .5,
		"genre_comedy":    0,
	}
	for name, want := range floats {
		if v := got[name]; v.Status != Present || math.Abs(v.Float-want) > 1e-12 {
			t.Errorf("%s = %v %s, want %v", name, v.Float, v.Status, want)
		}
	}
	ints := map[string]int64{"rating_count": 3, "interaction_count": 5, "interactions_7d": 2, "interactions_30d": 3, "year": 2010, "age_years": 3}
	for name, want := range ints {
		if v := got[name]; v.Status != Present || v.Int != want {
			t.Errorf("%s = %v %s, want %v", name, v.Int, v.Status, want)
		}
	}
	if v := got["genre"]; strings.Join(v.List, ",") != "Drama,War" || v.EventTimeMillis != 5 {
		t.Errorf("genre = %v at %d", v.List, v.EventTimeMillis)
	}
	if v := got["rating"]; v.EventTimeMillis != at20130901(0) {
		t.Errorf("rating is of %d, want the newest fact's time", v.EventTimeMillis)
	}
}

func TestUserValues(t *testing.T) {
	d := mustParse(t, DefaultYAML())
	s := NewState(User)
	day := func(n int64) int64 { return at20130901(0) - n*dayMillis }
	s.Add(Fact{TimeMillis: day(0), Other: "1", Kind: "rating", Rating: 5})
	s.Add(Fact{TimeMillis: day(1), Other: "1", Kind: "view"})
	s.Add(Fact{TimeMillis: day(1), Other: "2", Kind: "rating", Rating: 1})
	s.Add(Fact{TimeMillis: day(40), Other: "2", Kind: "skip"})  // no sign of preference
	s.Add(Fact{TimeMillis: day(40), Other: "3", Kind: "view"})  // a film without genres
	s.Add(Fact{TimeMillis: day(100), Other: "9", Kind: "view"}) // a film that is not in the catalogue
	got := byName(s.Values(d.View("user_features"), "", catalogue, at20130901(12)))
	floats := map[string]float64{
		"rating_mean": (17.5 + 6) / 7, "recency_days": .5,
		"genre_preference_drama": 2. / 5, "genre_preference_war": 2. / 5, "genre_preference_comedy": 1. / 5, "genre_preference_horror": 0,
		"genre_rating_drama": (10.5 + 5) / 4, "genre_rating_comedy": (10.5 + 1) / 4, "genre_rating_horror": 3.5,
	}
	for name, want := range floats {
		if v := got[name]; v.Status != Present || math.Abs(v.Float-want) > 1e-12 {
			t.Errorf("%s = %v %s, want %v", name, v.Float, v.Status, want)
		}
	}
	ints := map[string]int64{"account_age_days": 100, "interaction_count": 6, "rating_count": 2, "movie_count": 4,
		"activity_7d": 3, "activity_30d": 3, "activity_90d": 5, "active_days_30d": 2}
	for name, want := range ints {
		if v := got[name]; v.Status != Present || v.Int != want {
			t.Errorf("%s = %v %s, want %v", name, v.Int, v.Status, want)
		}
	}
	if v := got["genre_preference"]; v.Str != "Drama" { // ties with War, by name
		t.Errorf("genre_preference = %q", v.Str)
	}
	if v := got["genres_preferred"]; strings.Join(v.List, ",") != "Drama,War,Comedy" {
		t.Errorf("genres_preferred = %q", v.List)
	}
}

func TestStatuses(t *testing.T) {
	d := mustParse(t, DefaultYAML())
	movie, user := d.View("movie_features"), d.View("user_features")
	now := at20130901(12)

	for _, v := range append(NewState(Movie).Values(movie, "404", catalogue, now), NewState(User).Values(user, "", catalogue, now)...) {
		if v.Status != NotFound {
			t.Errorf("%s of nobody is %s", v.Name, v.Status)
		}
	}
	// In the catalogue, no facts.
	got := byName(NewState(Movie).Values(movie, "2", catalogue, now))
	for name, want := range map[string]Status{"rating": Present, "rating_count": Present, "rating_mean": NullValue,
		"recency_days": NullValue, "year": Present, "genre": Present, "popularity": Present} {
		if got[name].Status != want {
			t.Errorf("%s without facts is %s, want %s", name, got[name].Status, want)
		}
	}
	// Facts, not in the catalogue.
	s := fold(Movie, []Fact{{TimeMillis: now, Kind: "view"}})
	got = byName(s.Values(movie, "404", catalogue, now))
	for name, want := range map[string]Status{"interaction_count": Present, "year": NullValue, "genre": NullValue, "genre_war": NullValue, "age_years": NullValue} {
		if got[name].Status != want {
			t.Errorf("%s without attributes is %s, want %s", name, got[name].Status, want)
		}
	}
	if !strings.Contains(string(AppendJSON(nil, s.Values(movie, "404", catalogue, now))), `"year":null`) {
		t.Error("a missing value is not null")
	}
}

func TestTTL(t *testing.T) {
	d := mustParse(t, small) // m: ttl 90d
	last := at20130901(5)
	s := fold(Movie, []Fact{{TimeMillis: last, Kind: "view"}})
	for _, c := range []struct {
		now  int64
		want Status
	}{{last, Present}, {last + 90*dayMillis, Present}, {last + 90*dayMillis + 1, OutsideMaxAge}} {
		got := byName(s.Values(d.View("m"), "2", catalogue, c.now))
		if v := got["n"]; v.Status != c.want || v.Status != Present && v.Int != 0 {
			t.Errorf("n at %d is %s, want %s", c.now, v.Status, c.want)
		}
		if v := got["year"]; v.Status != Present || v.Int != 2013 {
			t.Errorf("an attribute is %s", v.Status)
		}
	}
}

// A later word of the catalogue changes the genre features, not the state.
func TestGenresFollowTheCatalogue(t *testing.T) {
	d := mustParse(t, DefaultYAML())
	s := fold(User, []Fact{{Other: "1", Kind: "view"}})
	for _, genres := range [][]string{{"Drama"}, {"Horror"}, {"Never Seen"}, {""}} {
		lookup := func(string) *Attributes { return &Attributes{Genres: genres} }
		got := byName(s.Values(d.View("user_features"), "", lookup, 0))
		if v := got["genre_preference"]; v.Status != Present || v.Str != genres[0] {
			t.Errorf("genre_preference = %q, want %q", v.Str, genres[0])
		}
		want := 0.0
		if genres[0] == "Horror" {
			want = 1
		}
		if v := got["genre_preference_horror"]; v.Float != want {
			t.Errorf("genre_preference_horror under %q = %v, want %v", genres, v.Float, want)
		}
	}
}

func TestSelectErrors(t *testing.T) {
	d := mustParse(t, small)
	for _, c := range []struct {
		refs []string
		code fault.Code
	}{{nil, fault.Invalid}, {[]string{"x:n"}, fault.NotFound}, {[]string{"m:x"}, fault.NotFound}, {[]string{"m:n", "u:n"}, fault.Conflict}, {[]string{"m:n", "m"}, fault.Conflict}} {
		if _, err := d.Select(c.refs, false); !fault.Is(err, c.code) {
			t.Errorf("%v: %v, want %s", c.refs, err, c.code)
		}
	}
	s, err := d.Select([]string{"u:n", "m:year", "m:n"}, true)
	if err != nil || strings.Join(s.Names(), ",") != "u__n,m__year,m__n" {
		t.Fatal(s.Names(), err)
	}
	user := fold(User, []Fact{{Kind: "view"}, {Kind: "view"}})
	movie := fold(Movie, []Fact{{Kind: "view"}})
	v := s.AppendValues(nil, Inputs{User: user, Movie: movie, MovieID: "1", Catalogue: catalogue})
	if v[0].Int != 2 || v[1].Int != 2010 || v[2].Int != 1 {
		t.Errorf("got %s", AppendJSON(nil, v))
	}
}

func TestAppendJSON(t *testing.T) {
	values := []Value{
		{Name: "a", Type: Float64, Float: .1}, {Name: "b", Type: Float64, Float: 1e-9}, {Name: "c", Type: Float64, Float: 3}, {Name: "g", Type: Float64, Float: -1e300},
		{Name: "d", Type: Int64, Int: -7}, {Name: "e", Type: String, Str: "q\"\\\n\x01\xffü\u2028"},
		{Name: "f", Type: StringList, List: []string{"Drama", "War"}}, {Name: "n", Type: StringList, Status: NullValue},
	}
	data := AppendJSON(nil, values)
	var got map[string]any
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatalf("%s: %v", data, err)
	}
	if got["a"] != .1 || got["b"] != 1e-9 || got["c"] != 3. || got["g"] != -1e300 || got["d"] != -7. || got["e"] != "q\"\\\n\x01\ufffdü\u2028" || got["n"] != nil {
		t.Errorf("%s", data)
	}
	if !strings.Contains(string(data), `"f":["Drama","War"],"n":null`) {
		t.Errorf("%s", data)
	}
}

func TestDecayWeight(t *testing.T) {
	for _, half := range []float64{.25, 1, 7, 30, 365, 36500} {
		d := newDecayTable(half)
		for _, age := range []int64{0, 1, 2, 29, 30, 255, 256, 257, 4000, 65535} {
			want := math.Exp2(-float64(age) / half)
			if got := d.weight(age); math.Abs(got-want) > 4e-16*(1+float64(age)/half)*want+1e-300 /* the exponent itself is rounded */ {
				t.Errorf("weight of %d days at half-life %v = %v, want %v", age, half, got, want)
			}
		}
		if d.weight(-1) != 1 {
			t.Error("an age below 0 does not count as 0")
		}
	}
}
