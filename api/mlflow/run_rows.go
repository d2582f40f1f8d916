package mlflow

import (
	"context"
	"slices"
	"strings"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
)

// RunsAsked is a search of runs by the grammar of MLflow's filters and orders, for a surface that answers it in a form of its own.
type RunsAsked struct {
	Experiments []string // ids; none: all there are
	Deleted     bool     // those that are deleted, in place of the others
	Filter      string   // such as metrics.ndcg > 0.2 AND params.dim = '64'
	OrderBy     []string // such as metrics.ndcg DESC; none: newest first
	Columns     []string // such as run_id, start_time, metrics.ndcg, params.`a b`, tags.x
	Limit       int
	Cursor      string // where the page before ended
}

// RunRow is a run that was found, with its values of the columns: a text, an [events.Number], milliseconds as int64, or nil for none.
type RunRow struct {
	RunID  string
	Values []any
}

// RunRows are a page of runs. Total is how many fit, on whatever page.
type RunRows struct {
	Rows  []RunRow
	Next  string
	Total int
}

// experimentsSearched bounds the experiments that are searched where none are named.
const experimentsSearched = 10_000

// runColumn is a column that is asked for.
type runColumn struct {
	kind, key string
	numeric   bool
}

// column reads the name of a column. Of attributes it knows experiment_id, and name and user for run_name and user_id.
func runColumnOf(name string) (runColumn, error) {
	switch name {
	case "experiment_id":
		return runColumn{ofAttribute, name, false}, nil
	case "name":
		name = "run_name"
	case "user":
		name = "user_id"
	}
	kind, key, numeric, err := runGrammar.name(name)
	if err == nil && kind == ofDataset {
		err = invalid("Invalid column '%s': runs have no single data set", api.Short(name))
	}
	return runColumn{kind, key, numeric}, err
}

// FindRuns searches the runs of a core. It reads the columns that are asked for, and holds the page alone.
// The error names q, order_by, columns, experiment_id or cursor.
func FindRuns(ctx context.Context, core *api.Core, asked RunsAsked) (*RunRows, error) {
	s := New(core, Config{})
	search := runSearch{}
	var err error
	if search.filter, err = runGrammar.filter(asked.Filter); err != nil {
		return nil, about("q", err)
	}
	if search.order, err = runGrammar.order(asked.OrderBy); err != nil {
		return nil, about("order_by", err)
	}
	columns := make([]runColumn, len(asked.Columns))
	for i, name := range asked.Columns {
		if columns[i], err = runColumnOf(name); err != nil {
			return nil, about("columns", err)
		}
	}
	search.plan()
	search.listed = false // all are counted
	for _, c := range columns {
		search.column(c.kind, c.key, false)
	}
	ids := slices.Compact(slices.Sorted(slices.Values(asked.Experiments)))
	page, err := pageAt(asked.Cursor, asked.Limit, "rows", asked.Filter, asked.OrderBy, asked.Deleted, ids)
	if err != nil {
		return nil, about("cursor", err)
	}
	pages, err := newPager[RunRow](page, search.order)
	if err != nil {
		return nil, about("cursor", err)
	}
	out := &RunRows{}
	search.offer = func(has having, r *runAtHand) bool {
		out.Total++
		return pages.offer(has, func() RunRow { return r.row(has, columns) })
	}
	if len(ids) == 0 {
		if ids, err = s.searched(); err != nil {
			return nil, err
		}
	}
	view := "ACTIVE_ONLY"
	if asked.Deleted {
		view = "DELETED_ONLY"
	}
	for _, id := range ids {
		if err := s.find(ctx, &search, id, view); err != nil {
			return nil, about("experiment_id", err)
		}
	}
	out.Rows, out.Next, err = pages.end()
	return out, err
}

// about is what is refused in MLflow's words, as an error of the program about a field.
func about(field string, err error) error {
	if own, ok := err.(*refusal); ok {
		return fault.Field(field, "%s", strings.TrimSuffix(own.Message, "."))
	}
	return err
}

// searched are the experiments of a search that names none.
func (s *Surface) searched() (ids []string, err error) {
	for q := (fold.PageQuery{Limit: fold.PageLimitMax}); ; {
		p, err := s.runsView().Experiments(q)
		if err != nil {
			return nil, err
		}
		for i := range p.Items {
			ids = append(ids, p.Items[i].ExperimentID)
		}
		if q.Cursor = p.Next; q.Cursor == "" {
			return ids, nil
		}
		if len(ids) > experimentsSearched {
			return nil, fault.Field("experiment_id", "is needed: there are more than %d experiments", experimentsSearched)
		}
	}
}

// row is the run at hand with its values of some columns.
func (r *runAtHand) row(has having, columns []runColumn) RunRow {
	row := RunRow{RunID: r.found.RunID(), Values: make([]any, len(columns))}
	for i, c := range columns {
		if c.kind == ofMetric {
			if cell := r.cell(c.kind, c.key); cell != nil {
				n, err := projections.CellNumber(cell)
				r.fault(err)
				row.Values[i] = events.Number(n)
			}
			continue
		}
		switch v := has(c.kind, c.key); {
		case !v.is:
		case c.numeric:
			row.Values[i] = int64(v.number)
		default:
			row.Values[i] = v.text
		}
	}
	return row
}
