package mlflow

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
)

func (s *Surface) modelRoutes(r routes) {
	r.handle("POST", "mlflow/registered-models/create", s.createModel)
	r.handle("GET", "mlflow/registered-models/get", s.getModel, "registry")
	r.handle("GET", "mlflow/registered-models/search", s.searchModels, "registry")
	r.handle("POST", "mlflow/registered-models/rename", s.renameModel)
	r.handle("PATCH", "mlflow/registered-models/update", s.updateModel)
	r.handle("DELETE", "mlflow/registered-models/delete", s.deleteModel)
	r.handle("POST", "mlflow/registered-models/get-latest-versions", s.latestVersions, "registry")
	r.handle("GET", "mlflow/registered-models/get-latest-versions", s.latestVersions, "registry")
	r.handle("POST", "mlflow/registered-models/set-tag", s.setModelTag)
	r.handle("DELETE", "mlflow/registered-models/delete-tag", s.deleteModelTag)
	r.handle("POST", "mlflow/registered-models/alias", s.setAlias)
	r.handle("DELETE", "mlflow/registered-models/alias", s.deleteAlias)
	r.handle("GET", "mlflow/registered-models/alias", s.getAlias, "registry")
}

// model is a registered model as MLflow has it.
type model struct {
	Name        string    `json:"name"`
	Created     int64     `json:"creation_timestamp"`
	Updated     int64     `json:"last_updated_timestamp"`
	Description string    `json:"description,omitempty"`
	Latest      []version `json:"latest_versions,omitempty"`
	Tags        []pair    `json:"tags,omitempty"`
	Aliases     []alias   `json:"aliases,omitempty"`
}

type alias struct {
	Alias   string `json:"alias"`
	Version string `json:"version"`
}

func modelOf(m *projections.Model) model {
	v := model{Name: m.Name, Created: m.CreatedMillis, Updated: m.ChangedMillis, Description: m.Description, Tags: pairsOf(m.Tags)}
	for _, latest := range latestOf(m) {
		v.Latest = append(v.Latest, versionOf(m, latest))
	}
	for name, n := range m.Aliases {
		v.Aliases = append(v.Aliases, alias{name, strconv.Itoa(n)})
	}
	slices.SortFunc(v.Aliases, func(a, b alias) int { return strings.Compare(a.Alias, b.Alias) })
	return v
}

// latestOf are the newest versions of each stage, by version.
func latestOf(m *projections.Model) (all []*projections.ModelVersion) {
	for _, v := range m.Latest() {
		all = append(all, m.Version(v.Version))
	}
	slices.SortFunc(all, func(a, b *projections.ModelVersion) int { return cmp.Compare(a.Version, b.Version) })
	return all
}

func noModel(name string) error {
	return missing("Registered Model with name=%s not found", api.Short(name))
}

// modelAt is a model by its name, from its stream where the view has it not yet.
func (s *Surface) modelAt(ctx context.Context, name string) (*projections.Model, error) {
	m, ok, err := fold.Of[*projections.Registry](s.Views).Model(name)
	if err == nil && !ok {
		m, ok, err = projections.ModelNamed(ctx, s.Log.Ledger(), name, fold.At{})
	}
	if err == nil && !ok {
		err = noModel(name)
	}
	if err != nil {
		return nil, err
	}
	return &m, nil
}

// decide dispatches a command on a model or one of its versions (0: on the model), and refuses as MLflow does.
func (s *Surface) decide(r *http.Request, name string, n int, c commands.Command) error {
	_, err := s.act(r, c, 0, "registry", "deployments")
	var own *fault.Error
	if errors.As(err, &own) && own.Code == fault.NotFound {
		if n != 0 && own.Field == "version" {
			return noVersion(name, strconv.Itoa(n))
		}
		return noModel(name)
	}
	return err
}

func (s *Surface) createModel(w http.ResponseWriter, r *http.Request) error {
	q, err := read(w, r)
	if err != nil {
		return err
	}
	c := &commands.RegisterModel{Name: q.required("name"), Description: q.text("description")}
	c.Tags = q.boundedTags(modelTagLettersMax)
	if q.err != nil {
		return q.err
	}
	if _, err := s.act(r, c, 0, "registry"); err != nil {
		return inWords(err, map[fault.Code]error{fault.Conflict: s.taken(r.Context(), c)})
	}
	return s.answerModel(w, r, c.Name)
}

