package v1

import (
	"context"
	"net/http"
	"strconv"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
)

func (s *Surface) modelRoutes(r *api.Routes) {
	s.then(r, "GET /api/v1/models", (*Surface).models, "registry")
	r.Handle("POST /api/v1/models", s.registerModel)
	r.Handle("GET /api/v1/models/{model}", s.model, "registry")
	r.Handle("GET /api/v1/models/{model}/versions/{version}", s.modelVersion, "registry")
	s.then(r, "GET /api/v1/models/{model}/versions/{version}/weights", (*Surface).weights, "registry")
	r.Handle("POST /api/v1/models/{model}/rename", s.renameModel)
	r.Handle("POST /api/v1/models/{model}/versions/{version}/stage", s.stageModel)
	r.Handle("PUT /api/v1/models/{model}/aliases/{alias}", s.setAlias)
	r.Handle("DELETE /api/v1/models/{model}/aliases/{alias}", s.removeAlias)
}

// modelAt reads a model as it is, or folds its stream up to a moment.
func (s *Surface) modelAt(ctx context.Context, name string, m api.Moment) (projections.Model, bool, error) {
	if m.Given() {
		return projections.ModelNamed(ctx, s.Log.Ledger(), name, m.At)
	}
	return s.registry().Model(name)
}

func (s *Surface) registry() *projections.Registry { return fold.Of[*projections.Registry](s.Views) }

func (s *Surface) models(w http.ResponseWriter, r *http.Request) error {
	q := api.QueryOf(r, api.AsOfParam, "limit", "cursor")
	page := q.Page()
	m, err := s.Moment(r.Context(), q)
	if err != nil {
		return err
	}
	p, err := s.registry().Models(page)
	if err != nil || !m.Given() {
		return api.Paged(w, p, err)
	}
	then := fold.Page[projections.Model]{Items: []projections.Model{}, Next: p.Next}
	for _, now := range p.Items {
		model, ok, err := projections.FoldModel(s.Log.Ledger().ReadStream(r.Context(), "model/"+now.Key, 0), m.At)
		if err != nil {
			return err
		}
		if ok {
			then.Items = append(then.Items, model)
		}
	}
	return api.WriteJSON(w, http.StatusOK, then)
}

func (s *Surface) model(w http.ResponseWriter, r *http.Request) error {
	m, err := s.Moment(r.Context(), api.QueryOf(r, api.AsOfParam, api.KnownAtParam))
	if err != nil {
		return err
	}
	name := r.PathValue("model")
	model, ok, err := s.modelAt(r.Context(), name, m)
	if ok {
		api.SetETag(w, model.Revision)
	}
	return api.Found(w, model, ok, err, "no model %q", api.Short(name))
}

func (s *Surface) modelVersion(w http.ResponseWriter, r *http.Request) error {
	m, err := s.Moment(r.Context(), api.QueryOf(r, api.AsOfParam, api.KnownAtParam))
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
		return fault.New(fault.NotFound, "no version %d of model %q", n, api.Short(name))
	}
	api.SetETag(w, model.Revision)
	return api.WriteJSON(w, http.StatusOK, v)
}

func versionOf(r *http.Request) (int, error) {
	v := r.PathValue("version")
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 {
		return 0, fault.Field("version", "is %q; want a whole number from 1", api.Short(v))
	}
	return n, nil
}

func (s *Surface) registerModel(w http.ResponseWriter, r *http.Request) error {
	var c commands.RegisterModel
	if err := api.ReadJSON(w, r, &c, false); err != nil {
		return err
	}
	return s.dispatch(w, r, &c, http.StatusCreated, "registry")
}

// renameModel gives a model another name. What serves goes on serving.
func (s *Surface) renameModel(w http.ResponseWriter, r *http.Request) error {
	var v struct {
		Name string `json:"name"` // the new one
	}
	if err := api.ReadJSON(w, r, &v, false); err != nil {
		return err
	}
	return s.dispatch(w, r, &commands.RenameModel{Name: r.PathValue("model"), To: v.Name}, http.StatusOK, "registry", "deployments")
}

func (s *Surface) stageModel(w http.ResponseWriter, r *http.Request) error {
	var v struct {
		Stage           string `json:"stage"`
		ArchiveExisting bool   `json:"archive_existing"`
		Reason          string `json:"reason"`
		InsteadOf       string `json:"instead_of"` // as of a deployment, which the stage Production may be
	}
	n, err := versionOf(r)
	if err == nil {
		err = api.ReadJSON(w, r, &v, false)
	}
	if err != nil {
		return err
	}
	c := &commands.StageModelVersion{Name: r.PathValue("model"), Version: n, Stage: v.Stage, ArchiveExisting: v.ArchiveExisting, Reason: v.Reason}
	if commands.CanonicalStage(v.Stage) == commands.StageProduction {
		return s.serve(w, r, c, &c.Served, slotTurn{events.ProductionSlot, v.InsteadOf, c.Name, n}, "registry", "deployments")
	}
	if c.Served, err = s.slots(); err != nil {
		return err
	}
	return s.dispatch(w, r, c, http.StatusOK, "registry", "deployments")
}

func (s *Surface) setAlias(w http.ResponseWriter, r *http.Request) error {
	var v struct {
		Version   int    `json:"version"`
		InsteadOf string `json:"instead_of"` // as of a deployment, which the alias champion may be
	}
	if err := api.ReadJSON(w, r, &v, false); err != nil {
		return err
	}
	c := &commands.SetModelAlias{Name: r.PathValue("model"), Alias: r.PathValue("alias"), Version: v.Version}
	if c.Alias == commands.AliasChampion {
		return s.serve(w, r, c, &c.Served, slotTurn{events.ProductionSlot, v.InsteadOf, c.Name, c.Version}, "registry", "deployments")
	}
	return s.dispatch(w, r, c, http.StatusOK, "registry", "deployments")
}

func (s *Surface) removeAlias(w http.ResponseWriter, r *http.Request) error {
	served, err := s.slots()
	if err != nil {
		return err
	}
	return s.dispatch(w, r, &commands.RemoveModelAlias{Name: r.PathValue("model"), Alias: r.PathValue("alias"), Served: served}, http.StatusOK, "registry")
}
