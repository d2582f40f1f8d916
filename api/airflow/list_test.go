package airflow_test

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/handlers"
	"github.com/projectionist/projectionist/handlers/roles"
	"github.com/projectionist/projectionist/handlers/workflow"
	"github.com/projectionist/projectionist/internal/racing"
)

// history is random runs of three workflows, one of which decides by an output whether a task runs.
type history struct {
	*fixture
	rng  *rand.Rand
	at   atomic.Int64 // the clock, in Unix milliseconds
	runs []string     // ids, in the order of their requests, of those that are not deleted
	of   map[string]string
	late map[string]bool // those that go by w1's second definition
}

var random = map[string]string{
	"w1": "name: w1\ntasks: [{name: a, operator: watch_log}, {name: b, operator: watch_log, needs: [a], pool: small}, {name: c, operator: watch_log, needs: [b], trigger_rule: all_done}]",
	"w2": "name: w2\ntasks: [{name: a, operator: watch_log}, {name: d, operator: watch_log, needs: [a], when: tasks.a.rows > 3}, {name: e, operator: watch_log, needs: [d], trigger_rule: none_failed}]",
	"w3": "name: w3\ntasks: [{name: only, operator: watch_log}]",
}

func newHistory(t *testing.T, seed uint64, runs int) *history {
	h := &history{rng: rand.New(rand.NewPCG(seed, 1)), of: map[string]string{}, late: map[string]bool{}}
	h.at.Store(time.Date(2024, 5, 1, 0, 0, 0, 0, time.UTC).UnixMilli())
	h.fixture = newFixtureAt(t, func() time.Time { return time.UnixMilli(h.at.Load()) })
	define := func(source string) {
		d, err := workflow.Parse([]byte(source), roles.Operators())
		h.Must(err)
		h.try(&commands.DefineWorkflow{Workflow: d.Name, Source: d.Source(), Hash: d.Hash()})
	}
	names := slices.Sorted(maps.Keys(random))
	for _, name := range names {
		define(random[name])
	}
	for i := range runs {
		name := names[h.rng.IntN(len(names))]
		id := fmt.Sprintf("r%d-%d", h.rng.IntN(1000), i)
		c := &commands.RequestWorkflowRun{RunID: id, Workflow: name, RunType: []string{"manual", "scheduled"}[h.rng.IntN(2)]}
		if h.rng.IntN(3) == 0 {
			c.LogicalMillis = h.at.Load() - int64(h.rng.IntN(5))*3_600_000
			c.IntervalEndMillis = c.LogicalMillis + 1000
		}
		h.try(c)
		h.runs, h.of[id], h.late[id] = append(h.runs, id), name, i > runs/2
		for range h.rng.IntN(12) {
			h.step()
		}
		if i == runs/2 { // of runs from here on a task is another
			define(strings.Replace(random["w1"], "name: c", "name: z", 1))
		}
	}
	h.Do(&commands.SetVariable{Key: "the", Value: "last"})
	return h
}

// try says a command that may be refused.
func (h *history) try(c commands.Command) {
	h.at.Add(int64(h.rng.IntN(3)) * 1000)                                                                             // some at the same moment
	h.Dispatcher.Dispatch(h.T.Context(), c, handlers.Meta{Actor: []string{"ada", "bob", "reactor:x"}[h.rng.IntN(3)]}) //nolint:errcheck // or not
}

// step does something to a run, mostly a late one.
func (h *history) step() {
	if len(h.runs) == 0 {
		return
	}
	i := len(h.runs) - 1 - min(h.rng.IntN(len(h.runs)), h.rng.IntN(4))
	id := h.runs[i]
	its := map[string][]string{"w1": {"a", "b", "c", "z"}, "w2": {"a", "a", "a", "a", "a", "d", "e"}, "w3": {"only"}}[h.of[id]]
	task := its[h.rng.IntN(len(its))]
	switch h.rng.IntN(16) {
	case 0:
		h.try(&commands.EndWorkflowRun{RunID: id, State: []string{"success", "failed", "cancelled"}[h.rng.IntN(3)]})
	case 1:
		h.try(&commands.ClearTasks{RunID: id, Tasks: []string{task}})
	case 2:
		h.try(&commands.MarkTask{RunID: id, Task: task, State: []string{"success", "failed", "skipped"}[h.rng.IntN(3)]})
	case 3:
		h.try(&commands.FailTask{RunID: id, Task: task, Try: 1 + h.rng.IntN(2), Holder: "h", Error: "x", RetryAtMillis: int64(h.rng.IntN(2))})
	case 4:
		if h.rng.IntN(6) == 0 {
			h.try(&commands.DeleteWorkflowRun{RunID: id})
			h.runs = slices.Delete(h.runs, i, i+1)
		}
	case 5, 6, 7, 8, 9:
		h.try(&commands.SucceedTask{RunID: id, Task: task, Try: 1, Holder: "h", Output: map[string]string{"rows": fmt.Sprint(h.rng.IntN(8)), "zone": "x"}})
	default:
		h.try(&commands.StartTask{RunID: id, Task: task, Holder: "h", LeaseMillis: 60_000})
	}
}

