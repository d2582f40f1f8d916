package airflow

import (
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/api/fastapi"
	"github.com/projectionist/projectionist/handlers/workflow"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
)

func (s *V2) dagRoutes(r v2Routes) {
	r.on("GET", "/dags", s.dags)
	r.on("GET", "/dags/{dag}", s.dag)
	r.on("GET", "/dags/{dag}/details", s.dagDetails)
	r.on("GET", "/dags/{dag}/tasks", s.dagTasks)
	r.on("GET", "/dags/{dag}/tasks/{task}", s.dagTask)
	r.on("GET", "/dags/{dag}/dagVersions", s.dagVersions)
	r.on("GET", "/dags/{dag}/dagVersions/{version}", s.dagVersion)
	r.on("GET", "/dagSources/{dag}", s.dagSource)
	r.on("GET", "/dagTags", s.dagTags)
	r.on("GET", "/dagStats", s.dagStats)
}

// bundle is what Airflow calls where definitions come from; there is one.
const bundle = "workflows"

type v2Tag struct {
	Name        string `json:"name"`
	DAG         string `json:"dag_id"`
	DisplayName string `json:"dag_display_name"`
}

// v2DAG is a workflow as Airflow 3 lists it.
type v2DAG struct {
	ID               string   `json:"dag_id"`
	DisplayName      string   `json:"dag_display_name"`
	Paused           bool     `json:"is_paused"`
	Stale            bool     `json:"is_stale"`
	Parsed           *string  `json:"last_parsed_time"`
	ParseSeconds     *float64 `json:"last_parse_duration"`
	Expired          *string  `json:"last_expired"`
	Bundle           string   `json:"bundle_name"`
	BundleVersion    *string  `json:"bundle_version"`
	RelativeLocation string   `json:"relative_fileloc"`
	FileLocation     string   `json:"fileloc"`
	Description      *string  `json:"description"`
	Timetable        *string  `json:"timetable_summary"`
	TimetableText    string   `json:"timetable_description"`
	Partitioned      bool     `json:"timetable_partitioned"`
	Periodic         bool     `json:"timetable_periodic"`
	Tags             []v2Tag  `json:"tags"`
	MaxActiveTasks   int      `json:"max_active_tasks"`
	MaxActiveRuns    int      `json:"max_active_runs"`
	MaxFailedRuns    int      `json:"max_consecutive_failed_dag_runs"`
	TaskLimits       bool     `json:"has_task_concurrency_limits"`
	ImportErrors     bool     `json:"has_import_errors"`
	NextLogical      *string  `json:"next_dagrun_logical_date"`
	NextStart        *string  `json:"next_dagrun_data_interval_start"`
	NextEnd          *string  `json:"next_dagrun_data_interval_end"`
	NextRunAfter     *string  `json:"next_dagrun_run_after"`
	RunTypes         []string `json:"allowed_run_types"`
	Owners           []string `json:"owners"`
	Backfillable     bool     `json:"is_backfillable"`
	FileToken        string   `json:"file_token"`
}

func v2DAGOf(k *projections.KnownWorkflow, now time.Time) v2DAG {
	d := dagOf(k, now)
	v := v2DAG{ID: d.ID, DisplayName: d.DisplayName, Paused: d.Paused, Parsed: stamp(k.DefinedMillis), Bundle: bundle, RelativeLocation: d.FileLocation, FileLocation: d.FileLocation,
		TimetableText: d.ScheduleText, Tags: []v2Tag{}, MaxActiveTasks: d.MaxActiveTasks, MaxActiveRuns: d.MaxActiveRuns, TaskLimits: d.TaskLimits, ImportErrors: d.ImportErrors,
		Owners: d.Owners, FileToken: d.FileToken}
	if d.Description != "" {
		v.Description = &d.Description
	}
	for _, t := range d.Tags {
		v.Tags = append(v.Tags, v2Tag{t.Name, d.ID, d.DisplayName})
	}
	slices.SortFunc(v.Tags, func(a, b v2Tag) int { return strings.Compare(a.Name, b.Name) })
	if k.Definition != nil && k.Definition.Schedule != nil {
		text := k.Definition.Schedule.String()
		v.Timetable, v.Periodic, v.Backfillable = &text, true, true
		if next := k.Definition.Schedule.Next(now); !next.IsZero() && !k.Paused {
			start, end := k.Definition.Schedule.Interval(next)
			v.NextLogical, v.NextStart, v.NextEnd, v.NextRunAfter = stamp(start.UnixMilli()), stamp(start.UnixMilli()), stamp(end.UnixMilli()), stamp(next.UnixMilli())
		}
	}
	return v
}

