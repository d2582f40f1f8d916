package airflow

import (
	"encoding/json"
	"math"
	"net/http"
	"slices"
	"time"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/api/fastapi"
	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

func (s *V2) backfillRoutes(r v2Routes) {
	r.on("GET", "/backfills", s.backfills)
	r.on("POST", "/backfills", s.postBackfill)
	r.on("POST", "/backfills/dry_run", s.dryBackfill)
	r.on("GET", "/backfills/{id}", s.backfill)
	r.on("PUT", "/backfills/{id}/pause", s.pauseBackfill)
	r.on("PUT", "/backfills/{id}/unpause", s.unpauseBackfill)
	r.on("PUT", "/backfills/{id}/cancel", s.cancelBackfill)
}

// v2Backfill is one as Airflow 3 has it. Its number is where the ledger has its request.
type v2Backfill struct {
	ID          int64             `json:"id"`
	DAG         string            `json:"dag_id"`
	From        *string           `json:"from_date"`
	To          *string           `json:"to_date"`
	Conf        map[string]string `json:"dag_run_conf"`
	Paused      bool              `json:"is_paused"`
	Reprocess   string            `json:"reprocess_behavior"`
	Active      int               `json:"max_active_runs"`
	Created     *string           `json:"created_at"`
	Completed   *string           `json:"completed_at"`
	Updated     *string           `json:"updated_at"`
	DisplayName string            `json:"dag_display_name"`
}

func v2BackfillOf(b *projections.Backfill) v2Backfill {
	v := v2Backfill{ID: b.RequestedOffset, DAG: b.Workflow, From: stamp(b.FromMillis), To: stamp(b.ToMillis), Conf: b.Conf, Paused: b.Paused || b.State == projections.StateCancelled, Reprocess: "none",
		Active: b.MaxActive, Created: stamp(b.RequestedMillis), Completed: stamp(b.EndedMillis), Updated: stamp(b.UpdatedMillis), DisplayName: b.Workflow}
	switch {
	case b.RerunDone:
		v.Reprocess = "completed"
	case b.RerunFailed:
		v.Reprocess = "failed"
	}
	return v
}

var backfillAttributes = attributes[projections.Backfill]{by: map[string]func(*projections.Backfill) sortKey{"id": backfillKey}, unique: []func(*projections.Backfill) sortKey{backfillKey}}

func backfillKey(b *projections.Backfill) sortKey { return sortKey{Number: float64(b.RequestedOffset)} }

func (s *V2) backfills(w http.ResponseWriter, r *http.Request) error {
	q, err := fastapi.Query(r, "order_by")
	if err != nil {
		return err
	}
	l := readListing(q, false)
	q.Need("dag_id")
	name, _ := q.Text("dag_id", 0)
	if err := q.Done(); err != nil {
		return err
	}
	all, err := fold.Of[*projections.Workflows](s.Views).BackfillsOf(name)
	if err != nil {
		return err
	}
	return writeList(w, l, all, backfillAttributes, "backfills", func(b *projections.Backfill) any { return v2BackfillOf(b) })
}

// namedBackfill is the one that a request names.
func (s *V2) namedBackfill(r *http.Request) (b projections.Backfill, err error) {
	id, err := wholeInPath(r, "backfill_id", "id", 0)
	if err != nil {
		return b, err
	}
	b, ok, err := fold.Of[*projections.Workflows](s.Views).BackfillAt(id)
	if err == nil && !ok {
		err = fastapi.Refuse(http.StatusNotFound, "Backfill not found")
	}
	return b, err
}

func (s *V2) writeBackfill(w http.ResponseWriter, id string) error {
	b, ok, err := fold.Of[*projections.Workflows](s.Views).Backfill(id)
	if err == nil && !ok {
		err = fault.New(fault.Unavailable, "the backfill is asked for, and not to be read yet").WithHint("list the backfills of its DAG in a while")
	}
	if err != nil {
		return err
	}
	return api.WriteJSON(w, http.StatusOK, v2BackfillOf(&b))
}

func (s *V2) backfill(w http.ResponseWriter, r *http.Request) error {
	b, err := s.namedBackfill(r)
	if err != nil {
		return err
	}
	return api.WriteJSON(w, http.StatusOK, v2BackfillOf(&b))
}

// steerBackfill says something of a backfill that goes on.
func (s *V2) steerBackfill(r *http.Request, what func(id string) commands.Command) (b projections.Backfill, err error) {
	if b, err = s.namedBackfill(r); err != nil {
		return b, err
	}
	if b.State == projections.StateRunning {
		err = s.v1.say(r, what(b.BackfillID))
	}
	if b.State != projections.StateRunning || fault.Is(err, fault.Conflict) {
		err = fastapi.Refuse(http.StatusConflict, "Backfill is already completed.")
	}
	return b, err
}

func (s *V2) pauseBackfill(w http.ResponseWriter, r *http.Request) error {
	b, err := s.steerBackfill(r, func(id string) commands.Command { return &commands.PauseBackfill{BackfillID: id} })
	if err != nil {
		return err
	}
	return s.writeBackfill(w, b.BackfillID)
}

func (s *V2) unpauseBackfill(w http.ResponseWriter, r *http.Request) error {
	b, err := s.steerBackfill(r, func(id string) commands.Command { return &commands.UnpauseBackfill{BackfillID: id} })
	if err != nil {
		return err
	}
	return s.writeBackfill(w, b.BackfillID)
}

// cancelBackfill has a backfill ask for nothing more. Those of its runs that have not begun fail, as Airflow's do; the others go on.
func (s *V2) cancelBackfill(w http.ResponseWriter, r *http.Request) error {
	b, err := s.steerBackfill(r, func(id string) commands.Command {
		return &commands.EndBackfill{BackfillID: id, State: projections.StateCancelled}
	})
	if err != nil {
		return err
	}
	active, err := fold.Of[*projections.Workflows](s.Views).Active()
	if err != nil {
		return err
	}
	m, err := api.MetaOf(r)
	if err != nil {
		return err
	}
	var said []streams.Position
	for i := range active {
		run := &active[i]
		if run.State != projections.StateQueued || run.Workflow != b.Workflow || run.RunType != "backfill" || run.Note != "backfill "+b.BackfillID {
			continue
		}
		one := m
		one.IfMatch = &run.Revision // one that has begun since goes on
		if m.IdempotencyKey != "" {
			one.IdempotencyKey = m.IdempotencyKey + "/" + run.RunID
		}
		res, err := s.Dispatcher.Dispatch(r.Context(), &commands.EndWorkflowRun{RunID: run.RunID, State: projections.StateFailed, Reason: "its backfill was cancelled"}, one)
		if fault.Is(err, fault.Conflict) {
			continue
		}
		if err != nil {
			return err
		}
		said = append(said, res.Position)
	}
	s.Settle(r.Context(), said, "workflows")
	return s.writeBackfill(w, b.BackfillID)
}

// wantedBackfill is what is asked for of a schedule.
type wantedBackfill struct {
	commands.RequestBackfill
	from, to time.Time
	latest   bool // done again, runs are to go by the definition in force
}

// readBackfill reads one.
func readBackfill(w http.ResponseWriter, r *http.Request) (v wantedBackfill, err error) {
	b, err := fastapi.Body(w, r)
	if err != nil {
		return v, err
	}
	b.Need("dag_id")
	v.Workflow, _ = b.Text("dag_id", 0)
	moment := func(name string) time.Time {
		if given, ok := b.Need(name); ok && given == nil {
			b.Flaw("datetime_type", "Input should be a valid datetime", nil, nil, name)
		}
		return b.Time(name, false)
	}
	v.from, v.to = moment("from_date"), moment("to_date")
	v.FromMillis, v.ToMillis = v.from.UnixMilli(), v.to.UnixMilli()
	v.MaxActive, v.LatestFirst = int(b.Integer("max_active_runs", 10, math.MinInt32, math.MaxInt32)), b.Flag("run_backwards", false)
	if latest, ok := b.Take("run_on_latest_version"); ok && latest != nil {
		v.latest = b.Flag("run_on_latest_version", false)
	}
	again, _ := b.OneOf("enum", "reprocess_behavior", "failed", "completed", "none")
	v.RerunFailed, v.RerunDone = again == "failed", again == "completed"
	raw, ok := b.Take("dag_run_conf")
	if _, is := raw.(map[string]any); ok && raw != nil && !is {
		b.Flaw("dict_type", "Input should be a valid dictionary", raw, nil, "dag_run_conf")
	}
	if err := b.Done(); err != nil {
		return v, err
	}
	text, err := json.Marshal(raw)
	if err != nil {
		return v, fault.Wrap(fault.Internal, err, "dag_run_conf")
	}
	v.Conf, err = confOf(text)
	return v, err
}

// schedulable is the workflow whose schedule a backfill is of.
func (s *V2) schedulable(v *wantedBackfill) (projections.KnownWorkflow, error) {
	k, err := s.Workflows.Of(v.Workflow)
	switch {
	case fault.Is(err, fault.NotFound):
		err = fastapi.Refuse(http.StatusNotFound, "Could not find dag %s", api.Short(v.Workflow))
	case err != nil:
	case k.Err != nil:
		err = fastapi.Refuse(http.StatusBadRequest, "Dag with dag_id: '%s' has import errors and cannot be backfilled: %v", k.Name, k.Err)
	case k.Definition.Schedule == nil:
		err = fastapi.Refuse(http.StatusUnprocessableEntity, "%s has a non-periodic schedule that does not support backfills", k.Name)
	}
	return k, err
}

// slots are those that a backfill would look at, in their order, once what is asked for makes sense.
func (s *V2) slots(v *wantedBackfill, k *projections.KnownWorkflow) ([]projections.SlotRun, error) {
	const wrong, iso = http.StatusUnprocessableEntity, "2006-01-02T15:04:05.999999-07:00"
	now := s.Now()
	switch {
	case v.from.After(v.to):
		return nil, fastapi.Refuse(wrong, "from_date (%s) must not be after to_date (%s).", v.from.Format(iso), v.to.Format(iso))
	case !v.from.Before(now) && !v.to.Before(now):
		return nil, fastapi.Refuse(wrong, "Backfill cannot be executed for future dates.")
	}
	if _, err := s.Workflows.Conf(k, v.Conf); err != nil {
		return nil, fastapi.Refuse(wrong, "%v", inConf(err))
	}
	slots, more, err := s.Workflows.Slots(k, v.FromMillis, v.ToMillis, now, commands.BackfillSlotsMax)
	if err != nil {
		return nil, err
	}
	if more {
		return nil, fastapi.Refuse(wrong, "that is more than %d runs; ask for a shorter time", commands.BackfillSlotsMax)
	}
	again := slices.ContainsFunc(slots, func(slot projections.SlotRun) bool { return slot.State != "" && slot.Asks(v.RerunFailed, v.RerunDone) })
	switch {
	case again && len(v.Conf) > 0:
		return nil, fastapi.Refuse(wrong, "dag_run_conf: a run that is done again goes by the conf that it was asked for with; leave it out, or reprocess none")
	case again && v.latest:
		return nil, fastapi.Refuse(wrong, "run_on_latest_version: a run goes by the definition that was in force when it was asked for; leave it out, or reprocess none")
	}
	if v.LatestFirst {
		slices.Reverse(slots)
	}
	return slots, nil
}

func (s *V2) postBackfill(w http.ResponseWriter, r *http.Request) error {
	v, err := readBackfill(w, r)
	if err != nil {
		return err
	}
	k, err := s.schedulable(&v)
	if err != nil {
		return err
	}
	m, err := api.MetaOf(r)
	if err != nil {
		return err
	}
	v.BackfillID = api.Keyed(m, "backfill/"+k.Name)
	view := fold.Of[*projections.Workflows](s.Views)
	if _, again, err := view.Backfill(v.BackfillID); err != nil {
		return err
	} else if !again { // of one key, which is answered as it was
		if err := s.first(&v, &k); err != nil {
			return err
		}
	}
	if err := s.v1.say(r, &v.RequestBackfill); err != nil {
		return err
	}
	return s.writeBackfill(w, v.BackfillID)
}

// first refuses a backfill of a schedule that has one that goes on, and one of no slots.
func (s *V2) first(v *wantedBackfill, k *projections.KnownWorkflow) error {
	known, err := fold.Of[*projections.Workflows](s.Views).BackfillsOf(k.Name)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(known, func(b projections.Backfill) bool { return b.State == projections.StateRunning }) {
		return fastapi.Refuse(http.StatusConflict, "There is already a running backfill for dag %s", k.Name)
	}
	slots, err := s.slots(v, k)
	if err != nil {
		return err
	}
	if len(slots) == 0 {
		const form = "2006-01-02 15:04:05.999999-07:00"
		return fastapi.Refuse(http.StatusUnprocessableEntity, "No runs to create for Dag %s in the range [%s, %s]", k.Name, v.from.Format(form), v.to.Format(form))
	}
	return nil
}

// dryBackfill says what a backfill would ask for.
func (s *V2) dryBackfill(w http.ResponseWriter, r *http.Request) error {
	v, err := readBackfill(w, r)
	if err != nil {
		return err
	}
	k, err := s.schedulable(&v)
	if err != nil {
		return err
	}
	slots, err := s.slots(&v, &k)
	if err != nil {
		return err
	}
	type one struct {
		Logical *string `json:"logical_date"`
		Key     *string `json:"partition_key"`
		Date    *string `json:"partition_date"`
	}
	all := []one{}
	for i := range slots {
		if slots[i].Asks(v.RerunFailed, v.RerunDone) {
			all = append(all, one{Logical: stamp(slots[i].StartMillis)})
		}
	}
	return api.WriteJSON(w, http.StatusOK, map[string]any{"backfills": all, "total_entries": len(all)})
}
