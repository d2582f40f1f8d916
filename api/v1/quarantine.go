package v1

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

func (s *Surface) quarantineRoutes(r *api.Routes) {
	s.then(r, "GET /api/v1/quarantine", (*Surface).quarantine, "quarantine")
	s.then(r, "GET /api/v1/quarantine/counts", (*Surface).quarantineCounts, "quarantine")
	s.then(r, "GET /api/v1/quarantine/records/{position...}", (*Surface).quarantined, "quarantine")
	r.Handle("POST /api/v1/quarantine/records/{position...}", s.resolveQuarantined, "quarantine")
}

var quarantineStates = []string{projections.QuarantineOpen, commands.QuarantineReplaced, commands.QuarantineDropped}

func (s *Surface) quarantine(w http.ResponseWriter, r *http.Request) error {
	q := api.QueryOf(r, "topic", "state", "limit", "cursor")
	page, state := q.Page(), q.Str("state")
	if state != "" && !slices.Contains(quarantineStates, state) {
		q.Fault("state", "is %q; want one of %s", api.Short(state), strings.Join(quarantineStates, ", "))
	}
	if err := q.Err(); err != nil {
		return err
	}
	p, err := fold.Of[*projections.Quarantine](s.Views).Facts(q.Str("topic"), state, page)
	return api.Paged(w, p, err)
}

func (s *Surface) quarantineCounts(w http.ResponseWriter, r *http.Request) error {
	if err := api.QueryOf(r).Err(); err != nil {
		return err
	}
	counts, err := fold.Of[*projections.Quarantine](s.Views).Counts()
	if err != nil {
		return err
	}
	refused, err := fold.Of[*projections.Quarantine](s.Views).Refused()
	if err != nil {
		return err
	}
	return api.WriteJSON(w, http.StatusOK, struct {
		Topics  map[string]int64 `json:"topics"`
		Refused map[string]int64 `json:"refused"` // before they were in the log
	}{counts, refused})
}

func (s *Surface) quarantined(w http.ResponseWriter, r *http.Request) error {
	if err := api.QueryOf(r).Err(); err != nil {
		return err
	}
	f, err := s.inQuarantine(r)
	if err != nil {
		return err
	}
	return api.WriteJSON(w, http.StatusOK, f)
}

// inQuarantine is the record that a request names.
func (s *Surface) inQuarantine(r *http.Request) (*projections.QuarantinedFact, error) {
	p, err := streams.ParsePosition(r.PathValue("position"))
	if err != nil {
		return nil, fault.Field("position", "%v", err)
	}
	f, ok, err := fold.Of[*projections.Quarantine](s.Views).Fact(p)
	if err == nil && !ok {
		err = fault.New(fault.NotFound, "the record at %s is not in quarantine", p).WithHint("GET /api/v1/quarantine lists what is")
	}
	return &f, err
}

// resolved is what was decided of a record, and the fact that was published in its place.
type resolved struct {
	*commandAnswer
	By *factAnswer `json:"by,omitempty"`
}

// resolveQuarantined decides what becomes of a record in quarantine: it is dropped, or replaced by a value in the form that is documented for its topic, which
// is published as any other. The record stays as it is. The value is in the log before the ledger says that it stands in for the record; its id derives from
// the record's position, so that a repeat, after whatever broke off the first, publishes nothing more. Of one record one thing is decided, and what is refused
// publishes nothing: so such requests of a process take turns.
func (s *Surface) resolveQuarantined(w http.ResponseWriter, r *http.Request) error {
	var v struct {
		Resolution string          `json:"resolution"`
		Value      json.RawMessage `json:"value"`
		Reason     string          `json:"reason"`
	}
	if err := api.ReadJSON(w, r, &v, false); err != nil {
		return err
	}
	m, err := api.MetaOf(r)
	if err != nil {
		return err
	}
	record, err := s.inQuarantine(r)
	if err != nil {
		return err
	}
	c := &commands.ResolveQuarantined{Position: record.Position, Resolution: v.Resolution, Reason: v.Reason}
	replaces := v.Resolution == commands.QuarantineReplaced
	switch given := len(v.Value) > 0; {
	case given && !replaces:
		return fault.Field("value", "is of a record that is replaced").WithHint("give resolution replaced, or leave it out")
	case replaces && !given:
		return fault.Field("value", "is needed: the value that takes the record's place")
	case replaces:
		c.By = record.Position // in the place of the fact's, which has none before it is published
	}
	if err := errors.Join(c.Validate(), m.Validate()); err != nil {
		return err
	}
	done, err := turn(r.Context(), s.resolving, "the quarantine")
	if err != nil {
		return err
	}
	defer done()
	out := resolved{}
	if replaces {
		if out.By, err = s.replace(r, record, v.Value, m, c.Stream()); err != nil {
			return err
		}
		c.By, m.Causation = out.By.Position, out.By.EventID
	}
	var res handlers.Result
	if out.commandAnswer, res, err = s.command(r, c, m, "quarantine", "audit"); err != nil {
		return err
	}
	api.SetETag(w, res.Revision)
	return api.WriteJSON(w, http.StatusOK, out)
}

