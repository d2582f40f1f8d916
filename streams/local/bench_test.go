package local

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/streams"
	"github.com/projectionist/projectionist/streams/internal/lookup"
)

func openBench(b *testing.B) (*Log, string) {
	b.Helper()
	dir := filepath.Join(b.TempDir(), "log")
	l, err := Open(dir, Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { l.Close() })
	return l, dir
}

func benchCommit(id string, stream string) streams.Commit {
	return streams.Commit{ID: id, Stream: stream, Expected: streams.AnyRevision, Events: []events.Event{{
		ID: id + "/0", Source: "/bench", Subject: stream, Time: time.UnixMilli(1_700_000_000_000).UTC(),
		Data: &events.ModelAliasSet{Name: "als", Alias: "champion", Version: 7},
	}}}
}

func p50(d []time.Duration) time.Duration {
	slices.Sort(d)
	return d[len(d)/2]
}

// fsyncer writes some bytes and syncs them, on the same disk and, as a WAL does it, into space that is
// already allocated.
func fsyncer(b *testing.B, dir string) func() time.Duration {
	b.Helper()
	f, err := os.Create(filepath.Join(dir, "fsync"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { f.Close() })
	buf := make([]byte, 600)
	const slots = 10_000
	if _, err := f.Write(make([]byte, slots*len(buf))); err != nil {
		b.Fatal(err)
	}
	if err := f.Sync(); err != nil {
		b.Fatal(err)
	}
	i := 0
	return func() time.Duration {
		t := time.Now()
		if _, err := f.WriteAt(buf, int64(i%slots*len(buf))); err != nil {
			b.Fatal(err)
		}
		if err := f.Sync(); err != nil {
			b.Fatal(err)
		}
		i++
		return time.Since(t)
	}
}

// BenchmarkAppend is one caller's durable commit, in turn with one fsync on the same disk.
func BenchmarkAppend(b *testing.B) {
	l, dir := openBench(b)
	fsync := fsyncer(b, filepath.Dir(dir))
	led := l.Ledger()
	var took, syncs []time.Duration
	b.ResetTimer()
	for i := range b.N {
		syncs = append(syncs, fsync())
		c := benchCommit("c"+strconv.Itoa(i), "model/als")
		t := time.Now()
		if _, err := led.Append(context.Background(), c); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(t))
	}
	b.StopTimer()
	p, sync := p50(took), p50(syncs)
	b.ReportMetric(float64(p.Microseconds()), "p50-µs")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
	b.ReportMetric(float64(sync.Microseconds()), "fsync-p50-µs")
	b.ReportMetric(float64(p)/float64(sync), "p50/fsync")
}

const benchWriters = 64

// parallel runs fn for first+1..first+n on 64 goroutines.
func parallel(first, n int64, fn func(i int64)) time.Duration {
	var next atomic.Int64
	var wg sync.WaitGroup
	start := time.Now()
	for range benchWriters {
		wg.Go(func() {
			for i := next.Add(1); i <= n; i = next.Add(1) {
				fn(first + i)
			}
		})
	}
	wg.Wait()
	return time.Since(start)
}

// BenchmarkAppend64 is 64 callers' durable commits, in turn with Pebble's own group commit: as many
// goroutines that each commit a synced batch of the same keys and values.
func BenchmarkAppend64(b *testing.B) {
	l, dir := openBench(b)
	led := l.Ledger()
	peerOptions := l.pebbleOptions()
	db, err := pebble.Open(filepath.Join(filepath.Dir(dir), "peer"), peerOptions)
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	commit := func(i int64) streams.Commit {
		return benchCommit("c"+strconv.FormatInt(i, 10), "model/"+strconv.FormatInt(i%1000, 10))
	}
	b.ResetTimer()
	var ours, peers time.Duration
	n := int64(0)
	const round = 2000
	for ; n < int64(b.N); n += round {
		ours += parallel(n, round, func(i int64) {
			if _, err := led.Append(context.Background(), commit(i)); err != nil {
				b.Error(err)
			}
		})
		peers += parallel(n, round, func(i int64) {
			c := commit(i)
			rec, err := streams.CommitRecord(c)
			if err != nil {
				b.Error(err)
			}
			batch := db.NewBatch()
			batch.Set(l.ledger.key(i), streams.AppendTail(lookup.AppendHead(nil, i, 0), &rec), nil)
			batch.Set(lookup.StreamKey(c.Stream, streams.Revision(i)), make([]byte, 8), nil)
			batch.Set(lookup.CommitKey(c.ID), lookup.AppendEntry(nil, lookup.Entry{Offset: i, Stream: c.Stream}), nil)
			if err := batch.Commit(pebble.Sync); err != nil {
				b.Error(err)
			}
			batch.Close()
		})
	}
	b.StopTimer()
	s := l.Stats()
	b.ReportMetric(float64(n)/ours.Seconds(), "appends/s")
	b.ReportMetric(float64(n)/peers.Seconds(), "peer/s")
	b.ReportMetric(peers.Seconds()/ours.Seconds(), "of-peer")
	b.ReportMetric(float64(s.Commits)/float64(s.Syncs), "commits/group")
}

