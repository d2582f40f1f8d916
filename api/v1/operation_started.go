package v1

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

// Work that takes long is followed by whoever asks for it: the answer is lines of progress, and who goes away ends it. With the header
// "Prefer: respond-async" (RFC 7240) it is an operation instead: the answer is 202 with its address, it goes on whether anybody looks or
// not, and the log has who began it, with what, and what came of it.

func (s *Surface) startedOperationRoutes(r *api.Routes) {
	s.then(r, "GET /api/v1/operations", (*Surface).operations, "operations")
	r.Handle("GET /api/v1/operations/{operation}", s.operation, "operations")
	r.Handle("POST /api/v1/operations/{operation}/cancel", s.cancelOperation)
}

// operationAnswer is an operation, and how far it is, where this process does it.
type operationAnswer struct {
	projections.Operation
	Here     bool          `json:"here"` // under way in the process that answers
	Progress *api.Progress `json:"progress,omitempty"`
}

// underWay is an operation with what is known here of its progress.
func (s *Surface) underWay(o projections.Operation) operationAnswer {
	a := operationAnswer{Operation: o}
	if is := s.Ongoing(o.OperationID); is != nil && o.State == projections.OperationRunning {
		at := is.Progress()
		a.Here, a.Progress = true, &at
	}
	return a
}

// operations lists them, newest first; long results are left out.
func (s *Surface) operations(w http.ResponseWriter, r *http.Request) error {
	q := api.QueryOf(r, "kind", "limit", "cursor")
	page, kind := q.Page(), q.Str("kind")
	if kind != "" && !slices.Contains(commands.OperationKinds, kind) {
		q.Fault("kind", "is %q; want one of %s", api.Short(kind), strings.Join(commands.OperationKinds, ", "))
	}
	if err := q.Err(); err != nil {
		return err
	}
	p, err := fold.Of[*projections.Operations](s.Views).List(kind, page)
	if err != nil || s.now != nil {
		return api.Paged(w, p, err)
	}
	out := fold.Page[operationAnswer]{Items: []operationAnswer{}, Next: p.Next}
	for _, o := range p.Items {
		out.Items = append(out.Items, s.underWay(o))
	}
	return api.WriteJSON(w, http.StatusOK, out)
}

func (s *Surface) operation(w http.ResponseWriter, r *http.Request) error {
	m, err := s.Moment(r.Context(), api.QueryOf(r, api.KnownAtParam))
	if err != nil {
		return err
	}
	id := r.PathValue("operation")
	o, ok, err := documentAt(m, fold.Of[*projections.Operations](s.Views).Operation, projections.FoldOperation, s.streamOf(r.Context(), "operation", id), id)
	if ok {
		api.SetETag(w, o.Revision)
	}
	if err == nil && ok && !m.Given() {
		return api.WriteJSON(w, http.StatusOK, s.underWay(o))
	}
	return api.Found(w, o, ok, err, "no operation %q", api.Short(id))
}

// cancelOperation ends what is under way in this process. That it has ended, the log says when it has.
func (s *Surface) cancelOperation(w http.ResponseWriter, r *http.Request) error {
	m, err := api.MetaOf(r)
	if err == nil {
		err = api.ReadJSON(w, r, &struct{}{}, true)
	}
	if err != nil {
		return err
	}
	id := r.PathValue("operation")
	o, ok, err := projections.FoldOperation(s.streamOf(r.Context(), "operation", id), fold.At{})
	is := s.Ongoing(id)
	switch {
	case err != nil || !ok:
		return api.Found(w, o, ok, err, "no operation %q", api.Short(id))
	case o.State != projections.OperationRunning:
		return fault.New(fault.Conflict, "operation %s has ended already: %s", id, o.State)
	case s.abandoned(&o):
		if err := s.interrupt(r.Context(), &o, m.Actor); err != nil {
			return err
		}
		s.Settle(r.Context(), []streams.Position{{TP: streams.TP{Topic: events.LedgerTopic}, Offset: o.Offset}}, "operations")
	case is == nil:
		return fault.New(fault.Conflict, "operation %s is not under way here, but with %s", id, o.Holder).
			WithHint("ask that process; if it is gone, the next start on its data folder ends the operation")
	default:
		is.Cancel(m.Actor)
	}
	return api.WriteJSON(w, http.StatusAccepted, s.underWay(o))
}

// abandoned says of an operation that it has not ended and that nobody does it: this process is the one that would, and the log could not say in time
// that it had begun, or take its end.
func (s *Surface) abandoned(o *projections.Operation) bool {
	return o.State == projections.OperationRunning && o.Holder == s.Holder && s.Ongoing(o.OperationID) == nil
}

// interrupt ends an operation that nobody does, unless it has just ended, and gives it as it is then.
func (s *Surface) interrupt(ctx context.Context, o *projections.Operation, actor string) error {
	_, err := s.Dispatcher.Dispatch(ctx, &commands.EndOperation{OperationID: o.OperationID, State: commands.OperationInterrupted}, handlers.Meta{Actor: actor})
	if err != nil && !fault.Is(err, fault.Conflict) {
		return err
	}
	*o, _, err = projections.FoldOperation(s.streamOf(ctx, "operation", o.OperationID), fold.At{})
	return err
}

