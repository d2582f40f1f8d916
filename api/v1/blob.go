package v1

import (
	"net/http"
	"strconv"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/internal/fault"
)

func (s *Surface) blobRoutes(r *api.Routes) {
	r.Handle("GET /api/v1/blobs/{hash}", s.blob)
}

// blob gives a blob that this node has, whole: other nodes ask for weights they do not have.
func (s *Surface) blob(w http.ResponseWriter, r *http.Request) error {
	if err := api.QueryOf(r).Err(); err != nil {
		return err
	}
	hash := r.PathValue("hash")
	if !s.Blobs.Has(hash) {
		return fault.New(fault.NotFound, "no blob %s here", api.Short(hash))
	}
	b, err := s.Blobs.Get(hash)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", strconv.Itoa(len(b)))
	w.Header().Set("ETag", strconv.Quote(hash))
	_, err = w.Write(b)
	return err
}
