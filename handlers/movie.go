package handlers

import (
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"time"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
)

// contentHash stands for a film's details: the state of 60,000 streams is kept small.
type contentHash [sha256.Size]byte

// movie knows what each source last said of the film.
type movie struct {
	listed  map[string]contentHash // by data set
	fetched contentHash
	// TMDB's id of the film, as the data sets have it and as its details had it: "" is not known.
	listedID, fetchedID string
	hidden              string // why it is; "" where it is not
}

func (s *movie) evolve(d events.Data) {
	switch e := d.(type) {
	case *events.MovieListed:
		s.listed[e.Dataset], _ = hashOf(&e.Movie)
		s.listedID = cmp.Or(e.TMDBID, s.listedID)
	case *events.MovieFetched:
		s.fetched, _ = hashOf(&e.Movie)
		s.fetchedID = cmp.Or(e.TMDBID, s.fetchedID)
	case *events.MovieHidden:
		s.hidden = e.Reason
	case *events.MovieUnhidden:
		s.hidden = ""
	}
}

// known says whether any source has spoken of the film.
func (s *movie) known() bool { return len(s.listed) > 0 || s.fetched != contentHash{} }

func (s *movie) decide(c commands.Command, _ time.Time) ([]events.Data, error) {
	switch c := c.(type) {
	case *commands.ListMovie:
		m := canonicalMovie(c.Movie)
		hash, err := hashOf(&m)
		if err != nil || s.listed[c.Dataset] == hash || c.IfNew && s.known() {
			return nil, err
		}
		return one(&events.MovieListed{Movie: m, Dataset: c.Dataset})
	case *commands.FetchMovie:
		m := canonicalMovie(c.Movie)
		if id := cmp.Or(s.listedID, s.fetchedID); id != "" && m.TMDBID != "" && m.TMDBID != id {
			return refuse(fault.Conflict, "tmdb_id", "film %s is TMDB's film %s, not %s", m.MovieID, id, m.TMDBID)
		}
		hash, err := hashOf(&m)
		if err != nil || s.fetched == hash {
			return nil, err
		}
		return one(&events.MovieFetched{Movie: m, RawSHA256: c.RawSHA256})
	case *commands.HideMovie:
		id := events.CanonicalMovie(c.MovieID)
		switch {
		case !s.known():
			return refuse(fault.NotFound, "movie_id", "no movie %q", id)
		case s.hidden == c.Reason:
			return nil, nil
		}
		return one(&events.MovieHidden{MovieID: id, Reason: c.Reason})
	case *commands.UnhideMovie:
		id := events.CanonicalMovie(c.MovieID)
		switch {
		case !s.known():
			return refuse(fault.NotFound, "movie_id", "no movie %q", id)
		case s.hidden == "":
			return nil, nil
		}
		return one(&events.MovieUnhidden{MovieID: id, Reason: c.Reason})
	}
	return nil, noRule(c)
}

func canonicalMovie(m events.Movie) events.Movie {
	m.MovieID = events.CanonicalMovie(m.MovieID)
	m.IMDbID, _ = events.CanonicalIMDb(m.IMDbID) // validated
	return m
}

func hashOf(m *events.Movie) (contentHash, error) {
	raw, err := json.Marshal(m)
	if err != nil {
		return contentHash{}, fault.Wrap(fault.Invalid, err, "the film %q has no JSON form", m.MovieID)
	}
	return sha256.Sum256(raw), nil
}
