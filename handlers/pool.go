package handlers

import (
	"time"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
)

// pool is what a pool was given last; nil where there is none.
type pool struct{ is *events.PoolDefined }

func (s *pool) evolve(d events.Data) {
	switch e := d.(type) {
	case *events.PoolDefined:
		s.is = e
	case *events.PoolRemoved:
		s.is = nil
	}
}

func (s *pool) decide(c commands.Command, _ time.Time) ([]events.Data, error) {
	switch c := c.(type) {
	case *commands.DefinePool:
		e := &events.PoolDefined{Pool: c.Pool, Slots: c.Slots, Description: c.Description, IncludeDeferred: c.IncludeDeferred}
		switch {
		case c.New && s.is != nil:
			return refuse(fault.Conflict, "pool", "pool %s exists already", c.Pool)
		case s.is != nil && *s.is == *e:
			return nil, nil
		}
		return one(e)
	case *commands.RemovePool:
		if s.is == nil {
			return refuse(fault.NotFound, "pool", "no pool at %s", c.Stream())
		}
		return one(&events.PoolRemoved{Pool: c.Pool})
	}
	return nil, noRule(c)
}
