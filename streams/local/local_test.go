package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/streams"
)

var driftTP = streams.TP{Topic: events.DriftAlertsTopic}

func mustAppend(t testing.TB, l *Log, id, stream string) streams.Receipt {
	t.Helper()
	r, err := l.Ledger().Append(context.Background(), testCommit(id, stream, streams.AnyRevision, 1))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func publish(l *Log, value string) error {
	return l.Feed().Publish(context.Background(), driftTP.Topic, []streams.Record{{Key: []byte("k"), Value: []byte(value)}})
}

func wantError(t *testing.T, err error, code fault.Code, parts ...string) {
	t.Helper()
	if !fault.Is(err, code) {
		t.Fatalf("error %v has code %q; want %q", err, fault.CodeOf(err), code)
	}
	for _, p := range parts {
		if !strings.Contains(err.Error(), p) {
			t.Errorf("error %q does not say %q", err, p)
		}
	}
}

func TestClockGoesBack(t *testing.T) {
	fsys := vfs.NewMem()
	now := int64(10_000)
	opts := Options{FS: fsys, Now: func() time.Time { return time.UnixMilli(now) }}
	l := mustOpen(t, "log", opts)
	if r := mustAppend(t, l, "a", "s"); r.Recorded.UnixMilli() != 10_000 {
		t.Fatalf("recorded %v", r.Recorded)
	}
	now = 5_000
	if r := mustAppend(t, l, "b", "s"); r.Recorded.UnixMilli() != 10_000 {
		t.Fatalf("recorded %v after the clock went back", r.Recorded)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = mustOpen(t, "log", opts)
	recs := []streams.Record{{Key: []byte("k")}}
	if err := l.Feed().Publish(context.Background(), driftTP.Topic, recs); err != nil || recs[0].Recorded.UnixMilli() != 10_000 {
		t.Fatalf("recorded %v, %v after a restart with the clock behind", recs[0].Recorded, err)
	}
	now = 10_001
	if r := mustAppend(t, l, "c", "s"); r.Recorded.UnixMilli() != 10_001 {
		t.Fatalf("recorded %v when the clock has caught up", r.Recorded)
	}
}

func TestOpenFolder(t *testing.T) {
	write := func(t *testing.T, dir, name, content string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	list := func(t *testing.T, dir string) string {
		t.Helper()
		var names []string
		if err := filepath.WalkDir(dir, func(p string, _ fs.DirEntry, err error) error { names = append(names, p); return err }); err != nil {
			t.Fatal(err)
		}
		return strings.Join(names, "\n")
	}
	t.Run("OK_CutShortFirstStart", func(t *testing.T) {
		dir := t.TempDir()
		write(t, dir, lockFile, "")
		write(t, dir, formatTemp, "proj")
		l := mustOpen(t, dir, Options{})
		mustAppend(t, l, "a", "s")
	})
	t.Run("OK_OlderFormat", func(t *testing.T) {
		for version := 1; version < formatProven; version++ {
			dir := t.TempDir()
			l := mustOpen(t, dir, Options{})
			mustAppend(t, l, "a", "s")
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			write(t, dir, formatFile, fmt.Sprintf("projectionist-log %d\n", version))
			if err := os.Remove(filepath.Join(dir, proofFile)); err != nil {
				t.Fatal(err)
			}
			if err := mustOpen(t, dir, Options{}).Close(); err != nil {
				t.Fatal(err)
			}
			if f, err := inspect(vfs.Default, dir); err != nil || f.version != formatVersion {
				t.Fatalf("%+v, %v; want version %d", f, err, formatVersion)
			}
			if c, err := readProof(vfs.Default, dir); err != nil || len(c.marks) != 13 || c.marks[0].end != 1 {
				t.Fatalf("proof %+v, %v", c, err)
			}
		}
	})
	for _, c := range []struct {
		name, file, content string
		says                []string
	}{
		{"ErrForeignFolder", "holiday.jpg", "x", []string{"not empty", "holiday.jpg"}},
		{"ErrOtherProgram", formatFile, "wonderdb 3\n", []string{"another program", "wonderdb"}},
		{"ErrNewerFormat", formatFile, "projectionist-log 99\n", []string{"version 99", "newer"}},
		{"ErrDamagedFormat", formatFile, "projectionist-log x\n", []string{formatFile}},
		{"ErrEmptyFormat", formatFile, "", []string{"another program"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, dir, c.file, c.content)
			before := list(t, dir)
			_, err := Open(dir, Options{})
			wantError(t, err, fault.Corrupt, c.says...)
			if after := list(t, dir); after != before {
				t.Errorf("the folder has changed:\n%s\nbefore:\n%s", after, before)
			}
		})
	}
	t.Run("ErrOtherPartitions", func(t *testing.T) {
		fsys := vfs.NewMem()
		if err := mustOpen(t, "log", Options{FS: fsys}).Close(); err != nil {
			t.Fatal(err)
		}
		other := append([]streams.Topic(nil), streams.Topics...)
		other[1].Partitions = 4
		_, err := Open("log", Options{FS: fsys, Topics: other})
		wantError(t, err, fault.Corrupt, "user-events", "3", "4")
		more := append([]streams.Topic{{Name: "new", Partitions: 2}}, streams.Topics...)
		l := mustOpen(t, "log", Options{FS: fsys, Topics: more})
		if err := l.Feed().Publish(context.Background(), "new", []streams.Record{{Key: []byte("k")}}); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("ErrIsAFile", func(t *testing.T) {
		dir := t.TempDir()
		write(t, dir, "file", "x")
		_, err := Open(filepath.Join(dir, "file"), Options{})
		wantError(t, err, fault.Unavailable, "file")
	})
}

const lockHelperDir = "LOCAL_LOG_TEST_DIR"

// TestLock opens a log that another process has open; the other process is this test again.
func TestLock(t *testing.T) {
	if dir := os.Getenv(lockHelperDir); dir != "" {
		_, err := Open(dir, Options{})
		wantError(t, err, fault.Unavailable, "another process", dir)
		return
	}
	dir := t.TempDir()
	l := mustOpen(t, dir, Options{})
	_, err := Open(dir, Options{})
	wantError(t, err, fault.Unavailable, "another process", dir)
	cmd := exec.Command(os.Args[0], "-test.run=^TestLock$", "-test.v")
	cmd.Env = append(os.Environ(), lockHelperDir+"="+dir)
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "PASS: TestLock") {
		t.Fatalf("the other process: %v\n%s", err, out)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	mustOpen(t, dir, Options{})
}

// forbidden is a disk on which nobody may write.
type forbidden struct{ vfs.FS }

func (forbidden) Lock(name string) (io.Closer, error) {
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrPermission}
}

func TestPermission(t *testing.T) {
	_, err := Open("log", Options{FS: forbidden{vfs.NewMem()}})
	wantError(t, err, fault.Unavailable, "permission", "log/LOCK")
	if strings.Contains(err.Error(), "another process") {
		t.Errorf("%v", err)
	}
}

// smallDisk is a disk whose free space the test sets.
type smallDisk struct {
	vfs.FS
	free atomic.Uint64
}

func (d *smallDisk) GetDiskUsage(string) (vfs.DiskUsage, error) {
	return vfs.DiskUsage{AvailBytes: d.free.Load(), TotalBytes: 1 << 40}, nil
}

func TestDiskFull(t *testing.T) {
	disk := &smallDisk{FS: vfs.NewMem()}
	disk.free.Store(1000 << 20)
	l := mustOpen(t, "log", Options{FS: disk, ReserveBytes: 100 << 20})
	mustAppend(t, l, "a", "s")
	disk.free.Store(100 << 20)
	l.guard.sampled = time.Time{} // as if the sample had grown old
	_, err := l.Ledger().Append(context.Background(), testCommit("b", "s", 0, 1))
	wantError(t, err, fault.Unavailable, "disk full", "100 MiB")
	wantError(t, publish(l, "x"), fault.Unavailable, "disk full")
	if n := l.Stats().Refused; n != 2 {
		t.Errorf("%d refused; want 2", n)
	}
	for c, err := range l.Ledger().Read(context.Background(), 0) { // reads go on
		if err != nil || c.ID != "a" {
			t.Fatal(c, err)
		}
	}
	disk.free.Store(1000 << 20)
	if _, err := l.Ledger().Append(context.Background(), testCommit("b", "s", 0, 1)); err != nil {
		t.Fatalf("with space again: %v", err)
	}
}

// TestDiskFullWithinPublish: the disk fills between the parts of a large publish. It is refused, and
// the part that was taken is durable and seen.
func TestDiskFullWithinPublish(t *testing.T) {
	fsys := vfs.NewCrashableMem()
	disk := &smallDisk{FS: fsys}
	disk.free.Store(1000 << 20)
	var l *Log
	l = mustOpen(t, "log", Options{FS: disk, ReserveBytes: 100 << 20, Now: func() time.Time {
		disk.free.Store(0) // the leader asks for the time after the guard has let the first part pass
		l.guard.sampled = time.Time{}
		return time.UnixMilli(1)
	}})
	recs := make([]streams.Record, 4)
	for i := range recs {
		recs[i] = streams.Record{Key: []byte("k"), Value: make([]byte, groupBytes*2/3)}
	}
	wantError(t, l.Feed().Publish(context.Background(), driftTP.Topic, recs), fault.Unavailable, "disk full")
	if head, err := l.Feed().Head(context.Background(), driftTP, time.Time{}); err != nil || head != 1 {
		t.Fatalf("head %d, %v; want 1", head, err)
	}
	crashed := mustOpen(t, "log", Options{FS: fsys.CrashClone(vfs.CrashCloneCfg{})})
	if head, err := crashed.Feed().Head(context.Background(), driftTP, time.Time{}); err != nil || head != 1 {
		t.Fatalf("head %d, %v after a crash; want 1", head, err)
	}
}

// TestRealDiskUsage: on a real disk the guard knows the free space.
func TestRealDiskUsage(t *testing.T) {
	l := mustOpen(t, t.TempDir(), Options{ReserveBytes: 1 << 60})
	_, err := l.Ledger().Append(context.Background(), testCommit("a", "s", streams.AnyRevision, 1))
	wantError(t, err, fault.Unavailable, "disk full")
}

// TestFailedSync: after a failed fsync nothing is acknowledged, and the process is told to end.
func TestFailedSync(t *testing.T) {
	var broken atomic.Bool
	fatal := make(chan error, 10)
	injected := errors.New("injected: the disk has gone")
	fsys := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if broken.Load() && strings.HasSuffix(op.Path, ".log") && op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
			return injected
		}
		return nil
	}))
	l := mustOpen(t, "log", Options{FS: fsys, Fatal: func(err error) { fatal <- err }})
	mustAppend(t, l, "a", "s")
	broken.Store(true)
	var callers sync.WaitGroup
	for i := range 16 {
		callers.Go(func() {
			_, err := l.Ledger().Append(context.Background(), testCommit(fmt.Sprint("b", i), "s", streams.AnyRevision, 1))
			if !fault.Is(err, fault.Unknown) && !fault.Is(err, fault.Unavailable) {
				t.Errorf("append to a broken disk: %v", err)
			}
		})
	}
	callers.Wait()
	if err := <-fatal; !errors.Is(err, injected) && !strings.Contains(err.Error(), "injected") {
		t.Errorf("fatal error %v does not name the cause", err)
	}
	broken.Store(false)
	_, err := l.Ledger().Append(context.Background(), testCommit("c", "s", streams.AnyRevision, 1))
	wantError(t, err, fault.Unavailable, "cannot be written")
	n := 0
	for _, err := range l.Ledger().Read(context.Background(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	if n != 1 {
		t.Errorf("%d commits are read; want the one that was durable", n)
	}
	if err := l.Close(); err == nil {
		t.Error("Close hides that the log has failed")
	}
	if len(fatal) != 0 {
		t.Error("the process was told to end more than once")
	}
}

// TestWatermark: what is applied but not yet synced is not read, and not answered from.
func TestWatermark(t *testing.T) {
	var held atomic.Bool
	release := make(chan struct{})
	syncing := make(chan struct{}, 100)
	fsys := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if held.Load() && strings.HasSuffix(op.Path, ".log") && (op.Kind == errorfs.OpFileSync || op.Kind == errorfs.OpFileSyncData) {
			syncing <- struct{}{}
			<-release
		}
		return nil
	}))
	l := mustOpen(t, "log", Options{FS: fsys})
	ctx := context.Background()
	mustAppend(t, l, "a", "s")
	held.Store(true)
	type answer struct {
		r   streams.Receipt
		err error
	}
	answers := make(chan answer, 3)
	appendLater := func(c streams.Commit) {
		go func() {
			r, err := l.Ledger().Append(ctx, c)
			answers <- answer{r, err}
		}()
	}
	b := testCommit("b", "s", 0, 1)
	appendLater(b)
	<-syncing
	// The commit is applied now: its repeat and its conflict are judged by it, and wait for it.
	appendLater(b)
	appendLater(testCommit("c", "s", 0, 1))
	for l.queued() {
		runtime.Gosched()
	}
	if head, err := l.Ledger().Head(ctx, time.Time{}); err != nil || head != 1 {
		t.Fatalf("head %d, %v before the sync", head, err)
	}
	n := 0
	for range l.Ledger().Read(ctx, 0) {
		n++
	}
	for range l.Ledger().ReadStream(ctx, "s", 0) {
		n++
	}
	if n != 2 || len(answers) != 0 {
		t.Fatalf("%d reads and %d answers before the sync; want 2 and 0", n, len(answers))
	}
	held.Store(false)
	close(release)
	accepted, duplicates, conflicts := 0, 0, 0
	for range 3 {
		switch a := <-answers; {
		case a.err == nil && !a.r.Duplicate:
			accepted++
		case a.err == nil:
			duplicates++
		case fault.Is(a.err, fault.Conflict):
			conflicts++
		default:
			t.Error(a.err)
		}
	}
	if accepted != 1 || duplicates != 1 || conflicts != 1 {
		t.Errorf("%d accepted, %d duplicates, %d conflicts; want one each", accepted, duplicates, conflicts)
	}
}

