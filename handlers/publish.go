package handlers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/streams"
)

// Published says what became of facts.
type Published struct {
	Events    []events.Event     // as published, in the order given; their data is not to be changed
	Positions []streams.Position // of each
	// Duplicate: facts with this idempotency key had been published before; nothing was written now.
	Duplicate bool
}

// publication is what is remembered of facts with an idempotency key.
type publication struct {
	digest    string
	at        time.Time          // the event time of facts without a timestamp
	positions []streams.Position // of each fact that is durable; without a topic of one that is not known to be
}

// whole says whether all facts are durable.
func (p *publication) whole() bool {
	return p.positions != nil && !slices.ContainsFunc(p.positions, func(at streams.Position) bool { return at.Topic == "" })
}

// Publish writes facts to their feeds and returns when all are durable.
//
// A feed refuses nothing for its content, so a repeat is recognised by those who fold it: the same
// (who it is about, event time, id) is the same fact. With m.IdempotencyKey the ids derive from the key
// and the place in the slice. Event times do not: a fact without a timestamp happens now. So what was published
// under the key is looked for, in memory and by [Config.Recall] in the log: the repeat gets the first one's times,
// and its answer if all of it is there; what is not there is written.
//
// Errors: fault.Invalid with all faults of all facts, nothing written; fault.Conflict when the key was
// used for other facts; fault.Unavailable when it cannot be known for now whether it was used, and a fact has no
// timestamp; otherwise the feed's own, and any part may have been written: publish the same again with the same key.
func (d *Dispatcher) Publish(ctx context.Context, facts []commands.Fact, m Meta) (Published, error) {
	if err := validateFacts(facts, &m); err != nil {
		return Published{}, err
	}
	at := m.Time
	if at.IsZero() {
		at = d.now()
	}
	if m.IdempotencyKey == "" {
		return d.publish(ctx, facts, &publication{at: at}, m)
	}
	digest, err := digestOf(facts)
	if err != nil {
		return Published{}, err
	}
	e, err := d.published.acquire(ctx, m.IdempotencyKey)
	if err != nil {
		return Published{}, fault.Wrap(fault.Unavailable, err, "the same idempotency key is being published")
	}
	defer e.release()
	p := e.value
	if p.digest == "" {
		before, err := d.recall(ctx, facts, at, m)
		if err != nil {
			return Published{}, err
		}
		*p = before
		p.digest = digest
	}
	switch {
	case p.digest != digest:
		return Published{}, otherBody("set of facts")
	case p.whole():
		evs, err := d.factEvents(facts, p.at, m)
		return Published{Events: evs, Positions: slices.Clone(p.positions), Duplicate: true}, err
	}
	out, err := d.publish(ctx, facts, p, m)
	if err != nil {
		return Published{}, err
	}
	p.positions = slices.Clone(out.Positions)
	return out, nil
}

func validateFacts(facts []commands.Fact, m *Meta) error {
	if err := m.Validate(); err != nil {
		return err
	}
	if m.IfMatch != nil {
		return fault.Field("If-Match", "facts have no revision to match")
	}
	if len(facts) == 1 {
		return facts[0].Validate()
	}
	var errs []error
	for i, f := range facts {
		if err := f.Validate(); err != nil {
			errs = append(errs, inFact(i, err)...)
		}
	}
	return errors.Join(errs...)
}

// publish writes those facts that are not known to be durable.
func (d *Dispatcher) publish(ctx context.Context, facts []commands.Fact, p *publication, m Meta) (Published, error) {
	evs, err := d.factEvents(facts, p.at, m)
	if err != nil {
		return Published{}, err
	}
	out := Published{Events: evs, Positions: make([]streams.Position, len(facts))}
	copy(out.Positions, p.positions)
	byTopic := topics{}
	for i, f := range facts {
		if out.Positions[i].Topic != "" {
			continue
		}
		rec, err := streams.FactRecord(f.Key(), &evs[i])
		if err != nil {
			return Published{}, err
		}
		if evs[i].Settled() {
			fact := evs[i] // a copy: one of many facts must not hold the memory of all
			rec.Fact = &fact
		}
		t := byTopic.of(f.Topic())
		t.recs, t.from = append(t.recs, rec), append(t.from, i)
	}
	for _, t := range byTopic.list {
		if err := d.feed.Publish(ctx, t.name, t.recs); err != nil {
			return Published{}, err
		}
		for k, i := range t.from {
			out.Positions[i] = t.recs[k].Position
		}
	}
	return out, nil
}

