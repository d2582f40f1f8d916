package commands

import "github.com/projectionist/projectionist/events"

// StoreArtifact keeps a file that is of no run and no logged model. The same content under the same path is no event.
type StoreArtifact struct {
	Path  string `json:"path"`
	Blob  string `json:"blob"`
	Bytes int64  `json:"bytes"`
}

func (*StoreArtifact) CommandType() string { return "artifact.store" }
func (c *StoreArtifact) Stream() string    { return events.ArtifactStream(c.Path) }

func (c *StoreArtifact) Validate() error {
	var f faults
	f.artifact(c.Path, c.Blob, c.Bytes)
	return f.err()
}

// RemoveArtifact takes such a file away, or a folder with all below; one that is not there is no event.
type RemoveArtifact struct {
	Path string `json:"path"`
}

func (*RemoveArtifact) CommandType() string { return "artifact.remove" }
func (c *RemoveArtifact) Stream() string    { return events.ArtifactStream(c.Path) }

func (c *RemoveArtifact) Validate() error {
	var f faults
	f.required("path", c.Path, pathBytesMax)
	return f.err()
}
