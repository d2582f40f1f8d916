package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/streams"
)

// killed is the folder of a log that was killed after it had acknowledged so many facts and commits.
func killed(t *testing.T, facts, commits int) *vfs.MemFS {
	t.Helper()
	fs := vfs.NewCrashableMem()
	l := mustOpen(t, "log", Options{FS: fs})
	for i := range max(facts, commits) {
		if i < facts {
			if err := publish(l, fmt.Sprint(i)); err != nil {
				t.Fatal(err)
			}
		}
		if i < commits {
			mustAppend(t, l, fmt.Sprint("c", i), "s")
		}
	}
	return clone(fs)
}

func clone(fs *vfs.MemFS) *vfs.MemFS {
	return fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rand.New(rand.NewPCG(1, 1))})
}

// lastWAL is the WAL that is written to.
func lastWAL(t *testing.T, fs vfs.FS) string {
	t.Helper()
	names, err := fs.List("log/" + pebbleDir)
	if err != nil {
		t.Fatal(err)
	}
	names = slices.DeleteFunc(names, func(n string) bool { return !strings.HasSuffix(n, ".log") })
	if len(names) == 0 {
		t.Fatal("no WAL")
	}
	return "log/" + pebbleDir + "/" + slices.Max(names)
}

// cutWAL damages the WAL's end: Pebble takes what follows a fraction of it for unwritten.
func cutWAL(t *testing.T, fs vfs.FS, fraction float64) {
	t.Helper()
	b, err := readFile(fs, lastWAL(t, fs))
	if err != nil {
		t.Fatal(err)
	}
	used := len(b)
	for used > 0 && b[used-1] == 0 {
		used--
	}
	if used > 32<<10 {
		t.Fatalf("%d bytes are more than a block of the WAL, where Pebble finds damage itself", used)
	}
	b[int(float64(used)*fraction)] ^= 0x10
	if err := replace(fs, lastWAL(t, fs), b); err != nil {
		t.Fatal(err)
	}
}

func valuesOf(t *testing.T, l *Log) (values []string) {
	t.Helper()
	for r, err := range l.Feed().Read(context.Background(), driftTP, 0) {
		if err != nil {
			t.Fatal(err)
		}
		values = append(values, fmt.Sprintf("%d:%s", r.Offset, r.Value))
	}
	return values
}

func headOf(t *testing.T, l *Log) int64 {
	t.Helper()
	head, err := l.Feed().Head(context.Background(), driftTP, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	return head
}

// TestShortfall: a log whose end is gone is refused, and what is missing is named. Given up by an operator, it is
// written down, and its offsets are not given out again.
func TestShortfall(t *testing.T) {
	const facts, commits = 40, 20
	for name, damage := range map[string]func(t *testing.T, fs vfs.FS){
		"a bit of the WAL flipped": func(t *testing.T, fs vfs.FS) { cutWAL(t, fs, .7) },
		"the WAL gone": func(t *testing.T, fs vfs.FS) {
			if err := fs.Remove(lastWAL(t, fs)); err != nil {
				t.Fatal(err)
			}
		},
		"the WAL emptied": func(t *testing.T, fs vfs.FS) {
			if err := replace(fs, lastWAL(t, fs), nil); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			fs := killed(t, facts, commits)
			damage(t, fs)
			_, err := Open("log", Options{FS: fs, Logf: t.Logf})
			wantError(t, err, fault.Corrupt, driftTP.String(), "of 40 records", "to 39 are missing", "mlops-events/0", "of 20 records", "write-ahead log", "backup", "accept-loss")
			var short *Shortfall
			if !errors.As(err, &short) || len(short.Missing) != 2 || short.Bare != 0 {
				t.Fatalf("%v; want a shortfall of two partitions", err)
			}
			gone := short.Missing[1]
			if gone.TP != driftTP || gone.To != facts {
				t.Fatalf("missing %+v", short.Missing)
			}

			now := time.UnixMilli(time.Now().UnixMilli()).UTC()
			l := mustOpen(t, "log", Options{FS: fs, AcceptLoss: "the disk was old", Now: func() time.Time { return now }})
			var want []string
			for i := range gone.From {
				want = append(want, fmt.Sprintf("%d:%d", i, i))
			}
			if have := valuesOf(t, l); !slices.Equal(have, want) || headOf(t, l) != gone.From {
				t.Fatalf("%v up to %d; want %v", have, headOf(t, l), want)
			}
			// What is judged by the ledger's end does not wait for what is not there.
			head := short.Missing[0].From - 1
			_, err = l.Ledger().Append(context.Background(), testCommit("x", "s", streams.Revision(head+7), 1))
			wantError(t, err, fault.Conflict)
			if r := mustAppend(t, l, "y", "s"); r.Position.Offset != commits || r.Revision != streams.Revision(head+1) {
				t.Errorf("a commit is given %+v; want offset %d and revision %d", r, commits, head+1)
			}
			if err := publish(l, "after"); err != nil {
				t.Fatal(err)
			}
			want = append(want, fmt.Sprintf("%d:after", facts))
			losses := []Loss{{short.Missing[0], now, "the disk was old"}, {gone, now, "the disk was old"}}
			for life, reopened := range []*Log{l, mustOpen(t, "log", Options{FS: clone(fs)}), nil} {
				if reopened == nil {
					if err := l.Close(); err != nil {
						t.Fatal(err)
					}
					reopened = mustOpen(t, "log", Options{FS: fs})
				}
				if have := valuesOf(t, reopened); !slices.Equal(have, want) || headOf(t, reopened) != facts+1 {
					t.Errorf("life %d: %v up to %d; want %v", life, have, headOf(t, reopened), want)
				}
				if have, err := reopened.Losses(); err != nil || !slices.Equal(have, losses) {
					t.Errorf("life %d: losses %+v, %v; want %+v", life, have, err, losses)
				}
				n := 0
				err := reopened.ReadTails(context.Background(), driftTP, gone.From, func(offset, _ int64, _ []byte) bool {
					n++
					return offset == facts
				})
				if err != nil || n != 1 {
					t.Errorf("life %d: from inside the loss %d records, %v; want the one after it", life, n, err)
				}
			}
		})
	}
}

