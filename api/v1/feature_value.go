package v1

import (
	"net/http"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/ml/features"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
)

func (s *Surface) featureValueRoutes(r *api.Routes) {
	r.Handle("GET /api/v1/features/external", s.externalViews, "definitions", "feature-registry")
	r.Handle("GET /api/v1/features/external/{view}/history", s.pushedHistory, "definitions", "feature-registry", "feature-values")
}

// externalViews lists the views whose values are pushed.
func (s *Surface) externalViews(w http.ResponseWriter, r *http.Request) error {
	m, err := s.Moment(r.Context(), api.QueryOf(r, api.KnownAtParam))
	if err != nil {
		return err
	}
	reg, err := s.Features.RegistryAt(m.At)
	if err != nil {
		return err
	}
	all := fold.Page[*features.External]{Items: reg.External}
	if all.Items == nil {
		all.Items = []*features.External{}
	}
	return api.WriteJSON(w, http.StatusOK, all)
}

// pushedHistory pages through what was pushed of an entity, the one that counts first, each with the event that brought it.
// The entity is given by the view's join keys, as parameters.
func (s *Surface) pushedHistory(w http.ResponseWriter, r *http.Request) error {
	m, reg, err := s.momentFirst(r)
	if err != nil {
		return err
	}
	x := reg.ExternalNamed(r.PathValue("view"))
	if x == nil {
		return fault.New(fault.NotFound, "no feature view of pushed values is named %q", api.Short(r.PathValue("view"))).WithHint("GET /api/v1/features/external lists what there is")
	}
	names := []string{api.AsOfParam, api.KnownAtParam, "limit", "cursor"}
	for _, k := range x.JoinKeys {
		names = append(names, k.Name)
	}
	q := api.QueryOf(r, names...)
	page := q.Page()
	if err := q.Err(); err != nil {
		return err
	}
	key, err := entityKeyOf(x, q)
	if err != nil {
		return err
	}
	p, err := fold.Of[*projections.FeatureValues](s.Views).HistoryPage(x.Name, key, m.At, page)
	return api.Paged(w, p, err)
}
