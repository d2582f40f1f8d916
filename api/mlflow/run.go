package mlflow

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"maps"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
)

func (s *Surface) runRoutes(r routes) {
	r.handle("POST", "mlflow/runs/create", s.createRun)
	r.handle("GET", "mlflow/runs/get", s.getRun, "runs")
	r.handle("POST", "mlflow/runs/update", s.updateRun)
	r.handle("POST", "mlflow/runs/search", s.searchRuns, "runs")
	r.handle("POST", "mlflow/runs/delete", s.deleteRun)
	r.handle("POST", "mlflow/runs/restore", s.restoreRun)
	r.handle("POST", "mlflow/runs/log-model", s.logModel)
	r.handle("POST", "mlflow/runs/set-tag", s.setTag)
	r.handle("POST", "mlflow/runs/delete-tag", s.deleteTag)
}

// run is a run as MLflow has it.
type run struct {
	Info    runInfo    `json:"info"`
	Data    runData    `json:"data"`
	Inputs  runInputs  `json:"inputs"`
	Outputs runOutputs `json:"outputs"`
}

type runInfo struct {
	UUID        string `json:"run_uuid"` // the same: what older clients call it
	Experiment  string `json:"experiment_id"`
	Name        string `json:"run_name"`
	User        string `json:"user_id"`
	Status      string `json:"status"`
	Start       int64  `json:"start_time"`
	End         int64  `json:"end_time,omitempty"`
	ArtifactURI string `json:"artifact_uri"`
	Stage       string `json:"lifecycle_stage"`
	ID          string `json:"run_id"`
}

type runData struct {
	Metrics []runMetric `json:"metrics,omitempty"`
	Params  []pair      `json:"params,omitempty"`
	Tags    []pair      `json:"tags,omitempty"`
}

type runMetric struct {
	Key       string        `json:"key"`
	Value     events.Number `json:"value"`
	Timestamp int64         `json:"timestamp"`
	Step      int64         `json:"step"`
}

func metricOf(m *events.Metric) runMetric {
	return runMetric{m.Key, kept(m.Value), m.TimestampMillis, m.Step}
}

// kept is a value as MLflow's own store keeps it: of infinities the largest numbers there are.
func kept(n events.Number) events.Number { return min(max(n, -math.MaxFloat64), math.MaxFloat64) }

// Tags that say what a run has apart from them.
const (
	nameTag = "mlflow.runName"
	userTag = "mlflow.user"
	// workflowTag is the workflow run whose task has started the run, as the program's own trainings have it.
	workflowTag = "projectionist.workflow_run"
)

func runOf(r *projections.Run, e *projections.Experiment) *run {
	v := &run{Info: runInfo{UUID: r.RunID, ID: r.RunID, Experiment: r.ExperimentID, Name: r.Name, User: userOf(r), Status: r.Status, Start: r.StartMillis,
		End: r.EndMillis, ArtifactURI: artifactURI(r, e), Stage: lifecycle(r.Deleted || e != nil && e.Deleted)}}
	for _, key := range slices.Sorted(maps.Keys(r.Metrics)) {
		m := r.Metrics[key]
		v.Data.Metrics = append(v.Data.Metrics, metricOf(&m))
	}
	v.Data.Params, v.Data.Tags = pairsOf(r.Params), pairsOf(withName(r))
	return v
}

// wholeOf is a run with all there is. Its metrics are in the memory of those given.
func wholeOf(r *projections.WholeRun, e *projections.Experiment, metrics []runMetric) *run {
	v := runOf(&r.Run, e)
	v.Data.Metrics = metrics[:0]
	for i := range r.Latest {
		v.Data.Metrics = append(v.Data.Metrics, metricOf(&r.Latest[i]))
	}
	v.add(&r.RunData)
	return v
}

