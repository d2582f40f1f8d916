package handlers

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
)

// model is a registered model: its versions, where the aliases point, and which slots it was given. It is there if it has
// a name.
type model struct {
	id string // its key, which events have as its name
	naming
	what     string // it is
	tags     map[string]string
	versions []modelVersion // versions[i] is version i+1; those that were deleted among them
	aliases  map[string]int
	deployed map[string]int // slot -> version, the last of this model's; another model may have taken it since
}

type modelVersion struct {
	what  string // it is
	tags  map[string]string
	stage string
	slot  string // it can serve
	blob  string
	gone  bool // deleted
}

func (s *model) evolve(d events.Data) {
	switch e := d.(type) {
	case *events.ModelRegistered:
		s.call(e.Name, e.Key == "")
		s.what = e.Description
	case *events.ModelRenamed:
		s.call(e.To, e.To == s.id)
	case *events.ModelNameClaimed:
		c, _ := claimOf(e)
		s.claimed(c)
	case *events.ModelVersionRegistered:
		s.versions = append(s.versions, modelVersion{tags: map[string]string{}, stage: commands.StageNone, slot: e.Slot, blob: e.Blob})
	case *events.ModelVersionAdded:
		s.versions = append(s.versions, modelVersion{tags: map[string]string{}, stage: commands.StageNone})
	case *events.ModelDescribed:
		if what, _ := s.about(e.Version); what != nil {
			*what = e.Description
		}
	case *events.ModelTagsSet:
		if _, tags := s.about(e.Version); tags != nil {
			maps.Copy(tags, e.Tags)
		}
	case *events.ModelTagRemoved:
		if _, tags := s.about(e.Version); tags != nil {
			delete(tags, e.Key)
		}
	case *events.ModelVersionStaged:
		if s.has(e.Version) {
			s.versions[e.Version-1].stage = e.To
		}
	case *events.ModelAliasSet:
		s.aliases[e.Alias] = e.Version
	case *events.ModelAliasRemoved:
		delete(s.aliases, e.Alias)
	case *events.ModelVersionDeleted:
		s.drop(e.Version)
	case *events.ModelDeleted:
		for n := range s.versions {
			s.drop(n + 1)
		}
		*s = model{id: s.id, naming: s.naming, tags: map[string]string{}, aliases: map[string]int{}, versions: s.versions, deployed: s.deployed}
		s.call("", false)
	case *events.ModelDeployed:
		s.deployed[e.Slot] = e.Version
	}
}

// drop leaves of a version that it was there.
func (s *model) drop(version int) {
	if s.has(version) {
		s.versions[version-1] = modelVersion{tags: map[string]string{}, gone: true}
		maps.DeleteFunc(s.aliases, func(_ string, n int) bool { return n == version })
	}
}

// about is what is said of a version, or with 0 of the model itself; nil for a version there is none of.
func (s *model) about(version int) (what *string, tags map[string]string) {
	switch {
	case version == 0:
		return &s.what, s.tags
	case s.has(version):
		return &s.versions[version-1].what, s.versions[version-1].tags
	}
	return nil, nil
}

func (s *model) has(version int) bool {
	return version >= 1 && version <= len(s.versions) && !s.versions[version-1].gone
}

func (s *model) names() *naming { return &s.naming }

func (s *model) decide(c commands.Command, _ time.Time) ([]events.Data, error) {
	if c, ok := c.(*claimName); ok {
		return s.naming.decide(c)
	}
	if name := strings.TrimPrefix(c.Stream(), "model/"); name != s.name {
		return s.astray(name, c)
	}
	switch c := c.(type) {
	case *commands.RegisterModelVersion:
		return one(&events.ModelVersionRegistered{Name: s.id, Version: len(s.versions) + 1, RunID: c.RunID,
			Algorithm: c.Algorithm, Params: maps.Clone(c.Params), Seed: c.Seed, CodeVersion: c.CodeVersion,
			DatasetID: c.DatasetID, DatasetCut: c.DatasetCut, FeaturesHash: c.FeaturesHash, Blob: c.Blob, Bytes: c.Bytes, Slot: c.Slot,
			FeatureViews: slices.Clone(c.FeatureViews)})
	case *commands.AddModelVersion:
		n := len(s.versions) + 1
		decided := []events.Data{&events.ModelVersionAdded{Name: s.id, Version: n, Source: c.Source, RunID: c.RunID, RunLink: c.RunLink, Location: c.Location}}
		if c.Description != "" {
			decided = append(decided, &events.ModelDescribed{Name: s.id, Version: n, Description: c.Description})
		}
		return append(decided, tagged(s.id, n, nil, c.Tags)...), nil
	case *commands.DescribeModel, *commands.SetModelTags, *commands.RemoveModelTag:
		return s.say(c)
	case *commands.StageModelVersion:
		return s.stage(c)
	case *commands.SetModelAlias:
		if !s.has(c.Version) {
			return s.noVersion(c.Name, c.Version)
		}
		if c.Alias == commands.AliasChampion && s.versions[c.Version-1].slot == events.ProductionSlot {
			return s.serve(c.Version, true, "it became "+c.Alias, c.Served), nil
		}
		if s.aliases[c.Alias] == c.Version {
			return nil, nil
		}
		return one(&events.ModelAliasSet{Name: s.id, Alias: c.Alias, Version: c.Version})
	case *commands.RemoveModelAlias:
		version, set := s.aliases[c.Alias]
		if !set {
			return nil, nil
		}
		if c.Alias == commands.AliasChampion {
			if err := s.stays(version, c.Served, "the alias "+c.Alias); err != nil {
				return nil, err
			}
		}
		return one(&events.ModelAliasRemoved{Name: s.id, Alias: c.Alias})
	case *commands.DeleteModelVersion, *commands.DeleteModel:
		return s.delete(c)
	case *commands.DeployModel:
		return s.decideDeployment(c)
	case *commands.RegisterModel:
		return refuse(fault.Conflict, "name", "registered model %q exists already", c.Name)
	case *commands.RenameModel:
		return s.rename(c)
	}
	return nil, noRule(c)
}

