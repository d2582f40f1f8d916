package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/damage"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/streams"
	"github.com/projectionist/projectionist/streams/internal/gate"
	"github.com/projectionist/projectionist/streams/internal/lookup"
)

// Log is the embedded log. Its methods are safe for concurrent use.
type Log struct {
	opts   Options
	dir    string
	format int // version of the folder's
	lock   io.Closer
	db     *pebble.DB
	topics map[string]*topic // fixed after Open
	ledger *partition

	writer // group.go

	stats counters
	guard guard

	restoring sync.Mutex // restore.go: one at a time
	restored  atomic.Bool

	ops       *gate.Gate
	closeOnce sync.Once
	closeErr  error

	failOnce sync.Once
	failure  atomic.Pointer[error]
	dead     chan struct{} // closed after a failed write
}

var _ streams.Log = (*Log)(nil)

// Open opens the log in a folder, or makes it. Errors: fault.Unavailable when another process has it
// open or the disk refuses, fault.Corrupt when the folder is another program's, a newer version's,
// damaged, or was not filled to its end, fault.Conflict for Options.Restoring where there are records.
func Open(dir string, opts Options) (_ *Log, err error) {
	opts.setDefaults()
	fsys := opts.FS
	l := &Log{opts: opts, dir: dir, ops: gate.New(), dead: make(chan struct{})}
	l.guard.init(&l.opts, dir)

	// Looked at before anything is written: a foreign folder stays as it was.
	if _, err := checkFormat(fsys, dir); err != nil {
		return nil, err
	}
	if err := fsys.MkdirAll(dir, 0o755); err != nil {
		return nil, fault.Wrap(fault.Unavailable, err, "the log's folder %s cannot be made", dir)
	}
	if l.lock, err = fsys.Lock(fsys.PathJoin(dir, lockFile)); err != nil {
		return nil, lockError(dir, err)
	}
	defer func() {
		if err != nil {
			if l.db != nil {
				err = errors.Join(err, l.db.Close())
			}
			l.lock.Close()
		}
	}()
	if l.format, err = checkFormat(fsys, dir); err != nil {
		return nil, err
	}
	if l.format == 0 {
		l.format = formatPlain
		if err := writeFormat(fsys, dir, l.format); err != nil {
			return nil, err
		}
		// The folder itself must survive a power cut too.
		if err := syncDir(fsys, fsys.PathDir(dir)); err != nil {
			return nil, fault.Wrap(fault.Unavailable, err, "the folder above the log's cannot be synced")
		}
	}
	if l.db, err = pebble.Open(fsys.PathJoin(dir, pebbleDir), l.pebbleOptions()); err != nil {
		return nil, readError(err, "the log in "+dir+" cannot be opened")
	}
	if l.topics, err = openTopics(l.db, opts.Topics); err != nil {
		return nil, err
	}
	t := l.topics[events.LedgerTopic]
	if t == nil || len(t.partitions) != 1 {
		return nil, fault.New(fault.Invalid, "a log needs the topic %s with one partition", events.LedgerTopic)
	}
	l.ledger = t.partitions[0]
	for _, t := range l.topics {
		for _, p := range t.partitions {
			millis, err := p.recover(l.db)
			if err != nil {
				return nil, err
			}
			p.millis = millis
			l.lastMillis = max(l.lastMillis, millis)
		}
	}
	if err := l.openRestoring(); err != nil {
		return nil, err
	}
	l.heads = map[string]streams.Revision{}
	l.ids = map[string]lookup.Entry{}
	return l, nil
}

// lockError says why the log's folder cannot be locked.
func lockError(dir string, err error) error {
	f := fault.New(fault.Unavailable, "the log in %s is open in another process", dir).
		WithHint("stop the other one, or choose another folder")
	var path *fs.PathError
	switch {
	case damage.Permission(err):
		f = fault.New(fault.Unavailable, "the log in %s cannot be opened without permission to write there", dir).
			WithHint("let the user that this program runs as read and write the folder and all that is in it, or run it as the folder's owner")
	case errors.As(err, &path):
		f = fault.New(fault.Unavailable, "the log in %s cannot be locked", dir)
	}
	f.Err = err
	return f
}

// OpenMem is a log in memory, for tests.
func OpenMem(opts Options) (*Log, error) {
	opts.FS = vfs.NewMem()
	return Open("log", opts)
}

// Ledger is the control plane's log.
func (l *Log) Ledger() streams.Ledger { return ledger{l} }

// Feed is the data plane's log; the ledger's topic can be read with it.
func (l *Log) Feed() streams.Feed { return feed{l} }

// Close ends all reads and waits, waits for the appends under way, and closes the folder. It may be
// called again. When a reader does not return in time, it says so and leaves the folder to the end of
// the process: what was acknowledged is on disk.
func (l *Log) Close() error {
	l.closeOnce.Do(func() { l.closeErr = l.close() })
	return l.closeErr
}

func (l *Log) close() error {
	if !l.ops.Close(l.opts.CloseTimeout) {
		return fault.New(fault.Unavailable, "the log in %s is still being read after %v; it is left open", l.dir, l.opts.CloseTimeout)
	}
	if err := l.failed(); err != nil {
		return err // Pebble cannot be closed after a failed commit
	}
	// Flushed, the next start has no WAL to replay, and damage at rest is always found: tables have
	// checksums, whereas damage in a WAL's last blocks looks like the place where writing ended.
	err := errors.Join(l.db.Flush(), l.db.Close(), l.lock.Close())
	return fault.Wrap(fault.Unavailable, err, "the log in %s was not closed cleanly; nothing acknowledged is lost", l.dir)
}

// fail marks the log as dead after a failed write and hands the error to Options.Fatal.
func (l *Log) fail(cause error) {
	l.failOnce.Do(func() {
		err := error(fault.Wrap(fault.Unavailable, cause, "the log in %s cannot be written", l.dir))
		l.failure.Store(&err)
		close(l.dead)
		l.opts.Fatal(err)
	})
}

func (l *Log) failed() error {
	if err := l.failure.Load(); err != nil {
		return *err
	}
	return nil
}

// Checkpoint makes a copy of the running log in a new folder, which can be opened as a log: a backup of
// everything acknowledged so far. On one file system it links tables and takes little space at first.
func (l *Log) Checkpoint(dir string) error {
	if err := l.ops.Enter(context.Background()); err != nil {
		return err
	}
	defer l.ops.Leave()
	fsys := l.opts.FS
	if names, err := fsys.List(dir); err == nil && len(names) > 0 {
		return fault.New(fault.Invalid, "the backup's folder %s is not empty", dir)
	}
	if err := fsys.MkdirAll(dir, 0o755); err != nil {
		return fault.Wrap(fault.Unavailable, err, "the backup's folder %s cannot be made", dir)
	}
	if err := l.db.Checkpoint(fsys.PathJoin(dir, pebbleDir), pebble.WithFlushedWAL()); err != nil {
		return fault.Wrap(fault.Unavailable, err, "the backup in %s failed", dir)
	}
	return writeFormat(fsys, dir, l.format) // last: a folder without it is refused
}

// partition finds a partition.
func (l *Log) partition(tp streams.TP) (*partition, error) {
	var ps []*partition
	if t, ok := l.topics[tp.Topic]; ok {
		ps = t.partitions
	}
	if err := streams.CheckPartition(tp, len(ps)); err != nil {
		return nil, err
	}
	return ps[tp.Partition], nil
}

func (l *Log) String() string { return fmt.Sprintf("log in %s", l.dir) }
