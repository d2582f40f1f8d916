package handlers

import (
	"bytes"
	"context"
	"slices"
	"time"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/streams"
)

// What the log has of facts that come under an idempotency key which this process does not remember.

// recall finds facts that were published under the key before: where they stand, and the time of those without a
// timestamp, which is at if there are none. The error is fault.Conflict for others under the key.
func (d *Dispatcher) recall(ctx context.Context, facts []commands.Fact, at time.Time, m Meta) (publication, error) {
	p := publication{at: at}
	if d.recalled == nil {
		return p, nil
	}
	ids, dated := make([]string, len(facts)), true
	var in []streams.TP
	for i, f := range facts {
		ids[i] = FactID(m.IdempotencyKey, f, i)
		dated = dated && f.Time() != ""
		topic, _ := events.TopicOf(f.Topic())
		tp := streams.TP{Topic: topic.Name, Partition: streams.PartitionOf([]byte(f.Key()), max(topic.Partitions, 1))}
		if !slices.Contains(in, tp) {
			in = append(in, tp)
		}
	}
	found, err := d.recalled(ctx, ids, in)
	switch {
	case err != nil && dated: // who folds a repeat knows it by its time
		return p, nil
	case err != nil:
		return p, fault.Wrap(fault.Unavailable, err, "whether this key was used before is not known yet").(*fault.Error).
			WithHint("send the same again with the same key; or give each fact a timestamp")
	case len(found) == 0:
		return p, nil
	}
	p.positions = make([]streams.Position, len(facts))
	for i, f := range facts {
		where, ok := found[ids[i]]
		if !ok {
			continue
		}
		was, err := d.factAt(ctx, where)
		if err != nil {
			return p, err
		}
		if same, err := d.sameFact(f, was, m); err != nil {
			return p, err
		} else if !same {
			return p, otherBody("set of facts")
		}
		if p.positions[i] = where; f.Time() == "" {
			p.at = was.Time
		}
	}
	return p, nil
}

// sameFact says whether a fact is the one that was published, but for a time that it does not say.
func (d *Dispatcher) sameFact(f commands.Fact, was *events.Event, m Meta) (bool, error) {
	now, err := factEvent(f, was.ID, was.Time, m)
	if err != nil {
		return false, err
	}
	a, err := events.AppendJSON(nil, now.Data)
	if err != nil {
		return false, err
	}
	b, err := events.AppendJSON(nil, was.Data)
	return bytes.Equal(a, b) && now.Time.Equal(was.Time), err
}

// factAt reads a fact of a feed.
func (d *Dispatcher) factAt(ctx context.Context, at streams.Position) (*events.Event, error) {
	for r, err := range d.feed.Read(ctx, at.TP, at.Offset) {
		if err != nil {
			return nil, err
		}
		if r.Offset != at.Offset {
			break
		}
		ev, err := streams.ReadFact(r)
		return &ev, err
	}
	return nil, fault.New(fault.Corrupt, "the log has lost its fact at %s", at)
}
