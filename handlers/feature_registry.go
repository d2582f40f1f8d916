package handlers

import (
	"reflect"
	"time"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
)

// declared knows what is declared in Feast's registry under a name: a project, an entity, a source, a view or a service.
type declared struct {
	is      events.Data // the last that was applied; nil where there is none
	project string      // whose it is
}

func (s *declared) evolve(d events.Data) {
	switch e := d.(type) {
	case *events.FeatureProjectApplied:
		s.is, s.project = e, e.Project
	case *events.FeatureEntityApplied:
		s.is, s.project = e, e.Project
	case *events.FeatureSourceApplied:
		s.is, s.project = e, e.Project
	case *events.FeatureViewApplied:
		s.is, s.project = e, e.Project
	case *events.FeatureServiceApplied:
		s.is, s.project = e, e.Project
	case *events.FeatureProjectDeleted, *events.FeatureEntityDeleted, *events.FeatureSourceDeleted, *events.FeatureViewDeleted, *events.FeatureServiceDeleted:
		s.is, s.project = nil, ""
	}
}

func (s *declared) decide(c commands.Command, _ time.Time) ([]events.Data, error) {
	switch c := c.(type) {
	case *commands.ApplyFeatureProject:
		return s.apply(&c.FeatureProjectApplied, "project", c.Project, c.Project)
	case *commands.ApplyFeatureEntity:
		return s.apply(&c.FeatureEntityApplied, "entity", c.Entity, c.Project)
	case *commands.ApplyFeatureSource:
		return s.apply(&c.FeatureSourceApplied, "source", c.Source, c.Project)
	case *commands.ApplyFeatureView:
		return s.apply(&c.FeatureViewApplied, "feature_view", c.View, c.Project)
	case *commands.ApplyFeatureService:
		return s.apply(&c.FeatureServiceApplied, "feature_service", c.Service, c.Project)
	case *commands.DeleteFeatureProject:
		return s.delete(&c.FeatureProjectDeleted, "project", c.Project, c.Project)
	case *commands.DeleteFeatureEntity:
		return s.delete(&c.FeatureEntityDeleted, "entity", c.Entity, c.Project)
	case *commands.DeleteFeatureSource:
		return s.delete(&c.FeatureSourceDeleted, "source", c.Source, c.Project)
	case *commands.DeleteFeatureView:
		return s.delete(&c.FeatureViewDeleted, "feature_view", c.View, c.Project)
	case *commands.DeleteFeatureService:
		return s.delete(&c.FeatureServiceDeleted, "feature_service", c.Service, c.Project)
	}
	return nil, noRule(c)
}

// apply puts a declaration in the place of the one before. Values are pushed and read without saying a project, so a name
// is one project's at a time.
func (s *declared) apply(e events.Data, field, name, project string) ([]events.Data, error) {
	switch {
	case s.is != nil && s.project != project:
		return refuse(fault.Conflict, field, "%s is declared in the project %s, and a name is one project's at a time; choose another name, or delete it there", name, s.project)
	case s.is != nil && reflect.DeepEqual(s.is, e):
		return nil, nil
	}
	return one(e)
}

func (s *declared) delete(e events.Data, field, name, project string) ([]events.Data, error) {
	if s.is == nil || s.project != project {
		return refuse(fault.NotFound, field, "%s is not declared in the project %s", name, project)
	}
	return one(e)
}
