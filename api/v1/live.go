package v1

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/streams"
)

func (s *Surface) liveRoutes(r *api.Routes) {
	r.Handle("GET /api/v1/live", s.live)
	r.Handle("GET /api/v1/log/changes", s.changesBetween)
}

// live tells a listener what changes, as server-sent events (WHATWG HTML, 9.2), from the cut after= on, or the header Last-Event-ID,
// which browsers send when they come back; without either from now on:
//
//	event: change      id: a cut up to which all is told; data: {"cut","events","views"}, see [liveChange]
//	event: readiness   data: {"ready","reason"}: at first, and when it is another
//
// A change is told when the views that answer for it have it, or will not. What is not told yet when the connection ends is told to whoever
// comes back with the id.
func (s *Surface) live(w http.ResponseWriter, r *http.Request) error {
	q := api.QueryOf(r)
	if err := q.Err(); err != nil {
		return err
	}
	head, err := fold.HeadCut(r.Context(), s.Log, time.Time{})
	if err != nil {
		return err
	}
	field, after := "after", q.Str("after")
	if id := r.Header.Get("Last-Event-ID"); id != "" {
		field, after = "Last-Event-ID", id
	}
	from := head
	if after != "" {
		if from, err = cutWithin(after, head); err != nil {
			return fault.Field(field, "%v", err).WithHint("leave it out to be told from now on, and ask for everything anew")
		}
	}
	if s.Draining() {
		return fault.New(fault.Unavailable, "the server is shutting down")
	}
	select {
	case s.listeners <- struct{}{}:
		defer func() { <-s.listeners }()
	default:
		return fault.New(fault.Unavailable, "%d listen already", listenersMax).WithHint("share one connection among the pages of a browser, or ask again now and then: GET /api/v1/log/moment")
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(s.Follow(), cancel)()
	l := &listener{s: s, w: w, rc: http.NewResponseController(w), cut: from.Clone(), whole: from.Clone(), changes: changes{}}
	l.follow(ctx) //nolint:errcheck // the listener is gone, or comes back
	return nil
}

// changesBetween answers with what has changed between the cut after= and the cut until=, by default the log's end, as a listener would have been told of it. It
// is for who has read something before being told from a cut on: what was read says up to where it is read ([api.ReadCut]).
// Errors: fault.Unavailable while views that answer for it are behind, after [api.WaitMax].
func (s *Surface) changesBetween(w http.ResponseWriter, r *http.Request) error {
	q := api.QueryOf(r, "until")
	after, until := q.Str("after"), q.Str("until")
	if after == "" && q.Err() == nil {
		q.Add(fault.Field("after", "is missing").WithHint("it is a cut, such as GET /api/v1/log/moment gives"))
	}
	if err := q.Err(); err != nil {
		return err
	}
	to, err := fold.HeadCut(r.Context(), s.Log, time.Time{})
	if err != nil {
		return err
	}
	from, err := cutWithin(after, to)
	if err != nil {
		return fault.Field("after", "%v", err)
	}
	if until != "" {
		if to, err = cutWithin(until, to); err != nil {
			return fault.Field("until", "%v", err)
		}
	}
	all, answer := changes{}, liveChange{Cut: to.String(), Views: map[string][]string{}}
	for tp, next := range to {
		if next > from[tp] {
			answer.Events += next - from[tp]
			if err := s.readChanges(r.Context(), all, tp, from[tp], next); err != nil {
				return err
			}
		}
	}
	for begun := time.Now(); len(all) > 0; {
		views, err := s.settled(r.Context(), all)
		if err != nil {
			return err
		}
		maps.Copy(answer.Views, views)
		if len(all) > 0 && time.Since(begun) > api.WaitMax {
			return fault.New(fault.Unavailable, "the views that answer for %s are behind", slices.Sorted(maps.Keys(all))[0]).WithHint("ask again in a moment; GET /api/v1/views says how far each is")
		}
	}
	return api.WriteJSON(w, http.StatusOK, answer)
}

// cutWithin reads a cut of the log. It has every partition.
func cutWithin(text string, head streams.Cut) (streams.Cut, error) {
	given, err := streams.ParseCut(text)
	if err != nil {
		return nil, err
	}
	cut := streams.Cut{}
	for tp := range head {
		cut[tp] = 0
	}
	for _, tp := range given.Partitions() {
		switch next, ok := head[tp]; {
		case !ok:
			return nil, fmt.Errorf("the log has no partition %s", tp)
		case given[tp] > next:
			return nil, fmt.Errorf("%s:%d is beyond the log, which ends at %d", tp, given[tp], next)
		}
		cut[tp] = given[tp]
	}
	return cut, nil
}

// liveChange is what has changed since the message before. Views are resources of this API by name ("runs", "models", "users"), each with the ids that
// changed, at most liveIDsMax; null for more.
type liveChange struct {
	Cut    string              `json:"cut"`    // up to which all is told; the id
	Events int64               `json:"events"` // records of the log; a commit is one
	Views  map[string][]string `json:"views"`
}

// listener is one connection.
type listener struct {
	s  *Surface
	w  http.ResponseWriter
	rc *http.ResponseController

	cut     streams.Cut // how far the log is read
	whole   streams.Cut // how far all is told
	changes changes     // read, and not told
	events  int64
	ready   *readyWord // as it was told

	told time.Time // the last message
	sent time.Time // the last of anything
}

// follow tells what changes until ctx ends, or the listener is gone.
func (l *listener) follow(ctx context.Context) error {
	h := l.w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // of a proxy
	if err := l.send(ctx, fmt.Appendf(nil, "retry: %d\nid: %s\n\n", liveRetry.Milliseconds(), l.whole)); err != nil {
		return err
	}
	for ctx.Err() == nil {
		if err := l.look(ctx); err != nil {
			return err
		}
		if err := l.news(ctx); err != nil {
			return err
		}
		if time.Since(l.sent) >= liveHeartbeat {
			if err := l.send(ctx, []byte(":\n\n")); err != nil {
				return err
			}
		}
		l.await(ctx)
	}
	return ctx.Err()
}

// await waits for what comes into the log, for views that are behind, or until it is time to look.
func (l *listener) await(ctx context.Context) {
	wait := liveLook
	if len(l.changes) > 0 {
		wait = liveEvery
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	if len(l.changes) > 0 {
		<-ctx.Done()
		return
	}
	var tails []tail
	for tp, next := range l.cut {
		tails = append(tails, tail{tp, next})
	}
	l.s.awaitAny(ctx, tails)
}

// look tells whether the program is ready, if that is another word than before.
func (l *listener) look(ctx context.Context) error {
	word := l.s.ready()
	if l.ready != nil && *l.ready == word {
		return nil
	}
	l.ready = &word
	return l.message(ctx, "readiness", "", word)
}

// news tells what has come into the log, as far as the views have it.
func (l *listener) news(ctx context.Context) error {
	head, err := fold.HeadCut(ctx, l.s.Log, time.Time{})
	if err != nil {
		return err
	}
	if !beyond(head, l.cut) && len(l.changes) == 0 {
		return nil
	}
	if rest := liveEvery - time.Since(l.told); rest > 0 { // what comes meanwhile comes with it
		select {
		case <-time.After(rest):
		case <-ctx.Done():
			return ctx.Err()
		}
		if head, err = fold.HeadCut(ctx, l.s.Log, time.Time{}); err != nil {
			return err
		}
	}
	for tp, next := range head {
		if next <= l.cut[tp] {
			continue
		}
		l.events += next - l.cut[tp]
		if err := l.s.readChanges(ctx, l.changes, tp, l.cut[tp], next); err != nil {
			return err
		}
		l.cut[tp] = next
	}
	views, err := l.s.settled(ctx, l.changes)
	if err != nil || len(views) == 0 {
		return err
	}
	if len(l.changes) == 0 {
		l.whole = l.cut.Clone()
	}
	events := l.events
	l.told, l.events = time.Now(), 0
	cut := l.whole.String()
	return l.message(ctx, "change", cut, liveChange{cut, events, views})
}

// beyond says whether a has what b has not.
func beyond(a, b streams.Cut) bool {
	for tp, next := range a {
		if next > b[tp] {
			return true
		}
	}
	return false
}

// settled takes out of the changes those that the views have, or will not have: they have halted. It waits for liveEvery at most.
func (s *Surface) settled(ctx context.Context, all changes) (map[string][]string, error) {
	soon, cancel := context.WithTimeout(ctx, liveEvery)
	defer cancel()
	views := map[string][]string{}
	names := map[string]string{} // of models
	for name, c := range all {
		behind := false
		for tp, next := range c.upTo {
			if len(c.views) > 0 && next > 0 {
				behind = behind || s.Views.Settle(soon, streams.Position{TP: tp, Offset: next - 1}, c.views...) != nil
			}
		}
		if behind {
			continue
		}
		ids := c.ids
		for i := range ids {
			if name == modelsResource {
				var err error
				if ids[i], err = s.nameOf(names, ids[i]); err != nil {
					return nil, err
				}
			}
		}
		if c.many {
			ids = nil
		}
		views[name] = ids
		delete(all, name)
	}
	return views, ctx.Err()
}

// message sends an event. Its data is one line, as all JSON here is.
func (l *listener) message(ctx context.Context, event, id string, data any) error {
	line, err := api.EncodeJSON(data)
	if err != nil {
		return err
	}
	b := fmt.Appendf(nil, "event: %s\n", event)
	if id != "" {
		b = fmt.Appendf(b, "id: %s\n", id)
	}
	return l.send(ctx, fmt.Appendf(b, "data: %s\n\n", bytes.TrimSpace(line)))
}

func (l *listener) send(ctx context.Context, b []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	l.sent = time.Now()
	if _, err := l.w.Write(b); err != nil {
		return err
	}
	return l.rc.Flush()
}

// readyWord says whether the program is ready, and if not, why.
type readyWord struct {
	Ready  bool   `json:"ready"`
	Reason string `json:"reason"`
}

// readiness is what listeners share: it is looked at for all of them, now and then.
type readiness struct {
	sync.Mutex
	looked time.Time
	word   readyWord
}

// ready is whether the program is ready, as of a moment ago.
func (s *Surface) ready() readyWord {
	r := &s.readiness
	r.Lock()
	defer r.Unlock()
	if !r.looked.IsZero() && time.Since(r.looked) < liveLook {
		return r.word
	}
	ctx, cancel := context.WithTimeout(s.Work(), 2*logTimeout)
	defer cancel()
	missing, err := s.missing(ctx)
	r.looked, r.word = time.Now(), readyWord{Ready: true}
	switch {
	case err != nil:
		r.word = readyWord{Reason: err.Error()}
	case len(missing) > 0:
		r.word = readyWord{Reason: missing[0].Message}
	}
	return r.word
}
