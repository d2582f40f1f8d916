// Package blob keeps files named by the SHA-256 of their content: model weights, data sets, raw
// answers, files of runs. A blob is written and synced before the event that names it, so an event never points at
// nothing; a crash in between leaves an orphan, which [Store.Sweep] removes. A store may have a [Remote] behind it,
// which has every blob that was put, and outlives the folder.
package blob

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/projectionist/projectionist/internal/fault"
)

// Store is a folder of blobs: ab/abcdef….
type Store struct {
	dir string
	// Remote is given every blob before [Store.Put] returns; nil for a store that is alone.
	Remote Remote
	// Elsewhere begins to bring a blob that is not here, from the remote, another node or by making it again, and says
	// that it is on its way (fault.Unavailable), or why it will not come; nil for a store that has all there is.
	Elsewhere func(hash string) error

	keeping sync.Mutex // what is put once more is not swept
}

// Open makes the folder if it is not there.
func Open(dir string) (*Store, error) {
	if err := os.MkdirAll(filepath.Join(dir, "tmp"), 0o700); err != nil {
		return nil, fault.Wrap(fault.Unavailable, err, "cannot make the blob folder")
	}
	return &Store{dir: dir}, nil
}

// Put writes the content and returns its hash and size, when the remote has it too. Putting the same content again
// changes nothing, unless what is there is damaged: then it is replaced, whole or not at all. Errors:
// fault.Unavailable where it cannot be written, here or there; that of ctx.
func (s *Store) Put(ctx context.Context, r io.Reader) (hash string, size int64, err error) {
	f, err := s.create()
	if err != nil {
		return "", 0, err
	}
	defer discard(f)
	hash, size, err = write(f, r)
	if err == nil && s.Remote != nil {
		err = s.Remote.Put(ctx, hash, io.NewSectionReader(f, 0, size), size)
	}
	if err == nil {
		err = s.keep(ctx, f, hash, size)
	}
	if err != nil {
		return "", 0, err
	}
	return hash, size, nil
}

// PutAs writes what is said to be the blob of that hash, which the remote, or another node, has. Errors: fault.Corrupt
// where it is not, and those of [Store.Put].
func (s *Store) PutAs(ctx context.Context, hash string, r io.Reader) (size int64, err error) {
	f, err := s.create()
	if err != nil {
		return 0, err
	}
	defer discard(f)
	got, size, err := write(f, r)
	if err == nil && got != hash {
		err = fault.New(fault.Corrupt, "what was sent as blob %s has the hash %s", hash, got)
	}
	if err == nil {
		err = s.keep(ctx, f, hash, size)
	}
	return size, err
}

func (s *Store) create() (*os.File, error) {
	f, err := os.CreateTemp(filepath.Join(s.dir, "tmp"), "put-*")
	return f, fault.Wrap(fault.Unavailable, err, "cannot write a blob")
}

// discard closes and removes a file that was not kept.
func discard(f *os.File) {
	f.Close()           //nolint:errcheck // it is synced where it is kept
	os.Remove(f.Name()) //nolint:errcheck // it has another name where it is kept
}

// write fills f, to the disk.
func write(f *os.File, r io.Reader) (hash string, size int64, err error) {
	sum := sha256.New()
	size, err = io.Copy(io.MultiWriter(f, sum), r)
	if err = errors.Join(err, f.Sync()); err != nil {
		return "", 0, fault.Wrap(fault.Unavailable, err, "cannot write a blob")
	}
	return hex.EncodeToString(sum.Sum(nil)), size, nil
}

// keep gives a written file its place, unless what is there is the same.
func (s *Store) keep(ctx context.Context, f *os.File, hash string, size int64) error {
	path := s.path(hash)
	if info, err := os.Stat(path); err == nil && info.Size() == size {
		if _, err := s.Check(ctx, hash); err == nil && s.renew(path) == nil {
			return nil
		}
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fault.Wrap(fault.Unavailable, err, "cannot write a blob")
	}
	s.keeping.Lock()
	err := os.Rename(f.Name(), path)
	s.keeping.Unlock()
	if err == nil {
		err = errors.Join(syncDir(filepath.Dir(path)), syncDir(s.dir))
	}
	return fault.Wrap(fault.Unavailable, err, "cannot write a blob")
}

// renew makes a file younger, so that a sweep does not take what an event is about to name.
func (s *Store) renew(path string) error {
	s.keeping.Lock()
	defer s.keeping.Unlock()
	now := time.Now()
	return os.Chtimes(path, now, now)
}

