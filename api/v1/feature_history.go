package v1

import (
	"encoding/json"
	"net/http"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/ml/features"
	"github.com/projectionist/projectionist/projections/fold"
)

func (s *Surface) featureHistoryRoutes(r *api.Routes) {
	r.Handle("GET /api/v1/features/views/{view}/history", s.featureHistory, "online", "histories", "catalogue", "users", "definitions", "feature-registry", "feature-values")
}

// featureHistory pages through the events that changed features of an entity of a view, computed or pushed, the newest first. The entity is
// given by the view's join keys, as parameters.
func (s *Surface) featureHistory(w http.ResponseWriter, r *http.Request) error {
	m, reg, err := s.momentFirst(r)
	if err != nil {
		return err
	}
	name := r.PathValue("view")
	view, x := reg.View(name), reg.ExternalNamed(name)
	var keys []events.FeatureField
	switch {
	case view != nil:
		keys = []events.FeatureField{{Name: string(view.Entity) + "_id", Type: string(features.String)}}
	case x != nil:
		keys = x.JoinKeys
	default:
		return unknownView(name)
	}
	params := []string{"features", api.AsOfParam, api.KnownAtParam, "limit", "cursor"}
	for _, k := range keys {
		params = append(params, k.Name)
	}
	q := api.QueryOf(r, params...)
	page, names := q.Page(), q.List("features")
	for _, f := range names {
		if view != nil && view.Feature(f) == nil || x != nil && x.Feature(f) == nil {
			q.Add(unknownFeature("features", "view %s has no feature %q", name, api.Short(f)))
		}
	}
	if err := q.Err(); err != nil {
		return err
	}
	if x != nil {
		return s.externalHistory(w, q, x, names, m.At, page)
	}
	id := q.Str(keys[0].Name)
	if id == "" {
		return fault.Field(keys[0].Name, "is missing").WithHint("say whose history is asked for: %s=…", keys[0].Name)
	}
	if err := api.CheckID(keys[0].Name, id); err != nil {
		return err
	}
	if names == nil {
		names = []string{""}
	}
	refs := make([]string, len(names))
	for i, f := range names {
		if refs[i] = name; f != "" {
			refs[i] += ":" + f
		}
	}
	sel, err := reg.Select(refs, false)
	if err != nil {
		return err
	}
	p, err := s.Features.History(r.Context(), sel, view.Entity, canonical(view.Entity, id), m.At, page)
	return api.Paged(w, p, err)
}

func (s *Surface) externalHistory(w http.ResponseWriter, q *api.Query, x *features.External, names []string, at fold.At, page fold.PageQuery) error {
	key, err := entityKeyOf(x, q)
	if err != nil {
		return err
	}
	if names == nil {
		for _, f := range x.Features {
			names = append(names, f.Name)
		}
	}
	p, err := s.Features.PushedHistory(x, names, key, at, page)
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