// replace publishes the value that takes a record's place. Where something was decided of the record before, nothing is published but what was.
func (s *Surface) replace(r *http.Request, record *projections.QuarantinedFact, value json.RawMessage, m handlers.Meta, stream string) (*factAnswer, error) {
	topic, ok := events.TopicOf(record.Topic)
	if !ok || topic.Plain == "" {
		return nil, fault.Field("resolution", "a record of %s cannot be replaced: nobody publishes to it", api.Short(record.Topic)).WithHint("drop it, with a reason")
	}
	fact, err := s.fact(topic, value)
	if err == nil {
		err = fact.Validate()
	}
	if err != nil {
		return nil, errors.Join(within("value", err)...)
	}
	last := streams.NoStream
	for c, err := range s.Log.Ledger().ReadStream(r.Context(), stream, 0) {
		if err != nil {
			return nil, err
		}
		last = c.Last()
		for i := range c.Events {
			if d, ok := c.Events[i].Data.(*events.QuarantineResolved); ok {
				return s.replacedBy(r.Context(), d, fact)
			}
		}
	}
	if err := m.Matches(stream, last); err != nil {
		return nil, err
	}
	m.IdempotencyKey, m.IfMatch = stream, nil
	if at := events.TimeOf(record.RecordedMillis); events.CheckTime(at, s.Now()) == nil {
		m.Time = at // a value without a timestamp happens when the record would have
	}
	p, err := s.Dispatcher.Publish(r.Context(), []commands.Fact{fact}, m)
	if fault.Is(err, fault.Conflict) {
		return nil, s.otherValue(record, handlers.FactID(m.IdempotencyKey, fact, 0))
	}
	if err != nil {
		return nil, err
	}
	return &factAnswer{EventID: p.Events[0].ID, Position: p.Positions[0].String(), Time: events.FormatTime(p.Events[0].Time), Duplicate: p.Duplicate}, nil
}

// otherValue says that a value was published for a record before, under an event id, of which the ledger does not say yet that it takes the record's place.
func (s *Surface) otherValue(record *projections.QuarantinedFact, id string) error {
	where, err := s.placeOfFact(fold.Of[*projections.Audit](s.Views), id)
	if err != nil {
		return err
	}
	if where != "" {
		where = ", at " + where
	}
	return conflicting("value", "another value was published for the record at %s%s, and it is not said yet that it takes its place", record.Position, where).
		WithHint("give the value that was given first")
}

// replacedBy is the fact that took a record's place before, if it says the same.
func (s *Surface) replacedBy(ctx context.Context, d *events.QuarantineResolved, fact commands.Fact) (*factAnswer, error) {
	if d.By == "" {
		return nil, conflicting("resolution", "the record at %s was %s already", d.Position, d.Resolution)
	}
	pos, err := streams.ParsePosition(d.By)
	if err != nil {
		return nil, fault.Wrap(fault.Corrupt, err, "a stored position does not read")
	}
	ev, err := s.factAt(ctx, pos)
	if err != nil {
		return nil, err
	}
	is, err := json.Marshal(ev.Data)
	if err != nil {
		return nil, err
	}
	asked, err := json.Marshal(fact.Event(events.FormatTime(ev.Time)))
	if err != nil {
		return nil, err
	}
	if own := fact.Time(); !bytes.Equal(is, asked) || own != "" && events.FormatTime(ev.Time) != canonicalTime(own) {
		return nil, conflicting("value", "the record at %s was replaced already, by %s", d.Position, d.By)
	}
	return &factAnswer{EventID: ev.ID, Position: d.By, Time: events.FormatTime(ev.Time), Duplicate: true}, nil
}

// canonicalTime is a time in the log's one form; what is none is nothing.
func canonicalTime(text string) string {
	millis, err := events.TimeMillis(text)
	if err != nil {
		return ""
	}
	return events.FormatTime(events.TimeOf(millis))
}

func conflicting(field, format string, args ...any) *fault.Error {
	e := fault.New(fault.Conflict, format, args...)
	e.Field = field
	return e
}