// dagFilter reads which workflows a query asks for, by what stands in their definitions; PATCH has no others.
func dagFilter(q *fastapi.Values) func(*v2DAG) bool {
	tags, owners := q.Texts("tags"), q.Texts("owners")
	mode, _ := q.OneOf("literal_error", "tags_match_mode", "any", "all")
	ids := readPatterns(q, "dag_id")
	_, byPause := q.Take("paused")
	paused := q.Flag("paused", false)
	q.Flag("exclude_stale", true) // none is
	return func(d *v2DAG) bool {
		has := func(t string) bool { return slices.ContainsFunc(d.Tags, func(of v2Tag) bool { return of.Name == t }) }
		tagged := len(tags) == 0 || mode != "all" && slices.ContainsFunc(tags, has) || mode == "all" && !slices.ContainsFunc(tags, func(t string) bool { return !has(t) })
		return tagged && ids.match(d.ID) && (!byPause || d.Paused == paused) && (len(owners) == 0 || slices.ContainsFunc(owners, func(o string) bool { return slices.Contains(d.Owners, o) }))
	}
}

// lastRun is what has become of the newest run of a workflow.
type lastRun struct {
	state string
	start int64
}

// listedDAG is a workflow in a list.
type listedDAG struct {
	v2DAG
	last lastRun
}

var dagAttributes = attributes[listedDAG]{by: map[string]func(*listedDAG) sortKey{
	"dag_id": func(d *listedDAG) sortKey { return textKey(d.ID) }, "dag_display_name": func(d *listedDAG) sortKey { return textKey(d.ID) },
	"next_dagrun":         func(d *listedDAG) sortKey { return optionalKey(d.NextLogical) },
	"last_run_state":      func(d *listedDAG) sortKey { return sortKey{Null: d.last.state == "", Text: d.last.state} },
	"last_run_start_date": func(d *listedDAG) sortKey { return millisKey(d.last.start) },
}, unique: []func(*listedDAG) sortKey{func(d *listedDAG) sortKey { return textKey(d.ID) }}}

func optionalKey(v *string) sortKey {
	if v == nil {
		return sortKey{Null: true}
	}
	return textKey(*v)
}

func (s *V2) dags(w http.ResponseWriter, r *http.Request) error {
	q, err := fastapi.Query(r, "tags", "owners", "order_by", "dag_run_state", "timetable_type")
	if err != nil {
		return err
	}
	l, keep := readListing(q, false), dagFilter(q)
	names := readPatterns(q, "dag_display_name")
	_, byErrors := q.Take("has_import_errors")
	errorsOnly := q.Flag("has_import_errors", false)
	started, ended := timeBounds(q, "dag_run_start_date", false), timeBounds(q, "dag_run_end_date", false)
	last, _ := q.OneOf("enum", "last_dag_run_state", states...)
	runStates, err := statesOf(q, "dag_run_state", "state", states...)
	if err != nil {
		return err
	}
	from, byBundle := q.Text("bundle_name", 0)
	nothing := q.Flag("is_favorite", false) || q.Flag("has_asset_schedule", false) || len(q.Texts("timetable_type")) > 0
	for _, name := range []string{"bundle_version", "asset_dependency"} { // which no workflow has
		v, _ := q.Text(name, 0)
		nothing = nothing || v != ""
	}
	if err := q.Done(); err != nil {
		return err
	}
	known, err := s.Workflows.All()
	if err != nil {
		return err
	}
	byRuns := len(runStates) > 0 || last != "" || started.any || ended.any
	all := []listedDAG{}
	for i := range known {
		d := listedDAG{v2DAG: v2DAGOf(&known[i], s.Now())}
		if nothing || byBundle && from != bundle || byErrors && d.ImportErrors != errorsOnly || !names.match(d.ID) || !keep(&d.v2DAG) {
			continue
		}
		if byRuns || slices.ContainsFunc(l.orderBy, func(o string) bool { return strings.Contains(o, "last_run") }) {
			run, ok, err := s.newest(d.ID)
			if err != nil {
				return err
			}
			state := v2State(run.State)
			if byRuns && (!ok || !anyOf(runStates, state) || last != "" && state != last || !started.hasMillis(run.StartedMillis) || !ended.hasMillis(run.EndedMillis)) {
				continue
			}
			if ok {
				d.last = lastRun{state, run.StartedMillis}
			}
		}
		all = append(all, d)
	}
	return writeList(w, l, all, dagAttributes, "dags", func(d *listedDAG) any { return d.v2DAG })
}

