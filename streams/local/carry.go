package local

import (
	"encoding/json"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/streams"
)

// What publishers hand along with their records is kept for those who fold them, a moment later as a rule: the last
// facts of each partition, in a ring by offset. The leader puts a fact there when it gives the offset; nobody is given
// it before the high watermark has passed it, which is when it is durable. A fact that is gone, or was not handed
// along, is read from the log.

const (
	// ringFacts bounds them for a partition: more than come in while a view folds a chunk at a node's full load.
	// With less, a view that was busy for a moment reads from the log, which costs it some microseconds a fact.
	ringFacts = 512
	// ringBytesMax bounds the record of a fact that is carried, and so what a partition holds to a MiB or two:
	// ten times what a fact takes.
	ringBytesMax = 2 << 10
)

type ring [ringFacts]atomic.Pointer[streams.Carried]

// carry keeps a fact that has been given its place. size is that of its record.
func (p *partition) carry(offset int64, recorded time.Time, fact *events.Event, size int) {
	if fact == nil || size > ringBytesMax || fact.CheckTime(recorded) != nil { // of the last, reading the record is an error
		return
	}
	r := p.carried.Load()
	if r == nil {
		r = new(ring)
		p.carried.Store(r)
	}
	r[offset%ringFacts].Store(&streams.Carried{Offset: offset, Recorded: recorded, Fact: fact})
}

// Carried implements [streams.Carrier].
func (f feed) Carried(tp streams.TP, from, until int64) []streams.Carried {
	p, err := f.l.partition(tp)
	if err != nil || from < 0 || until <= from || until-from > ringFacts || until > p.head.Load() {
		return nil
	}
	r := p.carried.Load()
	if r == nil {
		return nil
	}
	facts := make([]streams.Carried, 0, until-from)
	for offset := from; offset < until; offset++ {
		c := r[offset%ringFacts].Load()
		if c == nil || c.Offset != offset {
			return nil
		}
		facts = append(facts, *c)
	}
	f.l.stats.carried.Add(uint64(len(facts)))
	return facts
}

// Commits of the ledger are kept in the same way, for several follow it: the views, the reactors, and the engine of workflows. One whose events are
// plain ([events.Event.Plain]) is kept as it is appended, which saves the dispatcher's stream reading it too; any other when the first of them has read it.
type commitRing struct {
	slots [ringCommits]atomic.Pointer[keptCommit]

	mu    sync.Mutex
	sizes [ringCommits]int // of their records
	bytes int              // the sum of them
	first int64            // no slot holds an offset below it
}

// keptCommit is a commit that is at hand. One that was read is for those who follow the ledger, who change nothing of it; who folds a stream may take what it is
// given into a state of its own.
type keptCommit struct {
	streams.Committed
	read bool
}

// ringCommits bounds the commits that are kept: more than come while who follows them is busy with a thousand workflows of one slot.
const ringCommits = 4096

// commitBytesMax bounds the records of the commits that are kept, together: what a training loop logs in some tenths of a
// second, a thousand values at a time. A commit takes about twice its record.
const commitBytesMax = 2 << 20

// keep keeps a commit, unless what is kept is newer.
func (r *commitRing) keep(c *keptCommit, size int) {
	if size > commitBytesMax/4 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	offset, slot := c.Position.Offset, c.Position.Offset%ringCommits
	if there := r.slots[slot].Load(); offset < r.first || there != nil && there.Position.Offset >= offset {
		return
	}
	drop := func(slot int64) {
		r.slots[slot].Store(nil)
		r.bytes -= r.sizes[slot]
		r.sizes[slot] = 0
	}
	drop(slot)
	for ; r.bytes+size > commitBytesMax; r.first++ {
		if there := r.slots[r.first%ringCommits].Load(); there != nil && there.Position.Offset == r.first {
			drop(r.first % ringCommits)
		}
	}
	if offset < r.first {
		return
	}
	r.slots[slot].Store(c)
	r.sizes[slot], r.bytes = size, r.bytes+size
}

// plain is the commit with its events as they are read, if they can stand for what reading them gives.
func plain(c streams.Commit) (streams.Commit, bool) {
	for i := range c.Events {
		if !c.Events[i].Plain() {
			return c, false
		}
	}
	c.Events = slices.Clone(c.Events)
	for i := range c.Events {
		e := &c.Events[i]
		if e.Raw == nil {
			var err error
			if e.Raw, err = json.Marshal(e.Data); err != nil {
				return c, false
			}
		}
	}
	return c, true
}

// carryCommit keeps a commit, which is plain, that has been given its place.
func (p *partition) carryCommit(c *streams.Commit, rec *streams.Record, revision streams.Revision) {
	p.ring().keep(&keptCommit{Committed: streams.Committed{Commit: *c, Position: rec.Position, Revision: revision, Recorded: rec.Recorded}}, len(rec.Value))
}

// keepRead keeps a commit that was read, if it is one of the last.
func (p *partition) keepRead(c *streams.Committed, size int) {
	if c.Position.Offset >= p.head.Load()-ringCommits && c.Unreadable() == nil {
		kept := keptCommit{Committed: *c, read: true}
		kept.Events = slices.Clone(c.Events)
		p.ring().keep(&kept, size)
	}
}

// ring is that of the commits, made when it is first asked for.
func (p *partition) ring() *commitRing {
	if r := p.commits.Load(); r != nil {
		return r
	}
	p.commits.CompareAndSwap(nil, new(commitRing))
	return p.commits.Load()
}

// carriedCommit is the commit at an offset, if it is at hand; read says whether one that was read will do. The caller has it for itself, but for the data
// of its events.
func (p *partition) carriedCommit(offset int64, read bool) *streams.Committed {
	r := p.commits.Load()
	if r == nil {
		return nil
	}
	c := r.slots[offset%ringCommits].Load()
	if c == nil || c.Position.Offset != offset || c.read && !read {
		return nil
	}
	own := c.Committed
	own.Events = slices.Clone(own.Events)
	return &own
}

var _ streams.Carrier = feed{}
