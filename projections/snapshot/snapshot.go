// Package snapshot is the form in which a node's views and index travel to a new node of the same log: a
// tar archive that says first what it holds and last what the SHA-256 sums of that are. What is in the
// files is not its business.
//
//	manifest.json   what it is, and all files with their sizes
//	index/…         of the log
//	views/…         of the views
//	SHA256SUMS      of everything above, as sha256sum writes and checks it
//
// An archive that was cut off has no sums, and one that was changed has others.
package snapshot

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections/fold"
)

const (
	// Views and Index are the folders of a snapshot, as they are of a data folder.
	Views = "views"
	Index = "index"

	program      = "projectionist"
	format       = 1
	manifestName = "manifest.json"
	sumsName     = "SHA256SUMS"

	manifestBytesMax = 16 << 20 // of a hundred thousand files, which are a hundred times too many
	tarBlock         = 512
)

// Manifest says what a snapshot holds.
type Manifest struct {
	Program string        `json:"program"`
	Version string        `json:"version"` // of the program that made it
	Format  int           `json:"format"`  // of the archive
	Log     Log           `json:"log"`
	Views   []fold.Stored `json:"views"`
	Files   []File        `json:"files"` // in the order they are sent
}

// Log is which log the snapshot is of.
type Log struct {
	Cluster string `json:"cluster"`
	Topic   string `json:"topic"`
	TopicID string `json:"topic_id"`
}

// File is one of a snapshot. Its path begins with "views/" or "index/" and has slashes.
type File struct {
	Path  string `json:"path"`
	Bytes int64  `json:"bytes"`
}

// Bytes of all files.
func (m *Manifest) Bytes() (n int64) {
	for _, f := range m.Files {
		n += f.Bytes
	}
	return n
}

func (m *Manifest) validate() error {
	if m.Program != program {
		return fault.New(fault.Corrupt, "this is no snapshot of this program")
	}
	if m.Format != format {
		return fault.New(fault.Corrupt, "the snapshot has format %d; this program knows %d", m.Format, format)
	}
	seen, views := map[string]bool{}, false
	for _, f := range m.Files {
		folder, _, nested := strings.Cut(f.Path, "/")
		if !nested || folder != Views && folder != Index || path.Clean(f.Path) != f.Path || !filepath.IsLocal(filepath.FromSlash(f.Path)) || f.Bytes < 0 || seen[f.Path] {
			return fault.New(fault.Corrupt, "the snapshot's manifest names a file %q that it cannot have", f.Path)
		}
		seen[f.Path], views = true, views || folder == Views
	}
	if !views {
		return fault.New(fault.Corrupt, "the snapshot holds no views")
	}
	return nil
}

// Archive is a snapshot about to be sent.
type Archive struct {
	dir      string
	files    []File
	manifest []byte
}

