package mlflow

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
)

func (s *Surface) loggedModelRoutes(r routes) {
	r.handle("POST", "mlflow/logged-models", s.createLoggedModel)
	r.handle("POST", "mlflow/logged-models/search", s.searchLoggedModels, "logged-models", "runs")
	r.handle("GET", "mlflow/logged-models/{id}", s.getLoggedModel, "logged-models")
	r.handle("PATCH", "mlflow/logged-models/{id}", s.finalizeLoggedModel)
	r.handle("DELETE", "mlflow/logged-models/{id}", s.deleteLoggedModel)
	r.handle("POST", "mlflow/logged-models/{id}/params", s.logLoggedModelParams)
	r.handle("PATCH", "mlflow/logged-models/{id}/tags", s.setLoggedModelTags)
	r.handle("DELETE", "mlflow/logged-models/{id}/tags/{key...}", s.deleteLoggedModelTag)
	r.handle("GET", "mlflow/logged-models/{id}/artifacts/directories", s.listLoggedModel, "logged-models")
	r.handle("GET", "mlflow/logged-models/{id}/artifacts/files", s.getLoggedModelFile, "logged-models")
}

// loggedModel is a logged model as MLflow has it.
type loggedModel struct {
	Info struct {
		ID          string `json:"model_id"`
		Experiment  string `json:"experiment_id"`
		Name        string `json:"name"`
		Created     int64  `json:"creation_timestamp_ms"`
		Updated     int64  `json:"last_updated_timestamp_ms"`
		ArtifactURI string `json:"artifact_uri"`
		Status      string `json:"status"`
		Type        string `json:"model_type"`
		SourceRun   string `json:"source_run_id,omitempty"`
		Tags        []pair `json:"tags,omitempty"`
	} `json:"info"`
	Data struct {
		Params []pair `json:"params,omitempty"`
	} `json:"data"`
}

func loggedModelOf(m *projections.LoggedModel, e *projections.Experiment) (v loggedModel) {
	i := &v.Info
	i.ID, i.Experiment, i.Name, i.Type, i.SourceRun = m.ModelID, m.ExperimentID, m.Name, m.ModelType, m.SourceRunID
	i.Created, i.Updated, i.ArtifactURI, i.Status, i.Tags = m.CreatedMillis, m.UpdatedMillis, loggedModelURI(m, e), loggedStatuses[m.Status], pairsOf(m.Tags)
	v.Data.Params = pairsOf(m.Params)
	return v
}

// loggedStatuses are the statuses of logged models as MLflow spells them.
var loggedStatuses = map[string]string{"": "LOGGED_MODEL_PENDING", "READY": "LOGGED_MODEL_READY", "FAILED": "LOGGED_MODEL_UPLOAD_FAILED"}

// loggedModelURI is where a logged model keeps its files.
func loggedModelURI(m *projections.LoggedModel, e *projections.Experiment) string {
	return strings.TrimSuffix(locationIn(m.ExperimentID, e), "/") + "/models/" + m.ModelID + "/artifacts"
}

func noLoggedModel(id string) error {
	return missing("Logged model with ID '%s' not found.", api.Short(id))
}

func (s *Surface) loggedModels() *projections.LoggedModels {
	return fold.Of[*projections.LoggedModels](s.Views)
}

// loggedModelAt is a logged model by its id with its experiment, from its stream where the view has it not yet. One that
// is deleted is there too.
func (s *Surface) loggedModelAt(ctx context.Context, id string) (*projections.LoggedModel, *projections.Experiment, error) {
	if digits, ok := strings.CutPrefix(id, "m-"); !ok || !isRunID(digits) {
		return nil, nil, noLoggedModel(id)
	}
	m, ok, err := s.loggedModels().Model(id)
	if err == nil && !ok {
		m, ok, err = projections.FoldLoggedModel(s.Log.Ledger().ReadStream(ctx, "logged-model/"+id, 0), fold.At{})
	}
	if err == nil && !ok {
		err = noLoggedModel(id)
	}
	if err != nil {
		return nil, nil, err
	}
	e, err := s.experimentNamed(m.ExperimentID)
	return &m, e, err
}

func (s *Surface) createLoggedModel(w http.ResponseWriter, r *http.Request) error {
	q, err := read(w, r)
	if err != nil {
		return err
	}
	c := &commands.CreateLoggedModel{ExperimentID: q.required("experiment_id"), Name: q.text("name"), ModelType: q.text("model_type"), SourceRunID: q.text("source_run_id")}
	c.Params, _ = q.pairs("params", commands.ParamBytesMax)
	c.Tags, _ = q.pairs("tags", commands.TagBytesMax)
	if strings.ContainsAny(c.Name, "/:.%\"'") {
		q.fault(invalid("Invalid model name ('%s') provided. Model name must be a non-empty string and cannot contain the following characters: ('/', ':', '.', '%%', '\"', \"'\")", api.Short(c.Name)))
	}
	if q.err != nil {
		return q.err
	}
	if err := s.openExperiment(r.Context(), c.ExperimentID); err != nil {
		return err
	}
	m, err := by(r, 0)
	if err != nil {
		return err
	}
	id := api.Keyed(m, "logged-model")
	if c.ModelID = "m-" + id; c.Name == "" {
		c.Name = madeUp(id)
	}
	if _, err := s.act(r, c, 0, "logged-models"); err != nil {
		return err
	}
	return s.answerLoggedModel(w, r, c.ModelID, false)
}