// astray decides a command on a name that this model does not have.
func (s *model) astray(name string, c commands.Command) ([]events.Data, error) {
	switch {
	case name != s.id: // this is not the name's stream
		return nil, &elsewhere{}
	case s.claim.stream != "":
		return nil, &elsewhere{claim: s.claim}
	}
	open, ok := c.(*commands.RegisterModel)
	if !ok {
		return refuse(fault.NotFound, "name", "no registered model at %s; register it first", c.Stream())
	}
	e := &events.ModelRegistered{Name: name, Description: open.Description}
	if s.name != "" { // the one that began under this name goes on under another
		e.Key = name + ":" + strconv.Itoa(s.heirs+2) // no name has a colon
		return one(&events.ModelNameClaimed{Name: name, Key: e.Key, Naming: 1, Registered: e, Tags: maps.Clone(open.Tags)})
	}
	return append([]events.Data{e}, tagged(name, 0, nil, open.Tags)...), nil
}

func (s *model) rename(c *commands.RenameModel) ([]events.Data, error) {
	e := &events.ModelRenamed{Name: s.id, To: c.To, Naming: s.count + 1}
	switch {
	case c.To == s.name:
		return nil, nil
	case c.To != s.id:
		claimed := &events.ModelNameClaimed{Name: c.To, Key: s.id, Naming: e.Naming}
		wish, _ := claimOf(claimed)
		return nil, &wanted{claimName{claim: wish, of: c, at: c.NameStream(), fact: claimed}}
	case s.claim.stream != "":
		return nil, &elsewhere{s.claim, (&claimName{claim: claim{name: c.To}}).taken()}
	}
	return one(e)
}

// delete decides what leaves the registry: nothing that serves.
func (s *model) delete(c commands.Command) ([]events.Data, error) {
	switch c := c.(type) {
	case *commands.DeleteModelVersion:
		if !s.has(c.Version) {
			return s.noVersion(c.Name, c.Version)
		}
		if err := s.idle(c.Version, c.Served); err != nil {
			return nil, err
		}
		return one(&events.ModelVersionDeleted{Name: s.id, Version: c.Version})
	case *commands.DeleteModel:
		for i := range s.versions {
			if err := s.idle(i+1, c.Served); err != nil {
				return nil, err
			}
		}
		return one(&events.ModelDeleted{Name: s.id})
	}
	return nil, noRule(c)
}

// say decides what is said of a model or a version, which changes nothing else.
func (s *model) say(c commands.Command) ([]events.Data, error) {
	switch c := c.(type) {
	case *commands.DescribeModel:
		switch what, _ := s.about(c.Version); {
		case what == nil:
			return s.noVersion(c.Name, c.Version)
		case *what == c.Description:
			return nil, nil
		}
		return one(&events.ModelDescribed{Name: s.id, Version: c.Version, Description: c.Description})
	case *commands.SetModelTags:
		what, tags := s.about(c.Version)
		if what == nil {
			return s.noVersion(c.Name, c.Version)
		}
		return tagged(s.id, c.Version, tags, c.Tags), nil
	case *commands.RemoveModelTag:
		what, tags := s.about(c.Version)
		if what == nil {
			return s.noVersion(c.Name, c.Version)
		}
		if _, set := tags[c.Key]; !set {
			return nil, nil
		}
		return one(&events.ModelTagRemoved{Name: s.id, Version: c.Version, Key: c.Key})
	}
	return nil, noRule(c)
}

// tagged sets the tags that are not so already.
func tagged(name string, version int, have, wanted map[string]string) []events.Data {
	fresh := news(have, wanted)
	if len(fresh) == 0 {
		return nil
	}
	return []events.Data{&events.ModelTagsSet{Name: name, Version: version, Tags: fresh}}
}

func (s *model) stage(c *commands.StageModelVersion) ([]events.Data, error) {
	if !s.has(c.Version) {
		return s.noVersion(c.Name, c.Version)
	}
	to := commands.CanonicalStage(c.Stage)
	if to == commands.StageProduction {
		return s.serve(c.Version, c.ArchiveExisting, c.Reason, c.Served), nil
	}
	if s.versions[c.Version-1].stage == commands.StageProduction {
		if err := s.stays(c.Version, c.Served, "the stage "+commands.StageProduction); err != nil {
			return nil, err
		}
	}
	return s.moved(c.Version, to, c.ArchiveExisting, c.Reason), nil
}

// moved is a version's way to a stage, and with archive the way of the others out of it.
func (s *model) moved(version int, to string, archive bool, reason string) (decided []events.Data) {
	for i, v := range s.versions {
		if archive && v.stage == to && i+1 != version {
			decided = append(decided, &events.ModelVersionStaged{Name: s.id, Version: i + 1, From: v.stage,
				To: commands.StageArchived, Reason: fmt.Sprintf("version %d took %s", version, to)})
		}
	}
	if from := s.versions[version-1].stage; from != to {
		decided = append(decided, &events.ModelVersionStaged{Name: s.id, Version: version, From: from, To: to, Reason: reason})
	}
	return decided
}

func (s *model) noVersion(name string, version int) ([]events.Data, error) {
	return refuse(fault.NotFound, "version", "model %q has no version %d; its newest is %d", name, version, len(s.versions))
}
