package local

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/projectionist/projectionist/internal/fault"
)

// The folder: FORMAT says whose it is and how it is laid out, LOCK is held while it is open, pebble/
// holds the database. FORMAT is one line, "projectionist-log 1". A change of keys.go's table raises the
// number, and Open then migrates older folders or says which program can. Version 2 is that of logs that
// were filled from another one; all others are still made as version 1, which older programs know.
const (
	formatProgram = "projectionist-log"
	formatVersion = 2
	formatPlain   = 1
	formatFile    = "FORMAT"
	lockFile      = "LOCK"
	pebbleDir     = "pebble"
	formatTemp    = "FORMAT.new"
)

// checkFormat looks whether dir is a log of this program. A missing or empty folder is fresh; so is one
// in which a first start was cut short before FORMAT was there: its version is 0.
func checkFormat(fsys vfs.FS, dir string) (version int, err error) {
	names, err := fsys.List(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fault.Wrap(fault.Unavailable, err, "the log's folder %s cannot be read", dir)
	}
	foreign := false
	for _, name := range names {
		switch name {
		case formatFile:
			return readFormat(fsys, dir)
		case lockFile, formatTemp:
		default:
			foreign = true
		}
	}
	if foreign {
		return 0, fault.New(fault.Corrupt, "%s is not empty and is no log of this program: it has no %s file but %q", dir, formatFile, names[0]).
			WithHint("give an empty folder, or one this program made")
	}
	return 0, nil
}

func readFormat(fsys vfs.FS, dir string) (int, error) {
	f, err := fsys.Open(fsys.PathJoin(dir, formatFile))
	if err != nil {
		return 0, fault.Wrap(fault.Unavailable, err, "%s of the log in %s cannot be read", formatFile, dir)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, formatMax))
	if err != nil {
		return 0, fault.Wrap(fault.Unavailable, err, "%s of the log in %s cannot be read", formatFile, dir)
	}
	program, version, _ := strings.Cut(strings.TrimSpace(string(b)), " ")
	if program != formatProgram {
		return 0, fault.New(fault.Corrupt, "%s belongs to another program: its %s says %.60q, want %q", dir, formatFile, b, formatProgram).
			WithHint("give an empty folder, or one this program made")
	}
	n, err := strconv.Atoi(version)
	if err != nil || n < 1 {
		return 0, fault.New(fault.Corrupt, "%s of the log in %s says %.60q; want %q and a version", formatFile, dir, b, formatProgram).
			WithHint("restore the folder from a backup")
	}
	if n > formatVersion {
		return 0, fault.New(fault.Corrupt, "the log in %s has format version %d; this program knows up to %d", dir, n, formatVersion).
			WithHint("use the newer program that wrote it")
	}
	return n, nil
}

// writeFormat makes FORMAT durable, whole or not at all.
func writeFormat(fsys vfs.FS, dir string, version int) error {
	temp := fsys.PathJoin(dir, formatTemp)
	err := func() error {
		f, err := fsys.Create(temp, vfs.WriteCategoryUnspecified)
		if err != nil {
			return err
		}
		if _, err = fmt.Fprintf(f, "%s %d\n", formatProgram, version); err == nil {
			err = f.Sync()
		}
		if err := errors.Join(err, f.Close()); err != nil {
			return err
		}
		if err := fsys.Rename(temp, fsys.PathJoin(dir, formatFile)); err != nil {
			return err
		}
		return syncDir(fsys, dir)
	}()
	return fault.Wrap(fault.Unavailable, err, "%s of the log in %s cannot be written", formatFile, dir)
}

func syncDir(fsys vfs.FS, dir string) error {
	d, err := fsys.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
