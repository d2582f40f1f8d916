package mlflow

import (
	"bytes"
	"cmp"
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

// foundRun is a run that fits: what it is ordered by, and which it is. Runs themselves are read when they are answered,
// so that a search holds little of each.
type foundRun struct {
	by    []value
	start int64
	id    string
}

func (s *Surface) searchRuns(w http.ResponseWriter, r *http.Request) error {
	q, err := read(w, r)
	if err != nil {
		return err
	}
	offset, size := q.page(runsDefault, runsMax, false)
	wanted, by, view, ids := q.text("filter"), q.texts("order_by"), q.text("run_view_type"), q.texts("experiment_ids")
	if len(ids) > experimentsAtOnce {
		q.fault(invalid("a search takes at most %d experiments, not %d", experimentsAtOnce, len(ids)))
	}
	if q.err != nil {
		return q.err
	}
	f, o, err := runGrammar.read(wanted, by)
	if err != nil {
		return err
	}
	var all []foundRun
	slices.Sort(ids)
	for _, id := range slices.Compact(ids) {
		if all, err = s.find(r, all, id, view, f, o); err != nil {
			return err
		}
	}
	slices.SortFunc(all, func(a, b foundRun) int { // newest first, of one moment by id
		return cmp.Or(o.compare(a.by, b.by), cmp.Compare(b.start, a.start), cmp.Compare(a.id, b.id))
	})
	piece, next := pieceOf(all, offset, size)
	out := api.NewAnswer(r.Context(), w, r, "application/json")
	return out.End(s.writeRuns(out, piece, next))
}

// find adds the runs of one experiment that fit.
func (s *Surface) find(r *http.Request, all []foundRun, experiment, view string, f filter, o order) ([]foundRun, error) {
	e, err := s.experimentAt(r.Context(), experiment)
	if err != nil {
		return nil, err
	}
	for run, err := range s.allRuns(experiment) {
		if err == nil {
			err = r.Context().Err()
		}
		if err != nil {
			return nil, err
		}
		if !shows(view, run.Deleted || e != nil && e.Deleted) {
			continue
		}
		has := runHas(run, e, func() (datasets []events.Dataset) {
			datasets, err = s.runsView().Datasets(run.RunID)
			return datasets
		})
		if fits := f.holds(has); err != nil {
			return nil, err
		} else if fits {
			all = append(all, foundRun{o.of(has), run.StartMillis, run.RunID})
		}
	}
	return all, nil
}

// writeRuns writes a page of runs, each as it is read.
func (s *Surface) writeRuns(w io.Writer, piece []foundRun, next string) error {
	before := `{"runs":[`
	experiments := map[string]*projections.Experiment{}
	for _, found := range piece {
		v, ok, err := s.runsView().Run(found.id)
		if err != nil {
			return err
		}
		if !ok { // the view was folded again meanwhile, and is not there yet
			continue
		}
		e, known := experiments[v.ExperimentID]
		if !known {
			if e, err = s.experimentNamed(v.ExperimentID); err != nil {
				return err
			}
			experiments[v.ExperimentID] = e
		}
		shown := runOf(&v, e)
		if err := s.addData(shown); err != nil {
			return err
		}
		b, err := api.EncodeJSON(shown)
		if err != nil {
			return err
		}
		if _, err := io.WriteString(w, before+string(bytes.TrimSpace(b))); err != nil {
			return err
		}
		before = ","
	}
	end := "]"
	if before != "," {
		before, end = "{", ""
	} else {
		before = ""
	}
	if next != "" {
		if end != "" {
			end += ","
		}
		end += `"next_page_token":"` + next + `"`
	}
	_, err := io.WriteString(w, before+end+"}\n")
	return err
}
