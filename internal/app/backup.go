package app

import (
	"errors"
	"os"
	"path/filepath"

	"github.com/projectionist/projectionist/internal/fault"
)

// Backup writes a copy of the running log and of the blobs into a new folder, which can be served. Of a log
// with its ledger on EventStoreDB these are the feeds: note says so. Until the copy is whole the folder is marked,
// and is not served.
func (a *App) Backup(dir string) (note string, err error) {
	if err := beginBackup(dir); err != nil {
		return "", err
	}
	if a.ledger != nil {
		note = "the feeds and the blobs only: the ledger is on EventStoreDB, whose own backup has it"
	}
	to := filepath.Join(dir, filepath.FromSlash(a.embeddedIn()))
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return "", err
	}
	if err := a.embedded.Checkpoint(to); err != nil {
		return "", err
	}
	if err := copyTree(filepath.Join(a.opts.Dir, "blobs"), filepath.Join(dir, "blobs")); err != nil {
		return "", err
	}
	return note, finishBackup(dir, a.embeddedIn())
}

// beginBackup marks the folder before anything else is in it.
func beginBackup(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fault.Wrap(fault.Unavailable, err, "cannot make the backup's folder")
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		return errors.Join(err, fault.New(fault.Invalid, "the backup's folder %s is not empty", dir).WithHint("give an empty or new one"))
	}
	f, err := os.Create(filepath.Join(dir, backupFile))
	if err != nil {
		return fault.Wrap(fault.Unavailable, err, "cannot write to the backup's folder")
	}
	_, err = f.WriteString("A backup is being written into this folder. While this file is there, it lacks data.\n")
	return fault.Wrap(fault.Unavailable, errors.Join(err, f.Sync(), f.Close(), syncDir(dir)), "cannot write to the backup's folder")
}

// finishBackup makes a data folder of it, and takes the mark away when all is on the disk.
func finishBackup(dir, log string) error {
	err := errors.Join(writeMark(dir, folderMark{"projectionist", folderFormat, log}), syncTree(dir))
	if err == nil {
		err = errors.Join(os.Remove(filepath.Join(dir, backupFile)), syncDir(dir))
	}
	return fault.Wrap(fault.Unavailable, err, "cannot finish the backup in %s", dir)
}

// syncTree makes the names of a folder's files durable, and of those below it. The files are.
func syncTree(dir string) error {
	return filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		return syncDir(path)
	})
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// copyTree links or copies the files of a folder that only grows.
func copyTree(from, to string) error {
	return filepath.WalkDir(from, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if rel == "tmp" {
			return filepath.SkipDir
		}
		target := filepath.Join(to, rel)
		if d.IsDir() {
			return os.MkdirAll(target, 0o755)
		}
		if os.Link(path, target) == nil {
			return nil
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return writeFile(target, b)
	})
}
