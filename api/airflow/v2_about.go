package airflow

import (
	"math"
	"net/http"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/api/fastapi"
)

// v2Release is the release of Airflow whose answers /api/v2 gives.
const v2Release = "3.3.2"

func (s *V2) aboutRoutes(r v2Routes) {
	r.Handle("GET /api/v2/monitor/health", s.v1.health) // of no view: it says how the view is
	r.Handle("GET /api/v2/version", fastapi.Handler(s.version))
	r.on("GET", "/importErrors", s.importErrors)
	r.on("GET", "/importErrors/{id}", s.importError)
	r.on("GET", "/config", s.config)
	r.on("GET", "/config/section/{section}/option/{option}", s.config)
	for path, name := range map[string]string{"/dagWarnings": "dag_warnings", "/assets": "assets", "/assets/aliases": "asset_aliases", "/assets/events": "asset_events",
		"/plugins": "plugins", "/plugins/importErrors": "import_errors", "/providers": "providers", "/jobs": "jobs"} {
		r.on("GET", path, nothingOf(name))
	}
	r.on("GET", "/assets/{id}", noAsset("The Asset with ID: `%d` was not found"))
	r.on("GET", "/assets/aliases/{id}", noAsset("The Asset Alias with ID: `%d` was not found"))
}

// nothingOf lists what Airflow has and this program does without.
func nothingOf(name string) api.Handler {
	return func(w http.ResponseWriter, _ *http.Request) error {
		return api.WriteJSON(w, http.StatusOK, map[string]any{name: []any{}, "total_entries": 0})
	}
}

func noAsset(format string) api.Handler {
	return func(_ http.ResponseWriter, r *http.Request) error {
		id, err := wholeInPath(r, "asset_id", "id", math.MinInt64)
		if err != nil {
			return err
		}
		return fastapi.Refuse(http.StatusNotFound, format, id)
	}
}

func (s *V2) version(w http.ResponseWriter, _ *http.Request) error {
	return api.WriteJSON(w, http.StatusOK, map[string]any{"version": v2Release, "git_version": "projectionist " + s.Version})
}

func (s *V2) config(http.ResponseWriter, *http.Request) error {
	return fastapi.Refuse(http.StatusForbidden, "Your Airflow administrator chose not to expose the configuration, most likely for security reasons.")
}

// v2ImportError is a definition in force that this program cannot use.
type v2ImportError struct {
	ID     int64   `json:"import_error_id"`
	Time   *string `json:"timestamp"`
	File   string  `json:"filename"`
	Bundle string  `json:"bundle_name"`
	Trace  string  `json:"stack_trace"`
	millis int64
}

func (s *V2) allImportErrors() ([]v2ImportError, error) {
	known, err := s.Workflows.All()
	all := []v2ImportError{}
	for i := range known {
		if k := &known[i]; k.Err != nil {
			all = append(all, v2ImportError{k.DefinedOffset, stamp(k.DefinedMillis), k.Name + ".yaml", bundle, k.Err.Error(), k.DefinedMillis})
		}
	}
	return all, err
}

var importErrorAttributes = attributes[v2ImportError]{by: map[string]func(*v2ImportError) sortKey{
	"id": importErrorKey, "import_error_id": importErrorKey, "timestamp": func(e *v2ImportError) sortKey { return millisKey(e.millis) }, "filename": func(e *v2ImportError) sortKey { return textKey(e.File) },
	"bundle_name": func(*v2ImportError) sortKey { return textKey(bundle) }, "stacktrace": traceKey, "stack_trace": traceKey,
}, unique: []func(*v2ImportError) sortKey{importErrorKey}}

func importErrorKey(e *v2ImportError) sortKey { return sortKey{Number: float64(e.ID)} }
func traceKey(e *v2ImportError) sortKey       { return textKey(e.Trace) }

func (s *V2) importErrors(w http.ResponseWriter, r *http.Request) error {
	q, err := fastapi.Query(r, "order_by")
	if err != nil {
		return err
	}
	l, names := readListing(q, false), readPatterns(q, "filename")
	from, byBundle := q.Text("bundle_name", 0)
	file, byFile := q.Text("filename", 0)
	if err := q.Done(); err != nil {
		return err
	}
	known, err := s.allImportErrors()
	if err != nil {
		return err
	}
	all := []v2ImportError{}
	for _, e := range known {
		if names.match(e.File) && (!byBundle || from == bundle) && (!byFile || file == e.File) {
			all = append(all, e)
		}
	}
	return writeList(w, l, all, importErrorAttributes, "import_errors", func(e *v2ImportError) any { return e })
}

func (s *V2) importError(w http.ResponseWriter, r *http.Request) error {
	id, err := wholeInPath(r, "import_error_id", "id", math.MinInt64)
	if err != nil {
		return err
	}
	all, err := s.allImportErrors()
	if err != nil {
		return err
	}
	for i := range all {
		if all[i].ID == id {
			return api.WriteJSON(w, http.StatusOK, &all[i])
		}
	}
	return fastapi.Refuse(http.StatusNotFound, "The ImportError with import_error_id: `%d` was not found", id)
}
