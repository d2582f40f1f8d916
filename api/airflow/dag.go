package airflow

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/handlers/workflow"
	"github.com/projectionist/projectionist/projections"
)

func (s *Surface) dagRoutes(r *api.Routes) {
	r.Handle("GET /api/v1/dags", s.dags, "workflows")
	r.Handle("GET /api/v1/dags/{dag}", s.dag, "workflows")
	r.Handle("GET /api/v1/dags/{dag}/details", s.dagDetails, "workflows")
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
	NextStart       *string   `json:"next_dagrun_data_interval_start"`
	NextEnd         *string   `json:"next_dagrun_data_interval_end"`
	Parsed          string    `json:"last_parsed_time"`
	MaxFailedRuns   int       `json:"max_consecutive_failed_dag_runs"` // 0 is no bound
	Pickled         *string   `json:"last_pickled"`
	Expired         *string   `json:"last_expired"`
	Locked          *bool     `json:"scheduler_lock"`
	PickleID        *string   `json:"pickle_id"`
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
		ImportErrors: k.Err != nil, Owners: []string{k.Actor}, ScheduleText: "Never, external triggers only", Tags: []tag{}, Parsed: iso(k.DefinedMillis)}
	if d := k.Definition; d != nil {
		v.Description, v.MaxActiveRuns, v.MaxActiveTasks = d.Description, d.MaxActiveRuns, len(d.Tasks)
		if d.Schedule != nil {
			v.Schedule = &interval{"CronExpression", d.Schedule.String()}
			v.ScheduleText = d.Schedule.String() + " " + d.Schedule.Zone()
			if next := d.Schedule.Next(now); !next.IsZero() && !k.Paused {
				start, end := d.Schedule.Interval(next)
				v.NextRun, v.NextCreateAfter = optional(start.UnixMilli()), optional(next.UnixMilli())
				v.NextStart, v.NextEnd = v.NextRun, optional(end.UnixMilli())
			}
		}
		for _, t := range d.Tags {
			v.Tags = append(v.Tags, tag{t})
		}
	}
	return v
}

// chosen are the workflows that a request asks for, by its filters, in their order.
func (s *Surface) chosen(q *api.Query, pattern string) ([]dag, error) {
	tags, paused := several(q, "tags"), q.Str("paused")
	wantPaused := q.Flag("paused")
	q.Flag("only_active") // all are
	_, back := order(q, map[string]string{"dag_id": "dag_id"})
	if err := q.Err(); err != nil {
		return nil, err
	}
	known, err := s.Workflows.All()
	if err != nil {
		return nil, err
	}
	all := []dag{}
	for i := range known {
		d := dagOf(&known[i], s.Now())
		tagged := len(tags) == 0 || slices.ContainsFunc(d.Tags, func(t tag) bool { return slices.Contains(tags, t.Name) })
		if matches(pattern, d.ID) && tagged && (paused == "" || wantPaused == d.Paused) {
			all = append(all, d)
		}
	}
	sortBy(all, func(d dag) string { return d.ID }, back)
	return all, nil
}

// dags lists the workflows.
func (s *Surface) dags(w http.ResponseWriter, r *http.Request) error {
	q := api.QueryOf(r, "limit", "offset", "order_by", "tags*", "only_active", "paused", "dag_id_pattern", "fields*")
	piece := asked(q)
	all, err := s.chosen(q, q.Str("dag_id_pattern"))
	if err != nil {
		return err
	}
	list, err := eachOnly(page(all, piece), several(q, "fields"), "DAGSchema")
	if err != nil {
		return err
	}
	return answerList(w, "dags", list, int64(len(all)))
}

func (s *Surface) dag(w http.ResponseWriter, r *http.Request) error {
	q := api.QueryOf(r, "fields*", "update_mask*")
	if err := q.Err(); err != nil {
		return err
	}
	wf, err := s.known(r)
	if err != nil {
		return err
	}
	v, err := only(dagOf(&wf, s.Now()), several(q, "fields"), "DAGSchema")
	if err != nil {
		return err
	}
	return api.WriteJSON(w, http.StatusOK, v)
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
	RetryDelay  delta          `json:"retry_delay"`
	Backoff     bool           `json:"retry_exponential_backoff"`
	Timeout     delta          `json:"execution_timeout"`
	Priority    float64        `json:"priority_weight"`
	WeightRule  string         `json:"weight_rule"`
	Waits       bool           `json:"wait_for_downstream"`
	Templates   []string       `json:"template_fields"`
	Colour      string         `json:"ui_color"`
	TextColour  string         `json:"ui_fgcolor"`
	Start       *string        `json:"start_date"`
	End         *string        `json:"end_date"`
}

func tasksOf(d *workflow.Definition) []task {
	all := []task{}
	for i := range d.Tasks {
		t := &d.Tasks[i]
		v := task{ID: t.Name, DisplayName: t.Name, Doc: t.Description, Operator: t.Operator, Owner: "projectionist", Downstream: []string{}, Trigger: string(t.Rule),
			Class: map[string]any{"class_name": t.Operator, "module_path": "projectionist.handlers.roles"}, Retries: float64(t.Retries),
			Pool: t.Pool, PoolSlots: float64(t.PoolSlots), Queue: "default", Links: []string{}, Params: map[string]any{}, RetryDelay: deltaOf(t.RetryDelay), Backoff: t.RetryBackoff > 1,
			Timeout: deltaOf(t.Timeout), Priority: float64(t.Priority), WeightRule: "absolute", Templates: slices.Sorted(maps.Keys(t.With)), Colour: "#fff", TextColour: "#000"}
		if v.Templates == nil {
			v.Templates = []string{}
		}
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
	q := api.QueryOf(r, "order_by")
	by, back := order(q, map[string]string{"": "task_id", "task_id": "task_id", "task_display_name": "task_id", "owner": "", "pool": "pool", "queue": "", "trigger_rule": "rule", "priority_weight": "priority"})
	if err := q.Err(); err != nil {
		return err
	}
	all := tasksOf(wf.Definition)
	sortBy(all, func(t task) string {
		switch by {
		case "task_id":
			return t.ID
		case "pool":
			return t.Pool
		case "rule":
			return t.Trigger
		case "priority":
			return fmt.Sprintf("%012d", int64(t.Priority)+1<<32) // priorities are bounded far below
		}
		return ""
	}, back)
	return answerList(w, "tasks", all, int64(len(all)))
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
	return missing("Task not found", "the DAG %s has no task %s", api.Short(r.PathValue("dag")), api.Short(r.PathValue("task")))
}
