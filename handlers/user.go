package handlers

import (
	"cmp"
	"errors"
	"slices"
	"time"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
)

// descriptionsMax is how often one person may be described: whoever reads what is known of them reads all of it.
const descriptionsMax = 1000

// user knows what each source has said of a person.
type user struct {
	sets map[string]events.User // by data set
	told []told                 // by others, in the order of since
	n    int                    // descriptions
}

type told struct {
	since int64 // Unix milliseconds
	events.User
}

func (s *user) evolve(d events.Data) {
	e, ok := d.(*events.UserDescribed)
	if !ok {
		return
	}
	s.n++
	if e.Dataset != "" {
		u := s.sets[e.Dataset]
		u.Overlay(&e.User)
		s.sets[e.Dataset] = u
		return
	}
	since, _ := e.SinceMillis() // written by decide
	at := s.after(since)
	s.told = slices.Insert(s.told, at, told{since, e.User})
}

// after is the place of the first word that is of a later time.
func (s *user) after(since int64) int {
	at, _ := slices.BinarySearchFunc(s.told, since, func(t told, since int64) int {
		if t.since == since {
			return -1
		}
		return cmp.Compare(t.since, since)
	})
	return at
}

func (s *user) decide(c commands.Command, now time.Time) ([]events.Data, error) {
	describe, ok := c.(*commands.DescribeUser)
	if !ok {
		return nil, noRule(c)
	}
	e := &events.UserDescribed{User: describe.User, Dataset: describe.Dataset}
	e.UserID = events.CanonicalUser(e.UserID)
	known := s.sets[e.Dataset]
	if e.Dataset == "" {
		at := now
		if describe.Since != "" {
			millis, err := events.TimeMillis(describe.Since)
			if err != nil {
				return refuse(fault.Invalid, "since", "%v", err)
			}
			at = events.TimeOf(millis)
		}
		var early *events.FieldError
		if errors.As(events.CheckTime(at, now), &early) {
			return refuse(fault.Invalid, "since", "%s", early.Message)
		}
		e.Since, known = events.FormatTime(at), events.User{}
		for _, t := range s.told[:s.after(at.UnixMilli())] {
			known.Overlay(&t.User)
		}
	}
	said := known
	said.Overlay(&e.User)
	switch {
	case said == known:
		return nil, nil
	case s.n >= descriptionsMax:
		return refuse(fault.TooLarge, "user_id", "person %s has been described %d times, which is the most", e.UserID, s.n)
	}
	return one(e)
}
