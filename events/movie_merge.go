package events

import "slices"

// Film is what was said of one film. The zero value is of one that nobody has spoken of.
type Film struct {
	Listed  *Movie // as data sets have it
	Fetched *Movie // as TMDB has it
}

// Fold adds what an event says of the film, and says whether that was anything. Of each source the latest word
// counts; what it leaves empty leaves its earlier word in force.
func (f *Film) Fold(d Data) bool {
	var into **Movie
	var said *Movie
	switch x := d.(type) {
	case *MovieListed:
		into, said = &f.Listed, &x.Movie
	case *MovieFetched:
		into, said = &f.Fetched, &x.Movie
	default:
		return false
	}
	if *into == nil {
		*into = &Movie{}
	}
	(*into).overlay(said)
	return true
}

// Merged is the film as it is known: TMDB's details over what data sets list, value by value, where they are
// not empty.
func (f *Film) Merged() Movie {
	var m Movie
	if f.Listed != nil {
		m = *f.Listed
	}
	if f.Fetched != nil {
		m.overlay(f.Fetched)
	}
	return m
}

// Films are films by their ids.
type Films map[string]*Film

// Fold adds what an event says of a film, if it does.
func (f Films) Fold(d Data) {
	id, ok := FilmOf(d)
	if !ok {
		return
	}
	film := f[id]
	if film == nil {
		film = &Film{}
		f[id] = film
	}
	film.Fold(d)
}

// Merged are all of them as they are known.
func (f Films) Merged() map[string]Movie {
	merged := make(map[string]Movie, len(f))
	for id, film := range f {
		merged[id] = film.Merged()
	}
	return merged
}

// FilmOf is the id of the film that an event speaks of, if it does.
func FilmOf(d Data) (id string, ok bool) {
	switch x := d.(type) {
	case *MovieListed:
		return CanonicalMovie(x.MovieID), true
	case *MovieFetched:
		return CanonicalMovie(x.MovieID), true
	}
	return "", false
}

// overlay writes what is said onto m.
func (m *Movie) overlay(said *Movie) {
	m.MovieID = CanonicalMovie(said.MovieID)
	say(&m.Title, said.Title)
	say(&m.Year, said.Year)
	say(&m.IMDbID, said.IMDbID)
	say(&m.TMDBID, said.TMDBID)
	say(&m.Overview, said.Overview)
	say(&m.Language, said.Language)
	say(&m.RuntimeMinutes, said.RuntimeMinutes)
	say(&m.ReleaseDate, said.ReleaseDate)
	say(&m.PosterPath, said.PosterPath)
	say(&m.Popularity, said.Popularity)
	say(&m.VoteAverage, said.VoteAverage)
	say(&m.VoteCount, said.VoteCount)
	if len(said.Genres) > 0 {
		m.Genres = slices.Clone(said.Genres)
	}
	if len(said.Keywords) > 0 {
		m.Keywords = slices.Clone(said.Keywords)
	}
}

func say[T comparable](to *T, value T) {
	if value != *new(T) {
		*to = value
	}
}
