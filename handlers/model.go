package handlers

import (
	"fmt"
	"maps"
	"time"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
)

// model is a registered model: the stage of each version, and where the aliases point.
type model struct {
	exists  bool
	stages  []string // stages[i] is the stage of version i+1
	aliases map[string]int
}

func (s *model) evolve(d events.Data) {
	switch e := d.(type) {
	case *events.ModelRegistered:
		s.exists = true
	case *events.ModelVersionRegistered:
		s.stages = append(s.stages, commands.StageNone)
	case *events.ModelVersionStaged:
		if s.has(e.Version) {
			s.stages[e.Version-1] = e.To
		}
	case *events.ModelAliasSet:
		s.aliases[e.Alias] = e.Version
	case *events.ModelAliasRemoved:
		delete(s.aliases, e.Alias)
	}
}

func (s *model) has(version int) bool { return version >= 1 && version <= len(s.stages) }

func (s *model) decide(c commands.Command, _ time.Time) ([]events.Data, error) {
	if c, ok := c.(*commands.RegisterModel); ok {
		if s.exists {
			return refuse(fault.Conflict, "name", "registered model %q exists already", c.Name)
		}
		e := events.ModelRegistered(*c)
		return one(&e)
	}
	if !s.exists {
		return refuse(fault.NotFound, "name", "no registered model at %s; register it first", c.Stream())
	}
	switch c := c.(type) {
	case *commands.RegisterModelVersion:
		return one(&events.ModelVersionRegistered{Name: c.Name, Version: len(s.stages) + 1, RunID: c.RunID,
			Algorithm: c.Algorithm, Params: maps.Clone(c.Params), Seed: c.Seed, CodeVersion: c.CodeVersion,
			DatasetID: c.DatasetID, DatasetCut: c.DatasetCut, FeaturesHash: c.FeaturesHash, Blob: c.Blob, Bytes: c.Bytes})
	case *commands.StageModelVersion:
		return s.stage(c)
	case *commands.SetModelAlias:
		if !s.has(c.Version) {
			return s.noVersion(c.Name, c.Version)
		}
		if s.aliases[c.Alias] == c.Version {
			return nil, nil
		}
		e := events.ModelAliasSet(*c)
		return one(&e)
	case *commands.RemoveModelAlias:
		if _, set := s.aliases[c.Alias]; !set {
			return nil, nil
		}
		e := events.ModelAliasRemoved(*c)
		return one(&e)
	}
	return nil, noRule(c)
}

func (s *model) stage(c *commands.StageModelVersion) ([]events.Data, error) {
	if !s.has(c.Version) {
		return s.noVersion(c.Name, c.Version)
	}
	to := commands.CanonicalStage(c.Stage)
	var decided []events.Data
	for i, stage := range s.stages {
		if c.ArchiveExisting && stage == to && i+1 != c.Version {
			decided = append(decided, &events.ModelVersionStaged{Name: c.Name, Version: i + 1, From: stage,
				To: commands.StageArchived, Reason: fmt.Sprintf("version %d took %s", c.Version, to)})
		}
	}
	if from := s.stages[c.Version-1]; from != to {
		decided = append(decided, &events.ModelVersionStaged{Name: c.Name, Version: c.Version, From: from, To: to, Reason: c.Reason})
	}
	return decided, nil
}

func (s *model) noVersion(name string, version int) ([]events.Data, error) {
	return refuse(fault.NotFound, "version", "model %q has no version %d; its newest is %d", name, version, len(s.stages))
}
