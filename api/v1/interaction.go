package v1

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"

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

// fact is the command to record it. Feedback without a type is a rating if it has one, else a like.
func (v *interaction) fact(feedback bool) (*commands.RecordInteraction, error) {
	f := &commands.RecordInteraction{Interaction: events.Interaction{UserID: events.CanonicalUser(string(v.UserID)),
		MovieID: events.CanonicalMovie(string(v.MovieID)), Kind: v.Kind, SessionID: v.SessionID, Timestamp: v.Timestamp}}
	if feedback && f.Kind == "" {
		if f.Kind = events.KindLike; v.Rating != nil {
			f.Kind = events.KindRating
		}
	}
	if v.Rating != nil {
		if f.Rating = *v.Rating; f.Rating == 0 {
			return f, fault.Field("rating", "is 0; want above 0, at most %v", events.RatingMax).WithHint("leave it out if there is none")
		}
	}
	return f, f.Validate()
}

// check says what else is wrong with an interaction: only here are a clock and the catalogue at hand.
func (s *Surface) check(v *interaction, feedback bool) (*commands.RecordInteraction, error) {
	f, err := v.fact(feedback)
	if err != nil {
		return nil, err
	}
	if f.Timestamp != "" {
		millis, err := events.TimeMillis(f.Timestamp)
		if err == nil && millis > s.Now().Add(futureMax).UnixMilli() {
			err = fmt.Errorf("%s is more than a day ahead of this server's clock", f.Timestamp)
		}
		if err != nil {
			return nil, fault.Field("timestamp", "%v", err)
		}
	}
	return f, s.film("movie_id", f.MovieID)
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
	facts := make([]commands.Fact, len(given))
	var errs []error
	for i := range given {
		f, err := s.check(&given[i], feedback)
		switch {
		case err == nil:
			facts[i] = f
		case !many:
			return err
		default:
			errs = append(errs, within(fmt.Sprintf("[%d]", i), err)...)
		}
	}
	if len(errs) > 0 {
		return errors.Join(errs...)
	}
	p, err := s.Dispatcher.Publish(r.Context(), facts, m)
	if err != nil {
		return err
	}
	if !p.Duplicate {
		for _, f := range facts {
			s.metrics.interaction(f.(*commands.RecordInteraction).Kind)
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
