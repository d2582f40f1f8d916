package airflow_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/handlers"
)

// fill makes runs of the training pipeline: of ten, seven succeed, one fails at its second task, one is cancelled and one goes on.
func (w *fixture) fill(runs int) {
	do := func(c commands.Command) {
		_, err := w.Dispatcher.Dispatch(context.Background(), c, handlers.Meta{Actor: "bench"})
		w.Must(err)
	}
	tasks := []string{"prepare_training_data", "train_movie_model", "evaluate_trained_model", "register_model_to_mlflow", "promote_model"}
	for i := range runs {
		id := fmt.Sprintf("run-%07d", i)
		do(&commands.RequestWorkflowRun{RunID: id, Workflow: "movie_training_pipeline", RunType: "manual", Conf: map[string]string{"als.dim": "32"}})
		for n, task := range tasks {
			do(&commands.StartTask{RunID: id, Task: task, Holder: "trainer@node/0123456789abcdef", LeaseMillis: 60_000})
			if n == 1 && i%10 >= 7 {
				break
			}
			do(&commands.SucceedTask{RunID: id, Task: task, Try: 1, Holder: "trainer@node/0123456789abcdef", Output: map[string]string{"rows": fmt.Sprint(i), "bytes": "123456", "hash": strings.Repeat("a", 64)}})
		}
		switch i % 10 {
		case 7:
			do(&commands.FailTask{RunID: id, Task: tasks[1], Try: 1, Holder: "trainer@node/0123456789abcdef", Error: "the disk was full"})
			do(&commands.EndWorkflowRun{RunID: id, State: "failed", Reason: tasks[1]})
		case 8:
			do(&commands.EndWorkflowRun{RunID: id, State: "cancelled"})
		case 9:
		default:
			do(&commands.EndWorkflowRun{RunID: id, State: "success"})
		}
	}
	w.Do(&commands.SetVariable{Key: "the", Value: "last"})
}

// BenchmarkLists asks for each list, and the page, over 10,000 runs of five tasks. p95 is of the requests of a benchmark.
func BenchmarkLists(b *testing.B) {
	w := newFixture(b)
	w.fill(10_000)
	for _, c := range []struct{ name, method, path, body string }{
		{"runs", "GET", dagRuns, ""},
		{"runs/newest", "GET", "/api/v1/dags/~/dagRuns?order_by=-start_date", ""},
		{"runs/failed", "GET", dagRuns + "?state=failed&order_by=-end_date", ""},
		{"runs/deep", "GET", dagRuns + "?offset=9900&order_by=dag_run_id", ""},
		{"runs/batch", "POST", "/api/v1/dags/~/dagRuns/list", `{"states": ["running"], "order_by": "-execution_date"}`},
		{"tasks", "GET", "/api/v1/dags/~/dagRuns/~/taskInstances", ""},
		{"tasks/failed", "GET", training + "/dagRuns/~/taskInstances?state=failed&state=upstream_failed", ""},
		{"tasks/deep", "GET", training + "/dagRuns/~/taskInstances?offset=49900", ""},
		{"tasks/batch", "POST", "/api/v1/dags/~/dagRuns/~/taskInstances/list", `{"state": ["running"], "task_ids": ["train_movie_model"]}`},
		{"tasks/run", "GET", dagRuns + "/run-0005000/taskInstances", ""},
		{"xcoms", "GET", "/api/v1/dags/~/dagRuns/~/taskInstances/~/xcomEntries?xcom_key=return_value", ""},
		{"events", "GET", "/api/v1/eventLogs?order_by=-event_log_id", ""},
		{"events/deep", "GET", "/api/v1/eventLogs?offset=100000", ""},
		{"events/dag", "GET", "/api/v1/eventLogs?dag_id=movie_training_pipeline", ""},
		{"events/failed", "GET", "/api/v1/eventLogs?event=failed&order_by=-when", ""},
		{"stats", "GET", "/api/v1/dagStats?dag_ids=movie_training_pipeline", ""},
		{"dags", "GET", "/api/v1/dags", ""},
		{"page", "GET", "/", ""},
	} {
		b.Run(c.name, func(b *testing.B) {
			var took []time.Duration
			for b.Loop() {
				r := httptest.NewRequest(c.method, c.path, strings.NewReader(c.body))
				r.Host = "localhost"
				answer, began := httptest.NewRecorder(), time.Now()
				if w.server.ServeHTTP(answer, r); answer.Code != 200 {
					b.Fatal(answer.Body)
				}
				took = append(took, time.Since(began))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)*95/100].Microseconds())/1000, "p95-ms")
			b.ReportMetric(float64(took[0].Microseconds())/1000, "min-ms")
		})
	}
}
