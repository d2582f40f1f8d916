package mlflow

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/projections"
)

const (
	modelScheme = "models:/"
	runScheme   = "runs:/"
	filePrefix  = "file://"
)

// promptSources are what stands for the source of a prompt's version, whose text is in its tags.
var promptSources = []string{"dummy-source", "prompt-template"}

// resolve holds the source of a version to MLflow's rules, and notes where the files of one are that is a way to others,
// and which run made them. modelID is the logged model that the client says it is, or "".
func (s *Surface) resolve(ctx context.Context, c *commands.AddModelVersion, modelID string) error {
	id, ofModel := strings.CutPrefix(c.Source, modelScheme)
	switch {
	case !ofModel:
		if err := s.checkSource(ctx, c.Source, c.RunID, modelID); err != nil || modelID == "" || c.RunID != "" {
			return err
		}
		m, _, err := s.loggedModelAt(ctx, modelID)
		if err == nil {
			c.RunID = m.SourceRunID
		}
		return err
	case !isLoggedModel(id):
		return s.inherit(ctx, c)
	case modelID != "" && modelID != id:
		return notWithin(c.Source, "model_id")
	}
	m, e, err := s.loggedModelAt(ctx, id)
	if err == nil && m.Deleted {
		err = noLoggedModel(id)
	}
	if err != nil {
		return err
	}
	c.Location, c.RunID = loggedModelURI(m, e), cmp.Or(c.RunID, m.SourceRunID)
	return nil
}

// inherit makes of a version what another one is, which its source names.
func (s *Surface) inherit(ctx context.Context, c *commands.AddModelVersion) error {
	m, v, err := s.versionNamed(ctx, c.Source)
	if err != nil {
		return err
	}
	switch {
	case strings.EqualFold(m.Tags[promptTag], "true"):
		return invalid("Invalid model version source: '%s'. Prompt versions cannot be used as model version sources.", api.Short(c.Source))
	case c.RunID != "" && c.RunID != v.RunID:
		return invalid("Invalid model version source: '%s'. The run_id and model_id request parameters must match the referenced model version.", api.Short(c.Source))
	}
	c.Source, c.RunID = modelScheme+m.Name+"/"+strconv.Itoa(v.Version), v.RunID
	c.Location, err = s.filesOf(ctx, v)
	return err
}

func isLoggedModel(id string) bool {
	return strings.HasPrefix(id, "m-") && !strings.ContainsAny(id, "/@")
}

func notWithin(source, param string) error {
	return invalid("Invalid model version source: '%s'. The %s request parameter must identify the resource that contains the source.", api.Short(source), param)
}

// checkSource refuses files that nobody could read for others, of this machine and of no run or logged model, and ways
// that lead elsewhere than they say.
func (s *Surface) checkSource(ctx context.Context, source, runID, modelID string) error {
	param, root := "run_id", ""
	if modelID != "" {
		param = "model_id"
		if m, e, err := s.loggedModelAt(ctx, modelID); err == nil {
			root = loggedModelURI(m, e)
		}
	} else if run, e, err := s.runAt(ctx, runID); err == nil {
		root = artifactURI(run, e)
	}
	scheme, _, remote := strings.Cut(source, ":")
	plain := unescape(source)
	dots := slices.ContainsFunc(strings.Split(plain, "/"), func(part string) bool { return part == ".." || part == "." })
	switch {
	case !remote || strings.EqualFold(scheme, "file"):
		if isLocal(root) && holds(strings.TrimPrefix(root, filePrefix), path.Clean(strings.TrimPrefix(plain, filePrefix))) {
			return nil
		}
		return invalid("Invalid model version source: '%s'. To use a local path as a model version source, the %s request parameter has to be specified and the local path has to be contained within the artifact directory of the run specified by the %s.", api.Short(source), param, param)
	case dots || strings.Contains(plain, "\x00"):
		return invalid("Invalid model version source: '%s'. If supplying a source as an http, https, local file path, ftp, objectstore, or mlflow-artifacts uri, an absolute path must be provided without relative path references present. Please provide an absolute path.", api.Short(source))
	case strings.HasPrefix(source, runScheme):
		id, _, _ := strings.Cut(strings.Trim(strings.TrimPrefix(source, runScheme), "/"), "/")
		if _, _, err := s.runAt(ctx, id); err == nil && runID != "" && id != runID || modelID != "" { // a run of another server is what it is said to be
			return notWithin(source, param)
		}
	case strings.EqualFold(scheme, strings.TrimSuffix(artifactScheme, ":")) || strings.Contains(plain, "/api/2.0/mlflow-artifacts/artifacts"):
		if root == "" || !holds(root, plain) {
			return notWithin(source, param)
		}
	}
	return nil
}