// writeList answers with the piece of a list that was asked for, and how many items there are in all.
func writeList[T any](w http.ResponseWriter, l *listing, items []T, by attributes[T], name string, shown func(*T) any) error {
	p, err := list(l, items, by)
	if err != nil {
		return err
	}
	all := make([]any, len(p.items))
	for i := range p.items {
		all[i] = shown(&p.items[i])
	}
	return api.WriteJSON(w, http.StatusOK, map[string]any{name: all, "total_entries": p.total})
}

// newest is the run of a workflow that was asked for last.
func (s *V2) newest(name string) (run projections.WorkflowRun, ok bool, err error) {
	p, err := fold.Of[*projections.Workflows](s.Views).Runs(name, "", fold.PageQuery{Limit: 1})
	if err != nil || len(p.Items) == 0 {
		return run, false, err
	}
	return p.Items[0], true, nil
}

func (s *V2) dag(w http.ResponseWriter, r *http.Request) error {
	k, err := s.known(r)
	if err != nil {
		return err
	}
	return api.WriteJSON(w, http.StatusOK, v2DAGOf(&k, s.Now()))
}

// v2Param is a param of a workflow, with the schema that its values must have.
func v2Param(p *workflow.Param) map[string]any {
	v := map[string]any{"value": paramValue(p), "schema": schemaOf(p), "description": nil, "source": "dag"}
	if p.Description != "" {
		v["description"] = p.Description
	}
	return v
}

func v2Params(d *workflow.Definition) map[string]any {
	all := map[string]any{}
	for i := range d.Params {
		all[d.Params[i].Name] = v2Param(&d.Params[i])
	}
	return all
}

func (s *V2) dagDetails(w http.ResponseWriter, r *http.Request) error {
	k, err := s.known(r)
	if err != nil {
		return err
	}
	versions, err := s.versionsOf(k.Name)
	if err != nil {
		return err
	}
	running, err := fold.Of[*projections.Workflows](s.Views).Active()
	if err != nil {
		return err
	}
	v := struct {
		v2DAG
		Catchup         bool              `json:"catchup"`
		Timeout         *string           `json:"dag_run_timeout"` // ISO 8601
		Assets          map[string]any    `json:"asset_expression"`
		Doc             *string           `json:"doc_md"`
		Start           *string           `json:"start_date"`
		End             *string           `json:"end_date"`
		PausedAtFirst   *bool             `json:"is_paused_upon_creation"`
		Params          map[string]any    `json:"params"`
		Native          bool              `json:"render_template_as_native_obj"`
		TemplatePath    []string          `json:"template_search_path"`
		Timezone        string            `json:"timezone"`
		LastParsed      *string           `json:"last_parsed"`
		Defaults        map[string]any    `json:"default_args"`
		RerunWithLatest *bool             `json:"rerun_with_latest_version"`
		OwnerLinks      map[string]string `json:"owner_links"`
		Favorite        bool              `json:"is_favorite"`
		ActiveRuns      int               `json:"active_runs_count"`
		Concurrency     int               `json:"concurrency"`
		Version         *v2Version        `json:"latest_dag_version"`
	}{v2DAG: v2DAGOf(&k, s.Now()), Params: map[string]any{}, Timezone: "UTC", LastParsed: stamp(k.DefinedMillis), Defaults: map[string]any{}, OwnerLinks: map[string]string{}}
	v.Concurrency = v.MaxActiveTasks
	if d := k.Definition; d != nil {
		timeout := "PT" + strconv.FormatFloat(d.Timeout.Seconds(), 'f', -1, 64) + "S"
		v.Catchup, v.Timeout, v.Params = d.Catchup, &timeout, v2Params(d)
		if d.Schedule != nil {
			v.Timezone = d.Schedule.Zone()
		}
	}
	for i := range running {
		if running[i].Workflow == k.Name && running[i].State == projections.StateRunning {
			v.ActiveRuns++
		}
	}
	if n := len(versions); n > 0 {
		v.Version = &versions[n-1].v2Version
	}
	return api.WriteJSON(w, http.StatusOK, v)
}

