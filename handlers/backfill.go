package handlers

import (
	"time"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
)

// backfill is one, and what it has come to, "" while it goes on.
type backfill struct {
	requested bool
	ended     string
}

func (s *backfill) evolve(d events.Data) {
	switch e := d.(type) {
	case *events.BackfillRequested:
		s.requested = true
	case *events.BackfillEnded:
		s.ended = e.State
	}
}

func (s *backfill) decide(c commands.Command, _ time.Time) ([]events.Data, error) {
	switch c := c.(type) {
	case *commands.RequestBackfill:
		if s.requested {
			return refuse(fault.Conflict, "backfill_id", "backfill %s exists already", c.BackfillID)
		}
		e := events.BackfillRequested(*c)
		return one(&e)
	case *commands.EndBackfill:
		switch {
		case !s.requested:
			return refuse(fault.NotFound, "backfill_id", "no backfill at %s", c.Stream())
		case s.ended == c.State:
			return nil, nil
		case s.ended != "":
			return refuse(fault.Conflict, "backfill_id", "backfill %s has ended: %s", c.BackfillID, s.ended)
		}
		e := events.BackfillEnded(*c)
		return one(&e)
	}
	return nil, noRule(c)
}
