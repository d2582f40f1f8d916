package api

import (
	"net/http"

	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
)

func (s *Server) lineageRoutes() {
	s.route("GET /api/v1/lineage", s.lineage, "lineage")
}

// lineage is what a node, such as model/als/1, came of, or (direction=downstream) what came of it.
func (s *Server) lineage(w http.ResponseWriter, r *http.Request) error {
	q := queryOf(r, "node", "direction", asOfParam, knownAtParam)
	node, direction := q.str("node"), q.str("direction")
	if node == "" {
		q.errs = append(q.errs, fault.Field("node", "is needed").WithHint("such as model/als/1, dataset/ID, run/ID or deployment/production"))
	}
	view := fold.Of[*projections.Lineage](s.Views)
	read := view.Upstream
	switch direction {
	case "", "upstream":
	case "downstream":
		read = view.Downstream
	default:
		q.fault("direction", "is %q; want upstream or downstream", short(direction))
	}
	m, err := s.moment(r.Context(), q)
	if err != nil {
		return err
	}
	graph, err := read(node, m.at)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, graph)
}