// long does a long piece of work: as an operation of the kind where the request prefers so, or else followed by whoever asks. asked is the
// body of the request, nil where it says nothing. check, where it is given, says what keeps the work from beginning now: whoever repeats a request is
// told of the operation that it began, which may have changed that.
func (s *Surface) long(w http.ResponseWriter, r *http.Request, kind string, asked any, check func() error, work func(ctx context.Context, progress func(stage string, done, total int64)) (any, error)) error {
	if check == nil {
		check = func() error { return nil }
	}
	if !api.Prefers(r, respondAsync) {
		if err := check(); err != nil {
			return err
		}
		return s.Stream(w, r, work)
	}
	m, err := api.MetaOf(r)
	if err != nil {
		return err
	}
	c := &commands.StartOperation{OperationID: api.Keyed(m, "operation"), Kind: kind, Holder: s.Holder}
	if asked != nil {
		if c.Request, err = json.Marshal(asked); err != nil {
			return err
		}
	}
	s.starting.Lock()
	defer s.starting.Unlock()
	o, was, err := s.begunBefore(r.Context(), c, m)
	if err == nil && !was {
		if err = check(); err == nil {
			err = s.launch(r.Context(), c, m, work)
		}
		if err == nil {
			o, _, err = projections.FoldOperation(s.streamOf(r.Context(), "operation", c.OperationID), fold.At{})
		}
	}
	if err != nil {
		return err
	}
	s.Settle(r.Context(), []streams.Position{{TP: streams.TP{Topic: events.LedgerTopic}, Offset: o.Offset}}, "operations")
	w.Header().Set("Location", "/api/v1/operations/"+o.OperationID)
	w.Header().Set("Preference-Applied", respondAsync)
	api.SetETag(w, o.Revision)
	return api.WriteJSON(w, http.StatusAccepted, s.underWay(o))
}

const respondAsync = "respond-async"

// begunBefore finds the operation that was begun under the same idempotency key. One that does other work is a conflict.
func (s *Surface) begunBefore(ctx context.Context, c *commands.StartOperation, m handlers.Meta) (o projections.Operation, was bool, err error) {
	if m.IdempotencyKey == "" {
		return o, false, nil
	}
	o, was, err = projections.FoldOperation(s.streamOf(ctx, "operation", c.OperationID), fold.At{})
	if was && err == nil && s.abandoned(&o) {
		if err = s.interrupt(ctx, &o, "projectionist"); err != nil {
			return o, was, err
		}
	}
	if was && err == nil && (o.Kind != c.Kind || !bytes.Equal(o.Request, c.Request)) {
		conflict := fault.New(fault.Conflict, "this key was used before for another operation: a %s", o.Kind)
		conflict.Field = "Idempotency-Key"
		return o, was, conflict.WithHint("a key stands for one request: use a new key for a new one")
	}
	return o, was, err
}

// launch begins an operation, and records its two ends.
func (s *Surface) launch(ctx context.Context, c *commands.StartOperation, m handlers.Meta, work func(ctx context.Context, progress func(stage string, done, total int64)) (any, error)) error {
	m.IdempotencyKey = "" // the id has it
	end := handlers.Meta{Actor: m.Actor, Correlation: m.Correlation}
	is := &api.Ongoing{ID: c.OperationID, Kind: c.Kind, Work: work}
	record := func(ended *commands.EndOperation) error {
		ctx, cancel := context.WithTimeout(context.Background(), operationEndMax)
		defer cancel()
		_, err := s.Dispatcher.Dispatch(ctx, ended, end)
		return err
	}
	is.Opened = func() error {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), operationStartMax) // who goes away leaves no doubt of it
		defer cancel()
		res, err := s.Dispatcher.Dispatch(ctx, c, m)
		if err == nil {
			end.Causation = res.Events[0].ID
		}
		if fault.Is(err, fault.Unknown) { // it may be in the log, and nobody is to do it
			record(&commands.EndOperation{OperationID: c.OperationID, State: commands.OperationInterrupted}) //nolint:errcheck // else it is abandoned
		}
		return err
	}
	is.Closed = func(result any, err error) {
		ended := ending(c.OperationID, result, err)
		if ended.State == commands.OperationFailed {
			s.Logger.Error("operation failed", "request_id", m.Correlation, "operation", c.OperationID, "kind", c.Kind, "error", err)
		}
		if by := is.CancelledBy(); by != "" && ended.State == commands.OperationCancelled {
			end.Actor = by
		}
		if err := record(ended); err != nil {
			s.Logger.Error("that an operation has ended could not be recorded: who cancels it, or the next start, says that it was interrupted", "operation", c.OperationID, "state", ended.State, "error", err)
		}
	}
	return s.Launch(is)
}

const (
	// operationStartMax is how long the start of an operation may take to be recorded: a cluster takes as long to replace a leader that died.
	operationStartMax = 30 * time.Second
	// operationEndMax is how long the end of one may take: a program that ends waits for it.
	operationEndMax = 5 * time.Second
)

// ending says what came of an operation.
func ending(id string, result any, err error) *commands.EndOperation {
	c := &commands.EndOperation{OperationID: id, State: commands.OperationSuccess}
	if err == nil {
		var raw json.RawMessage
		if raw, err = json.Marshal(result); err == nil {
			if c.ResultBytes = int64(len(raw)); len(raw) <= commands.OperationResultBytesMax {
				c.Result = raw
			}
			return c
		}
	}
	switch err {
	case api.ErrCancelled: //nolint:errorlint // the very ones
		c.State = commands.OperationCancelled
	case api.ErrInterrupted:
		c.State = commands.OperationInterrupted
	default:
		p := api.ProblemOf(err, "")
		c.State, c.Error = commands.OperationFailed, strings.TrimPrefix(p.Field+": "+p.Detail, ": ")
		if p.Hint != "" {
			c.Error += "; " + p.Hint
		}
		c.Error = c.Error[:min(len(c.Error), commands.TraceBytesMax)]
	}
	return c
}
