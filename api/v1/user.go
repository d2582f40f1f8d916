package v1

import (
	"net/http"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
)

func (s *Surface) userRoutes(r *api.Routes) {
	r.Handle("POST /api/v1/users", s.describeUser)
	r.Handle("GET /api/v1/users", s.people, "users", "histories")
	r.Handle("GET /api/v1/users/{user}", s.user, "users")
}

// describeUser takes what somebody says of a person, and from when on it is so: from now on, where they do not say.
func (s *Surface) describeUser(w http.ResponseWriter, r *http.Request) error {
	var v struct {
		UserID     api.ID `json:"user_id"`
		Age        int    `json:"age"`
		Gender     string `json:"gender"`
		Occupation string `json:"occupation"`
		Zip        string `json:"zip"`
		Since      string `json:"since"`
	}
	if err := api.ReadJSON(w, r, &v, false); err != nil {
		return err
	}
	said := events.User{UserID: string(v.UserID), Age: v.Age, Gender: v.Gender, Occupation: v.Occupation, Zip: v.Zip}
	return s.dispatch(w, r, &commands.DescribeUser{User: said, Since: v.Since}, http.StatusCreated, "users")
}

// user is what is known of a person, as it is so now or at a moment.
func (s *Surface) user(w http.ResponseWriter, r *http.Request) error {
	m, err := s.Moment(r.Context(), api.QueryOf(r, api.AsOfParam, api.KnownAtParam))
	if err != nil {
		return err
	}
	id, err := userOf(r)
	if err != nil {
		return err
	}
	m.At.EventMillis = m.Millis(s.Now().UnixMilli())
	u, ok, err := fold.Of[*projections.Users](s.Views).User(id, m.At)
	if ok {
		api.SetETag(w, u.Revision)
	}
	return api.Found(w, u, ok, err, "nothing was said of person %q", id)
}

// people lists everybody of whom the log has anything, with what is known of them and how much they did, now or at a moment: those whose ids begin with
// q, or the one that user_id names.
func (s *Surface) people(w http.ResponseWriter, r *http.Request) error {
	q := api.QueryOf(r, "q", "user_id", api.AsOfParam, api.KnownAtParam, "limit", "cursor")
	want := projections.PeopleQuery{Prefix: q.Str("q"), UserID: q.Str("user_id"), Page: q.Page()}
	for field, v := range map[string]string{"q": want.Prefix, "user_id": want.UserID} {
		if v != "" {
			q.Add(api.CheckID(field, v))
		}
	}
	if want.Prefix != "" && want.UserID != "" {
		q.Fault("user_id", "cannot be combined with q; give one of them")
	}
	m, err := s.Moment(r.Context(), q)
	if err != nil {
		return err
	}
	want.At, want.SaidMillis = m.At, m.Millis(s.Now().UnixMilli())
	p, err := projections.People{Histories: s.histories(), Users: fold.Of[*projections.Users](s.Views)}.List(r.Context(), want)
	return api.Paged(w, p, err)
}
