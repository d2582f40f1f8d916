package handlers

import (
	"maps"
	"slices"
	"time"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
)

// run knows whether it is active, and what was set that must not, or need not, be set again. Metrics
// are a history without rules: they are not kept.
type run struct {
	started   bool
	ended     string // the status it ended with, or ""
	params    map[string]string
	tags      map[string]string
	artifacts map[string]string // blob by path
}

func (s *run) evolve(d events.Data) {
	switch e := d.(type) {
	case *events.RunStarted:
		s.started = true
		maps.Copy(s.params, e.Params)
		maps.Copy(s.tags, e.Tags)
	case *events.RunParamsLogged:
		maps.Copy(s.params, e.Params)
	case *events.RunTagsSet:
		maps.Copy(s.tags, e.Tags)
	case *events.RunArtifactLogged:
		s.artifacts[e.Path] = e.Blob
	case *events.RunEnded:
		s.ended = e.Status
	}
}

func (s *run) decide(c commands.Command, _ time.Time) ([]events.Data, error) {
	switch c := c.(type) {
	case *commands.StartRun:
		if s.started {
			return refuse(fault.Conflict, "run_id", "run %s exists already", c.RunID)
		}
		e := events.RunStarted(*c)
		e.Params, e.Tags = maps.Clone(c.Params), maps.Clone(c.Tags)
		return one(&e)
	case *commands.LogMetrics:
		if err := s.active(c.RunID); err != nil {
			return nil, err
		}
		return one(&events.RunMetricsLogged{RunID: c.RunID, Metrics: slices.Clone(c.Metrics)})
	case *commands.LogParams:
		return s.logParams(c)
	case *commands.SetTags:
		if !s.started {
			return nil, s.active(c.RunID)
		}
		fresh := news(s.tags, c.Tags)
		if len(fresh) == 0 {
			return nil, nil
		}
		return one(&events.RunTagsSet{RunID: c.RunID, Tags: fresh})
	case *commands.LogArtifact:
		if err := s.active(c.RunID); err != nil {
			return nil, err
		}
		if s.artifacts[c.Path] == c.Blob {
			return nil, nil
		}
		e := events.RunArtifactLogged(*c)
		return one(&e)
	case *commands.EndRun:
		if s.ended == c.Status {
			return nil, nil
		}
		if err := s.active(c.RunID); err != nil {
			return nil, err
		}
		e := events.RunEnded(*c)
		return one(&e)
	}
	return nil, noRule(c)
}

func (s *run) logParams(c *commands.LogParams) ([]events.Data, error) {
	if err := s.active(c.RunID); err != nil {
		return nil, err
	}
	for _, key := range slices.Sorted(maps.Keys(c.Params)) {
		if old, set := s.params[key]; set && old != c.Params[key] {
			return refuse(fault.Invalid, "params."+key, "is %q and cannot be changed to %q: a parameter is set once", old, c.Params[key])
		}
	}
	fresh := news(s.params, c.Params)
	if len(fresh) == 0 {
		return nil, nil
	}
	return one(&events.RunParamsLogged{RunID: c.RunID, Params: fresh})
}

// active is nil if the run can be logged to.
func (s *run) active(id string) error {
	var err error
	switch {
	case !s.started:
		_, err = refuse(fault.NotFound, "run_id", "no run %s", id)
	case s.ended != "":
		_, err = refuse(fault.Conflict, "run_id", "run %s has ended: %s", id, s.ended)
	}
	return err
}

// news are the entries of wanted that have does not hold with that value.
func news(have, wanted map[string]string) map[string]string {
	fresh := map[string]string{}
	for k, v := range wanted {
		if old, ok := have[k]; !ok || old != v {
			fresh[k] = v
		}
	}
	return fresh
}
