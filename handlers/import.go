package handlers

import (
	"fmt"
	"time"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
)

type importState int

const (
	importNone importState = iota
	importRunning
	importCompleted
	importFailed
)

// importing is the import of one data set, over all attempts.
type importing struct {
	state   importState
	last    events.ImportCompleted
	refused map[string]bool // lines, by the keys of their events
}

func (s *importing) evolve(d events.Data) {
	switch e := d.(type) {
	case *events.ImportStarted:
		s.state = importRunning
	case *events.ImportCompleted:
		s.state, s.last = importCompleted, *e
	case *events.ImportFailed:
		s.state = importFailed
	case *events.FactRefused:
		s.refused[string(e.Key)] = true
	}
}

func (s *importing) decide(c commands.Command, _ time.Time) ([]events.Data, error) {
	switch c := c.(type) {
	case *commands.StartImport:
		if s.state == importCompleted {
			return nil, nil // every fact of these bytes is in the log
		}
		return one(&events.ImportStarted{ImportID: c.ImportID(), Dataset: c.Dataset, Digest: c.Digest, Path: c.Path})
	case *commands.CompleteImport:
		done := events.ImportCompleted(*c)
		switch {
		case s.state == importCompleted && s.last == done:
			return nil, nil
		case s.state != importRunning:
			return s.notRunning(c.ImportID)
		}
		return one(&done)
	case *commands.RefuseRow:
		if s.state != importRunning {
			return s.notRunning(c.ImportID)
		}
		key := fmt.Sprintf("%s:%d", c.File, c.Line)
		if s.refused[key] {
			return nil, nil
		}
		return one(&events.FactRefused{Topic: c.Topic, Reason: fmt.Sprintf("%s, line %d: %s", c.File, c.Line, c.Reason), Count: 1,
			Key: []byte(key), Value: c.Text})
	case *commands.FailImport:
		if s.state != importRunning {
			return s.notRunning(c.ImportID)
		}
		return one(&events.ImportFailed{ImportID: c.ImportID, Reason: c.Reason})
	}
	return nil, noRule(c)
}

func (s *importing) notRunning(id string) ([]events.Data, error) {
	switch s.state {
	case importCompleted:
		return refuse(fault.Conflict, "import_id", "import %s is completed", id)
	case importFailed:
		return refuse(fault.Conflict, "import_id", "import %s has failed; start it again first", id)
	}
	return refuse(fault.NotFound, "import_id", "import %s was never started", id)
}
