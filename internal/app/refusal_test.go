package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"testing"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/handlers"
	"github.com/projectionist/projectionist/streams"
)

// TestRefusals: rubbish at any rate becomes a few commands that count all of it, each with a sample.
func TestRefusals(t *testing.T) {
	var said []*commands.RefuseFact
	r := &refusals{logger: slog.New(slog.NewTextHandler(io.Discard, nil)), dispatch: func(_ context.Context, c commands.Command, _ handlers.Meta) (handlers.Result, error) {
		if err := c.(*commands.RefuseFact).Validate(); err != nil {
			t.Error(err)
		}
		said = append(said, c.(*commands.RefuseFact))
		return handlers.Result{}, nil
	}}
	value := make([]byte, 10_000)
	for i := range 3000 {
		rec := &streams.Record{Position: streams.Position{TP: streams.TP{Topic: []string{"user-events", "system-health"}[i%2]}}, Value: value}
		rec.Value[0] = byte(i)
		r.add(rec, errors.New(fmt.Sprint("reason ", i/6))) // 500 reasons for each topic
	}
	r.write(t.Context())
	total := int64(0)
	for _, c := range said {
		total += c.Count
	}
	if len(said) != refusalsMax || total != 3000 {
		t.Errorf("%d commands count %d records; want %d and 3000", len(said), total, refusalsMax)
	}
	if c := said[0]; c.Topic != "user-events" || c.Reason != "reason 0" || c.Value[0] != 0 || len(c.Value) != commands.RefusedBytesMax {
		t.Errorf("the first: %s %q, value of %d bytes that begins with %d", c.Topic, c.Reason, len(c.Value), c.Value[0])
	}
	said = nil
	if r.write(t.Context()); said != nil {
		t.Errorf("said again: %v", said)
	}
}
