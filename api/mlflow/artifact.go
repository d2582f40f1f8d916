package mlflow

import (
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
)

func (s *Surface) artifactRoutes(r routes) {
	r.handle("GET", "mlflow/artifacts/list", s.listArtifacts, "runs")
	r.handle("GET", "mlflow-artifacts/artifacts", s.listFolder, "runs", "logged-models", "artifacts")
	r.handle("GET", "mlflow-artifacts/artifacts/{path...}", s.getFile, "runs", "logged-models", "artifacts")
	r.handle("PUT", "mlflow-artifacts/artifacts/{path...}", s.putFile)
	r.handle("DELETE", "mlflow-artifacts/artifacts/{path...}", s.deleteFile)
}

// artifactScheme is that of URIs of files that this server keeps.
const artifactScheme = "mlflow-artifacts:"

// artifactBytesMax is the most of one file: what fits an object of an S3 API in one request.
const artifactBytesMax = 5 << 30

// artifactWait is how long a file's content may take to come to this node, before the client is told to ask again.
const artifactWait = 20 * time.Second

// artifactURI is where a run keeps its files.
func artifactURI(r *projections.Run, e *projections.Experiment) string {
	return strings.TrimSuffix(locationIn(r.ExperimentID, e), "/") + "/" + r.RunID + "/artifacts"
}

// locationIn is the URI under which an experiment's files are kept, where it is known or not (nil).
func locationIn(id string, e *projections.Experiment) string {
	if e != nil {
		return locationOf(e)
	}
	return artifactScheme + "/" + id
}

// file is an entry of a folder.
type file struct {
	Path string `json:"path"`
	Dir  bool   `json:"is_dir"`
	Size *int64 `json:"file_size,omitempty"`
}

// folder are the entries of a folder, by path; of a file, nothing.
func folder(files projections.Files, at string) ([]file, error) {
	entries, err := files.Folder(at)
	if err != nil {
		return nil, err
	}
	list := make([]file, len(entries))
	for i, e := range entries {
		list[i] = file{Path: path.Join(at, e.Name), Dir: e.File == nil}
		if e.File != nil {
			list[i].Size = &e.File.Bytes
		}
	}
	return list, nil
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
	files, err := folder(s.runsView().Files(id), at)
	if err != nil {
		return err
	}
	return api.WriteJSON(w, http.StatusOK, struct {
		Root  string `json:"root_uri"`
		Files []file `json:"files"` // a page compares runs by it, also by one that is empty
	}{artifactURI(run, e), files})
}

// keeper is what keeps files: a run, a logged model, or neither: the store alone.
type keeper struct {
	files   projections.Files
	run     string // its id, or
	model   string
	deleted bool
}

// place is where a path below this server's store leads: EXPERIMENT/RUN/artifacts/PATH,
// EXPERIMENT/models/MODEL/artifacts/PATH, or, of any other form, a file of the store alone.
func (s *Surface) place(ctx context.Context, at string) (*keeper, string, error) {
	if !within(at) {
		return nil, "", invalid("Invalid path")
	}
	experiment, rest, _ := strings.Cut(strings.TrimSuffix(at, "/"), "/")
	rest, ofModel := strings.CutPrefix(rest, "models/")
	parts := strings.SplitN(rest, "/", 3)
	if owned := isRunID(parts[0]) || ofModel && isLoggedModelID(parts[0]); owned && (len(parts) < 2 || parts[1] != "artifacts") {
		return nil, "", noFile(at) // beside the files of a run, where it may have meant to put one
	} else if !owned {
		return &keeper{files: fold.Of[*projections.Artifacts](s.Views).Files()}, strings.TrimSuffix(at, "/"), nil
	}
	k, in, err := s.keeperOf(ctx, parts[0], ofModel)
	var own *refusal
	switch {
	case errors.As(err, &own) || err == nil && in != experiment:
		return nil, "", noFile(at)
	case err != nil:
		return nil, "", err
	}
	return k, strings.Join(parts[2:], ""), nil
}

