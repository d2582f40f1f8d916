package registry

import (
	"slices"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/projections"
)

func applyService(c *call) (message, error) {
	if err := room(len(c.reg.Declared.Services), "feature services"); err != nil {
		return nil, err
	}
	spec := serviceShape.form(c.in.message(1).message(1))
	e := events.FeatureServiceApplied{Service: spec.text(1), Features: []string{}, FeatureMeta: events.FeatureMeta{Project: c.in.text(2), Description: spec.text(5),
		Owner: spec.text(6), Tags: spec.pairs(4), Spec: spec}}
	if own, err := c.own("feature service", e.Service, e.Project, e.Tags, c.reg.Definitions.Service(e.Service) != nil); own || err != nil {
		return message{}, err
	}
	for _, p := range spec.all(3) {
		view := p.text(1)
		if alias := p.text(3); alias != "" && alias != view || len(p.all(4)) > 0 {
			return nil, refuse(codeRefused, "FeastError", "feature service %s has feature view %s under another name or other join keys, which is not kept here; ask with full_feature_names to tell features of one name apart", api.Short(e.Service), api.Short(view))
		}
		for _, f := range p.all(2) {
			if err := c.known(view, f.text(1)); err != nil {
				return nil, err
			}
			e.Features = append(e.Features, view+":"+f.text(1))
		}
	}
	if c.reg.Definitions.Service(e.Service) != nil && e.Project != Project {
		return nil, refuse(codeRefused, "FeastError", "feature service %s is of this program's own definitions: choose another name", e.Service)
	}
	return c.dispatch(&commands.ApplyFeatureService{FeatureServiceApplied: e})
}

// services are those of a project.
func (c *call) services(project string) (all []message) {
	has := map[string]bool{}
	for i := range c.reg.Declared.Services {
		if s := &c.reg.Declared.Services[i]; s.Is.Project == project {
			has[s.Is.Service] = true
			all = append(all, kept(s, message(s.Is.Spec).withText(2, project)))
		}
	}
	if project == Project {
		for _, s := range c.reg.Services {
			if !has[s.Name] {
				all = append(all, c.computedService(s))
			}
		}
	}
	return byName(all, func(m message) string { return m.message(1).text(1) })
}

func getService(c *call) (message, error) {
	for _, s := range c.services(c.in.text(2)) {
		if s.message(1).text(1) == c.in.text(1) {
			return s, nil
		}
	}
	return nil, c.notFound("FeatureServiceNotFoundException", "Feature service")
}

func listServices(c *call) (message, error) {
	view := c.in.text(4)
	all := slices.DeleteFunc(c.services(c.in.text(1)), func(s message) bool {
		return !tagged(c.in.pairs(3), s.message(1).pairs(4)) ||
			view != "" && !slices.ContainsFunc(s.message(1).all(3), func(p message) bool { return p.text(1) == view })
	})
	return c.paged(all, 5)
}

func deleteService(c *call) (message, error) {
	name, project := c.in.text(1), c.in.text(2)
	declared := slices.ContainsFunc(c.reg.Declared.Services, func(s projections.Declared[events.FeatureServiceApplied]) bool {
		return s.Is.Service == name && s.Is.Project == project
	})
	if !declared {
		if _, err := getService(c); err != nil {
			return nil, err
		}
		return nil, c.computed("feature service")
	}
	return c.dispatch(&commands.DeleteFeatureService{FeatureServiceDeleted: events.FeatureServiceDeleted{Service: name, Project: project}})
}

// whole is all of the registry at once.
func whole(c *call) (message, error) {
	out := message{}
	for _, p := range c.projects() {
		name := p.message(1).text(1)
		out = out.withMessage(17, p)
		for _, m := range c.entities(name) {
			out = out.withMessage(1, m)
		}
		for _, m := range c.sources(name) {
			out = out.withMessage(12, m)
		}
		for _, v := range c.views(name) {
			if v.stream {
				out = out.withMessage(14, v.message)
			} else {
				out = out.withMessage(6, v.message)
			}
		}
		for _, m := range c.services(name) {
			out = out.withMessage(7, m)
		}
	}
	return out.withText(3, "1"), nil
}
