package handlers

import (
	"time"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
)

// refusals of a topic have no rule but that they are written down.
type refusals struct{}

func (refusals) evolve(events.Data) {}

func (refusals) decide(c commands.Command, _ time.Time) ([]events.Data, error) {
	if c, ok := c.(*commands.RefuseFact); ok {
		e := events.FactRefused(*c)
		return one(&e)
	}
	return nil, noRule(c)
}

// quarantined is a record in quarantine: open until one thing is decided of it.
type quarantined struct{ resolved events.QuarantineResolved }

func (s *quarantined) evolve(d events.Data) {
	if e, ok := d.(*events.QuarantineResolved); ok {
		s.resolved = *e
	}
}

func (s *quarantined) decide(c commands.Command, _ time.Time) ([]events.Data, error) {
	resolve, ok := c.(*commands.ResolveQuarantined)
	if !ok {
		return nil, noRule(c)
	}
	switch was := s.resolved; {
	case was.Resolution == "":
		e := events.QuarantineResolved(*resolve)
		return one(&e)
	case was.Resolution == resolve.Resolution && was.By == resolve.By:
		return nil, nil
	case was.By != "":
		return refuse(fault.Conflict, "resolution", "the record at %s was replaced already, by %s", resolve.Position, was.By)
	default:
		return refuse(fault.Conflict, "resolution", "the record at %s was %s already", resolve.Position, was.Resolution)
	}
}
