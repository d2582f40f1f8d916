package airflow

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/api/fastapi"
	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
)

func (s *V2) runRoutes(r v2Routes) {
	r.on("POST", "/dags/{dag}/dagRuns", s.trigger)
	r.on("GET", "/dags/{dag}/dagRuns", s.runs)
	r.on("POST", "/dags/{dag}/dagRuns/list", s.runBatch)
	r.on("GET", "/dags/{dag}/dagRuns/{run}", s.run)
	r.on("GET", "/dags/{dag}/dagRuns/{run}/wait", s.wait)
	r.on("GET", "/dags/{dag}/dagRuns/{run}/upstreamAssetEvents", s.runAssetEvents)
}

// v2Run is a run as Airflow 3 has it. One that was asked for without a date has none, and no interval.
type v2Run struct {
	ID            string         `json:"dag_run_id"`
	DAG           string         `json:"dag_id"`
	Logical       *string        `json:"logical_date"`
	Queued        *string        `json:"queued_at"`
	Start         *string        `json:"start_date"`
	End           *string        `json:"end_date"`
	Duration      *float64       `json:"duration"` // seconds
	IntervalStart *string        `json:"data_interval_start"`
	IntervalEnd   *string        `json:"data_interval_end"`
	After         *string        `json:"run_after"`
	Decided       *string        `json:"last_scheduling_decision"`
	Type          string         `json:"run_type"`
	State         string         `json:"state"`
	TriggeredBy   *string        `json:"triggered_by"`
	User          *string        `json:"triggering_user_name"`
	Conf          map[string]any `json:"conf"`
	Note          *string        `json:"note"`
	Versions      []*v2Version   `json:"dag_versions"`
	BundleVersion *string        `json:"bundle_version"`
	DisplayName   string         `json:"dag_display_name"`
	PartitionKey  *string        `json:"partition_key"`
	PartitionDate *string        `json:"partition_date"`
}

// v2RunTypes and v2TriggeredBy are Airflow 3's words for how a run came about.
var (
	v2RunTypes    = map[string]string{"triggered": "asset_triggered"}
	v2TriggeredBy = map[string]string{"manual": "rest_api", "scheduled": "timetable", "triggered": "asset", "backfill": "backfill"}
)

// v2State is the state of a run in Airflow's words, which has none for one that was cancelled.
func v2State(state string) string {
	if state == projections.StateCancelled {
		return projections.StateFailed
	}
	return state
}

func v2RunType(kind string) string {
	if word, ok := v2RunTypes[kind]; ok {
		return word
	}
	return kind
}

// dateMillis is what a run is for; 0 of one that was asked for without a date.
func dateMillis(run *projections.RunDigest) int64 {
	if run.LogicalMillis == run.RequestedMillis {
		return 0
	}
	return run.LogicalMillis
}

// afterMillis is from when on a run could begin: its slot, or when it was asked for.
func afterMillis(run *projections.RunDigest) int64 {
	if run.RunType == "scheduled" || run.RunType == "backfill" {
		return run.IntervalEndMillis
	}
	return run.RequestedMillis
}

func v2RunOf(run *projections.WorkflowRun, version *v2Version) v2Run {
	v1, d := dagRunOf(run), projections.DigestOf(run)
	v := v2Run{ID: run.RunID, DAG: run.Workflow, Queued: stamp(run.RequestedMillis), Start: stamp(run.StartedMillis), End: stamp(run.EndedMillis),
		Duration: seconds(run.StartedMillis, run.EndedMillis), After: stamp(afterMillis(&d)), Decided: stamp(run.UpdatedMillis), Type: v2RunType(run.RunType), State: v1.State,
		Conf: v1.Conf, Note: v1.Note, Versions: []*v2Version{}, DisplayName: run.Workflow}
	if at := dateMillis(&d); at != 0 {
		v.Logical, v.IntervalStart, v.IntervalEnd = stamp(at), stamp(at), stamp(run.IntervalEndMillis)
	}
	if word, ok := v2TriggeredBy[run.RunType]; ok {
		v.TriggeredBy = &word
	}
	if run.Actor != "" {
		v.User = &run.Actor
	}
	if version != nil {
		v.Versions = append(v.Versions, version)
	}
	return v
}