// queued says whether requests wait for a leader.
func (l *Log) queued() bool {
	l.queueMu.Lock()
	defer l.queueMu.Unlock()
	return len(l.queue) > 0 || l.leading
}

func TestCloseEndsReaders(t *testing.T) {
	t.Run("OK", func(t *testing.T) {
		l := mustOpen(t, "log", Options{FS: vfs.NewMem()})
		for i := range 2 * checkEvery {
			mustAppend(t, l, fmt.Sprint("c", i), "s")
		}
		reading, closed := make(chan struct{}), make(chan error, 1)
		ended := make(chan error, 1)
		go func() {
			n := 0
			var last error
			for _, err := range l.Ledger().Read(context.Background(), 0) {
				if n++; n == 1 {
					close(reading)
					for l.ops.Stay(context.Background()) == nil {
						runtime.Gosched()
					}
				}
				last = err
			}
			ended <- last
		}()
		<-reading
		go func() { closed <- l.Close() }()
		if err := <-ended; !fault.Is(err, fault.Unavailable) {
			t.Errorf("the reader ended with %v", err)
		}
		if err := <-closed; err != nil {
			t.Errorf("close: %v", err)
		}
	})
	t.Run("ErrUnavailable", func(t *testing.T) {
		l := mustOpen(t, "log", Options{FS: vfs.NewMem(), CloseTimeout: time.Millisecond})
		mustAppend(t, l, "c", "s")
		for _, err := range l.Ledger().Read(context.Background(), 0) {
			if err != nil {
				t.Fatal(err)
			}
			wantError(t, l.Close(), fault.Unavailable, "still being read") // from within its own reader
			wantError(t, l.Close(), fault.Unavailable, "still being read")
		}
	})
}

