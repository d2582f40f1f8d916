package airflow

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/handlers/workflow"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections"
)

func (s *Surface) dagRoutes(r *api.Routes) {
	r.Handle("GET /api/v1/dags", s.dags, "workflows")
	r.Handle("GET /api/v1/dags/{dag}", s.dag, "workflows")
	r.Handle("GET /api/v1/dags/{dag}/details", s.dag, "workflows")
	r.Handle("GET /api/v1/dags/{dag}/tasks", s.dagTasks, "workflows")
	r.Handle("GET /api/v1/dags/{dag}/tasks/{task}", s.dagTask, "workflows")
}

// dag is a workflow as Airflow lists it.
type dag struct {
	ID              string    `json:"dag_id"`
	DisplayName     string    `json:"dag_display_name"`
	Description     string    `json:"description"`
	DefaultView     string    `json:"default_view"`
	FileLocation    string    `json:"fileloc"`
	FileToken       string    `json:"file_token"`
	Active          bool      `json:"is_active"`
	Paused          bool      `json:"is_paused"`
	SubDAG          bool      `json:"is_subdag"`
	ImportErrors    bool      `json:"has_import_errors"`
	TaskLimits      bool      `json:"has_task_concurrency_limits"`
	MaxActiveRuns   int       `json:"max_active_runs"`
	MaxActiveTasks  int       `json:"max_active_tasks"`
	Owners          []string  `json:"owners"`
	RootID          *string   `json:"root_dag_id"`
	Schedule        *interval `json:"schedule_interval"`
	ScheduleText    string    `json:"timetable_description"`
	Tags            []tag     `json:"tags"`
	NextRun         *string   `json:"next_dagrun"`
	NextCreateAfter *string   `json:"next_dagrun_create_after"`
}

// interval is a schedule.
type interval struct {
	Type  string `json:"__type"`
	Value string `json:"value"`
}

type tag struct {
	Name string `json:"name"`
}

func dagOf(k *projections.KnownWorkflow, now time.Time) dag {
	v := dag{ID: k.Name, DisplayName: k.Name, DefaultView: "grid", FileLocation: k.Name + ".yaml", FileToken: k.Name, Active: true, Paused: k.Paused,
		ImportErrors: k.Err != nil, Owners: []string{k.Actor}, ScheduleText: "Never, external triggers only", Tags: []tag{}}
	if d := k.Definition; d != nil {
		v.Description, v.MaxActiveRuns, v.MaxActiveTasks = d.Description, d.MaxActiveRuns, len(d.Tasks)
		if d.Schedule != nil {
			v.Schedule = &interval{"CronExpression", d.Schedule.String()}
			v.ScheduleText = d.Schedule.String() + " " + d.Schedule.Zone()
			if next := d.Schedule.Next(now); !next.IsZero() && !k.Paused {
				start, _ := d.Schedule.Interval(next)
				v.NextRun, v.NextCreateAfter = optional(start.UnixMilli()), optional(next.UnixMilli())
			}
		}
		for _, t := range d.Tags {
			v.Tags = append(v.Tags, tag{t})
		}
	}
	return v
}

// dags lists the workflows.
func (s *Surface) dags(w http.ResponseWriter, r *http.Request) error {
	q := api.QueryOf(r, "limit", "offset", "order_by", "tags", "only_active", "paused", "dag_id_pattern", "fields")
	limit, offset := q.Number("limit", limitDefault, 1, limitMax), q.Number("offset", 0, 0, offsetMax)
	pattern, order := q.Str("dag_id_pattern"), q.Str("order_by")
	if order != "" && order != "dag_id" && order != "-dag_id" {
		q.Fault("order_by", "Ordering with '%s' is disallowed or the attribute does not exist on the model", api.Short(order))
	}
	if err := q.Err(); err != nil {
		return err
	}
	known, err := s.Workflows.All()
	if err != nil {
		return err
	}
	all := []dag{}
	paused, tags := truth(q.Str("paused")), r.URL.Query()["tags"]
	for i := range known {
		d := dagOf(&known[i], s.Now())
		tagged := len(tags) == 0 || slices.ContainsFunc(d.Tags, func(t tag) bool { return slices.Contains(tags, t.Name) })
		if matches(pattern, d.ID) && tagged && (paused == "" || (paused == "true") == d.Paused) {
			all = append(all, d)
		}
	}
	sortBy(all, func(d dag) string { return d.ID }, strings.HasPrefix(order, "-"))
	return api.WriteJSON(w, http.StatusOK, map[string]any{"dags": page(all, offset, limit), "total_entries": len(all)})
}

func (s *Surface) dag(w http.ResponseWriter, r *http.Request) error {
	wf, err := s.workflow(r)
	if err != nil {
		return err
	}
	return api.WriteJSON(w, http.StatusOK, dagOf(&wf, s.Now()))
}

// task is a task of a workflow.
type task struct {
	ID          string         `json:"task_id"`
	DisplayName string         `json:"task_display_name"`
	Doc         string         `json:"doc_md"`
	Class       map[string]any `json:"class_ref"`
	Operator    string         `json:"operator_name"`
	Owner       string         `json:"owner"`
	Downstream  []string       `json:"downstream_task_ids"`
	DependsPast bool           `json:"depends_on_past"`
	Mapped      bool           `json:"is_mapped"`
	Trigger     string         `json:"trigger_rule"`
	Pool        string         `json:"pool"`
	PoolSlots   float64        `json:"pool_slots"`
	Queue       string         `json:"queue"`
	Links       []string       `json:"extra_links"`
	Params      map[string]any `json:"params"`
	Retries     float64        `json:"retries"`
}

func tasksOf(d *workflow.Definition) []task {
	all := []task{}
	for i := range d.Tasks {
		t := &d.Tasks[i]
		v := task{ID: t.Name, DisplayName: t.Name, Doc: t.Description, Operator: t.Operator, Owner: "projectionist", Downstream: []string{}, Trigger: string(t.Rule),
			Class: map[string]any{"class_name": t.Operator, "module_path": "projectionist.handlers.roles"}, Retries: float64(t.Retries),
			Pool: "default_pool", PoolSlots: 1, Queue: "default", Links: []string{}, Params: map[string]any{}}
		v.Downstream = append(v.Downstream, d.After(t.Name)...)
		all = append(all, v)
	}
	return all
}

func (s *Surface) dagTasks(w http.ResponseWriter, r *http.Request) error {
	wf, err := s.workflow(r)
	if err != nil {
		return err
	}
	all := tasksOf(wf.Definition)
	return api.WriteJSON(w, http.StatusOK, map[string]any{"tasks": all, "total_entries": len(all)})
}

func (s *Surface) dagTask(w http.ResponseWriter, r *http.Request) error {
	wf, err := s.workflow(r)
	if err != nil {
		return err
	}
	for _, t := range tasksOf(wf.Definition) {
		if t.ID == r.PathValue("task") {
			return api.WriteJSON(w, http.StatusOK, t)
		}
	}
	return noTask(r)
}

func noTask(r *http.Request) error {
	return fault.New(fault.NotFound, "the DAG %s has no task %s", api.Short(r.PathValue("dag")), api.Short(r.PathValue("task")))
}
