package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers/ingest"
	"github.com/projectionist/projectionist/handlers/ingest/world"
	"github.com/projectionist/projectionist/streams"
	"github.com/projectionist/projectionist/streams/local"
)

// writer makes records of facts, one caller's at a time.
type writer struct {
	enc  streams.FactEncoder
	recs []streams.Record
}

// encode makes the records of the facts, numbered from first. They are valid until the next call.
func (w *writer) encode(facts []ingest.Fact, first int) ([]streams.Record, error) {
	w.enc.Reset()
	w.recs = w.recs[:0]
	for i := range facts {
		f := &facts[i]
		at := time.UnixMilli(f.TimeMillis).UTC()
		ev := events.Event{ID: "bench-" + strconv.Itoa(first+i), Source: world.Source, Time: at, Actor: "bench", Data: &events.Interaction{
			UserID: f.UserID, MovieID: f.MovieID, Kind: f.Kind, Rating: f.Rating, SessionID: f.SessionID, Timestamp: events.FormatTime(at)}}
		var err error
		if w.recs, err = w.enc.Append(w.recs, f.UserID, &ev); err != nil {
			return nil, err
		}
	}
	return w.recs, nil
}

// publish appends the facts to the log and returns when they are durable.
func (w *writer) publish(ctx context.Context, log streams.Log, facts []ingest.Fact, first int) error {
	recs, err := w.encode(facts, first)
	if err != nil {
		return err
	}
	return log.Feed().Publish(ctx, events.UserEventsTopic, recs)
}

func (b *bench) openLog(name string) (*local.Log, string, error) {
	dir, err := b.folder(name)
	if err != nil {
		return nil, "", err
	}
	l, err := local.Open(filepath.Join(dir, "log"), local.Options{})
	return l, dir, err
}

// appendOne is one caller that waits for every fact, in turns with the disk.
func (b *bench) appendOne() error {
	l, dir, err := b.openLog("append")
	if err != nil {
		return err
	}
	defer l.Close()
	samples := b.size(3000, 200)
	facts, err := worldFacts(samples)
	if err != nil {
		return err
	}
	var w writer
	recs, err := w.encode(facts[:1], 0)
	if err != nil {
		return err
	}
	stored := len(streams.AppendTail(nil, &recs[0]))
	d, err := newDisk(dir, stored)
	if err != nil {
		return err
	}
	defer d.Close()
	var ours, appended, allocated []float64
	err = b.eachRun(func(run int) error {
		var took, fsync, fdatasync []float64
		for i := range samples {
			s, err := d.appendSync()
			if err != nil {
				return err
			}
			fsync = append(fsync, s)
			if s, err = d.writeSync(); err != nil {
				return err
			}
			fdatasync = append(fdatasync, s)
			t := time.Now()
			if err := w.publish(b.ctx, l, facts[i:i+1], run*samples+i); err != nil {
				return err
			}
			took = append(took, time.Since(t).Seconds())
		}
		ours, appended, allocated = append(ours, median(took)), append(appended, median(fsync)), append(allocated, median(fdatasync))
		return nil
	})
	if err != nil {
		return err
	}
	b.add(figure{name: "durable append of one fact, one caller, p50", unit: seconds, ours: ours, peer: appended,
		peerName: fmt.Sprintf("append + fsync of its %d bytes", stored), aim: ratioAtMost(1.5)},
		figure{name: "… against the least a disk can be asked for", unit: seconds, ours: ours, peer: allocated,
			peerName: "write into allocated space + fdatasync"})
	return nil
}

// callers is how many wait for their facts at once.
const callers = 64

// crowd calls fn for each of n numbers on as many goroutines as there are callers and returns the time.
func crowd(n int, fn func(w *writer, i int) error) (float64, error) {
	var next atomic.Int64
	var wg sync.WaitGroup
	errs := make(chan error, callers)
	start := time.Now()
	for range callers {
		wg.Go(func() {
			var w writer
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				if err := fn(&w, i); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	wg.Wait()
	took := time.Since(start).Seconds()
	close(errs)
	return took, <-errs
}

// appendMany is 64 callers that each wait for every fact, in turns with as many that set the same bytes
// in a Pebble with memtables and writeback like the log's, synced.
func (b *bench) appendMany() error {
	l, dir, err := b.openLog("writers")
	if err != nil {
		return err
	}
	defer l.Close()
	db, err := pebble.Open(filepath.Join(dir, "peer"), &pebble.Options{MemTableSize: 32 << 20, MemTableStopWritesThreshold: 4,
		BytesPerSync: 1 << 20, WALBytesPerSync: 1 << 20, Logger: quiet{}})
	if err != nil {
		return err
	}
	defer db.Close()
	const turns = 4
	each := b.size(10_000, 1_000)
	facts, err := worldFacts(each)
	if err != nil {
		return err
	}
	var ours, peer []float64
	written := 0
	err = b.eachRun(func(int) error {
		var mine, theirs float64
		for range turns {
			first := written
			written += each
			s, err := crowd(each, func(w *writer, i int) error { return w.publish(b.ctx, l, facts[i:i+1], first+i) })
			if err != nil {
				return err
			}
			mine += s
			s, err = crowd(each, func(w *writer, i int) error {
				recs, err := w.encode(facts[i:i+1], first+i)
				if err != nil {
					return err
				}
				return db.Set(binary.BigEndian.AppendUint64(make([]byte, 0, 8), uint64(first+i)), streams.AppendTail(nil, &recs[0]), pebble.Sync)
			})
			if err != nil {
				return err
			}
			theirs += s
		}
		ours, peer = append(ours, float64(turns*each)/mine), append(peer, float64(turns*each)/theirs)
		return nil
	})
	if err != nil {
		return err
	}
	b.add(figure{name: "64 callers, each waiting for every fact", unit: perSecond, ours: ours, peer: peer,
		peerName: "Pebble's group commit of the same bytes", aim: ratioAtLeast(.7)})
	return nil
}

// quiet drops Pebble's chatter; errors come back from the calls that met them.
type quiet struct{}

func (quiet) Infof(string, ...any)  {}
func (quiet) Errorf(string, ...any) {}
func (quiet) Fatalf(format string, args ...any) {
	panic(fmt.Sprintf(format, args...))
}