// TestCheckpoint backs a log up while it is written.
func TestCheckpoint(t *testing.T) {
	dir := t.TempDir()
	l := mustOpen(t, filepath.Join(dir, "log"), Options{})
	var acked atomic.Int64
	var wg sync.WaitGroup
	stop := make(chan struct{})
	wg.Go(func() {
		for i := int64(0); ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			if _, err := l.Ledger().Append(context.Background(), testCommit(fmt.Sprint("c", i), "s", streams.Revision(i-1), 1)); err != nil {
				t.Error(err)
				return
			}
			acked.Store(i + 1)
		}
	})
	for i := range 3 {
		before := acked.Load()
		backup := filepath.Join(dir, fmt.Sprint("backup", i))
		if err := l.Checkpoint(backup); err != nil {
			t.Fatal(err)
		}
		b := mustOpen(t, backup, Options{})
		n := int64(0)
		for c, err := range b.Ledger().Read(context.Background(), 0) {
			if err != nil || c.Revision != streams.Revision(n) {
				t.Fatalf("commit %d of the backup: %+v, %v", n, c, err)
			}
			n++
		}
		if n < before {
			t.Errorf("the backup has %d commits; %d were acknowledged before it", n, before)
		}
		mustAppend(t, b, "more", "s") // it is a log of its own
		wantError(t, l.Checkpoint(backup), fault.Invalid, "not empty")
	}
	close(stop)
	wg.Wait()
}

