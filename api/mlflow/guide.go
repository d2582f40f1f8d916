package mlflow

import (
	"cmp"
	"context"
	"maps"
	"math"
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

// Guide is experiments and models at the program's own address, for people who type: /mlflow/experiments, /mlflow/models.
// Its errors are those of that address.
type Guide struct{ *Surface }

var _ api.Historical = Guide{}

// Guide makes the surface.
func (s *Surface) Guide() Guide { return Guide{s} }

// At is the surface as of a moment.
func (g Guide) At(core *api.Core) api.Surface { return New(core, g.Config).Guide() }

func (Guide) Name() string { return "mlflow-guide" }

func (Guide) Render(w http.ResponseWriter, r *http.Request, p *api.Problem) {
	api.RenderProblem(w, r, p)
}

func (g Guide) Routes(r *api.Routes) {
	r.Handle("GET /mlflow/experiments", plainly(g.experiments), "runs")
	r.Handle("POST /mlflow/experiments", plainly(g.openExperiment))
	r.Handle("GET /mlflow/models", plainly(g.models), "registry", "runs")
	r.Handle("GET /mlflow/models/{name}", plainly(g.model), "registry", "runs")
	r.Handle("GET /mlflow/models/{name}/compare", plainly(g.compare), "registry", "runs")
	r.Handle("POST /mlflow/models/stage-transition", plainly(g.transition))
	r.Handle("POST /mlflow/models/{name}/promote-to-production", plainly(g.promote))
}

// plainly turns what is refused in MLflow's words into the program's own errors.
func plainly(h api.Handler) api.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		err := h(w, r)
		if own, ok := err.(*refusal); ok {
			code := fault.Invalid
			switch own.Code {
			case codeNotFound:
				code = fault.NotFound
			case codeExists:
				code = fault.Conflict
			}
			return fault.New(code, "%s", own.Message)
		}
		return err
	}
}

// shownExperiment is an experiment with its description by name.
type shownExperiment struct {
	experiment
	Description string `json:"description"`
}

func showExperiment(e *projections.Experiment) shownExperiment {
	return shownExperiment{experimentOf(e), cmp.Or(e.Tags[noteTag], e.Description)}
}

func (g Guide) experiments(w http.ResponseWriter, r *http.Request) error {
	q := api.QueryOf(r, "limit", "cursor")
	page := q.Page()
	if err := q.Err(); err != nil {
		return err
	}
	p, err := g.runsView().Experiments(page)
	if err != nil {
		return err
	}
	v := struct {
		Experiments []shownExperiment `json:"experiments"`
		Next        string            `json:"next_cursor,omitempty"`
	}{[]shownExperiment{}, p.Next}
	for i := range p.Items {
		if !p.Items[i].Deleted {
			v.Experiments = append(v.Experiments, showExperiment(&p.Items[i]))
		}
	}
	return api.WriteJSON(w, http.StatusOK, v)
}

// openExperiment makes an experiment, or finds the one of that name: the guide may be followed twice.
func (g Guide) openExperiment(w http.ResponseWriter, r *http.Request) error {
	var v struct {
		Name        string            `json:"name"`
		Description string            `json:"description"`
		Tags        map[string]string `json:"tags"`
	}
	if err := api.ReadJSON(w, r, &v, false); err != nil {
		return err
	}
	c := &commands.CreateExperiment{Name: v.Name, Description: v.Description, Tags: v.Tags}
	_, err := g.act(r, c, 0, "runs")
	found := fault.Is(err, fault.Conflict)
	if err != nil && !found {
		return err
	}
	e, err := g.experimentAt(r.Context(), c.ExperimentID())
	switch {
	case err != nil:
		return err
	case e == nil:
		return fault.New(fault.Unavailable, "experiment %s is not to be read yet", c.ExperimentID())
	case e.Deleted:
		return fault.New(fault.Conflict, "experiment %q is deleted", api.Short(v.Name)).WithHint("restore it, or choose another name")
	}
	return api.WriteJSON(w, http.StatusOK, struct {
		shownExperiment
		Created bool `json:"created"` // now
	}{showExperiment(e), !found})
}

// shownVersion is a version with the figures of its run.
type shownVersion struct {
	version
	StageReason string                   `json:"stage_reason,omitempty"`
	Metrics     map[string]events.Number `json:"metrics"`
	Params      map[string]string        `json:"params,omitempty"`
}

