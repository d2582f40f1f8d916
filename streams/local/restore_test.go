package local

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/streams"
	"github.com/projectionist/projectionist/streams/conformance"
)

func TestRestore(t *testing.T) {
	for _, c := range []struct {
		name string
		fs   func() vfs.FS
	}{
		{"Mem", func() vfs.FS { return vfs.NewMem() }},
		{"Disk", func() vfs.FS { return vfs.Default }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			conformance.RunRestore(t, conformance.Restoring{
				Open: func(t testing.TB, restoring bool) streams.Log {
					return mustOpen(t, t.TempDir(), Options{FS: c.fs(), Restoring: restoring})
				},
				Reopen: func(t testing.TB, log streams.Log, restoring bool) (streams.Log, error) {
					l := log.(*Log)
					if err := l.Close(); err != nil {
						t.Fatal(err)
					}
					l, err := Open(l.dir, Options{FS: l.opts.FS, Restoring: restoring, Logf: t.Logf})
					if err != nil {
						return nil, err
					}
					t.Cleanup(func() { l.Close() })
					return l, nil
				},
			})
		})
	}
}

// filled is a log with random holes, and its records' offsets.
func filled(t *testing.T, fs vfs.FS, tp streams.TP, n int) (*Log, []int64) {
	t.Helper()
	r := rand.New(rand.NewPCG(1, 2))
	l := mustOpen(t, "log", Options{FS: fs, Restoring: true})
	var recs []streams.Record
	var offsets []int64
	next := int64(0)
	for i := range n {
		if r.IntN(3) == 0 {
			next += r.Int64N(1000)
		}
		offsets = append(offsets, next)
		recs = append(recs, streams.Record{Position: streams.Position{TP: tp, Offset: next}, Recorded: time.UnixMilli(int64(i / 3)), Value: []byte{byte(i)}})
		next++
	}
	if err := l.Restore(t.Context(), tp, recs); err != nil {
		t.Fatal(err)
	}
	if err := l.Restored(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return mustOpen(t, "log", Options{FS: fs}), offsets
}

// TestHoles: what serves Kafka's protocol passes over holes, and a missing record is not taken for one.
func TestHoles(t *testing.T) {
	tp := streams.TP{Topic: events.DriftAlertsTopic}
	l, offsets := filled(t, vfs.NewMem(), tp, 500)
	for i := range offsets {
		from := offsets[i] - int64(i%3)
		want := i
		for want > 0 && offsets[want-1] >= from {
			want--
		}
		err := l.ReadTails(t.Context(), tp, max(from, 0), func(offset, millis int64, _ []byte) bool {
			if offset != offsets[want] || millis != int64(want/3) {
				t.Fatalf("from %d: offset %d, %d ms; want record %d, at %d", from, offset, millis, want, offsets[want])
			}
			want++
			return want < len(offsets) && want < i+20
		})
		if err != nil {
			t.Fatal(err)
		}
		if head, err := l.Feed().Head(t.Context(), tp, time.UnixMilli(int64(i/3))); err != nil || head != offsets[min(i/3*3+2, len(offsets)-1)]+1 {
			t.Fatalf("head at %d ms: %d, %v", i/3, head, err)
		}
	}
	for i, at := range []int{0, 1, 250, 498} {
		p, err := l.partition(tp)
		if err != nil {
			t.Fatal(err)
		}
		if err := l.db.Delete(p.key(offsets[at]), pebble.Sync); err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, err := range l.Feed().Read(t.Context(), tp, max(0, offsets[at]-1)) {
			if n++; err != nil {
				if !fault.Is(err, fault.Corrupt) {
					t.Fatal(err)
				}
				n = -1
				break
			}
		}
		if n >= 0 {
			t.Fatalf("%d: record %d is missing, and %d others are read", i, at, n)
		}
	}
}

// TestRestore_Backup: the backup of half a log is half a log.
func TestRestore_Backup(t *testing.T) {
	fs := vfs.NewMem()
	l := mustOpen(t, "log", Options{FS: fs, Restoring: true})
	if err := l.Checkpoint("backup"); err != nil {
		t.Fatal(err)
	}
	if _, err := Open("backup", Options{FS: fs, Logf: t.Logf}); !fault.Is(err, fault.Corrupt) {
		t.Fatalf("the backup of half a log opens: %v", err)
	}
	mustOpen(t, "backup", Options{FS: fs, Restoring: true})
}

// BenchmarkRestore has calls of 8192 records.
func BenchmarkRestore(b *testing.B) {
	const n = 8192
	fact, err := streams.FactRecord("42", &events.Event{ID: "i/1", Source: "importer", Time: time.UnixMilli(1), Actor: "importer",
		Data: &events.Interaction{UserID: "42", MovieID: "4711", Kind: "rating", Timestamp: "2024-01-02T03:04:05Z", Rating: 4.5}})
	if err != nil {
		b.Fatal(err)
	}
	b.Run("Facts", func(b *testing.B) {
		l, err := Open(b.TempDir(), Options{Restoring: true})
		if err != nil {
			b.Fatal(err)
		}
		defer l.Close()
		tp := streams.TP{Topic: events.UserEventsTopic}
		recs := make([]streams.Record, n)
		next := int64(0)
		for b.Loop() {
			for i := range recs {
				recs[i] = fact
				recs[i].Offset, recs[i].Recorded = next, time.UnixMilli(next)
				next++
			}
			if err := l.Restore(b.Context(), tp, recs); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(next)/b.Elapsed().Seconds(), "records/s")
	})
	b.Run("Commits", func(b *testing.B) {
		l, err := Open(b.TempDir(), Options{Restoring: true})
		if err != nil {
			b.Fatal(err)
		}
		defer l.Close()
		next := int64(0)
		for b.Loop() {
			b.StopTimer()
			recs := make([]streams.Record, n)
			for i := range recs {
				c := testCommit(fmt.Sprintf("0199c1a2-7a3b-7000-8000-%012d", next), fmt.Sprint("run/", next/10), streams.AnyRevision, 1)
				if recs[i], err = streams.CommitRecord(c); err != nil {
					b.Fatal(err)
				}
				recs[i].Offset, recs[i].Recorded = next, time.UnixMilli(next)
				next++
			}
			b.StartTimer()
			if err := l.Restore(b.Context(), streams.TP{Topic: events.LedgerTopic}, recs); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(next)/b.Elapsed().Seconds(), "commits/s")
	})
}

// TestRestore_Crash cuts the power while a log is filled: what was acknowledged is there, the mark too,
// and the filling goes on at the head.
func TestRestore_Crash(t *testing.T) {
	const n = 4000
	tp := streams.TP{Topic: events.DriftAlertsTopic}
	rng := rand.New(rand.NewPCG(3, 4))
	fs := vfs.NewCrashableMem()
	record := func(i int64) streams.Record {
		return streams.Record{Position: streams.Position{TP: tp, Offset: 3 * i}, Recorded: time.UnixMilli(i), Value: fmt.Append(nil, i)}
	}
	crashes := 0
	for next := int64(0); next < n; {
		l := mustOpen(t, "log", Options{FS: fs, Restoring: true})
		head, err := l.Feed().Head(t.Context(), tp, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		if have := (head + 2) / 3; have < next {
			t.Fatalf("%d records are left of %d", have, next)
		} else {
			next = have
		}
		for range 1 + rng.IntN(5) {
			var recs []streams.Record
			for range min(int64(1+rng.IntN(300)), n-next) {
				recs = append(recs, record(next))
				next++
			}
			if err := l.Restore(t.Context(), tp, recs); err != nil {
				t.Fatal(err)
			}
		}
		crashed := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rng.IntN(101), RNG: rng})
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		fs = crashed
		if _, err := Open("log", Options{FS: fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rng}), Logf: t.Logf}); !fault.Is(err, fault.Corrupt) {
			t.Fatalf("half a log opens: %v", err)
		}
		crashes++
	}
	if crashes < 3 {
		t.Fatalf("%d crashes", crashes)
	}
	l := mustOpen(t, "log", Options{FS: fs, Restoring: true})
	if err := l.Restored(t.Context()); err != nil {
		t.Fatal(err)
	}
	fs = fs.CrashClone(vfs.CrashCloneCfg{RNG: rng})
	l = mustOpen(t, "log", Options{FS: fs})
	i := int64(0)
	for r, err := range l.Feed().Read(t.Context(), tp, 0) {
		if err != nil {
			t.Fatal(err)
		}
		if want := record(i); r.Position != want.Position || !r.Recorded.Equal(want.Recorded) || string(r.Value) != string(want.Value) {
			t.Fatalf("record %d is %+v", i, r)
		}
		i++
	}
	if i != n {
		t.Fatalf("%d records of %d", i, n)
	}
}
