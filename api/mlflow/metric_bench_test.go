package mlflow_test

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

// BenchmarkLogBatch logs ten metrics at once, as many clients do side by side, and waits until they are seen.
func BenchmarkLogBatch(b *testing.B) {
	w := newFixture(b)
	var runs atomic.Int64
	b.SetParallelism(10)
	b.RunParallel(func(pb *testing.PB) {
		run := w.run("0", fmt.Sprint("run-", runs.Add(1)), 1)
		for step := 0; pb.Next(); step++ {
			var body strings.Builder
			fmt.Fprintf(&body, `{"run_id": %q, "metrics": [`, run)
			for k := range 10 {
				fmt.Fprintf(&body, `%s{"key": "m%d", "value": %d, "timestamp": %d, "step": %d}`, strings.Repeat(", ", min(k, 1)), k, step*k, step+1, step)
			}
			body.WriteString("]}")
			r := httptest.NewRequest("POST", rest+"runs/log-batch", strings.NewReader(body.String()))
			r.Header.Set("Content-Type", "application/json")
			r.Host = "localhost"
			answer := httptest.NewRecorder()
			if w.tracking.ServeHTTP(answer, r); answer.Code != 200 {
				b.Error(answer.Body)
			}
		}
	})
}
