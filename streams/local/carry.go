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

// What is appended to the ledger is kept in the same way, where its events are plain ([events.Event.Plain]): by the views, and by
// the dispatcher's stream at the next command, which would each read its JSON.
type commitRing [ringFacts]atomic.Pointer[streams.Committed]

// carryCommit keeps a commit that has been given its place, with its events as they are read.
func (p *partition) carryCommit(c *streams.Commit, rec *streams.Record, revision streams.Revision) {
	if len(rec.Value) > ringBytesMax {
		return
	}
	kept := *c
	kept.Events = slices.Clone(c.Events)
	for i := range kept.Events {
		e := &kept.Events[i]
		if !e.Plain() {
			return
		}
		if e.Raw == nil {
			var err error
			if e.Raw, err = json.Marshal(e.Data); err != nil {
				return
			}
		}
	}
	r := p.commits.Load()
	if r == nil {
		r = new(commitRing)
		p.commits.Store(r)
	}
	r[rec.Offset%ringFacts].Store(&streams.Committed{Commit: kept, Position: rec.Position, Revision: revision, Recorded: rec.Recorded})
}

// carriedCommit is the commit at an offset, if it is at hand. The caller has it for itself, but for its events.
func (p *partition) carriedCommit(offset int64) *streams.Committed {
	r := p.commits.Load()
	if r == nil {
		return nil
	}
	c := r[offset%ringFacts].Load()
	if c == nil || c.Position.Offset != offset {
		return nil
	}
	own := *c
	return &own
}

var _ streams.Carrier = feed{}
