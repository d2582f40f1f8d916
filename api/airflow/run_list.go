package airflow

import (
	"net/http"
	"slices"
	"strings"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
)

// runOrders are what Airflow orders runs by. It can do so by conf too, which are bytes there: here that is the order of their coming.
var runOrders = map[string]string{"": "id", "id": "id", "state": "state", "dag_id": "workflow", "execution_date": "logical", "logical_date": "logical", "dag_run_id": "run_id",
	"start_date": "started", "end_date": "ended", "updated_at": "updated", "external_trigger": "run_type", "conf": "id"}

var states = []string{projections.StateQueued, projections.StateRunning, projections.StateSuccess, projections.StateFailed}

// statesAsked are the states of runs that Airflow's stand for: what is cancelled here has failed there.
func statesAsked(field string, asked []string, add func(error)) []string {
	if asked == nil {
		return nil
	}
	all := []string{}
	for _, state := range asked {
		switch {
		case !slices.Contains(states, state):
			add(fault.Field(field, "'%s' is not one of %s", api.Short(state), strings.Join(states, ", ")))
		case state == projections.StateFailed:
			all = append(all, state, projections.StateCancelled)
		default:
			all = append(all, state)
		}
	}
	return all
}

// runs lists the runs of a workflow, or of all (~), in the order of their requests where none is asked for.
func (s *Surface) runs(w http.ResponseWriter, r *http.Request) error {
	q := api.QueryOf(r, "limit", "offset", "state*", "order_by", "execution_date_gte", "execution_date_lte", "start_date_gte", "start_date_lte",
		"end_date_gte", "end_date_lte", "updated_at_gte", "updated_at_lte", "fields*")
	ask := projections.RunQuery{Page: asked(q), States: statesAsked("state", several(q, "state"), q.Add), Logical: span(q, "execution_date"),
		Started: span(q, "start_date"), Ended: span(q, "end_date"), Updated: span(q, "updated_at")}
	ask.Order, ask.Back = order(q, runOrders)
	if name := r.PathValue("dag"); name != "~" {
		ask.Workflows = []string{name}
	}
	if err := q.Err(); err != nil {
		return err
	}
	return s.answerRuns(w, &ask, several(q, "fields"))
}

func (s *Surface) answerRuns(w http.ResponseWriter, ask *projections.RunQuery, fields []string) error {
	found, total, err := fold.Of[*projections.Workflows](s.Views).SearchRuns(ask)
	if err != nil {
		return err
	}
	list := make([]dagRun, len(found))
	for i := range found {
		list[i] = dagRunOf(&found[i])
	}
	some, err := eachOnly(list, fields, "DAGRunSchema")
	if err != nil {
		return err
	}
	return answerList(w, "dag_runs", some, total)
}

// batch is what lists are asked for in a body. Times are texts with a zone.
type batch struct {
	Offset       *int64   `json:"page_offset"`
	Limit        *int64   `json:"page_limit"`
	DAGs         []string `json:"dag_ids"`
	LogicalFrom  *string  `json:"execution_date_gte"`
	LogicalTo    *string  `json:"execution_date_lte"`
	StartedFrom  *string  `json:"start_date_gte"`
	StartedTo    *string  `json:"start_date_lte"`
	EndedFrom    *string  `json:"end_date_gte"`
	EndedTo      *string  `json:"end_date_lte"`
	UpdatedFrom  *string  `json:"updated_at_gte"`
	UpdatedTo    *string  `json:"updated_at_lte"`
	page         projections.Page
	logical      projections.Between
	began, ended projections.Between
	updated      projections.Between
}

// read makes sense of the body, and notes what makes none.
func (b *batch) read(add func(error)) {
	limit, offset := int64(limitDefault), int64(0)
	if b.Limit != nil {
		if limit = *b.Limit; limit < 1 {
			add(fault.New(fault.Invalid, "%d is less than the minimum of 1 - 'page_limit'", limit))
		}
	}
	if b.Offset != nil {
		if offset = *b.Offset; offset < 0 || offset > offsetMax {
			add(fault.New(fault.Invalid, "%d is outside 0 to %d - 'page_offset'", offset, offsetMax))
		}
	}
	b.page = bounded(limit, offset)
	between := func(name string, from, to *string) (span projections.Between) {
		for _, end := range []struct {
			name string
			text *string
			at   *int64
		}{{name + "_gte", from, &span.From}, {name + "_lte", to, &span.To}} {
			if end.text == nil {
				continue
			}
			millis, err := momentOf(*end.text)
			if err != nil {
				add(fault.Field(end.name, "%v", err))
			}
			*end.at = millis
		}
		return span
	}
	b.logical, b.began = between("execution_date", b.LogicalFrom, b.LogicalTo), between("start_date", b.StartedFrom, b.StartedTo)
	b.ended, b.updated = between("end_date", b.EndedFrom, b.EndedTo), between("updated_at", b.UpdatedFrom, b.UpdatedTo)
}

// runBatch is runs, asked for in a body.
func (s *Surface) runBatch(w http.ResponseWriter, r *http.Request) error {
	var v struct {
		batch
		Order  string   `json:"order_by"`
		States []string `json:"states"`
	}
	if err := api.ReadJSON(w, r, &v, false); err != nil {
		return err
	}
	var errs faults
	v.read(errs.add)
	ask := projections.RunQuery{Page: v.page, Workflows: v.DAGs, States: statesAsked("states", v.States, errs.add), Logical: v.logical, Started: v.began, Ended: v.ended, Updated: v.updated}
	ask.Order, ask.Back = orderOf(v.Order, runOrders, errs.add)
	if len(v.DAGs) == 0 {
		ask.Workflows = nil
	}
	if len(v.States) == 0 {
		ask.States = nil
	}
	if err := errs.err(); err != nil {
		return err
	}
	return s.answerRuns(w, &ask, nil)
}
