package local

import (
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
	"github.com/projectionist/projectionist/internal/flush"
	"github.com/projectionist/projectionist/streams"
	"github.com/projectionist/projectionist/streams/internal/gate"
	"github.com/projectionist/projectionist/streams/internal/lookup"
)

// Log is the embedded log. Its methods are safe for concurrent use.
type Log struct {
	opts       Options
	dir        string
	lock       io.Closer
	db         *pebble.DB
	damaged    damage.Met
	failures   flush.Failures
	opening    atomic.Pointer[chan error] // where the WAL cannot be written to tables while the database is opened
	proof      *proof
	topics     map[string]*topic // fixed after Open
	partitions []*partition      // all of them, by topic id and number
	ledger     *partition

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

// Open opens the log in a folder, or makes it where the folder is empty or not there. Errors: fault.Unavailable
// when another process has it open or the disk refuses; fault.Corrupt when the folder is another program's, a
// newer version's, damaged, an unfinished backup, or was not filled to its end, and with a [Shortfall] when it
// ends before what was acknowledged; fault.Conflict for Options.Restoring where there are records. A folder that
// is refused stays as it was.
func Open(dir string, opts Options) (_ *Log, err error) {
	opts.setDefaults()
	fsys := opts.FS
	l := &Log{opts: opts, dir: dir, ops: gate.New(), dead: make(chan struct{})}
	l.guard.init(&l.opts, dir)

	// Looked at before anything is written, and again when nobody else can change it.
	found, proven, err := l.look()
	if err != nil {
		return nil, err
	}
	if opts.ReadOnly {
		return l.openReadOnly(found, proven)
	}
	if err := fsys.MkdirAll(dir, 0o700); err != nil {
		return nil, fault.Wrap(fault.Unavailable, err, "the log's folder %s cannot be made", dir)
	}
	if l.lock, err = fsys.Lock(fsys.PathJoin(dir, lockFile)); err != nil {
		return nil, lockError(dir, err)
	}
	defer func() {
		if err != nil {
			if l.proof != nil {
				err = errors.Join(err, l.proof.close())
			}
			if l.db != nil {
				err = errors.Join(err, l.db.Close())
			}
			if l.lock != nil {
				l.lock.Close()
			}
		}
	}()
	if found, proven, err = l.look(); err != nil {
		return nil, err
	}
	var short *Shortfall
	switch {
	case found.version == 0:
		err = l.clear(found)
	default:
		_, short, err = l.survey(proven)
		if proven == nil && found.version >= formatProven {
			short = &Shortfall{dir: dir} // it is accepted that nobody knows
		}
	}
	if err != nil {
		return nil, err
	}
	if err := l.open(); err != nil {
		return nil, err
	}
	if err := l.load(); err != nil {
		return nil, err
	}
	if short != nil {
		if err := l.give(short); err != nil {
			return nil, err
		}
	}
	if l.proof, err = newProof(fsys, dir, l.claim(), l.fail); err != nil {
		return nil, err
	}
	if found.version < formatVersion || found.left {
		if err := finish(fsys, dir); err != nil {
			return nil, err
		}
	}
	if err := l.openRestoring(); err != nil {
		return nil, err
	}
	return l, nil
}

// openReadOnly opens the database without a lock or a proof of its own.
func (l *Log) openReadOnly(found folder, proven *claim) (*Log, error) {
	if found.version == 0 {
		return nil, fault.New(fault.NotFound, "there is no log in %s", l.dir)
	}
	if _, _, err := l.survey(proven); err != nil {
		return nil, err
	}
	o := l.pebbleOptions()
	o.ReadOnly, o.Logger = true, readOnlyLogger{pebbleLogger{l}}
	var err error
	if l.db, err = openPebble(l.opts.FS.PathJoin(l.dir, pebbleDir), o); err != nil {
		return nil, l.openError(err)
	}
	if err := l.load(); err != nil {
		return nil, errors.Join(err, l.db.Close())
	}
	return l, nil
}

// look looks at the folder and its proof: nil for a log that is to be made, one made before there was END, or
// one whose loss is accepted.
func (l *Log) look() (folder, *claim, error) {
	fsys := l.opts.FS
	f, err := inspect(fsys, l.dir)
	if err != nil || f.version == 0 {
		return f, nil, err
	}
	c, err := readProof(fsys, l.dir)
	switch {
	case err == nil:
		return f, &c, nil
	case errors.Is(err, fs.ErrNotExist) && f.version < formatProven, errors.Is(err, errUnproven) && l.opts.AcceptLoss != "":
		return f, nil, nil
	}
	return f, nil, err
}

// clear takes away what a start left that was cut short, and says that the log is being made.
func (l *Log) clear(f folder) error {
	fsys := l.opts.FS
	if !f.left {
		if err := begin(fsys, l.dir, makingFile, "Nothing is in this log yet: the next start makes it anew."); err != nil {
			return err
		}
		// The folder itself must survive a power cut too.
		if err := syncDir(fsys, fsys.PathDir(l.dir)); err != nil {
			return fault.Wrap(fault.Unavailable, err, "the folder above the log's cannot be synced")
		}
	}
	err := fsys.RemoveAll(fsys.PathJoin(l.dir, pebbleDir))
	return fault.Wrap(fault.Unavailable, err, "what an earlier start left in %s cannot be removed", l.dir)
}

// open opens the database to be written to. Pebble first writes to tables what it finds in the WAL, and where that
// fails, as on a full disk, tries it again for ever: this gives up. The folder is locked then until Pebble is done.
func (l *Log) open() error {
	type opened struct {
		db  *pebble.DB
		err error
	}
	failed, done := make(chan error, openTries), make(chan opened, 1)
	l.opening.Store(&failed)
	defer l.opening.Store(nil)
	go func() {
		db, err := openPebble(l.opts.FS.PathJoin(l.dir, pebbleDir), l.pebbleOptions())
		done <- opened{db, err}
	}()
	for tries := 1; ; tries++ {
		select {
		case o := <-done:
			if o.err != nil {
				return l.openError(o.err)
			}
			l.db = o.db
			return nil
		case err := <-failed:
			if tries < openTries {
				continue
			}
			lock := l.lock
			l.lock = nil
			go func() {
				if o := <-done; o.db != nil {
					o.db.Close()
				}
				lock.Close()
			}()
			return fault.Wrap(fault.Unavailable, damage.Of(err), "the log in %s cannot be opened: what is in its write-ahead log cannot be written to tables", l.dir)
		}
	}
}

// foundDamage hears of each damaged block that is met. Pebble's background work meets the same ones again and
// again: a file is told once.
func (l *Log) foundDamage(info pebble.DataCorruptionInfo) {
	if l.damaged.Note(info.Path, info.Details) {
		l.opts.Logf("the log is damaged: %s: %s", info.Path, info.Details.Error())
	}
}

// Damaged is nil until damage was met since the log was opened; then the error, which is fault.Corrupt, names where. What
// lies elsewhere can be read, and appended to.
func (l *Log) Damaged() error {
	what := l.damaged.String()
	if what == "" {
		return nil
	}
	return fault.New(fault.Corrupt, "the log in %s is damaged: %s", l.dir, what).WithHint(hintBackup)
}

// backgroundError hears of work that Pebble failed at, and does again.
func (l *Log) backgroundError(err error) {
	if info := pebble.ExtractDataCorruptionInfo(err); l.failures.Met(err) && info == nil { // else foundDamage has told it
		l.opts.Logf("the log's background work failed and is tried again: %v", damage.Of(err))
	}
}

// flushed hears of each time that Pebble has written records to tables, or has failed to.
func (l *Log) flushed(info pebble.FlushInfo) {
	failed := l.opening.Load()
	if info.Err == nil || failed == nil {
		return
	}
	select {
	case *failed <- info.Err:
	default:
	}
}

// openPebble opens the database; some of what is damaged makes Pebble panic.
func openPebble(dir string, o *pebble.Options) (db *pebble.DB, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%v: %w", r, pebble.ErrCorruption)
		}
	}()
	return pebble.Open(dir, o)
}

