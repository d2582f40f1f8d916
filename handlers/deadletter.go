package handlers

import (
	"time"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
)

// deadLetter is open once it is written, until it is resolved. One that was retried can be written
// again: the retry failed too.
type deadLetter struct {
	written    bool
	resolution string // of the last writing, or ""
}

func (s *deadLetter) evolve(d events.Data) {
	switch e := d.(type) {
	case *events.DeadLettered:
		s.written, s.resolution = true, ""
	case *events.DeadLetterResolved:
		s.resolution = e.Resolution
	}
}

func (s *deadLetter) decide(c commands.Command, _ time.Time) ([]events.Data, error) {
	switch c := c.(type) {
	case *commands.WriteDeadLetter:
		switch {
		case s.written && s.resolution == "":
			return nil, nil
		case s.resolution == "dropped":
			return refuse(fault.Conflict, "dead_letter_id", "dead letter %s was dropped", c.DeadLetterID)
		}
		e := events.DeadLettered(*c)
		return one(&e)
	case *commands.ResolveDeadLetter:
		switch {
		case !s.written:
			return refuse(fault.NotFound, "dead_letter_id", "no dead letter %s", c.DeadLetterID)
		case s.resolution == c.Resolution:
			return nil, nil
		case s.resolution != "":
			return refuse(fault.Conflict, "dead_letter_id", "dead letter %s was %s already", c.DeadLetterID, s.resolution)
		}
		e := events.DeadLetterResolved(*c)
		return one(&e)
	}
	return nil, noRule(c)
}