// v2Version is a definition of a workflow as Airflow lists versions.
type v2Version struct {
	ID            uuid.UUID `json:"id"` // derives from where the log has it
	Number        int       `json:"version_number"`
	DAG           string    `json:"dag_id"`
	Bundle        string    `json:"bundle_name"`
	BundleVersion *string   `json:"bundle_version"`
	Created       *string   `json:"created_at"`
	DisplayName   string    `json:"dag_display_name"`
	BundleURL     *string   `json:"bundle_url"`
}

// idOf is a UUID that derives from names.
func idOf(names ...string) uuid.UUID {
	return uuid.NewSHA1(uuid.NameSpaceURL, []byte("projectionist:"+strings.Join(names, "\x00")))
}

func v2VersionOf(name string, d *projections.DefinedAt) v2Version {
	return v2Version{ID: idOf("version", name, strconv.FormatInt(d.Offset, 10)), Number: d.Number, DAG: name, Bundle: bundle, Created: stamp(d.Millis), DisplayName: name}
}

// namedVersion is a definition of a workflow that is named with it.
type namedVersion struct {
	v2Version
	*projections.DefinedAt
}

func (s *V2) versionsOf(name string) (all []namedVersion, err error) {
	for d, err := range fold.Of[*projections.Workflows](s.Views).Definitions(name) {
		if err != nil {
			return nil, err
		}
		all = append(all, namedVersion{v2VersionOf(name, d), d})
	}
	return all, nil
}

var versionAttributes = attributes[namedVersion]{by: map[string]func(*namedVersion) sortKey{
	"id":             func(v *namedVersion) sortKey { return millisKey(v.Offset + 1) },
	"version_number": func(v *namedVersion) sortKey { return sortKey{Number: float64(v.v2Version.Number)} },
	"bundle_name":    func(v *namedVersion) sortKey { return textKey(bundle) },
	"bundle_version": func(v *namedVersion) sortKey { return sortKey{Null: true} },
}, unique: []func(*namedVersion) sortKey{func(v *namedVersion) sortKey { return millisKey(v.Offset + 1) }}}

func (s *V2) dagVersions(w http.ResponseWriter, r *http.Request) error {
	q, err := fastapi.Query(r, "order_by")
	if err != nil {
		return err
	}
	l := readListing(q, false)
	number := q.Integer("version_number", 0, math.MinInt64, math.MaxInt64)
	_, byNumber := q.Take("version_number")
	from, byBundle := q.Text("bundle_name", 0)
	_, nothing := q.Text("bundle_version", 0)
	if err := q.Done(); err != nil {
		return err
	}
	names := []string{r.PathValue("dag")}
	if names[0] == "~" {
		known, err := s.Workflows.All()
		if err != nil {
			return err
		}
		names = nil
		for i := range known {
			names = append(names, known[i].Name)
		}
	} else if _, err := s.known(r); err != nil {
		return err
	}
	var all []namedVersion
	for _, name := range names {
		versions, err := s.versionsOf(name)
		if err != nil {
			return err
		}
		for _, v := range versions {
			if !nothing && (!byNumber || int64(v.v2Version.Number) == number) && (!byBundle || from == bundle) {
				all = append(all, v)
			}
		}
	}
	return writeList(w, l, all, versionAttributes, "dag_versions", func(v *namedVersion) any { return v.v2Version })
}

func (s *V2) dagVersion(w http.ResponseWriter, r *http.Request) error {
	number, err := wholeInPath(r, "version_number", "version", math.MinInt64)
	if err != nil {
		return err
	}
	all, err := s.versionsOf(r.PathValue("dag"))
	if err != nil {
		return err
	}
	for i := range all {
		if int64(all[i].v2Version.Number) == number {
			return api.WriteJSON(w, http.StatusOK, all[i].v2Version)
		}
	}
	return fastapi.Refuse(http.StatusNotFound, "The DagVersion with dag_id: `%s` and version_number: `%d` was not found", api.Short(r.PathValue("dag")), number)
}