func (g Guide) show(m *projections.Model, v *projections.ModelVersion) (shownVersion, error) {
	out := shownVersion{versionOf(m, v), v.StageReason, map[string]events.Number{}, v.Params}
	if !isRunID(v.RunID) {
		return out, nil
	}
	run, ok, err := g.runsView().Run(v.RunID)
	if err != nil || !ok {
		return out, err
	}
	for key, metric := range run.Metrics {
		out.Metrics[key] = metric.Value
	}
	if len(out.Params) == 0 {
		out.Params = run.Params
	}
	return out, nil
}

// shownModel is a model with its latest versions; alone, with all of them.
type shownModel struct {
	model
	Latest   []shownVersion `json:"latest_versions"` // of each stage
	Versions []shownVersion `json:"versions,omitempty"`
}

func (g Guide) showModel(m *projections.Model) (shownModel, error) {
	out := shownModel{model: modelOf(m), Latest: []shownVersion{}}
	for _, v := range latestOf(m) {
		shown, err := g.show(m, v)
		if err != nil {
			return out, err
		}
		out.Latest = append(out.Latest, shown)
	}
	return out, nil
}

func (g Guide) models(w http.ResponseWriter, r *http.Request) error {
	q := api.QueryOf(r, "limit", "cursor")
	page := q.Page()
	if err := q.Err(); err != nil {
		return err
	}
	v := struct {
		Models []shownModel `json:"models"`
		Next   string       `json:"next_cursor,omitempty"`
	}{Models: []shownModel{}}
	p, err := g.registry().Models(page)
	if err != nil {
		return err
	}
	v.Next = p.Next
	for i := range p.Items {
		shown, err := g.showModel(&p.Items[i])
		if err != nil {
			return err
		}
		v.Models = append(v.Models, shown)
	}
	return api.WriteJSON(w, http.StatusOK, v)
}

// versionsShown is how many versions a model is shown with, the newest; the list of versions has them all.
const versionsShown = 100

func (g Guide) model(w http.ResponseWriter, r *http.Request) error {
	if err := api.QueryOf(r).Err(); err != nil {
		return err
	}
	m, err := g.modelAt(r.Context(), r.PathValue("name"))
	if err != nil {
		return err
	}
	v, err := g.showModel(m)
	if err != nil {
		return err
	}
	for i := len(m.Versions) - 1; i >= max(0, len(m.Versions)-versionsShown); i-- {
		shown, err := g.show(m, &m.Versions[i])
		if err != nil {
			return err
		}
		v.Versions = append(v.Versions, shown)
	}
	return api.WriteJSON(w, http.StatusOK, v)
}

// staging asks for a stage. Development is what the guide calls a version that is in none.
type staging struct {
	Name        string     `json:"model_name"`
	Version     api.Scalar `json:"version"`
	Stage       string     `json:"stage"`
	Description string     `json:"description"`
	Archive     bool       `json:"archive_existing_versions"`
}

const stageDevelopment = "Development"

func (g Guide) transition(w http.ResponseWriter, r *http.Request) error {
	var v staging
	if err := api.ReadJSON(w, r, &v, false); err != nil {
		return err
	}
	if v.Name == "" {
		return fault.Field("model_name", "must not be empty")
	}
	if strings.EqualFold(v.Stage, stageDevelopment) {
		v.Stage = commands.StageNone
	}
	return g.move(w, r, &v)
}

// promote brings a version into Production, and archives what was there.
func (g Guide) promote(w http.ResponseWriter, r *http.Request) error {
	var v struct {
		Version     api.Scalar `json:"version"`
		Description string     `json:"description"`
	}
	if err := api.ReadJSON(w, r, &v, false); err != nil {
		return err
	}
	return g.move(w, r, &staging{r.PathValue("name"), v.Version, commands.StageProduction, v.Description, true})
}

