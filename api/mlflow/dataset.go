package mlflow

import (
	"net/http"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
)

func (s *Surface) datasetRoutes(r routes) {
	r.handle("POST", "mlflow/experiments/search-datasets", s.searchDatasets, "runs")
}

// Bounds of a search of data sets.
const (
	datasetExperimentsMax = 20
	datasetsMax           = 1000
)

// datasetSummary is a data set that runs of an experiment were given, and what for.
type datasetSummary struct {
	Experiment string `json:"experiment_id"`
	Name       string `json:"name"`
	Digest     string `json:"digest"`
	Context    string `json:"context,omitempty"`
}

// searchDatasets tells the data sets of experiments, by the newest run that has each.
func (s *Surface) searchDatasets(w http.ResponseWriter, r *http.Request) error {
	q, err := read(w, r)
	if err != nil {
		return err
	}
	ids := q.texts("experiment_ids")
	switch {
	case q.err != nil:
		return q.err
	case len(ids) == 0:
		return invalid("SearchDatasets request must specify at least one experiment_id.")
	case len(ids) > datasetExperimentsMax:
		return invalid("SearchDatasets request cannot specify more than %d experiment_ids. Received %d experiment_ids.", datasetExperimentsMax, len(ids))
	}
	v := struct {
		Summaries []datasetSummary `json:"dataset_summaries,omitempty"`
	}{}
	known := map[datasetSummary]bool{}
	for _, id := range ids {
		runs := func(q fold.PageQuery) (fold.Page[projections.Run], error) { return s.runsView().Runs(id, q) }
		for run, err := range everyOne(runs) {
			if err == nil {
				err = r.Context().Err()
			}
			if err != nil {
				return err
			}
			given, err := s.runsView().Datasets(run.RunID)
			if err != nil {
				return err
			}
			for _, d := range given {
				one := datasetSummary{id, d.Name, d.Digest, d.Tags[contextTag]}
				if !known[one] && len(known) < datasetsMax {
					known[one] = true
					v.Summaries = append(v.Summaries, one)
				}
			}
			if len(known) == datasetsMax {
				return api.WriteJSON(w, http.StatusOK, v)
			}
		}
	}
	return api.WriteJSON(w, http.StatusOK, v)
}
