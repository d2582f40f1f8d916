package mlflow

import (
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections"
)

func (s *Surface) artifactRoutes(r routes) {
	r.handle("GET", "mlflow/artifacts/list", s.listArtifacts, "runs")
	r.handle("GET", "mlflow-artifacts/artifacts", s.listFolder, "runs")
	r.handle("GET", "mlflow-artifacts/artifacts/{path...}", s.getFile, "runs")
	r.handle("PUT", "mlflow-artifacts/artifacts/{path...}", s.putFile)
}

// artifactScheme is that of URIs of files that this server keeps.
const artifactScheme = "mlflow-artifacts:"

// artifactBytesMax is the most of one file: what fits an object of an S3 API in one request.
const artifactBytesMax = 5 << 30

// artifactURI is where a run keeps its files.
func artifactURI(r *projections.Run, e *projections.Experiment) string {
	location := artifactScheme + "/" + r.ExperimentID
	if e != nil {
		location = locationOf(e)
	}
	return strings.TrimSuffix(location, "/") + "/" + r.RunID + "/artifacts"
}

// file is an entry of a folder.
type file struct {
	Path string `json:"path"`
	Dir  bool   `json:"is_dir"`
	Size *int64 `json:"file_size,omitempty"`
}

// folder are the entries of a folder of a run, by path; of a file, nothing.
func folder(r *projections.Run, at string) []file {
	all := map[string]file{}
	for i := range r.Artifacts {
		a := &r.Artifacts[i]
		rest, ok := a.Path, true
		if at != "" {
			rest, ok = strings.CutPrefix(a.Path, at+"/")
		}
		if !ok {
			continue
		}
		name, _, deeper := strings.Cut(rest, "/")
		f := file{Path: path.Join(at, name), Dir: deeper}
		if !deeper {
			f.Size = &a.Bytes
		}
		all[name] = f
	}
	list := make([]file, 0, len(all))
	for _, f := range all {
		list = append(list, f)
	}
	slices.SortFunc(list, func(a, b file) int { return strings.Compare(a.Path, b.Path) })
	return list
}

func (s *Surface) listArtifacts(w http.ResponseWriter, r *http.Request) error {
	q, err := read(w, r)
	if err != nil {
		return err
	}
	id, at := q.runID(), strings.TrimSuffix(q.text("path"), "/")
	if q.err != nil {
		return q.err
	}
	if !within(at) {
		return invalid("Invalid path")
	}
	run, e, err := s.runAt(r.Context(), id)
	if err != nil {
		return err
	}
	return api.WriteJSON(w, http.StatusOK, struct {
		Root  string `json:"root_uri"`
		Files []file `json:"files,omitempty"`
	}{artifactURI(run, e), folder(run, at)})
}

// place is where a path below this server's store leads: EXPERIMENT/RUN/artifacts/PATH.
func (s *Surface) place(ctx context.Context, at string) (*projections.Run, string, error) {
	if !within(at) {
		return nil, "", invalid("Invalid path")
	}
	parts := strings.SplitN(strings.TrimSuffix(at, "/"), "/", 4)
	if len(parts) < 3 || parts[2] != "artifacts" {
		return nil, "", noFile(at)
	}
	run, _, err := s.runAt(ctx, parts[1])
	if err != nil || run.ExperimentID != parts[0] {
		return nil, "", noFile(at)
	}
	if len(parts) == 3 {
		return run, "", nil
	}
	return run, parts[3], nil
}

func noFile(at string) error { return missing("No such artifact: '%s'", api.Short(at)) }

