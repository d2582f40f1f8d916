package local

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/streams"
)

func testCommit(id, stream string, expected streams.Revision, n int) streams.Commit {
	c := streams.Commit{ID: id, Stream: stream, Expected: expected}
	for i := range n {
		c.Events = append(c.Events, events.Event{ID: fmt.Sprint(id, "/", i), Source: "/test", Subject: stream, Time: time.UnixMilli(1).UTC(),
			Data: &events.ModelAliasSet{Name: id, Alias: "a", Version: i}})
	}
	return c
}

func testRecord(key string, n int) streams.Record {
	return streams.Record{Key: []byte(key), Value: binary.BigEndian.AppendUint64(nil, uint64(n))}
}

// TestCrash cuts the power of a file system in memory at random moments, while writers write: of what
// was not synced any part may be left. What was acknowledged has to be there, and of every writer's
// sequence a prefix.
func TestCrash(t *testing.T) {
	const writers, rounds = 6, 12
	pad := make([]byte, groupBytes/2)
	for round := range rounds {
		rng := rand.New(rand.NewPCG(7, uint64(round)))
		fs := vfs.NewCrashableMem()
		var ackedCommits, ackedFacts, sentCommits, sentFacts [writers]atomic.Int64
		for life := range 3 {
			l := mustOpen(t, "log", Options{FS: fs})
			if life > 0 {
				checkAfterCrash(t, l, &ackedCommits, &ackedFacts, &sentCommits, &sentFacts)
				if t.Failed() {
					return
				}
			}
			stop := make(chan struct{})
			var work sync.WaitGroup
			running := func() bool {
				select {
				case <-stop:
					return false
				default:
					return true
				}
			}
			for w := range writers {
				work.Go(func() {
					for n := sentCommits[w].Load(); running(); n++ {
						sentCommits[w].Store(n + 1)
						stream := "run/" + strconv.Itoa(w%3)
						if _, err := l.Ledger().Append(context.Background(), testCommit(fmt.Sprintf("w%d-%d", w, n), stream, streams.AnyRevision, 1+int(n%3))); err != nil {
							t.Error(err)
							return
						}
						ackedCommits[w].Store(n + 1)
					}
				})
				work.Go(func() {
					for n := sentFacts[w].Load(); running(); {
						size := 1 + n%7
						sentFacts[w].Store(n + size)
						var recs []streams.Record
						for i := range size {
							r := testRecord(strconv.Itoa(w), int(n+i))
							if n%5 == 0 { // so large that it is cut into several requests
								r.Headers = []streams.Header{{Key: "pad", Value: pad}}
							}
							recs = append(recs, r)
						}
						if err := l.Feed().Publish(context.Background(), events.UserEventsTopic, recs); err != nil {
							t.Error(err)
							return
						}
						n += size
						ackedFacts[w].Store(n)
					}
				})
			}
			time.Sleep(time.Duration(rng.IntN(15_000)) * time.Microsecond)
			// What is acknowledged before the crash has to survive it; what is after may.
			var commits, facts [writers]int64
			for w := range writers {
				commits[w], facts[w] = ackedCommits[w].Load(), ackedFacts[w].Load()
			}
			crashed := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rng.IntN(101), RNG: rng})
			close(stop)
			work.Wait()
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			fs = crashed
			for w := range writers {
				ackedCommits[w].Store(commits[w])
				ackedFacts[w].Store(facts[w])
			}
		}
	}
}

// checkAfterCrash checks the log and sets every writer's counters to what it found.
func checkAfterCrash[N ~[6]atomic.Int64](t *testing.T, l *Log, ackedCommits, ackedFacts, sentCommits, sentFacts *N) {
	t.Helper()
	ctx := context.Background()
	var commits, facts [6]int64
	revisions := map[string]streams.Revision{}
	var offset int64
	for c, err := range l.Ledger().Read(ctx, 0) {
		if err != nil {
			t.Fatal(err)
		}
		if c.Position.Offset != offset || c.Revision != revisions[c.Stream] {
			t.Errorf("commit at %s revision %d; want offset %d revision %d", c.Position, c.Revision, offset, revisions[c.Stream])
		}
		offset++
		revisions[c.Stream] += streams.Revision(len(c.Events))
		var w int
		var n int64
		if _, err := fmt.Sscanf(c.ID, "w%d-%d", &w, &n); err != nil || n != commits[w] {
			t.Errorf("commit %s where writer %d's number %d was to come", c.ID, w, commits[w])
			return
		}
		commits[w]++
		// The index of ids crashed with the records: a repeat is known.
		if n%5 == 0 {
			r, err := l.Ledger().Append(ctx, testCommit(c.ID, c.Stream, streams.AnyRevision, len(c.Events)))
			if err != nil || !r.Duplicate || r.Position != c.Position {
				t.Errorf("repeat of %s: %+v, %v", c.ID, r, err)
			}
		}
	}
	for stream, next := range revisions {
		var seen streams.Revision
		for c, err := range l.Ledger().ReadStream(ctx, stream, 0) {
			if err != nil || c.Revision != seen {
				t.Errorf("%s at revision %d: %v", stream, seen, err)
				return
			}
			seen += streams.Revision(len(c.Events))
		}
		if seen != next {
			t.Errorf("the index of %s has %d events of %d", stream, seen, next)
		}
	}
	for p := range int32(3) {
		var next int64
		for r, err := range l.Feed().Read(ctx, streams.TP{Topic: events.UserEventsTopic, Partition: p}, 0) {
			if err != nil {
				t.Fatal(err)
			}
			w, _ := strconv.Atoi(string(r.Key))
			if n := int64(binary.BigEndian.Uint64(r.Value)); r.Offset != next || n != facts[w] {
				t.Errorf("%s holds writer %d's record %d; want offset %d, record %d", r.Position, w, n, next, facts[w])
				return
			}
			next++
			facts[w]++
		}
	}
	for w := range commits {
		if a, s := (*ackedCommits)[w].Load(), (*sentCommits)[w].Load(); commits[w] < a || commits[w] > s {
			t.Errorf("writer %d: %d commits are left of %d acknowledged and %d sent", w, commits[w], a, s)
		}
		if a, s := (*ackedFacts)[w].Load(), (*sentFacts)[w].Load(); facts[w] < a || facts[w] > s {
			t.Errorf("writer %d: %d facts are left of %d acknowledged and %d sent", w, facts[w], a, s)
		}
		(*sentCommits)[w].Store(commits[w])
		(*sentFacts)[w].Store(facts[w])
	}
}
