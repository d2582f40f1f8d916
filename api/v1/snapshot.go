package v1

import (
	"context"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections/snapshot"
)

func (s *Surface) snapshotRoutes(r *api.Routes) {
	r.Handle("GET /api/v1/ops/snapshot", s.snapshot)
}

// snapshot sends this node's views and index to a new node of the same log, as projections/snapshot has it.
// The views rest for the moment in which they are copied, and go on while the copy is sent.
func (s *Surface) snapshot(w http.ResponseWriter, r *http.Request) error {
	if err := api.QueryOf(r).Err(); err != nil {
		return err
	}
	if s.Snapshot == nil {
		return fault.New(fault.Conflict, "this node's log is its own: no other node can go on from its views").
			WithHint("copy it with `projectionist backup --to DIR`; nodes share a log on Kafka, with PROJECTIONIST_LOG=kafka://host:9092")
	}
	done, err := s.Begin()
	if err != nil {
		return err
	}
	defer done()
	if !s.snapshotting.TryLock() {
		return fault.New(fault.Unavailable, "a snapshot is being sent already: one at a time").WithHint("try again when it has ended")
	}
	defer s.snapshotting.Unlock()
	if err := os.MkdirAll(s.ScratchDir, 0o700); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(s.ScratchDir, "snapshot-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // scratch is emptied at start

	start := time.Now()
	m, err := s.Snapshot(dir)
	if err != nil {
		return err
	}
	m.Version = s.Version
	a, err := snapshot.New(dir, m)
	if err != nil {
		return err
	}
	logger := s.Logger.With("request_id", api.RequestID(r), "to", r.RemoteAddr, "bytes", a.Bytes())
	logger.Info("sending a snapshot", "files", len(m.Files), "copied_in", time.Since(start).String())
	w.Header().Set("Content-Type", "application/x-tar")
	w.Header().Set("Content-Length", strconv.FormatInt(a.Bytes(), 10))
	w.Header().Set("Content-Disposition", `attachment; filename="snapshot.tar"`)
	w.Header().Set("Cache-Control", "no-store")
	if r.Method == http.MethodHead {
		return nil
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(s.Work(), cancel)()
	out := &snapshotWriter{ctx: ctx, w: w, told: time.Now(), tell: func(sent int64) { logger.Info("sending a snapshot", "sent", sent) }}
	if err := a.Send(out); err != nil {
		api.Abort(r, fault.Wrap(fault.Unavailable, err, "the snapshot was cut off after %d bytes", out.sent)) // the other node must not take it for whole
	}
	logger.Info("a snapshot was sent", "took", time.Since(start).String())
	return nil
}

// snapshotWriter ends when ctx does, and tells how far it is.
type snapshotWriter struct {
	ctx  context.Context
	w    http.ResponseWriter
	sent int64
	told time.Time
	tell func(sent int64)
}

func (w *snapshotWriter) Write(b []byte) (int, error) {
	if err := w.ctx.Err(); err != nil {
		return 0, err
	}
	now := time.Now()
	n, err := w.w.Write(b)
	w.sent += int64(n)
	if now.Sub(w.told) >= snapshotTold {
		w.told = now
		w.tell(w.sent)
	}
	return n, err
}
