package v1

import (
	"net/http"
	"time"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/events"
)

func (s *Surface) servingRoutes(r *api.Routes) {
	r.Handle("GET /api/v1/serving/latency", s.servingLatency)
}

const (
	latencyMinutesDefault = 60
	latencyStepsMax       = 288
)

// servingLatency is how long this process took to compute rankings and ratings, over the last minutes. It is counted from the process's start, and told of now alone.
func (s *Surface) servingLatency(w http.ResponseWriter, r *http.Request) error {
	q := api.QueryOf(r, "minutes")
	minutes := int(q.Number("minutes", latencyMinutesDefault, 1, int64(api.LatencyKept/time.Minute)))
	if err := q.Err(); err != nil {
		return err
	}
	step := (minutes + latencyStepsMax - 1) / latencyStepsMax
	since, of := s.Latencies(s.Now(), minutes, step)
	return api.WriteJSON(w, http.StatusOK, struct {
		Since      string                        `json:"since"`
		StepMillis int64                         `json:"step_millis"`
		Operations map[string]api.LatencyHistory `json:"operations"`
	}{events.FormatTime(since), int64(step) * time.Minute.Milliseconds(), of})
}