// versionOf is the definition that a run goes by; nil where there is none.
func (s *V2) versionOf(workflow string, requestedOffset int64) (*v2Version, error) {
	d, ok, err := s.Workflows.VersionAt(workflow, requestedOffset)
	if err != nil || !ok {
		return nil, err
	}
	v := v2VersionOf(workflow, &d)
	return &v, nil
}

func (s *V2) writeRun(w http.ResponseWriter, run *projections.WorkflowRun) error {
	version, err := s.versionOf(run.Workflow, run.RequestedOffset)
	if err != nil {
		return err
	}
	return api.WriteJSON(w, http.StatusOK, v2RunOf(run, version))
}

// runOf is the run that a request names.
func (s *V2) runOf(r *http.Request) (projections.WorkflowRun, error) {
	name, id := r.PathValue("dag"), r.PathValue("run")
	run, ok, err := fold.Of[*projections.Workflows](s.Views).Run(id)
	if err == nil && (!ok || run.Workflow != name) {
		err = fastapi.Refuse(http.StatusNotFound, "The DagRun with dag_id: `%s` and run_id: `%s` was not found", api.Short(name), api.Short(id))
	}
	return run, err
}

func (s *V2) run(w http.ResponseWriter, r *http.Request) error {
	run, err := s.runOf(r)
	if err != nil {
		return err
	}
	return s.writeRun(w, &run)
}

// runAfterSlack is how far ahead a run_after may lie that means now: clients' clocks differ.
const runAfterSlack = time.Minute

// trigger asks for a run.
func (s *V2) trigger(w http.ResponseWriter, r *http.Request) error {
	k, err := s.Workflows.Of(r.PathValue("dag"))
	switch {
	case fault.Is(err, fault.NotFound):
		return fastapi.Refuse(http.StatusNotFound, "Dag with dag_id: '%s' not found", api.Short(r.PathValue("dag")))
	case err != nil:
		return err
	case k.Err != nil:
		return fastapi.Refuse(http.StatusBadRequest, "Dag with dag_id: '%s' has import errors and cannot be triggered: %v", k.Name, k.Err)
	}
	b, err := fastapi.Body(w, r)
	if err != nil {
		return err
	}
	b.Need("logical_date")
	logical, from, to, after := b.Time("logical_date", true), b.Time("data_interval_start", true), b.Time("data_interval_end", true), b.Time("run_after", false)
	asked := &commands.RequestWorkflowRun{}
	asked.RunID, _ = b.Text("dag_run_id", 0)
	asked.Note, _ = b.Text("note", 0)
	raw, ok := b.Take("conf")
	if _, is := raw.(map[string]any); ok && raw != nil && !is {
		b.Flaw("dict_type", "Input should be a valid dictionary", raw, nil, "conf")
	}
	partition, _ := b.Text("partition_key", 0)
	if from.IsZero() != to.IsZero() {
		b.Wrong(b.Whole(), "Either both data_interval_start and data_interval_end must be provided or both must be None")
	}
	if err := b.Done(); err != nil {
		return err
	}
	switch now := s.Now(); {
	case partition != "":
		return fastapi.Refuse(http.StatusBadRequest, "partition_key: the Dag %s is not partitioned", k.Name)
	case after.After(now.Add(runAfterSlack)):
		return fastapi.Refuse(http.StatusBadRequest, "run_after: a run begins when it is asked for; give the Dag a schedule, or ask then")
	}
	if !logical.IsZero() {
		asked.LogicalMillis, asked.IntervalEndMillis = logical.UnixMilli(), logical.UnixMilli()
		if !from.IsZero() {
			if asked.IntervalEndMillis = to.UnixMilli(); !from.Equal(logical) {
				return fastapi.Refuse(http.StatusBadRequest, "data_interval_start: is another than logical_date; a run's interval begins at its date")
			}
		}
	}
	text, err := json.Marshal(raw)
	if err != nil {
		return fault.Wrap(fault.Internal, err, "conf")
	}
	if asked.Conf, err = confOf(text); err != nil {
		return err
	}
	run, err := s.v1.ask(r, &k, asked)
	if err != nil {
		return takenAlready(err)
	}
	return s.writeRun(w, &run)
}