// keeperOf is what keeps files by its id, and the experiment it is in.
func (s *Surface) keeperOf(ctx context.Context, id string, ofModel bool) (*keeper, string, error) {
	if ofModel {
		m, _, err := s.loggedModelAt(ctx, id)
		if err != nil {
			return nil, "", err
		}
		return &keeper{files: s.loggedModels().Files(id), model: id, deleted: m.Deleted}, m.ExperimentID, nil
	}
	run, _, err := s.runAt(ctx, id)
	if err != nil {
		return nil, "", err
	}
	return &keeper{files: s.runsView().Files(id), run: id, deleted: run.Deleted}, run.ExperimentID, nil
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
	k, inner, err := s.place(r.Context(), at)
	var own *refusal
	switch {
	case errors.As(err, &own) && own.Code == codeNotFound: // of what is not there there is nothing
	case err != nil:
		return err
	default:
		if v.Files, err = folder(k.files, inner); err != nil {
			return err
		}
	}
	for i := range v.Files {
		v.Files[i].Path = path.Base(v.Files[i].Path)
	}
	return api.WriteJSON(w, http.StatusOK, v)
}

func (s *Surface) getFile(w http.ResponseWriter, r *http.Request) error {
	at := r.PathValue("path")
	k, inner, err := s.place(r.Context(), at)
	if err != nil {
		return err
	}
	return s.send(w, r, k.files, inner, at)
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
	return s.send(w, r, s.runsView().Files(run.RunID), at, at)
}

// send gives one of some files, whole or a range of it. It is read twice, since what is damaged must be told before the
// first byte.
func (s *Surface) send(w http.ResponseWriter, r *http.Request, files projections.Files, inner, at string) error {
	a, ok, err := files.File(inner)
	if err != nil {
		return err
	}
	if !ok {
		return noFile(at)
	}
	hash := a.Blob
	if err := s.Blobs.Await(r.Context(), hash, artifactWait); err != nil {
		return inWords(err, map[fault.Code]error{fault.NotFound: missing("The content of artifact '%s' is not here: it was deleted since, or is not on this node", api.Short(at))})
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

// putFile takes a file of a run or a logged model, or of neither: its content first, then the event that names it.
func (s *Surface) putFile(w http.ResponseWriter, r *http.Request) error {
	at := r.PathValue("path")
	k, inner, err := s.place(r.Context(), at)
	if err != nil {
		return err
	}
	if err := k.logged(inner, strings.Repeat("0", 64), 0).Validate(); err != nil { // before its content is taken
		return invalid("Invalid path")
	}
	switch {
	case k.deleted && k.run != "":
		return invalid("The run %s must be in the 'active' state. Current state is deleted.", k.run)
	case k.deleted:
		return noLoggedModel(k.model)
	}
	hash, size, err := s.take(w, r)
	if err != nil {
		return err
	}
	switch c := k.logged(inner, hash, size); {
	case k.run != "":
		err = s.change(r, k.run, c, 0)
	case k.model != "":
		err = s.changeLogged(r, k.model, c)
	default:
		_, err = s.act(r, c, 0, "artifacts")
	}
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusOK)
	return nil
}

// deleteFile takes a file from a run or a logged model, or a folder with all below. What is not there is so already.
func (s *Surface) deleteFile(w http.ResponseWriter, r *http.Request) error {
	k, inner, err := s.place(r.Context(), r.PathValue("path"))
	if err != nil {
		return err
	}
	var c commands.Command
	switch {
	case k.run != "":
		c = &commands.DeleteArtifact{RunID: k.run, Path: inner}
	case k.model != "":
		c = &commands.DeleteLoggedModelArtifact{ModelID: k.model, Path: inner}
	default:
		c = &commands.RemoveArtifact{Path: inner}
	}
	_, err = s.act(r, c, 0, "runs", "logged-models", "artifacts")
	return done(w, err)
}

// logged is the command to name a file of a keeper.
func (k *keeper) logged(at, hash string, size int64) commands.Command {
	switch {
	case k.run != "":
		return &commands.LogArtifact{RunID: k.run, Path: at, Blob: hash, Bytes: size, Late: true}
	case k.model != "":
		return &commands.LogLoggedModelArtifact{ModelID: k.model, Path: at, Blob: hash, Bytes: size}
	}
	return &commands.StoreArtifact{Path: at, Blob: hash, Bytes: size}
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
	hash, size, err = s.Blobs.Put(r.Context(), from)
	from.CloseWithError(err) //nolint:errcheck // it has none
	if bodyErr := <-received; bodyErr != nil && (err == nil || errors.Is(err, bodyErr)) {
		return "", 0, bodyErr // the client's fault, not the store's
	}
	return hash, size, err
}
