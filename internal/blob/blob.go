// Package blob keeps files named by the SHA-256 of their content: model weights, data sets, raw
// answers. A blob is written and synced before the event that names it, so an event never points at
// nothing; a crash in between leaves an orphan, which [Store.Sweep] removes.
package blob

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
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
	if err := os.MkdirAll(filepath.Join(dir, "tmp"), 0o755); err != nil {
		return nil, fault.Wrap(fault.Unavailable, err, "cannot make the blob folder")
	}
	return &Store{dir: dir}, nil
}

// Put writes the content and returns its hash and size. Putting the same content again changes nothing.
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
	if _, err := os.Stat(path); err == nil {
		// Younger again, so that a sweep does not take what an event is about to name.
		return hash, size, os.Chtimes(path, now, now)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return "", 0, fault.Wrap(fault.Unavailable, err, "cannot write a blob")
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return "", 0, fault.Wrap(fault.Unavailable, err, "cannot write a blob")
	}
	return hash, size, errors.Join(syncDir(filepath.Dir(path)), syncDir(s.dir))
}

// Get reads a blob whole and checks it against its name.
func (s *Store) Get(hash string) ([]byte, error) {
	if !valid(hash) {
		return nil, fault.Field("blob", "%q is not a SHA-256 in hex", hash)
	}
	b, err := os.ReadFile(s.path(hash))
	if errors.Is(err, os.ErrNotExist) {
		if s.Elsewhere != nil {
			return s.Elsewhere(hash)
		}
		return nil, fault.New(fault.NotFound, "no blob %s", hash)
	}
	if err != nil {
		return nil, fault.Wrap(fault.Unavailable, err, "cannot read blob %s", hash)
	}
	if sum := sha256.Sum256(b); hex.EncodeToString(sum[:]) != hash {
		return nil, fault.New(fault.Corrupt, "blob %s is damaged: its content has another hash", hash).
			WithHint("restore the file from a backup; a model version can be trained again with: projectionist models rebuild NAME VERSION")
	}
	return b, nil
}

// Has says whether the blob is there, without reading it.
func (s *Store) Has(hash string) bool {
	if !valid(hash) {
		return false
	}
	_, err := os.Stat(s.path(hash))
	return err == nil
}

// CopyTo puts every blob into another store, and checks each against its name, also those that the other
// one has already. It returns how many were put and their bytes.
func (s *Store) CopyTo(ctx context.Context, to *Store) (put int, size int64, err error) {
	err = filepath.WalkDir(s.dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() || !valid(d.Name()) || path != s.path(d.Name()) {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		hash, from := d.Name(), s
		if to.Has(hash) {
			from = to
		}
		b, err := from.Get(hash)
		if err != nil || from == to {
			return err
		}
		if _, _, err = to.Put(bytes.NewReader(b)); err != nil {
			return err
		}
		put++
		size += int64(len(b))
		return nil
	})
	return put, size, err
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