type factSource struct {
	enc  streams.FactEncoder
	recs []streams.Record
	ev   events.Event
	data events.Interaction
}

// batch makes n facts as an import does: every one with its own id, people and films in turn.
func (s *factSource) batch(b testing.TB, first, n int) []streams.Record {
	s.enc.Reset()
	s.recs = s.recs[:0]
	for i := first; i < first+n; i++ {
		user := strconv.Itoa(i * 7919 % 100_000)
		at := time.UnixMilli(1_400_000_000_000 + int64(i)*1000).UTC()
		s.data = events.Interaction{UserID: user, MovieID: strconv.Itoa(i % 27_000), Kind: "rating", Timestamp: events.FormatTime(at), Rating: float64(i%10+1) / 2}
		s.ev = events.Event{ID: "ml-" + strconv.Itoa(i), Source: "/import/movielens", Time: at, Actor: "importer", Correlation: "import/4f2c", Data: &s.data}
		var err error
		if s.recs, err = s.enc.Append(s.recs, user, &s.ev); err != nil {
			b.Fatal(err)
		}
	}
	return s.recs
}

// BenchmarkPublish is a bulk import of facts, encoding included; ns/op is per fact.
func BenchmarkPublish(b *testing.B) {
	const size = 10_000
	for _, callers := range []int{1, 2} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			l, _ := openBench(b)
			var next atomic.Int64
			var wg sync.WaitGroup
			b.ResetTimer()
			for range callers {
				wg.Go(func() {
					var s factSource
					for {
						first := int(next.Add(size)) - size
						if first >= b.N {
							return
						}
						if err := l.Feed().Publish(context.Background(), events.UserEventsTopic, s.batch(b, first, min(size, b.N-first))); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			b.StopTimer()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "facts/s")
			b.ReportMetric(float64(l.Stats().Bytes)/float64(b.N), "B/fact")
			b.ReportMetric(float64(l.Stats().Syncs), "groups")
			m := l.db.Metrics()
			b.ReportMetric(float64(m.DiskSpaceUsage())/float64(b.N), "disk-B/fact")
			total := m.Total()
			b.ReportMetric(total.WriteAmp(), "write-amp")
		})
	}
}

func fill(b *testing.B, l *Log, n int) {
	b.Helper()
	var s factSource
	for first := 0; first < n; first += 10_000 {
		if err := l.Feed().Publish(context.Background(), events.UserEventsTopic, s.batch(b, first, min(10_000, n-first))); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkScan reads records without decoding their payload; ns/op is per record.
func BenchmarkScan(b *testing.B) {
	const n = 2_000_000
	l, _ := openBench(b)
	fill(b, l, n)
	b.ResetTimer()
	bytes, seen := 0, 0
	for seen < b.N {
		for p := int32(0); p < 3 && seen < b.N; p++ {
			for rec, err := range l.Feed().Read(context.Background(), streams.TP{Topic: events.UserEventsTopic, Partition: p}, 0) {
				if err != nil {
					b.Fatal(err)
				}
				bytes += len(rec.Value)
				if seen++; seen >= b.N {
					break
				}
			}
		}
	}
	b.StopTimer()
	b.SetBytes(int64(bytes / max(seen, 1)))
	b.ReportMetric(float64(seen)/b.Elapsed().Seconds(), "records/s")
}

// BenchmarkReadFact reads and decodes facts as a projection does; ns/op is per fact.
func BenchmarkReadFact(b *testing.B) {
	l, _ := openBench(b)
	fill(b, l, 300_000)
	b.ResetTimer()
	b.ReportAllocs()
	seen := 0
	for seen < b.N {
		for rec, err := range l.Feed().Read(context.Background(), streams.TP{Topic: events.UserEventsTopic}, 0) {
			if err != nil {
				b.Fatal(err)
			}
			if _, err := streams.ReadFact(rec); err != nil {
				b.Fatal(err)
			}
			if seen++; seen >= b.N {
				break
			}
		}
	}
	b.ReportMetric(float64(seen)/b.Elapsed().Seconds(), "facts/s")
}

// BenchmarkOpen opens a log that was copied while it ran, so that its WAL has to be replayed, as after
// a SIGKILL.
func BenchmarkOpen(b *testing.B) {
	n := 5_000_000
	if s := os.Getenv("OPEN_RECORDS"); s != "" {
		n, _ = strconv.Atoi(s)
	}
	l, dir := openBench(b)
	fill(b, l, n)
	b.ResetTimer()
	for i := range b.N {
		b.StopTimer()
		copied := filepath.Join(filepath.Dir(dir), fmt.Sprint("copy", i))
		if err := l.Checkpoint(copied); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		c, err := Open(copied, Options{})
		if err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		total := int64(0)
		for p := int32(0); p < 3; p++ {
			head, err := c.Feed().Head(context.Background(), streams.TP{Topic: events.UserEventsTopic, Partition: p}, time.Time{})
			if err != nil {
				b.Fatal(err)
			}
			total += head
		}
		if total != int64(n) {
			b.Fatalf("%d records of %d", total, n)
		}
		c.Close()
		b.StartTimer()
	}
	b.ReportMetric(float64(n), "records")
}
