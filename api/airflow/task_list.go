package airflow

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections"
)

// taskStates are those that Airflow knows; "none" is of tasks that wait for others.
var taskStates = []string{"none", "success", "running", "failed", "upstream_failed", "skipped", "up_for_retry", "up_for_reschedule", "queued", "scheduled", "deferred", "removed", "restarting"}

func taskStatesAsked(asked []string, add func(error)) []string {
	if asked == nil {
		return nil
	}
	all := []string{}
	for _, state := range asked {
		if !slices.Contains(taskStates, state) {
			add(fault.Field("state", "'%s' is not one of %s", api.Short(state), strings.Join(taskStates, ", ")))
		}
		if state == "none" {
			state = ""
		}
		all = append(all, state)
	}
	return all
}

// instances lists tasks of a run, or of all runs (~) of a workflow, or of all of them (~).
func (s *Surface) instances(w http.ResponseWriter, r *http.Request) error {
	q := api.QueryOf(r, "limit", "offset", "state*", "pool*", "queue*", "executor*", "execution_date_gte", "execution_date_lte", "start_date_gte", "start_date_lte",
		"end_date_gte", "end_date_lte", "updated_at_gte", "updated_at_lte", "duration_gte", "duration_lte")
	ask := projections.TaskQuery{Page: asked(q), States: taskStatesAsked(several(q, "state"), q.Add), Pools: several(q, "pool"), Logical: span(q, "execution_date"),
		Started: span(q, "start_date"), Ended: span(q, "end_date"), Updated: span(q, "updated_at")}
	for _, end := range []struct {
		name string
		to   **int64
	}{{"duration_gte", &ask.LeastMillis}, {"duration_lte", &ask.MostMillis}} {
		if v := q.Str(end.name); v != "" {
			x, err := strconv.ParseFloat(v, 64)
			if err != nil || x != x {
				q.Fault(end.name, "'%s' is not of type 'number'", api.Short(v))
			}
			*end.to = millisOf(x)
		}
	}
	if name := r.PathValue("dag"); name != "~" {
		ask.Workflows = []string{name}
	}
	if id := r.PathValue("run"); id != "~" {
		ask.Runs = []string{id}
	}
	if err := q.Err(); err != nil {
		return err
	}
	return s.answerTasks(w, &ask, several(q, "queue"), several(q, "executor"))
}

func millisOf(seconds float64) *int64 {
	const most = 1e12 // seconds, so that milliseconds fit
	millis := int64(min(max(seconds, -most), most) * 1000)
	return &millis
}

// answerTasks answers with tasks of some queues; there is one, and no executor has a name.
func (s *Surface) answerTasks(w http.ResponseWriter, ask *projections.TaskQuery, queues, executors []string) error {
	list := []instance{}
	if executors != nil || queues != nil && !slices.Contains(queues, queueName) {
		return answerList(w, "task_instances", list, 0)
	}
	found, total, err := s.Workflows.SearchTasks(ask)
	if err != nil {
		return err
	}
	for i := range found {
		f := &found[i]
		list = append(list, instanceOf(f.Run, f.Definition, f.At, f.State))
	}
	return answerList(w, "task_instances", list, total)
}

// instanceBatch is instances, asked for in a body.
func (s *Surface) instanceBatch(w http.ResponseWriter, r *http.Request) error {
	var v struct {
		batch
		Runs      []string  `json:"dag_run_ids"`
		Tasks     []string  `json:"task_ids"`
		Least     *float64  `json:"duration_gte"`
		Most      *float64  `json:"duration_lte"`
		States    []*string `json:"state"` // null is none
		Pools     []string  `json:"pool"`
		Queues    []string  `json:"queue"`
		Executors []string  `json:"executor"`
	}
	if err := api.ReadJSON(w, r, &v, false); err != nil {
		return err
	}
	var errs faults
	v.read(errs.add)
	var states []string
	for _, state := range v.States {
		if state == nil {
			none := "none"
			state = &none
		}
		states = append(states, *state)
	}
	ask := projections.TaskQuery{Page: v.page, Workflows: some(v.DAGs), Runs: some(v.Runs), Tasks: some(v.Tasks), States: taskStatesAsked(states, errs.add), Pools: some(v.Pools),
		Logical: v.logical, Started: v.began, Ended: v.ended, Updated: v.updated}
	for _, end := range []struct {
		given *float64
		to    **int64
	}{{v.Least, &ask.LeastMillis}, {v.Most, &ask.MostMillis}} {
		if end.given != nil {
			*end.to = millisOf(*end.given)
		}
	}
	if err := errs.err(); err != nil {
		return err
	}
	return s.answerTasks(w, &ask, some(v.Queues), some(v.Executors))
}

// some is a list that lets all through when it is empty.
func some(list []string) []string {
	if len(list) == 0 {
		return nil
	}
	return list
}
