package mlflow

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"strings"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

func (s *Surface) experimentRoutes(r routes) {
	r.handle("POST", "mlflow/experiments/create", s.createExperiment)
	r.handle("GET", "mlflow/experiments/get", s.getExperiment, "runs")
	r.handle("GET", "mlflow/experiments/get-by-name", s.getExperimentByName, "runs")
	r.handle("POST", "mlflow/experiments/search", s.searchExperiments, "runs")
	r.handle("GET", "mlflow/experiments/search", s.searchExperiments, "runs")
	r.handle("POST", "mlflow/experiments/update", s.renameExperiment)
	r.handle("POST", "mlflow/experiments/delete", s.deleteExperiment)
	r.handle("POST", "mlflow/experiments/restore", s.restoreExperiment)
	r.handle("POST", "mlflow/experiments/set-experiment-tag", s.setExperimentTag)
	r.handle("POST", "mlflow/experiments/delete-experiment-tag", s.deleteExperimentTag)
}

// experiment is an experiment as MLflow has it.
type experiment struct {
	ID        string `json:"experiment_id"`
	Name      string `json:"name"`
	Location  string `json:"artifact_location"`
	Stage     string `json:"lifecycle_stage"`
	Updated   int64  `json:"last_update_time"`
	Created   int64  `json:"creation_time"`
	Tags      []pair `json:"tags,omitempty"`
	Workspace string `json:"workspace"`
}

// noteTag is the tag that MLflow keeps a description in.
const noteTag = "mlflow.note.content"

func experimentOf(e *projections.Experiment) experiment {
	v := experiment{ID: e.ExperimentID, Name: e.Name, Location: locationOf(e), Stage: lifecycle(e.Deleted), Updated: e.UpdatedMillis, Created: e.CreatedMillis,
		Tags: pairsOf(e.Tags), Workspace: "default"}
	if _, set := e.Tags[noteTag]; !set && e.Description != "" {
		v.Tags = append(v.Tags, pair{noteTag, e.Description})
	}
	return v
}

// locationOf is the URI under which an experiment's runs keep their files.
func locationOf(e *projections.Experiment) string {
	if e.ArtifactLocation != "" {
		return e.ArtifactLocation
	}
	return artifactScheme + "/" + e.ExperimentID
}

func lifecycle(deleted bool) string {
	if deleted {
		return "deleted"
	}
	return "active"
}

func pairsOf(m map[string]string) (all []pair) {
	for _, k := range slices.Sorted(maps.Keys(m)) {
		all = append(all, pair{k, m[k]})
	}
	return all
}

func (s *Surface) runsView() *projections.Runs { return fold.Of[*projections.Runs](s.Views) }

// experimentAt is an experiment by its id, from its stream where the view has it not yet; nil for one there is none of.
func (s *Surface) experimentAt(ctx context.Context, id string) (*projections.Experiment, error) {
	if id == "" || strings.Trim(id, "0123456789") != "" {
		return nil, invalid("Invalid experiment ID '%s'. Experiment ID must be a valid integer.", api.Short(id))
	}
	e, ok, err := s.runsView().Experiment(id)
	if err == nil && !ok {
		e, ok, err = projections.FoldExperiment(s.Log.Ledger().ReadStream(ctx, "experiment/"+id, 0), fold.At{})
	}
	if err != nil || !ok {
		return nil, err
	}
	return &e, nil
}

// experimentNamedSo is an experiment by its name, from its stream where the view has it not yet.
func (s *Surface) experimentNamedSo(ctx context.Context, name string) (projections.Experiment, bool, error) {
	e, ok, err := s.runsView().ExperimentByName(name)
	if err == nil && !ok {
		e, ok, err = projections.ExperimentNamed(ctx, s.Log.Ledger(), name, fold.At{})
	}
	return e, ok, err
}

// openExperiment is nil if the experiment is there and not deleted.
func (s *Surface) openExperiment(ctx context.Context, id string) error {
	e, err := s.experimentAt(ctx, id)
	switch {
	case err != nil:
		return err
	case e == nil:
		return noExperiment(id)
	case e.Deleted:
		return invalid("The experiment %s must be in the 'active' state. Current state is deleted.", id)
	}
	return nil
}

func noExperiment(id string) error { return missing("No Experiment with id=%s exists", api.Short(id)) }

// act dispatches a command and waits until the views have what became of it.
func (s *Surface) act(r *http.Request, c commands.Command, at int64, views ...string) (streams.Position, error) {
	res, err := s.acted(r, c, at, views...)
	return res.Position, err
}

