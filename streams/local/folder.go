package local

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/projectionist/projectionist/internal/fault"
)

// A log's folder:
//
//	FORMAT      whose it is and how it is laid out, in one line: "projectionist-log 3"
//	LOCK        held while it is open
//	END         how far it goes (proof.go)
//	pebble/     the database
//	UNFINISHED  while it is being made; UNFINISHED-BACKUP while a log is being copied into it
//
// FORMAT comes last: a folder that has it is a log, and what it has lost is named. A folder without it is new
// only if it is empty, or if UNFINISHED says that it was still being made: nothing had been acknowledged then.
//
// A change of keys.go's table raises the version, and Open then migrates older folders or says which program
// can. Version 2 was that of logs that were filled from another one, version 1 of all others: they had no proof
// of their end, and get one when they are opened.
const (
	formatProgram = "projectionist-log"
	formatVersion = 3
	formatProven  = 3 // from here on there is END
	formatFile    = "FORMAT"
	formatTemp    = "FORMAT.new"

	lockFile  = "LOCK"
	pebbleDir = "pebble"

	makingFile = "UNFINISHED"
	backupFile = "UNFINISHED-BACKUP"
)

// folder is what a look at a log's folder finds.
type folder struct {
	version int  // FORMAT's; 0 for a log that is to be made
	left    bool // UNFINISHED or UNFINISHED-BACKUP is there
}

// inspect looks at a folder and changes nothing. Errors are fault.Corrupt for one that is not a log of this
// program, or lacks what a log has, and fault.Unavailable where it cannot be read.
func inspect(fsys vfs.FS, dir string) (f folder, err error) {
	names, err := fsys.List(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return folder{}, nil
	}
	if err != nil {
		return folder{}, fault.Wrap(fault.Unavailable, err, "the log's folder %s cannot be read", dir)
	}
	slices.Sort(names)
	foreign, backup := "", false
	for _, name := range names {
		switch name {
		case lockFile, formatTemp:
		case makingFile:
			f.left = true
		case backupFile:
			f.left, backup = true, true
		case formatFile:
			if f.version, err = readFormat(fsys, dir); err != nil {
				return folder{}, err
			}
		default:
			foreign = name
		}
	}
	switch {
	case f.version > 0:
		return f, checkParts(fsys, dir)
	case backup:
		return folder{}, fault.New(fault.Corrupt, "%s is an unfinished backup of a log: it lacks records", dir).
			WithHint("delete it, and back up again")
	case f.left:
		return f, nil
	case foreign != "":
		return folder{}, fault.New(fault.Corrupt, "%s is not empty and is no log of this program: it has no %s file but %q", dir, formatFile, foreign).
			WithHint("give an empty folder, or one this program made; a log that has lost its %s is restored from a backup", formatFile)
	}
	return folder{}, nil
}

// checkParts says what a log has lost without which Pebble would take it for an empty one, and begin anew over
// what is left.
func checkParts(fsys vfs.FS, dir string) error {
	names, err := fsys.List(fsys.PathJoin(dir, pebbleDir))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fault.Wrap(fault.Unavailable, err, "the log in %s cannot be read", dir)
	}
	tables, wals, manifest, format := 0, 0, "", false
	for _, name := range names {
		switch {
		case strings.HasSuffix(name, ".sst"):
			tables++
		case strings.HasSuffix(name, ".log"):
			wals++
		case strings.HasPrefix(name, "marker.format-version."):
			format = true
		case strings.HasPrefix(name, "marker.manifest."):
			_, manifest, _ = strings.Cut(strings.TrimPrefix(name, "marker.manifest."), ".")
		}
	}
	lost := ""
	switch {
	case err != nil:
		lost = pebbleDir
	case manifest == "":
		lost = pebbleDir + "/marker.manifest.*"
	case !format:
		lost = pebbleDir + "/marker.format-version.*"
	case !slices.Contains(names, manifest):
		lost = pebbleDir + "/" + manifest
	default:
		return nil
	}
	return fault.New(fault.Corrupt, "the log in %s has lost %s; %d tables and %d write-ahead logs are left, which were not touched", dir, lost, tables, wals).
		WithHint("restore the folder from a backup; if it was copied here, copy it again with all its files, the empty ones too")
}

func readFormat(fsys vfs.FS, dir string) (int, error) {
	b, err := readFile(fsys, fsys.PathJoin(dir, formatFile))
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
		return errors.Join(fsys.Rename(temp, fsys.PathJoin(dir, formatFile)), syncDir(fsys, dir))
	}()
	return fault.Wrap(fault.Unavailable, err, "%s of the log in %s cannot be written", formatFile, dir)
}

// begin says that the folder is no log yet. The file's being there is what counts.
func begin(fsys vfs.FS, dir, name, why string) error {
	err := func() error {
		f, err := fsys.Create(fsys.PathJoin(dir, name), vfs.WriteCategoryUnspecified)
		if err != nil {
			return err
		}
		_, err = f.Write([]byte(why + "\n"))
		return errors.Join(err, f.Sync(), f.Close(), syncDir(fsys, dir))
	}()
	return fault.Wrap(fault.Unavailable, err, "%s of the log in %s cannot be written", name, dir)
}

// finish says that the folder is a log.
func finish(fsys vfs.FS, dir string) error {
	if err := writeFormat(fsys, dir, formatVersion); err != nil {
		return err
	}
	return removeUnfinished(fsys, dir)
}

func removeUnfinished(fsys vfs.FS, dir string) error {
	var errs []error
	for _, name := range []string{makingFile, backupFile} {
		if err := fsys.Remove(fsys.PathJoin(dir, name)); !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return fault.Wrap(fault.Unavailable, errors.Join(append(errs, syncDir(fsys, dir))...), "%s of the log in %s cannot be removed", makingFile, dir)
}

// readFile reads a small file, or the beginning of one that may be anyone's.
func readFile(fsys vfs.FS, path string) ([]byte, error) {
	f, err := fsys.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, fileBytesMax))
}

func syncDir(fsys vfs.FS, dir string) error {
	d, err := fsys.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
