package v1

import (
	"encoding/json"
	"net/http"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/ml/features"
	"github.com/projectionist/projectionist/projections/fold"
)

func (s *Surface) featureHistoryRoutes(r *api.Routes) {
	views := []string{"online", "histories", "catalogue", "users", "definitions", "feature-registry", "feature-values"}
	r.Handle("GET /api/v1/features/views/{view}/history", s.featureHistory, views...)
	r.Handle("GET /api/v1/features/views/{view}/row", s.featureRow, views...)
	r.Handle("GET /api/v1/features/views/{view}/late", s.featuresLate, views...)
	r.Handle("GET /api/v1/features/views/{view}/series", s.featureSeries, views...)
}

// featureHistory pages through the events that changed features of an entity of a view, computed or pushed, the newest first. The entity is
// given by the view's join keys, as parameters.
func (s *Surface) featureHistory(w http.ResponseWriter, r *http.Request) error {
	o, q, err := s.ofEntity(r, api.AsOfParam, api.KnownAtParam, "limit", "cursor")
	if err != nil {
		return err
	}
	page := q.Page()
	if err := o.named(q); err != nil {
		return err
	}
	if o.External != nil {
		return s.externalHistory(w, o, page)
	}
	sel, err := o.Registry.Select(o.References(), false)
	if err != nil {
		return err
	}
	p, err := s.Features.History(r.Context(), sel, o.View.Entity, o.ID, o.m.At, page)
	return api.Paged(w, p, err)
}

func (s *Surface) externalHistory(w http.ResponseWriter, o *ofEntity, page fold.PageQuery) error {
	p, err := s.Features.PushedHistory(o.External, o.FeatureNames(), o.Key, o.m.At, page)
	return api.Paged(w, p, err)
}

// entityKeyOf is whom a request's join keys name.
func entityKeyOf(x *features.External, q *api.Query) (string, error) {
	key, err := x.EntityKey(func(k string) json.RawMessage {
		text, _ := json.Marshal(q.Str(k)) //nolint:errcheck // a text
		return text
	})
	if err == nil && key == "" {
		err = fault.Field(x.JoinKeys[0].Name, "is missing").WithHint("give each join key of the view as a parameter")
	}
	return key, err
}

func unknownView(name string) error {
	return fault.New(fault.NotFound, "no feature view is named %q", api.Short(name)).WithHint("GET /api/v1/features/views and /external list what there is")
}
