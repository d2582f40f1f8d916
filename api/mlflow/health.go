package mlflow

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/internal/fault"
)

func (s *Surface) healthRoutes(r *api.Routes) {
	r.Handle("GET /health", s.health)
	r.Handle("GET /healthz", s.health)
	r.Handle("GET /version", s.version)
	for _, prefix := range []string{"/api/3.0/", "/ajax-api/3.0/"} {
		r.Handle("GET "+prefix+"mlflow/server-info", s.info)
	}
}

// speaks is the release of MLflow whose API this is.
const speaks = "3.17.2"

// healthTimeout bounds how long the log is asked how far it is.
const healthTimeout = 2 * time.Second

// health says whether the log and the views of runs and models can be read.
func (s *Surface) health(w http.ResponseWriter, r *http.Request) error {
	ctx, cancel := context.WithTimeout(r.Context(), healthTimeout)
	defer cancel()
	views, err := s.Views.Status(ctx)
	if err != nil {
		return fault.Wrap(fault.Unavailable, err, "the log cannot be read")
	}
	for _, v := range views {
		if slices.Contains([]string{"runs", "registry"}, v.View) && (v.Halted != nil || v.Error != "") {
			return fault.New(fault.Unavailable, "the view %s is halted", v.View).WithHint("GET /readyz on the program's own address says where")
		}
	}
	return plain(w, "text/plain; charset=utf-8", "OK")
}

func (s *Surface) version(w http.ResponseWriter, _ *http.Request) error {
	return plain(w, "text/html; charset=utf-8", speaks)
}

func plain(w http.ResponseWriter, kind, text string) error {
	w.Header().Set("Content-Type", kind)
	w.WriteHeader(http.StatusOK)
	w.Write([]byte(text)) //nolint:errcheck // the client is gone
	return nil
}

// info says what the server can do, to clients that ask before they do it. "SqlStore" is what they take for a store that
// is searched and registers models.
func (s *Surface) info(w http.ResponseWriter, _ *http.Request) error {
	return api.WriteJSON(w, http.StatusOK, map[string]any{"store_type": "SqlStore", "workspaces_enabled": false, "trace_archival_enabled": false,
		"multipart_uploads_enabled": false, "multipart_downloads_enabled": false, "presigned_upload_run_id_supported": false,
		"presigned_upload_model_id_supported": false, "features_enabled": map[string]bool{"gateway": false}})
}
