package handlers

import (
	"time"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
)

// variable is a value that workflows' templates may name; nil while there is none.
type variable struct{ now *events.VariableSet }

func (s *variable) evolve(d events.Data) {
	switch e := d.(type) {
	case *events.VariableSet:
		s.now = e
	case *events.VariableDeleted:
		s.now = nil
	}
}

func (s *variable) decide(c commands.Command, _ time.Time) ([]events.Data, error) {
	switch c := c.(type) {
	case *commands.SetVariable:
		e := events.VariableSet(*c)
		if s.now != nil && *s.now == e {
			return nil, nil
		}
		return one(&e)
	case *commands.DeleteVariable:
		if s.now == nil {
			return refuse(fault.NotFound, "key", "no variable at %s", c.Stream())
		}
		return one(&events.VariableDeleted{Key: c.Key})
	}
	return nil, noRule(c)
}
