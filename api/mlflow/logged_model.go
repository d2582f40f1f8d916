package mlflow

import (
	"net/http"

	"github.com/projectionist/projectionist/api"
)

func (s *Surface) loggedModelRoutes(r routes) {
	r.handle("POST", "mlflow/logged-models/search", s.searchLoggedModels)
	r.handle("GET", "mlflow/logged-models/{id}", s.getLoggedModel)
}

var loggedModelGrammar = grammar{kinds: runGrammar.kinds, attrs: map[string]bool{"name": false, "model_id": false, "model_type": false, "source_run_id": false, "status": false,
	"creation_timestamp": true, "last_updated_timestamp": true}}

// searchLoggedModels finds none: models are files of runs here, and there is no way to log one apart from a run. Clients
// ask whenever they list a folder of a run.
func (s *Surface) searchLoggedModels(w http.ResponseWriter, r *http.Request) error {
	q, err := read(w, r)
	if err != nil {
		return err
	}
	q.texts("experiment_ids")
	wanted := q.text("filter")
	if q.err != nil {
		return q.err
	}
	if _, err := loggedModelGrammar.filter(wanted); err != nil {
		return err
	}
	return api.WriteJSON(w, http.StatusOK, struct{}{})
}

func (s *Surface) getLoggedModel(_ http.ResponseWriter, r *http.Request) error {
	return missing("Logged model with ID '%s' not found.", api.Short(r.PathValue("id")))
}
