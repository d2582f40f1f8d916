package react_test

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers/react"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

// Reactors halt at a commit that this program cannot read, say why, and go on behind it when all were told to pass over
// it: by themselves, and as members of groups.
func TestForeign_HaltsReactors(t *testing.T) {
	for _, mode := range []string{"alone", "group"} {
		t.Run(mode, func(t *testing.T) {
			bubble(t, func(b *bench) {
				var heard []string
				roles := roles(well, well, func(_ context.Context, a *react.Reaction) error {
					heard = append(heard, a.Cause().Data.(*events.MovieListed).MovieID)
					return nil
				})
				c := b.config(b.TempDir(), nil)
				c.Ledger = fold.Passing(b.log).Ledger()
				if mode == "group" {
					c.Subscribe = newGroups(b).join
				}
				r, stop := b.run(c, roles)
				b.list("1")
				ev, err := events.ReadForeign(json.RawMessage(`{"specversion":"1.0","id":"x","source":"/other","type":"trial.begun","time":"2024-02-29T12:00:00Z","data":{}}`))
				b.must(err)
				bad, err := b.log.Ledger().Append(b.Context(), streams.Commit{ID: "x", Stream: "trial/1", Expected: streams.AnyRevision, Events: []events.Event{ev}})
				b.must(err)
				b.list("2")
				b.settle()
				if s := b.stat(r, ringer); !slices.Equal(heard, []string{"1"}) || s.Offset != bad.Position.Offset || !strings.Contains(s.Error, "trial.begun at "+bad.Position.String()) {
					t.Errorf("heard of %v, at %+v; want to halt at %s", heard, s, bad.Position)
				}
				b.dispatch(&commands.SkipViewEvent{View: events.AllViews, Position: bad.Position.String(), Reason: "test"})
				b.settle()
				if s := b.stat(r, ringer); !slices.Equal(heard, []string{"1", "2"}) || s.Lag != 0 || s.Error != "" {
					t.Errorf("heard of %v, at %+v; want to have gone on", heard, s)
				}
				stop()
			})
		})
	}
}
