package handlers

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
)

type loggedModel struct {
	exists, deleted bool
	purged          bool
	experiment      string
	status          string // "" while it waits for its files
	params, tags    map[string]string
	artifacts       map[string]string // blob by path
}

func (s *loggedModel) evolve(d events.Data) {
	switch e := d.(type) {
	case *events.LoggedModelCreated:
		s.exists, s.experiment = true, e.ExperimentID
		maps.Copy(s.params, e.Params)
		maps.Copy(s.tags, e.Tags)
	case *events.LoggedModelFinalized:
		s.status = e.Status
	case *events.LoggedModelParamsLogged:
		maps.Copy(s.params, e.Params)
	case *events.LoggedModelTagsSet:
		maps.Copy(s.tags, e.Tags)
	case *events.LoggedModelTagRemoved:
		delete(s.tags, e.Key)
	case *events.LoggedModelArtifactLogged:
		s.artifacts[e.Path] = e.Blob
	case *events.LoggedModelArtifactDeleted:
		maps.DeleteFunc(s.artifacts, func(at, _ string) bool { return events.Within(at, e.Path) })
	case *events.LoggedModelPurged:
		*s = loggedModel{purged: true}
	case *events.LoggedModelDeleted:
		s.deleted = true
	}
}

func (s *loggedModel) decide(c commands.Command, _ time.Time) ([]events.Data, error) {
	if c, ok := c.(*commands.CreateLoggedModel); ok {
		if s.exists || s.purged {
			return refuse(fault.Conflict, "model_id", "logged model %s exists already", c.ModelID)
		}
		e := events.LoggedModelCreated(*c)
		e.Params, e.Tags = maps.Clone(c.Params), maps.Clone(c.Tags)
		return one(&e)
	}
	if c, ok := c.(*commands.PurgeLoggedModel); ok && s.exists {
		if !s.deleted && (c.Experiment == "" || c.Experiment != s.experiment) {
			return refuse(fault.Conflict, "model_id", "logged model %s is not deleted", c.ModelID)
		}
		return one(&events.LoggedModelPurged{ModelID: c.ModelID})
	}
	if c, ok := c.(*commands.DeleteLoggedModelArtifact); ok && s.exists {
		return dropped(s.artifacts, c.Path, &events.LoggedModelArtifactDeleted{ModelID: c.ModelID, Path: c.Path}), nil
	}
	if !s.exists || s.deleted {
		return refuse(fault.NotFound, "model_id", "no logged model at %s", c.Stream())
	}
	switch c := c.(type) {
	case *commands.FinalizeLoggedModel:
		if s.status == c.Status {
			return nil, nil
		}
		return one(&events.LoggedModelFinalized{ModelID: c.ModelID, Status: c.Status})
	case *commands.LogLoggedModelParams:
		fresh, err := unset(s.params, c.Params)
		if err != nil || len(fresh) == 0 {
			return nil, err
		}
		return one(&events.LoggedModelParamsLogged{ModelID: c.ModelID, Params: fresh})
	case *commands.SetLoggedModelTags:
		fresh := news(s.tags, c.Tags)
		if len(fresh) == 0 {
			return nil, nil
		}
		return one(&events.LoggedModelTagsSet{ModelID: c.ModelID, Tags: fresh})
	case *commands.NoteModelVersion:
		noted, err := noted(s.tags[versionsTag], c)
		if err != nil || noted == s.tags[versionsTag] {
			return nil, err
		}
		return one(&events.LoggedModelTagsSet{ModelID: c.ModelID, Tags: map[string]string{versionsTag: noted}})
	case *commands.RemoveLoggedModelTag:
		if _, set := s.tags[c.Key]; !set {
			return refuse(fault.NotFound, "key", "logged model %s has no tag %q", c.ModelID, c.Key)
		}
		return one(&events.LoggedModelTagRemoved{ModelID: c.ModelID, Key: c.Key})
	case *commands.LogLoggedModelArtifact:
		if s.artifacts[c.Path] == c.Blob {
			return nil, nil
		}
		e := events.LoggedModelArtifactLogged(*c)
		return one(&e)
	case *commands.DeleteLoggedModel:
		return one(&events.LoggedModelDeleted{ModelID: c.ModelID})
	}
	return nil, noRule(c)
}

// versionsTag lists the versions that a logged model became, in MLflow's own form.
const versionsTag = "mlflow.modelVersions"

// noted is that list with one more version, written as Python writes JSON. What is no such list is replaced.
func noted(list string, c *commands.NoteModelVersion) (string, error) {
	type version struct {
		Name    string `json:"name"`
		Version int    `json:"version"`
	}
	var all []version
	if json.Unmarshal([]byte(list), &all) != nil {
		all = nil
	}
	this := version{c.Name, c.Version}
	if slices.Contains(all, this) {
		return list, nil
	}
	var b strings.Builder
	for _, v := range append(all, this) {
		name, err := json.Marshal(v.Name)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, `, {"name": %s, "version": %d}`, name, v.Version)
	}
	if b.Len() > commands.TagBytesMax {
		return list, nil // it says of the first of them
	}
	return "[" + b.String()[2:] + "]", nil
}
