package mlflow

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections"
)

func (s *Surface) versionRoutes(r routes) {
	r.handle("POST", "mlflow/model-versions/create", s.createVersion)
	r.handle("GET", "mlflow/model-versions/get", s.getVersion, "registry")
	r.handle("GET", "mlflow/model-versions/search", s.searchVersions, "registry")
	r.handle("PATCH", "mlflow/model-versions/update", s.updateVersion)
	r.handle("DELETE", "mlflow/model-versions/delete", s.deleteVersion)
	r.handle("POST", "mlflow/model-versions/transition-stage", s.transition)
	r.handle("GET", "mlflow/model-versions/get-download-uri", s.downloadURI, "registry", "runs")
	r.handle("POST", "mlflow/model-versions/set-tag", s.setVersionTag)
	r.handle("DELETE", "mlflow/model-versions/delete-tag", s.deleteVersionTag)
}

// version is a version of a model as MLflow has it.
type version struct {
	Name        string   `json:"name"`
	Version     string   `json:"version"`
	Created     int64    `json:"creation_timestamp"`
	Updated     int64    `json:"last_updated_timestamp"`
	Stage       string   `json:"current_stage"`
	Description string   `json:"description"`
	Source      string   `json:"source"`
	RunID       string   `json:"run_id"`
	Status      string   `json:"status"`
	Tags        []pair   `json:"tags,omitempty"`
	RunLink     string   `json:"run_link"`
	Aliases     []string `json:"aliases,omitempty"`
}

func versionOf(m *projections.Model, v *projections.ModelVersion) version {
	out := version{Name: m.Name, Version: strconv.Itoa(v.Version), Created: v.EventMillis, Updated: updated(v), Stage: v.Stage, Description: v.Description,
		Source: sourceOf(v), RunID: v.RunID, Status: "READY", Tags: pairsOf(v.Tags), RunLink: v.RunLink}
	for name, n := range m.Aliases {
		if n == v.Version {
			out.Aliases = append(out.Aliases, name)
		}
	}
	slices.Sort(out.Aliases)
	return out
}

func updated(v *projections.ModelVersion) int64 { return max(v.EventMillis, v.UpdatedMillis) }

// sourceOf is where a version's files are: of one that the program trained itself, the folder of its run that the
// trainer puts the weights in.
func sourceOf(v *projections.ModelVersion) string {
	if v.Source != "" {
		return v.Source
	}
	return "runs:/" + v.RunID + "/model"
}

func noVersion(name, version string) error {
	return missing("Model Version (name=%s, version=%s) not found", api.Short(name), api.Short(version))
}

func noStage(stage string) error {
	return invalid("Invalid Model Version stage: %s. Value must be one of None, Staging, Production, Archived.", api.Short(stage))
}

// version reads a version's number, which stands for it as text.
func (q *request) version() int {
	q.needs("version")
	raw := q.raw("version")
	v := strings.Trim(string(raw), `"`)
	n, err := strconv.Atoi(v)
	if raw != nil && err != nil {
		q.fault(invalid("Parameter 'version' must be an integer, got '%s'.", api.Short(v)))
	}
	return n
}

// versionAt is a version of a model.
func (s *Surface) versionAt(ctx context.Context, name string, n int) (*projections.Model, *projections.ModelVersion, error) {
	m, err := s.modelAt(ctx, name)
	if err != nil {
		return nil, nil, noVersion(name, strconv.Itoa(n))
	}
	v := m.Version(n)
	if v == nil {
		return nil, nil, noVersion(name, strconv.Itoa(n))
	}
	return m, v, nil
}

func (s *Surface) answerVersion(w http.ResponseWriter, r *http.Request, name string, n int) error {
	m, v, err := s.versionAt(r.Context(), name, n)
	if err != nil {
		return err
	}
	return api.WriteJSON(w, http.StatusOK, map[string]any{"model_version": versionOf(m, v)})
}

