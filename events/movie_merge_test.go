package events_test

import (
	"reflect"
	"testing"

	"github.com/projectionist/projectionist/events"
)

func TestFilm(t *testing.T) {
	listed := &events.MovieListed{Movie: events.Movie{MovieID: "movie_001", Title: "Heat", Year: 1995, Genres: []string{"Crime"}, IMDbID: "tt0113277"}}
	fetched := &events.MovieFetched{Movie: events.Movie{MovieID: "1", Title: "Heat (1995)", Overview: "Long", VoteCount: 9}}
	again := &events.MovieListed{Movie: events.Movie{MovieID: "1", Title: "HEAT", Genres: []string{"Drama"}}}
	merged := func(title, genre string) events.Movie {
		return events.Movie{MovieID: "1", Title: title, Year: 1995, Genres: []string{genre}, IMDbID: "tt0113277", Overview: "Long", VoteCount: 9}
	}
	for _, c := range []struct {
		name string
		said []events.Data
		want events.Movie
	}{
		{"nobody", nil, events.Movie{}},
		{"listed", []events.Data{listed}, events.Movie{MovieID: "1", Title: "Heat", Year: 1995, Genres: []string{"Crime"}, IMDbID: "tt0113277"}},
		{"fetched", []events.Data{fetched}, events.Movie{MovieID: "1", Title: "Heat (1995)", Overview: "Long", VoteCount: 9}},
		{"details stand over a listing", []events.Data{listed, fetched}, merged("Heat (1995)", "Crime")},
		{"in either order", []events.Data{fetched, listed}, merged("Heat (1995)", "Crime")},
		{"a listing's last word", []events.Data{listed, fetched, again}, merged("Heat (1995)", "Drama")},
		{"and what it does not say", []events.Data{listed, again}, events.Movie{MovieID: "1", Title: "HEAT", Year: 1995, Genres: []string{"Drama"}, IMDbID: "tt0113277"}},
		{"another event", []events.Data{listed, &events.ImportFailed{}}, events.Movie{MovieID: "1", Title: "Heat", Year: 1995, Genres: []string{"Crime"}, IMDbID: "tt0113277"}},
	} {
		var film events.Film
		films := events.Films{}
		for _, d := range c.said {
			_, ok := events.FilmOf(d)
			if film.Fold(d) != ok {
				t.Errorf("%s: %s is taken for another thing", c.name, d.EventType())
			}
			films.Fold(d)
		}
		if got := film.Merged(); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %+v; want %+v", c.name, got, c.want)
		}
		if got := films.Merged(); len(c.said) > 0 && (len(got) != 1 || !reflect.DeepEqual(got["1"], c.want)) {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
	if listed.Title != "Heat" || listed.Genres[0] != "Crime" || fetched.Year != 0 {
		t.Error("merging has changed an event")
	}
}
