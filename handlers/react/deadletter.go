package react

import (
	"context"
	"strconv"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/message/router/middleware"
	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

const metaAttempts = "attempts" // how often the handler was tried with the message

// deadLetterTopic is what watermill's poison queue is told; the letters go to the ledger.
const deadLetterTopic = "dead-letter"

// DeadLetterID is the id of the dead letter of an event that a reactor gave up on.
func DeadLetterID(reactor, eventID string) string { return HashID("dead-letter", reactor, eventID) }

// deadLetters is the publisher of watermill's poison queue: a message becomes a dead letter in the ledger.
type deadLetters struct{ r *Reactors }

var _ message.Publisher = deadLetters{}

func (d deadLetters) Publish(_ string, msgs ...*message.Message) error {
	for _, msg := range msgs {
		if err := d.write(msg); err != nil {
			return err
		}
	}
	return nil
}

func (deadLetters) Close() error { return nil }

func (d deadLetters) write(msg *message.Message) error {
	reactor := msg.Metadata.Get(middleware.PoisonedHandlerKey)
	attempts, _ := strconv.Atoi(msg.Metadata.Get(metaAttempts)) // absent: once
	c := &commands.WriteDeadLetter{
		DeadLetterID: DeadLetterID(reactor, msg.UUID), Reactor: reactor, EventID: msg.UUID,
		Position: msg.Metadata.Get(metaPosition), Attempts: max(attempts, 1),
		Error: Trace(msg.Metadata.Get(middleware.ReasonForPoisonedKey)),
	}
	// Without an idempotency key: while the letter is open another one is no event, and after a retry
	// that is to be written anew.
	_, err := d.r.cfg.Dispatcher.Dispatch(msg.Context(), c, handlers.Meta{
		Actor: "reactor:" + reactor, Correlation: msg.Metadata.Get(metaCorrelation), Causation: msg.UUID})
	if fault.Is(err, fault.Conflict) {
		return nil // an operator has dropped it already
	}
	if err == nil {
		d.r.counters[reactor].deadLettered.Add(1)
		d.r.log.Error("reactor gave up on an event: dead letter written", "reactor", reactor, "dead_letter", c.DeadLetterID,
			"event", msg.UUID, "type", msg.Metadata.Get(metaType), "position", c.Position, "error", c.Error)
	}
	return err
}

// Retry gives the event of an open dead letter to its reactor again, once, and closes the letter as
// retried if that went well; otherwise the letter stays open and the error says why. It lasts as long as
// the reactor's work does. Errors: fault.NotFound for no such letter, fault.Conflict for one that is
// closed, and the reactor's own.
func (r *Reactors) Retry(ctx context.Context, id, actor string) error {
	letter, err := r.openLetter(ctx, id)
	if err != nil {
		return err
	}
	reactor := r.reactor(letter.Reactor)
	if reactor == nil {
		return fault.New(fault.NotFound, "dead letter %s is of reactor %q, which this program has not", id, letter.Reactor).
			WithHint("drop it")
	}
	ev, err := r.eventAt(ctx, letter.Position, letter.EventID)
	if err != nil {
		return err
	}
	if err := reactor.handle(ctx, ev); err != nil {
		return err
	}
	return r.resolve(ctx, id, actor, "retried", "")
}

// Drop closes an open dead letter for good: its event is left undone. Errors as for [Reactors.Retry].
func (r *Reactors) Drop(ctx context.Context, id, actor, reason string) error {
	if _, err := r.openLetter(ctx, id); err != nil {
		return err
	}
	return r.resolve(ctx, id, actor, "dropped", reason)
}

func (r *Reactors) resolve(ctx context.Context, id, actor, resolution, reason string) error {
	_, err := r.cfg.Dispatcher.Dispatch(ctx, &commands.ResolveDeadLetter{DeadLetterID: id, Resolution: resolution, Reason: reason},
		handlers.Meta{Actor: actor})
	return err
}

func (r *Reactors) openLetter(ctx context.Context, id string) (projections.DeadLetter, error) {
	letter, ok, err := projections.FoldDeadLetter(r.cfg.Ledger.ReadStream(ctx, "dead-letter/"+id, 0), fold.At{})
	switch {
	case err != nil:
	case !ok:
		err = fault.New(fault.NotFound, "no dead letter %s", id)
	case letter.State != projections.DeadLetterOpen:
		err = fault.New(fault.Conflict, "dead letter %s was %s already", id, letter.State)
	}
	return letter, err
}

func (r *Reactors) eventAt(ctx context.Context, position, eventID string) (*events.Event, error) {
	p, err := streams.ParsePosition(position)
	if err != nil {
		return nil, fault.Wrap(fault.Corrupt, err, "the dead letter's position")
	}
	for c, err := range r.cfg.Ledger.Read(ctx, p.Offset) {
		if err != nil {
			return nil, err
		}
		for i := range c.Events {
			if c.Events[i].ID == eventID {
				return &c.Events[i], nil
			}
		}
		break
	}
	return nil, fault.New(fault.Corrupt, "the ledger has no event %s at %s", eventID, position)
}