// taken says that a model has the name, or a prompt, whichever was to be made.
func (s *Surface) taken(ctx context.Context, c *commands.RegisterModel) error {
	kinds := map[bool]string{true: "Prompt", false: "Registered Model"}
	asked := kinds[strings.EqualFold(c.Tags[promptTag], "true")]
	m, err := s.modelAt(ctx, c.Name)
	if err != nil { // it went meanwhile
		return exists("%s (name=%s) already exists.", asked, api.Short(c.Name))
	}
	if has := kinds[strings.EqualFold(m.Tags[promptTag], "true")]; has != asked {
		return exists("Tried to create a %s with name '%s', but the name is already taken by a %s. MLflow does not allow creating a model and a prompt with the same name.",
			strings.ToLower(asked), api.Short(c.Name), strings.ToLower(has))
	}
	return exists("%s (name=%s) already exists.", asked, api.Short(c.Name))
}

func (s *Surface) answerModel(w http.ResponseWriter, r *http.Request, name string) error {
	m, err := s.modelAt(r.Context(), name)
	if err != nil {
		return err
	}
	return api.WriteJSON(w, http.StatusOK, map[string]any{"registered_model": modelOf(m)})
}

func (s *Surface) getModel(w http.ResponseWriter, r *http.Request) error {
	q, err := read(w, r)
	if err != nil {
		return err
	}
	name := q.required("name")
	if q.err != nil {
		return q.err
	}
	return s.answerModel(w, r, name)
}

func (s *Surface) updateModel(w http.ResponseWriter, r *http.Request) error {
	q, err := read(w, r)
	if err != nil {
		return err
	}
	name, description := q.required("name"), q.text("description")
	if q.err != nil {
		return q.err
	}
	if err := s.decide(r, name, 0, &commands.DescribeModel{Name: name, Description: description}); err != nil {
		return err
	}
	return s.answerModel(w, r, name)
}

// renameModel gives a model another name. What serves goes on serving.
func (s *Surface) renameModel(w http.ResponseWriter, r *http.Request) error {
	q, err := read(w, r)
	if err != nil {
		return err
	}
	c := &commands.RenameModel{Name: q.required("name"), To: q.required("new_name")}
	if q.err != nil {
		return q.err
	}
	err = s.decide(r, c.Name, 0, c)
	if err != nil {
		return inWords(err, map[fault.Code]error{fault.Conflict: exists("Registered Model (name=%s) already exists.", api.Short(c.To))})
	}
	return s.answerModel(w, r, c.To)
}

func (s *Surface) deleteModel(w http.ResponseWriter, r *http.Request) error {
	q, err := read(w, r)
	if err != nil {
		return err
	}
	c := &commands.DeleteModel{Name: q.required("name")}
	if q.err != nil {
		return q.err
	}
	if c.Served, err = s.Served(r.Context(), c.Name, 0); err != nil {
		return err
	}
	return done(w, s.decide(r, c.Name, 0, c))
}

func (s *Surface) latestVersions(w http.ResponseWriter, r *http.Request) error {
	q, err := read(w, r)
	if err != nil {
		return err
	}
	name, stages := q.required("name"), q.texts("stages")
	if q.err != nil {
		return q.err
	}
	for i, stage := range stages {
		if stages[i] = commands.CanonicalStage(stage); stages[i] == "" {
			return noStage(stage)
		}
	}
	m, err := s.modelAt(r.Context(), name)
	if err != nil {
		return err
	}
	v := struct {
		Versions []version `json:"model_versions,omitempty"`
	}{}
	for _, latest := range latestOf(m) {
		if len(stages) == 0 || slices.Contains(stages, latest.Stage) {
			v.Versions = append(v.Versions, versionOf(m, latest))
		}
	}
	return api.WriteJSON(w, http.StatusOK, v)
}

func (s *Surface) setModelTag(w http.ResponseWriter, r *http.Request) error {
	q, err := read(w, r)
	if err != nil {
		return err
	}
	name, key := q.required("name"), q.required("key")
	value := q.bounded("value", modelTagLettersMax)
	if q.key("key", key); q.err != nil {
		return q.err
	}
	return done(w, s.decide(r, name, 0, &commands.SetModelTags{Name: name, Tags: map[string]string{key: value}}))
}

func (s *Surface) deleteModelTag(w http.ResponseWriter, r *http.Request) error {
	q, err := read(w, r)
	if err != nil {
		return err
	}
	name, key := q.required("name"), q.required("key")
	if q.err != nil {
		return q.err
	}
	return done(w, s.decide(r, name, 0, &commands.RemoveModelTag{Name: name, Key: key}))
}