// all pages through a list, and says how many it is told there are. Each page has another size.
func (h *history) all(path, name string) (all []map[string]any, total int) {
	h.T.Helper()
	for {
		v := h.want(200, "GET", fmt.Sprintf("%s&limit=%d&offset=%d", path, 1+h.rng.IntN(9), len(all)), "")
		total = int(v["total_entries"].(float64))
		for _, item := range v[name].([]any) {
			all = append(all, item.(map[string]any))
		}
		if len(v[name].([]any)) == 0 || len(all) >= total {
			return all, total
		}
	}
}

func text(v any) string {
	if v == nil {
		return ""
	}
	return fmt.Sprint(v)
}

// filter is a condition on items, with the parameter that asks for it.
type filter struct {
	query string
	keeps func(map[string]any) bool
}

// query is random filters, and what they let through.
func (h *history) query(states []string, of ...string) (query string, keeps func(map[string]any) bool) {
	var some []filter
	if h.rng.IntN(2) == 0 {
		wanted := []string{states[h.rng.IntN(len(states))], states[h.rng.IntN(len(states))]}
		some = append(some, filter{"&state=" + wanted[0] + "&state=" + wanted[1], func(v map[string]any) bool { return slices.Contains(wanted, cmp.Or(text(v["state"]), "none")) }})
	}
	for _, field := range of {
		if h.rng.IntN(5) != 0 {
			continue
		}
		bound := time.UnixMilli(h.at.Load() - int64(h.rng.IntN(5000))*1000).UTC().Format("2006-01-02T15:04:05.000000+00:00")
		if h.rng.IntN(2) == 0 {
			some = append(some, filter{"&" + field + "_gte=" + url.QueryEscape(bound), func(v map[string]any) bool { return text(v[field]) >= bound }})
		} else {
			some = append(some, filter{"&" + field + "_lte=" + url.QueryEscape(bound), func(v map[string]any) bool { return text(v[field]) != "" && text(v[field]) <= bound }})
		}
	}
	query = "?"
	for _, f := range some {
		query += f.query
	}
	return query, func(v map[string]any) bool {
		return !slices.ContainsFunc(some, func(f filter) bool { return !f.keeps(v) })
	}
}

// TestListsAreFilters: whatever is asked of a list, its pages together are what a plain filter leaves of all runs, or tasks, each asked for by
// itself, in the order that was asked for: nothing twice, nothing left out.
func TestListsAreFilters(t *testing.T) {
	for seed := range uint64(6) {
		h := newHistory(t, seed, 40)
		var runs, tasks []map[string]any
		for _, id := range h.runs {
			run := h.want(200, "GET", "/api/v1/dags/~/dagRuns/"+id, "")
			runs = append(runs, run)
		}
		for _, name := range slices.Sorted(maps.Keys(random)) { // by workflow, as they are listed
			for _, id := range h.runs {
				if h.of[id] == name {
					for _, v := range h.want(200, "GET", "/api/v1/dags/"+name+"/dagRuns/"+id+"/taskInstances", "")["task_instances"].([]any) {
						task := v.(map[string]any)
						if one := h.want(200, "GET", "/api/v1/dags/"+name+"/dagRuns/"+id+"/taskInstances/"+task["task_id"].(string), ""); fmt.Sprint(one) != fmt.Sprint(task) {
							t.Fatalf("one of a list is\n%v\nby itself\n%v", task, one)
						}
						tasks = append(tasks, task)
					}
					if last := tasks[len(tasks)-1]["task_id"]; name == "w1" && last != map[bool]string{true: "z", false: "c"}[h.late[id]] {
						t.Fatalf("run %s of w1 ends with task %v", id, last)
					}
				}
			}
		}
		for range racing.Rounds(200) {
			h.compareRuns(runs)
			h.compareTasks(tasks)
		}
		h.compareActs()
	}
}

func (h *history) scope() (path, name string) {
	name = []string{"~", "w1", "w2", "w3"}[h.rng.IntN(4)]
	return "/api/v1/dags/" + name + "/dagRuns", name
}

func (h *history) compareRuns(runs []map[string]any) {
	h.T.Helper()
	path, name := h.scope()
	query, keeps := h.query([]string{"queued", "running", "success", "failed"}, "execution_date", "start_date", "end_date")
	by := []string{"", "id", "state", "dag_id", "execution_date", "dag_run_id", "start_date", "end_date"}[h.rng.IntN(8)]
	back := h.rng.IntN(2) == 0 && by != ""
	var want []string
	kept := slices.DeleteFunc(slices.Clone(runs), func(v map[string]any) bool { return name != "~" && v["dag_id"] != name || !keeps(v) })
	if by == "id" && back {
		slices.Reverse(kept)
	} else if by != "" && by != "id" {
		slices.SortStableFunc(kept, func(a, b map[string]any) int {
			c := strings.Compare(text(a[by]), text(b[by]))
			if back {
				c = -c
			}
			return c
		})
	}
	for _, v := range kept {
		want = append(want, v["dag_run_id"].(string))
	}
	if by != "" {
		query += "&order_by=" + map[bool]string{true: "-"}[back] + by
	}
	var got []string
	found, total := h.all(path+query, "dag_runs")
	for _, v := range found {
		got = append(got, v["dag_run_id"].(string))
	}
	if by == "state" { // cancelled runs are shown as failed, and stand where they do here
		slices.Sort(got)
		slices.Sort(want)
	}
	if !slices.Equal(got, want) || total != len(want) {
		h.T.Fatalf("%s%s: %d in all\n got %v\nwant %v", path, query, total, got, want)
	}
}

