package local

import (
	"encoding/json"
	"slices"
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

// What is appended to the ledger is kept in the same way, where its events are plain ([events.Event.Plain]): by the views, the reactors, and
// the dispatcher's stream at the next command, which would each read its JSON.
type commitRing struct {
	slots [ringFacts]atomic.Pointer[streams.Committed]

	// The leader's:
	sizes [ringFacts]int // of their records
	bytes int            // the sum of them
	last  int64          // no slot holds an offset below it
}

// commitBytesMax bounds the records of the commits that are carried, together: what a training loop logs in some tenths of a
// second, a thousand values at a time. A commit takes about twice its record.
const commitBytesMax = 2 << 20

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
	size := len(rec.Value)
	if size > commitBytesMax/4 {
		return
	}
	r := p.commits.Load()
	if r == nil {
		r = new(commitRing)
		p.commits.Store(r)
	}
	drop := func(slot int64) {
		r.slots[slot].Store(nil)
		r.bytes -= r.sizes[slot]
		r.sizes[slot] = 0
	}
	for r.last = max(r.last, rec.Position.Offset-ringFacts); r.bytes+size > commitBytesMax; r.last++ {
		drop(r.last % ringFacts)
	}
	slot := rec.Position.Offset % ringFacts
	drop(slot)
	r.slots[slot].Store(&streams.Committed{Commit: *c, Position: rec.Position, Revision: revision, Recorded: rec.Recorded})
	r.sizes[slot], r.bytes = size, r.bytes+size
}

// carriedCommit is the commit at an offset, if it is at hand. The caller has it for itself, but for its events.
func (p *partition) carriedCommit(offset int64) *streams.Committed {
	r := p.commits.Load()
	if r == nil {
		return nil
	}
	c := r.slots[offset%ringFacts].Load()
	if c == nil || c.Position.Offset != offset {
		return nil
	}
	own := *c
	return &own
}

var _ streams.Carrier = feed{}
