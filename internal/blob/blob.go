// Package blob keeps files named by the SHA-256 of their content: model weights, data sets, raw
// answers. A blob is written and synced before the event that names it, so an event never points at
// nothing; a crash in between leaves an orphan, which [Store.Sweep] removes.
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
	"time"

	"github.com/projectionist/projectionist/internal/fault"
)

// Store is a folder of blobs: ab/abcdef….
type Store struct {
	dir string
	// Elsewhere gets a blob that is not here, from another node or by making it again; nil for a store
	// that has all there is. It may answer that it is on its way (fault.Unavailable).
	Elsewhere func(hash string) ([]byte, error)
}

// Open makes the folder if it is not there.
func Open(dir string) (*Store, error) {
	if err := os.MkdirAll(filepath.Join(dir, "tmp"), 0o700); err != nil {
		return nil, fault.Wrap(fault.Unavailable, err, "cannot make the blob folder")
	}
	return &Store{dir: dir}, nil
}

// Put writes the content and returns its hash and size. Putting the same content again changes nothing, unless
// what is there is damaged: then it is replaced, whole or not at all.
func (s *Store) Put(r io.Reader) (hash string, size int64, err error) {
	f, err := os.CreateTemp(filepath.Join(s.dir, "tmp"), "put-*")
	if err != nil {
		return "", 0, fault.Wrap(fault.Unavailable, err, "cannot write a blob")
	}
	defer os.Remove(f.Name())
	sum := sha256.New()
	size, err = io.Copy(io.MultiWriter(f, sum), r)
	err = errors.Join(err, f.Sync(), f.Close())
	if err != nil {
		return "", 0, fault.Wrap(fault.Unavailable, err, "cannot write a blob")
	}
	hash = hex.EncodeToString(sum.Sum(nil))
	path := s.path(hash)
	now := time.Now()
	if info, err := os.Stat(path); err == nil && info.Size() == size {
		// Younger again, so that a sweep does not take what an event is about to name.
		if _, err := s.Check(context.Background(), hash); err == nil && os.Chtimes(path, now, now) == nil {
			return hash, size, nil
		}
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", 0, fault.Wrap(fault.Unavailable, err, "cannot write a blob")
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return "", 0, fault.Wrap(fault.Unavailable, err, "cannot write a blob")
	}
	return hash, size, errors.Join(syncDir(filepath.Dir(path)), syncDir(s.dir))
}

// Get reads a blob whole and checks it against its name. One that is not here is asked for elsewhere.
func (s *Store) Get(hash string) ([]byte, error) {
	f, err := s.open(hash)
	if err != nil {
		if fault.Is(err, fault.NotFound) && s.Elsewhere != nil {
			return s.Elsewhere(hash)
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
	if !valid(hash) {
		return nil, fault.Field("blob", "%q is not a SHA-256 in hex", hash)
	}
	f, err := os.Open(s.path(hash))
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, fault.New(fault.NotFound, "no blob %s", hash)
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

func unreadable(hash string, err error) error {
	return fault.Wrap(fault.Unavailable, err, "cannot read blob %s", hash)
}

func damaged(hash string) error {
	return fault.New(fault.Corrupt, "blob %s is damaged: its content has another hash", hash).
		WithHint("restore the file from a backup; a model version's is put back by: projectionist models rebuild NAME VERSION")
}

// Has says whether the blob is there, without reading it.
func (s *Store) Has(hash string) bool {
	if !valid(hash) {
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
			case err != nil || d.IsDir() || !valid(d.Name()) || path != s.path(d.Name()):
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
	if !valid(hash) {
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
	_, size, err = to.Put(f)
	return size, err
}

// Sweep removes blobs that nothing names and that are older than a grace period, in which the event
// that names a fresh blob may still be on its way. It returns how many went and their bytes.
func (s *Store) Sweep(named func(hash string) bool, now time.Time, grace time.Duration) (removed int, bytes int64, err error) {
	err = filepath.WalkDir(s.dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			if errors.Is(err, os.ErrNotExist) {
				return nil
			}
			return err
		}
		if now.Sub(info.ModTime()) < grace || valid(d.Name()) && named(d.Name()) {
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

func valid(hash string) bool {
	return len(hash) == 64 && strings.Trim(hash, "0123456789abcdef") == ""
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("sync %s: %w", dir, err)
	}
	return errors.Join(d.Sync(), d.Close())
}
