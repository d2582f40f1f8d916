package local

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/streams"
)

func FuzzClaim(f *testing.F) {
	f.Add(uint64(1), uint64(2), "user-events", int32(1), int64(3), []byte("pjct-end"))
	f.Add(uint64(1<<63), uint64(0), "", int32(0), int64(1)<<62, appendClaim(nil, &claim{1, 2, []mark{{streams.TP{Topic: "t"}, 7}}}))
	f.Fuzz(func(t *testing.T, generation, group uint64, topic string, partition int32, end int64, raw []byte) {
		c := claim{generation, group, []mark{{streams.TP{Topic: topic, Partition: partition & 0x7fffffff}, end & (1<<63 - 1)}, {streams.TP{Topic: "x"}, 1}}}
		if len(topic) > 1000 {
			return
		}
		b := appendClaim(nil, &c)
		if have, ok := parseClaim(append(b, raw...)); !ok || !reflect.DeepEqual(have, c) {
			t.Fatalf("%x is parsed as %+v, %v; want %+v", b, have, ok, c)
		}
		for range 5 {
			broken := bytes.Clone(b)
			broken[int(group%uint64(len(b)))] ^= byte(1 << (generation % 8))
			if have, ok := parseClaim(broken); ok {
				t.Fatalf("%x is parsed as %+v", broken, have)
			}
			group, generation = group*31+7, generation*17+3
		}
		if have, ok := parseClaim(raw); ok && !bytes.HasPrefix(raw, appendClaim(nil, &have)) {
			t.Fatalf("%x is parsed and written otherwise", raw)
		}
	})
}

// TestProof: claims only grow, whoever makes them, and the slot that was written before is left as it was.
func TestProof(t *testing.T) {
	fs := vfs.NewMem()
	if err := fs.MkdirAll("log", 0o755); err != nil {
		t.Fatal(err)
	}
	first := claim{bare: 7, marks: []mark{{driftTP, 70}, {streams.TP{Topic: "x", Partition: 3}, 0}}}
	p, err := newProof(fs, "log", first, func(err error) { t.Error(err) })
	if err != nil {
		t.Fatal(err)
	}
	want := func(bare uint64) {
		t.Helper()
		c, err := readProof(fs, "log")
		if err != nil || c.bare != bare || c.marks[0].end != int64(10*bare) || len(c.marks) != 2 || c.marks[1].TP != first.marks[1].TP {
			t.Fatalf("%+v, %v; want %d bare writes", c, err, bare)
		}
	}
	want(7)
	for group := uint64(8); group < 20; group++ {
		before, err := readFile(fs, "log/"+proofFile)
		if err != nil {
			t.Fatal(err)
		}
		for _, g := range []uint64{group, group - 1, 3} {
			if err := p.claim(g, g, []int64{int64(10 * g), 0}); err != nil {
				t.Fatal(err)
			}
			want(group)
		}
		after, err := readFile(fs, "log/"+proofFile)
		if err != nil || len(after) != 2*proofPage {
			t.Fatalf("%d bytes, %v", len(after), err)
		}
		kept := 0
		for half := range 2 {
			if bytes.Equal(before[half*proofPage:(half+1)*proofPage], after[half*proofPage:(half+1)*proofPage]) {
				kept++
			}
		}
		if kept != 1 {
			t.Fatalf("group %d: %d slots are as they were; want one", group, kept)
		}
		// Whichever slot is torn, the other one counts.
		for half := range 2 {
			torn := bytes.Clone(after)
			for i := 100; i < 120; i++ {
				torn[half*proofPage+i] ^= 0xff
			}
			if err := errors.Join(fs.MkdirAll("torn", 0o755), replace(fs, "torn/"+proofFile, torn)); err != nil {
				t.Fatal(err)
			}
			if c, err := readProof(fs, "torn"); err != nil || c.bare != group && c.bare != group-1 {
				t.Fatalf("%+v, %v; want %d or the one before", c, err, group)
			}
		}
	}
	var callers sync.WaitGroup
	var next atomic.Uint64
	next.Store(20)
	for range 8 {
		callers.Go(func() {
			for range 100 {
				g := next.Add(1)
				if err := p.claim(g, g, []int64{int64(10 * g), 0}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	callers.Wait()
	want(820)
	if err := p.close(); err != nil {
		t.Fatal(err)
	}
	want(820)
}

// TestProof_BeforeTheAnswer: whenever the process is killed, END has what was acknowledged.
func TestProof_BeforeTheAnswer(t *testing.T) {
	fs := vfs.NewCrashableMem()
	l := mustOpen(t, "log", Options{FS: fs})
	var acked atomic.Int64
	stop := make(chan struct{})
	var writers sync.WaitGroup
	for w := range 4 {
		writers.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				if err := publish(l, fmt.Sprint(w, i)); err != nil {
					t.Error(err)
					return
				}
				acked.Add(1)
			}
		})
	}
	for range 200 {
		n := acked.Load()
		c, err := readProof(clone(fs), "log")
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range c.marks {
			if m.TP == driftTP && m.end < n {
				t.Fatalf("END says %d, %d were acknowledged", m.end, n)
			}
		}
	}
	close(stop)
	writers.Wait()
}

// TestProof_NotAhead: however much or little of what was not synced survives a power cut, END says no more than
// is there. (Open checks it.)
func TestProof_NotAhead(t *testing.T) {
	rng := rand.New(rand.NewPCG(2, 3))
	fs := vfs.NewCrashableMem()
	l := mustOpen(t, "log", Options{FS: fs})
	turns := make(chan struct{}, 100) // to write: as many per crash, however long a crash takes
	var writers sync.WaitGroup
	for w := range 3 {
		writers.Go(func() {
			for range turns {
				if err := publish(l, strings.Repeat("x", 100*w)); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	for range 60 {
		for len(turns) < cap(turns) {
			turns <- struct{}{}
		}
		crashed := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rng.IntN(101), RNG: rng})
		c, err := Open("log", Options{FS: crashed, Logf: t.Logf})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
	close(turns)
	writers.Wait()
}

// TestProof_Unwritten: a log that cannot write its proof acknowledges nothing more.
func TestProof_Unwritten(t *testing.T) {
	var broken atomic.Bool
	injected := errors.New("injected: the disk has gone")
	fatal := make(chan error, 10)
	fsys := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if broken.Load() && strings.HasSuffix(op.Path, proofFile) && op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
			return injected
		}
		return nil
	}))
	l := mustOpen(t, "log", Options{FS: fsys, Fatal: func(err error) { fatal <- err }})
	if err := publish(l, "a"); err != nil {
		t.Fatal(err)
	}
	broken.Store(true)
	wantError(t, publish(l, "b"), fault.Unknown, "injected")
	if err := <-fatal; !errors.Is(err, injected) {
		t.Errorf("the process is told to end for %v", err)
	}
	wantError(t, publish(l, "c"), fault.Unavailable, "cannot be written")
}

// cutShort runs a function, and gives what a power cut before its n-th change to files below a folder leaves of
// them, and whether it got so far.
func cutShort(t *testing.T, fs *vfs.MemFS, below string, n int64, crash vfs.CrashCloneCfg, run func(vfs.FS)) (crashed *vfs.MemFS, more bool) {
	t.Helper()
	var ops atomic.Int64
	var clone atomic.Pointer[vfs.MemFS]
	run(errorfs.Wrap(fs, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if strings.HasPrefix(op.Path, below) && op.Kind.ReadOrWrite() == errorfs.OpIsWrite && ops.Add(1) == n+1 {
			clone.Store(fs.CrashClone(crash))
		}
		return nil
	})))
	if c := clone.Load(); c != nil {
		return c, true
	}
	return fs.CrashClone(crash), false
}

