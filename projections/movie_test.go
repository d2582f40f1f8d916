package projections_test

import (
	"fmt"
	"testing"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/projections/fold/foldtest"
)

func movieScript() *foldtest.Script {
	s := foldtest.NewScript()
	list := func(day int, dataset string, m events.Movie) {
		s.Commit("movie/"+events.CanonicalMovie(m.MovieID), day, day, &events.MovieListed{Movie: m, Dataset: dataset})
	}
	list(0, "ml", events.Movie{MovieID: "1", Title: "Star Wars", Year: 1977, Genres: []string{"Sci-Fi"}, IMDbID: "tt0076759", TMDBID: "11"})
	list(0, "ml", events.Movie{MovieID: "2", Title: "Stardust, a Star's Story", Genres: []string{"Drama"}})
	list(0, "ml", events.Movie{MovieID: "3", Title: "Le Fabuleux Destin d'Amélie Poulain", Genres: []string{"Drama", "Romance"}})
	list(0, "simulated", events.Movie{MovieID: "s1", Title: "The Invented", Genres: []string{"sci fi"}})
	s.Commit("movie/1", 2, 3, &events.MovieFetched{RawSHA256: "aa", Movie: events.Movie{MovieID: "1", Title: "Star Wars: A New Hope", Overview: "Long ago", VoteCount: 9}})
	list(4, "tweets", events.Movie{MovieID: "0001", Title: "Star Wars (tweets)", Year: 1978, Language: "en"})
	return s
}

func ids(movies []projections.Movie) (out []string) {
	for _, m := range movies {
		out = append(out, m.MovieID)
	}
	return out
}

func TestCatalogueMerges(t *testing.T) {
	c := foldtest.Opened(t, projections.NewCatalogue(), movieScript().In)
	m := found[projections.Movie](t)(c.Movie("movie_001"))
	equal(t, "merged", m.Movie, events.Movie{MovieID: "1", Title: "Star Wars: A New Hope", Year: 1978, Genres: []string{"Sci-Fi"},
		IMDbID: "tt0076759", TMDBID: "11", Overview: "Long ago", Language: "en", VoteCount: 9})
	equal(t, "as listed", m.Listed.Title, "Star Wars (tweets)")
	equal(t, "data sets", m.Datasets, []string{"ml", "tweets"})
	equal(t, "stamp", m.Stamp, fold.Stamp{Revision: 2, Offset: 5, CreatedMillis: foldtest.Day(0), UpdatedMillis: foldtest.Day(4), RecordedMillis: foldtest.Day(4)})
	equal(t, "simulated", []bool{m.Simulated, found[projections.Movie](t)(c.Movie("s1")).Simulated}, []bool{false, true})
	equal(t, "count", must[int64](t)(c.Count()), 4)
	if _, ok, err := c.Movie("99"); ok || err != nil {
		t.Errorf("an unknown film: %v, %v", ok, err)
	}
}

func TestCatalogueChanged(t *testing.T) {
	c := foldtest.Opened(t, projections.NewCatalogue(), movieScript().In)
	for after, want := range map[int64][]projections.Changed{
		-1: {{1, "2"}, {2, "3"}, {3, "s1"}, {5, "1"}}, // film 1 was listed at 0 and fetched at 4
		0:  {{1, "2"}, {2, "3"}, {3, "s1"}, {5, "1"}},
		3:  {{5, "1"}},
		5:  nil,
	} {
		var got []projections.Changed
		for f, err := range c.Changed(after) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, f)
		}
		equal(t, "changed after "+fmt.Sprint(after), got, want)
	}
}