// runFilter is which runs a query or a body asks for.
type runFilter struct {
	dags, states, types, versions                  []string
	dag, id, user                                  patterns
	after, logical, start, end, updated, durations bounds
	conf                                           string
	nothing                                        bool // what no run has is asked for
}

func (f *runFilter) readBounds(q *fastapi.Values, aware bool) {
	f.after, f.logical, f.start, f.end = timeBounds(q, "run_after", aware), timeBounds(q, "logical_date", aware), timeBounds(q, "start_date", aware), timeBounds(q, "end_date", aware)
	f.durations = numberBounds(q, "duration")
	f.conf, _ = q.Text("conf_contains", 0)
}

func (f *runFilter) keep(run *projections.RunDigest) bool {
	return !f.nothing && anyOf(f.dags, run.Workflow) && anyOf(f.states, v2State(run.State)) && anyOf(f.types, v2RunType(run.RunType)) && f.dag.match(run.Workflow) && f.id.match(run.RunID) &&
		f.after.hasMillis(afterMillis(run)) && f.logical.hasMillis(dateMillis(run)) && f.start.hasMillis(run.StartedMillis) &&
		f.end.hasMillis(run.EndedMillis) && f.updated.hasMillis(run.UpdatedMillis) && f.durations.hasSpan(run.StartedMillis, run.EndedMillis)
}

// deep says whether keepWhole is to be asked too, which looks at a run's document.
func (f *runFilter) deep() bool { return f.conf != "" || f.user.given() }

// keepWhole looks for a text in the conf as JSON, as Airflow looks for one in its column, and at who asked for the run.
func (f *runFilter) keepWhole(run *projections.WorkflowRun) bool {
	if !f.user.match(run.Actor) {
		return false
	}
	text, err := json.Marshal(run.Conf)
	return err == nil && strings.Contains(strings.ToLower(string(text)), strings.ToLower(f.conf))
}

var runAttributes = attributes[projections.RunDigest]{by: map[string]func(*projections.RunDigest) sortKey{
	"id": requestedKey, "state": func(r *projections.RunDigest) sortKey { return textKey(v2State(r.State)) }, "dag_id": func(r *projections.RunDigest) sortKey { return textKey(r.Workflow) },
	"run_id": runIDKey, "dag_run_id": runIDKey, "logical_date": func(r *projections.RunDigest) sortKey { return millisKey(dateMillis(r)) },
	"run_after": func(r *projections.RunDigest) sortKey { return millisKey(afterMillis(r)) }, "start_date": func(r *projections.RunDigest) sortKey { return millisKey(r.StartedMillis) },
	"end_date": func(r *projections.RunDigest) sortKey { return millisKey(r.EndedMillis) }, "updated_at": func(r *projections.RunDigest) sortKey { return millisKey(r.UpdatedMillis) },
	"duration":       func(r *projections.RunDigest) sortKey { return spanKey(r.StartedMillis, r.EndedMillis) },
	"partition_date": func(*projections.RunDigest) sortKey { return sortKey{Null: true} }, "conf": requestedKey, // which are bytes in Airflow: nobody can mean their order
}, unique: []func(*projections.RunDigest) sortKey{requestedKey}}

func requestedKey(r *projections.RunDigest) sortKey {
	return sortKey{Number: float64(r.RequestedOffset)}
}
func runIDKey(r *projections.RunDigest) sortKey { return textKey(r.RunID) }

// v2AllRunTypes are those of Airflow 3.
var v2AllRunTypes = []string{"backfill", "scheduled", "manual", "operator_triggered", "asset_triggered", "asset_materialization"}

