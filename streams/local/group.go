package local

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/projectionist/projectionist/internal/damage"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/streams"
	"github.com/projectionist/projectionist/streams/internal/lookup"
)

// How appends become durable. Requests queue up; whoever finds no leader becomes it, takes all that
// waits, up to groupBytes, judges expected revisions, gives offsets and recorded times, and applies one
// batch. Then it passes the lead on if more has queued up, and waits for its batch's fsync beside the
// next leader: Pebble's WAL syncs all that was applied meanwhile at once. After the sync it raises the
// high watermarks and answers. A single caller thus does everything on its own goroutine, without a
// hand-over before the disk.
//
// Batches reach the WAL in the order in which leaders lead, and a synced WAL is synced up to that
// batch, across its files too (Pebble syncs and closes a file before it writes the next). So a group
// may raise the watermarks over earlier groups' records that it finds below its own. For the same
// reason a large publish, cut into many requests, needs one sync at its end and not one for each.

// writer is the state of the leader. Only queueMu's fields and syncing are shared.
type writer struct {
	queueMu sync.Mutex
	queue   []*request
	leading bool
	syncing atomic.Int32 // groups whose fsync is waited for

	groups       uint64   // how many there were since Open
	bare         uint64   // number of the last write without a record, since the log was made
	lastMillis   int64    // recorded time of the last record of any partition
	carried      []*group // unsynced; a group that syncs follows
	carriedBytes int
	heads        map[string]streams.Revision
	ids          map[string]lookup.Entry // of the group being filled
	producers    producers               // door_append.go
	nextProducer int64
}

// request is one commit, some records of one topic, or what fill adds.
type request struct {
	commit  *streams.Commit
	carried bool            // the commit is plain (carry.go)
	rec     *streams.Record // the commit's, or nil

	topic *topic // of recs
	recs  []streams.Record

	fill func(*group) error // by the leader; adds all or, on an error, nothing

	more    bool // the same caller's next request follows at once, so this one may go without a sync of its own
	bytes   int
	receipt streams.Receipt
	judged  bool // answered from what stands in the ledger: by a conflict or as a duplicate
	err     error
	done    chan struct{}
}

type group struct {
	requests   []*request
	batch      *pebble.Batch
	ends       []end
	records    int
	barrier    int64    // the ledger's end when a request was judged by it; else 0
	syncing    bool     // applied, to be waited for
	unsynced   bool     // applied without a sync
	carried    []*group // unsynced groups before this one: its sync is theirs
	unrecorded bool     // it has a write without a record
	number     uint64   // of the group; its sync makes all before it durable too
	bare       uint64   // the log's with it
	tops       []int64  // where the partitions end with it
}

type end struct {
	p    *partition
	next int64
}

// submit queues a request; if nobody leads, lead must follow.
func (l *Log) submit(r *request) (lead bool) {
	l.queueMu.Lock()
	defer l.queueMu.Unlock()
	l.queue = append(l.queue, r)
	lead = !l.leading
	l.leading = true
	return lead
}

// lead leads one group from the queue to its answers.
func (l *Log) lead() {
	if l.syncing.Load() > 0 {
		// The disk is busy, so nothing is lost if those who are about to append do so first: larger
		// groups cost less. A single caller never gets here.
		runtime.Gosched()
	}
	g := &group{requests: l.take()}
	err := l.write(g)
	if err == nil && g.unsynced {
		l.carried = append(l.carried, g)
		l.pass()
		return
	}
	g.carried, l.carried, l.carriedBytes = l.carried, nil, 0
	l.pass()
	l.finish(g, err)
}

// take takes the next group's requests.
func (l *Log) take() []*request {
	l.queueMu.Lock()
	defer l.queueMu.Unlock()
	n, bytes := 0, 0
	for n < len(l.queue) && n < groupRequests && (n == 0 || bytes+l.queue[n].bytes <= groupBytes) {
		bytes += l.queue[n].bytes
		n++
	}
	if n == len(l.queue) {
		taken := l.queue
		l.queue = nil
		return taken
	}
	taken := l.queue[:n:n]
	l.queue = append([]*request(nil), l.queue[n:]...)
	return taken
}

// pass gives up the lead, to a new goroutine if requests wait.
func (l *Log) pass() {
	l.queueMu.Lock()
	more := len(l.queue) > 0
	l.leading = more
	l.queueMu.Unlock()
	if more {
		go l.lead()
	}
}

