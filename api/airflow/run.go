package airflow

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

func (s *Surface) runRoutes(r *api.Routes) {
	r.Handle("POST /api/v1/dags/{dag}/dagRuns", s.trigger, "workflows")
	r.Handle("GET /api/v1/dags/{dag}/dagRuns", s.runs, "workflows")
	r.Handle("GET /api/v1/dags/{dag}/dagRuns/{run}", s.run, "workflows")
}

// dagRun is a run as Airflow has it. Its logical date is when it was asked for, or the beginning of its schedule's interval.
type dagRun struct {
	DAG           string         `json:"dag_id"`
	ID            string         `json:"dag_run_id"`
	Logical       string         `json:"logical_date"`
	Execution     string         `json:"execution_date"`
	IntervalStart string         `json:"data_interval_start"`
	IntervalEnd   string         `json:"data_interval_end"`
	Start         *string        `json:"start_date"`
	End           *string        `json:"end_date"`
	Decided       *string        `json:"last_scheduling_decision"`
	Type          string         `json:"run_type"`
	State         string         `json:"state"`
	External      bool           `json:"external_trigger"`
	Conf          map[string]any `json:"conf"`
	Note          *string        `json:"note"`
}

func dagRunOf(run *projections.WorkflowRun) dagRun {
	at := iso(run.LogicalMillis)
	v := dagRun{DAG: run.Workflow, ID: run.RunID, Logical: at, Execution: at, IntervalStart: at, IntervalEnd: iso(run.IntervalEndMillis),
		Start: optional(run.StartedMillis), End: optional(run.EndedMillis), Decided: optional(run.UpdatedMillis),
		Type: run.RunType, State: run.State, External: run.RunType == "manual", Conf: map[string]any{}}
	if v.State == projections.StateCancelled { // which Airflow has not
		v.State = projections.StateFailed
	}
	if v.Type == "triggered" {
		v.Type = "dataset_triggered" // Airflow's word for a run that data has asked for
	}
	for name, value := range run.Conf {
		v.Conf[name] = value
	}
	if run.Note != "" {
		v.Note = &run.Note
	}
	return v
}

// trigger asks for a run. A run's conf is a flat object of the workflow's parameters.
func (s *Surface) trigger(w http.ResponseWriter, r *http.Request) error {
	wf, err := s.workflow(r)
	if err != nil {
		return err
	}
	body, err := api.ReadBody(w, r, api.BodyBytesMax)
	if err != nil {
		return err
	}
	var v struct {
		ID      string          `json:"dag_run_id"`
		Conf    json.RawMessage `json:"conf"`
		Note    string          `json:"note"`
		Logical *string         `json:"logical_date"`
		Date    *string         `json:"execution_date"`
		State   *string         `json:"state"`
	}
	if len(strings.TrimSpace(string(body))) > 0 {
		if err := api.Unmarshal(body, &v); err != nil {
			return err
		}
	}
	if v.Logical != nil || v.Date != nil {
		return fault.Field("logical_date", "cannot be chosen: a run's logical date is when it is asked for").WithHint("leave it out")
	}
	conf, err := confOf(v.Conf)
	if err != nil {
		return err
	}
	run, err := s.ask(r, &wf, asked{id: v.ID, conf: conf, note: v.Note})
	if err != nil {
		return err
	}
	return api.WriteJSON(w, http.StatusOK, dagRunOf(&run))
}

// asked is a run that is asked for by hand. start and end, in Unix milliseconds, are what it is for; 0 both: when it is asked for.
type asked struct {
	id, note   string // an id is made where there is none
	conf       map[string]string
	start, end int64
}

// ask asks for a run, and gives it as it is then. Errors: fault.Conflict where there is one of that id.
func (s *Surface) ask(r *http.Request, wf *projections.KnownWorkflow, v asked) (run projections.WorkflowRun, err error) {
	m, err := api.MetaOf(r)
	if err != nil {
		return run, err
	}
	if _, err := s.Workflows.Conf(wf, v.conf); err != nil {
		return run, inConf(err)
	}
	now := s.Now()
	if v.id == "" {
		v.id = "manual__" + now.UTC().Format("2006-01-02T15:04:05.000000+00:00")
		if m.IdempotencyKey != "" {
			v.id = api.Keyed(m, "workflow-run/"+wf.Name)
		}
	}
	if m.IfMatch == nil && m.IdempotencyKey == "" {
		none := streams.NoStream
		m.IfMatch = &none
	}
	res, err := s.Dispatcher.Dispatch(r.Context(), &commands.RequestWorkflowRun{RunID: v.id, Workflow: wf.Name, RunType: "manual", Conf: v.conf, Note: v.note,
		LogicalMillis: v.start, IntervalEndMillis: v.end}, m)
	if fault.Is(err, fault.Conflict) {
		return run, fault.New(fault.Conflict, "DAGRun with DAG ID: '%s' and DAGRun ID: '%s' already exists", wf.Name, api.Short(v.id))
	}
	if err != nil {
		return run, err
	}
	s.Settle(r.Context(), []streams.Position{res.Position}, "workflows")
	run, ok, err := fold.Of[*projections.Workflows](s.Views).Run(v.id)
	if err == nil && !ok { // the view is behind, the run is in the log
		run = projections.WorkflowRun{RunID: v.id, Workflow: wf.Name, RunType: "manual", Conf: v.conf, Note: v.note, State: projections.StateQueued, Actor: m.Actor,
			RequestedMillis: now.UnixMilli(), LogicalMillis: now.UnixMilli(), IntervalEndMillis: now.UnixMilli()}
		if v.end != 0 {
			run.LogicalMillis, run.IntervalEndMillis = v.start, v.end
		}
	}
	return run, err
}