// wholeInPath is a whole number, of at least so much, that stands in a path under one name and is called by another.
func wholeInPath(r *http.Request, name, under string, least int64) (int64, error) {
	text := r.PathValue(under)
	n, kind, msg := fastapi.WholeOf(text)
	var ctx map[string]any
	if kind == "" && n < least {
		kind, msg, ctx = "greater_than_equal", "Input should be greater than or equal to "+strconv.FormatInt(least, 10), map[string]any{"ge": least}
	}
	if kind != "" {
		return 0, &fastapi.Refusal{Status: http.StatusUnprocessableEntity, Detail: []fastapi.Flaw{{Type: kind, Loc: []any{"path", name}, Msg: msg, Input: text, Ctx: ctx}}}
	}
	return n, nil
}

// accepts says which of some media types a request wants; the first without a word or where it takes any, "" for none of them.
func accepts(r *http.Request, types ...string) string {
	header := r.Header.Get("Accept")
	if header == "" || strings.Contains(header, "*/*") {
		return types[0]
	}
	for _, t := range types {
		if strings.Contains(strings.ToLower(header), t) {
			return t
		}
	}
	return ""
}

// dagSource is a definition as it was written: the one in force, or the one of a number.
func (s *V2) dagSource(w http.ResponseWriter, r *http.Request) error {
	q, err := fastapi.Query(r)
	if err != nil {
		return err
	}
	number := q.Integer("version_number", 0, math.MinInt64, math.MaxInt64)
	_, byNumber := q.Take("version_number")
	if err := q.Done(); err != nil {
		return err
	}
	kind := accepts(r, "application/json", "text/plain")
	if kind == "" {
		return fastapi.Refuse(http.StatusNotAcceptable, "Only application/json or text/plain is supported")
	}
	name := r.PathValue("dag")
	all, err := s.versionsOf(name)
	if err != nil {
		return err
	}
	if !byNumber {
		number = int64(len(all))
	}
	i := slices.IndexFunc(all, func(v namedVersion) bool { return int64(v.v2Version.Number) == number })
	if i < 0 {
		asked := "None"
		if byNumber {
			asked = strconv.FormatInt(number, 10)
		}
		return fastapi.Refuse(http.StatusNotFound, "The source code of the Dag %s, version_number %s was not found", api.Short(name), asked)
	}
	if kind == "text/plain" {
		return api.WriteText(w, kind, []byte(all[i].Source))
	}
	return api.WriteJSON(w, http.StatusOK, map[string]any{"content": all[i].Source, "dag_id": name, "version_number": all[i].v2Version.Number, "dag_display_name": name})
}

// dagTags are the tags that workflows have.
func (s *V2) dagTags(w http.ResponseWriter, r *http.Request) error {
	q, err := fastapi.Query(r, "order_by")
	if err != nil {
		return err
	}
	l, names := readListing(q, false), readPatterns(q, "tag_name")
	if err := q.Done(); err != nil {
		return err
	}
	known, err := s.Workflows.All()
	if err != nil {
		return err
	}
	all := []string{}
	for i := range known {
		if d := known[i].Definition; d != nil {
			for _, t := range d.Tags {
				if names.match(t) {
					all = append(all, t)
				}
			}
		}
	}
	slices.Sort(all)
	of := func(t *string) sortKey { return textKey(*t) }
	return writeList(w, l, slices.Compact(all), attributes[string]{map[string]func(*string) sortKey{"name": of}, []func(*string) sortKey{of}}, "tags", func(t *string) any { return *t })
}

// dagStats counts the runs of workflows that have any, by state.
func (s *V2) dagStats(w http.ResponseWriter, r *http.Request) error {
	q, err := fastapi.Query(r, "dag_ids")
	if err != nil {
		return err
	}
	wanted := q.Texts("dag_ids")
	if err := q.Done(); err != nil {
		return err
	}
	type count struct {
		State string `json:"state"`
		Count int64  `json:"count"`
	}
	known, err := s.Workflows.All()
	if err != nil {
		return err
	}
	all := []any{}
	for i := range known {
		name := known[i].Name
		counts, err := fold.Of[*projections.Workflows](s.Views).StateCounts(name)
		if err != nil {
			return err
		}
		if len(counts) == 0 || !anyOf(wanted, name) {
			continue
		}
		var stats []count
		for _, state := range states {
			n := counts[state]
			if state == projections.StateFailed {
				n += counts[projections.StateCancelled]
			}
			stats = append(stats, count{state, n})
		}
		all = append(all, map[string]any{"dag_id": name, "dag_display_name": name, "stats": stats})
	}
	return api.WriteJSON(w, http.StatusOK, map[string]any{"dags": all, "total_entries": len(all)})
}
