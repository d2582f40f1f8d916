package react

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/streams"
)

// Reaction is a role's reaction to one event. What it says, it says in steps: a command's idempotency key
// derives from (role, event, step), so that whoever repeats the step, in whatever process, says it once.
// Steps are in people's logs: never change one.
type Reaction struct {
	dispatcher  Dispatcher
	role        string
	cause       *events.Event
	correlation string
}

// Cause is the event that is reacted to.
func (a *Reaction) Cause() *events.Event { return a.cause }

// Meta is what a step is said with.
func (a *Reaction) Meta(step string) handlers.Meta {
	return handlers.Meta{Actor: "reactor:" + a.role, Correlation: a.correlation, Causation: a.cause.ID,
		IdempotencyKey: key(a.role, a.cause.ID, step)}
}

// Dispatch says a command of a step.
func (a *Reaction) Dispatch(ctx context.Context, step string, c commands.Command) (handlers.Result, error) {
	return a.dispatcher.Dispatch(ctx, c, a.Meta(step))
}

// Once dispatches a command whose content differs between tries (it holds clock times): if an earlier
// try has said it, that stands.
func (a *Reaction) Once(ctx context.Context, step string, c commands.Command) error {
	_, err := a.Dispatch(ctx, step, c)
	var f *fault.Error
	if errors.As(err, &f) && f.Code == fault.Conflict && f.Field == "Idempotency-Key" {
		return nil
	}
	return err
}

// Ensure dispatches a command that is refused as a conflict when what it asks for is there already.
func (a *Reaction) Ensure(ctx context.Context, step string, c commands.Command) error {
	_, err := a.Dispatch(ctx, step, c)
	return orThere(err)
}

// Create dispatches a command on condition that its stream is empty; where it is not, what is there stands.
func (a *Reaction) Create(ctx context.Context, step string, c commands.Command) error {
	none := streams.NoStream
	m := a.Meta(step)
	m.IfMatch = &none
	_, err := a.dispatcher.Dispatch(ctx, c, m)
	return orThere(err)
}

// orThere is nil for a conflict.
func orThere(err error) error {
	if fault.Is(err, fault.Conflict) {
		return nil
	}
	return err
}

// key is readable as long as it fits.
func key(role, cause, step string) string {
	k := role + "/" + cause + "/" + step
	if len(k) > keyBytesMax {
		k = role + "/" + HashID(cause, step)
	}
	return k
}

// HashID is 32 hex digits that stand for the parts: the same parts give the same id, for ever.
func HashID(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:16])
}

// Trace cuts an account of an error to what a command takes.
func Trace(s string) string {
	if s == "" {
		s = "an error without words"
	}
	return strings.ToValidUTF8(s[:min(len(s), commands.TraceBytesMax)], "")
}