// append appends the run as JSON. Its metrics, of which there may be thousands, are written by hand.
func (v *run) append(b []byte) ([]byte, error) {
	rest := *v
	rest.Data.Metrics = nil
	head, err := api.EncodeJSON(&rest)
	if err != nil {
		return b, err
	}
	head = bytes.TrimSpace(head)
	if len(v.Data.Metrics) == 0 {
		return append(b, head...), nil
	}
	const data = `"data":{`
	at := bytes.Index(head, []byte(data)) + len(data) // in a text its quotes would be behind backslashes
	b = append(append(b, head[:at]...), `"metrics":[`...)
	for i := range v.Data.Metrics {
		if i > 0 {
			b = append(b, ',')
		}
		if b, err = v.Data.Metrics[i].append(b); err != nil {
			return b, err
		}
	}
	b = append(b, ']')
	if head[at] != '}' {
		b = append(b, ',')
	}
	return append(b, head[at:]...), nil
}

// append appends the value as JSON: as encoding/json would, which a test holds it to.
func (m *runMetric) append(b []byte) ([]byte, error) {
	b = append(b, `{"key":`...)
	if strings.ContainsFunc(m.Key, func(r rune) bool { return r < ' ' || r > '~' || r == '"' || r == '\\' }) {
		key, err := api.EncodeJSON(m.Key)
		if err != nil {
			return b, err
		}
		b = append(b, bytes.TrimSpace(key)...)
	} else {
		b = append(append(append(b, '"'), m.Key...), '"')
	}
	b = m.Value.AppendJSON(append(b, `,"value":`...))
	b = strconv.AppendInt(append(b, `,"timestamp":`...), m.Timestamp, 10)
	b = strconv.AppendInt(append(b, `,"step":`...), m.Step, 10)
	return append(b, '}'), nil
}

func withName(r *projections.Run) map[string]string {
	tags := map[string]string{}
	maps.Copy(tags, r.Tags)
	if r.Name != "" {
		tags[nameTag] = r.Name
	}
	return tags
}

func userOf(r *projections.Run) string {
	return cmp.Or(r.User, r.Tags[userTag], r.Actor)
}

// runAt is a run by its id with its experiment, from their streams where the view has them not yet.
func (s *Surface) runAt(ctx context.Context, id string) (*projections.Run, *projections.Experiment, error) {
	if !isRunID(id) {
		return nil, nil, noRun(id)
	}
	s.Redeem(ctx, "runs")
	r, ok, err := s.runsView().Run(id)
	if err == nil && !ok {
		r, ok, err = projections.FoldRun(s.Log.Ledger().ReadStream(ctx, "run/"+id, 0), fold.At{})
	}
	if err == nil && !ok {
		err = noRun(id)
	}
	if err != nil {
		return nil, nil, err
	}
	e, err := s.experimentNamed(r.ExperimentID)
	return &r, e, err
}

// experimentNamed is the experiment that a run or a logged model names, nil where there is none: they are recorded
// whether it is known or not.
func (s *Surface) experimentNamed(id string) (*projections.Experiment, error) {
	e, ok, err := s.runsView().Experiment(id)
	if err != nil || !ok {
		return nil, err
	}
	return &e, nil
}

func isRunID(id string) bool { return len(id) == 32 && strings.Trim(id, "0123456789abcdef") == "" }

func isLoggedModelID(id string) bool {
	digits, ok := strings.CutPrefix(id, "m-")
	return ok && isRunID(digits)
}

func noRun(id string) error { return missing("Run with id=%s not found", api.Short(id)) }

// runID reads which run a request is of.
func (q *request) runID() string {
	if !q.has("run_id") && q.has("run_uuid") { // what older clients call it
		return q.text("run_uuid")
	}
	return q.required("run_id")
}

