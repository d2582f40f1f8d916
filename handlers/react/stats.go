package react

import (
	"context"
	"slices"
	"sync/atomic"
	"time"
)

// Stat is how one reactor fares.
type Stat struct {
	Reactor      string `json:"reactor"`
	Here         bool   `json:"here"`   // false where another node reacts, which then knows the next two
	Offset       int64  `json:"offset"` // of the ledger: everything below was dealt with
	Lag          int64  `json:"lag"`    // offsets of the ledger it has not passed
	Handled      int64  `json:"handled_total"`
	Failed       int64  `json:"failed_total"` // deliveries without success
	DeadLettered int64  `json:"dead_lettered_total"`
	Error        string `json:"error,omitempty"` // why it does not go on for now
}

// Stats are those of all reactors since the start, in a fixed order.
func (r *Reactors) Stats(ctx context.Context) []Stat {
	stats := make([]Stat, len(r.sources))
	for i, s := range r.sources {
		name := r.reactors[i].name
		at, c := s.stat(ctx), r.counters[name]
		stats[i] = Stat{Reactor: name, Here: at.here, Offset: at.offset, Lag: at.lag,
			Handled: c.handled.Load(), Failed: c.failed.Load(), DeadLettered: c.deadLettered.Load()}
		if at.err != nil {
			stats[i].Error = at.err.Error()
		}
	}
	return stats
}

// Task is a task that this process works on.
type Task struct {
	WorkflowRun string    `json:"workflow_run"`
	Workflow    string    `json:"workflow"`
	Task        string    `json:"task"`
	Reactor     string    `json:"reactor"`
	Try         int       `json:"try"`
	Started     time.Time `json:"started"`
	Stage       string    `json:"stage,omitempty"` // what it is at, for people
	Done        int64     `json:"done"`            // of Of, in the stage's own unit
	Of          int64     `json:"of"`              // 0 while unknown
}

// counters of one reactor.
type counters struct {
	handled, failed, deadLettered atomic.Int64
}

// Progress is what this process works on now, oldest first.
func (r *Reactors) Progress() []Task { return r.runs.now() }

func (s *runs) now() []Task {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := make([]Task, 0, len(s.tasks))
	for _, t := range s.tasks {
		now = append(now, *t)
	}
	slices.SortFunc(now, func(a, b Task) int { return a.Started.Compare(b.Started) })
	return now
}

func (s *runs) begin(w *Work) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tasks[w] = &Task{WorkflowRun: w.run.id, Workflow: w.run.workflow, Task: w.task.Name, Reactor: w.role, Try: w.try, Started: s.cfg.Clock()}
}

func (s *runs) end(w *Work) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.tasks, w)
}

func (s *runs) progress(w *Work, stage string, done, of int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.tasks[w]; t != nil {
		t.Stage, t.Done, t.Of = stage, done, of
	}
}
