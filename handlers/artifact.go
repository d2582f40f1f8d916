package handlers

import (
	"maps"
	"time"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
)

// artifacts are the files of no run and no logged model whose paths begin with one name: blob by path.
type artifacts map[string]string

func (s artifacts) evolve(d events.Data) {
	switch e := d.(type) {
	case *events.ArtifactStored:
		s[e.Path] = e.Blob
	case *events.ArtifactDeleted:
		maps.DeleteFunc(s, func(at, _ string) bool { return events.Within(at, e.Path) })
	}
}

func (s artifacts) decide(c commands.Command, _ time.Time) ([]events.Data, error) {
	switch c := c.(type) {
	case *commands.StoreArtifact:
		if s[c.Path] == c.Blob {
			return nil, nil
		}
		e := events.ArtifactStored(*c)
		return one(&e)
	case *commands.RemoveArtifact:
		return dropped(s, c.Path, &events.ArtifactDeleted{Path: c.Path}), nil
	}
	return nil, noRule(c)
}