func openAndClose(t *testing.T, fs vfs.FS) {
	t.Helper()
	l, err := Open("log", Options{FS: fs, Logf: func(string, ...any) {}})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestFirstStart_CutShort: a first start that ends anywhere leaves a folder that the next start takes.
func TestFirstStart_CutShort(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 9))
	for _, percent := range []int{0, 50, 100} {
		for n, more := int64(0), true; more; n++ {
			var fs *vfs.MemFS
			fs, more = cutShort(t, vfs.NewCrashableMem(), "log", n, vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: rng}, func(fs vfs.FS) { openAndClose(t, fs) })
			l, err := Open("log", Options{FS: fs, Logf: func(string, ...any) {}})
			if err != nil {
				t.Fatalf("after %d changes, of which %d %% survived: %v", n, percent, err)
			}
			mustAppend(t, l, "a", "s")
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			if !more && n < 20 {
				t.Fatalf("a first start makes %d changes", n)
			}
		}
	}
}

// TestUpgrade_CutShort: so it is with the first start on a folder that had no proof, and with any after a crash.
func TestUpgrade_CutShort(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 9))
	for name, old := range map[string]*vfs.MemFS{"format 1": killed(t, 10, 0), "killed": killed(t, 10, 0)} {
		if name == "format 1" {
			if err := errors.Join(old.Remove("log/"+proofFile), replace(old, "log/"+formatFile, []byte("projectionist-log 1\n"))); err != nil {
				t.Fatal(err)
			}
		}
		for _, percent := range []int{0, 100} {
			for n, more := int64(0), true; more; n++ {
				var fs *vfs.MemFS
				fs, more = cutShort(t, clone(old), "log", n, vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: rng}, func(fs vfs.FS) { openAndClose(t, fs) })
				l, err := Open("log", Options{FS: fs, Logf: func(string, ...any) {}})
				if err != nil {
					t.Fatalf("%s, after %d changes, of which %d %% survived: %v", name, n, percent, err)
				}
				if head := headOf(t, l); head != 10 {
					t.Fatalf("%s, after %d changes: head %d", name, n, head)
				}
				if err := l.Close(); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

// TestOpen_FullDisk: what is in the WAL cannot be written to tables. Pebble would try for ever.
func TestOpen_FullDisk(t *testing.T) {
	fs := killed(t, 10, 0)
	var mended atomic.Bool
	full := errorfs.Wrap(fs, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if !mended.Load() && strings.HasSuffix(op.Path, ".sst") && op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
			return errors.New("injected: no space left on device")
		}
		return nil
	}))
	_, err := Open("log", Options{FS: full, Logf: func(string, ...any) {}})
	wantError(t, err, fault.Unavailable, "no space left on device", "log")
	mended.Store(true)
	for { // until Pebble has found out
		l, err := Open("log", Options{FS: full, Logf: func(string, ...any) {}})
		if err == nil {
			if head := headOf(t, l); head != 10 {
				t.Errorf("head %d", head)
			}
			l.Close()
			return
		}
		runtime.Gosched()
	}
}