// Get reads a blob whole and checks it against its name. One that is not here is asked for elsewhere.
func (s *Store) Get(hash string) ([]byte, error) {
	f, err := s.open(hash)
	if err != nil {
		if fault.Is(err, fault.NotFound) && s.Elsewhere != nil {
			err = s.Elsewhere(hash)
		}
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	if err != nil {
		return nil, unreadable(hash, err)
	}
	if sum := sha256.Sum256(b); hex.EncodeToString(sum[:]) != hash {
		return nil, damaged(hash)
	}
	return b, nil
}

// Await returns when a blob is here, which is brought from elsewhere where it is not; it waits a limit long at most.
// Errors: fault.NotFound where there is none, fault.Unavailable while it is on its way, and why it did not come.
func (s *Store) Await(ctx context.Context, hash string, limit time.Duration) error {
	if !Valid(hash) {
		return fault.Field("blob", "%q is not a SHA-256 in hex", hash)
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for !s.Has(hash) {
		if s.Elsewhere == nil {
			return notHere(hash)
		}
		if err := s.Elsewhere(hash); !fault.Is(err, fault.Unavailable) {
			return err
		} else if !sleep(ctx, awaitPoll) {
			return err
		}
	}
	return nil
}

// awaitPoll is how often a blob on its way is looked for.
const awaitPoll = 100 * time.Millisecond

// sleep says whether ctx went on for so long.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// Open opens a blob that is here, after it was read through and checked against its name: it need not fit
// memory. Errors are those of [Store.Check].
func (s *Store) Open(ctx context.Context, hash string) (*os.File, error) {
	f, err := s.open(hash)
	if err != nil {
		return nil, err
	}
	_, err = check(ctx, hash, f)
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// Check reads a blob that is here and compares it with its name. Errors: fault.NotFound where there is none,
// fault.Corrupt for another content, fault.Unavailable where it cannot be read.
func (s *Store) Check(ctx context.Context, hash string) (size int64, err error) {
	f, err := s.open(hash)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	return check(ctx, hash, f)
}

func (s *Store) open(hash string) (*os.File, error) {
	if !Valid(hash) {
		return nil, fault.Field("blob", "%q is not a SHA-256 in hex", hash)
	}
	f, err := os.Open(s.path(hash))
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, notHere(hash)
	case err != nil:
		return nil, unreadable(hash, err)
	}
	return f, nil
}

func check(ctx context.Context, hash string, f *os.File) (size int64, err error) {
	sum, buf := sha256.New(), make([]byte, 256<<10)
	for {
		n, err := f.Read(buf)
		sum.Write(buf[:n])
		size += int64(n)
		switch {
		case err == io.EOF && hex.EncodeToString(sum.Sum(nil)) != hash:
			return size, damaged(hash)
		case err == io.EOF:
			return size, nil
		case err != nil:
			return size, unreadable(hash, err)
		}
		if err := ctx.Err(); err != nil {
			return size, err
		}
	}
}

func notHere(hash string) error { return fault.New(fault.NotFound, "no blob %s", hash) }

func unreadable(hash string, err error) error {
	return fault.Wrap(fault.Unavailable, err, "cannot read blob %s", hash)
}

func damaged(hash string) error {
	return fault.New(fault.Corrupt, "blob %s is damaged: its content has another hash", hash).
		WithHint("restore the file from a backup; a model version's is put back by: projectionist models rebuild NAME VERSION")
}

// Has says whether the blob is there, without reading it.
func (s *Store) Has(hash string) bool {
	if !Valid(hash) {
		return false
	}
	_, err := os.Stat(s.path(hash))
	return err == nil
}

// All yields the hashes of the blobs that are here, without reading them.
func (s *Store) All() iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		err := filepath.WalkDir(s.dir, func(path string, d os.DirEntry, err error) error {
			switch {
			case errors.Is(err, os.ErrNotExist): // swept meanwhile
				return nil
			case err != nil || d.IsDir() || !Valid(d.Name()) || path != s.path(d.Name()):
				return err
			case !yield(d.Name(), nil):
				return filepath.SkipAll
			}
			return nil
		})
		if err != nil {
			yield("", err)
		}
	}
}

// CopyTo puts every blob into another store, and checks each against its name, also those that the other
// one has already: a damaged one there is replaced. It returns how many were put and their bytes.
func (s *Store) CopyTo(ctx context.Context, to *Store) (put int, size int64, err error) {
	for hash, err := range s.All() {
		if err != nil {
			return put, size, err
		}
		if err := ctx.Err(); err != nil {
			return put, size, err
		}
		switch _, err := to.Check(ctx, hash); {
		case err == nil:
			continue
		case !fault.Is(err, fault.NotFound) && !fault.Is(err, fault.Corrupt):
			return put, size, err
		}
		n, err := s.copyTo(ctx, hash, to)
		if err != nil {
			return put, size, err
		}
		put++
		size += n
	}
	return put, size, nil
}

// LinkTo gives another store a blob as a link to the same file where the disk has links, else as a copy, and checks
// what is there then. It returns the blob's size; errors are those of [Store.Check].
func (s *Store) LinkTo(ctx context.Context, hash string, to *Store) (size int64, err error) {
	if !Valid(hash) {
		return 0, fault.Field("blob", "%q is not a SHA-256 in hex", hash)
	}
	path := to.path(hash)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return 0, fault.Wrap(fault.Unavailable, err, "cannot write a blob")
	}
	if err := os.Link(s.path(hash), path); err != nil {
		return s.copyTo(ctx, hash, to)
	}
	return to.Check(ctx, hash)
}

func (s *Store) copyTo(ctx context.Context, hash string, to *Store) (size int64, err error) {
	f, err := s.Open(ctx, hash)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	return to.PutAs(ctx, hash, f)
}

// Sweep removes blobs that nothing names and that are older than a grace period, in which the event
// that names a fresh blob may still be on its way. It returns how many went and their bytes.
func (s *Store) Sweep(named func(hash string) bool, now time.Time, grace time.Duration) (removed int, bytes int64, err error) {
	err = filepath.WalkDir(s.dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if Valid(d.Name()) && named(d.Name()) {
			return nil
		}
		s.keeping.Lock()
		defer s.keeping.Unlock()
		info, err := os.Lstat(path)
		switch {
		case errors.Is(err, os.ErrNotExist):
			return nil
		case err != nil:
			return err
		case now.Sub(info.ModTime()) < grace:
			return nil
		}
		if err := os.Remove(path); err != nil {
			return err
		}
		removed++
		bytes += info.Size()
		return nil
	})
	return removed, bytes, err
}

func (s *Store) path(hash string) string { return filepath.Join(s.dir, hash[:2], hash) }

// Valid says whether a text is the name of a blob: a SHA-256 in lower-case hex.
func Valid(hash string) bool {
	return len(hash) == 64 && strings.Trim(hash, "0123456789abcdef") == ""
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("sync %s: %w", dir, err)
	}
	return errors.Join(d.Sync(), d.Close())
}
