package v1

import (
	"net/http"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/handlers/react"
	"github.com/projectionist/projectionist/internal/fault"
)

func (s *Surface) reactorRoutes(r *api.Routes) {
	r.Handle("GET /api/v1/reactors", s.reactors)
}

// reactors is how the reactors of this process fare, and what they work on.
func (s *Surface) reactors(w http.ResponseWriter, r *http.Request) error {
	if err := api.QueryOf(r).Err(); err != nil {
		return err
	}
	if err := s.needReactors(); err != nil {
		return err
	}
	tasks := s.Reactors.Progress()
	if tasks == nil {
		tasks = []react.Task{}
	}
	return api.WriteJSON(w, http.StatusOK, struct {
		Reactors []react.Stat `json:"reactors"`
		Tasks    []react.Task `json:"tasks"`
	}{s.Reactors.Stats(r.Context()), tasks})
}

func (s *Surface) needReactors() error {
	if s.Reactors == nil {
		return fault.New(fault.Unavailable, "no reactors run in this process").WithHint("ask the process that runs them: projectionist serve")
	}
	return nil
}
