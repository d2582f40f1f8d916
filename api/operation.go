package api

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/projectionist/projectionist/internal/fault"
)

// Begin admits a long piece of work; done ends it.
func (c *Core) Begin() (done func(), err error) {
	if c.draining.Load() {
		return nil, fault.New(fault.Unavailable, "the server is shutting down")
	}
	select {
	case c.operations <- struct{}{}:
		return func() { <-c.operations }, nil
	default:
		return nil, fault.New(fault.Unavailable, "%d long operations are under way already", operationsMax).WithHint("try again when one has ended")
	}
}

// Progress is how far a long piece of work is. Total 0 is not known.
type Progress struct {
	Stage string  `json:"stage"`
	Done  int64   `json:"done"`
	Total int64   `json:"total"`
	Rate  float64 `json:"rate"` // per second, since the stage began
}

// pace is how fast a stage of work goes on.
type pace struct {
	stage string
	since time.Time // of the stage: when the one before was last heard of
	heard time.Time
}

// hear notes that a stage is heard of, and says whether it is another than before.
func (p *pace) hear(stage string, now time.Time) (another bool) {
	if another = stage != p.stage; another {
		p.stage, p.since = stage, p.heard
	}
	p.heard = now
	return another
}

// at is how far the stage is.
func (p *pace) at(done, total int64) Progress {
	at := Progress{Stage: p.stage, Done: done, Total: total}
	if took := p.heard.Sub(p.since).Seconds(); took > 0 {
		at.Rate = float64(int64(float64(done) / took)) // whole ones: it is for people
	}
	return at
}

// Lines writes a line of JSON at a time. Its first line sends the header.
type Lines struct {
	w  http.ResponseWriter
	rc *http.ResponseController

	mu    sync.Mutex // progress comes from several goroutines
	begun bool
	pace  pace
	sent  time.Time
}

// NewLines makes lines of an answer; nothing is sent before the first.
func NewLines(w http.ResponseWriter) *Lines {
	return &Lines{w: w, rc: http.NewResponseController(w), pace: pace{heard: time.Now()}}
}

// Begin sends the header, unless it was sent.
func (l *Lines) Begin() {
	if !l.begun {
		l.begun = true
		l.w.Header().Set("Content-Type", "application/x-ndjson")
		l.w.Header().Set("Cache-Control", "no-store")
		l.w.WriteHeader(http.StatusOK)
	}
}

// Begun says whether the header was sent.
func (l *Lines) Begun() bool { return l.begun }

// Write adds a line.
func (l *Lines) Write(v any) {
	l.Begin()
	WriteBody(l.w, v)
}

// Flush sends the lines written.
func (l *Lines) Flush() { l.rc.Flush() } //nolint:errcheck // then the client sees it later

// Tell adds a line and sends it, while others may be at it too.
func (l *Lines) Tell(v any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.Write(v)
	l.Flush()
}

// Progress adds a line of how far a stage is, unless one was sent just before.
func (l *Lines) Progress(stage string, done, total int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if !l.pace.hear(stage, now) && now.Sub(l.sent) < progressEvery && (done != total || total == 0) {
		return
	}
	l.sent = now
	l.Write(l.pace.at(done, total))
	l.Flush()
}

// Stream runs a long piece of work and answers with lines: progress, then the result or the problem. An
// error before the first line is answered as any other. The client's going away ends the work.
func (c *Core) Stream(w http.ResponseWriter, r *http.Request, work func(ctx context.Context, progress func(stage string, done, total int64)) (any, error)) error {
	return c.StreamLines(w, r, func(ctx context.Context, out *Lines) (any, error) { return work(ctx, out.Progress) })
}

// StreamLines is Stream for work that has more to tell than how far it is.
func (c *Core) StreamLines(w http.ResponseWriter, r *http.Request, work func(ctx context.Context, out *Lines) (any, error)) error {
	done, err := c.Begin()
	if err != nil {
		return err
	}
	defer done()
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(c.work, cancel)()
	out := NewLines(w)
	result, err := work(ctx, out)
	out.mu.Lock()
	defer out.mu.Unlock()
	switch {
	case err != nil && !out.begun:
		return err
	case err != nil:
		c.Logger.Error("operation failed", "request_id", RequestID(r), "path", r.URL.Path, "error", err)
		out.Write(struct {
			Error *Problem `json:"error"`
		}{ProblemOf(err, RequestID(r))})
	default:
		out.Write(struct {
			Result any `json:"result"`
		}{result})
	}
	return nil
}