func (s *Surface) setAlias(w http.ResponseWriter, r *http.Request) error {
	q, err := read(w, r)
	if err != nil {
		return err
	}
	c := &commands.SetModelAlias{Name: q.required("name"), Alias: q.required("alias"), Version: q.version()}
	if q.err != nil {
		return q.err
	}
	if digits := strings.TrimLeft(c.Alias, "vV"); strings.EqualFold(c.Alias, "latest") || len(digits) == len(c.Alias)-1 && digits != "" && strings.Trim(digits, "0123456789") == "" {
		return invalid("Version alias name '%s' is reserved.", api.Short(c.Alias))
	}
	if c.Alias == commands.AliasChampion {
		if c.Served, err = s.Served(r.Context(), c.Name, c.Version); err != nil {
			return err
		}
	}
	return done(w, s.decide(r, c.Name, c.Version, c))
}

func (s *Surface) deleteAlias(w http.ResponseWriter, r *http.Request) error {
	q, err := read(w, r)
	if err != nil {
		return err
	}
	c := &commands.RemoveModelAlias{Name: q.required("name"), Alias: q.required("alias")}
	if q.err != nil {
		return q.err
	}
	if c.Served, err = s.Served(r.Context(), c.Name, 0); err != nil {
		return err
	}
	return done(w, s.decide(r, c.Name, 0, c))
}

func (s *Surface) getAlias(w http.ResponseWriter, r *http.Request) error {
	q, err := read(w, r)
	if err != nil {
		return err
	}
	name, alias := q.required("name"), q.required("alias")
	if q.err != nil {
		return q.err
	}
	m, err := s.modelAt(r.Context(), name)
	if err != nil {
		return err
	}
	v := m.Alias(alias)
	if v == nil {
		return invalid("Registered model alias %s not found.", api.Short(alias))
	}
	return api.WriteJSON(w, http.StatusOK, map[string]any{"model_version": versionOf(m, v)})
}

var modelGrammar = grammar{kinds: everyTag, attrs: map[string]bool{"name": false, "creation_timestamp": true, "last_updated_timestamp": true, "timestamp": true},
	sortable: []string{"name", "creation_timestamp", "last_updated_timestamp", "timestamp"}, searched: []string{"name"}, lists: []string{"name"}, noNull: true,
	ties: order{{ofAttribute, "name", false, false}}}

func modelHas(m *projections.Model) having {
	return func(kind, key string) value {
		if kind == ofTag {
			v, ok := m.Tags[key]
			return value{text: v, is: ok}
		}
		switch key {
		case "name":
			return text(m.Name)
		case "creation_timestamp":
			return number(float64(m.CreatedMillis))
		}
		return number(float64(m.ChangedMillis))
	}
}

// Bounds of a search of models.
const (
	modelsDefault = 100
	modelsMax     = 1000
)

func (s *Surface) searchModels(w http.ResponseWriter, r *http.Request) error {
	q, err := read(w, r)
	if err != nil {
		return err
	}
	wanted, by := q.text("filter"), q.texts("order_by")
	asked := q.page(modelsDefault, modelsMax, true, "models", wanted, by)
	if q.err != nil {
		return q.err
	}
	f, o, err := modelGrammar.read(wanted, by)
	if err != nil {
		return err
	}
	pages, err := newPager[model](asked, o)
	if err != nil {
		return err
	}
	for m, err := range s.allModels() {
		if err != nil {
			return err
		}
		if has := modelHas(m); fits(f, has) {
			pages.offer(has, func() model { return modelOf(m) })
		}
	}
	v := struct {
		Models []model `json:"registered_models,omitempty"`
		Next   string  `json:"next_page_token,omitempty"`
	}{}
	if v.Models, v.Next, err = pages.end(); err != nil {
		return err
	}
	return api.WriteJSON(w, http.StatusOK, v)
}

// promptTag marks a model that is a prompt. One without it is none.
const promptTag = "mlflow.prompt.is_prompt"

// fits says whether a model or a version fits. Prompts do only where a filter asks about that.
func fits(f filter, has having) bool {
	asked := slices.ContainsFunc(f, func(c clause) bool { return c.kind == ofTag && c.key == promptTag })
	if !asked && strings.EqualFold(has(ofTag, promptTag).text, "true") {
		return false
	}
	return f.holds(func(kind, key string) value {
		v := has(kind, key)
		if kind == ofTag && key == promptTag && !v.is {
			return text("false")
		}
		return v
	})
}
