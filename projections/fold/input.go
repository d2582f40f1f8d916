package fold

import (
	"context"
	"fmt"
	"time"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/streams"
)

// chunk is a piece of one partition, decoded once for all views.
type chunk struct {
	tp         streams.TP
	from, next int64 // offsets: the first asked for, the first not in it
	full       bool  // it ends where a chunk must, not where the log does
	in         []Input
	unread     []*Poison // commits that this program cannot read
}

// Bounds of a chunk: large enough that a batch's fixed costs vanish, small enough that memory stays
// flat and a waiting query is not held up for long. Of the ledger too: a commit may be a thousand metrics.
const (
	chunkRecords = 8192
	chunkBytes   = 8 << 20
)

// HeadCut is the whole log up to `until` (recorded time); the zero time means now.
func HeadCut(ctx context.Context, log streams.Log, until time.Time) (streams.Cut, error) {
	cut := streams.Cut{}
	for _, tp := range streams.PartitionsOf() {
		head, err := HeadAt(ctx, log, tp, until)
		if err != nil {
			return nil, err
		}
		cut[tp] = head
	}
	return cut, nil
}

// HeadAt is how much of a partition the log had at `until` (recorded time): the offset of the first record not in it. The
// zero time means now.
func HeadAt(ctx context.Context, log streams.Log, tp streams.TP, until time.Time) (int64, error) {
	if tp.Topic == events.LedgerTopic {
		return log.Ledger().Head(ctx, until)
	}
	return log.Feed().Head(ctx, tp, until)
}

// readChunk decodes records of a partition from an offset, up to the head or `until`, whichever is first.
func readChunk(ctx context.Context, log streams.Log, tp streams.TP, from, until int64) (*chunk, error) {
	head, err := HeadAt(ctx, log, tp, time.Time{})
	if err != nil {
		return nil, err
	}
	if from > head {
		return nil, fmt.Errorf("%s: a view has folded up to offset %d but the log ends at %d", tp, from, head)
	}
	if until >= 0 && until < head {
		head = until
	}
	c := &chunk{tp: tp, from: from, next: from}
	if from >= head {
		return c, nil
	}
	if tp.Topic == events.LedgerTopic {
		return c, c.readLedger(ctx, log.Ledger(), head)
	}
	return c, c.readFeed(ctx, log.Feed(), head)
}

func (c *chunk) readLedger(ctx context.Context, l streams.Ledger, head int64) error {
	n, bytes := 0, 0
	for com, err := range l.Read(ctx, c.from) {
		if com == nil {
			return err
		}
		if com.Position.Offset >= head {
			break
		}
		if n++; n > chunkRecords || bytes >= chunkBytes {
			c.full = true
			return nil
		}
		c.next = com.Position.Offset + 1
		if p := unreadable(com); p != nil {
			c.unread = append(c.unread, p)
			continue
		}
		for i := range com.Events {
			bytes += len(com.Events[i].Raw)
			c.in = append(c.in, Input{
				Position: com.Position, Index: i, Revision: com.Revision + streams.Revision(i),
				RecordedMillis: com.Recorded.UnixMilli(), Event: &com.Events[i],
			})
		}
	}
	c.next = head // holes at the end hold nothing
	return nil
}

// readFeed takes what publishers of this process have handed along, if that is all there is, or reads the log.
func (c *chunk) readFeed(ctx context.Context, f streams.Feed, head int64) error {
	if carrier, ok := f.(streams.Carrier); ok {
		if facts := carrier.Carried(c.tp, c.from, head); facts != nil {
			c.take(facts, head)
			return nil
		}
	}
	size := min(int(head-c.from), chunkRecords)
	c.in = make([]Input, 0, size)
	d := newDecoder(size)
	bytes := 0
	for rec, err := range f.Read(ctx, c.tp, c.from) {
		if err != nil {
			return err
		}
		if rec.Offset >= head {
			break
		}
		if len(c.in) >= chunkRecords || bytes >= chunkBytes {
			c.full = true
			return nil
		}
		bytes += len(rec.Key) + len(rec.Value)
		c.in = append(c.in, d.decode(rec))
		c.next = rec.Offset + 1
	}
	c.next = head
	return nil
}

func (c *chunk) take(facts []streams.Carried, head int64) {
	c.in = make([]Input, len(facts))
	for i := range facts {
		f := &facts[i]
		c.in[i] = Input{Position: streams.Position{TP: c.tp, Offset: f.Offset}, RecordedMillis: f.Recorded.UnixMilli(), Event: f.Fact}
	}
	c.next = head
}

// decoder turns records into inputs. The events of one chunk stand in two slices, not in thousands of
// small objects.
type decoder struct {
	read         streams.FactReader
	events       []events.Event
	interactions []events.Interaction
}

func newDecoder(size int) *decoder {
	return &decoder{events: make([]events.Event, 0, size), interactions: make([]events.Interaction, 0, size)}
}

func (d *decoder) decode(rec *streams.Record) Input {
	in := Input{Position: rec.Position, RecordedMillis: rec.Recorded.UnixMilli()}
	d.events, d.interactions = append(d.events, events.Event{}), append(d.interactions, events.Interaction{})
	ev, room := &d.events[len(d.events)-1], &d.interactions[len(d.interactions)-1]
	if in.Malformed = d.read.Read(rec, ev, room); in.Malformed != nil {
		in.Record = cloneRecord(rec)
		return in
	}
	in.Event = ev
	if ev.Data != events.Data(room) { // it was not needed
		d.interactions = d.interactions[:len(d.interactions)-1]
	}
	return in
}

func cloneRecord(rec *streams.Record) *streams.Record {
	c := *rec
	c.Key = append([]byte(nil), rec.Key...)
	c.Value = append([]byte(nil), rec.Value...)
	c.Headers = make([]streams.Header, len(rec.Headers))
	for i, h := range rec.Headers {
		c.Headers[i] = streams.Header{Key: h.Key, Value: append([]byte(nil), h.Value...)}
	}
	return &c
}
