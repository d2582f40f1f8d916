package handlers

import (
	"maps"
	"time"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
)

// experiment is there if it has a name.
type experiment struct {
	id string
	naming
	deleted bool
	tags    map[string]string
}

func (s *experiment) evolve(d events.Data) {
	switch e := d.(type) {
	case *events.ExperimentCreated:
		s.call(e.Name, events.ExperimentID(e.Name, 1) == s.id)
		maps.Copy(s.tags, e.Tags)
	case *events.ExperimentRenamed:
		s.call(e.Name, events.ExperimentID(e.Name, 1) == s.id)
	case *events.ExperimentNameClaimed:
		c, _ := claimOf(e)
		s.claimed(c)
	case *events.ExperimentPurged:
		s.call("", false)
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

func (s *experiment) names() *naming { return &s.naming }

func (s *experiment) decide(c commands.Command, _ time.Time) ([]events.Data, error) {
	switch c := c.(type) {
	case *claimName:
		return s.naming.decide(c)
	case *commands.CreateExperiment:
		return s.create(c)
	case *commands.RenameExperiment:
		return s.rename(c)
	case *commands.DeleteExperiment:
		if err := s.active(c.ExperimentID); err != nil {
			return nil, err
		}
		return one(&events.ExperimentDeleted{ExperimentID: c.ExperimentID})
	case *commands.RestoreExperiment:
		if s.name == "" || !s.deleted {
			return refuse(fault.NotFound, "experiment_id", "no experiment %s is deleted", c.ExperimentID)
		}
		return one(&events.ExperimentRestored{ExperimentID: c.ExperimentID})
	case *commands.PurgeExperiment:
		if s.name != "" && !s.deleted {
			return refuse(fault.Conflict, "experiment_id", "experiment %s is not deleted", c.ExperimentID)
		}
		if s.name == "" {
			return nil, s.active(c.ExperimentID)
		}
		return one(&events.ExperimentPurged{ExperimentID: s.id})
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

func (s *experiment) create(c *commands.CreateExperiment) ([]events.Data, error) {
	first := events.ExperimentID(c.Name, 1)
	switch {
	case s.name == c.Name:
		return refuse(fault.Conflict, "name", "experiment %q exists already, with the id %s", c.Name, s.id)
	case s.id != first: // this is not the name's stream
		return nil, &elsewhere{}
	case s.claim.stream != "":
		return nil, &elsewhere{claim: s.claim}
	}
	e := &events.ExperimentCreated{ExperimentID: first, Name: c.Name, Description: c.Description, Tags: maps.Clone(c.Tags), ArtifactLocation: c.ArtifactLocation}
	if s.count == 0 {
		return one(e)
	}
	e.ExperimentID = events.ExperimentID(c.Name, s.heirs+2) // the id is the one's that began under this name
	return one(&events.ExperimentNameClaimed{Name: c.Name, ExperimentID: e.ExperimentID, Naming: 1, Created: e})
}

func (s *experiment) rename(c *commands.RenameExperiment) ([]events.Data, error) {
	if err := s.active(c.ExperimentID); err != nil {
		return nil, err
	}
	e := &events.ExperimentRenamed{ExperimentID: s.id, Name: c.Name, Naming: s.count + 1}
	switch {
	case c.Name == s.name:
		return nil, nil
	case events.ExperimentID(c.Name, 1) != s.id:
		claimed := &events.ExperimentNameClaimed{Name: c.Name, ExperimentID: s.id, Naming: e.Naming}
		wish, _ := claimOf(claimed)
		return nil, &wanted{claimName{claim: wish, of: c, at: c.NameStream(), fact: claimed}}
	case s.claim.stream != "":
		return nil, &elsewhere{s.claim, (&claimName{claim: claim{name: c.Name}}).taken()}
	}
	return one(e)
}

// active is nil if the experiment is there and not deleted.
func (s *experiment) active(id string) error {
	var err error
	switch {
	case s.name == "":
		_, err = refuse(fault.NotFound, "experiment_id", "no experiment %s", id)
	case s.deleted:
		_, err = refuse(fault.NotFound, "experiment_id", "experiment %s is deleted", id)
	}
	return err
}
