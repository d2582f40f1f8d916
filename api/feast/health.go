package feast

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/projectionist/projectionist/api"
)

func (s *Surface) healthRoutes(r *api.Routes) { r.Handle("GET /health", s.health) }

// healthTimeout bounds how long the log is asked how far it is.
const healthTimeout = 2 * time.Second

// health has an empty body: 503 where a view that features are read from does not follow the log, or nobody can say.
func (s *Surface) health(w http.ResponseWriter, r *http.Request) error {
	ctx, cancel := context.WithTimeout(r.Context(), healthTimeout)
	defer cancel()
	all, err := s.Views.Status(ctx)
	status := http.StatusOK
	if err != nil {
		status = http.StatusServiceUnavailable
	}
	for _, v := range all {
		if slices.Contains(views, v.View) && (v.Halted != nil || v.Error != "") {
			status = http.StatusServiceUnavailable
		}
	}
	w.WriteHeader(status)
	return nil
}