func (s *Surface) createRun(w http.ResponseWriter, r *http.Request) error {
	q, err := read(w, r)
	if err != nil {
		return err
	}
	c := &commands.StartRun{ExperimentID: q.text("experiment_id"), Name: q.text("run_name")}
	start := q.whole("start_time", 0)
	c.User = cut(q.text("user_id"), commands.NameBytesMax)
	c.Tags, _ = q.pairs("tags", tagLettersMax)
	if c.ExperimentID == "" {
		c.ExperimentID = "0"
	}
	if tagged := c.Tags[nameTag]; tagged != "" {
		if c.Name != "" && c.Name != tagged {
			q.fault(invalid("Both 'run_name' argument and 'mlflow.runName' tag are specified, but with different values (run_name='%s', mlflow.runName='%s').", api.Short(c.Name), api.Short(tagged)))
		}
		c.Name = tagged
	}
	delete(c.Tags, nameTag) // the run's name is one, and may change
	if q.err != nil {
		return q.err
	}
	if err := s.openExperiment(r.Context(), c.ExperimentID); err != nil {
		return err
	}
	m, err := by(r, start)
	if err != nil {
		return err
	}
	c.RunID = api.Keyed(m, "run")
	if of := c.Tags[workflowTag]; len(of) <= events.IDBytesMax && !strings.ContainsFunc(of, unicode.IsControl) { // a task's command says which
		c.WorkflowRun = of
	}
	if c.Name == "" {
		c.Name = madeUp(c.RunID)
	}
	if len(c.Tags) > commands.PairsMax {
		return invalid("the run has %d tags; the most at once is %d", len(c.Tags), commands.PairsMax)
	}
	if _, err := s.act(r, c, start, "runs"); err != nil {
		return err
	}
	return s.answerRun(w, r, c.RunID)
}

func (s *Surface) answerRun(w http.ResponseWriter, r *http.Request, id string) error {
	v, e, err := s.runAt(r.Context(), id)
	if err != nil {
		return err
	}
	shown := runOf(v, e)
	if err := s.addData(shown); err != nil {
		return err
	}
	return api.WriteJSON(w, http.StatusOK, map[string]any{"run": shown})
}

// madeUp is a name for a run that was given none: words are easier to tell apart than digits.
func madeUp(id string) string {
	n, _ := strconv.ParseUint(id[:8], 16, 32) //nolint:errcheck // of hex digits
	first := [...]string{"bold", "bright", "calm", "clever", "deep", "early", "fair", "gentle", "keen", "late", "mild", "quick", "quiet", "sharp", "steady", "wise"}
	second := [...]string{"badger", "crane", "deer", "fox", "gull", "hare", "heron", "lark", "lynx", "moth", "otter", "owl", "ram", "seal", "swan", "wren"}
	return first[n%16] + "-" + second[n/16%16] + "-" + strconv.FormatUint(n/256%1000, 10)
}

func (s *Surface) getRun(w http.ResponseWriter, r *http.Request) error {
	q, err := read(w, r)
	if err != nil {
		return err
	}
	id := q.runID()
	if q.err != nil {
		return q.err
	}
	return s.answerRun(w, r, id)
}

// statuses are those a run can have; another is passed over, as MLflow does.
var statuses = []string{"RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED"}

func (s *Surface) updateRun(w http.ResponseWriter, r *http.Request) error {
	q, err := read(w, r)
	if err != nil {
		return err
	}
	c := &commands.UpdateRun{RunID: q.runID(), Status: q.text("status"), Name: q.text("run_name")}
	end := q.whole("end_time", 0)
	if q.err != nil {
		return q.err
	}
	if !slices.Contains(statuses, c.Status) {
		c.Status = ""
	}
	if err := s.change(r, c.RunID, c, end); err != nil {
		return err
	}
	v, e, err := s.runAt(r.Context(), c.RunID)
	if err != nil {
		return err
	}
	return api.WriteJSON(w, http.StatusOK, map[string]any{"run_info": runOf(v, e).Info})
}

// change dispatches a command on a run, and refuses as MLflow does.
func (s *Surface) change(r *http.Request, id string, c commands.Command, at int64) error {
	if !isRunID(id) {
		return noRun(id)
	}
	var err error
	if batch, ok := c.(*commands.LogBatch); ok {
		err = s.log(r, batch)
	} else {
		_, err = s.act(r, c, at, "runs")
	}
	var own *fault.Error
	if errors.As(err, &own) && strings.HasPrefix(own.Field, "params.") && own.Code == fault.Invalid {
		return s.paramSet(r, id, strings.TrimPrefix(own.Field, "params."), c, err)
	}
	return inWords(err, map[fault.Code]error{fault.NotFound: noRun(id),
		fault.Conflict: invalid("The run %s must be in the 'active' state. Current state is deleted.", id)})
}