func (s *Surface) createVersion(w http.ResponseWriter, r *http.Request) error {
	q, err := read(w, r)
	if err != nil {
		return err
	}
	c := &commands.AddModelVersion{Name: q.required("name"), Source: q.required("source"), RunID: q.text("run_id"), RunLink: q.text("run_link"), Description: q.text("description")}
	id := q.text("model_id")
	c.Tags = q.boundedTags(modelTagLettersMax)
	if q.err != nil {
		return q.err
	}
	if _, err := s.modelAt(r.Context(), c.Name); err != nil {
		return err
	}
	if strings.EqualFold(c.Tags[promptTag], "true") {
		if !slices.Contains(promptSources, c.Source) {
			return invalid("Invalid prompt source: '%s'. Prompt sources must use an MLflow placeholder.", api.Short(c.Source))
		}
	} else if err := s.resolve(r.Context(), c, id); err != nil {
		return err
	}
	res, err := s.acted(r, c, 0, "registry")
	if err != nil {
		return err
	}
	for i := range res.Events {
		added, ok := res.Events[i].Data.(*events.ModelVersionAdded)
		if !ok {
			continue
		}
		if id != "" {
			if _, err := s.act(r, &commands.NoteModelVersion{ModelID: id, Name: c.Name, Version: added.Version}, 0, "logged-models"); err != nil {
				return err
			}
		}
		return s.answerVersion(w, r, c.Name, added.Version)
	}
	return fault.New(fault.Internal, "%s added no version", c.CommandType())
}

func (s *Surface) getVersion(w http.ResponseWriter, r *http.Request) error {
	q, err := read(w, r)
	if err != nil {
		return err
	}
	name, n := q.required("name"), q.version()
	if q.err != nil {
		return q.err
	}
	return s.answerVersion(w, r, name, n)
}

func (s *Surface) updateVersion(w http.ResponseWriter, r *http.Request) error {
	q, err := read(w, r)
	if err != nil {
		return err
	}
	name, n, description := q.required("name"), q.version(), q.text("description")
	if q.err != nil {
		return q.err
	}
	if _, _, err := s.versionAt(r.Context(), name, n); err != nil {
		return err
	}
	if err := s.decide(r, name, n, &commands.DescribeModel{Name: name, Version: n, Description: description}); err != nil {
		return err
	}
	return s.answerVersion(w, r, name, n)
}

func (s *Surface) deleteVersion(w http.ResponseWriter, r *http.Request) error {
	q, err := read(w, r)
	if err != nil {
		return err
	}
	c := &commands.DeleteModelVersion{Name: q.required("name"), Version: q.version()}
	if q.err != nil {
		return q.err
	}
	if _, _, err := s.versionAt(r.Context(), c.Name, c.Version); err != nil {
		return err
	}
	if c.Served, err = s.Served(r.Context(), c.Name, 0); err != nil {
		return err
	}
	return done(w, s.decide(r, c.Name, c.Version, c))
}

func (s *Surface) transition(w http.ResponseWriter, r *http.Request) error {
	q, err := read(w, r)
	if err != nil {
		return err
	}
	c := &commands.StageModelVersion{Name: q.required("name"), Version: q.version(), Stage: q.required("stage"), ArchiveExisting: q.flag("archive_existing_versions")}
	if q.err != nil {
		return q.err
	}
	if err := s.stage(r, c); err != nil {
		return err
	}
	return s.answerVersion(w, r, c.Name, c.Version)
}

// stage moves a version to a stage.
func (s *Surface) stage(r *http.Request, c *commands.StageModelVersion) error {
	stage := commands.CanonicalStage(c.Stage)
	switch {
	case stage == "":
		return noStage(c.Stage)
	case c.ArchiveExisting && stage != commands.StageStaging && stage != commands.StageProduction:
		return invalid("Model version transition cannot archive existing model versions because '%s' is not an Active stage. Valid stages are ['Staging', 'Production']", stage)
	}
	_, _, err := s.versionAt(r.Context(), c.Name, c.Version)
	if err != nil {
		return err
	}
	serving := 0
	if stage == commands.StageProduction {
		serving = c.Version
	}
	if c.Served, err = s.Served(r.Context(), c.Name, serving); err != nil {
		return err
	}
	return s.decide(r, c.Name, c.Version, c)
}

