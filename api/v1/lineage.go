package v1

import (
	"net/http"
	"strings"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/ml/features"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/featurestore"
	"github.com/projectionist/projectionist/projections/fold"
)

func (s *Surface) lineageRoutes(r *api.Routes) {
	r.Handle("GET /api/v1/lineage", s.lineage, "lineage", "registry", "definitions", "feature-registry")
}

// lineage is what a node, such as model/NAME/1, came of, or (direction=downstream) what came of it.
func (s *Surface) lineage(w http.ResponseWriter, r *http.Request) error {
	q := api.QueryOf(r, "node", "direction", api.AsOfParam, api.KnownAtParam)
	node, direction := q.Str("node"), q.Str("direction")
	if node == "" {
		q.Add(fault.Field("node", "is needed").WithHint("such as model/NAME/1, dataset/ID, run/ID, feature-view/NAME or deployment/production"))
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
	key, err := s.nodeOf(node, m.At)
	if err != nil {
		return err
	}
	graph, err := read(key, m.At)
	if err != nil {
		return err
	}
	graph.Node = node
	if err := s.showNodes(&graph); err != nil {
		return err
	}
	return api.WriteJSON(w, http.StatusOK, graph)
}

// nodeOf is the node that people mean: a model by its present name is one by its key, a feature view is as it was known.
func (s *Surface) nodeOf(node string, at fold.At) (string, error) {
	if view, ok := strings.CutPrefix(node, viewNode); ok && !strings.Contains(view, "/") {
		return s.viewNodeOf(view, at)
	}
	name, version, ok := modelIn(node)
	if !ok {
		return node, nil
	}
	m, ok, err := s.registry().Model(name)
	if err != nil || !ok {
		return node, err
	}
	return modelNode + m.Key + version, nil
}

const (
	modelNode = "model/"
	viewNode  = "feature-view/"
)

// viewNodeOf is the node of a feature view as at knows it to be in force, or of the version that is named, such as movie_features@v2.
func (s *Surface) viewNodeOf(view string, at fold.At) (string, error) {
	p, pinned := features.PinOf(view)
	if !pinned {
		p.View = view
	}
	had, err := s.Features.Versions(p.View, at)
	if err != nil {
		return "", err
	}
	if !pinned && len(had) > 0 {
		p.Number = had[len(had)-1].Number
	}
	v := featurestore.VersionOf(had, p.Number)
	if v == nil {
		err := features.NoVersion(p, len(had))
		err.Field = "node"
		return "", err
	}
	return viewNode + p.View + "/" + v.Hash, nil
}

// modelIn takes a node of a model version apart: the model, and the rest with its slash.
func modelIn(node string) (model, version string, ok bool) {
	rest, ok := strings.CutPrefix(node, modelNode)
	at := strings.LastIndexByte(rest, '/')
	if !ok || at < 0 {
		return "", "", false
	}
	return rest[:at], rest[at:], true
}

// showNodes puts the names that models have now in the place of their keys.
func (s *Surface) showNodes(g *projections.Graph) (err error) {
	names := map[string]string{}
	show := func(node *string) {
		key, version, ok := modelIn(*node)
		if !ok || err != nil {
			return
		}
		name, known := names[key]
		if !known {
			name, err = s.registry().NameOf(key)
			names[key] = name
		}
		*node = modelNode + name + version
	}
	for i := range g.Nodes {
		show(&g.Nodes[i])
	}
	for i := range g.Edges {
		show(&g.Edges[i].From)
		show(&g.Edges[i].To)
	}
	return err
}