// acted is [Surface.act] with all that became of the command.
func (s *Surface) acted(r *http.Request, c commands.Command, at int64, views ...string) (handlers.Result, error) {
	m, err := by(r, at)
	if err != nil {
		return handlers.Result{}, err
	}
	res, err := s.Dispatcher.Dispatch(r.Context(), c, m)
	if err != nil {
		return handlers.Result{}, err
	}
	s.Settle(r.Context(), []streams.Position{res.Position}, views...)
	return res, nil
}

// done answers a change of which there is nothing to say.
func done(w http.ResponseWriter, err error) error {
	if err != nil {
		return err
	}
	return api.WriteJSON(w, http.StatusOK, struct{}{})
}

const experimentNameLettersMax = 500

func (s *Surface) createExperiment(w http.ResponseWriter, r *http.Request) error {
	q, err := read(w, r)
	if err != nil {
		return err
	}
	c := &commands.CreateExperiment{Name: q.required("name"), ArtifactLocation: q.text("artifact_location")}
	c.Tags = q.boundedTags(experimentTagLettersMax)
	q.short("name", c.Name, experimentNameLettersMax)
	if q.err != nil {
		return q.err
	}
	if c.ArtifactLocation, err = absolute(c.ArtifactLocation); err != nil {
		return err
	}
	res, err := s.acted(r, c, 0, "runs")
	if err != nil {
		return inWords(err, map[fault.Code]error{fault.Conflict: exists("Experiment(name=%s) already exists.", api.Short(c.Name))})
	}
	id := ""
	for i := range res.Events {
		if created, ok := res.Events[i].Data.(*events.ExperimentCreated); ok {
			id = created.ExperimentID
		}
	}
	return api.WriteJSON(w, http.StatusOK, map[string]string{"experiment_id": id})
}

// absolute is a place of files; a path that is relative is from where this program runs, as MLflow's server has it.
func absolute(location string) (string, error) {
	if location == "" || filepath.IsAbs(location) || strings.Contains(location, ":") {
		return location, nil
	}
	return filepath.Abs(location)
}

// renameExperiment gives an experiment another name. One that another has is refused as the SQL store refuses it.
func (s *Surface) renameExperiment(w http.ResponseWriter, r *http.Request) error {
	q, err := read(w, r)
	if err != nil {
		return err
	}
	c := &commands.RenameExperiment{ExperimentID: q.required("experiment_id"), Name: q.required("new_name")}
	q.short("name", c.Name, experimentNameLettersMax)
	if q.err != nil {
		return q.err
	}
	e, err := s.experimentAt(r.Context(), c.ExperimentID)
	switch {
	case err != nil:
		return err
	case e == nil:
		return noExperiment(c.ExperimentID)
	case e.Deleted:
		return &refusal{codeState, "Cannot rename a non-active experiment.", http.StatusBadRequest}
	}
	_, err = s.act(r, c, 0, "runs")
	return done(w, inWords(err, map[fault.Code]error{fault.NotFound: noExperiment(c.ExperimentID),
		fault.Conflict: &refusal{codeBad, fmt.Sprintf("Experiment(name=%s) already exists.", api.Short(c.Name)), http.StatusBadRequest}}))
}

func (s *Surface) getExperiment(w http.ResponseWriter, r *http.Request) error {
	q, err := read(w, r)
	if err != nil {
		return err
	}
	id := q.required("experiment_id")
	if q.err != nil {
		return q.err
	}
	e, err := s.experimentAt(r.Context(), id)
	if err == nil && e == nil {
		err = noExperiment(id)
	}
	if err != nil {
		return err
	}
	return api.WriteJSON(w, http.StatusOK, map[string]any{"experiment": experimentOf(e)})
}

func (s *Surface) getExperimentByName(w http.ResponseWriter, r *http.Request) error {
	q, err := read(w, r)
	if err != nil {
		return err
	}
	name := q.required("experiment_name")
	if q.err != nil {
		return q.err
	}
	e, ok, err := s.experimentNamedSo(r.Context(), name)
	if err == nil && !ok {
		err = missing("Could not find experiment with name '%s'", api.Short(name))
	}
	if err != nil {
		return err
	}
	return api.WriteJSON(w, http.StatusOK, map[string]any{"experiment": experimentOf(&e)})
}

func (s *Surface) deleteExperiment(w http.ResponseWriter, r *http.Request) error {
	return s.changeExperiment(w, r, func(id string) commands.Command { return &commands.DeleteExperiment{ExperimentID: id} })
}

