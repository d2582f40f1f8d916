package handlers

import (
	"maps"
	"time"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
)

type experiment struct {
	exists, deleted bool
	tags            map[string]string
}

func (s *experiment) evolve(d events.Data) {
	switch e := d.(type) {
	case *events.ExperimentCreated:
		s.exists = true
		maps.Copy(s.tags, e.Tags)
	case *events.ExperimentDeleted:
		s.deleted = true
	case *events.ExperimentRestored:
		s.deleted = false
	case *events.ExperimentTagsSet:
		maps.Copy(s.tags, e.Tags)
	case *events.ExperimentTagRemoved:
		delete(s.tags, e.Key)
	}
}

func (s *experiment) decide(c commands.Command, _ time.Time) ([]events.Data, error) {
	switch c := c.(type) {
	case *commands.CreateExperiment:
		if s.exists {
			return refuse(fault.Conflict, "name", "experiment %q exists already, with the id %s", c.Name, c.ExperimentID())
		}
		return one(&events.ExperimentCreated{ExperimentID: c.ExperimentID(), Name: c.Name,
			Description: c.Description, Tags: maps.Clone(c.Tags), ArtifactLocation: c.ArtifactLocation})
	case *commands.DeleteExperiment:
		if err := s.active(c.ExperimentID); err != nil {
			return nil, err
		}
		return one(&events.ExperimentDeleted{ExperimentID: c.ExperimentID})
	case *commands.RestoreExperiment:
		if !s.exists || !s.deleted {
			return refuse(fault.NotFound, "experiment_id", "no experiment %s is deleted", c.ExperimentID)
		}
		return one(&events.ExperimentRestored{ExperimentID: c.ExperimentID})
	case *commands.SetExperimentTags:
		if err := s.active(c.ExperimentID); err != nil {
			return nil, err
		}
		fresh := news(s.tags, c.Tags)
		if len(fresh) == 0 {
			return nil, nil
		}
		return one(&events.ExperimentTagsSet{ExperimentID: c.ExperimentID, Tags: fresh})
	case *commands.RemoveExperimentTag:
		if err := s.active(c.ExperimentID); err != nil {
			return nil, err
		}
		if _, set := s.tags[c.Key]; !set {
			return refuse(fault.NotFound, "key", "experiment %s has no tag %q", c.ExperimentID, c.Key)
		}
		return one(&events.ExperimentTagRemoved{ExperimentID: c.ExperimentID, Key: c.Key})
	}
	return nil, noRule(c)
}

// active is nil if the experiment is there and not deleted.
func (s *experiment) active(id string) error {
	var err error
	switch {
	case !s.exists:
		_, err = refuse(fault.NotFound, "experiment_id", "no experiment %s", id)
	case s.deleted:
		_, err = refuse(fault.NotFound, "experiment_id", "experiment %s is deleted", id)
	}
	return err
}
