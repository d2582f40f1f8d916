package v1

import (
	"context"
	"net/http"
	"strings"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

func (s *Surface) causationRoutes(r *api.Routes) {
	s.then(r, "GET /api/v1/audit/chain", (*Surface).chain, "audit", "deployments")
}

// chain is what led to an event and what came of it: of an id, a position, the first event of a stream, or, for deployment/SLOT, what put
// there what it serves. A fact is found by its id where the ledger says that something came of it; any is found by its position.
func (s *Surface) chain(w http.ResponseWriter, r *http.Request) error {
	q := api.QueryOf(r, "of", "all")
	of, all := q.Str("of"), q.Str("all")
	if of == "" {
		q.Add(fault.Field("of", "is needed").WithHint("an event's id, a position such as model-drift-alerts/0@4, a stream such as workflow-run/ID, or deployment/production"))
	}
	if all != "" && all != "true" && all != "false" {
		q.Fault("all", "is %q; want true or false", api.Short(all))
	}
	if err := q.Err(); err != nil {
		return err
	}
	id, err := s.eventOf(r.Context(), of)
	pos, placed := positionOf(of)
	if fault.Is(err, fault.Invalid) && placed { // a record that cannot be read has no id that anything could name
		root := projections.Link{Asked: true}
		root.Position, root.Summary = pos.String(), err.Error()
		return api.WriteJSON(w, http.StatusOK, projections.Chain{Root: &root, Events: 1})
	}
	if err != nil {
		return err
	}
	view := fold.Of[*projections.Audit](s.Views)
	c, err := view.Chain(id, all == "true")
	if fault.Is(err, fault.NotFound) && placed && pos.Topic != events.LedgerTopic { // nothing in the ledger says that it came of the fact there
		c, err = &projections.Chain{Asked: id, Root: &projections.Link{Asked: true}, Events: 1}, nil
		c.Root.EventID, c.Root.Position = id, pos.String()
	}
	if err != nil {
		return err
	}
	for range factsMax {
		if c.Root.Type != "" {
			break
		}
		cause, err := s.tellFact(r.Context(), c.Root)
		if err != nil {
			return err
		}
		if cause == "" {
			break
		}
		before, err := view.Chain(cause, all == "true")
		if fault.Is(err, fault.NotFound) || err == nil && !before.Lead(cause, c) {
			break
		}
		if err != nil {
			return err
		}
		c = before
	}
	return api.WriteJSON(w, http.StatusOK, c)
}

// factsMax bounds how many facts, each of which something in the ledger led to, a chain leads back by.
const factsMax = 10

// positionOf reads a position of the log; a stream may end as one does, such as that of a record in quarantine.
func positionOf(of string) (streams.Position, bool) {
	pos, err := streams.ParsePosition(of)
	return pos, err == nil && api.Known(pos.TP)
}

// eventOf is the id of the event that people mean.
func (s *Surface) eventOf(ctx context.Context, of string) (string, error) {
	view := fold.Of[*projections.Audit](s.Views)
	if pos, ok := positionOf(of); ok {
		return s.eventAt(ctx, pos)
	}
	if slot, ok := strings.CutPrefix(of, "deployment/"); ok {
		d, found, err := fold.Of[*projections.Deployments](s.Views).Slot(slot)
		if err == nil && !found {
			err = fault.New(fault.NotFound, "nothing was ever deployed to %q", api.Short(slot))
		}
		return d.Current.EventID, err
	}
	if !strings.Contains(of, "/") {
		return of, nil
	}
	e, found, err := view.First(of)
	if err == nil && !found {
		err = fault.New(fault.NotFound, "the ledger has no stream %q", api.Short(of))
	}
	return e.EventID, err
}

// eventAt is the id of the event at a position: of a commit, the first.
func (s *Surface) eventAt(ctx context.Context, pos streams.Position) (string, error) {
	if pos.Topic == events.LedgerTopic {
		for c, err := range s.Log.Ledger().Read(ctx, pos.Offset) {
			if err != nil || c.Position.Offset != pos.Offset {
				break
			}
			return c.Events[0].ID, nil
		}
		return "", fault.New(fault.NotFound, "there is no commit at %s", pos)
	}
	ev, err := s.factAt(ctx, pos)
	if err != nil {
		return "", err
	}
	return ev.ID, nil
}

func (s *Surface) factAt(ctx context.Context, pos streams.Position) (events.Event, error) {
	for rec, err := range s.Log.Feed().Read(ctx, pos.TP, pos.Offset) {
		switch {
		case err != nil:
			return events.Event{}, err
		case rec.Offset != pos.Offset:
			return events.Event{}, fault.New(fault.NotFound, "there is no fact at %s", pos)
		}
		return streams.ReadFact(rec)
	}
	return events.Event{}, fault.New(fault.NotFound, "there is no fact at %s", pos)
}

// tellFact says of a fact what its record says, and gives the id of what led to it; "" for nothing.
func (s *Surface) tellFact(ctx context.Context, l *projections.Link) (cause string, err error) {
	pos, err := streams.ParsePosition(l.Position)
	if err != nil { // nothing says where it is
		return "", nil
	}
	ev, err := s.factAt(ctx, pos)
	if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Invalid) {
		return "", nil
	}
	if err != nil || ev.ID != l.EventID {
		return "", err
	}
	l.Type, l.Stream, l.EventMillis, l.Source, l.Actor = ev.Type(), ev.Subject, ev.Time.UnixMilli(), ev.Source, ev.Actor
	l.Summary = projections.FactSummary(ev.Data)
	return ev.Causation, nil
}