func (s *Surface) restoreExperiment(w http.ResponseWriter, r *http.Request) error {
	return s.changeExperiment(w, r, func(id string) commands.Command { return &commands.RestoreExperiment{ExperimentID: id} })
}

func (s *Surface) changeExperiment(w http.ResponseWriter, r *http.Request, command func(id string) commands.Command) error {
	q, err := read(w, r)
	if err != nil {
		return err
	}
	id := q.required("experiment_id")
	if q.err != nil {
		return q.err
	}
	if _, err := s.experimentAt(r.Context(), id); err != nil {
		return err
	}
	_, err = s.act(r, command(id), 0, "runs")
	return done(w, inWords(err, map[fault.Code]error{fault.NotFound: noExperiment(id)}))
}

func (s *Surface) setExperimentTag(w http.ResponseWriter, r *http.Request) error {
	q, err := read(w, r)
	if err != nil {
		return err
	}
	id, key := q.required("experiment_id"), q.required("key")
	value := q.bounded("value", experimentTagLettersMax)
	if q.key("key", key); q.err != nil {
		return q.err
	}
	if err := s.openExperiment(r.Context(), id); err != nil {
		return err
	}
	_, err = s.act(r, &commands.SetExperimentTags{ExperimentID: id, Tags: map[string]string{key: value}}, 0, "runs")
	return done(w, inWords(err, map[fault.Code]error{fault.NotFound: noExperiment(id)}))
}

func (s *Surface) deleteExperimentTag(w http.ResponseWriter, r *http.Request) error {
	q, err := read(w, r)
	if err != nil {
		return err
	}
	id, key := q.required("experiment_id"), q.required("key")
	if q.err != nil {
		return q.err
	}
	e, err := s.experimentAt(r.Context(), id)
	switch {
	case err != nil:
		return err
	case e == nil:
		return noExperiment(id)
	}
	_, err = s.act(r, &commands.RemoveExperimentTag{ExperimentID: id, Key: key}, 0, "runs")
	return done(w, inWords(err, map[fault.Code]error{fault.NotFound: missing("No tag with name: %s in experiment with id %s", api.Short(key), id)}))
}

var experimentGrammar = grammar{kinds: everyTag, attrs: map[string]bool{"name": false, "experiment_id": false, "creation_time": true, "last_update_time": true},
	sortable: []string{"name", "experiment_id", "creation_time", "last_update_time"}, again: true, capitals: true, whole: true, lists: []string{"experiment_id"},
	natural: order{{ofAttribute, "creation_time", true, true}, {ofAttribute, "experiment_id", false, false}}, // newest first
	ties:    order{{ofAttribute, "experiment_id", false, true}}}

func experimentHas(e *projections.Experiment) having {
	return func(kind, key string) value {
		if kind == ofTag {
			v, ok := e.Tags[key]
			return value{text: v, is: ok}
		}
		switch key {
		case "name":
			return text(e.Name)
		case "experiment_id":
			return text(e.ExperimentID)
		case "creation_time":
			return number(float64(e.CreatedMillis))
		}
		return number(float64(e.UpdatedMillis))
	}
}

// shows says whether a thing is among those of a view_type: active ones, where none or an unknown one is named.
func shows(view string, deleted bool) bool {
	switch view {
	case "ALL":
		return true
	case "DELETED_ONLY":
		return deleted
	}
	return !deleted
}

func (s *Surface) searchExperiments(w http.ResponseWriter, r *http.Request) error {
	q, err := read(w, r)
	if err != nil {
		return err
	}
	wanted, by, view := q.text("filter"), q.texts("order_by"), q.text("view_type")
	asked := q.page(0, 50_000, false, "experiments", wanted, by, view)
	if q.err != nil {
		return q.err
	}
	f, o, err := experimentGrammar.read(wanted, by)
	if err != nil {
		return err
	}
	pages, err := newPager[experiment](asked, o)
	if err != nil {
		return err
	}
	for e, err := range s.allExperiments() {
		if err != nil {
			return err
		}
		if has := experimentHas(e); shows(view, e.Deleted) && f.holds(has) {
			pages.offer(has, func() experiment { return experimentOf(e) })
		}
	}
	v := struct {
		Experiments []experiment `json:"experiments,omitempty"`
		Next        string       `json:"next_page_token,omitempty"`
	}{}
	if v.Experiments, v.Next, err = pages.end(); err != nil {
		return err
	}
	return api.WriteJSON(w, http.StatusOK, v)
}
