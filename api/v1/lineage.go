package v1

import (
	"net/http"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
)

func (s *Surface) lineageRoutes(r *api.Routes) {
	r.Handle("GET /api/v1/lineage", s.lineage, "lineage")
}

// lineage is what a node, such as model/NAME/1, came of, or (direction=downstream) what came of it.
func (s *Surface) lineage(w http.ResponseWriter, r *http.Request) error {
	q := api.QueryOf(r, "node", "direction", api.AsOfParam, api.KnownAtParam)
	node, direction := q.Str("node"), q.Str("direction")
	if node == "" {
		q.Add(fault.Field("node", "is needed").WithHint("such as model/NAME/1, dataset/ID, run/ID or deployment/production"))
	}
	view := fold.Of[*projections.Lineage](s.Views)
	read := view.Upstream
	switch direction {
	case "", "upstream":
	case "downstream":
		read = view.Downstream
	default:
		q.Fault("direction", "is %q; want upstream or downstream", api.Short(direction))
	}
	m, err := s.Moment(r.Context(), q)
	if err != nil {
		return err
	}
	graph, err := read(node, m.At)
	if err != nil {
		return err
	}
	return api.WriteJSON(w, http.StatusOK, graph)
}
