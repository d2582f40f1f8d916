package mlflow

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
)

func (s *Surface) loggedModelRoutes(r routes) {
	r.handle("POST", "mlflow/logged-models", s.createLoggedModel)
	r.handle("POST", "mlflow/logged-models/search", s.searchLoggedModels, "logged-models", "runs", "registry")
	r.handle("GET", "mlflow/logged-models/{id}", s.getLoggedModel, "logged-models", "registry")
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

		Registrations []registration `json:"registrations,omitempty"`
	} `json:"info"`
	Data struct {
		Params  []pair         `json:"params,omitempty"`
		Metrics []loggedMetric `json:"metrics,omitempty"`
	} `json:"data"`
}

// registration is a version of a registered model that a logged model became.
type registration struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

// loggedMetric is a value that a run has measured of a logged model.
type loggedMetric struct {
	runMetric
	ModelID string `json:"model_id"`
	Dataset string `json:"dataset_name,omitempty"`
	Digest  string `json:"dataset_digest,omitempty"`
	RunID   string `json:"run_id"`
}

// loggedMetricsMax is how many values a logged model is shown with; of one with more, the last of each metric.
const loggedMetricsMax = 1000

const registrationsMax = 100 // that a logged model is shown with

// showLogged is a logged model with its metrics, and the versions it became.
func (s *Surface) showLogged(m *projections.LoggedModel, e *projections.Experiment) (loggedModel, error) {
	v := loggedModelOf(m, e)
	metrics, err := s.loggedModels().LastMetrics(m.ModelID, loggedMetricsMax)
	for i := range metrics {
		one := &metrics[i]
		v.Data.Metrics = append(v.Data.Metrics, loggedMetric{metricOf(&one.Metric), one.ModelID, one.DatasetName, one.DatasetDigest, one.RunID})
	}
	if err != nil {
		return v, err
	}
	versions, err := s.registry().ByLoggedModel(m.ModelID)
	for i := range versions[:min(len(versions), registrationsMax)] {
		v.Info.Registrations = append(v.Info.Registrations, registration{versions[i].Name, strconv.Itoa(versions[i].Version)})
	}
	return v, err
}

// measured refuses values of logged models that are not there.
func (s *Surface) measured(ctx context.Context, metrics []events.Metric) error {
	known := ""
	for i := range metrics {
		id := metrics[i].ModelID
		if id == "" || id == known {
			continue
		}
		if m, _, err := s.loggedModelAt(ctx, id); err != nil {
			return err
		} else if m.Deleted {
			return noLoggedModel(id)
		}
		known = id
	}
	return nil
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
	if !isLoggedModelID(id) {
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
	c.Params, _ = q.pairs("params", paramLettersMax)
	c.Tags, _ = q.pairs("tags", tagLettersMax)
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
	v, err := s.showLogged(m, e)
	if err != nil {
		return err
	}
	return api.WriteJSON(w, http.StatusOK, map[string]any{"model": v})
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
	if c.Params, _ = q.pairs("params", paramLettersMax); q.err != nil {
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
	if c.Tags, _ = q.pairs("tags", tagLettersMax); q.err != nil {
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
	files, err := folder(s.loggedModels().Files(m.ModelID), at)
	if err != nil {
		return err
	}
	return api.WriteJSON(w, http.StatusOK, struct {
		Root  string `json:"root_uri"`
		Files []file `json:"files"`
	}{loggedModelURI(m, e), files})
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
	return s.send(w, r, s.loggedModels().Files(m.ModelID), at, at)
}