// answerLoggedModel answers with a logged model, with a deleted one only if that is asked for.
func (s *Surface) answerLoggedModel(w http.ResponseWriter, r *http.Request, id string, deleted bool) error {
	m, e, err := s.loggedModelAt(r.Context(), id)
	if err == nil && m.Deleted && !deleted {
		err = noLoggedModel(id)
	}
	if err != nil {
		return err
	}
	return api.WriteJSON(w, http.StatusOK, map[string]any{"model": loggedModelOf(m, e)})
}

func (s *Surface) getLoggedModel(w http.ResponseWriter, r *http.Request) error {
	q, err := read(w, r)
	if err != nil {
		return err
	}
	return s.answerLoggedModel(w, r, r.PathValue("id"), strings.EqualFold(q.text("allow_deleted"), "true"))
}

// changeLogged dispatches a command on a logged model, and refuses as MLflow does.
func (s *Surface) changeLogged(r *http.Request, id string, c commands.Command) error {
	m, _, err := s.loggedModelAt(r.Context(), id)
	if err == nil && m.Deleted {
		err = noLoggedModel(id)
	}
	if err != nil {
		return err
	}
	_, err = s.act(r, c, 0, "logged-models")
	if own := (*fault.Error)(nil); errors.As(err, &own) && own.Code == fault.NotFound && own.Field == "model_id" {
		return noLoggedModel(id)
	}
	return err
}

func (s *Surface) finalizeLoggedModel(w http.ResponseWriter, r *http.Request) error {
	q, err := read(w, r)
	if err != nil {
		return err
	}
	c := &commands.FinalizeLoggedModel{ModelID: r.PathValue("id")}
	q.needs("status")
	switch raw := strings.Trim(string(q.raw("status")), `"`); raw {
	case loggedStatuses["READY"], "2":
		c.Status = "READY"
	case loggedStatuses["FAILED"], "3":
		c.Status = "FAILED"
	default:
		q.fault(invalid("Invalid model status: %s. Expected statuses: [READY, FAILED]", api.Short(raw)))
	}
	if q.err != nil {
		return q.err
	}
	if err := s.changeLogged(r, c.ModelID, c); err != nil {
		return err
	}
	return s.answerLoggedModel(w, r, c.ModelID, false)
}

func (s *Surface) deleteLoggedModel(w http.ResponseWriter, r *http.Request) error {
	id := r.PathValue("id")
	return done(w, s.changeLogged(r, id, &commands.DeleteLoggedModel{ModelID: id}))
}

func (s *Surface) logLoggedModelParams(w http.ResponseWriter, r *http.Request) error {
	q, err := read(w, r)
	if err != nil {
		return err
	}
	c := &commands.LogLoggedModelParams{ModelID: r.PathValue("id")}
	if c.Params, _ = q.pairs("params", commands.ParamBytesMax); q.err != nil {
		return q.err
	}
	if len(c.Params) == 0 {
		return done(w, nil)
	}
	return done(w, s.changeLogged(r, c.ModelID, c))
}

func (s *Surface) setLoggedModelTags(w http.ResponseWriter, r *http.Request) error {
	q, err := read(w, r)
	if err != nil {
		return err
	}
	c := &commands.SetLoggedModelTags{ModelID: r.PathValue("id")}
	if c.Tags, _ = q.pairs("tags", commands.TagBytesMax); q.err != nil {
		return q.err
	}
	if len(c.Tags) == 0 {
		return done(w, nil)
	}
	return done(w, s.changeLogged(r, c.ModelID, c))
}

func (s *Surface) deleteLoggedModelTag(w http.ResponseWriter, r *http.Request) error {
	id, key := r.PathValue("id"), r.PathValue("key")
	err := s.changeLogged(r, id, &commands.RemoveLoggedModelTag{ModelID: id, Key: key})
	return done(w, inWords(err, map[fault.Code]error{fault.NotFound: missing("No tag with key '%s' found for model with ID '%s'.", api.Short(key), id)}))
}