func (d *Dispatcher) factEvents(facts []commands.Fact, at time.Time, m Meta) ([]events.Event, error) {
	evs := make([]events.Event, len(facts))
	for i, f := range facts {
		id := ""
		if m.IdempotencyKey == "" {
			id = d.newID()
		} else {
			id = FactID(m.IdempotencyKey, f, i)
		}
		var err error
		if evs[i], err = factEvent(f, id, at, m); err != nil {
			return nil, err
		}
	}
	return evs, nil
}

// FactID is the id of the event of the i-th fact that is published with an idempotency key.
func FactID(key string, f commands.Fact, i int) string {
	return nameID("fact", key, f.FactType(), strconv.Itoa(i))
}

// topics groups records by topic, in order of appearance.
type topics struct{ list []*topicRecords }

type topicRecords struct {
	name string
	recs []streams.Record
	from []int // place of each among the facts
}

func (ts *topics) of(name string) *topicRecords {
	for _, t := range ts.list {
		if t.name == name {
			return t
		}
	}
	t := &topicRecords{name: name}
	ts.list = append(ts.list, t)
	return t
}

// factEvent is the event of a validated fact. Its time is the fact's own or else at, and the payload's
// timestamp is written in the one form of the log.
func factEvent(f commands.Fact, id string, at time.Time, m Meta) (events.Event, error) {
	if own := f.Time(); own != "" {
		millis, err := events.TimeMillis(own)
		if err != nil {
			return events.Event{}, fault.Field("timestamp", "%v", err)
		}
		at = events.TimeOf(millis)
	}
	return envelope(id, f.Subject(), f.Event(events.FormatTime(at)), m, at), nil
}

// Identified is a fact with an id of its producer's making. The same fact of a data set must get the
// same id however often it is imported.
type Identified struct {
	ID   string
	Fact commands.Fact
}

// bulk is the memory of one PublishMany: batches follow each other by the thousand.
type bulk struct {
	encoder streams.FactEncoder
	recs    []streams.Record
}

var bulks = sync.Pool{New: func() any { return new(bulk) }}

// PublishMany writes many facts of one topic for an importer, who gives each its id, so that m has no
// idempotency key. It returns the cut that covers them all: a view that has folded it has them. Errors
// are as with [Dispatcher.Publish]; a fault of a fact names its place.
func (d *Dispatcher) PublishMany(ctx context.Context, topic string, facts []Identified, m Meta) (streams.Cut, error) {
	if m.IdempotencyKey != "" || m.IfMatch != nil {
		return nil, fault.New(fault.Internal, "facts with ids of their own take no Idempotency-Key or If-Match")
	}
	at := m.Time
	if at.IsZero() {
		at = d.now()
	}
	b := bulks.Get().(*bulk)
	defer bulks.Put(b)
	b.encoder.Reset()
	b.recs = b.recs[:0]
	for i, f := range facts {
		err := f.Fact.Validate()
		if err == nil && f.Fact.Topic() != topic {
			err = fault.Field("topic", "is %s; want %s", f.Fact.Topic(), topic)
		}
		if err != nil {
			return nil, errors.Join(inFact(i, err)...)
		}
		ev, err := factEvent(f.Fact, f.ID, at, m)
		if err != nil {
			return nil, err
		}
		if b.recs, err = b.encoder.Append(b.recs, f.Fact.Key(), &ev); err != nil {
			return nil, errors.Join(inFact(i, err)...)
		}
	}
	if err := d.feed.Publish(ctx, topic, b.recs); err != nil {
		return nil, err
	}
	cut := streams.Cut{}
	for i := range b.recs {
		cut.Include(b.recs[i].Position)
	}
	return cut, nil
}

// inFact says of each fault in which of several facts it is.
func inFact(i int, err error) (all []error) {
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		for _, one := range many.Unwrap() {
			all = append(all, inFact(i, one)...)
		}
		return all
	}
	if f, ok := err.(*fault.Error); ok {
		placed := *f
		placed.Field = strings.TrimSuffix(fmt.Sprintf("facts[%d].%s", i, f.Field), ".")
		err = &placed
	}
	return []error{err}
}
