package handlers

import (
	"maps"
	"time"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
)

type experiment struct{ exists bool }

func (s *experiment) evolve(d events.Data) {
	if _, ok := d.(*events.ExperimentCreated); ok {
		s.exists = true
	}
}

func (s *experiment) decide(c commands.Command, _ time.Time) ([]events.Data, error) {
	create, ok := c.(*commands.CreateExperiment)
	if !ok {
		return nil, noRule(c)
	}
	if s.exists {
		return refuse(fault.Conflict, "name", "experiment %q exists already, with the id %s", create.Name, create.ExperimentID())
	}
	return one(&events.ExperimentCreated{ExperimentID: create.ExperimentID(), Name: create.Name,
		Description: create.Description, Tags: maps.Clone(create.Tags)})
}
