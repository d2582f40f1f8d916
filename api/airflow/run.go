package airflow

import (
	"encoding/json"
	"errors"
	"net/http"
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
	r.Handle("DELETE /api/v1/dags/{dag}/dagRuns/{run}", s.deleteRun, "workflows")
	r.Read("POST /api/v1/dags/~/dagRuns/list", s.runBatch, "workflows")
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

// requested is what a run is asked for with.
type requested struct {
	ID      string          `json:"dag_run_id"`
	Conf    json.RawMessage `json:"conf"`
	Note    string          `json:"note"`
	Logical *string         `json:"logical_date"`
	Date    *string         `json:"execution_date"` // its name of before
	Start   *string         `json:"data_interval_start"`
	End     *string         `json:"data_interval_end"`
	State   *string         `json:"state"` // which is the program's to say
}

// times are the run's logical date, and the end of its interval: 0 both where none is asked for.
func (v *requested) times() (logical, end int64, err error) {
	var errs faults
	read := func(name string, text *string) (millis int64) {
		if text == nil {
			return 0
		}
		millis, err := momentOf(*text)
		if err != nil {
			errs.add(fault.Field(name, "%v", err))
		}
		return millis
	}
	logical, date := read("logical_date", v.Logical), read("execution_date", v.Date)
	start, end := read("data_interval_start", v.Start), read("data_interval_end", v.End)
	switch {
	case logical != 0 && date != 0 && logical != date:
		errs.add(titled{"logical_date conflicts with execution_date", fault.New(fault.Invalid, "'%s' != '%s'", *v.Logical, *v.Date)})
	case (v.Start == nil) != (v.End == nil):
		errs.add(fault.New(fault.Invalid, "{'_schema': [\"Both 'data_interval_start' and 'data_interval_end' must be specified together\"]}"))
	case start > end:
		errs.add(fault.Field("data_interval_end", "is before data_interval_start"))
	}
	if logical == 0 {
		logical = date
	}
	switch {
	case logical != 0 && start != 0 && logical != start:
		errs.add(fault.Field("data_interval_start", "is not the logical date: the interval of a run begins there").WithHint("leave one of the two out"))
	case logical == 0:
		logical = start
	}
	if end == 0 {
		end = logical
	}
	return logical, end, errs.err()
}

// readRequested reads the body of a request for a run; it may be empty.
func readRequested(w http.ResponseWriter, r *http.Request) (v requested, conf map[string]string, err error) {
	body, err := api.ReadBody(w, r, api.BodyBytesMax)
	if err != nil {
		return v, nil, err
	}
	if len(strings.TrimSpace(string(body))) > 0 {
		if err := api.Unmarshal(body, &v); err != nil {
			return v, nil, err
		}
	}
	conf, err = confOf(v.Conf)
	return v, conf, err
}

// trigger asks for a run. A run's conf is a flat object of the workflow's parameters.
func (s *Surface) trigger(w http.ResponseWriter, r *http.Request) error {
	wf, err := s.known(r)
	switch {
	case fault.Is(err, fault.NotFound):
		return missing("DAG not found", "DAG with dag_id: '%s' not found", api.Short(r.PathValue("dag")))
	case err != nil:
		return err
	case wf.Err != nil:
		return titled{"DAG cannot be triggered", fault.New(fault.Invalid, "DAG with dag_id: '%s' has import errors", wf.Name).WithHint("GET /api/v1/importErrors says which")}
	}
	v, conf, err := readRequested(w, r)
	if err != nil {
		return err
	}
	logical, end, err := v.times()
	if err != nil {
		return err
	}
	run, err := s.ask(r, &wf, &commands.RequestWorkflowRun{RunID: v.ID, Conf: conf, Note: v.Note, LogicalMillis: logical, IntervalEndMillis: end})
	if err != nil {
		return err
	}
	return api.WriteJSON(w, http.StatusOK, dagRunOf(&run))
}

// ask asks for a run by hand, with an id of its own if it has none, and gives it as it was asked for: queued, as Airflow answers, though
// its first task may have begun before the answer is written. Errors: fault.Conflict where there is one of that id.
func (s *Surface) ask(r *http.Request, wf *projections.KnownWorkflow, c *commands.RequestWorkflowRun) (run projections.WorkflowRun, err error) {
	m, err := api.MetaOf(r)
	if err != nil {
		return run, err
	}
	if _, err := s.Workflows.Conf(wf, c.Conf); err != nil {
		return run, inConf(err)
	}
	now := s.Now()
	c.Workflow, c.RunType = wf.Name, "manual"
	switch {
	case c.RunID == "" && c.LogicalMillis != 0:
		c.RunID = "manual__" + iso(c.LogicalMillis)
	case c.RunID == "" && m.IdempotencyKey != "":
		c.RunID = api.Keyed(m, "workflow-run/"+wf.Name)
	case c.RunID == "":
		c.RunID = "manual__" + now.UTC().Format("2006-01-02T15:04:05.000000+00:00")
	}
	res, err := s.Dispatcher.Dispatch(r.Context(), c, m)
	if fault.Is(err, fault.Conflict) {
		return run, fault.New(fault.Conflict, "DAGRun with DAG ID: '%s' and DAGRun ID: '%s' already exists", wf.Name, api.Short(c.RunID))
	}
	if err != nil {
		return run, err
	}
	s.Settle(r.Context(), []streams.Position{res.Position}, "workflows")
	run, ok, err := fold.Of[*projections.Workflows](s.Views).Run(c.RunID)
	if err == nil && !ok { // the view is behind, the run is in the log
		run = projections.WorkflowRun{RunID: c.RunID, Workflow: wf.Name, RunType: c.RunType, Conf: c.Conf, Note: c.Note, Actor: m.Actor, State: projections.StateQueued,
			RequestedMillis: now.UnixMilli(), LogicalMillis: c.LogicalMillis, IntervalEndMillis: c.IntervalEndMillis}
		if c.LogicalMillis == 0 {
			run.LogicalMillis, run.IntervalEndMillis = now.UnixMilli(), now.UnixMilli()
		}
	}
	return run.AsRequested(), err
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

func (s *Surface) run(w http.ResponseWriter, r *http.Request) error {
	run, err := s.runOf(r)
	if err != nil {
		return err
	}
	q := api.QueryOf(r, "fields*")
	if err := q.Err(); err != nil {
		return err
	}
	v, err := only(dagRunOf(&run), several(q, "fields"), "DAGRunSchema")
	if err != nil {
		return err
	}
	return api.WriteJSON(w, http.StatusOK, v)
}

// deleteRun takes a run out of what is shown. The log keeps it.
func (s *Surface) deleteRun(w http.ResponseWriter, r *http.Request) error {
	run, err := s.runOf(r)
	if fault.Is(err, fault.NotFound) {
		return fault.New(fault.NotFound, "DAGRun with DAG ID: '%s' and DagRun ID: '%s' not found", api.Short(r.PathValue("dag")), api.Short(r.PathValue("run")))
	}
	if err == nil {
		err = s.say(r, &commands.DeleteWorkflowRun{RunID: run.RunID})
	}
	if err != nil {
		return err
	}
	return gone(w)
}

// runOf is the run that a request names.
func (s *Surface) runOf(r *http.Request) (projections.WorkflowRun, error) {
	name, id := r.PathValue("dag"), r.PathValue("run")
	run, ok, err := fold.Of[*projections.Workflows](s.Views).Run(id)
	if err == nil && (!ok || name != "~" && run.Workflow != name) {
		err = missing("DAGRun not found", "DAGRun with DAG ID: '%s' and DagRun ID: '%s' not found", api.Short(name), api.Short(id))
	}
	return run, err
}

// timeOf is a time as Airflow writes it in a log.
func timeOf(millis int64) string {
	return time.UnixMilli(millis).UTC().Format("2006-01-02T15:04:05.000+0000")
}