// TestReadOnly: a copy is read with what its write-ahead log holds, and stays as it is.
func TestReadOnly(t *testing.T) {
	dir := t.TempDir()
	l := mustOpen(t, filepath.Join(dir, "log"), Options{})
	for i := range 5 {
		mustAppend(t, l, fmt.Sprint("c", i), "s")
	}
	backup := filepath.Join(dir, "backup")
	if err := l.Checkpoint(backup); err != nil {
		t.Fatal(err)
	}
	files := func() map[string]string {
		all := map[string]string{}
		err := filepath.WalkDir(backup, func(path string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			b, err := os.ReadFile(path)
			all[path] = string(b)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	before := files()
	b, err := Open(backup, Options{ReadOnly: true, Logf: t.Logf})
	if err != nil {
		t.Fatal(err)
	}
	if n, err := b.Ledger().Head(t.Context(), time.Time{}); n != 5 || err != nil {
		t.Errorf("it ends at %d, %v", n, err)
	}
	n := 0
	for c, err := range b.Ledger().ReadStream(t.Context(), "s", 0) {
		if err != nil || c.ID != fmt.Sprint("c", n) {
			t.Errorf("commit %d: %+v, %v", n, c, err)
		}
		n++
	}
	_, err = b.Ledger().Append(t.Context(), testCommit("more", "s", streams.AnyRevision, 1))
	wantError(t, err, fault.Conflict, "read only")
	wantError(t, b.Feed().Publish(t.Context(), "user-events", []streams.Record{{Key: []byte("k")}}), fault.Conflict, "read only")
	if err := b.Close(); err != nil || n != 5 {
		t.Errorf("%d commits, %v", n, err)
	}
	if after := files(); !maps.Equal(before, after) {
		t.Errorf("files %q became %q", slices.Sorted(maps.Keys(before)), slices.Sorted(maps.Keys(after)))
	}
	_, err = Open(filepath.Join(dir, "none"), Options{ReadOnly: true})
	wantError(t, err, fault.NotFound, "no log")
	if _, err := os.Stat(filepath.Join(dir, "none")); err == nil {
		t.Error("a log was made")
	}
}

// TestCommitIDOfAnotherStream: an id is not taken for a duplicate of what it is not.
func TestCommitIDOfAnotherStream(t *testing.T) {
	l := mustOpen(t, "log", Options{FS: vfs.NewMem()})
	mustAppend(t, l, "a", "model/als")
	_, err := l.Ledger().Append(context.Background(), testCommit("a", "model/other", streams.NoStream, 1))
	wantError(t, err, fault.Invalid, "model/als", "commit_id")
}

// TestTablesEndBetweenPartitions: a memtable with a bit of everything is flushed to tables that each
// hold records of one partition only, so that compactions can move instead of rewrite them.
func TestTablesEndBetweenPartitions(t *testing.T) {
	l := mustOpen(t, "log", Options{FS: vfs.NewMem()})
	var recs []streams.Record
	for i := range 100 {
		mustAppend(t, l, fmt.Sprint("c", i), "s")
		recs = append(recs, testRecord(fmt.Sprint(i), i))
	}
	if err := l.Feed().Publish(context.Background(), events.UserEventsTopic, recs); err != nil {
		t.Fatal(err)
	}
	if err := l.db.Flush(); err != nil {
		t.Fatal(err)
	}
	levels, err := l.db.SSTables()
	if err != nil {
		t.Fatal(err)
	}
	tables := 0
	for _, level := range levels {
		for _, table := range level {
			low, high := table.Smallest.UserKey, table.Largest.UserKey
			if low[0] == prefixRecord || high[0] == prefixRecord {
				tables++
				if len(low) != recordKeyBytes || len(high) != recordKeyBytes || string(low[:9]) != string(high[:9]) {
					t.Errorf("a table goes from %x to %x", low, high)
				}
			}
		}
	}
	if tables != 4 {
		t.Errorf("%d tables of records; want one for each of the 4 partitions", tables)
	}
}

func TestStats(t *testing.T) {
	l := mustOpen(t, "log", Options{FS: vfs.NewMem()})
	mustAppend(t, l, "a", "s")
	mustAppend(t, l, "a", "s")
	if _, err := l.Ledger().Append(context.Background(), testCommit("b", "s", 9, 1)); !fault.Is(err, fault.Conflict) {
		t.Fatal(err)
	}
	if err := publish(l, "x"); err != nil {
		t.Fatal(err)
	}
	for range l.Feed().Read(context.Background(), driftTP, 0) {
	}
	s := l.Stats()
	if s.Commits != 1 || s.Duplicates != 1 || s.Conflicts != 1 || s.Facts != 1 || s.Syncs != 2 || s.GroupRecords != 1 || s.RecordsRead != 1 || s.Bytes == 0 || s.Refused != 0 {
		t.Errorf("stats %+v", s)
	}
}

// TestHeadsCache: the cache of heads may start anew at any time.
func TestHeadsCache(t *testing.T) {
	l := mustOpen(t, "log", Options{FS: vfs.NewMem()})
	mustAppend(t, l, "a", "s")
	for i := range headsMax + 1 {
		l.heads[fmt.Sprint("other/", i)] = 0
	}
	if r := mustAppend(t, l, "b", "s"); r.Revision != 1 || len(l.heads) > 2 {
		t.Errorf("revision %d, %d heads", r.Revision, len(l.heads))
	}
}

// TestJoints: records that are gone from a partition's beginning are missed when the log is opened.
func TestJoints(t *testing.T) {
	fs := vfs.NewMem()
	l := mustOpen(t, "log", Options{FS: fs})
	for i := range 20 {
		mustAppend(t, l, fmt.Sprint("c", i), "s")
	}
	if err := l.db.DeleteRange(l.ledger.key(0), l.ledger.key(7), pebble.Sync); err != nil {
		t.Fatal(err)
	}
	if err := l.db.Compact(context.Background(), []byte{0}, []byte{0xff}, false); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := Open("log", Options{FS: fs, Logf: t.Logf})
	wantError(t, err, fault.Corrupt, "mlops-events/0@0")
}
