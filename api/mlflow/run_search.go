package mlflow

import (
	"cmp"
	"context"
	"io"
	"net/http"
	"slices"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/projections"
)

// Bounds of a search of runs.
const (
	runsDefault       = 1000
	runsMax           = 50_000
	experimentsAtOnce = 1000 // in one search
)

func (s *Surface) searchRuns(w http.ResponseWriter, r *http.Request) error {
	q, err := read(w, r)
	if err != nil {
		return err
	}
	wanted, by, view, ids := q.text("filter"), q.texts("order_by"), q.text("run_view_type"), q.texts("experiment_ids")
	slices.Sort(ids)
	ids = slices.Compact(ids)
	asked := q.page(runsDefault, runsMax, false, "runs", wanted, by, view, ids)
	if len(ids) > experimentsAtOnce {
		q.fault(invalid("a search takes at most %d experiments, not %d", experimentsAtOnce, len(ids)))
	}
	if q.err != nil {
		return q.err
	}
	search := runSearch{}
	if search.filter, search.order, err = runGrammar.read(wanted, by); err != nil {
		return err
	}
	search.plan()
	pages, err := newPager[string](asked, search.order)
	if err != nil {
		return err
	}
	search.offer = func(has having, r *runAtHand) bool { return pages.offer(has, r.found.RunID) }
	for _, id := range ids {
		if err := s.find(r.Context(), &search, id, view); err != nil {
			return err
		}
	}
	found, next, err := pages.end()
	if err != nil {
		return err
	}
	out := api.NewAnswer(r.Context(), w, r, "application/json")
	return out.End(s.writeRuns(out, found, next))
}

// runSearch is a search of runs: which columns it reads, and who is given what it finds. Runs themselves are read when
// they are answered.
type runSearch struct {
	filter filter
	order  order
	// offer is given each run that fits; it says whether that, and with it all that come later in the order, is beyond what is wanted.
	offer func(has having, r *runAtHand) (beyond bool)

	columns []projections.Column
	needed  []bool     // whether a run without a cell fits nothing
	asked   []askedFor // of which of them a key is asked
	listed  bool       // the order is that of the columns
}

type askedFor struct {
	kind, key string
	column    int
}

// plan chooses the columns.
func (q *runSearch) plan() {
	q.listed = slices.Equal(q.order, runGrammar.ties)
	for i := range q.filter {
		c := &q.filter[i]
		q.column(c.kind, c.key, c.op != isNull)
	}
	for _, t := range q.order {
		q.column(t.kind, t.key, false)
	}
}

// column has the columns read that a key is asked of.
func (q *runSearch) column(kind, key string, needed bool) {
	name := projections.HeadColumn
	switch {
	case kind == ofMetric:
		name = projections.MetricColumn(key)
	case kind == ofParam:
		name = projections.ParamColumn(key)
	case kind == ofTag && key != nameTag:
		name = projections.TagColumn(key)
	case kind == ofAttribute && key == "user_id":
		q.column(ofTag, userTag, false)
	case kind == ofDataset || kind == ofAttribute && !slices.Contains([]string{"run_name", "status", "end_time", "user_id"}, key):
		return // of data sets, of the experiment, or of every cell's key
	}
	i := slices.Index(q.columns, name)
	if i < 0 {
		i = len(q.columns)
		q.columns, q.needed = append(q.columns, name), append(q.needed, false)
	}
	q.needed[i] = q.needed[i] || needed
	q.asked = append(q.asked, askedFor{kind, key, i})
}

