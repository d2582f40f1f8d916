package v1

import (
	"context"
	"net/http"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

// eventRef names an event that led to another, or came of it. Of one that the log is not known to have, it is the id alone.
type eventRef struct {
	EventID  string `json:"event_id"`
	Type     string `json:"type,omitempty"`
	Position string `json:"position,omitempty"`
	Stream   string `json:"stream,omitempty"` // of the ledger
	Summary  string `json:"summary,omitempty"`
	Actor    string `json:"actor,omitempty"`
	Recorded string `json:"recorded,omitempty"`
}

func refOf(e *projections.AuditEntry) eventRef {
	return eventRef{e.EventID, e.Type, e.Position, e.Stream, e.Summary, e.Actor, events.FormatTime(events.TimeOf(e.RecordedMillis))}
}

// shownEvent is an event as the log has it, with what led to it and what of the ledger it led to.
type shownEvent struct {
	Event record `json:"event"`
	// Others are the other events of its commit, in order.
	Others     []eventRef `json:"others,omitempty"`
	Cause      *eventRef  `json:"cause"` // null: nothing is said to have
	Caused     []eventRef `json:"caused"`
	CausedMore bool       `json:"caused_more,omitempty"` // there are more than [causedMax]
}

// event gives the event of an id, or at a position, of a commit the first. A fact is found by its id where the ledger says that something came of it, or
// its id derives from an idempotency key and is among the last; any is found by its position.
func (s *Surface) event(w http.ResponseWriter, r *http.Request) error {
	ctx := r.Context()
	m, err := s.Moment(ctx, api.QueryOf(r, api.KnownAtParam))
	if err != nil {
		return err
	}
	known, err := s.known(ctx, &m)
	if err != nil {
		return err
	}
	of := r.PathValue("id")
	pos, id, err := s.placeOf(of)
	if err != nil {
		return err
	}
	if !known.Covers(pos) {
		return noEvent(of)
	}
	all, err := s.recordsAt(ctx, pos)
	if err != nil {
		return err
	}
	v := shownEvent{Caused: []eventRef{}}
	at := 0
	for i := range all {
		if all[i].EventID == id {
			at = i
			break
		}
	}
	v.Event = all[at]
	for i := range all {
		if o := &all[i]; i != at {
			v.Others = append(v.Others, eventRef{EventID: o.EventID, Type: o.Type, Position: o.Position, Stream: o.Stream, Actor: o.Actor, Recorded: o.Recorded})
		}
	}
	if v.Event.Cause != "" {
		if v.Cause, err = s.causeRef(ctx, v.Event.Cause, v.Event.EventID); err != nil {
			return err
		}
	}
	if v.Event.EventID != "" {
		caused, more, err := fold.Of[*projections.Audit](s.Views).Caused(v.Event.EventID, causedMax)
		if err != nil {
			return err
		}
		for i := range caused {
			if p, err := streams.ParsePosition(caused[i].Position); err == nil && known.Covers(p) {
				v.Caused = append(v.Caused, refOf(&caused[i]))
			}
		}
		v.CausedMore = more && len(v.Caused) == len(caused)
	}
	return api.WriteJSON(w, http.StatusOK, v)
}

func noEvent(of string) error {
	return fault.New(fault.NotFound, "the log is not known to have an event %q", api.Short(of)).
		WithHint("give its position, such as user-events/1@4711: not every fact is found by its id; or leave out %s", api.KnownAtParam)
}

// placeOf is where the event stands that people mean by an id or a position, and its id; "" is that of the first there.
func (s *Surface) placeOf(of string) (pos streams.Position, id string, err error) {
	if pos, ok := positionOf(of); ok {
		return pos, "", nil
	}
	view := fold.Of[*projections.Audit](s.Views)
	entry, ok, err := view.Event(of)
	place := entry.Position
	if err == nil && !ok {
		place, err = s.placeOfFact(view, of)
	}
	if err != nil {
		return pos, "", err
	}
	if place == "" {
		return pos, "", noEvent(of)
	}
	pos, err = streams.ParsePosition(place)
	return pos, of, fault.Wrap(fault.Corrupt, err, "a stored position does not read")
}

// placeOfFact is where a fact stands that the ledger or the view of idempotency knows; "" where neither does.
func (s *Surface) placeOfFact(view *projections.Audit, id string) (string, error) {
	caused, _, err := view.Caused(id, causedMax)
	if err != nil {
		return "", err
	}
	for i := range caused {
		if caused[i].Cause != "" {
			return caused[i].Cause, nil
		}
	}
	found, err := fold.Of[*projections.Idempotency](s.Views).Find([]string{id})
	if at, ok := found[id]; ok && err == nil {
		return at.String(), nil
	}
	return "", err
}

// causeRef tells of the event that led to another, of which the id is known.
func (s *Surface) causeRef(ctx context.Context, cause, of string) (*eventRef, error) {
	view := fold.Of[*projections.Audit](s.Views)
	e, ok, err := view.Event(cause)
	if err != nil {
		return nil, err
	}
	if ok {
		ref := refOf(&e)
		return &ref, nil
	}
	ref := &eventRef{EventID: cause}
	entry, _, err := view.Event(of)
	if err != nil {
		return nil, err
	}
	place := entry.Cause
	if place == "" {
		if place, err = s.placeOfFact(view, cause); err != nil {
			return nil, err
		}
	}
	pos, bad := streams.ParsePosition(place)
	if bad != nil || !api.Known(pos.TP) {
		return ref, nil
	}
	all, err := s.recordsAt(ctx, pos)
	if err != nil || all[0].EventID != cause { // whoever writes to the log may say anything
		if err = ignoreNotFound(err); err != nil {
			return nil, err
		}
		return ref, nil
	}
	ref.Type, ref.Position, ref.Actor, ref.Recorded = all[0].Type, all[0].Position, all[0].Actor, all[0].Recorded
	if data, ok := all[0].Data.(events.Data); ok {
		ref.Summary = projections.FactSummary(data)
	}
	return ref, nil
}

func ignoreNotFound(err error) error {
	if fault.Is(err, fault.NotFound) {
		return nil
	}
	return err
}

// recordsAt are the events of the record at a position, one or more. The error is fault.NotFound for none.
func (s *Surface) recordsAt(ctx context.Context, pos streams.Position) (all []record, err error) {
	for rec, err := range read(ctx, s.Log, pos.TP, pos.Offset) {
		if err != nil {
			return nil, err
		}
		if rec.offset != pos.Offset {
			break
		}
		all = append(all, rec)
	}
	if len(all) == 0 {
		return nil, fault.New(fault.NotFound, "there is no record at %s", pos)
	}
	return all, nil
}
