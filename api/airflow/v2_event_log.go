package airflow

import (
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/api/fastapi"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
)

func (s *V2) actRoutes(r v2Routes) {
	r.Read("GET /api/v2/eventLogs", fastapi.Handler(s.acts)) // whose after= is a time, not the position that is waited for elsewhere
	r.on("GET", "/eventLogs/{id}", s.act)
}

// v2Act is an entry of the event log.
type v2Act struct {
	ID          int64   `json:"event_log_id"`
	When        *string `json:"when"`
	DAG         *string `json:"dag_id"`
	Task        *string `json:"task_id"`
	Run         *string `json:"run_id"`
	MapIndex    *int    `json:"map_index"`
	Try         *int    `json:"try_number"`
	Event       string  `json:"event"`
	Logical     *string `json:"logical_date"`
	Owner       string  `json:"owner"`
	Extra       *string `json:"extra"`
	DAGName     *string `json:"dag_display_name"`
	DisplayName *string `json:"task_display_name"`
}

func v2ActOf(a *projections.WorkflowAct) v2Act {
	v := actOf(a)
	return v2Act{v.ID, stamp(a.EventMillis), v.DAG, v.Task, v.Run, v.MapIndex, v.Try, v2ActName(a), stamp(a.LogicalMillis), v.Owner, v.Extra, v.DAG, v.Task}
}

// v2ActNames are Airflow 3's words, which are those of its operations, for those of version 2.
var v2ActNames = map[string]string{
	"api.post_dag_run": "trigger_dag_run", "api.set_dag_run_note": "patch_dag_run", "api.update_dag_run_state": "patch_dag_run", "api.post_set_task_instances_state": "patch_task_instance",
	"api.set_task_instance_note": "patch_task_instance", "variable.edit": "post_variable", "variable.delete": "delete_variable",
}

func v2ActName(a *projections.WorkflowAct) string {
	name := actName(a)
	if word, ok := v2ActNames[name]; ok {
		return word
	}
	return strings.TrimPrefix(name, "api.")
}

// actOrdering reads what entries are ordered by: as in the log, perhaps backwards, or by some of what they say.
func actOrdering(orderBy []string) (compare func(a, b *projections.WorkflowAct) int, back bool, err error) {
	type part struct {
		compare func(a, b *projections.WorkflowAct) int
		back    bool
	}
	var parts []part
	for i, name := range orderBy {
		attribute := strings.TrimLeft(name, "-")
		if attribute == "dttm" {
			attribute = "when"
		}
		if attribute == "logical_date" {
			attribute = "execution_date"
		}
		turned := strings.HasPrefix(name, "-")
		if attribute == "id" || attribute == "event_log_id" {
			if i == 0 {
				return nil, turned, nil
			}
			break
		}
		by, ok := actOrders[attribute]
		if !ok || i >= orderByMax {
			return nil, false, fastapi.Refuse(http.StatusBadRequest, "Ordering with '%s' is disallowed or the attribute does not exist on the model", api.Short(attribute))
		}
		parts = append(parts, part{by, turned})
	}
	if parts == nil {
		return nil, false, nil
	}
	first := parts[0].back
	return func(a, b *projections.WorkflowAct) int {
		for _, p := range parts {
			if c := p.compare(a, b); c != 0 {
				if p.back != first { // the list is turned as its first part is
					return -c
				}
				return c
			}
		}
		return 0
	}, first, nil
}

// acts lists what was done to workflows, their runs, tasks and variables, and what they did.
func (s *V2) acts(w http.ResponseWriter, r *http.Request) error {
	q, err := fastapi.Query(r, "order_by", "excluded_events", "included_events", "after") // which is a time here
	if err != nil {
		return err
	}
	l := readListing(q, false)
	exact := map[string]string{}
	for _, name := range []string{"dag_id", "task_id", "run_id", "owner", "event"} {
		exact[name], _ = q.Text(name, 0)
	}
	dag, task, run, owner, event := readPatterns(q, "dag_id"), readPatterns(q, "task_id"), readPatterns(q, "run_id"), readPatterns(q, "owner"), readPatterns(q, "event")
	try := q.Integer("try_number", 0, math.MinInt32, math.MaxInt32)
	nothing := q.Integer("map_index", -1, math.MinInt32, math.MaxInt32) != -1
	in, out := q.Texts("included_events"), q.Texts("excluded_events")
	before := q.Time("before", false)
	var after int64
	for _, text := range q.Texts("after") {
		t, _, wrong := fastapi.ParseTime(text)
		if wrong != "" {
			q.Flaw("datetime_from_date_parsing", "Input should be a valid datetime or date, "+wrong, text, map[string]any{"error": wrong}, "after")
		}
		after = t.UnixMilli()
	}
	if err := q.Done(); err != nil {
		return err
	}
	ask := projections.ActQuery{Workflow: exact["dag_id"], Page: projections.Page{Offset: l.offset, Limit: l.limit}}
	if ask.Order, ask.Back, err = actOrdering(l.orderBy); err != nil {
		return err
	}
	given := len(r.URL.Query()) - len(present(r, "limit", "offset", "order_by", "dag_id"))
	if given > 0 {
		ask.Keep = func(a *projections.WorkflowAct) bool {
			name := v2ActName(a)
			is := func(field, v string) bool { return exact[field] == "" || exact[field] == v }
			return !nothing && is("task_id", a.Task) && is("run_id", a.Run) && is("owner", a.Actor) && is("event", name) && (try == 0 || int64(a.Try) == try) &&
				dag.match(a.Workflow) && task.match(a.Task) && run.match(a.Run) && owner.match(a.Actor) && event.match(name) && anyOf(in, name) && !slices.Contains(out, name) &&
				(before.IsZero() || a.EventMillis < before.UnixMilli()) && (after == 0 || a.EventMillis > after)
		}
	}
	found, total, err := fold.Of[*projections.Workflows](s.Views).Acts(&ask)
	if err != nil {
		return err
	}
	all := make([]v2Act, len(found))
	for i := range found {
		all[i] = v2ActOf(&found[i])
	}
	return api.WriteJSON(w, http.StatusOK, map[string]any{"event_logs": all, "total_entries": total})
}

// present are those of some parameters that a request has.
func present(r *http.Request, names ...string) (all []string) {
	for _, name := range names {
		if r.URL.Query().Has(name) {
			all = append(all, name)
		}
	}
	return all
}

func (s *V2) act(w http.ResponseWriter, r *http.Request) error {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err != nil {
		return fastapi.Refuse(http.StatusBadRequest, "'event_log_id' must be an integer")
	}
	if id >= 0 {
		a, ok, err := fold.Of[*projections.Workflows](s.Views).Act(id/actNumber, int(id%actNumber))
		if err != nil {
			return err
		}
		if ok {
			return api.WriteJSON(w, http.StatusOK, v2ActOf(&a))
		}
	}
	return fastapi.Refuse(http.StatusNotFound, "The Event Log with id: `%d` not found", id)
}
