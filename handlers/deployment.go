package handlers

import (
	"time"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
)

// deployment is what serves a slot now.
type deployment struct {
	model   string
	version int
	blob    string
}

func (s *deployment) evolve(d events.Data) {
	if e, ok := d.(*events.ModelDeployed); ok {
		s.model, s.version, s.blob = e.Model, e.Version, e.Blob
	}
}

func (s *deployment) decide(c commands.Command, _ time.Time) ([]events.Data, error) {
	deploy, ok := c.(*commands.DeployModel)
	switch {
	case !ok:
		return nil, noRule(c)
	case *s == deployment{deploy.Model, deploy.Version, deploy.Blob}:
		return nil, nil
	}
	return one(&events.ModelDeployed{Slot: deploy.Slot, Model: deploy.Model, Version: deploy.Version, Blob: deploy.Blob,
		PreviousModel: s.model, PreviousVersion: s.version, Reason: deploy.Reason})
}
