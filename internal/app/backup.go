package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/handlers/roles"
	"github.com/projectionist/projectionist/internal/blob"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/internal/transfer"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams/local"
)

// Copied is what a backup holds.
type Copied struct {
	To string `json:"to"`
	transfer.Report
	Records   int64  `json:"records"`    // of all partitions
	Blobs     int    `json:"blobs"`      // all that were there
	BlobBytes int64  `json:"blob_bytes"` // of those
	Note      string `json:"note,omitempty"`
}

// Backup writes a copy of the running log and of the blobs into a new folder, which can be served, and reads it again:
// each record is compared with the running log's, each blob with its name. Of a log with its ledger on EventStoreDB
// these are the feeds: the note says so. Until the copy is whole the folder is marked, and is not served. Errors:
// fault.Invalid for a folder that is not new, or not apart from the data folder; fault.Corrupt for a copy that is not
// whole, because the log or a blob is damaged; fault.Unavailable where it cannot be written; that of ctx.
func (a *App) Backup(ctx context.Context, dir string, progress func(stage string, done, total int64)) (_ *Copied, err error) {
	if err := api.Apart("to", dir, a.opts.Dir); err != nil {
		return nil, err
	}
	if err := beginBackup(dir); err != nil {
		return nil, err
	}
	c := &Copied{To: dir}
	if a.ledger != nil {
		c.Note = "the feeds and the blobs only: the ledger is on EventStoreDB, whose own backup has it"
	}
	to := filepath.Join(dir, filepath.FromSlash(a.embeddedIn()))
	if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
		return nil, err
	}
	progress("copying the log", 0, 0)
	for _, step := range []func() error{ // the blobs after the log: an event never points at nothing
		func() error { return a.embedded.Checkpoint(to) },
		func() error { return a.copyBlobs(ctx, c, progress) },
		func() error { return a.compareCopy(ctx, to, c, progress) },
	} {
		if err := step(); err != nil {
			return nil, unfinished(dir, err)
		}
	}
	return c, finishBackup(dir, a.embeddedIn())
}

// backupForWorkflow is Backup for a task of a workflow.
func (a *App) backupForWorkflow(ctx context.Context, dir string, progress func(stage string, done, total int64)) (roles.Backup, error) {
	c, err := a.Backup(ctx, dir, progress)
	if err != nil {
		return roles.Backup{}, err
	}
	return roles.Backup{To: c.To, Records: c.Records, Blobs: int64(c.Blobs), BlobSize: c.BlobBytes, Note: c.Note}, nil
}

// unfinished says of a backup that failed what is left of it.
func unfinished(dir string, err error) error {
	f := fault.Wrap(fault.CodeOf(err), err, "the backup in %s is not whole, and is not served", dir).(*fault.Error)
	var cause *fault.Error
	if errors.As(err, &cause) {
		f.Hint = cause.Hint
	}
	return f
}

// copyBlobs gives the backup all blobs, and checks each in it against its name.
func (a *App) copyBlobs(ctx context.Context, c *Copied, progress func(string, int64, int64)) error {
	to, err := blob.Open(filepath.Join(c.To, "blobs"))
	if err != nil {
		return err
	}
	var hashes []string
	for hash, err := range a.Blobs.All() {
		if err != nil {
			return err
		}
		hashes = append(hashes, hash)
	}
	for i, hash := range hashes {
		size, err := a.Blobs.LinkTo(ctx, hash, to)
		if fault.Is(err, fault.NotFound) && !a.Blobs.Has(hash) {
			continue // swept meanwhile: no event names it
		}
		if err != nil {
			return err
		}
		c.Blobs++
		c.BlobBytes += size
		progress("copying and checking blobs", int64(i+1), int64(len(hashes)))
	}
	return nil
}

// compareCopy compares every record of the copied log with the running one's, up to where the copy ends.
func (a *App) compareCopy(ctx context.Context, dir string, c *Copied, progress func(string, int64, int64)) (err error) {
	to, err := local.Open(dir, local.Options{ReadOnly: true, Now: a.opts.Now, Logf: func(format string, args ...any) {
		a.opts.Logger.Warn(fmt.Sprintf("the backup: "+format, args...))
	}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	cut, err := fold.HeadCut(ctx, to, time.Time{})
	if err != nil {
		return err
	}
	if c.Report, err = transfer.Compare(ctx, a.embedded, to, cut, progress); err != nil {
		return err
	}
	for _, p := range c.Partitions {
		c.Records += p.Records
	}
	return nil
}

// beginBackup marks the folder before anything else is in it.
func beginBackup(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fault.Wrap(fault.Unavailable, err, "cannot make the backup's folder")
	}
	closeToOthers(dir)
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		return errors.Join(err, fault.New(fault.Invalid, "the backup's folder %s is not empty", dir).WithHint("give an empty or new one"))
	}
	f, err := os.OpenFile(filepath.Join(dir, backupFile), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
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
