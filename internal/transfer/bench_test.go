package transfer_test

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/transfer"
	"github.com/projectionist/projectionist/streams"
	"github.com/projectionist/projectionist/streams/local"
)

// onDisk is a log in a folder.
func onDisk(t testing.TB) place {
	dir := t.TempDir()
	return func(t testing.TB, restoring bool) (streams.Log, error) {
		return local.Open(dir, local.Options{Restoring: restoring, Logf: t.Logf})
	}
}

// made is a log of facts on one partition, or of commits.
func made(b *testing.B, house place, facts, commits int64) streams.Log {
	b.Helper()
	l := house.open(b, true).(streams.Restorer)
	at := time.Date(2024, 5, 6, 7, 8, 9, 0, time.UTC)
	write := func(tp streams.TP, n int64, make func(i int64) (streams.Record, error)) {
		for i := int64(0); i < n; {
			var recs []streams.Record
			for range min(8192, n-i) {
				r, err := make(i)
				if err != nil {
					b.Fatal(err)
				}
				r.Offset, r.Recorded = i, at.Add(time.Duration(i)*time.Millisecond)
				recs = append(recs, r)
				i++
			}
			if err := l.Restore(b.Context(), tp, recs); err != nil {
				b.Fatal(err)
			}
		}
	}
	write(streams.TP{Topic: events.UserEventsTopic}, facts, func(i int64) (streams.Record, error) {
		user := strconv.FormatInt(i%1000, 10)
		return streams.FactRecord(user, &events.Event{ID: "ml/" + strconv.FormatInt(i, 10), Source: "importer", Time: at, Actor: "importer",
			Data: &events.Interaction{UserID: user, MovieID: "4711", Kind: "rating", Timestamp: events.FormatTime(at), Rating: 4.5}})
	})
	write(streams.TP{Topic: events.LedgerTopic}, commits, func(i int64) (streams.Record, error) {
		id := fmt.Sprintf("0199c1a2-7a3b-7000-8000-%012d", i)
		return streams.CommitRecord(streams.Commit{ID: id, Stream: fmt.Sprint("model/", i/10), Expected: streams.Revision(i%10) - 1, Events: []events.Event{{
			ID: id, Source: "/test", Time: at, Actor: "user:anna", Data: &events.ModelAliasSet{Name: "als", Alias: "champion", Version: 1}}}})
	})
	return l
}

// BenchmarkCopy copies a million facts, and then two hundred thousand commits, and compares. Between logs on
// disk, to Kafka and from it.
func BenchmarkCopy(b *testing.B) {
	for _, kind := range []struct {
		name           string
		facts, commits int64
	}{{"Facts", 1_000_000, 0}, {"Commits", 0, 200_000}} {
		b.Run(kind.name, func(b *testing.B) {
			from := made(b, onDisk(b), kind.facts, kind.commits)
			n := float64(kind.facts + kind.commits)
			run := func(b *testing.B, from streams.Log, house place) (to streams.Log) {
				to = house.open(b, true)
				start := time.Now()
				cut, err := transfer.Copy(b.Context(), from, to.(streams.Restorer), quiet)
				if err != nil {
					b.Fatal(err)
				}
				copied := time.Now()
				if _, err := transfer.Compare(b.Context(), from, to, cut, quiet); err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(n/copied.Sub(start).Seconds(), "copied/s")
				b.ReportMetric(n/time.Since(copied).Seconds(), "compared/s")
				b.ReportMetric(0, "ns/op")
				return to
			}
			b.Run("Local", func(b *testing.B) {
				for range b.N {
					run(b, from, onDisk(b))
				}
			})
			b.Run("ToKafka", func(b *testing.B) {
				for range b.N {
					run(b, from, onKafka(b))
				}
			})
			b.Run("FromKafka", func(b *testing.B) {
				house := onKafka(b)
				on := made(b, house, kind.facts, kind.commits)
				for range b.N {
					run(b, on, onDisk(b))
				}
			})
		})
	}
}
