package airflow

import (
	"net/http"
	"slices"
	"strings"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
)

// XComs are the outputs of tasks, by their names; all of a task together are its return_value.
const returnValue = "return_value"

func (s *Surface) outputRoutes(r *api.Routes) {
	r.Handle("GET /api/v1/dags/{dag}/dagRuns/{run}/taskInstances/{task}/xcomEntries", s.outputs, "workflows")
	r.Handle("GET /api/v1/dags/{dag}/dagRuns/{run}/taskInstances/{task}/xcomEntries/{key}", s.output, "workflows")
}

// xcom is one, in a list.
type xcom struct {
	Key       string `json:"key"`
	DAG       string `json:"dag_id"`
	Task      string `json:"task_id"`
	MapIndex  int    `json:"map_index"`
	Execution string `json:"execution_date"`
	When      string `json:"timestamp"`
}

// outputs lists those of a task of a run, where each of the three may be ~, any.
func (s *Surface) outputs(w http.ResponseWriter, r *http.Request) error {
	q := api.QueryOf(r, "limit", "offset", "map_index", "xcom_key")
	ask := projections.OutputQuery{Page: asked(q), Key: q.Str("xcom_key"), Extra: returnValue}
	index := q.Number("map_index", -1, -1, 1<<31-1)
	if err := q.Err(); err != nil {
		return err
	}
	for name, to := range map[string]*string{"dag": &ask.Workflow, "task": &ask.Task, "run": &ask.Run} {
		if v := r.PathValue(name); v != "~" {
			*to = v
		}
	}
	list := []xcom{}
	if index != -1 { // of a mapped task, which there is none of
		return answerList(w, "xcom_entries", list, 0)
	}
	found, total, err := fold.Of[*projections.Workflows](s.Views).Outputs(&ask)
	if err != nil {
		return err
	}
	for i := range found {
		o := &found[i]
		list = append(list, xcom{o.Key, o.Workflow, o.Task, -1, iso(o.LogicalMillis), iso(o.EventMillis)})
	}
	return answerList(w, "xcom_entries", list, total)
}

// output is one of a task of a run. Its value is a text, as Python would spell it, unless it is asked for as it is.
func (s *Surface) output(w http.ResponseWriter, r *http.Request) error {
	q := api.QueryOf(r, "map_index", "deserialize", "stringify")
	index, native := q.Number("map_index", -1, -1, 1<<31-1), q.Str("stringify") != "" && !q.Flag("stringify")
	if q.Flag("deserialize") {
		q.Add(fault.New(fault.Invalid, "XCom deserialization is disabled in configuration."))
	}
	if err := q.Err(); err != nil {
		return err
	}
	run, d, at, err := s.taskOf(r)
	if err != nil {
		return missing("XCom entry not found", "%v", err)
	}
	t, key := run.TaskOf(d.Tasks[at].Name), r.PathValue("key")
	value, ok := t.Output[key]
	if index != -1 || !ok && (key != returnValue || len(t.Output) == 0) {
		return missing("XCom entry not found", "XCom entry %s of the task %s not found", api.Short(key), t.Task)
	}
	v := struct {
		xcom
		Value any `json:"value"`
	}{xcom{key, run.Workflow, t.Task, -1, iso(run.LogicalMillis), iso(t.EndedMillis)}, value}
	if !ok {
		if v.Value = any(t.Output); !native {
			v.Value = pythonDict(t.Output)
		}
	}
	return api.WriteJSON(w, http.StatusOK, v)
}

func sortedKeys(m map[string]string) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// pythonDict spells a mapping as Python's repr does.
func pythonDict(m map[string]string) string {
	var b strings.Builder
	for i, name := range sortedKeys(m) {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(python(name) + ": " + python(m[name]))
	}
	return "{" + b.String() + "}"
}
