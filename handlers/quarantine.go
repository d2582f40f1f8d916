package handlers

import (
	"time"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
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