// find offers the runs of one experiment that fit.
func (s *Surface) find(ctx context.Context, q *runSearch, experiment, view string) error {
	e, err := s.experimentAt(ctx, experiment)
	if err != nil {
		return err
	}
	for _, deleted := range []bool{false, true} {
		if !shows(view, deleted || e != nil && e.Deleted) {
			continue
		}
		at := &runAtHand{search: q, experiment: e}
		at.run.ExperimentID = experiment
		at.datasets = func() (all []events.Dataset) {
			all, at.err = s.runsView().Datasets(at.found.RunID())
			return all
		}
		has := having(at.has)
		cells := projections.Cells{Experiment: experiment, Deleted: deleted, Columns: q.columns, Needed: q.needed}
		err := s.runsView().Search(ctx, cells, func(found *projections.FoundRun) (more bool, err error) {
			at.found = found
			fits := q.filter.holds(has)
			if at.err != nil || !fits {
				return true, at.err
			}
			beyond := q.offer(has, at)
			return !beyond || !q.listed, at.err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// runAtHand is the run that a search has come to.
type runAtHand struct {
	search     *runSearch
	found      *projections.FoundRun
	experiment *projections.Experiment // nil where it is not known
	run        projections.Run         // the experiment's id, and where it is asked for its own
	datasets   func() []events.Dataset
	err        error
}

// cell is the run's cell of what a key is asked of, nil where it has none.
func (r *runAtHand) cell(kind, key string) []byte {
	for i := range r.search.asked {
		if a := &r.search.asked[i]; a.key == key && a.kind == kind {
			return r.found.Cells[a.column]
		}
	}
	return nil
}

// has gives what the run has.
func (r *runAtHand) has(kind, key string) value {
	switch {
	case kind == ofDataset:
		return datasetsHave(r.datasets(), key)
	case kind == ofMetric:
		cell := r.cell(kind, key)
		if cell == nil {
			return value{}
		}
		n, err := projections.CellNumber(cell)
		r.fault(err)
		return number(float64(kept(events.Number(n))))
	case kind == ofParam, kind == ofTag && key != nameTag:
		cell := r.cell(kind, key)
		return value{text: string(cell), is: cell != nil}
	case kind == ofTag:
		return text(r.head(kind, key).Name)
	}
	switch key {
	case "run_id":
		return text(r.found.RunID())
	case "user_id":
		head := r.head(kind, key)
		return text(cmp.Or(head.User, string(r.cell(ofTag, userTag)), head.Actor))
	case "artifact_uri":
		r.run.RunID = r.found.RunID()
		return text(artifactURI(&r.run, r.experiment))
	case "experiment_id":
		return text(r.run.ExperimentID)
	case "start_time":
		return number(float64(r.found.StartMillis))
	case "status":
		return text(r.head(kind, key).Status)
	case "end_time":
		end := r.head(kind, key).EndMillis
		return value{number: float64(end), is: end != 0}
	}
	return text(r.head(kind, key).Name)
}

// head is the run's cell of the head, which is read for a key.
func (r *runAtHand) head(kind, key string) projections.RunHead {
	head, err := projections.CellHead(r.cell(kind, key))
	r.fault(err)
	return head
}

func (r *runAtHand) fault(err error) {
	if r.err == nil {
		r.err = err
	}
}

// writeRuns writes a page of runs, each as it is read.
func (s *Surface) writeRuns(w io.Writer, ids []string, next string) error {
	experiments := map[string]*projections.Experiment{}
	b := []byte(`{"runs":[`)
	empty := len(b)
	var metrics []runMetric
	err := s.runsView().Whole(ids, func(r *projections.WholeRun) (err error) {
		e, known := experiments[r.ExperimentID]
		if !known {
			if e, err = s.experimentNamed(r.ExperimentID); err != nil {
				return err
			}
			experiments[r.ExperimentID] = e
		}
		if len(b) != empty {
			b = append(b, ',')
		}
		v := wholeOf(r, e, metrics)
		metrics = v.Data.Metrics
		if b, err = v.append(b); err != nil || len(b) < answerBytes {
			return err
		}
		_, err = w.Write(b)
		b, empty = b[:0], -1
		return err
	})
	if err != nil {
		return err
	}
	if len(b) == empty {
		b = []byte("{")
	} else if b = append(b, ']'); next != "" {
		b = append(b, ',')
	}
	if next != "" {
		b = append(append(append(b, `"next_page_token":"`...), next...), '"')
	}
	_, err = w.Write(append(b, "}\n"...))
	return err
}

// answerBytes are gathered before they are written.
const answerBytes = 64 << 10
