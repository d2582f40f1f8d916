package registry

import (
	"slices"
	"strings"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/ml/features"
	"github.com/projectionist/projectionist/projections"
)

// Projects, entities and sources. Of a message of Feast's its spec is kept; the times in it are those of its events.

// object is a message of a kind that has a spec and times.
func object(spec message, createdMillis, updatedMillis int64) message {
	return message{}.withMessage(1, spec).withMessage(2, message{}.withTime(1, createdMillis).withTime(2, updatedMillis))
}

// kept is something declared, as Feast's clients read it.
func kept[T any](d *projections.Declared[T], spec []byte) message {
	return object(spec, d.CreatedMillis, d.UpdatedMillis)
}

// notFound says that there is nothing of a name.
func (c *call) notFound(class, what string) error {
	return refuse(codeNotFound, class, "%s %s does not exist in project %s", what, api.Short(c.in.text(1)), api.Short(c.in.text(2)))
}

// room says whether there may be another of a kind.
func room(n int, what string) error {
	if n >= listedMax {
		return refuse(codeExhausted, "FeastError", "there are %d %s, which is the most; delete some", n, what)
	}
	return nil
}

func applyProject(c *call) (message, error) {
	if err := room(len(c.reg.Declared.Projects), "projects"); err != nil {
		return nil, err
	}
	spec := projectShape.form(c.in.message(1).message(1))
	return c.dispatch(&commands.ApplyFeatureProject{FeatureProjectApplied: events.FeatureProjectApplied{FeatureMeta: events.FeatureMeta{
		Project: spec.text(1), Description: spec.text(2), Tags: spec.pairs(3), Owner: spec.text(4), Spec: spec}}})
}

// projects are all there are, the one that has what is computed among them.
func (c *call) projects() (all []message) {
	for i := range c.reg.Declared.Projects {
		p := &c.reg.Declared.Projects[i]
		all = append(all, kept(p, p.Is.Spec))
	}
	has := func(name string) bool {
		return slices.ContainsFunc(all, func(m message) bool { return m.message(1).text(1) == name })
	}
	if !has(Project) {
		all = append(all, object(message{}.withText(1, Project).withText(2, "What Projectionist computes, and what is declared beside it"), 0, 0))
	}
	for _, name := range c.reg.Declared.Named() { // a client's SDK applies things without their project
		if !has(name) {
			all = append(all, object(message{}.withText(1, name), 0, 0))
		}
	}
	return byName(all, func(m message) string { return m.message(1).text(1) })
}

func byName(all []message, name func(message) string) []message {
	slices.SortStableFunc(all, func(a, b message) int { return strings.Compare(name(a), name(b)) })
	return all
}

func getProject(c *call) (message, error) {
	for _, p := range c.projects() {
		if p.message(1).text(1) == c.in.text(1) {
			return p, nil
		}
	}
	return nil, refuse(codeNotFound, "FeastObjectNotFoundException", "Project %s does not exist", api.Short(c.in.text(1)))
}

func listProjects(c *call) (message, error) {
	all := slices.DeleteFunc(c.projects(), func(p message) bool { return !tagged(c.in.pairs(2), p.message(1).pairs(3)) })
	return c.paged(all, 3)
}

// deleteProject takes a project away with all that is declared in it, as Feast does.
func deleteProject(c *call) (message, error) {
	name := c.in.text(1)
	if _, err := getProject(c); err != nil {
		return nil, err
	}
	d := &c.reg.Declared
	var all []commands.Command
	for i := range d.Services {
		if s := &d.Services[i].Is; s.Project == name {
			all = append(all, &commands.DeleteFeatureService{FeatureServiceDeleted: events.FeatureServiceDeleted{Service: s.Service, Project: name}})
		}
	}
	for i := range d.Views {
		if v := &d.Views[i].Is; v.Project == name {
			all = append(all, &commands.DeleteFeatureView{FeatureViewDeleted: events.FeatureViewDeleted{View: v.View, Project: name}})
		}
	}
	for i := range d.Entities {
		if e := &d.Entities[i].Is; e.Project == name {
			all = append(all, &commands.DeleteFeatureEntity{FeatureEntityDeleted: events.FeatureEntityDeleted{Entity: e.Entity, Project: name}})
		}
	}
	for i := range d.Sources {
		if s := &d.Sources[i].Is; s.Project == name {
			all = append(all, &commands.DeleteFeatureSource{FeatureSourceDeleted: events.FeatureSourceDeleted{Source: s.Source, Project: name}})
		}
	}
	for i := range d.Projects {
		if d.Projects[i].Is.Project == name {
			all = append(all, &commands.DeleteFeatureProject{FeatureProjectDeleted: events.FeatureProjectDeleted{Project: name}})
		}
	}
	for _, cmd := range all {
		if _, err := c.dispatch(cmd); err != nil {
			return nil, err
		}
	}
	return message{}, nil
}

