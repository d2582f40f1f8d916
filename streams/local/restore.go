package local

import (
	"context"
	"encoding/binary"
	"errors"
	"runtime"
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/streams"
	"github.com/projectionist/projectionist/streams/internal/gate"
	"github.com/projectionist/projectionist/streams/internal/lookup"
)

var _ streams.Restorer = (*Log)(nil)

// A log that is being filled from another one has the mark f, from before its first record until
// Restored. Offsets that the other one passed over become holes, which are written down (keys.go).

var fillKey = []byte{prefixFill}

// filling says whether the mark is there.
func filling(db pebble.Reader) (bool, error) {
	_, closer, err := db.Get(fillKey)
	switch {
	case err == nil:
		return true, closer.Close()
	case errors.Is(err, pebble.ErrNotFound):
		return false, nil
	}
	return false, readError(err, "it cannot be read whether the log is whole")
}

// checkFilling refuses a log that is still to be filled.
func (l *Log) checkFilling(db pebble.Reader) error {
	marked, err := filling(db)
	if err == nil && marked && !l.opts.Restoring {
		return fault.New(fault.Corrupt, "the log in %s is an unfinished copy of another one", l.dir).
			WithHint("run `projectionist log copy` with the same --from and --to again: it goes on where it stopped")
	}
	return err
}

// openRestoring sets the mark where a filling begins.
func (l *Log) openRestoring() error {
	if !l.opts.Restoring {
		return nil
	}
	if marked, err := filling(l.db); marked || err != nil {
		return err
	}
	for _, t := range l.topics {
		for _, p := range t.partitions {
			if p.next > 0 {
				return fault.New(fault.Conflict, "the log in %s has records of its own, up to offset %d of %s: it cannot be filled from another one", l.dir, p.next, p.TP).
					WithHint("copy into an empty or new folder")
			}
		}
	}
	return fault.Wrap(fault.Unavailable, l.db.Set(fillKey, nil, pebble.Sync), "the log in %s cannot be written", l.dir)
}

// writable refuses appends to a log that is opened to be filled, or to be read.
func (l *Log) writable() error {
	if l.opts.ReadOnly {
		return fault.New(fault.Conflict, "the log in %s is open to be read only", l.dir)
	}
	if l.opts.Restoring {
		return fault.New(fault.Conflict, "the log in %s is open to be filled from another one: it takes nothing else", l.dir)
	}
	return nil
}

// Restore writes the records as one batch with one sync. Records before one that is refused are written.
func (l *Log) Restore(ctx context.Context, tp streams.TP, recs []streams.Record) error {
	p, err := l.partition(tp)
	if err != nil {
		return err
	}
	if !l.opts.Restoring || l.restored.Load() {
		return fault.New(fault.Conflict, "the log in %s is not open to be filled", l.dir)
	}
	if len(recs) == 0 {
		return nil
	}
	bytes := 0
	for i := range recs {
		if err := streams.CheckRecord(&recs[i]); err != nil {
			return err
		}
		bytes += streams.TailSize(&recs[i]) + recordKeyBytes + 16
	}
	if err := l.ops.Enter(ctx); err != nil {
		return err
	}
	defer l.ops.Leave()
	l.restoring.Lock()
	defer l.restoring.Unlock()
	var commits []restoredCommit
	if p == l.ledger {
		if commits, err = l.readCommits(recs); err != nil {
			return err
		}
		bytes += len(recs) * 150 // indexes
	}
	// A record that is refused must not keep those before it from being written: fill's own error would
	// say that it added nothing.
	var refused error
	r := &request{bytes: bytes, done: make(chan struct{})}
	r.fill = func(g *group) error {
		for i := range recs {
			var c *restoredCommit
			if commits != nil {
				c = &commits[i]
			}
			if refused = l.restore(g, p, &recs[i], c); refused != nil {
				return nil
			}
		}
		return nil
	}
	if l.submit(r) {
		l.lead()
	}
	<-r.done
	if r.err != nil {
		return r.err
	}
	return refused
}

