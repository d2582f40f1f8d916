package handlers

import (
	"time"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
)

// signals knows which definition of what acts mean is in force.
type signals struct{ hash string }

func (s *signals) evolve(d events.Data) {
	if e, ok := d.(*events.SignalsDefined); ok {
		s.hash = e.Hash
	}
}

func (s *signals) decide(c commands.Command, _ time.Time) ([]events.Data, error) {
	define, ok := c.(*commands.DefineSignals)
	switch {
	case !ok:
		return nil, noRule(c)
	case s.hash == define.Hash:
		return nil, nil
	}
	return one(&events.SignalsDefined{Definitions: define.Definitions, Hash: define.Hash})
}