// listLoggedModel lists a folder of a logged model's files.
func (s *Surface) listLoggedModel(w http.ResponseWriter, r *http.Request) error {
	q, err := read(w, r)
	if err != nil {
		return err
	}
	at := strings.TrimSuffix(q.text("artifact_directory_path"), "/")
	if !within(at) {
		return invalid("Invalid path")
	}
	m, e, err := s.loggedModelAt(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	return api.WriteJSON(w, http.StatusOK, struct {
		Root  string `json:"root_uri"`
		Files []file `json:"files"`
	}{loggedModelURI(m, e), folder(m.Artifacts, at)})
}

func (s *Surface) getLoggedModelFile(w http.ResponseWriter, r *http.Request) error {
	q, err := read(w, r)
	if err != nil {
		return err
	}
	at := q.required("artifact_file_path")
	if q.err != nil {
		return q.err
	}
	m, _, err := s.loggedModelAt(r.Context(), r.PathValue("id"))
	if err != nil {
		return err
	}
	return s.send(w, r, m.Artifacts, at, at)
}

var loggedModelGrammar = grammar{kinds: runGrammar.kinds, attrs: map[string]bool{"name": false, "model_id": false, "model_type": false, "source_run_id": false, "experiment_id": false, "status": false,
	"creation_timestamp": true, "last_updated_timestamp": true}, again: true, anyList: true, noNull: true, named: true,
	alias: map[string]string{"creation_timestamp_ms": "creation_timestamp", "creation_time": "creation_timestamp", "last_updated_timestamp_ms": "last_updated_timestamp"},
	ties:  order{{ofAttribute, "creation_timestamp", true, true}, {ofAttribute, "model_id", false, false}}} // newest first

func loggedModelHas(m *projections.LoggedModel) having {
	return func(kind, key string) value {
		switch kind {
		case ofMetric: // those that are logged with a model's id are its run's
			return value{}
		case ofParam:
			v, ok := m.Params[key]
			return value{text: v, is: ok}
		case ofTag:
			v, ok := m.Tags[key]
			return value{text: v, is: ok}
		}
		switch key {
		case "name":
			return text(m.Name)
		case "model_id":
			return text(m.ModelID)
		case "model_type":
			return text(m.ModelType)
		case "source_run_id":
			return text(m.SourceRunID)
		case "experiment_id":
			return text(m.ExperimentID)
		case "status":
			return text(strings.TrimPrefix(loggedStatuses[m.Status], "LOGGED_MODEL_"))
		case "last_updated_timestamp":
			return number(float64(m.UpdatedMillis))
		}
		return number(float64(m.CreatedMillis))
	}
}

// loggedOrder reads by what a search of logged models is to be ordered: fields and ways.
func (q *request) loggedOrder() (by []string) {
	var list []struct {
		Field     string `json:"field_name"`
		Ascending *bool  `json:"ascending"`
	}
	if raw := q.raw("order_by"); raw != nil && json.Unmarshal(raw, &list) != nil {
		q.wrong("order_by", raw)
	}
	for _, o := range list {
		if o.Ascending != nil && !*o.Ascending {
			o.Field += " DESC"
		}
		by = append(by, o.Field)
	}
	return by
}

// Bounds of a search of logged models.
const (
	loggedDefault = 100
	loggedMax     = 1000
)

func (s *Surface) searchLoggedModels(w http.ResponseWriter, r *http.Request) error {
	q, err := read(w, r)
	if err != nil {
		return err
	}
	ids, wanted, by := q.texts("experiment_ids"), q.text("filter"), q.loggedOrder()
	var datasets []json.RawMessage
	if raw := q.raw("datasets"); raw != nil && json.Unmarshal(raw, &datasets) != nil {
		q.wrong("datasets", raw)
	}
	asked := q.page(loggedDefault, loggedMax, false, "logged models", wanted, by, ids, datasets)
	if len(ids) > experimentsAtOnce {
		q.fault(invalid("a search takes at most %d experiments, not %d", experimentsAtOnce, len(ids)))
	}
	if q.err != nil {
		return q.err
	}
	f, o, err := loggedModelGrammar.read(wanted, by)
	if err != nil {
		return err
	}
	pages, err := newPager[string](asked, o)
	if err != nil {
		return err
	}
	slices.Sort(ids)
	for _, id := range slices.Compact(ids) {
		if len(datasets) > 0 { // models with metrics on them
			break
		}
		if err = s.findLogged(r.Context(), pages, id, f); err != nil {
			return err
		}
	}
	v := struct {
		Models []loggedModel `json:"models,omitempty"`
		Next   string        `json:"next_page_token,omitempty"`
	}{}
	found, next, err := pages.end()
	if v.Next = next; err != nil {
		return err
	}
	for _, id := range found {
		m, e, err := s.loggedModelAt(r.Context(), id)
		if err != nil {
			return err
		}
		v.Models = append(v.Models, loggedModelOf(m, e))
	}
	return api.WriteJSON(w, http.StatusOK, v)
}

// findLogged offers the logged models of one experiment that fit. They themselves are read when they are answered.
func (s *Surface) findLogged(ctx context.Context, pages *pager[string], experiment string, f filter) error {
	if e, err := s.experimentNamed(experiment); err != nil || e == nil || e.Deleted {
		return err
	}
	models := everyOne(func(q fold.PageQuery) (fold.Page[projections.LoggedModel], error) {
		return s.loggedModels().Models(experiment, q)
	})
	for m, err := range models {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		if has := loggedModelHas(m); !m.Deleted && f.holds(has) {
			pages.offer(has, func() string { return m.ModelID })
		}
	}
	return nil
}
