package events

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
)

// ArtifactStored names a file of the store of artifacts that is of no run and no logged model. The same path again is the newer file.
// Stream "artifacts/HASH", of all files whose paths begin with the same name: see [ArtifactStream].
type ArtifactStored struct {
	Path  string `json:"path"` // within the store, "team/data.csv"
	Blob  string `json:"blob"` // SHA-256
	Bytes int64  `json:"bytes"`
}

func (*ArtifactStored) EventType() string { return "artifact.stored" }

// ArtifactDeleted says that such a file, or a folder with all below, is there no longer.
type ArtifactDeleted struct {
	Path string `json:"path"`
}

func (*ArtifactDeleted) EventType() string { return "artifact.deleted" }

// ArtifactStream is the stream of a path's file: that of the first name in it, which may be any text.
func ArtifactStream(path string) string {
	first, _, _ := strings.Cut(path, "/")
	sum := sha256.Sum256([]byte(first))
	return "artifacts/" + hex.EncodeToString(sum[:16])
}
