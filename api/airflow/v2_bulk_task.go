package airflow

import (
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/api/fastapi"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
)

// namedTask is a task of a run among several that a body names, with what is wanted of it.
type namedTask struct {
	patch
	dag, run, task string
	index          int64
	hasIndex       bool
}

// bulkTasks changes several tasks of runs, and says of each kind of action what has come of it. What a task has done is its own to say: none is made or deleted.
func (s *V2) bulkTasks(w http.ResponseWriter, r *http.Request) error {
	dag, run := r.PathValue("dag"), r.PathValue("run")
	actions, err := readActions(w, r, func(b *fastapi.Values, a *bulkAction[namedTask]) {
		var text func(string)
		if a.kind == "delete" {
			text = func(id string) { a.of = append(a.of, namedTask{dag: dag, run: run, task: id}) }
		}
		readEach(b, "entities", text, func(of *fastapi.Values) {
			n := namedTask{dag: dag, run: run}
			of.Need("task_id")
			n.task, _ = of.Text("task_id", 0)
			if id, given := of.Text("dag_id", 0); given && id != "" {
				n.dag = id
			}
			if id, given := of.Text("dag_run_id", 0); given && id != "" {
				n.run = id
			}
			if index, _ := of.Take("map_index"); index != nil {
				n.index, n.hasIndex = of.Integer("map_index", -1, math.MinInt32, math.MaxInt32), true
			}
			n.patch = *readPatchIn(of, a.mask)
			a.of = append(a.of, n)
		})
	})
	if err != nil {
		return err
	}
	return answerActions(w, actions, func(a *bulkAction[namedTask], result *bulkResult) error {
		switch a.kind {
		case "create":
			result.fail(http.StatusMethodNotAllowed, "Task instances bulk create is not supported")
			return nil
		case "delete":
			result.fail(http.StatusMethodNotAllowed, "Task instances bulk delete is not supported: what a task has done stays in the log; clear it to have it done again")
			return nil
		}
		return s.patchTasks(r, a, result)
	})
}

// namedTask reads a task of a run; false where there is none.
func (s *V2) namedTask(n *namedTask) (t runTask, ok bool, err error) {
	run, ok, err := fold.Of[*projections.Workflows](s.Views).Run(n.run)
	if err != nil || !ok || run.Workflow != n.dag || n.hasIndex && n.index != -1 {
		return t, false, err
	}
	all, err := s.tasksOfRun(&run)
	if err != nil {
		return t, false, err
	}
	i := slices.IndexFunc(all, func(t runTask) bool { return t.name() == n.task })
	if i < 0 {
		return t, false, nil
	}
	return all[i], true, nil
}

// patchTasks changes tasks, as far as one that is refused. Of those that are named with a map index none may be missing, or none is changed; the others come after them.
func (s *V2) patchTasks(r *http.Request, a *bulkAction[namedTask], result *bulkResult) error {
	wanted := slices.DeleteFunc(a.of, func(n namedTask) bool {
		if n.dag != "~" && n.run != "~" {
			return false
		}
		result.fail(http.StatusBadRequest, "When using wildcard in path, dag_id and dag_run_id must be specified in request body for task_id: %s", api.Short(n.task))
		return true
	})
	slices.SortStableFunc(wanted, func(x, y namedTask) int { return rank(x.hasIndex) - rank(y.hasIndex) })
	var missing []string
	for i := range wanted {
		n := &wanted[i]
		if !n.hasIndex {
			continue
		}
		if _, ok, err := s.namedTask(n); err != nil {
			return err
		} else if !ok {
			missing = append(missing, fmt.Sprintf("{'dag_id': '%s', 'dag_run_id': '%s', 'task_id': '%s', 'map_index': %d}", api.Short(n.dag), api.Short(n.run), api.Short(n.task), n.index))
		}
	}
	if len(missing) > 0 && !a.skip {
		result.fail(http.StatusNotFound, "The task instances with these identifiers: [%s] were not found", strings.Join(missing, ", "))
		return nil
	}
	for i := range wanted {
		n := &wanted[i]
		t, ok, err := s.namedTask(n) // as those before have left it
		if err != nil {
			return err
		}
		if !ok && (a.skip || n.hasIndex) {
			continue
		}
		if !ok {
			result.fail(http.StatusNotFound, "No task instances found for dag_id: %s, run_id: %s, task_id: %s", api.Short(n.dag), api.Short(n.run), api.Short(n.task))
			return nil
		}
		errs := len(result.Errors)
		if err := result.tell(n.dag+"."+n.run+"."+n.task+"[-1]", s.patchNamed(r, n, &t)); err != nil || len(result.Errors) > errs {
			return err
		}
	}
	return nil
}

func rank(indexed bool) int {
	if indexed {
		return 0
	}
	return 1
}

func (s *V2) patchNamed(r *http.Request, n *namedTask, t *runTask) error {
	if err := n.within(); err != nil {
		return err
	}
	all, err := n.said(t)
	if err != nil {
		return err
	}
	return s.v1.say(amongSeveral(r, "update", n.run, n.task), all...)
}