// unescape is a URI without its escapes, those of escapes among them.
func unescape(uri string) string {
	for {
		plain, err := url.PathUnescape(uri)
		if err != nil || plain == uri {
			return uri
		}
		uri = plain
	}
}

func isLocal(uri string) bool {
	return strings.HasPrefix(uri, "/") || strings.HasPrefix(uri, filePrefix)
}

// holds says whether something is a folder or in it, however many slashes there are.
func holds(folder, at string) bool {
	parts := func(uri string) []string {
		return slices.DeleteFunc(strings.Split(uri, "/"), func(part string) bool { return part == "" })
	}
	in, of := parts(at), parts(folder)
	return len(in) >= len(of) && slices.Equal(in[:len(of)], of) && strings.Contains(at, "://") == strings.Contains(folder, "://")
}

// downloadURI is where a version's files are, in a form that names their store.
func (s *Surface) downloadURI(w http.ResponseWriter, r *http.Request) error {
	q, err := read(w, r)
	if err != nil {
		return err
	}
	name, n := q.required("name"), q.version()
	if q.err != nil {
		return q.err
	}
	_, v, err := s.versionAt(r.Context(), name, n)
	if err != nil {
		return err
	}
	uri, err := s.filesOf(r.Context(), v)
	if err != nil {
		return err
	}
	return api.WriteJSON(w, http.StatusOK, map[string]string{"artifact_uri": uri})
}

// filesOf is the URI of a version's files, in a form that names their store.
func (s *Surface) filesOf(ctx context.Context, v *projections.ModelVersion) (string, error) {
	uri := cmp.Or(v.Location, sourceOf(v))
	rest, ok := strings.CutPrefix(uri, runScheme)
	if !ok {
		return uri, nil
	}
	id, path, _ := strings.Cut(rest, "/")
	run, e, err := s.runAt(ctx, id)
	var own *refusal
	switch {
	case err == nil:
		uri = artifactURI(run, e) + "/" + path
	case errors.As(err, &own): // a run of another server
		err = nil
	}
	return uri, err
}

// versionNamed is the version that a URI stands for: models:/NAME/VERSION, models:/NAME@ALIAS, models:/NAME/STAGE (the
// newest there) or models:/NAME/latest.
func (s *Surface) versionNamed(ctx context.Context, uri string) (*projections.Model, *projections.ModelVersion, error) {
	rest := strings.TrimPrefix(uri, modelScheme)
	name, which, ok := strings.Cut(rest, "/")
	at, alias, aliased := strings.Cut(rest, "@")
	if ok == aliased {
		return nil, nil, notWithin(uri, "model_id")
	}
	if aliased {
		name = at
	}
	m, err := s.modelAt(ctx, name)
	if err != nil {
		return nil, nil, err
	}
	var v *projections.ModelVersion
	if n, err := strconv.Atoi(which); aliased {
		v = m.Alias(alias)
	} else if err == nil {
		v = m.Version(n)
	} else if strings.EqualFold(which, "latest") && len(m.Versions) > 0 {
		v = &m.Versions[len(m.Versions)-1]
	} else if latest, ok := m.Latest()[commands.CanonicalStage(which)]; ok {
		v = &latest
	}
	if v == nil {
		return nil, nil, noVersion(name, cmp.Or(which, "@"+alias))
	}
	return m, v, nil
}
