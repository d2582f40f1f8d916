package v1

import (
	"net/http"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
)

func (s *Surface) movieRoutes(r *api.Routes) {
	s.then(r, "GET /api/v1/movies", (*Surface).movies, "catalogue")
	r.Handle("GET /api/v1/movies/{movie}", s.movie, "catalogue")
	s.then(r, "GET /api/v1/movies/{movie}/similar", (*Surface).similar, "catalogue", "online", "deployments", "registry")
	r.Handle("GET /api/v1/movies/{movie}/history/times", s.movieTimes, "histories")
	r.Handle("PUT /api/v1/movies/{movie}/hidden", s.hideMovie)
	r.Handle("DELETE /api/v1/movies/{movie}/hidden", s.unhideMovie)
	r.Handle("GET /api/v1/movies/{movie}/history", s.movieHistory, "histories")
	r.Handle("GET /api/v1/users/{user}/history", s.userHistory, "histories")
	r.Handle("GET /api/v1/users/{user}/history/times", s.userTimes, "histories")
}

func (s *Surface) movies(w http.ResponseWriter, r *http.Request) error {
	q := api.QueryOf(r, "q", "genre", "hidden", "limit", "cursor")
	page, text, genre, hidden := q.Page(), q.Str("q"), q.Str("genre"), q.Flag("hidden")
	if text != "" && genre != "" {
		q.Fault("genre", "cannot be combined with q; give one of them")
	}
	if hidden && text+genre != "" {
		q.Fault("hidden", "cannot be combined with q and genre; give one of them")
	}
	if err := q.Err(); err != nil {
		return err
	}
	view := fold.Of[*projections.Catalogue](s.Views)
	var p fold.Page[projections.Movie]
	var err error
	switch {
	case hidden:
		p, err = view.Hidden(page)
	case text != "":
		p, err = view.Search(text, page)
	case genre != "":
		p, err = view.ByGenre(genre, page)
	default:
		p, err = view.List(page)
	}
	return api.Paged(w, p, err)
}

// hideMovie keeps a film off every list, for a reason; If-Match and the like are those of its stream.
func (s *Surface) hideMovie(w http.ResponseWriter, r *http.Request) error {
	var v struct {
		Reason string `json:"reason"`
	}
	id, err := movieOf(r)
	if err != nil {
		return err
	}
	if err := api.ReadJSON(w, r, &v, false); err != nil {
		return err
	}
	return s.hide(w, r, &commands.HideMovie{MovieID: id, Reason: v.Reason})
}

// hide answers once lists are made without what is hidden, and with what is not.
func (s *Surface) hide(w http.ResponseWriter, r *http.Request, c commands.Command) error {
	m, err := api.MetaOf(r)
	if err != nil {
		return err
	}
	a, res, err := s.command(r, c, m, "catalogue")
	if err != nil {
		return err
	}
	if a.Folded {
		if err := s.Recommend.TakeIn(); err != nil {
			return err
		}
	}
	return answerCommand(w, a, res, http.StatusOK)
}

// unhideMovie lets a film be on lists again.
func (s *Surface) unhideMovie(w http.ResponseWriter, r *http.Request) error {
	var v struct {
		Reason string `json:"reason"`
	}
	id, err := movieOf(r)
	if err != nil {
		return err
	}
	if err := api.ReadJSON(w, r, &v, true); err != nil {
		return err
	}
	return s.hide(w, r, &commands.UnhideMovie{MovieID: id, Reason: v.Reason})
}

func (s *Surface) movie(w http.ResponseWriter, r *http.Request) error {
	m, err := s.Moment(r.Context(), api.QueryOf(r, api.AsOfParam, api.KnownAtParam))
	if err != nil {
		return err
	}
	id, err := movieOf(r)
	if err != nil {
		return err
	}
	var movie projections.Movie
	var ok bool
	if m.Given() {
		movie, ok, err = projections.FoldMovie(s.Log.Ledger().ReadStream(r.Context(), "movie/"+id, 0), m.At)
	} else {
		movie, ok, err = fold.Of[*projections.Catalogue](s.Views).Movie(id)
	}
	return api.Found(w, movie, ok, err, "no movie %q", id)
}

// film finds a film that a request names, in the catalogue as it is now.
func (s *Surface) film(field, id string) error {
	_, ok, err := fold.Of[*projections.Catalogue](s.Views).Movie(id)
	if err == nil && !ok {
		e := fault.New(fault.NotFound, "no movie %q in the catalogue", api.Short(id))
		e.Field = field
		err = e.WithHint("GET /api/v1/movies?q=TITLE finds a film's id; importing a data set adds films")
	}
	return err
}
