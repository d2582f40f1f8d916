package v1

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/streams"
)

func (s *Surface) interactionRoutes(r *api.Routes) {
	r.Handle("POST /api/v1/feedback", func(w http.ResponseWriter, r *http.Request) error { return s.interact(w, r, true) })
	r.Handle("POST /api/v1/events/user-interaction", func(w http.ResponseWriter, r *http.Request) error { return s.interact(w, r, false) })
}

// interaction is one act of a person towards a film, as clients send it.
type interaction struct {
	UserID    api.ID   `json:"user_id"`
	MovieID   api.ID   `json:"movie_id"`
	Kind      string   `json:"interaction_type"`
	Rating    *float64 `json:"rating"`
	SessionID string   `json:"session_id"`
	Timestamp string   `json:"timestamp"`
}

// act is the command to record an interaction that came over HTTP: well-formed is one of a film that there is, that
// has happened by now. Only here are a clock and the catalogue at hand.
type act struct {
	*commands.RecordInteraction
	surface *Surface
	fault   error // what Validate has found
}

// act is the command. Feedback without a type is a rating if it has one, else a like.
func (s *Surface) act(v *interaction, feedback bool) *act {
	f := &commands.RecordInteraction{Interaction: events.Interaction{UserID: events.CanonicalUser(string(v.UserID)),
		MovieID: events.CanonicalMovie(string(v.MovieID)), Kind: v.Kind, SessionID: v.SessionID, Timestamp: v.Timestamp}}
	if feedback && f.Kind == "" {
		if f.Kind = events.KindLike; v.Rating != nil {
			f.Kind = events.KindRating
		}
	}
	a := &act{RecordInteraction: f, surface: s}
	if v.Rating != nil {
		if f.Rating = *v.Rating; f.Rating == 0 {
			a.fault = fault.Field("rating", "is 0; want above 0, at most %v", events.RatingMax).WithHint("leave it out if there is none")
		}
	}
	return a
}

// Validate is asked once, by the dispatcher.
func (a *act) Validate() error {
	if a.fault == nil {
		a.fault = a.RecordInteraction.Validate()
	}
	if a.fault == nil && a.Timestamp != "" {
		a.fault = checkTime(a.Timestamp, a.surface.Now())
	}
	if a.fault == nil {
		a.fault = a.surface.film("movie_id", a.MovieID)
	}
	return a.fault
}

// interact takes one interaction or an array of them. It answers when all are durable and the online
// model has learned from them; or, if that takes long, with 202 and without the latter.
func (s *Surface) interact(w http.ResponseWriter, r *http.Request, feedback bool) error {
	m, err := api.MetaOf(r)
	if err != nil {
		return err
	}
	body, err := api.ReadBody(w, r, api.BodyBytesMax)
	if err != nil {
		return err
	}
	many := bytes.HasPrefix(bytes.TrimLeft(body, " \t\r\n"), []byte{'['})
	given := make([]interaction, 1)
	if many {
		if given = nil; len(body) > 0 {
			err = api.Unmarshal(body, &given)
		}
	} else {
		err = api.Unmarshal(body, &given[0])
	}
	switch {
	case err != nil:
		return err
	case len(given) == 0:
		return fault.New(fault.Invalid, "the array is empty; want 1 to %d interactions", interactionsMax)
	case len(given) > interactionsMax:
		return fault.New(fault.TooLarge, "the array has %d interactions; the most is %d", len(given), interactionsMax).WithHint("send them in several requests")
	}
	acts, facts := make([]*act, len(given)), make([]commands.Fact, len(given))
	for i := range given {
		acts[i] = s.act(&given[i], feedback)
		facts[i] = acts[i]
	}
	p, err := s.Dispatcher.Publish(r.Context(), facts, m)
	if faults := faultsOf(acts, many); faults != nil {
		return faults
	}
	if err != nil {
		return err
	}
	if !p.Duplicate {
		for _, a := range acts {
			s.metrics.interaction(a.Kind)
		}
	}
	folded := s.Settle(r.Context(), last(p.Positions), "online")
	answers := make([]factAnswer, len(facts))
	for i := range facts {
		answers[i] = factAnswer{p.Events[i].ID, p.Positions[i].String(), events.FormatTime(p.Events[i].Time), p.Duplicate, folded}
	}
	code := http.StatusOK
	if !folded {
		code = http.StatusAccepted
	}
	if many {
		return api.WriteJSON(w, code, struct {
			Items []factAnswer `json:"items"`
		}{answers})
	}
	return api.WriteJSON(w, code, answers[0])
}

// faultsOf is what was found wrong with some acts, and of an array's in which.
func faultsOf(acts []*act, many bool) error {
	if !many {
		return acts[0].fault
	}
	var errs []error
	for i, a := range acts {
		if a.fault != nil {
			errs = append(errs, within(fmt.Sprintf("[%d]", i), a.fault)...)
		}
	}
	return errors.Join(errs...)
}

// checkTime says whether a fact with a timestamp may be taken in now; one that cannot be read is left to the command.
func checkTime(stamp string, now time.Time) error {
	millis, err := events.TimeMillis(stamp)
	if err != nil {
		return nil
	}
	var at *events.FieldError
	if errors.As(events.CheckTime(events.TimeOf(millis), now), &at) {
		return fault.Field(at.Field, "%s", at.Message)
	}
	return nil
}

// within says of each fault in which part of the request it is.
func within(place string, err error) []error {
	parts := api.Flatten(err)
	out := make([]error, len(parts))
	for i, part := range parts {
		var f *fault.Error
		if out[i] = part; errors.As(part, &f) {
			placed := *f
			if placed.Field = place; f.Field != "" {
				placed.Field += "." + f.Field
			}
			out[i] = &placed
		}
	}
	return out
}

// last is the last position in each partition.
func last(positions []streams.Position) []streams.Position {
	cut := streams.Cut{}
	for _, p := range positions {
		cut.Include(p)
	}
	out := make([]streams.Position, 0, len(cut))
	for _, tp := range cut.Partitions() {
		out = append(out, streams.Position{TP: tp, Offset: cut[tp] - 1})
	}
	return out
}