func applyEntity(c *call) (message, error) {
	if err := room(len(c.reg.Declared.Entities), "entities"); err != nil {
		return nil, err
	}
	spec := entityShape.form(c.in.message(1).message(1))
	e := events.FeatureEntityApplied{Entity: spec.text(1), JoinKey: spec.text(4), FeatureMeta: events.FeatureMeta{Project: c.in.text(2),
		Description: spec.text(3), Tags: spec.pairs(8), Owner: spec.text(10), Spec: spec}}
	if n := spec.number(2); n != 0 { // not said
		t, err := typeOf(n)
		if err != nil {
			return nil, refuse(codeInvalid, "FeastError", "the join key of entity %s %s", api.Short(e.Entity), err)
		}
		e.Type = t
	}
	own, err := c.own("entity", e.Entity, e.Project, e.Tags, slices.ContainsFunc(c.reg.Entities, func(d features.EntityDefinition) bool { return string(d.Name) == e.Entity }))
	if own || err != nil {
		return message{}, err
	}
	for _, d := range c.reg.Entities {
		if e.Project == Project && string(d.Name) == e.Entity && d.JoinKey != e.JoinKey {
			return nil, refuse(codeRefused, "FeastError", "entity %s of project %s has the join key %s, by which its features are computed, not %s", d.Name, Project, d.JoinKey, api.Short(e.JoinKey))
		}
	}
	return c.dispatch(&commands.ApplyFeatureEntity{FeatureEntityApplied: e})
}

// entities are those of a project.
func (c *call) entities(project string) (all []message) {
	has := map[string]bool{}
	for i := range c.reg.Declared.Entities {
		if e := &c.reg.Declared.Entities[i]; e.Is.Project == project {
			has[e.Is.Entity] = true
			all = append(all, kept(e, message(e.Is.Spec).withText(9, project)))
		}
	}
	if project == Project {
		for _, e := range c.reg.Entities {
			if !has[string(e.Name)] {
				all = append(all, computedEntity(&e))
			}
		}
	}
	return byName(all, func(m message) string { return m.message(1).text(1) })
}

func getEntity(c *call) (message, error) {
	for _, e := range c.entities(c.in.text(2)) {
		if e.message(1).text(1) == c.in.text(1) {
			return e, nil
		}
	}
	return nil, c.notFound("EntityNotFoundException", "Entity")
}

func listEntities(c *call) (message, error) {
	all := slices.DeleteFunc(c.entities(c.in.text(1)), func(e message) bool { return !tagged(c.in.pairs(3), e.message(1).pairs(8)) })
	return c.paged(all, 4)
}

func deleteEntity(c *call) (message, error) {
	name, project := c.in.text(1), c.in.text(2)
	declared := slices.ContainsFunc(c.reg.Declared.Entities, func(e projections.Declared[events.FeatureEntityApplied]) bool {
		return e.Is.Entity == name && e.Is.Project == project
	})
	if _, err := getEntity(c); err == nil && !declared {
		return nil, c.computed("entity")
	}
	if !declared {
		return nil, c.notFound("EntityNotFoundException", "Entity")
	}
	return c.dispatch(&commands.DeleteFeatureEntity{FeatureEntityDeleted: events.FeatureEntityDeleted{Entity: name, Project: project}})
}

// computed says that what this program computes is not to be deleted.
func (c *call) computed(what string) error {
	return refuse(codeRefused, "FeastError", "%s %s is of this program's own definitions, which feast apply does not delete: keep computed.py of `projectionist feast init` in the repository, "+
		"choose a project of your own in feature_store.yaml, or take it out of the definitions (projectionist features apply FILE)", what, api.Short(c.in.text(1)))
}

const pushSource = 9 // of Feast's kinds of sources

func applySource(c *call) (message, error) {
	if err := room(len(c.reg.Declared.Sources), "data sources"); err != nil {
		return nil, err
	}
	m := sourceShape.form(c.in.message(1))
	if c.in.text(2) == Project && slices.ContainsFunc(c.ownSources(), func(s message) bool { return s.text(20) == m.text(20) }) {
		return message{}, nil
	}
	return c.dispatch(&commands.ApplyFeatureSource{FeatureSourceApplied: events.FeatureSourceApplied{Source: m.text(20), Push: m.number(1) == pushSource,
		FeatureMeta: events.FeatureMeta{Project: c.in.text(2), Description: m.text(23), Tags: m.pairs(24), Owner: m.text(25), Spec: m}}})
}

// sources are those of a project.
func (c *call) sources(project string) (all []message) {
	has := map[string]bool{}
	for i := range c.reg.Declared.Sources {
		if s := &c.reg.Declared.Sources[i]; s.Is.Project == project {
			has[s.Is.Source] = true
			all = append(all, message(s.Is.Spec).withText(21, project).withMessage(50, message{}.withTime(3, s.CreatedMillis).withTime(4, s.UpdatedMillis)))
		}
	}
	if project == Project {
		for _, m := range c.ownSources() {
			if !has[m.text(20)] {
				all = append(all, m)
			}
		}
	}
	return byName(all, func(m message) string { return m.text(20) })
}

func getSource(c *call) (message, error) {
	for _, s := range c.sources(c.in.text(2)) {
		if s.text(20) == c.in.text(1) {
			return s, nil
		}
	}
	return nil, c.notFound("DataSourceObjectNotFoundException", "Data source")
}

func listSources(c *call) (message, error) {
	all := slices.DeleteFunc(c.sources(c.in.text(1)), func(s message) bool { return !tagged(c.in.pairs(3), s.pairs(24)) })
	return c.paged(all, 4)
}

func deleteSource(c *call) (message, error) {
	name, project := c.in.text(1), c.in.text(2)
	declared := slices.ContainsFunc(c.reg.Declared.Sources, func(s projections.Declared[events.FeatureSourceApplied]) bool {
		return s.Is.Source == name && s.Is.Project == project
	})
	if _, err := getSource(c); err == nil && !declared {
		return nil, c.computed("data source")
	}
	if !declared {
		return nil, c.notFound("DataSourceObjectNotFoundException", "Data source")
	}
	return c.dispatch(&commands.DeleteFeatureSource{FeatureSourceDeleted: events.FeatureSourceDeleted{Source: name, Project: project}})
}
