package react_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers/react"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/streams"
)

func TestDeadLetter(t *testing.T) {
	bubble(t, func(b *bench) {
		broken, attempts := true, 0
		c := b.config(b.TempDir(), nil)
		c.HandlerRetries = 2
		r, _ := b.run(c, roles(well, well, func(_ context.Context, a *react.Reaction) error {
			if a.Cause().Data.(*events.MovieListed).MovieID != "poison" {
				return nil
			}
			if attempts++; broken {
				return errors.New("broken on purpose")
			}
			return nil
		}))
		b.list("poison")
		b.list("2")
		b.settle()
		letters := all[events.DeadLettered](b)
		if len(letters) != 1 {
			t.Fatalf("%d dead letters", len(letters))
		}
		letter := letters[0]
		if letter.Reactor != ringer || letter.Attempts != 3 || attempts != 3 || !strings.Contains(letter.Error, "broken on purpose") {
			t.Errorf("%+v after %d attempts", letter, attempts)
		}
		if p, err := streams.ParsePosition(letter.Position); err != nil || p.Offset != 1 {
			t.Errorf("%v %v", p, err)
		}
		if s := b.stat(r, ringer); s.Handled != 2 || s.DeadLettered != 1 || s.Lag != 0 {
			t.Errorf("it does not go on: %+v", s)
		}

		if err := r.Retry(b.Context(), letter.DeadLetterID, "user:anna"); err == nil || !strings.Contains(err.Error(), "broken on purpose") {
			t.Errorf("retry while broken: %v", err)
		}
		if err := r.Retry(b.Context(), "unknown", "user:anna"); !fault.Is(err, fault.NotFound) {
			t.Errorf("retry of an unknown letter: %v", err)
		}
		broken = false
		b.must(r.Retry(b.Context(), letter.DeadLetterID, "user:anna"))
		if attempts != 5 {
			t.Errorf("%d attempts", attempts)
		}
		resolved := all[events.DeadLetterResolved](b)
		if len(resolved) != 1 || resolved[0].Resolution != "retried" {
			t.Errorf("%+v", resolved)
		}
		if err := r.Drop(b.Context(), letter.DeadLetterID, "user:anna", "too late"); !fault.Is(err, fault.Conflict) {
			t.Errorf("drop of a closed letter: %v", err)
		}
	})
}
