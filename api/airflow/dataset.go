package airflow

import (
	"net/http"

	"github.com/projectionist/projectionist/api"
)

// Airflow's datasets are names by which one DAG tells another that data has changed. Workflows here are told by events; so there are
// no such names, and each that is asked for is not found.

func (s *Surface) datasetRoutes(r *api.Routes) {
	r.Handle("GET /api/v1/datasets", s.none("datasets", []string{"", "id", "uri", "created_at", "updated_at"}, "uri_pattern", "dag_ids*"))
	r.Handle("GET /api/v1/datasets/events", s.none("dataset_events", []string{"", "source_dag_id", "source_task_id", "source_run_id", "source_map_index", "timestamp"},
		"dataset_id", "source_dag_id", "source_task_id", "source_run_id", "source_map_index"))
	r.Handle("POST /api/v1/datasets/events", s.datasetEvent)
	r.Handle("GET /api/v1/datasets/{uri...}", s.noDataset)
	r.Handle("DELETE /api/v1/datasets/queuedEvent/{uri...}", s.noQueued)
	r.Handle("GET /api/v1/datasets/queuedEvent/{uri...}", s.noQueued)
	for _, method := range []string{"GET", "DELETE"} {
		r.Handle(method+" /api/v1/dags/{dag}/datasets/queuedEvent", s.noQueuedOf)
		r.Handle(method+" /api/v1/dags/{dag}/datasets/queuedEvent/{uri...}", s.noQueuedOf)
	}
	r.Handle("GET /api/v1/dags/{dag}/dagRuns/{run}/upstreamDatasetEvents", s.upstreamEvents, "workflows")
}

func (s *Surface) noDataset(_ http.ResponseWriter, r *http.Request) error {
	return missing("Dataset not found", "The Dataset with uri: `%s` was not found", api.Short(r.PathValue("uri")))
}

func (s *Surface) datasetEvent(w http.ResponseWriter, r *http.Request) error {
	var v struct {
		URI   string         `json:"dataset_uri"`
		Extra map[string]any `json:"extra"`
	}
	if err := api.ReadJSON(w, r, &v, false); err != nil {
		return err
	}
	return missing("Dataset not found", "Dataset with uri: '%s' not found", api.Short(v.URI))
}

func (s *Surface) noQueued(_ http.ResponseWriter, r *http.Request) error {
	return missing("Queue event not found", "Queue event with dataset uri: `%s` was not found", api.Short(r.PathValue("uri")))
}

func (s *Surface) noQueuedOf(_ http.ResponseWriter, r *http.Request) error {
	dag, uri := api.Short(r.PathValue("dag")), api.Short(r.PathValue("uri"))
	if uri == "" {
		return missing("Queue event not found", "Queue event with dag_id: `%s` was not found", dag)
	}
	return missing("Queue event not found", "Queue event with dag_id: `%s` and dataset uri: `%s` was not found", dag, uri)
}

func (s *Surface) upstreamEvents(w http.ResponseWriter, r *http.Request) error {
	if _, err := s.runOf(r); err != nil {
		return err
	}
	return answerList(w, "dataset_events", []struct{}{}, 0)
}
