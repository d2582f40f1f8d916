package local

import (
	"context"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/projectionist/projectionist/internal/fault"
)

// Checkpoint makes a copy of the running log in a new folder, which can be opened as a log: a backup of
// everything acknowledged so far. On one file system it links tables and takes little space at first. Until it
// is whole the folder is marked, and Open refuses it. Errors: fault.Invalid for a folder that is not empty,
// fault.Unavailable when it cannot be written, fault.Corrupt when the copy is not all that was acknowledged.
func (l *Log) Checkpoint(dir string) error {
	if err := l.ops.Enter(context.Background()); err != nil {
		return err
	}
	defer l.ops.Leave()
	fsys := l.opts.FS
	if names, err := fsys.List(dir); err == nil && len(names) > 0 {
		return fault.New(fault.Invalid, "the backup's folder %s is not empty", dir)
	}
	if err := fsys.MkdirAll(dir, 0o700); err != nil {
		return fault.Wrap(fault.Unavailable, err, "the backup's folder %s cannot be made", dir)
	}
	if err := begin(fsys, dir, backupFile, "The log in "+l.dir+" is being copied here. Without a file "+formatFile+" beside this one, it lacks records."); err != nil {
		return err
	}
	acknowledged := l.proof.written()
	if err := l.copyTo(fsys.PathJoin(dir, pebbleDir)); err != nil {
		return fault.Wrap(fault.Unavailable, err, "the backup in %s failed", dir)
	}
	return l.seal(dir, acknowledged)
}

// copyTo copies the database. Pebble panics where the new folder cannot be synced, with no lock held.
func (l *Log) copyTo(dir string) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%v", r)
		}
	}()
	return l.db.Checkpoint(dir, pebble.WithFlushedWAL())
}

// seal sees to it that all is in the copy that was acknowledged before it was made, and gives it a proof of its
// own. It only reads what Pebble has written: a write there that fails, for want of room, would end the process.
func (l *Log) seal(dir string, acknowledged claim) error {
	fsys := l.opts.FS
	c := &Log{opts: l.opts, dir: dir}
	c.opts.AcceptLoss, c.opts.Restoring = "", true // half a log may be copied, and stays one
	found, _, err := c.survey(&acknowledged)
	if err != nil {
		return fault.Wrap(fault.CodeOf(err), err, "the backup in %s is not all of the log", dir)
	}
	p, err := newProof(fsys, dir, found, l.fail)
	if err != nil {
		return err
	}
	if err := p.close(); err != nil {
		return fault.Wrap(fault.Unavailable, err, "the backup in %s cannot be written", dir)
	}
	return finish(fsys, dir)
}
