package airflow

import (
	"encoding/json"
	"net/http"
	"time"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/api/fastapi"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections"
)

// Bounds of waiting for a run.
const (
	waitLook        = 100 * time.Millisecond // how often a run is looked at: its end is told at once, whatever the interval
	waitIntervalMax = time.Hour
	waitMax         = 24 * time.Hour // then the answer ends with the state that the run is in
	waitsMax        = 256            // at once
)

// wait tells the state of a run, a line of JSON each interval, until the run has ended; with its end come the outputs of the tasks that
// result= names. Where the server ends before, so does the answer, broken off.
func (s *V2) wait(w http.ResponseWriter, r *http.Request) error {
	q, err := fastapi.Query(r, "result")
	if err != nil {
		return err
	}
	sent, _ := q.Take("interval")
	interval, given := q.Number("interval")
	switch {
	case !given:
		q.Flaw("missing", "Field required", nil, nil, "interval")
	case !(interval > 0) && q.Err() == nil:
		q.Flaw("greater_than", "Input should be greater than 0", sent, map[string]any{"gt": 0.}, "interval")
	}
	results := q.Texts("result")
	if err := q.Done(); err != nil {
		return err
	}
	run, err := s.runOf(r)
	if err != nil {
		return err
	}
	if s.waits.Add(1) > waitsMax {
		s.waits.Add(-1)
		return fault.New(fault.Unavailable, "%d clients wait for runs already", waitsMax).WithHint("ask for the run's state now and then")
	}
	defer s.waits.Add(-1)
	every := time.Duration(min(interval, waitIntervalMax.Seconds()) * float64(time.Second))
	w.Header()["Content-Type"] = nil // as Airflow: with one, its client would not take the lines
	w.Header().Set("Cache-Control", "no-store")
	began := time.Now()
	told := began
	if s.tellState(w, &run, results) {
		return nil
	}
	look := time.NewTicker(waitLook)
	defer look.Stop()
	for {
		select {
		case <-r.Context().Done():
			return nil
		case <-s.Follow().Done():
			api.Abort(r, nil) // broken off, so that nobody takes it for the run's end; it is no fault
		case <-look.C:
		}
		if run, err = s.runOf(r); err != nil {
			api.Abort(r, err)
		}
		now := time.Now()
		over := now.Sub(began) > waitMax
		if !run.Ended() && !over && now.Sub(told) < every {
			continue
		}
		if told = now; s.tellState(w, &run, results) || over {
			return nil
		}
	}
}

// tellState writes and sends a line, and says whether it is the last.
func (s *V2) tellState(w http.ResponseWriter, run *projections.WorkflowRun, results []string) (last bool) {
	line := struct {
		State   string                       `json:"state"`
		Results map[string]map[string]string `json:"results,omitempty"`
	}{State: v2State(run.State)}
	if run.Ended() {
		for _, name := range results {
			if out := run.TaskOf(name).Output; len(out) > 0 {
				if line.Results == nil {
					line.Results = map[string]map[string]string{}
				}
				line.Results[name] = out
			}
		}
	}
	json.NewEncoder(w).Encode(line)       //nolint:errcheck // the client is gone
	http.NewResponseController(w).Flush() //nolint:errcheck // then the client sees it later
	return run.Ended()
}