// log dispatches a batch, and promises it: a training loop does not wait until each of its points is folded.
func (s *Surface) log(r *http.Request, c *commands.LogBatch) error {
	m, err := by(r, 0)
	if err != nil {
		return err
	}
	res, err := s.Dispatcher.Dispatch(r.Context(), c, m)
	if err == nil {
		s.Promise(r.Context(), res.Position, "runs")
	}
	return err
}

// paramSet says that a param has another value already.
func (s *Surface) paramSet(r *http.Request, id, key string, c commands.Command, err error) error {
	batch, ok := c.(*commands.LogBatch)
	v, _, readErr := s.runAt(r.Context(), id)
	if !ok || readErr != nil || v.Params[key] == batch.Params[key] {
		return err
	}
	return invalid("Changing param values is not allowed. Param with key='%s' was already logged with value='%s' for run ID='%s'. Attempted logging new value '%s'.",
		key, api.Short(v.Params[key]), id, api.Short(batch.Params[key]))
}

func (s *Surface) deleteRun(w http.ResponseWriter, r *http.Request) error {
	return s.markRun(w, r, func(id string) commands.Command { return &commands.DeleteRun{RunID: id} })
}

func (s *Surface) restoreRun(w http.ResponseWriter, r *http.Request) error {
	return s.markRun(w, r, func(id string) commands.Command { return &commands.RestoreRun{RunID: id} })
}

func (s *Surface) markRun(w http.ResponseWriter, r *http.Request, command func(id string) commands.Command) error {
	q, err := read(w, r)
	if err != nil {
		return err
	}
	id := q.runID()
	if q.err != nil {
		return q.err
	}
	return done(w, s.change(r, id, command(id), 0))
}

func (s *Surface) setTag(w http.ResponseWriter, r *http.Request) error {
	q, err := read(w, r)
	if err != nil {
		return err
	}
	id, key := q.runID(), q.required("key")
	value := cut(q.text("value"), tagLettersMax)
	if q.key("key", key); q.err != nil {
		return q.err
	}
	return done(w, s.tag(r, &commands.LogBatch{RunID: id, Tags: map[string]string{key: value}}))
}

// tag logs a batch. The tag of the run's name renames it.
func (s *Surface) tag(r *http.Request, c *commands.LogBatch) error {
	name, renamed := c.Tags[nameTag]
	delete(c.Tags, nameTag)
	if len(c.Metrics)+len(c.Params)+len(c.Tags) > 0 || !renamed {
		if err := s.change(r, c.RunID, c, 0); err != nil {
			return err
		}
	}
	if !renamed {
		return nil
	}
	return s.change(r, c.RunID, &commands.UpdateRun{RunID: c.RunID, Name: cut(name, commands.NameBytesMax)}, 0)
}

func (s *Surface) deleteTag(w http.ResponseWriter, r *http.Request) error {
	q, err := read(w, r)
	if err != nil {
		return err
	}
	id, key := q.runID(), q.required("key")
	if q.err != nil {
		return q.err
	}
	if _, _, err := s.runAt(r.Context(), id); err != nil {
		return err
	}
	_, err = s.act(r, &commands.RemoveTag{RunID: id, Key: key}, 0, "runs")
	return done(w, inWords(err, map[fault.Code]error{fault.NotFound: missing("No tag with name: %s in run with id %s", api.Short(key), id),
		fault.Conflict: invalid("The run %s must be in the 'active' state. Current state is deleted.", id)}))
}

var runGrammar = grammar{
	kinds: merged(everyTag, map[string]string{"metric": ofMetric, "metrics": ofMetric, "param": ofParam, "params": ofParam, "parameter": ofParam, "parameters": ofParam, "run": ofAttribute, "dataset": ofDataset, "datasets": ofDataset}),
	attrs: map[string]bool{"run_id": false, "run_name": false, "status": false, "user_id": false, "artifact_uri": false, "start_time": true, "end_time": true},
	lists: []string{"run_id"},
	alias: map[string]string{"run name": "run_name", "Run name": "run_name", "Run Name": "run_name", "created": "start_time", "Created": "start_time"},
	ties:  order{{ofAttribute, "start_time", true, true}, {ofAttribute, "run_id", false, false}}, // newest first, of one moment by id
}

func merged(a, b map[string]string) map[string]string {
	all := maps.Clone(a)
	maps.Copy(all, b)
	return all
}
