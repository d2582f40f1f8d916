package v1

import (
	"context"
	"net/http"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

func (s *Surface) viewRoutes(r *api.Routes) {
	r.Handle("GET /api/v1/views", s.viewStatus)
	r.Handle("POST /api/v1/views/{view}/skip", s.skip)
}

// viewStatus is how a view is, and what is answered from it.
type viewStatus struct {
	fold.Status
	HaltedAt string   `json:"halted_at,omitempty"` // the record that it cannot fold: what it tells is of before it
	Unread   bool     `json:"unread,omitempty"`    // this program cannot read that commit, and every view of the ledger halts there
	Answers  []string `json:"answers"`             // the paths of this API, as its routes are written, that are answered from it
}

func (s *Surface) viewStatus(w http.ResponseWriter, r *http.Request) error {
	if err := api.QueryOf(r).Err(); err != nil {
		return err
	}
	views, err := s.Views.Status(r.Context())
	out := fold.Page[viewStatus]{Items: make([]viewStatus, len(views))}
	for i, v := range views {
		out.Items[i] = viewStatus{Status: v, Answers: append([]string{}, s.answers[v.View]...)}
		if v.Halted != nil {
			out.Items[i].HaltedAt, out.Items[i].Unread = v.Halted.Position.String(), v.Halted.Unread
		}
	}
	return api.Paged(w, out, err)
}

// factoriesOf are the factories of the named views; none named: all.
func (s *Surface) factoriesOf(names ...string) []fold.Factory {
	if len(names) == 0 {
		return s.Factories
	}
	var some []fold.Factory
	for _, f := range s.Factories {
		for _, name := range names {
			if f().Spec().Name == name {
				some = append(some, f)
			}
		}
	}
	return some
}

// unreadable is nil for a commit of the ledger that this program cannot read. Any other record is not for all to pass over.
func (s *Surface) unreadable(ctx context.Context, at streams.Position) error {
	if at.Topic != events.LedgerTopic {
		return fault.Field("position", "%s is of a feed, where what cannot be read is in quarantine, and halts nobody", at).WithHint("name the view that has halted there")
	}
	for c, err := range s.Log.Ledger().Read(ctx, at.Offset) {
		switch {
		case c == nil:
			return err
		case c.Position == at && c.Unreadable() == nil:
			return fault.Field("position", "the record at %s can be read: only a view that cannot fold it passes over it", at).WithHint("name the view that has halted there")
		case c.Position == at:
			return nil
		}
		break
	}
	return fault.Field("position", "there is no commit at %s", at)
}

// skip makes a view pass over a record that it cannot fold, or all over one that this program cannot read.
func (s *Surface) skip(w http.ResponseWriter, r *http.Request) error {
	var v struct {
		Position string `json:"position"`
		Reason   string `json:"reason"`
	}
	if err := api.ReadJSON(w, r, &v, false); err != nil {
		return err
	}
	name := r.PathValue("view")
	if name != events.AllViews && len(s.factoriesOf(name)) == 0 {
		return fault.New(fault.NotFound, "no view %q", api.Short(name))
	}
	if v.Position != "" {
		p, err := streams.ParsePosition(v.Position)
		if err != nil || !api.Known(p.TP) {
			return fault.Field("position", "%q is no position of the log; want one such as user-events/0@12", api.Short(v.Position))
		}
		if name == events.AllViews {
			if err := s.unreadable(r.Context(), p); err != nil {
				return err
			}
		}
	}
	m, err := api.MetaOf(r)
	if err != nil {
		return err
	}
	c := &commands.SkipViewEvent{View: name, Position: v.Position, Reason: v.Reason}
	res, err := s.Dispatcher.Dispatch(r.Context(), c, m)
	if err != nil {
		return err
	}
	if err := s.Views.LoadSkips(r.Context()); err != nil {
		s.Logger.Warn("views have not heard yet of what they pass over", "view", name, "position", v.Position, "error", err)
	}
	// Whether they get past it is not waited for: a view may have other records to halt at.
	return answerCommand(w, s.answer(r, c, res, "audit"), res, http.StatusOK)
}
