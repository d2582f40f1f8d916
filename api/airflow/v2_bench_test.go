package airflow_test

import (
	"fmt"
	"net/http/httptest"
	"testing"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/handlers"
	"github.com/projectionist/projectionist/handlers/roles"
)

// BenchmarkV2Lists asks for lists of 10,000 runs of five tasks each.
func BenchmarkV2Lists(b *testing.B) {
	w := newV2(b)
	do := func(c commands.Command) {
		_, err := w.Dispatcher.Dispatch(b.Context(), c, handlers.Meta{Actor: "bench"})
		w.Must(err)
	}
	tasks := roles.Definitions()[1].Tasks
	for i := range 10_000 {
		id, day := fmt.Sprintf("run-%05d", i), int64(i+1)*86_400_000
		do(&commands.RequestWorkflowRun{RunID: id, Workflow: "movie_training_pipeline", RunType: "scheduled", LogicalMillis: day, IntervalEndMillis: day + 1})
		for k := range tasks {
			if i%10 == 0 && k == 2 {
				break
			}
			do(&commands.StartTask{RunID: id, Task: tasks[k].Name, Holder: "h", LeaseMillis: 60_000})
			do(&commands.SucceedTask{RunID: id, Task: tasks[k].Name, Try: 1, Holder: "h", Output: map[string]string{"rows": fmt.Sprint(i)}})
		}
		if i%10 != 0 {
			do(&commands.EndWorkflowRun{RunID: id, State: "success"})
		}
	}
	w.Do(&commands.PauseWorkflow{Workflow: "movie_data_collection"})
	for name, path := range map[string]string{
		"dags":             "/api/v2/dags?limit=100",
		"runs":             runsV2 + "?limit=100",
		"runs/newest":      "/api/v2/dags/~/dagRuns?limit=100&order_by=-run_after",
		"runs/state":       runsV2 + "?limit=100&state=running&order_by=-start_date",
		"runs/pattern":     runsV2 + "?limit=100&run_id_pattern=99",
		"runs/cursor":      runsV2 + "?limit=100&order_by=-logical_date&cursor=",
		"tasks/all":        "/api/v2/dags/~/dagRuns/~/taskInstances?limit=100",
		"tasks/state":      "/api/v2/dags/~/dagRuns/~/taskInstances?limit=100&state=queued&order_by=-start_date",
		"tasks/duration":   "/api/v2/dags/~/dagRuns/~/taskInstances?limit=100&order_by=-duration",
		"tasks/run":        runsV2 + "/run-00001/taskInstances",
		"outputs":          "/api/v2/dags/~/dagRuns/~/taskInstances/~/xcomEntries?limit=100",
		"eventLogs/newest": "/api/v2/eventLogs?limit=100&order_by=-event_log_id",
		"dagStats":         "/api/v2/dagStats",
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				r := httptest.NewRequest("GET", path, nil)
				r.Header.Set("Authorization", "Bearer "+w.token)
				r.Host = "localhost"
				answer := httptest.NewRecorder()
				if w.server.ServeHTTP(answer, r); answer.Code != 200 {
					b.Fatal(answer.Body)
				}
			}
		})
	}
}