func TestCatalogueFinds(t *testing.T) {
	c := foldtest.Opened(t, projections.NewCatalogue(), movieScript().In)
	for _, imdb := range []string{"tt0076759", "0076759", "76759"} {
		equal(t, "by IMDb id "+imdb, found[projections.Movie](t)(c.ByIMDb(imdb)).MovieID, "1")
	}
	equal(t, "by TMDB id", found[projections.Movie](t)(c.ByTMDB("11")).MovieID, "1")
	if _, ok, err := c.ByTMDB("1"); ok || err != nil {
		t.Errorf("TMDB id 1: %v, %v", ok, err)
	}
	for text, want := range map[string][]string{
		"star": {"2", "1"}, "STAR WARS": {"1"}, "wars star": {"1"}, "hope": {"1"}, "tweets": nil, "amelie": {"3"}, "d'amélie": {"3"},
		"stardust star": {"2"}, "stars": {"2"}, "xyz": nil, "st sto": {"2"},
	} {
		got := foldtest.Pages(t, 1, func(q fold.PageQuery) (fold.Page[projections.Movie], error) { return c.Search(text, q) })
		equalSet(t, "search "+text, ids(got), want)
	}
	if _, err := c.Search(" - ", fold.PageQuery{}); !fault.Is(err, fault.Invalid) {
		t.Errorf("search for nothing: %v", err)
	}
	list := func(q fold.PageQuery) (fold.Page[projections.Movie], error) { return c.List(q) }
	equal(t, "by title", ids(foldtest.Pages(t, 2, list)), []string{"3", "1", "2", "s1"})
	genre := func(g string) []string {
		return ids(foldtest.Pages(t, 1, func(q fold.PageQuery) (fold.Page[projections.Movie], error) { return c.ByGenre(g, q) }))
	}
	equal(t, "genre", genre("drama"), []string{"3", "2"})
	equal(t, "genre however spelled", genre("Sci-fi"), []string{"1", "s1"})
	equal(t, "all", ids(collect(t, c.All())), []string{"1", "2", "3", "s1"})
}

func equalSet(t *testing.T, what string, got, want []string) {
	t.Helper()
	count := map[string]int{}
	for _, g := range got {
		count[g]++
	}
	for _, w := range want {
		count[w]--
	}
	for id, n := range count {
		if n != 0 {
			t.Errorf("%s: got %v, want %v (%s)", what, got, want, id)
		}
	}
}

func TestFoldMovie(t *testing.T) {
	s := movieScript()
	equal(t, "as of day 1", found[projections.Movie](t)(projections.FoldMovie(s.Stream("movie/1"), fold.At{EventMillis: foldtest.Day(1)})).Title, "Star Wars")
	equal(t, "happened by day 2, known by day 2", found[projections.Movie](t)(projections.FoldMovie(s.Stream("movie/1"), fold.At{EventMillis: foldtest.Day(2), RecordedMillis: foldtest.Day(2)})).Title, "Star Wars")
	equal(t, "happened by day 2", found[projections.Movie](t)(projections.FoldMovie(s.Stream("movie/1"), fold.At{EventMillis: foldtest.Day(2)})).Title, "Star Wars: A New Hope")
	if _, ok, err := projections.FoldMovie(s.Stream("movie/1"), fold.At{EventMillis: foldtest.Day(-1)}); ok || err != nil {
		t.Errorf("before it was listed: %v, %v", ok, err)
	}
}

// TestFoldEqualsView: the fold of each stream without a limit is the document the view has.
func TestFoldEqualsView(t *testing.T) {
	s := movieScript()
	c := foldtest.Opened(t, projections.NewCatalogue(), s.In)
	for _, id := range []string{"2", "3", "s1"} {
		equal(t, id, found[projections.Movie](t)(projections.FoldMovie(s.Stream("movie/"+id), fold.At{})), found[projections.Movie](t)(c.Movie(id)))
	}
	m := modelScript()
	r := foldtest.Opened(t, projections.NewRegistry(), m.In)
	equal(t, "als", found[projections.Model](t)(projections.FoldModel(m.Stream("model/als"), fold.At{})), found[projections.Model](t)(r.Model("als")))
}