func (h *history) compareTasks(tasks []map[string]any) {
	h.T.Helper()
	path, name := h.scope()
	query, keeps := h.query([]string{"none", "queued", "running", "success", "failed", "skipped", "upstream_failed", "up_for_retry"}, "execution_date", "start_date", "end_date")
	run := "~"
	if h.rng.IntN(6) == 0 {
		run = h.runs[h.rng.IntN(len(h.runs))]
	}
	if h.rng.IntN(6) == 0 {
		query += "&pool=small"
		before := keeps
		keeps = func(v map[string]any) bool { return v["pool"] == "small" && before(v) }
	}
	if h.rng.IntN(6) == 0 {
		most := float64(h.rng.IntN(6))
		query += fmt.Sprint("&duration_lte=", most)
		before := keeps
		keeps = func(v map[string]any) bool { d, ok := v["duration"].(float64); return ok && d <= most && before(v) }
	}
	var got, want []string
	id := func(v map[string]any) string {
		return fmt.Sprint(v["dag_id"], v["dag_run_id"], v["task_id"], v["state"])
	}
	for _, v := range tasks {
		if (name == "~" || v["dag_id"] == name) && (run == "~" || v["dag_run_id"] == run) && keeps(v) {
			want = append(want, id(v))
		}
	}
	found, total := h.all(path+"/"+run+"/taskInstances"+query, "task_instances")
	for _, v := range found {
		got = append(got, id(v))
	}
	if !slices.Equal(got, want) || total != len(want) {
		h.T.Fatalf("%s/%s%s: %d in all\n got %v\nwant %v", path, run, query, total, got, want)
	}
}

// compareActs: entries of the event log that are asked for are those among all.
func (h *history) compareActs() {
	h.T.Helper()
	all, total := h.all("/api/v1/eventLogs?", "event_logs")
	if len(all) != total || total < 40 {
		h.T.Fatalf("%d entries, of %d", len(all), total)
	}
	for i, v := range all {
		if i > 0 && v["event_log_id"].(float64) <= all[i-1]["event_log_id"].(float64) {
			h.T.Fatalf("%v is after %v", v, all[i-1])
		}
		if one := h.want(200, "GET", fmt.Sprintf("/api/v1/eventLogs/%.0f", v["event_log_id"]), ""); fmt.Sprint(one) != fmt.Sprint(v) {
			h.T.Fatalf("one of a list is\n%v\nby itself\n%v", v, one)
		}
	}
	for _, ask := range []struct {
		query string
		keeps func(map[string]any) bool
	}{
		{"dag_id=w1", func(v map[string]any) bool { return v["dag_id"] == "w1" }},
		{"dag_id=w2&event=success", func(v map[string]any) bool { return v["dag_id"] == "w2" && v["event"] == "success" }},
		{"owner=ada", func(v map[string]any) bool { return v["owner"] == "ada" }},
		{"task_id=a&try_number=1", func(v map[string]any) bool { return v["task_id"] == "a" && text(v["try_number"]) == "1" }},
		{"included_events=running,api.post_dag_run", func(v map[string]any) bool { return v["event"] == "running" || v["event"] == "api.post_dag_run" }},
		{"excluded_events=running", func(v map[string]any) bool { return v["event"] != "running" }},
		{"event=api.update_dag_run_state", func(v map[string]any) bool { return v["event"] == "api.update_dag_run_state" }},
		{"run_id=" + h.runs[3], func(v map[string]any) bool { return v["run_id"] == h.runs[3] }},
	} {
		want := slices.DeleteFunc(slices.Clone(all), func(v map[string]any) bool { return !ask.keeps(v) })
		got, n := h.all("/api/v1/eventLogs?"+ask.query, "event_logs")
		if fmt.Sprint(got) != fmt.Sprint(want) || n != len(want) {
			h.T.Fatalf("%s: %d of %d\n got %v\nwant %v", ask.query, len(got), len(want), got, want)
		}
		slices.Reverse(want)
		if got, _ := h.all("/api/v1/eventLogs?order_by=-event_log_id&"+ask.query, "event_logs"); fmt.Sprint(got) != fmt.Sprint(want) {
			h.T.Fatalf("%s, backwards:\n got %v\nwant %v", ask.query, got, want)
		}
	}
}
