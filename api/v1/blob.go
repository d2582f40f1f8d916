package v1

import (
	"net/http"
	"strconv"
	"time"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/internal/fault"
)

func (s *Surface) blobRoutes(r *api.Routes) {
	r.Handle("GET /api/v1/blobs/{hash}", s.blob)
}

// blob gives a blob that this node has, whole or a range of it: other nodes ask for weights they do not have.
// It is read twice, since what is damaged must be told before the first byte.
func (s *Surface) blob(w http.ResponseWriter, r *http.Request) error {
	if err := api.QueryOf(r).Err(); err != nil {
		return err
	}
	hash := r.PathValue("hash")
	if !s.Blobs.Has(hash) {
		return fault.New(fault.NotFound, "no blob %s here", api.Short(hash))
	}
	f, err := s.Blobs.Open(r.Context(), hash)
	if err != nil {
		return err
	}
	defer f.Close()
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("ETag", strconv.Quote(hash))
	w.Header().Set("X-Content-Type-Options", "nosniff") // a file that a run has logged may be a page: it runs nothing here
	w.Header().Set("Content-Disposition", "attachment")
	w.Header().Set("Content-Security-Policy", "sandbox")
	http.ServeContent(w, r, "", time.Time{}, f)
	return nil
}