// New makes an archive of a folder that holds views/ and index/ and no longer changes. m says what they
// are; its files, program and format are filled in.
func New(dir string, m *Manifest) (*Archive, error) {
	m.Program, m.Format, m.Files = program, format, nil
	for _, folder := range []string{Index, Views} {
		err := filepath.WalkDir(filepath.Join(dir, folder), func(name string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			info, err := d.Info()
			if err != nil {
				return err
			}
			rel, err := filepath.Rel(dir, name)
			m.Files = append(m.Files, File{filepath.ToSlash(rel), info.Size()})
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	if err := m.validate(); err != nil {
		return nil, err
	}
	text, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	return &Archive{dir, m.Files, append(text, '\n')}, nil
}

func sumLine(sum []byte, name string) string { return hex.EncodeToString(sum) + "  " + name + "\n" }

// Bytes is what Send writes.
func (a *Archive) Bytes() int64 {
	blocks := func(n int64) int64 { return tarBlock + (n+tarBlock-1)/tarBlock*tarBlock }
	sums := int64(len(sumLine(make([]byte, sha256.Size), manifestName)))
	n := blocks(int64(len(a.manifest))) + 2*tarBlock
	for _, f := range a.files {
		sums += int64(len(sumLine(make([]byte, sha256.Size), f.Path)))
		n += blocks(f.Bytes)
	}
	return n + blocks(sums)
}

// Send writes the archive.
func (a *Archive) Send(w io.Writer) error {
	t := tar.NewWriter(w)
	header := func(name string, size int64) error {
		return t.WriteHeader(&tar.Header{Name: name, Size: size, Mode: 0o644, Format: tar.FormatUSTAR})
	}
	text := func(name string, b []byte) error {
		if err := header(name, int64(len(b))); err != nil {
			return err
		}
		_, err := t.Write(b)
		return err
	}
	if err := text(manifestName, a.manifest); err != nil {
		return err
	}
	var sums bytes.Buffer
	sum := sha256.Sum256(a.manifest)
	sums.WriteString(sumLine(sum[:], manifestName))
	for _, f := range a.files {
		if err := header(f.Path, f.Bytes); err != nil {
			return err
		}
		sum, err := a.sendFile(t, f)
		if err != nil {
			return err
		}
		sums.WriteString(sumLine(sum, f.Path))
	}
	if err := text(sumsName, sums.Bytes()); err != nil {
		return err
	}
	return t.Close()
}

func (a *Archive) sendFile(w io.Writer, f File) ([]byte, error) {
	in, err := os.Open(filepath.Join(a.dir, filepath.FromSlash(f.Path)))
	if err != nil {
		return nil, err
	}
	defer in.Close() //nolint:errcheck // read only
	sum := sha256.New()
	n, err := io.Copy(io.MultiWriter(sum, w), in)
	if err == nil && n != f.Bytes {
		err = fmt.Errorf("%s has %d bytes and had %d", f.Path, n, f.Bytes)
	}
	return sum.Sum(nil), err
}

// Receive reads an archive into an empty folder and returns its manifest when all of it has arrived as it
// was sent. accept looks at the manifest before any file is taken; progress, which may be nil, is told of
// bytes of files. Files are not synced. Errors: fault.Corrupt when it is no snapshot, or not as it was
// sent; that of accept; those of r and of the disk as they are.
func Receive(r io.Reader, dir string, accept func(*Manifest) error, progress func(done, total int64)) (*Manifest, error) {
	t := tar.NewReader(r)
	text, err := readWhole(t, manifestName, manifestBytesMax)
	if err != nil {
		return nil, err
	}
	var m Manifest
	if err := json.Unmarshal(text, &m); err != nil {
		return nil, fault.Wrap(fault.Corrupt, err, "the snapshot's manifest cannot be read")
	}
	if err := m.validate(); err != nil {
		return nil, err
	}
	if err := accept(&m); err != nil {
		return nil, err
	}
	var want bytes.Buffer
	sum := sha256.Sum256(text)
	want.WriteString(sumLine(sum[:], manifestName))
	done, total := int64(0), m.Bytes()
	for _, f := range m.Files {
		h, err := next(t, f.Path)
		if err != nil {
			return nil, err
		}
		if h.Size != f.Bytes {
			return nil, fault.New(fault.Corrupt, "the snapshot was damaged on the way: %s has %d bytes and should have %d", f.Path, h.Size, f.Bytes)
		}
		sum, err := receiveFile(t, filepath.Join(dir, filepath.FromSlash(f.Path)), func(n int) {
			if done += int64(n); progress != nil {
				progress(done, total)
			}
		})
		if err != nil {
			return nil, cutOff(err, f.Path)
		}
		want.WriteString(sumLine(sum, f.Path))
	}
	sums, err := readWhole(t, sumsName, manifestBytesMax)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(sums, want.Bytes()) {
		return nil, fault.New(fault.Corrupt, "the snapshot was damaged on the way: %s has another SHA-256 sum than was sent", firstOther(sums, want.Bytes()))
	}
	if _, err := t.Next(); err == nil || errors.Is(err, tar.ErrHeader) {
		return nil, fault.New(fault.Corrupt, "the snapshot goes on after its sums")
	} else if err != io.EOF {
		return nil, cutOff(err, "its end")
	}
	_, err = io.Copy(io.Discard, r)
	return &m, cutOff(err, "its end")
}

// firstOther names the file of the first line that differs.
func firstOther(got, want []byte) string {
	lines := bytes.Split(got, []byte("\n"))
	for i, line := range bytes.Split(want, []byte("\n")) {
		if i >= len(lines) || !bytes.Equal(line, lines[i]) {
			if _, name, ok := bytes.Cut(line, []byte("  ")); ok {
				return string(name)
			}
		}
	}
	return sumsName
}

// next goes to the entry that has to come now.
func next(t *tar.Reader, name string) (*tar.Header, error) {
	h, err := t.Next()
	switch {
	case err == io.EOF:
		return nil, fault.New(fault.Corrupt, "the snapshot was cut off before %s", name)
	case errors.Is(err, tar.ErrHeader):
		return nil, fault.Wrap(fault.Corrupt, err, "this is no snapshot, or it was damaged on the way before %s", name)
	case err != nil:
		return nil, cutOff(err, name)
	case h.Name != name || h.Typeflag != tar.TypeReg:
		return nil, fault.New(fault.Corrupt, "this is no snapshot, or it was damaged on the way: %q stands where %s has to", h.Name, name)
	}
	return h, nil
}

func cutOff(err error, at string) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return fault.Wrap(fault.Corrupt, err, "the snapshot was cut off in %s", at)
	}
	return err
}

func readWhole(t *tar.Reader, name string, max int64) ([]byte, error) {
	h, err := next(t, name)
	if err != nil {
		return nil, err
	}
	if h.Size > max {
		return nil, fault.New(fault.Corrupt, "the snapshot's %s has %d bytes; want at most %d", name, h.Size, max)
	}
	text, err := io.ReadAll(t)
	return text, cutOff(err, name)
}

func receiveFile(r io.Reader, name string, took func(int)) (_ []byte, err error) {
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	sum := sha256.New()
	_, err = io.CopyBuffer(io.MultiWriter(sum, f, counter(took)), struct{ io.Reader }{r}, make([]byte, 256<<10))
	return sum.Sum(nil), err
}

// counter is told of what is written.
type counter func(int)

func (c counter) Write(p []byte) (int, error) {
	c(len(p))
	return len(p), nil
}
