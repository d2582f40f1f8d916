package console

import (
	"net/http"
	"time"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/internal/fault"
)

// sessionLifetime is a working day, after which credentials are asked for again.
const sessionLifetime = 12 * time.Hour

// begin gives a browser a session for credentials: {"token"}, or {"user","password"}. The answer has no body; the cookie cannot be read by
// scripts, and is sent to this site's own requests alone.
func (s *Surface) begin(w http.ResponseWriter, r *http.Request) error {
	guard(w)
	var v struct {
		Token    string `json:"token"`
		User     string `json:"user"`
		Password string `json:"password"`
	}
	if err := api.ReadJSON(w, r, &v, false); err != nil {
		return err
	}
	if v.Token != "" && v.User != "" {
		return fault.Field("token", "cannot be combined with user").WithHint("give the token, or a user and a password")
	}
	user := v.User
	switch {
	case s.Open():
		return fault.New(fault.Conflict, "no credentials are needed here").WithHint("ask without a session")
	case v.Token != "" && s.IsToken(v.Token):
		user = api.TokenUser
	case v.User != "" && s.Right(v.User, v.Password):
	default:
		api.Refuse(w, r, s, &api.Problem{Type: "urn:projectionist:unauthorized", Title: "Credentials are needed", Status: http.StatusUnauthorized,
			Detail: "that is neither the program's token nor a user's password", RequestID: api.RequestID(r),
			Hint: "the token is PROJECTIONIST_TOKEN, users and passwords are PROJECTIONIST_USERS of the server"})
		return nil
	}
	session, err := s.Sign(user, sessionLifetime)
	if err != nil {
		return err
	}
	http.SetCookie(w, cookie(r, session, int(sessionLifetime/time.Second)))
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// end takes the session from the browser.
func (s *Surface) end(w http.ResponseWriter, r *http.Request) error {
	guard(w)
	http.SetCookie(w, cookie(r, "", -1))
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func cookie(r *http.Request, value string, maxAge int) *http.Cookie {
	return &http.Cookie{Name: api.SessionCookie, Value: value, Path: "/", MaxAge: maxAge, HttpOnly: true, Secure: r.TLS != nil, SameSite: http.SameSiteStrictMode}
}
