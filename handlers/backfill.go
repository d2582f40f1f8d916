package handlers

import (
	"strings"
	"time"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
)

// backfill is one, and what it has come to, "" while it goes on.
type backfill struct {
	requested bool
	paused    bool
	ended     string
}

func (s *backfill) evolve(d events.Data) {
	switch e := d.(type) {
	case *events.BackfillRequested:
		s.requested = true
	case *events.BackfillPaused:
		s.paused = true
	case *events.BackfillUnpaused:
		s.paused = false
	case *events.BackfillEnded:
		s.ended = e.State
	}
}

func (s *backfill) decide(c commands.Command, _ time.Time) ([]events.Data, error) {
	if c, ok := c.(*commands.RequestBackfill); ok {
		if s.requested {
			return refuse(fault.Conflict, "backfill_id", "backfill %s exists already", c.BackfillID)
		}
		e := events.BackfillRequested(*c)
		return one(&e)
	}
	if !s.requested {
		return refuse(fault.NotFound, "backfill_id", "no backfill at %s", c.Stream())
	}
	if end, ok := c.(*commands.EndBackfill); ok && s.ended == end.State {
		return nil, nil
	}
	if s.ended != "" {
		return refuse(fault.Conflict, "backfill_id", "%s has ended: %s", strings.Replace(c.Stream(), "/", " ", 1), s.ended)
	}
	switch c := c.(type) {
	case *commands.PauseBackfill:
		if s.paused {
			return nil, nil
		}
		return one(&events.BackfillPaused{BackfillID: c.BackfillID})
	case *commands.UnpauseBackfill:
		if !s.paused {
			return nil, nil
		}
		return one(&events.BackfillUnpaused{BackfillID: c.BackfillID})
	case *commands.EndBackfill:
		e := events.BackfillEnded(*c)
		return one(&e)
	}
	return nil, noRule(c)
}
