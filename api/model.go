package api

import (
	"context"
	"net/http"
	"strconv"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
)

func (s *Server) modelRoutes() {
	s.route("GET /api/v1/models", s.models, "registry")
	s.route("POST /api/v1/models", s.registerModel)
	s.route("GET /api/v1/models/{model}", s.model, "registry")
	s.route("GET /api/v1/models/{model}/versions/{version}", s.modelVersion, "registry")
	s.route("POST /api/v1/models/{model}/versions/{version}/stage", s.stageModel)
	s.route("PUT /api/v1/models/{model}/aliases/{alias}", s.setAlias)
	s.route("DELETE /api/v1/models/{model}/aliases/{alias}", s.removeAlias)
}

// modelAt reads a model as it is, or folds its stream up to a moment.
func (s *Server) modelAt(ctx context.Context, name string, m moment) (projections.Model, bool, error) {
	if m.given() {
		return projections.FoldModel(s.Log.Ledger().ReadStream(ctx, "model/"+name, 0), m.at)
	}
	return fold.Of[*projections.Registry](s.Views).Model(name)
}

func (s *Server) models(w http.ResponseWriter, r *http.Request) error {
	q := queryOf(r, asOfParam, knownAtParam, "limit", "cursor")
	page := q.page()
	m, err := s.moment(r.Context(), q)
	if err != nil {
		return err
	}
	p, err := fold.Of[*projections.Registry](s.Views).Models(page)
	if err != nil || !m.given() {
		return paged(w, p, err)
	}
	then := fold.Page[projections.Model]{Items: []projections.Model{}, Next: p.Next}
	for _, now := range p.Items {
		model, ok, err := s.modelAt(r.Context(), now.Name, m)
		if err != nil {
			return err
		}
		if ok {
			then.Items = append(then.Items, model)
		}
	}
	return writeJSON(w, http.StatusOK, then)
}

func (s *Server) model(w http.ResponseWriter, r *http.Request) error {
	m, err := s.moment(r.Context(), queryOf(r, asOfParam, knownAtParam))
	if err != nil {
		return err
	}
	name := r.PathValue("model")
	model, ok, err := s.modelAt(r.Context(), name, m)
	if ok {
		setETag(w, model.Revision)
	}
	return found(w, model, ok, err, "no model %q", short(name))
}

func (s *Server) modelVersion(w http.ResponseWriter, r *http.Request) error {
	m, err := s.moment(r.Context(), queryOf(r, asOfParam, knownAtParam))
	if err != nil {
		return err
	}
	name := r.PathValue("model")
	n, err := versionOf(r)
	if err != nil {
		return err
	}
	model, ok, err := s.modelAt(r.Context(), name, m)
	if err != nil {
		return err
	}
	v := model.Version(n)
	if !ok || v == nil {
		return fault.New(fault.NotFound, "no version %d of model %q", n, short(name))
	}
	setETag(w, model.Revision)
	return writeJSON(w, http.StatusOK, v)
}

func versionOf(r *http.Request) (int, error) {
	v := r.PathValue("version")
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 {
		return 0, fault.Field("version", "is %q; want a whole number from 1", short(v))
	}
	return n, nil
}

func (s *Server) registerModel(w http.ResponseWriter, r *http.Request) error {
	var c commands.RegisterModel
	if err := readJSON(w, r, &c, false); err != nil {
		return err
	}
	return s.dispatch(w, r, &c, http.StatusCreated, "registry")
}

func (s *Server) stageModel(w http.ResponseWriter, r *http.Request) error {
	var v struct {
		Stage           string `json:"stage"`
		ArchiveExisting bool   `json:"archive_existing"`
		Reason          string `json:"reason"`
	}
	n, err := versionOf(r)
	if err == nil {
		err = readJSON(w, r, &v, false)
	}
	if err != nil {
		return err
	}
	return s.dispatch(w, r, &commands.StageModelVersion{Name: r.PathValue("model"), Version: n, Stage: v.Stage,
		ArchiveExisting: v.ArchiveExisting, Reason: v.Reason}, http.StatusOK, "registry")
}

func (s *Server) setAlias(w http.ResponseWriter, r *http.Request) error {
	var v struct {
		Version int `json:"version"`
	}
	if err := readJSON(w, r, &v, false); err != nil {
		return err
	}
	return s.dispatch(w, r, &commands.SetModelAlias{Name: r.PathValue("model"), Alias: r.PathValue("alias"), Version: v.Version}, http.StatusOK, "registry")
}

func (s *Server) removeAlias(w http.ResponseWriter, r *http.Request) error {
	return s.dispatch(w, r, &commands.RemoveModelAlias{Name: r.PathValue("model"), Alias: r.PathValue("alias")}, http.StatusOK, "registry")
}
