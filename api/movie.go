package api

import (
	"net/http"

	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/projections/recommend"
)

func (s *Server) movieRoutes() {
	s.route("GET /api/v1/movies", s.movies, "catalogue")
	s.route("GET /api/v1/movies/{movie}", s.movie, "catalogue")
	s.route("GET /api/v1/movies/{movie}/similar", s.similar, "catalogue", "online")
	s.route("GET /api/v1/movies/{movie}/history", s.movieHistory, "histories")
	s.route("GET /api/v1/users/{user}/history", s.userHistory, "histories")
}

func (s *Server) movies(w http.ResponseWriter, r *http.Request) error {
	q := queryOf(r, "q", "genre", "limit", "cursor")
	page, text, genre := q.page(), q.str("q"), q.str("genre")
	if text != "" && genre != "" {
		q.fault("genre", "cannot be combined with q; give one of them")
	}
	if err := q.err(); err != nil {
		return err
	}
	view := fold.Of[*projections.Catalogue](s.Views)
	var p fold.Page[projections.Movie]
	var err error
	switch {
	case text != "":
		p, err = view.Search(text, page)
	case genre != "":
		p, err = view.ByGenre(genre, page)
	default:
		p, err = view.List(page)
	}
	return paged(w, p, err)
}

func (s *Server) movie(w http.ResponseWriter, r *http.Request) error {
	m, err := s.moment(r.Context(), queryOf(r, asOfParam, knownAtParam))
	if err != nil {
		return err
	}
	id, err := movieOf(r)
	if err != nil {
		return err
	}
	var movie projections.Movie
	var ok bool
	if m.given() {
		movie, ok, err = projections.FoldMovie(s.Log.Ledger().ReadStream(r.Context(), "movie/"+id, 0), m.at)
	} else {
		movie, ok, err = fold.Of[*projections.Catalogue](s.Views).Movie(id)
	}
	return found(w, movie, ok, err, "no movie %q", id)
}

func (s *Server) similar(w http.ResponseWriter, r *http.Request) error {
	q := queryOf(r, "k")
	k := int(q.number("k", 10, 1, recommend.KMax))
	if err := q.err(); err != nil {
		return err
	}
	id, err := movieOf(r)
	if err != nil {
		return err
	}
	items, err := s.Recommend.Similar(id, k)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, struct {
		MovieID string           `json:"movie_id"`
		Items   []recommend.Item `json:"items"`
	}{id, items})
}

func (s *Server) movieHistory(w http.ResponseWriter, r *http.Request) error {
	id, err := movieOf(r)
	if err != nil {
		return err
	}
	return s.history(w, r, id, fold.Of[*projections.Histories](s.Views).MoviePage)
}

func (s *Server) userHistory(w http.ResponseWriter, r *http.Request) error {
	id, err := userOf(r)
	if err != nil {
		return err
	}
	return s.history(w, r, id, fold.Of[*projections.Histories](s.Views).UserPage)
}

// history answers with a piece of a history; nothing is known of someone unknown, which is no error.
func (s *Server) history(w http.ResponseWriter, r *http.Request, id string,
	read func(string, projections.HistoryQuery) (fold.Page[projections.Fact], error)) error {
	q := queryOf(r, asOfParam, knownAtParam, "from", "to", "order", "limit", "cursor")
	h := projections.HistoryQuery{FromMillis: q.millis("from"), ToMillis: q.millis("to"), Page: q.page()}
	switch order := q.str("order"); order {
	case "", "newest":
		h.Newest = true
	case "oldest":
	default:
		q.fault("order", "is %q; want newest or oldest", short(order))
	}
	if h.ToMillis != 0 && h.ToMillis <= h.FromMillis {
		q.fault("to", "is not after from")
	}
	m, err := s.moment(r.Context(), q)
	if err != nil {
		return err
	}
	h.At = m.at
	p, err := read(id, h)
	return paged(w, p, err)
}

// film finds a film that a request names, in the catalogue as it is now.
func (s *Server) film(field, id string) error {
	_, ok, err := fold.Of[*projections.Catalogue](s.Views).Movie(id)
	if err == nil && !ok {
		e := fault.New(fault.NotFound, "no movie %q in the catalogue", short(id))
		e.Field = field
		err = e.WithHint("GET /api/v1/movies?q=TITLE finds a film's id; importing a data set adds films")
	}
	return err
}
