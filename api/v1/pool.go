package v1

import (
	"net/http"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
)

func (s *Surface) poolRoutes(r *api.Routes) {
	s.then(r, "GET /api/v1/workflows/pools", (*Surface).pools, "workflows")
	r.Handle("PUT /api/v1/workflows/pools/{pool}", s.definePool)
	r.Handle("DELETE /api/v1/workflows/pools/{pool}", s.removePool)
}

// shownPool is a pool with its use.
type shownPool struct {
	projections.Pool
	projections.PoolUse
	Undefined bool `json:"undefined,omitempty"` // tasks name it, and there is none: they wait
}

// pools are all there are, and those that are not and tasks wait for.
func (s *Surface) pools(w http.ResponseWriter, r *http.Request) error {
	if err := api.QueryOf(r).Err(); err != nil {
		return err
	}
	all, err := fold.Of[*projections.Workflows](s.Views).Pools()
	if err != nil {
		return err
	}
	use, err := s.Workflows.PoolUse()
	if err != nil {
		return err
	}
	items := []shownPool{}
	for i := range all {
		items = append(items, shownPool{Pool: all[i], PoolUse: use[all[i].Name]})
		delete(use, all[i].Name)
	}
	for name, u := range use {
		items = append(items, shownPool{Pool: projections.Pool{Name: name}, PoolUse: u, Undefined: true})
	}
	return api.WriteJSON(w, http.StatusOK, fold.Page[shownPool]{Items: items})
}

func (s *Surface) definePool(w http.ResponseWriter, r *http.Request) error {
	var v struct {
		Slots       *int   `json:"slots"`
		Description string `json:"description"`
	}
	if err := api.ReadJSON(w, r, &v, false); err != nil {
		return err
	}
	if v.Slots == nil {
		return fault.Field("slots", "is needed").WithHint("how many tasks at once; -1 for any number")
	}
	return s.dispatch(w, r, &commands.DefinePool{Pool: r.PathValue("pool"), Slots: *v.Slots, Description: v.Description}, http.StatusOK, "workflows")
}

func (s *Surface) removePool(w http.ResponseWriter, r *http.Request) error {
	return s.dispatch(w, r, &commands.RemovePool{Pool: r.PathValue("pool")}, http.StatusOK, "workflows")
}