// write fills the group's batch and applies it. An error means that Pebble failed.
func (l *Log) write(g *group) (err error) {
	if err := l.failed(); err != nil {
		for _, r := range g.requests {
			r.err = err
		}
		return err
	}
	// Pebble panics where its WAL has failed.
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("pebble: %v", r)
			l.fail(err)
		}
	}()
	bytes, more := 0, true
	for _, r := range g.requests {
		bytes += r.bytes
		more = more && r.more
	}
	g.batch = l.db.NewBatchWithSize(bytes+64*len(g.requests), pebble.WithMaxRetainedSizeBytes(2*groupBytes))
	if err := l.guard.admit(int64(bytes)); err != nil {
		l.stats.refused.Add(uint64(len(g.requests)))
		for _, r := range g.requests {
			r.err = err
		}
	} else {
		l.fill(g)
	}
	empty := g.batch.Empty()
	if empty {
		if len(l.carried) == 0 {
			return nil
		}
		if err := g.batch.LogData(nil, nil); err != nil { // no record, but a sync for those carried
			return err
		}
	}
	l.mark(g)
	l.stats.bytes.Add(uint64(g.batch.Len()))
	if g.unsynced = more && !empty && l.carriedBytes+bytes <= carriedBytesMax; g.unsynced {
		l.carriedBytes += bytes
		err = l.db.Apply(g.batch, pebble.NoSync)
	} else {
		err = l.db.ApplyNoSyncWait(g.batch, pebble.Sync)
	}
	if err != nil {
		l.fail(err)
		return err
	}
	if !g.unsynced {
		g.syncing = true
		l.syncing.Add(1)
	}
	return nil
}

// mark notes where the log ends with the group. Its records are known by their offsets, writes without a record by
// a number in the batch.
func (l *Log) mark(g *group) {
	l.groups++
	if g.unrecorded {
		l.bare++
		if err := g.batch.Set(bareKey, binary.BigEndian.AppendUint64(nil, l.bare), nil); err != nil {
			panic(err) // an in-memory batch gives no error
		}
	}
	g.number, g.bare = l.groups, l.bare
	g.tops = make([]int64, len(l.partitions))
	for i, p := range l.partitions {
		g.tops[i] = p.top
	}
}

// fill judges the group's requests and fills its batch.
func (l *Log) fill(g *group) {
	l.lastMillis = max(l.lastMillis, l.opts.Now().UnixMilli())
	if len(l.heads) > headsMax {
		clear(l.heads)
	}
	for _, r := range g.requests {
		switch {
		case r.commit != nil:
			r.err = l.fillCommit(g, r)
		case r.fill != nil:
			r.err = r.fill(g)
		default:
			r.err = l.fillFacts(g, r)
		}
	}
	clear(l.ids)
}

// finish waits until the group is durable, and those it carries with it, and answers them.
func (l *Log) finish(g *group, err error) {
	if g.syncing {
		err = g.batch.SyncWait()
		l.syncing.Add(-1)
		if err != nil {
			l.fail(err)
		} else if err = l.proof.claim(g.number, g.bare, g.tops); err != nil {
			l.fail(err)
		} else {
			l.stats.groups.Add(1)
		}
	}
	for _, c := range g.carried {
		l.answer(c, err)
	}
	l.answer(g, err)
}

// answer raises the watermarks for a group that is durable, or else has failed, and answers.
func (l *Log) answer(g *group, err error) {
	if err == nil {
		for _, e := range g.ends {
			e.p.head.Raise(e.next)
		}
		if n := uint64(g.records); n > l.stats.recordsMax.Load() {
			l.stats.recordsMax.Store(n) // two leaders may race; the figure is for people
		}
		g.batch.Close() // back to Pebble's pool
	}
	// What a conflict or duplicate was judged by must be durable, and visible to the caller, first.
	if err == nil && g.barrier > 0 && !l.ledger.wait(context.Background(), g.barrier-1, l.dead) {
		err = errors.New("an earlier write failed")
	}
	for _, r := range g.requests {
		switch {
		case err != nil && (r.err == nil || r.judged):
			r.err = fault.Wrap(fault.Unknown, err, "the append may or may not have been written")
		case r.err == nil && r.receipt.Duplicate:
			l.stats.duplicates.Add(1)
		case r.err == nil && r.commit != nil:
			l.stats.commits.Add(1)
		case r.err == nil:
			l.stats.facts.Add(uint64(len(r.recs)))
		case r.judged:
			l.stats.conflicts.Add(1)
		}
		close(r.done)
	}
}

