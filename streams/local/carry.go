package local

import (
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

var _ streams.Carrier = feed{}
