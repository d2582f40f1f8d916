package airflow

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
)

func (s *Surface) inventoryRoutes(r *api.Routes) {
	r.Handle("GET /api/v1/dagSources/{token}", s.dagSource, "workflows")
	r.Handle("PUT /api/v1/parseDagFile/{token}", s.reparse)
	r.Handle("GET /api/v1/importErrors", s.importErrors, "workflows")
	r.Handle("GET /api/v1/importErrors/{id}", s.importError, "workflows")
	r.Handle("GET /api/v1/dagStats", s.dagStats, "workflows")
	r.Handle("GET /api/v1/dagWarnings", s.none("dag_warnings", []string{"", "dag_id", "warning_type", "message", "timestamp"}, "dag_id", "warning_type"))
	r.Handle("GET /api/v1/plugins", s.none("plugins", nil))
	r.Handle("GET /api/v1/providers", s.none("providers", nil))
	s.datasetRoutes(r)
}

// none answers with an empty list of what there is nothing of here; orders are what it may be ordered by, filters what else it may be asked for by.
func (s *Surface) none(name string, orders []string, filters ...string) api.Handler {
	known := append([]string{"limit", "offset"}, filters...)
	allowed := map[string]string{}
	for _, by := range orders {
		allowed[by] = by
	}
	if orders != nil {
		known = append(known, "order_by")
	}
	return func(w http.ResponseWriter, r *http.Request) error {
		q := api.QueryOf(r, known...)
		asked(q)
		if orders != nil {
			order(q, allowed)
		}
		if err := q.Err(); err != nil {
			return err
		}
		return answerList(w, name, []struct{}{}, 0)
	}
}

// importError is a workflow whose definition in force this program cannot use.
type importError struct {
	ID       int64  `json:"import_error_id"`
	When     string `json:"timestamp"`
	Filename string `json:"filename"`
	Trace    string `json:"stack_trace"`
}

func (s *Surface) allImportErrors() ([]importError, error) {
	known, err := s.Workflows.All()
	all := []importError{}
	for i := range known {
		if k := &known[i]; k.Err != nil {
			all = append(all, importError{k.DefinedOffset, iso(k.DefinedMillis), k.Name + ".yaml", k.Err.Error()})
		}
	}
	return all, err
}

func (s *Surface) importErrors(w http.ResponseWriter, r *http.Request) error {
	q := api.QueryOf(r, "limit", "offset", "order_by")
	piece := asked(q)
	by, back := order(q, map[string]string{"": "id", "import_error_id": "id", "timestamp": "id", "filename": "filename"})
	if err := q.Err(); err != nil {
		return err
	}
	all, err := s.allImportErrors()
	if err != nil {
		return err
	}
	slices.SortStableFunc(all, func(a, b importError) int {
		if back {
			a, b = b, a
		}
		if by == "filename" {
			return strings.Compare(a.Filename, b.Filename)
		}
		return cmp.Compare(a.ID, b.ID)
	})
	return answerList(w, "import_errors", page(all, piece), int64(len(all)))
}

func (s *Surface) importError(w http.ResponseWriter, r *http.Request) error {
	id, err := strconv.ParseInt(r.PathValue("id"), 10, 64)
	if err == nil {
		all, err := s.allImportErrors()
		if err != nil {
			return err
		}
		if i := slices.IndexFunc(all, func(e importError) bool { return e.ID == id }); i >= 0 {
			return api.WriteJSON(w, http.StatusOK, all[i])
		}
	}
	return missing("Import error not found", "The ImportError with import_error_id: `%s` was not found", api.Short(r.PathValue("id")))
}

// dagStats says how many runs of workflows are in which state.
func (s *Surface) dagStats(w http.ResponseWriter, r *http.Request) error {
	q := api.QueryOf(r, "dag_ids*")
	names := several(q, "dag_ids")
	if len(names) == 0 {
		q.Add(fault.New(fault.Invalid, "Missing query parameter 'dag_ids'"))
	}
	if err := q.Err(); err != nil {
		return err
	}
	type stat struct {
		State string `json:"state"`
		Count int64  `json:"count"`
	}
	type stats struct {
		DAG   string `json:"dag_id"`
		Stats []stat `json:"stats"`
	}
	all := []stats{}
	slices.Sort(names)
	view := fold.Of[*projections.Workflows](s.Views)
	for _, name := range slices.Compact(names) {
		k, ok, err := view.Workflow(name)
		if err != nil {
			return err
		}
		if !ok || k.Hash == "" {
			continue
		}
		counts, err := view.StateCounts(name)
		if err != nil {
			return err
		}
		one := stats{DAG: name}
		for _, state := range states {
			n := counts[state]
			if state == projections.StateFailed {
				n += counts[projections.StateCancelled]
			}
			one.Stats = append(one.Stats, stat{state, n})
		}
		all = append(all, one)
	}
	return answerList(w, "dags", all, int64(len(all)))
}