// fillCommit judges a commit and adds it to the batch.
func (l *Log) fillCommit(g *group, r *request) error {
	c, p := r.commit, l.ledger
	entry, ok, err := l.committed(c.ID)
	if err != nil {
		return err
	}
	if ok {
		if entry.Stream != c.Stream {
			return fault.Field("commit_id", "commit id %s was used before, on stream %s", c.ID, entry.Stream)
		}
		g.barrier, r.judged = p.top, true
		r.receipt = entry.Receipt(p.TP)
		r.receipt.Duplicate = true
		return nil
	}
	head, err := l.head(c.Stream)
	if err != nil {
		return err
	}
	if c.Expected != streams.AnyRevision && c.Expected != head {
		g.barrier, r.judged = p.top, true
		return streams.Conflict(c.Stream, c.Expected, head)
	}
	entry = lookup.Entry{Offset: p.next, Last: head + streams.Revision(len(c.Events)), Millis: l.lastMillis, Stream: c.Stream}
	if err := l.fillRecord(g, p, head+1, r.rec); err != nil {
		return err
	}
	if r.carried {
		p.carryCommit(c, r.rec, head+1)
	}
	l.accept(g, c.ID, entry)
	r.receipt = entry.Receipt(p.TP)
	return nil
}

// accept adds an accepted commit to the indexes.
func (l *Log) accept(g *group, id string, e lookup.Entry) {
	if err := lookup.Put(g.batch, id, e); err != nil {
		panic(err) // the batch is half filled; an in-memory batch gives no error
	}
	l.heads[e.Stream] = e.Last
	l.ids[id] = e
}

// fillFacts adds a feed's records to the batch.
func (l *Log) fillFacts(g *group, r *request) error {
	n := int32(len(r.topic.partitions))
	for i := range r.recs {
		rec := &r.recs[i]
		p := r.topic.partitions[streams.PartitionOf(rec.Key, n)]
		if err := l.fillRecord(g, p, 0, rec); err != nil {
			return err
		}
	}
	return nil
}

// fillRecord gives the record its offset and time and adds it to the batch.
func (l *Log) fillRecord(g *group, p *partition, revision streams.Revision, rec *streams.Record) error {
	rec.Position = streams.Position{TP: p.TP, Offset: p.next}
	rec.Recorded = time.UnixMilli(l.lastMillis).UTC()
	size := g.put(p, revision, l.lastMillis, rec)
	p.carry(rec.Offset, rec.Recorded, rec.Fact, size)
	return nil
}

// put adds a record at the partition's next offset to the batch, and gives the size of its value.
func (g *group) put(p *partition, revision streams.Revision, millis int64, rec *streams.Record) (size int) {
	g.passHole(p)
	size = recordValueSize(revision, streams.TailSize(rec))
	op := g.batch.SetDeferred(recordKeyBytes, size)
	recordKey(op.Key, p.topic, uint32(p.Partition), p.next)
	v := streams.AppendTail(lookup.AppendHead(op.Value[:0], millis, revision), rec)
	if len(v) != size || &v[0] != &op.Value[0] {
		panic(fmt.Sprintf("record of %d bytes was measured as %d", len(v), size))
	}
	if err := op.Finish(); err != nil {
		panic(err)
	}
	p.next++
	p.top = p.next
	g.records++
	g.extend(p)
	return size
}

// passHole writes down the hole before the partition's next record, if there is one.
func (g *group) passHole(p *partition) {
	if p.top == p.next {
		return
	}
	end := binary.BigEndian.AppendUint64(nil, uint64(p.next))
	if err := g.batch.Set(holeKey(p.topic, uint32(p.Partition), p.top), end, nil); err != nil {
		panic(err) // an in-memory batch gives no error
	}
	p.top = p.next
}

// committed looks a commit id up, in the group being filled and in what was applied before.
func (l *Log) committed(id string) (lookup.Entry, bool, error) {
	if e, ok := l.ids[id]; ok {
		return e, true, nil
	}
	return l.applied(id)
}

// applied looks a commit id up in what was applied before.
func (l *Log) applied(id string) (lookup.Entry, bool, error) {
	e, ok, err := lookup.Find(l.db, id)
	return e, ok, readError(err, "the index of commit ids cannot be read")
}

// head is the revision of a stream's last event, or NoStream.
func (l *Log) head(stream string) (streams.Revision, error) {
	if head, ok := l.heads[stream]; ok {
		return head, nil
	}
	head, err := lookup.Head(l.db, stream)
	if err != nil {
		return 0, readError(err, "the index of streams cannot be read")
	}
	l.heads[stream] = head
	return head, nil
}

// readError is what a failed read of an index says; nil stays nil.
func readError(err error, message string) error {
	code := fault.Unavailable
	if pebble.IsCorruptionError(err) {
		code = fault.Corrupt
	}
	return fault.Wrap(code, damage.Of(err), "%s", message)
}
