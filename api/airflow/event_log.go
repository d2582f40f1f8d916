package airflow

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
)

func (s *Surface) actRoutes(r *api.Routes) {
	r.Handle("GET /api/v1/eventLogs", s.acts) // whose after= is a time, not the position that is waited for elsewhere
	r.Handle("GET /api/v1/eventLogs/{id}", s.act, "workflows")
}

// actNumber makes one number of the offset of a commit and the place of an event in it: offset times this, and place.
const actNumber = 1000

// act is an entry of the event log.
type act struct {
	ID        int64   `json:"event_log_id"`
	When      string  `json:"when"`
	DAG       *string `json:"dag_id"`
	Task      *string `json:"task_id"`
	Run       *string `json:"run_id"`
	MapIndex  *int    `json:"map_index"`
	Try       *int    `json:"try_number"`
	Event     string  `json:"event"`
	Execution *string `json:"execution_date"`
	Owner     string  `json:"owner"`
	Extra     *string `json:"extra"`
}

func actOf(a *projections.WorkflowAct) act {
	text := func(s string) *string {
		if s == "" {
			return nil
		}
		return &s
	}
	v := act{ID: a.Offset*actNumber + int64(a.Index), When: iso(a.EventMillis), DAG: text(a.Workflow), Task: text(a.Task), Run: text(a.Run), Event: actName(a), Owner: a.Actor,
		Execution: optional(a.LogicalMillis), Extra: text(a.Extra)}
	if a.Task != "" {
		none := -1
		v.MapIndex = &none
	}
	if a.Try != 0 {
		v.Try = &a.Try
	}
	return v
}

// actNames are Airflow's words for what people ask for, and what tasks come to. What it has no word for goes by the event's own.
var actNames = map[string]string{
	"workflow.paused": "api.patch_dag", "workflow.unpaused": "api.patch_dag", "workflow.deleted": "api.delete_dag",
	"workflow.tasks_cleared": "api.post_clear_task_instances", "workflow.task_marked": "api.post_set_task_instances_state", "workflow.run_deleted": "api.delete_dag_run",
	"workflow.task_started": "running", "workflow.task_succeeded": "success", "workflow.task_failed": "failed",
	"variable.set": "variable.edit", "variable.deleted": "variable.delete",
}

func actName(a *projections.WorkflowAct) string {
	switch {
	case a.Type == "workflow.noted" && a.Task == "":
		return "api.set_dag_run_note"
	case a.Type == "workflow.noted":
		return "api.set_task_instance_note"
	case a.Type == "workflow.run_requested" && a.Note == "manual":
		return "api.post_dag_run"
	case a.Type == "workflow.run_ended" && !strings.HasPrefix(a.Actor, "reactor:"): // by the word of somebody
		return "api.update_dag_run_state"
	}
	if name, ok := actNames[a.Type]; ok {
		return name
	}
	return a.Type
}

// actTypes are the types of the events that go by some of Airflow's words.
func actTypes(names []string) []string {
	types := slices.Clone(names)
	for _, name := range names {
		switch name {
		case "api.set_dag_run_note", "api.set_task_instance_note":
			types = append(types, "workflow.noted")
		case "api.post_dag_run":
			types = append(types, "workflow.run_requested")
		case "api.update_dag_run_state":
			types = append(types, "workflow.run_ended")
		}
		for of, is := range actNames {
			if is == name {
				types = append(types, of)
			}
		}
	}
	return types
}

// actOrders are what entries can be ordered by; nil is as in the log.
var actOrders = map[string]func(a, b *projections.WorkflowAct) int{
	"when":           func(a, b *projections.WorkflowAct) int { return cmp.Compare(a.EventMillis, b.EventMillis) },
	"dag_id":         func(a, b *projections.WorkflowAct) int { return strings.Compare(a.Workflow, b.Workflow) },
	"task_id":        func(a, b *projections.WorkflowAct) int { return strings.Compare(a.Task, b.Task) },
	"run_id":         func(a, b *projections.WorkflowAct) int { return strings.Compare(a.Run, b.Run) },
	"event":          func(a, b *projections.WorkflowAct) int { return strings.Compare(actName(a), actName(b)) },
	"execution_date": func(a, b *projections.WorkflowAct) int { return cmp.Compare(a.LogicalMillis, b.LogicalMillis) },
	"owner":          func(a, b *projections.WorkflowAct) int { return strings.Compare(a.Actor, b.Actor) },
	"extra":          nil, // which is the payload of the event: as in the log
}

// acts lists what was done to workflows, their runs, tasks and variables, and what they did.
func (s *Surface) acts(w http.ResponseWriter, r *http.Request) error {
	q := api.QueryOf(r, "limit", "offset", "order_by", "dag_id", "task_id", "run_id", "map_index", "try_number", "event", "owner", "before", "after", "included_events*", "excluded_events*")
	names := map[string]string{"": "", "event_log_id": ""}
	for name := range actOrders {
		names[name] = name
	}
	by, back := order(q, names)
	ask := projections.ActQuery{Page: asked(q), Workflow: q.Str("dag_id"), Back: back, Order: actOrders[by]}
	task, run, event, owner := q.Str("task_id"), q.Str("run_id"), q.Str("event"), q.Str("owner")
	index, try := q.Number("map_index", -1, -1, 1<<31-1), int(q.Number("try_number", 0, 0, 1<<31-1))
	before, after := q.Millis("before"), q.Millis("after")
	in, out := several(q, "included_events"), several(q, "excluded_events")
	if err := q.Err(); err != nil {
		return err
	}
	switch {
	case event != "":
		ask.Types = actTypes([]string{event})
	case in != nil:
		ask.Types = actTypes(in)
	}
	if index > 0 {
		return answerList(w, "event_logs", []act{}, 0)
	}
	if task+run+event+owner != "" || try != 0 || before != 0 || after != 0 || in != nil || out != nil {
		ask.Keep = func(a *projections.WorkflowAct) bool {
			switch {
			case task != "" && a.Task != task, run != "" && a.Run != run, owner != "" && a.Actor != owner, try != 0 && a.Try != try,
				before != 0 && a.EventMillis >= before, after != 0 && a.EventMillis <= after:
				return false
			case event == "" && in == nil && out == nil:
				return true
			}
			name := actName(a)
			return (event == "" || name == event) && (in == nil || slices.Contains(in, name)) && !slices.Contains(out, name)
		}
	}
	found, total, err := fold.Of[*projections.Workflows](s.Views).Acts(&ask)
	if err != nil {
		return err
	}
	list := []act{}
	for i := range found {
		list = append(list, actOf(&found[i]))
	}
	return answerList(w, "event_logs", list, total)
}

func (s *Surface) act(w http.ResponseWriter, r *http.Request) error {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err == nil && id >= 0 {
		a, ok, err := fold.Of[*projections.Workflows](s.Views).Act(id/actNumber, int(id%actNumber))
		if err != nil {
			return err
		}
		if ok {
			return api.WriteJSON(w, http.StatusOK, actOf(&a))
		}
	}
	return missing("Event Log not found", "there is no entry %s", api.Short(r.PathValue("id")))
}