// TestShortfall_Again: what was given up stays so when the WAL is lost again, and what is lost after it is named from
// where it was acknowledged.
func TestShortfall_Again(t *testing.T) {
	fs := killed(t, 40, 0)
	cutWAL(t, fs, .5)
	l := mustOpen(t, "log", Options{FS: fs, AcceptLoss: "one"})
	first := headOf(t, l)
	fs = clone(fs)
	if err := fs.Remove(lastWAL(t, fs)); err != nil {
		t.Fatal(err)
	}
	l = mustOpen(t, "log", Options{FS: fs})
	if err := publish(l, "x"); err != nil {
		t.Fatal(err)
	}
	fs = clone(fs)
	if err := fs.Remove(lastWAL(t, fs)); err != nil {
		t.Fatal(err)
	}
	_, err := Open("log", Options{FS: fs, Logf: t.Logf})
	wantError(t, err, fault.Corrupt, fmt.Sprintf("offsets %d to 40 are missing", first))
	l = mustOpen(t, "log", Options{FS: fs, AcceptLoss: "two"})
	if err := publish(l, "y"); err != nil {
		t.Fatal(err)
	}
	if have := valuesOf(t, l); int64(len(have)) != first+1 || have[first] != "41:y" {
		t.Errorf("%v", have)
	}
	if losses, err := l.Losses(); err != nil || len(losses) != 1 || losses[0].From != first || losses[0].To != 41 || losses[0].Reason != "two" {
		t.Errorf("losses %+v, %v", losses, err)
	}
}

// TestShortfall_NoRecord: offsets of consumer groups are acknowledged too.
func TestShortfall_NoRecord(t *testing.T) {
	fs := vfs.NewCrashableMem()
	l := mustOpen(t, "log", Options{FS: fs})
	if err := publish(l, "x"); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = mustOpen(t, "log", Options{FS: fs})
	for i := range int64(10) {
		if err := l.CommitOffsets("g", []GroupOffset{{TP: driftTP, Offset: i}}); err != nil {
			t.Fatal(err)
		}
	}
	damaged := clone(fs)
	cutWAL(t, damaged, .9)
	_, err := Open("log", Options{FS: damaged, Logf: t.Logf})
	wantError(t, err, fault.Corrupt, "1 writes without a record are missing")
	l = mustOpen(t, "log", Options{FS: damaged, AcceptLoss: "so be it"})
	if losses, err := l.Losses(); err != nil || len(losses) != 1 || losses[0].From != losses[0].To || losses[0].Reason != "so be it" {
		t.Errorf("losses %+v, %v", losses, err)
	}
	if err := publish(l, "y"); err != nil {
		t.Fatal(err)
	}
	if have := valuesOf(t, l); !slices.Equal(have, []string{"0:x", "1:y"}) {
		t.Errorf("%v", have)
	}
}

// TestUnproven: a log that cannot prove its end is refused until that is accepted, even where it is whole.
func TestUnproven(t *testing.T) {
	for name, damage := range map[string]func(fs vfs.FS) error{
		"is gone":    func(fs vfs.FS) error { return fs.Remove("log/" + proofFile) },
		"is damaged": func(fs vfs.FS) error { return replace(fs, "log/"+proofFile, make([]byte, 2*proofPage)) },
	} {
		fsys := killed(t, 5, 0)
		if err := damage(fsys); err != nil {
			t.Fatal(err)
		}
		_, err := Open("log", Options{FS: fsys, Logf: t.Logf})
		wantError(t, err, fault.Corrupt, "END of the log in log "+name, "backup", "accept-loss")
		if errors.Is(err, fs.ErrNotExist) != (name == "is gone") {
			t.Errorf("%s: %v", name, err)
		}
		l := mustOpen(t, "log", Options{FS: fsys, AcceptLoss: "copied by hand"})
		if losses, err := l.Losses(); err != nil || len(losses) != 1 || losses[0].Reason != "copied by hand" {
			t.Errorf("losses %+v, %v", losses, err)
		}
		if head := headOf(t, l); head != 5 {
			t.Errorf("head %d", head)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		mustOpen(t, "log", Options{FS: fsys})
	}
}
