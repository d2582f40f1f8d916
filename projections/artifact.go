package projections

import (
	"bytes"
	"slices"
	"strings"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/projections/fold"
)

// Artifact is a file that a run has made, or that a logged model consists of. A path logged again is replaced.
type Artifact struct {
	Path        string `json:"path"`
	Blob        string `json:"blob"` // SHA-256
	Bytes       int64  `json:"bytes"`
	EventMillis int64  `json:"event_millis"`
}

// Files are those of a run or a logged model, as rows by path: there may be many.
type Files struct {
	r     fold.Reader
	under fold.Key
}

// fileRows begins the keys of one's files, in a view that has them.
func fileRows(owner string) fold.Key { return fold.Table('f').Str(owner) }

func setFile(w fold.Writer, owner string, a *Artifact) error {
	return fold.SetJSON(w, fileRows(owner).Str(a.Path), a)
}

// deleteFiles removes those at a path and below it, all of them at "".
func deleteFiles(w fold.Writer, owner, at string) error {
	if at == "" {
		return fold.DeleteAll(w, fileRows(owner))
	}
	if err := w.Delete(fileRows(owner).Str(at)); err != nil {
		return err
	}
	return fold.DeleteAll(w, append(fileRows(owner), at+"/"...))
}

// File is the file at a path.
func (f Files) File(path string) (a Artifact, ok bool, err error) {
	raw, ok, err := f.r.Get(slices.Clone(f.under).Str(path))
	if err == nil && ok {
		err = fold.DecodeJSON(raw, &a)
	}
	return a, ok, err
}

// All are the files, by path, but no more than most.
func (f Files) All(most int) (all []Artifact, err error) {
	for kv, err := range f.r.Scan(f.under, f.under.End()) {
		if err != nil || len(all) == most {
			return all, err
		}
		var a Artifact
		if err := fold.DecodeJSON(kv.Value, &a); err != nil {
			return nil, err
		}
		all = append(all, a)
	}
	return all, nil
}

// FolderEntry is a file of a folder, or a folder in it.
type FolderEntry struct {
	Name string
	File *Artifact // nil of a folder
}

// Folder has the entries of a folder, "" for the topmost, by name; of a file, or of none, there are none. What is in
// folders in it is passed over.
func (f Files) Folder(at string) ([]FolderEntry, error) {
	prefix := slices.Clone(f.under)
	if at != "" {
		prefix = append(prefix, at+"/"...)
	}
	var all []FolderEntry
	for from := []byte(prefix); from != nil; {
		lo := from
		from = nil
		for kv, err := range f.r.Scan(lo, prefix.End()) {
			if err != nil {
				return nil, err
			}
			rest := kv.Key[len(prefix):]
			if slash := bytes.IndexByte(rest, '/'); slash >= 0 {
				all = append(all, FolderEntry{Name: string(rest[:slash])})
				from = append(slices.Clone(kv.Key[:len(prefix)+slash]), '/'+1)
				break
			}
			a := &Artifact{}
			if err := fold.DecodeJSON(kv.Value, a); err != nil {
				return nil, err
			}
			all = append(all, FolderEntry{a.Path[strings.LastIndexByte(a.Path, '/')+1:], a})
		}
	}
	slices.SortStableFunc(all, func(a, b FolderEntry) int { return strings.Compare(a.Name, b.Name) })
	return all, nil
}

// Artifacts are the files of the store that are of no run and no logged model.
//
//	f "" path -> Artifact
type Artifacts struct{ r fold.Reader }

// NewArtifacts makes the view "artifacts".
func NewArtifacts() *Artifacts { return &Artifacts{} }

func (*Artifacts) Spec() fold.Spec {
	return fold.Spec{Name: "artifacts", Format: 1, Topics: fold.LedgerTopics, Indexed: true}
}

func (v *Artifacts) Open(r fold.Reader) error { v.r = r; return nil }
func (*Artifacts) Flush(fold.Writer) error    { return nil }

func (*Artifacts) Apply(w fold.Writer, in []fold.Input) error {
	for i := range in {
		var err error
		switch x := in[i].Event.Data.(type) {
		case *events.ArtifactStored:
			err = setFile(w, "", &Artifact{x.Path, x.Blob, x.Bytes, in[i].Event.Time.UnixMilli()})
		case *events.ArtifactDeleted:
			err = deleteFiles(w, "", x.Path)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Files are all of them.
func (v *Artifacts) Files() Files { return Files{v.r, fileRows("")} }

// withArtifact has the file among those there are; a path that is there already is replaced.
func withArtifact(all []Artifact, a Artifact) []Artifact {
	if i := slices.IndexFunc(all, func(b Artifact) bool { return b.Path == a.Path }); i >= 0 {
		all[i] = a
		return all
	}
	return append(all, a)
}

// withoutArtifacts has the files that are not at a path or below it.
func withoutArtifacts(all []Artifact, at string) []Artifact {
	return slices.DeleteFunc(all, func(a Artifact) bool { return events.Within(a.Path, at) })
}