// confOf reads a run's conf: an object of single values.
func confOf(raw json.RawMessage) (map[string]string, error) {
	if len(raw) == 0 || string(raw) == "null" {
		return nil, nil
	}
	var values map[string]json.RawMessage
	if json.Unmarshal(raw, &values) != nil {
		return nil, fault.Field("conf", "%s is not of type 'object'", api.Short(string(raw)))
	}
	conf := map[string]string{}
	var faults []error
	for name, value := range values {
		var single api.Scalar
		if err := json.Unmarshal(value, &single); err != nil {
			faults = append(faults, fault.Field("conf."+name, "must be text, a number or a truth value"))
			continue
		}
		conf[name] = string(single)
	}
	return conf, errors.Join(faults...)
}

// inConf names the parameter in the conf that a fault is of.
func inConf(err error) error {
	var f *fault.Error
	if errors.As(err, &f) && f.Field != "" && !strings.HasPrefix(f.Field, "conf") {
		within := *f
		within.Field = "conf." + f.Field
		return &within
	}
	return err
}

var states = []string{projections.StateQueued, projections.StateRunning, projections.StateSuccess, projections.StateFailed}

// runs lists the runs of a workflow, or of all (~), newest first.
func (s *Surface) runs(w http.ResponseWriter, r *http.Request) error {
	q := api.QueryOf(r, "limit", "offset", "state", "order_by", "execution_date_gte", "execution_date_lte", "start_date_gte", "start_date_lte",
		"end_date_gte", "end_date_lte", "updated_at_gte", "updated_at_lte", "fields")
	limit, offset := q.Number("limit", limitDefault, 1, limitMax), q.Number("offset", 0, 0, offsetMax)
	wanted := r.URL.Query()["state"]
	for _, state := range wanted {
		if !slices.Contains(states, state) {
			q.Fault("state", "'%s' is not one of %s", api.Short(state), strings.Join(states, ", "))
		}
	}
	between := map[string][2]int64{}
	for _, what := range []string{"execution_date", "start_date", "end_date", "updated_at"} {
		between[what] = [2]int64{q.Millis(what + "_gte"), q.Millis(what + "_lte")}
	}
	order, back := strings.CutPrefix(q.Str("order_by"), "-")
	millis, ok := orders[order]
	if !ok {
		q.Fault("order_by", "Ordering with '%s' is disallowed or the attribute does not exist on the model", api.Short(order))
	}
	if err := q.Err(); err != nil {
		return err
	}
	name := r.PathValue("dag")
	if name == "~" {
		name = ""
	}
	all, err := fold.Of[*projections.Workflows](s.Views).Select(name, func(run *projections.WorkflowRun) bool {
		return (len(wanted) == 0 || slices.Contains(wanted, run.State)) && within(run.LogicalMillis, between["execution_date"]) &&
			within(run.StartedMillis, between["start_date"]) && within(run.EndedMillis, between["end_date"]) && within(run.UpdatedMillis, between["updated_at"])
	})
	if err != nil {
		return err
	}
	slices.SortStableFunc(all, func(a, b projections.WorkflowRun) int {
		x, y := millis(&a), millis(&b)
		if back {
			x, y = y, x
		}
		return int(min(max(x-y, -1), 1))
	})
	list := []dagRun{}
	for _, run := range page(all, offset, limit) {
		list = append(list, dagRunOf(&run))
	}
	return api.WriteJSON(w, http.StatusOK, map[string]any{"dag_runs": list, "total_entries": len(all)})
}

// orders are what runs can be ordered by; Airflow's own order, where nothing is asked, is that of their coming.
var orders = map[string]func(*projections.WorkflowRun) int64{
	"": func(r *projections.WorkflowRun) int64 { return r.RequestedMillis }, "id": func(r *projections.WorkflowRun) int64 { return r.RequestedMillis },
	"execution_date": func(r *projections.WorkflowRun) int64 { return r.LogicalMillis }, "logical_date": func(r *projections.WorkflowRun) int64 { return r.LogicalMillis },
	"start_date": func(r *projections.WorkflowRun) int64 { return r.StartedMillis }, "end_date": func(r *projections.WorkflowRun) int64 { return r.EndedMillis },
	"updated_at": func(r *projections.WorkflowRun) int64 { return r.UpdatedMillis },
}

// within says whether a time, 0 for none, lies between two of which each may be 0 for no bound.
func within(millis int64, between [2]int64) bool {
	return (between[0] == 0 || millis >= between[0]) && (between[1] == 0 || millis != 0 && millis <= between[1])
}

func (s *Surface) run(w http.ResponseWriter, r *http.Request) error {
	run, err := s.runOf(r)
	if err != nil {
		return err
	}
	return api.WriteJSON(w, http.StatusOK, dagRunOf(&run))
}

// runOf is the run that a request names.
func (s *Surface) runOf(r *http.Request) (projections.WorkflowRun, error) {
	name, id := r.PathValue("dag"), r.PathValue("run")
	run, ok, err := fold.Of[*projections.Workflows](s.Views).Run(id)
	if err == nil && (!ok || name != "~" && run.Workflow != name) {
		err = fault.New(fault.NotFound, "DAGRun with DAG ID: '%s' and DagRun ID: '%s' not found", api.Short(name), api.Short(id))
	}
	return run, err
}

// timeOf is a time as Airflow writes it in a log.
func timeOf(millis int64) string {
	return time.UnixMilli(millis).UTC().Format("2006-01-02T15:04:05.000+0000")
}