// load reads what stands in the database into memory.
func (l *Log) load() (err error) {
	if l.topics, err = openTopics(l.db, l.opts.Topics); err != nil {
		return err
	}
	t := l.topics[events.LedgerTopic]
	if t == nil || len(t.partitions) != 1 {
		return fault.New(fault.Invalid, "a log needs the topic %s with one partition", events.LedgerTopic)
	}
	l.ledger = t.partitions[0]
	l.partitions = inOrder(l.topics)
	for _, p := range l.partitions {
		p.met = &l.damaged
		if err := p.recover(l.db); err != nil {
			return err
		}
		l.lastMillis = max(l.lastMillis, p.millis)
	}
	if l.bare, err = readBare(l.db); err != nil {
		return err
	}
	l.heads, l.ids = map[string]streams.Revision{}, map[string]lookup.Entry{}
	return l.passLosses()
}

// claim is what the log can prove of itself when it is opened.
func (l *Log) claim() claim {
	c := claim{bare: l.bare}
	for _, p := range l.partitions {
		c.marks = append(c.marks, mark{p.TP, p.top})
	}
	return c
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
	if l.opts.ReadOnly {
		return l.db.Close()
	}
	// Flushed, the next start has no WAL to replay.
	err := flush.Close(l.db, l.opts.CloseTimeout)
	if !errors.Is(err, flush.ErrOpen) {
		err = errors.Join(err, l.proof.close(), l.lock.Close())
	}
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
