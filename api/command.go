package api

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/google/uuid"
	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/handlers"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/streams"
)

// metaOf reads what a request says beside its command: Idempotency-Key, If-Match (a revision as in
// ETag), If-None-Match: * (it must not exist yet) and X-Actor (who wants it).
func metaOf(r *http.Request) (handlers.Meta, error) {
	q := requestOf(r)
	m := handlers.Meta{Actor: "api", Correlation: q.id, IdempotencyKey: r.Header.Get("Idempotency-Key")}
	if actor := r.Header.Get("X-Actor"); actor != "" {
		if !plain(actor, actorBytesMax) {
			return m, fault.Field("X-Actor", "must be 1 to %d printable ASCII characters", actorBytesMax)
		}
		m.Actor = actor
	}
	if v := r.Header.Get("If-None-Match"); v != "" {
		if v != "*" {
			return m, fault.Field("If-None-Match", "is %q; only * is taken: the thing must not exist yet", short(v))
		}
		none := streams.NoStream
		m.IfMatch = &none
	}
	if v := r.Header.Get("If-Match"); v != "" {
		n, err := strconv.ParseInt(strings.Trim(strings.TrimPrefix(v, "W/"), `"`), 10, 64)
		if err != nil || n < 0 || m.IfMatch != nil {
			return m, fault.Field("If-Match", "is %q; want one revision, such as \"3\", as the ETag of a read has it", short(v))
		}
		revision := streams.Revision(n)
		m.IfMatch = &revision
	}
	return m, nil
}

// keyed is an id for what a request makes: derived from its idempotency key, so that a repeat makes the
// same, or else random.
func keyed(m handlers.Meta, kind string) string {
	if m.IdempotencyKey == "" {
		return strings.ReplaceAll(uuid.NewString(), "-", "")
	}
	sum := sha256.Sum256([]byte(kind + "\x00" + m.IdempotencyKey))
	return hex.EncodeToString(sum[:16])
}

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
func (s *Server) dispatch(w http.ResponseWriter, r *http.Request, c commands.Command, status int, views ...string) error {
	m, err := metaOf(r)
	if err != nil {
		return err
	}
	return s.dispatchAs(w, r, c, m, status, views...)
}

func (s *Server) dispatchAs(w http.ResponseWriter, r *http.Request, c commands.Command, m handlers.Meta, status int, views ...string) error {
	res, err := s.Dispatcher.Dispatch(r.Context(), c, m)
	if err != nil {
		return err
	}
	a := commandAnswer{Stream: c.Stream(), Revision: res.Revision, Position: res.Position.String(), Events: []commandEvent{},
		Unchanged: res.Unchanged(), Duplicate: res.Duplicate}
	for i := range res.Events {
		ev := &res.Events[i]
		a.Events = append(a.Events, commandEvent{ev.ID, ev.Type(), ev.Data})
	}
	if res.Position.Topic != "" { // a stream that does not exist and was not made has none
		a.Folded = s.settle(r.Context(), []streams.Position{res.Position}, views...)
	}
	setETag(w, res.Revision)
	if a.Unchanged || a.Duplicate {
		status = http.StatusOK
	}
	return writeJSON(w, status, a)
}

// settle waits until the views have folded what was just acknowledged, and says whether they have. It
// is no error if not: the log has it.
func (s *Server) settle(ctx context.Context, positions []streams.Position, views ...string) bool {
	ctx, cancel := context.WithTimeout(ctx, waitMax)
	defer cancel()
	for _, p := range positions {
		if s.Views.Wait(ctx, p, views...) != nil {
			return false
		}
	}
	return true
}

func setETag(w http.ResponseWriter, revision streams.Revision) {
	if revision >= 0 {
		w.Header().Set("ETag", fmt.Sprintf(`"%d"`, revision))
	}
}

// factAnswer says what became of one fact.
type factAnswer struct {
	EventID   string `json:"event_id"`
	Position  string `json:"position"`
	Time      string `json:"timestamp"`
	Duplicate bool   `json:"duplicate,omitempty"`
	Folded    bool   `json:"folded"` // the view that learns from it has it
}
