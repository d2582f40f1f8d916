// Package spill keeps what need not fit memory: a little of it there, the rest in files of a scratch folder. The
// files have no use beyond the process, and are gone when they are closed.
package spill

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"

	"github.com/projectionist/projectionist/internal/fault"
)

// readBytes is what a file is read by.
const readBytes = 64 << 10

// File is written once and read from its beginning as often as one likes. It is no file on the disk while it fits
// into memory. Its methods are not safe for concurrent use.
type File struct {
	dir    string
	memory int // bytes
	tail   []byte
	stored int64 // bytes on the disk, before the tail
	f      *os.File
}

// NewFile makes an empty file. dir is made when it is needed and missing.
func NewFile(dir string, memory int) *File { return &File{dir: dir, memory: max(memory, 1)} }

// Write appends. The error is fault.Unavailable where the folder cannot be written.
func (s *File) Write(b []byte) (n int, err error) {
	for len(b) > 0 {
		if len(s.tail) == s.memory {
			if err := s.store(); err != nil {
				return n, err
			}
		}
		piece := b[:min(len(b), s.memory-len(s.tail))]
		s.tail = append(s.tail, piece...)
		n, b = n+len(piece), b[len(piece):]
	}
	return n, nil
}

// store moves what is in memory to the disk.
func (s *File) store() (err error) {
	if s.f == nil {
		if s.f, err = create(s.dir); err != nil {
			return err
		}
	}
	n, err := s.f.WriteAt(s.tail, s.stored)
	s.stored += int64(n)
	s.tail = s.tail[:copy(s.tail, s.tail[n:])]
	return unwritable(s.dir, err)
}

// Size is the number of bytes that were written.
func (s *File) Size() int64 { return s.stored + int64(len(s.tail)) }

// Open reads what was written until now, from the beginning.
func (s *File) Open() io.Reader {
	if s.f == nil {
		return bytes.NewReader(s.tail)
	}
	return io.MultiReader(bufio.NewReaderSize(io.NewSectionReader(s.f, 0, s.stored), readBytes), bytes.NewReader(s.tail))
}

// ReadAt reads what was written until now, at a place, as [io.ReaderAt] has it.
func (s *File) ReadAt(b []byte, at int64) (n int, err error) {
	if at < s.stored {
		n, err = s.f.ReadAt(b[:min(int64(len(b)), s.stored-at)], at)
		if err != nil {
			return n, err
		}
	}
	if rest := at + int64(n) - s.stored; n < len(b) && rest < int64(len(s.tail)) {
		n += copy(b[n:], s.tail[rest:])
	}
	if n < len(b) {
		err = io.EOF
	}
	return n, err
}

// Close frees what it holds. It may be called again.
func (s *File) Close() error {
	f := s.f
	s.tail, s.f = nil, nil
	return discard(f)
}

func create(dir string) (*os.File, error) {
	err := os.MkdirAll(dir, 0o700)
	if err == nil {
		var f *os.File
		if f, err = os.CreateTemp(dir, "spill-"); err == nil {
			return f, nil
		}
	}
	return nil, unwritable(dir, err)
}

func discard(f *os.File) error {
	if f == nil {
		return nil
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

func unwritable(dir string, err error) error {
	if err == nil {
		return nil
	}
	return fault.Wrap(fault.Unavailable, err, "the scratch folder %s cannot be written", dir).(*fault.Error).
		WithHint("there may be no room on its disk")
}
