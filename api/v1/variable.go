package v1

import (
	"net/http"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
)

func (s *Surface) variableRoutes(r *api.Routes) {
	s.then(r, "GET /api/v1/variables", (*Surface).variables, "variables")
	s.then(r, "GET /api/v1/variables/{key}", (*Surface).variable, "variables")
	r.Handle("PUT /api/v1/variables/{key}", s.setVariable)
	r.Handle("DELETE /api/v1/variables/{key}", s.deleteVariable)
}

// variables are what {{ var.value.KEY }} stands for in definitions of workflows.
func (s *Surface) variables(w http.ResponseWriter, r *http.Request) error {
	q := api.QueryOf(r, "limit", "cursor")
	page := q.Page()
	if err := q.Err(); err != nil {
		return err
	}
	p, err := fold.Of[*projections.Variables](s.Views).Variables(page)
	return api.Paged(w, p, err)
}

func (s *Surface) variable(w http.ResponseWriter, r *http.Request) error {
	if err := api.QueryOf(r).Err(); err != nil {
		return err
	}
	key := r.PathValue("key")
	v, ok, err := fold.Of[*projections.Variables](s.Views).Variable(key)
	if ok {
		api.SetETag(w, v.Revision)
	}
	return api.Found(w, v, ok, err, "no variable %q", api.Short(key))
}

func (s *Surface) setVariable(w http.ResponseWriter, r *http.Request) error {
	var v struct {
		Value       string `json:"value"`
		Description string `json:"description"`
	}
	if err := api.ReadJSON(w, r, &v, false); err != nil {
		return err
	}
	return s.dispatch(w, r, &commands.SetVariable{Key: r.PathValue("key"), Value: v.Value, Description: v.Description}, http.StatusOK, "variables")
}

func (s *Surface) deleteVariable(w http.ResponseWriter, r *http.Request) error {
	return s.dispatch(w, r, &commands.DeleteVariable{Key: r.PathValue("key")}, http.StatusOK, "variables")
}
