package v1

import (
	"net/http"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
)

func (s *Surface) backfillRoutes(r *api.Routes) {
	r.Handle("POST /api/v1/workflows/{workflow}/backfills", s.requestBackfill, "workflows")
	s.then(r, "GET /api/v1/workflows/backfills", (*Surface).backfills, "workflows")
	s.then(r, "GET /api/v1/workflows/backfills/{backfill}", (*Surface).backfill, "workflows")
	r.Handle("POST /api/v1/workflows/backfills/{backfill}/cancel", s.cancelBackfill, "workflows")
	r.Handle("POST /api/v1/workflows/backfills/{backfill}/pause", s.pauseBackfill, "workflows")
	r.Handle("POST /api/v1/workflows/backfills/{backfill}/unpause", s.unpauseBackfill, "workflows")
}

// slotRuns are those of a backfill with their runs, as they are now.
func (s *Surface) slotRuns(k *projections.KnownWorkflow, fromMillis, toMillis int64) ([]projections.SlotRun, error) {
	slots, more, err := s.Workflows.Slots(k, fromMillis, toMillis, s.Now(), commands.BackfillSlotsMax)
	if more {
		err = fault.New(fault.TooLarge, "that is more than %d runs", commands.BackfillSlotsMax).WithHint("ask for a shorter time")
	}
	return slots, err
}

// requestBackfill has a schedule run for what it has not in a time; with dry_run it says what that would be.
func (s *Surface) requestBackfill(w http.ResponseWriter, r *http.Request) error {
	v := struct {
		From        string `json:"from"`
		To          string `json:"to"`
		MaxActive   int    `json:"max_active"`
		RerunFailed bool   `json:"rerun_failed"`
		RerunDone   bool   `json:"rerun_done"`
		LatestFirst bool   `json:"latest_first"`
		DryRun      bool   `json:"dry_run"`

		Conf map[string]api.Scalar `json:"conf"`
	}{MaxActive: 1}
	if err := api.ReadJSON(w, r, &v, false); err != nil {
		return err
	}
	k, err := s.Workflows.Of(r.PathValue("workflow"))
	if err != nil {
		return err
	}
	q := &api.Query{}
	moment := func(field, text string) int64 {
		ms, err := api.ParseTime(text)
		if text == "" {
			q.Fault(field, "is needed")
		} else if err != nil {
			q.Fault(field, "%v", err)
		}
		return ms
	}
	from, to := moment("from", v.From), moment("to", v.To)
	if err := q.Err(); err != nil {
		return err
	}
	m, err := api.MetaOf(r)
	if err != nil {
		return err
	}
	c := &commands.RequestBackfill{BackfillID: api.Keyed(m, "backfill/"+k.Name), Workflow: k.Name, FromMillis: from, ToMillis: to, MaxActive: v.MaxActive, RerunFailed: v.RerunFailed,
		RerunDone: v.RerunDone, LatestFirst: v.LatestFirst, Conf: confOf(v.Conf)}
	if err := c.Validate(); err != nil {
		return err
	}
	slots, err := s.slotRuns(&k, from, to)
	if err != nil {
		return err
	}
	if _, err := s.Workflows.Conf(&k, c.Conf); err != nil {
		return err
	}
	if v.DryRun {
		would := []projections.SlotRun{}
		for _, slot := range slots {
			if slot.Asks(v.RerunFailed, v.RerunDone) {
				would = append(would, slot)
			}
		}
		return api.WriteJSON(w, http.StatusOK, fold.Page[projections.SlotRun]{Items: would})
	}
	return s.dispatchAs(w, r, c, m, http.StatusCreated, "workflows")
}

func (s *Surface) backfills(w http.ResponseWriter, r *http.Request) error {
	q := api.QueryOf(r, "limit", "cursor")
	page := q.Page()
	if err := q.Err(); err != nil {
		return err
	}
	p, err := fold.Of[*projections.Workflows](s.Views).Backfills(page)
	return api.Paged(w, p, err)
}

// backfill is one with its progress: its slots by the state of their runs, "none" of those without one.
func (s *Surface) backfill(w http.ResponseWriter, r *http.Request) error {
	if err := api.QueryOf(r).Err(); err != nil {
		return err
	}
	id := r.PathValue("backfill")
	b, ok, err := fold.Of[*projections.Workflows](s.Views).Backfill(id)
	if err == nil && !ok {
		err = fault.New(fault.NotFound, "no backfill %q", api.Short(id))
	}
	if err != nil {
		return err
	}
	v := struct {
		projections.Backfill
		Slots  []projections.SlotRun `json:"slots"`
		States map[string]int        `json:"states"`
	}{Backfill: b, Slots: []projections.SlotRun{}, States: map[string]int{}}
	if k, err := s.Workflows.At(b.Workflow, b.RequestedOffset); err == nil { // else it cannot be said, and nothing is asked for
		if v.Slots, err = s.slotRuns(&k, b.FromMillis, b.ToMillis); err != nil {
			return err
		}
	}
	for _, slot := range v.Slots {
		if slot.State == "" {
			slot.State = "none"
		}
		v.States[slot.State]++
	}
	return api.WriteJSON(w, http.StatusOK, v)
}

func (s *Surface) cancelBackfill(w http.ResponseWriter, r *http.Request) error {
	var v struct {
		Reason string `json:"reason"`
	}
	if err := api.ReadJSON(w, r, &v, true); err != nil {
		return err
	}
	return s.dispatch(w, r, &commands.EndBackfill{BackfillID: r.PathValue("backfill"), State: projections.StateCancelled, Reason: v.Reason}, http.StatusOK, "workflows")
}

func (s *Surface) pauseBackfill(w http.ResponseWriter, r *http.Request) error {
	return s.dispatch(w, r, &commands.PauseBackfill{BackfillID: r.PathValue("backfill")}, http.StatusOK, "workflows")
}

func (s *Surface) unpauseBackfill(w http.ResponseWriter, r *http.Request) error {
	return s.dispatch(w, r, &commands.UnpauseBackfill{BackfillID: r.PathValue("backfill")}, http.StatusOK, "workflows")
}