func (g Guide) move(w http.ResponseWriter, r *http.Request, v *staging) error {
	n, err := strconv.Atoi(string(v.Version))
	if err != nil || n < 1 {
		return fault.Field("version", "is %q; want a whole number from 1", api.Short(string(v.Version)))
	}
	if commands.CanonicalStage(v.Stage) == "" {
		return fault.Field("stage", "is %q; want one of None, Staging, Production, Archived", api.Short(v.Stage))
	}
	_, before, err := g.versionAt(r.Context(), v.Name, n)
	if err != nil {
		return err
	}
	if err := g.stage(r, &commands.StageModelVersion{Name: v.Name, Version: n, Stage: v.Stage, ArchiveExisting: v.Archive, Reason: v.Description}); err != nil {
		return err
	}
	m, after, err := g.versionAt(r.Context(), v.Name, n)
	if err != nil {
		return err
	}
	shown, err := g.show(m, after)
	if err != nil {
		return err
	}
	return api.WriteJSON(w, http.StatusOK, struct {
		shownVersion
		Model string `json:"model_name"`
		From  string `json:"from_stage"`
		Stage string `json:"stage"`
	}{shown, m.Name, before.Stage, after.Stage})
}

const comparedMax = 100 // versions at once, and metrics

// compare sets versions of a model side by side on metrics: those that are named, or all there are.
func (g Guide) compare(w http.ResponseWriter, r *http.Request) error {
	q := api.QueryOf(r, "versions", "metrics")
	numbers, names := q.List("versions"), q.List("metrics")
	if len(numbers) > comparedMax || len(names) > comparedMax {
		q.Fault("versions", "and metrics are at most %d at once", comparedMax)
	}
	if err := q.Err(); err != nil {
		return err
	}
	m, err := g.modelAt(r.Context(), r.PathValue("name"))
	if err != nil {
		return err
	}
	compared, err := g.compared(r.Context(), m, numbers)
	if err != nil {
		return err
	}
	if len(names) == 0 {
		all := map[string]bool{}
		for _, v := range compared {
			for key := range v.Metrics {
				all[key] = true
			}
		}
		names = slices.Sorted(maps.Keys(all))
	}
	type row struct {
		Version string                    `json:"version"`
		Stage   string                    `json:"current_stage"`
		RunID   string                    `json:"run_id"`
		Created int64                     `json:"creation_timestamp"`
		Metrics map[string]*events.Number `json:"metrics"` // null: its run has not logged it
	}
	rows := make([]row, 0, len(compared))
	for _, v := range compared {
		one := row{v.Version, v.Stage, v.RunID, v.Created, map[string]*events.Number{}}
		for _, name := range names {
			one.Metrics[name] = nil
			if figure, ok := v.Metrics[name]; ok {
				one.Metrics[name] = &figure
			}
		}
		rows = append(rows, one)
	}
	return api.WriteJSON(w, http.StatusOK, map[string]any{"name": m.Name, "metrics": names, "versions": rows, "best": best(compared, names)})
}

// compared are the versions of those numbers, or the newest.
func (g Guide) compared(ctx context.Context, m *projections.Model, numbers []string) (all []shownVersion, err error) {
	if len(numbers) == 0 {
		for i := max(0, len(m.Versions)-comparedMax); i < len(m.Versions); i++ {
			numbers = append(numbers, strconv.Itoa(m.Versions[i].Version))
		}
	}
	for _, text := range numbers {
		n, err := strconv.Atoi(strings.TrimSpace(text))
		if err != nil || n < 1 {
			return nil, fault.Field("versions", "has %q; want whole numbers from 1 with commas between", api.Short(text))
		}
		v := m.Version(n)
		if v == nil {
			return nil, noVersion(m.Name, strconv.Itoa(n))
		}
		shown, err := g.show(m, v)
		if err != nil {
			return nil, err
		}
		if all = append(all, shown); ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
	return all, nil
}

// best is the version that is best on each metric of which it is known which way is better; the earlier one of equals.
func best(all []shownVersion, names []string) map[string]string {
	won := map[string]string{}
	for _, name := range names {
		sign := better(name)
		if sign == 0 {
			continue
		}
		var most float64
		for _, v := range all {
			if figure, ok := v.Metrics[name]; ok && !math.IsNaN(float64(figure)) && (won[name] == "" || sign*float64(figure) > most) {
				won[name], most = v.Version, sign*float64(figure)
			}
		}
	}
	return won
}

// better is 1 for a metric of which more is better, -1 for one of which less is, 0 for another.
func better(name string) float64 {
	name, _, _ = strings.Cut(name[strings.LastIndexByte(name, '.')+1:], "@")
	switch {
	case slices.Contains([]string{"rmse", "mae", "mse"}, name), strings.HasSuffix(name, "loss"):
		return -1
	case slices.Contains([]string{"accuracy", "ndcg", "hr", "mrr", "precision", "recall", "auc", "r2"}, name):
		return 1
	}
	return 0
}
