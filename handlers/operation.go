package handlers

import (
	"reflect"
	"time"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
)

// operation is a long piece of work: begun once, and ended once.
type operation struct {
	started bool
	ended   *events.OperationEnded
}

func (s *operation) evolve(d events.Data) {
	switch e := d.(type) {
	case *events.OperationStarted:
		s.started = true
	case *events.OperationEnded:
		s.ended = e
	}
}

func (s *operation) decide(c commands.Command, _ time.Time) ([]events.Data, error) {
	switch c := c.(type) {
	case *commands.StartOperation:
		if s.started {
			return refuse(fault.Conflict, "operation_id", "operation %s was started already", c.OperationID)
		}
		e := events.OperationStarted(*c)
		return one(&e)
	case *commands.EndOperation:
		e := events.OperationEnded(*c)
		switch {
		case !s.started:
			return refuse(fault.NotFound, "operation_id", "operation %s was never started", c.OperationID)
		case s.ended != nil && reflect.DeepEqual(*s.ended, e):
			return nil, nil
		case s.ended != nil:
			return refuse(fault.Conflict, "operation_id", "operation %s has ended already: %s", c.OperationID, s.ended.State)
		}
		return one(&e)
	}
	return nil, noRule(c)
}