func (s *V2) runs(w http.ResponseWriter, r *http.Request) error {
	q, err := fastapi.Query(r, "order_by", "state", "run_type", "dag_version")
	if err != nil {
		return err
	}
	l, f := readListing(q, true), &runFilter{}
	f.readBounds(q, false)
	f.updated = timeBounds(q, "updated_at", false)
	f.dag, f.id, f.user = readPatterns(q, "dag_id"), readPatterns(q, "run_id"), readPatterns(q, "triggering_user_name")
	partition, consumes := readPatterns(q, "partition_key"), readPatterns(q, "consuming_asset")
	_, bundled := q.Text("bundle_version", 0)
	f.nothing = partition.given() || consumes.given() || bundled
	f.versions = q.Texts("dag_version")
	for _, name := range []string{"partition_date_gte", "partition_date_lte"} {
		if _, given := q.Text(name, 0); given {
			return fastapi.Refuse(http.StatusBadRequest, "Dag with dag_id: '%s' is not partitioned; partition_date_gte and partition_date_lte are not supported.", api.Short(r.PathValue("dag")))
		}
	}
	if f.states, err = statesOf(q, "state", "state", states...); err != nil {
		return err
	}
	if f.types, err = statesOf(q, "run_type", "run type", v2AllRunTypes...); err != nil {
		return err
	}
	if err := q.Done(); err != nil {
		return err
	}
	name := r.PathValue("dag")
	if name == "~" {
		name = ""
	} else if _, err := s.known(r); err != nil {
		return err
	}
	return s.writeRuns(w, l, name, f)
}

// writeRuns answers with runs of a workflow, or of all, "", that a filter keeps.
func (s *V2) writeRuns(w http.ResponseWriter, l *listing, name string, f *runFilter) error {
	view := fold.Of[*projections.Workflows](s.Views)
	var failed error
	all, err := view.Digests(oneOrAll(name), func(d *projections.RunDigest) bool {
		ok := f.keep(d)
		if ok && f.deep() {
			run, there, err := view.Run(d.RunID)
			failed = errors.Join(failed, err)
			ok = there && f.keepWhole(&run)
		}
		if ok && len(f.versions) > 0 {
			v, err := s.versionOf(d.Workflow, d.RequestedOffset)
			failed = errors.Join(failed, err)
			ok = v != nil && slices.Contains(f.versions, strconv.Itoa(v.Number))
		}
		return ok && failed == nil
	})
	if err := errors.Join(err, failed); err != nil {
		return err
	}
	p, err := list(l, all, runAttributes)
	if err != nil {
		return err
	}
	shown := make([]v2Run, 0, len(p.items))
	for i := range p.items {
		run, ok, err := view.Run(p.items[i].RunID)
		if err != nil {
			return err
		}
		if !ok { // it was deleted since
			continue
		}
		version, err := s.versionOf(run.Workflow, run.RequestedOffset)
		if err != nil {
			return err
		}
		shown = append(shown, v2RunOf(&run, version))
	}
	return api.WriteJSON(w, http.StatusOK, p.counted(l, "dag_runs", shown))
}

// oneOrAll are the names of a search: nil for all.
func oneOrAll(name string) []string {
	if name == "" || name == "~" {
		return nil
	}
	return []string{name}
}

// every refuses a list over all things below one of them, as Airflow does: each path value, by its name in the path and that in the
// refusal, must be "~".
func every(r *http.Request, names ...[2]string) error {
	var flaws []fastapi.Flaw
	for _, name := range names {
		if v := r.PathValue(name[0]); v != "~" {
			flaws = append(flaws, fastapi.Flaw{Type: "literal_error", Loc: []any{"path", name[1]}, Msg: "Input should be '~'", Input: v, Ctx: map[string]any{"expected": "'~'"}})
		}
	}
	if flaws == nil {
		return nil
	}
	return &fastapi.Refusal{Status: http.StatusUnprocessableEntity, Detail: flaws}
}

func (s *V2) runBatch(w http.ResponseWriter, r *http.Request) error {
	if err := every(r, [2]string{"dag", "dag_id"}); err != nil {
		return err
	}
	b, err := fastapi.Body(w, r)
	if err != nil {
		return err
	}
	l, f := readBatchListing(b), &runFilter{}
	f.readBounds(b, true)
	f.dags, f.states = b.Texts("dag_ids"), b.Each("states", states...)
	if err := b.Done(); err != nil {
		return err
	}
	return s.writeRuns(w, l, "", f)
}

// runAssetEvents are the changes of assets that a run was triggered by: there are none.
func (s *V2) runAssetEvents(w http.ResponseWriter, r *http.Request) error {
	if _, err := s.runOf(r); err != nil {
		return err
	}
	return api.WriteJSON(w, http.StatusOK, map[string]any{"asset_events": []any{}, "total_entries": 0})
}
