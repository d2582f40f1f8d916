package mlflow_test

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers"
)

// BenchmarkSearchRuns searches 20,000 runs of 50 metrics by one of them.
func BenchmarkSearchRuns(b *testing.B) {
	w := newFixture(b)
	do := func(c commands.Command) {
		_, err := w.Dispatcher.Dispatch(b.Context(), c, handlers.Meta{Actor: "bench"})
		w.Must(err)
	}
	for i := range 20_000 {
		id := fmt.Sprintf("%032x", i+1)
		do(&commands.StartRun{RunID: id, ExperimentID: "0", Name: fmt.Sprint("run-", i)})
		metrics := make([]events.Metric, 50)
		for k := range metrics {
			metrics[k] = events.Metric{Key: fmt.Sprint("m", k), Value: events.Number((i*7919 + k*104729) % 1000003), TimestampMillis: 1}
		}
		do(&commands.LogBatch{RunID: id, Metrics: metrics, Params: map[string]string{"lr": fmt.Sprint(i % 10)}})
	}
	w.Do(&commands.CreateExperiment{Name: "the last"})
	for _, c := range []struct {
		name, filter, by string
		page             int
	}{
		{"metric/100", "metrics.m7 > 100000", `"metrics.m7 DESC"`, 100},
		{"metric/1000", "metrics.m7 > 100000", `"metrics.m7 DESC"`, 1000},
		{"three/100", "metrics.m7 > 100000 and metrics.m9 < 500000 and params.lr = '3'", `"metrics.m7 DESC"`, 100},
		{"newest/100", "", "", 100},
		{"one/1", "metrics.m7 > 999990", `"metrics.m7 DESC"`, 1},
	} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				r := httptest.NewRequest("POST", rest+"runs/search", strings.NewReader(fmt.Sprintf(`{"experiment_ids": ["0"], "max_results": %d, "filter": %q, "order_by": [%s]}`, c.page, c.filter, c.by)))
				r.Header.Set("Content-Type", "application/json")
				r.Host = "localhost"
				answer := httptest.NewRecorder()
				if w.tracking.ServeHTTP(answer, r); answer.Code != 200 {
					b.Fatal(answer.Body)
				}
			}
		})
	}
}
