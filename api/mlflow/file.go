package mlflow

import (
	"bytes"
	"net/http"
	"net/url"
	"strings"

	"github.com/projectionist/projectionist/api"
)

// fileRoutes are how MLflow's pages read and write files, beside those of its clients.
func (s *Surface) fileRoutes(r *api.Routes) {
	for _, prefix := range []string{"/", "/ajax-api/2.0/mlflow/"} {
		r.Handle("GET "+prefix+"get-artifact", refusing(s.getArtifact), "runs")
	}
	r.Handle("GET /model-versions/get-artifact", refusing(s.getVersionFile), "registry", "runs", "logged-models")
	r.Handle("POST /ajax-api/2.0/mlflow/upload-artifact", refusing(s.upload))
}

// getVersionFile gives a file of what a version was registered from.
func (s *Surface) getVersionFile(w http.ResponseWriter, r *http.Request) error {
	q, err := read(w, r)
	if err != nil {
		return err
	}
	name, n, at := q.required("name"), q.version(), q.required("path")
	if q.err != nil {
		return q.err
	}
	if !within(at) {
		return invalid("Invalid path")
	}
	_, v, err := s.versionAt(r.Context(), name, n)
	if err != nil {
		return err
	}
	uri, err := s.filesOf(r.Context(), v)
	if err != nil {
		return err
	}
	folder, here := strings.CutPrefix(uri, artifactScheme+"/")
	if !here { // its files are elsewhere
		return noFile(at)
	}
	k, inner, err := s.place(r.Context(), strings.Trim(folder, "/")+"/"+at)
	if err != nil {
		return err
	}
	return s.send(w, r, k.files, inner, at)
}

// uploadBytesMax is the most of a file that a page writes, as MLflow's server has it.
const uploadBytesMax = 10 << 20

// upload takes a file of a run from a page, as the body, whatever type it says.
func (s *Surface) upload(w http.ResponseWriter, r *http.Request) error {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return invalid("the query cannot be read: %v", err)
	}
	id, at := query.Get("run_uuid"), query.Get("path")
	switch {
	case id == "":
		return invalid("Request must specify run_uuid.")
	case at == "":
		return invalid("Request must specify path.")
	}
	run, _, err := s.runAt(r.Context(), id)
	if err != nil {
		return err
	}
	k := &keeper{run: id}
	if !within(at) || k.logged(at, strings.Repeat("0", 64), 0).Validate() != nil {
		return invalid("Invalid path")
	}
	if run.Deleted {
		return invalid("The run %s must be in the 'active' state. Current state is deleted.", id)
	}
	body, err := api.ReadBody(w, r, uploadBytesMax)
	switch {
	case err != nil:
		return err
	case len(body) == 0:
		return invalid("Request must specify data.")
	}
	hash, size, err := s.Blobs.Put(r.Context(), bytes.NewReader(body))
	if err != nil {
		return err
	}
	if err := s.change(r, id, k.logged(at, hash, size), 0); err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusOK)
	return nil
}