// TestOpen_BackgroundErrors: only what keeps the WAL from being written to tables keeps a log from being opened, not
// damage that a compaction meets meanwhile.
func TestOpen_BackgroundErrors(t *testing.T) {
	l := &Log{opts: Options{Logf: t.Logf}}
	failed := make(chan error, openTries)
	l.opening.Store(&failed)
	for range 2 * openTries {
		l.backgroundError(errors.New("a damaged table cannot be compacted"))
		l.flushed(pebble.FlushInfo{})
	}
	if len(failed) != 0 {
		t.Errorf("%d errors count; want none", len(failed))
	}
	for range 2 * openTries {
		l.flushed(pebble.FlushInfo{Err: errors.New("no space left on device")})
	}
	if len(failed) != openTries {
		t.Errorf("%d errors count; want %d", len(failed), openTries)
	}
}

// TestCheckpoint_CutShort: a backup that ends anywhere is refused, or it is whole; or nothing was begun.
func TestCheckpoint_CutShort(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 9))
	src := killed(t, 30, 10)
	refused := 0
	for _, percent := range []int{0, 50, 100} {
		for n, more := int64(0), true; more; n++ {
			var fs *vfs.MemFS
			fs, more = cutShort(t, clone(src), "backup", n, vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: rng}, func(fs vfs.FS) {
				l := mustOpen(t, "log", Options{FS: fs})
				if err := l.Checkpoint("backup"); err != nil {
					t.Fatal(err)
				}
				if err := l.Close(); err != nil {
					t.Fatal(err)
				}
			})
			names, listed := fs.List("backup")
			l, err := Open("backup", Options{FS: fs, Logf: func(string, ...any) {}})
			if err != nil {
				wantError(t, err, fault.Corrupt, "backup")
				refused++
				continue
			}
			if head := headOf(t, l); head != 30 && listed == nil && len(names) > 0 {
				t.Fatalf("after %d changes, of which %d %% survived, the backup opens with %d of 30 records: %v", n, percent, head, names)
			}
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			if !more && n < 10 {
				t.Fatalf("a backup makes %d changes", n)
			}
		}
	}
	if refused == 0 {
		t.Error("no backup was refused")
	}
}

// TestCheckpoint_Fails: a backup that cannot be written is an error, and refused; the log goes on.
func TestCheckpoint_Fails(t *testing.T) {
	fs := killed(t, 30, 10)
	for n := int64(0); ; n++ {
		var ops atomic.Int64
		dir := fmt.Sprint("backup", n)
		broken := errorfs.Wrap(fs, errorfs.InjectorFunc(func(op errorfs.Op) error {
			if strings.HasPrefix(op.Path, dir) && op.Kind.ReadOrWrite() == errorfs.OpIsWrite && ops.Add(1) > n {
				return errors.New("injected: no space left on device")
			}
			return nil
		}))
		l := mustOpen(t, "log", Options{FS: broken, Fatal: func(err error) { t.Errorf("the process would end: %v", err) }})
		err := l.Checkpoint(dir)
		if failed := ops.Load() > n; failed != (err != nil) {
			t.Fatalf("after %d changes: %v", n, err)
		}
		if err := publish(l, "x"); err != nil {
			t.Fatal(err)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if err == nil {
			openAndClose(t, fs)
			return
		}
		if names, listed := fs.List(dir); listed == nil && len(names) > 0 {
			b, err := Open(dir, Options{FS: fs, Logf: func(string, ...any) {}})
			if err == nil { // the last change failed, which is not needed
				if head := headOf(t, b); head != 30+n {
					t.Fatalf("after %d changes the backup opens with %d records of %d", n, head, 30+n)
				}
				if err := b.Close(); err != nil {
					t.Fatal(err)
				}
				continue
			}
			wantError(t, err, fault.Corrupt, dir)
		}
	}
}
