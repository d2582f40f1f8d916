package handlers

import (
	"time"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/streams"
)

// view knows which positions a view passes over.
type view struct{ skipped map[string]bool }

// deaf: an operator is heard also where somebody has written to the very stream what this program cannot read.
func (*view) deaf() {}

func (s *view) evolve(d events.Data) {
	if e, ok := d.(*events.ViewEventSkipped); ok {
		s.skipped[e.Position] = true
	}
}

func (s *view) decide(c commands.Command, _ time.Time) ([]events.Data, error) {
	skip, ok := c.(*commands.SkipViewEvent)
	if !ok {
		return nil, noRule(c)
	}
	at, err := streams.ParsePosition(skip.Position)
	if err != nil {
		return refuse(fault.Invalid, "position", "%v", err)
	}
	if s.skipped[at.String()] {
		return nil, nil
	}
	return one(&events.ViewEventSkipped{View: skip.View, Position: at.String(), Reason: skip.Reason})
}
