package v1

import (
	"net/http"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers"
	"github.com/projectionist/projectionist/streams"
)

// commandAnswer says what a command came to. A query with after= its position sees it.
type commandAnswer struct {
	Stream    string           `json:"stream"`
	Revision  streams.Revision `json:"revision"` // the next If-Match
	Position  string           `json:"position"`
	Events    []commandEvent   `json:"events"`
	Unchanged bool             `json:"unchanged,omitempty"` // everything was so already
	Duplicate bool             `json:"duplicate,omitempty"` // the idempotency key had been used for the same: nothing was written now
	Folded    bool             `json:"folded"`              // the views have it
}

type commandEvent struct {
	EventID string `json:"event_id"`
	Type    string `json:"type"`
	Data    any    `json:"data"`
}

// dispatch hands a command over and answers once the views have it, or after a while without them.
func (s *Surface) dispatch(w http.ResponseWriter, r *http.Request, c commands.Command, status int, views ...string) error {
	m, err := api.MetaOf(r)
	if err != nil {
		return err
	}
	return s.dispatchAs(w, r, c, m, status, views...)
}

func (s *Surface) dispatchAs(w http.ResponseWriter, r *http.Request, c commands.Command, m handlers.Meta, status int, views ...string) error {
	a, res, err := s.command(r, c, m, views...)
	if err != nil {
		return err
	}
	return answerCommand(w, a, res, status)
}

// command hands a command over, and waits a while for the views.
func (s *Surface) command(r *http.Request, c commands.Command, m handlers.Meta, views ...string) (*commandAnswer, handlers.Result, error) {
	res, err := s.Dispatcher.Dispatch(r.Context(), c, m)
	if err != nil {
		return nil, res, err
	}
	return s.answer(r, c, res, views...), res, nil
}

// answer says what a command came to, after it has waited a while for the views.
func (s *Surface) answer(r *http.Request, c commands.Command, res handlers.Result, views ...string) *commandAnswer {
	a := &commandAnswer{Stream: c.Stream(), Revision: res.Revision, Position: res.Position.String(), Events: []commandEvent{},
		Unchanged: res.Unchanged(), Duplicate: res.Duplicate}
	for i := range res.Events {
		ev := &res.Events[i]
		a.Stream = ev.Subject // a name may lead to another than its own
		a.Events = append(a.Events, commandEvent{ev.ID, ev.Type(), ev.Data})
	}
	if res.Position.Topic != "" { // a stream that does not exist and was not made has none
		a.Folded = s.Settle(r.Context(), []streams.Position{res.Position}, views...)
	}
	return a
}

func answerCommand(w http.ResponseWriter, a *commandAnswer, res handlers.Result, status int) error {
	api.SetETag(w, res.Revision)
	if a.Unchanged || a.Duplicate {
		status = http.StatusOK
	}
	return api.WriteJSON(w, status, a)
}

// factAnswer says what became of one fact.
type factAnswer struct {
	EventID   string `json:"event_id"`
	Position  string `json:"position"`
	Time      string `json:"timestamp"`
	Duplicate bool   `json:"duplicate,omitempty"`
	Folded    bool   `json:"folded"` // the view that learns from it has it
}

func userOf(r *http.Request) (string, error) {
	v := r.PathValue("user")
	return events.CanonicalUser(v), api.CheckID("user", v)
}

func movieOf(r *http.Request) (string, error) {
	v := r.PathValue("movie")
	return events.CanonicalMovie(v), api.CheckID("movie", v)
}
