package airflow

import (
	"mime"
	"net/http"
	"net/url"
	"time"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/api/fastapi"
	"github.com/projectionist/projectionist/internal/fault"
)

// How long tokens are good for: Airflow's [api_auth] jwt_expiration_time and jwt_cli_expiration_time.
const (
	tokenLifetime    = 24 * time.Hour
	tokenCLILifetime = time.Hour
)

func (s *V2) tokenRoutes(r *api.Routes) {
	r.Read("POST /auth/token", fastapi.Handler(s.token))
	r.Read("POST /auth/token/cli", fastapi.Handler(s.tokenCLI))
	r.Read("GET /auth/token", fastapi.Handler(s.tokenOfAll))
}

func (s *V2) token(w http.ResponseWriter, r *http.Request) error {
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch kind {
	case "application/json":
		return s.tokenFor(w, r, tokenLifetime)
	case "application/x-www-form-urlencoded":
		body, err := api.ReadBody(w, r, api.BodyBytesMax)
		if err != nil {
			return err
		}
		form, err := url.ParseQuery(string(body))
		if err != nil {
			return fault.Wrap(fault.Invalid, err, "the form cannot be read")
		}
		return s.giveToken(w, form.Get("username"), form.Get("password"), tokenLifetime)
	}
	return fastapi.Refuse(http.StatusUnsupportedMediaType, "Only application/json or application/x-www-form-urlencoded is supported")
}

func (s *V2) tokenCLI(w http.ResponseWriter, r *http.Request) error {
	return s.tokenFor(w, r, tokenCLILifetime)
}

func (s *V2) tokenFor(w http.ResponseWriter, r *http.Request, lifetime time.Duration) error {
	b, err := fastapi.Body(w, r)
	if err != nil {
		return err
	}
	b.Need("username")
	b.Need("password")
	user, _ := b.Text("username", 0)
	password, _ := b.Text("password", 0)
	if err := b.Done(); err != nil {
		return err
	}
	return s.giveToken(w, user, password, lifetime)
}

func (s *V2) giveToken(w http.ResponseWriter, user, password string, lifetime time.Duration) error {
	switch {
	case user == "" || password == "":
		return fastapi.Refuse(http.StatusBadRequest, "Username and password must be provided")
	case !s.Right(user, password):
		return fastapi.Refuse(http.StatusUnauthorized, "Invalid credentials")
	}
	return s.sign(w, user, lifetime)
}

// tokenOfAll gives who sends no password a token where none is needed.
func (s *V2) tokenOfAll(w http.ResponseWriter, _ *http.Request) error {
	if !s.Open() {
		return fastapi.Refuse(http.StatusForbidden, "This method is only allowed where no credentials are needed; send a user and a password with POST")
	}
	return s.sign(w, api.UserDefault, tokenLifetime)
}

func (s *V2) sign(w http.ResponseWriter, user string, lifetime time.Duration) error {
	token, err := s.Sign(user, lifetime)
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "no-store")
	return api.WriteJSON(w, http.StatusCreated, map[string]string{"access_token": token})
}
