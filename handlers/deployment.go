package handlers

import (
	"maps"
	"slices"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
)

// What serves is decided in the stream of the model, with its stages and aliases: they cannot disagree.

// holds says whether the model's version serves the slot, as far as the model and the caller know.
func (s *model) holds(slot string, version int, served commands.Served) bool {
	seen := served[slot]
	if mine := s.deployed[slot]; mine != 0 { // newer than what was seen, unless another model took over
		return mine == version && (seen.Model == "" || seen.Model == s.id)
	}
	return seen == commands.ServedVersion{Model: s.id, Version: version} // in older logs the slot had a stream of its own
}

// deploy gives a slot to a version.
func (s *model) deploy(slot string, version int, reason string, served commands.Served) []events.Data {
	if s.holds(slot, version, served) {
		return nil
	}
	e := &events.ModelDeployed{Slot: slot, Model: s.id, Version: version, Blob: s.versions[version-1].blob, Reason: reason}
	switch before := served[slot]; {
	case before.Model != "" && before.Model != s.id, s.deployed[slot] == 0:
		e.PreviousModel, e.PreviousVersion = before.Model, before.Version
	default:
		e.PreviousModel, e.PreviousVersion = s.id, s.deployed[slot]
	}
	return []events.Data{e}
}

// champion points the alias of what serves at a version.
func (s *model) champion(version int) []events.Data {
	if s.aliases[commands.AliasChampion] == version {
		return nil
	}
	return []events.Data{&events.ModelAliasSet{Name: s.id, Alias: commands.AliasChampion, Version: version}}
}

// serve is what it takes for a version to serve the slot it was made for: stage, alias and slot in one.
func (s *model) serve(version int, archive bool, reason string, served commands.Served) []events.Data {
	decided := s.moved(version, commands.StageProduction, archive, reason)
	if s.versions[version-1].slot != events.ProductionSlot {
		return decided
	}
	return slices.Concat(decided, s.champion(version), s.deploy(events.ProductionSlot, version, reason, served))
}

func (s *model) decideDeployment(c *commands.DeployModel) ([]events.Data, error) {
	if !s.has(c.Version) {
		return s.noVersion(c.Model, c.Version)
	}
	v := s.versions[c.Version-1]
	switch {
	case v.slot == "":
		return refuse(fault.Conflict, "version", "version %d of model %q was not made to serve a slot", c.Version, c.Model)
	case c.Slot == events.ProductionSlot:
		return s.serve(c.Version, true, c.Reason, c.Served), nil
	}
	return s.deploy(c.Slot, c.Version, c.Reason, c.Served), nil
}

// idle is nil if the version serves no slot.
func (s *model) idle(version int, served commands.Served) error {
	slots := slices.Concat(slices.Collect(maps.Keys(s.deployed)), slices.Collect(maps.Keys(served)))
	slices.Sort(slots)
	for _, slot := range slots {
		if s.holds(slot, version, served) {
			_, err := refuse(fault.Conflict, "version", "version %d of model %q serves the slot %s and cannot be deleted", version, s.name, slot)
			return err.(*fault.Error).WithHint("deploy another version first")
		}
	}
	return nil
}

// stays refuses to take from a version what it has because it serves.
func (s *model) stays(version int, served commands.Served, what string) error {
	if !s.holds(events.ProductionSlot, version, served) {
		return nil
	}
	_, err := refuse(fault.Conflict, "version", "version %d of model %q serves the slot %s: it keeps %s", version, s.name, events.ProductionSlot, what)
	return err.(*fault.Error).WithHint("deploy another version first")
}