// restore adds one record to the batch, or nothing and an error.
func (l *Log) restore(g *group, p *partition, rec *streams.Record, c *restoredCommit) error {
	at := streams.Position{TP: p.TP, Offset: rec.Offset}
	if rec.Offset < p.next {
		return fault.New(fault.Conflict, "record %s is to be restored, and %s has records up to offset %d", at, p.TP, p.next)
	}
	millis := rec.Recorded.UnixMilli()
	if millis < 0 {
		return fault.New(fault.Corrupt, "record %s has no recorded time", at)
	}
	revision := streams.Revision(0)
	if c != nil {
		if millis < p.millis {
			return fault.New(fault.Corrupt, "commit %s was recorded before the one that it follows", at)
		}
		if _, again := l.ids[c.ID]; again || c.known {
			return fault.New(fault.Corrupt, "commit %s has the id %s of an earlier one", at, c.ID)
		}
		head, err := l.head(c.Stream)
		if err != nil {
			return err
		}
		if c.Expected != streams.AnyRevision && c.Expected != head {
			return fault.Wrap(fault.Corrupt, streams.Conflict(c.Stream, c.Expected, head), "commit %s would not be accepted", at)
		}
		revision = head + 1
		l.accept(g, c.ID, lookup.Entry{Offset: rec.Offset, Last: head + streams.Revision(len(c.Events)), Millis: millis, Stream: c.Stream})
	}
	p.next, p.millis = rec.Offset, millis
	g.put(p, revision, millis, rec)
	return nil
}

// restoredCommit is a commit, and whether its id was accepted before this call.
type restoredCommit struct {
	streams.Commit
	known bool
}

// readCommits reads the commits of records and looks their ids up, on all processors: it is most of the
// work. Nothing else writes meanwhile.
func (l *Log) readCommits(recs []streams.Record) ([]restoredCommit, error) {
	commits := make([]restoredCommit, len(recs))
	workers := min(runtime.GOMAXPROCS(0), 1+len(recs)/256)
	errs := make([]error, workers)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := w * len(recs) / workers; i < (w+1)*len(recs)/workers; i++ {
				c, err := streams.ReadCommit(&recs[i])
				if err != nil {
					errs[w] = fault.Wrap(fault.Corrupt, err, "record %s of the ledger is no commit", streams.Position{TP: recs[i].TP, Offset: recs[i].Offset})
					return
				}
				_, known, err := l.applied(c.ID)
				if err != nil {
					errs[w] = err
					return
				}
				commits[i] = restoredCommit{c, known}
			}
		})
	}
	wg.Wait()
	for _, err := range errs { // the first by offset
		if err != nil {
			return nil, err
		}
	}
	return commits, nil
}

// Restored takes the mark away. The log answers reads until it is closed, and is written to when it is
// opened anew.
func (l *Log) Restored(ctx context.Context) error {
	if !l.opts.Restoring {
		return fault.New(fault.Conflict, "the log in %s is not open to be filled", l.dir)
	}
	if err := gate.Ended(ctx); err != nil {
		return err
	}
	err := l.update(func(g *group) error { return g.batch.Delete(fillKey, nil) })
	if err == nil {
		l.restored.Store(true)
	}
	return err
}

// over is the offset of the record with a key, where the one of an offset is expected: they differ behind
// a hole only.
func (p *partition) over(db pebble.Reader, offset int64, key []byte) (int64, error) {
	_, _, have, ok := parseRecordKey(key)
	if ok && have == offset {
		return offset, nil
	}
	if !ok || have < offset {
		return 0, p.corrupt(offset, nil)
	}
	iter, err := db.NewIter(&pebble.IterOptions{
		LowerBound: holeKey(p.topic, uint32(p.Partition), 0),
		UpperBound: holeKey(p.topic, uint32(p.Partition), offset+1), // the read may begin inside
	})
	if err != nil {
		return 0, p.corrupt(offset, err)
	}
	defer iter.Close()
	if !iter.Last() {
		return 0, p.corrupt(offset, iter.Error())
	}
	v, err := iter.ValueAndErr()
	if err != nil || len(v) != 8 || int64(binary.BigEndian.Uint64(v)) != have {
		return 0, p.corrupt(offset, err)
	}
	return have, nil
}