// listFolder lists a folder by its path in the store. Its entries are by their names, not paths.
func (s *Surface) listFolder(w http.ResponseWriter, r *http.Request) error {
	q, err := read(w, r)
	if err != nil {
		return err
	}
	at := q.text("path")
	if q.err != nil {
		return q.err
	}
	v := struct {
		Files []file `json:"files,omitempty"`
	}{}
	run, inner, err := s.place(r.Context(), at)
	var own *refusal
	switch {
	case errors.As(err, &own) && own.Code == codeNotFound: // of what is not there there is nothing
	case err != nil:
		return err
	default:
		v.Files = folder(run, inner)
	}
	for i := range v.Files {
		v.Files[i].Path = path.Base(v.Files[i].Path)
	}
	return api.WriteJSON(w, http.StatusOK, v)
}

func (s *Surface) getFile(w http.ResponseWriter, r *http.Request) error {
	at := r.PathValue("path")
	run, inner, err := s.place(r.Context(), at)
	if err != nil {
		return err
	}
	return s.send(w, r, run, inner, at)
}

func (s *Surface) getArtifact(w http.ResponseWriter, r *http.Request) error {
	q, err := read(w, r)
	if err != nil {
		return err
	}
	id, at := q.runID(), q.required("path")
	if q.err != nil {
		return q.err
	}
	if !within(at) {
		return invalid("Invalid path")
	}
	run, _, err := s.runAt(r.Context(), id)
	if err != nil {
		return err
	}
	return s.send(w, r, run, at, at)
}

// send gives a file of a run, whole or a range of it. It is read twice, since what is damaged must be told before the
// first byte.
func (s *Surface) send(w http.ResponseWriter, r *http.Request, run *projections.Run, inner, at string) error {
	i := slices.IndexFunc(run.Artifacts, func(a projections.Artifact) bool { return a.Path == inner })
	if i < 0 {
		return noFile(at)
	}
	hash := run.Artifacts[i].Blob
	if !s.Blobs.Has(hash) { // another node may have it
		if _, err := s.Blobs.Get(hash); err != nil {
			return inWords(err, map[fault.Code]error{fault.NotFound: missing("The content of artifact '%s' is not on this node", api.Short(at))})
		}
	}
	f, err := s.Blobs.Open(r.Context(), hash)
	if err != nil {
		return err
	}
	defer f.Close()
	kind := mime.TypeByExtension(path.Ext(inner))
	if kind == "" {
		kind = "application/octet-stream"
	}
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": path.Base(inner)}))
	w.Header().Set("X-Content-Type-Options", "nosniff") // it is a client's, not this server's
	w.Header().Set("ETag", strconv.Quote(hash))
	http.ServeContent(w, r, "", time.Time{}, f)
	return nil
}

// putFile takes a file of a run: its content first, then the event that names it.
func (s *Surface) putFile(w http.ResponseWriter, r *http.Request) error {
	at := r.PathValue("path")
	run, inner, err := s.place(r.Context(), at)
	if err != nil {
		return err
	}
	c := &commands.LogArtifact{RunID: run.RunID, Path: inner, Blob: strings.Repeat("0", 64), Late: true}
	if err := c.Validate(); err != nil { // before its content is taken
		return invalid("Invalid path")
	}
	if run.Deleted {
		return invalid("The run %s must be in the 'active' state. Current state is deleted.", run.RunID)
	}
	if c.Blob, c.Bytes, err = s.take(w, r); err != nil {
		return err
	}
	if err := s.change(r, run.RunID, c, 0); err != nil {
		return err
	}
	w.WriteHeader(http.StatusOK)
	return nil
}

// take stores a body of any size without holding it.
func (s *Surface) take(w http.ResponseWriter, r *http.Request) (hash string, size int64, err error) {
	from, into := io.Pipe()
	received := make(chan error, 1)
	go func() {
		err := api.ReceiveBody(w, r, artifactBytesMax, into)
		into.CloseWithError(err) //nolint:errcheck // it has none
		received <- err
	}()
	hash, size, err = s.Blobs.Put(from)
	from.CloseWithError(err) //nolint:errcheck // it has none
	if bodyErr := <-received; bodyErr != nil && (err == nil || errors.Is(err, bodyErr)) {
		return "", 0, bodyErr // the client's fault, not the store's
	}
	return hash, size, err
}