func (s *Surface) setVersionTag(w http.ResponseWriter, r *http.Request) error {
	q, err := read(w, r)
	if err != nil {
		return err
	}
	name, n, key := q.required("name"), q.version(), q.required("key")
	value := q.bounded("value", modelTagLettersMax)
	if q.key("key", key); q.err != nil {
		return q.err
	}
	if _, _, err := s.versionAt(r.Context(), name, n); err != nil {
		return err
	}
	return done(w, s.decide(r, name, n, &commands.SetModelTags{Name: name, Version: n, Tags: map[string]string{key: value}}))
}

func (s *Surface) deleteVersionTag(w http.ResponseWriter, r *http.Request) error {
	q, err := read(w, r)
	if err != nil {
		return err
	}
	name, n, key := q.required("name"), q.version(), q.required("key")
	if q.err != nil {
		return q.err
	}
	if _, _, err := s.versionAt(r.Context(), name, n); err != nil {
		return err
	}
	return done(w, s.decide(r, name, n, &commands.RemoveModelTag{Name: name, Version: n, Key: key}))
}

var versionGrammar = grammar{kinds: everyTag,
	attrs:    map[string]bool{"name": false, "run_id": false, "source_path": false, "version_number": true, "creation_timestamp": true, "last_updated_timestamp": true},
	sortable: []string{"name", "version_number", "creation_timestamp", "last_updated_timestamp"},
	searched: []string{"name", "version_number", "run_id", "source_path"}, lists: []string{"run_id", "name"}, whole: true, noNull: true,
	natural: order{{ofAttribute, "last_updated_timestamp", true, true}}, // the last changed first
	ties:    order{{ofAttribute, "name", false, false}, {ofAttribute, "version_number", true, true}}}

func versionHas(v *projections.ModelVersion) having {
	return func(kind, key string) value {
		if kind == ofTag {
			t, ok := v.Tags[key]
			return value{text: t, is: ok}
		}
		switch key {
		case "name":
			return text(v.Name)
		case "run_id":
			return text(v.RunID)
		case "source_path":
			return text(sourceOf(v))
		case "version_number":
			return number(float64(v.Version))
		case "creation_timestamp":
			return number(float64(v.EventMillis))
		}
		return number(float64(updated(v)))
	}
}

// Bounds of a search of versions.
const (
	versionsDefault = 10_000
	versionsMax     = 200_000
)

func (s *Surface) searchVersions(w http.ResponseWriter, r *http.Request) error {
	q, err := read(w, r)
	if err != nil {
		return err
	}
	wanted, by := q.text("filter"), q.texts("order_by")
	asked := q.page(versionsDefault, versionsMax, false, "versions", wanted, by)
	if q.err != nil {
		return q.err
	}
	f, o, err := versionGrammar.read(wanted, by)
	if err != nil {
		return err
	}
	pages, err := newPager[version](asked, o)
	if err != nil {
		return err
	}
	for m, err := range s.allModels() {
		if err != nil {
			return err
		}
		for i := range m.Versions {
			v := &m.Versions[i]
			if has := versionHas(v); fits(f, has) {
				pages.offer(has, func() version { return versionOf(m, v) })
			}
		}
	}
	answer := struct {
		Versions []version `json:"model_versions,omitempty"`
		Next     string    `json:"next_page_token,omitempty"`
	}{}
	if answer.Versions, answer.Next, err = pages.end(); err != nil {
		return err
	}
	return api.WriteJSON(w, http.StatusOK, answer)
}
