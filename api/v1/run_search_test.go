package v1_test

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
)

// loggedRun is a run as the test has logged it.
type loggedRun struct {
	id, experiment string
	start          int64
	ndcg           *float64
	dim            string
	ended          bool
}

// logRuns logs runs of two experiments: some without the metric or the param, many with the same of either.
func (w *fixture) logRuns(n int) (all []loggedRun) {
	w.t.Helper()
	r := rand.New(rand.NewPCG(7, 7))
	ids := []string{events.ExperimentID("first", 1), events.ExperimentID("second", 1)}
	w.dispatch(&commands.CreateExperiment{Name: "first"})
	w.dispatch(&commands.CreateExperiment{Name: "second"})
	for i := range n {
		if i%3 == 0 {
			w.clock.set(w.clock.Now().Add(time.Second))
		}
		run := loggedRun{id: fmt.Sprintf("%08x%024d", r.Uint32(), i), experiment: ids[r.IntN(2)], start: w.clock.Now().UnixMilli()}
		params := map[string]string{}
		if r.IntN(4) > 0 {
			run.dim = fmt.Sprint(16 << r.IntN(3))
			params["dim"] = run.dim
		}
		w.dispatch(&commands.StartRun{RunID: run.id, ExperimentID: run.experiment, Name: fmt.Sprintf("run, \"%d\" <b>", i), Params: params})
		if r.IntN(5) > 0 {
			v := float64(r.IntN(8)) / 8
			run.ndcg = &v
			w.dispatch(&commands.LogMetrics{RunID: run.id, Metrics: []events.Metric{{Key: "ndcg", Value: events.Number(v), Step: 1, TimestampMillis: run.start}}})
		}
		if run.ended = r.IntN(2) == 0; run.ended {
			w.dispatch(&commands.EndRun{RunID: run.id, Status: "FINISHED"})
		}
		all = append(all, run)
	}
	return all
}

type columnsOf struct {
	Columns map[string][]any
	Total   int
	Next    string `json:"next_cursor"`
}

// A search of runs finds those that the plainest way finds, in its order, in pages of any size, as columns and as documents.
func TestSearchOfRuns(t *testing.T) {
	w := newFixture(t)
	all := w.logRuns(60)
	newest := func(a, b loggedRun) int {
		return cmp.Or(-cmp.Compare(a.start, b.start), strings.Compare(a.id, b.id))
	}
	byNDCG := func(back bool) func(a, b loggedRun) int {
		return func(a, b loggedRun) int {
			switch {
			case a.ndcg == nil && b.ndcg == nil:
				return newest(a, b)
			case a.ndcg == nil:
				return 1
			case b.ndcg == nil:
				return -1
			}
			n := cmp.Compare(*a.ndcg, *b.ndcg)
			if back {
				n = -n
			}
			return cmp.Or(n, newest(a, b))
		}
	}
	for _, c := range []struct {
		query string
		fits  func(loggedRun) bool
		order func(a, b loggedRun) int
	}{
		{"", func(loggedRun) bool { return true }, newest},
		{"order_by=" + url.QueryEscape("metrics.ndcg DESC"), func(loggedRun) bool { return true }, byNDCG(true)},
		{"order_by=" + url.QueryEscape("metrics.`ndcg`"), func(loggedRun) bool { return true }, byNDCG(false)},
		{"q=" + url.QueryEscape("metrics.ndcg > 0.25 AND params.dim = '32'"), func(r loggedRun) bool { return r.ndcg != nil && *r.ndcg > 0.25 && r.dim == "32" }, newest},
		{"q=" + url.QueryEscape("status = 'FINISHED'") + "&order_by=" + url.QueryEscape("metrics.ndcg DESC, start_time DESC"), func(r loggedRun) bool { return r.ended }, byNDCG(true)},
		{"experiment_id=" + all[0].experiment + "&q=" + url.QueryEscape("params.dim != '16'"), func(r loggedRun) bool { return r.experiment == all[0].experiment && r.dim != "" && r.dim != "16" }, newest},
		{"q=" + url.QueryEscape("metrics.none > 0"), func(loggedRun) bool { return false }, newest},
		{"deleted=true", func(loggedRun) bool { return false }, newest},
	} {
		var want []string
		fitting := slices.Clone(all)
		slices.SortFunc(fitting, c.order)
		for _, r := range fitting {
			if c.fits(r) {
				want = append(want, r.id)
			}
		}
		for _, limit := range []int{1, 7, 1000} {
			var ids, docs []string
			if limit == 1 && len(want) > 20 {
				continue
			}
			for cursor := ""; ; {
				var v columnsOf
				a := w.get(fmt.Sprintf("/api/v1/runs?columns=run_id,metrics.ndcg,params.dim,status,experiment_id,name,start_time,end_time&limit=%d&%s&cursor=%s", limit, c.query, url.QueryEscape(cursor))).want(200)
				a.into(&v)
				if v.Total != len(want) || len(v.Columns) != 8 {
					t.Fatalf("%s: %d in all, want %d: %.300s", c.query, v.Total, len(want), a.Body)
				}
				for i, id := range v.Columns["run_id"] {
					ids = append(ids, id.(string))
					r := all[slices.IndexFunc(all, func(r loggedRun) bool { return r.id == id })]
					got := []any{v.Columns["metrics.ndcg"][i], v.Columns["params.dim"][i], v.Columns["status"][i], v.Columns["experiment_id"][i], v.Columns["start_time"][i], v.Columns["end_time"][i] != nil}
					should := []any{nil, nil, "RUNNING", r.experiment, float64(r.start), r.ended}
					if r.ndcg != nil {
						should[0] = *r.ndcg
					}
					if r.dim != "" {
						should[1] = r.dim
					}
					if r.ended {
						should[2] = "FINISHED"
					}
					if fmt.Sprint(got) != fmt.Sprint(should) || !strings.HasPrefix(v.Columns["name"][i].(string), `run, "`) {
						t.Errorf("%s: %v, want %v", id, got, should)
					}
				}
				if cursor = v.Next; cursor == "" {
					break
				}
			}
			if c.query != "" {
				for cursor := ""; ; {
					var v struct {
						Items []struct {
							RunID string `json:"run_id"`
						}
						Total int
						Next  string `json:"next_cursor"`
					}
					w.get(fmt.Sprintf("/api/v1/runs?limit=%d&%s&cursor=%s", limit, c.query, url.QueryEscape(cursor))).want(200).into(&v)
					for _, it := range v.Items {
						docs = append(docs, it.RunID)
					}
					if cursor = v.Next; v.Total != len(want) || cursor == "" {
						break
					}
				}
				if !slices.Equal(docs, want) {
					t.Errorf("%s by %d as documents:\n%v, want\n%v", c.query, limit, docs, want)
				}
			}
			if !slices.Equal(ids, want) {
				t.Errorf("%s by %d:\n%v, want\n%v", c.query, limit, ids, want)
			}
		}
	}
	// What was known then is searched as it was.
	then := url.QueryEscape(w.get("/api/v1/log/moment").at("cut"))
	query := "/api/v1/runs?columns=run_id,metrics.ndcg&order_by=" + url.QueryEscape("metrics.ndcg DESC")
	before := w.get(query).want(200)
	w.dispatch(&commands.LogBatch{RunID: all[3].id, Metrics: []events.Metric{{Key: "ndcg", Value: events.Number(math.Inf(1)), Step: 2, TimestampMillis: all[3].start}}})
	w.dispatch(&commands.DeleteRun{RunID: all[4].id})
	if now := w.get(query).want(200); now.at("columns.run_id.0") != all[3].id || now.at("total") != "59" || !strings.Contains(string(now.Body), `["Infinity"`) {
		t.Errorf("now: %.300s", now.Body)
	}
	if old := w.get(query + "&known_at=" + then).want(200); string(old.Body) != string(before.Body) {
		t.Errorf("then: %.300s\nand then: %.300s", before.Body, old.Body)
	}
	if gone := w.get("/api/v1/runs?deleted=true").want(200); gone.at("items.0.run_id") != all[4].id || gone.at("total") != "1" {
		t.Errorf("deleted: %s", gone.Body)
	}
	other := url.QueryEscape(w.get("/api/v1/runs?columns=run_id&limit=1").at("next_cursor"))
	for query, field := range map[string]string{
		"q=metrics.ndcg": "q", "q=" + url.QueryEscape("params.dim=64"): "q", "q=" + strings.Repeat("x", 20_000): "q", "order_by=nothing": "order_by", "order_by=a%20b%20c": "order_by",
		"columns=metric": "columns", "columns=run_id,": "columns", "columns=datasets.name": "columns", "columns=run_id&limit=50001": "limit", "q=x&limit=1001": "limit",
		"columns=run_id&cursor=x": "cursor", "columns=run_id&order_by=status&cursor=" + other: "cursor", "experiment_id=x&columns=run_id": "experiment_id",
		"limit=50000&columns=" + strings.Repeat("run_id,", 20) + "run_id": "columns", "deleted=perhaps": "deleted",
	} {
		w.get("/api/v1/runs?"+query).problem(400, field)
	}
}

// Curves of several runs are in the same pieces of steps, and have every value that stands out.
func TestCurvesOfRuns(t *testing.T) {
	w := newFixture(t)
	experiment := events.ExperimentID("first", 1)
	w.dispatch(&commands.CreateExperiment{Name: "first"})
	long, short, odd, none := strings.Repeat("a", 32), strings.Repeat("b", 32), strings.Repeat("c", 32), strings.Repeat("d", 32)
	for _, id := range []string{long, short, odd, none} {
		w.dispatch(&commands.StartRun{RunID: id, ExperimentID: experiment, Name: id})
	}
	log := func(id string, at func(step int64) float64, steps ...int64) {
		var values []events.Metric
		for _, step := range steps {
			values = append(values, events.Metric{Key: "loss/val", Value: events.Number(at(step)), Step: step, TimestampMillis: day0.UnixMilli() + step&0xffff})
		}
		w.dispatch(&commands.LogBatch{RunID: id, Metrics: values})
	}
	var steps []int64
	for i := range int64(900) {
		steps = append(steps, i)
	}
	log(long, func(step int64) float64 {
		if step == 777 {
			return 1e9
		}
		return float64(step)
	}, steps...)
	log(short, func(step int64) float64 { return -float64(step) }, steps[10:20]...)
	log(odd, func(step int64) float64 {
		return map[int64]float64{math.MinInt64: math.NaN(), 0: 1, math.MaxInt64: math.Inf(-1)}[step]
	}, math.MinInt64, 0, math.MaxInt64)
	type curves struct {
		FromStep    int64  `json:"from_step"`
		ToStep      int64  `json:"to_step"`
		BucketSteps uint64 `json:"bucket_steps"`
		Runs        []struct {
			RunID  string `json:"run_id"`
			Points []struct {
				FirstStep      int64 `json:"first_step"`
				Step           int64
				Last, Min, Max events.Number
				Count          int
			}
		}
	}
	get := func(query string) (c curves) {
		t.Helper()
		w.get("/api/v1/runs/metrics?metric=loss/val&" + query).want(200).into(&c)
		return c
	}
	for _, buckets := range []int{1, 2, 7, 100, 899, 900, 5000} {
		c := get(fmt.Sprintf("runs=%s,%s,%s&buckets=%d", long, short, none, buckets))
		if c.FromStep != 0 || c.ToStep != 899 || len(c.Runs) != 3 || len(c.Runs[2].Points) != 0 {
			t.Fatalf("%+v", c)
		}
		for i, want := range []int{900, 10} {
			n, greatest := 0, math.Inf(-1)
			for k, p := range c.Runs[i].Points {
				n += p.Count
				greatest = max(greatest, float64(p.Max))
				if at := uint64(p.Step) / c.BucketSteps; at != uint64(p.FirstStep)/c.BucketSteps || k > 0 && p.FirstStep <= c.Runs[i].Points[k-1].Step || p.Min > p.Last || p.Last > p.Max {
					t.Errorf("%d buckets: %+v", buckets, p)
				}
			}
			if n != want || len(c.Runs[i].Points) > buckets || greatest != []float64{1e9, -10}[i] {
				t.Errorf("%d buckets of run %d: %d values in %d points, the greatest %g", buckets, i, n, len(c.Runs[i].Points), greatest)
			}
		}
	}
	if c := get("runs=" + long + "&from_step=770&to_step=780&buckets=20"); c.BucketSteps != 1 || len(c.Runs[0].Points) != 11 || c.Runs[0].Points[7].Last != 1e9 || c.Runs[0].Points[7].Count != 1 {
		t.Errorf("%+v", c)
	}
	for _, buckets := range []int{1, 2, 3} {
		c := get(fmt.Sprintf("runs=%s&buckets=%d", odd, buckets))
		n := 0
		for _, p := range c.Runs[0].Points {
			n += p.Count
		}
		if n != 3 || c.FromStep != math.MinInt64 || c.ToStep != math.MaxInt64 {
			t.Errorf("%d buckets: %+v", buckets, c)
		}
	}
	if c := get("runs=unknown"); len(c.Runs) != 1 || len(c.Runs[0].Points) != 0 {
		t.Errorf("%+v", c)
	}
	for query, field := range map[string]string{"metric=x": "runs", "runs=x": "metric", "runs=x&metric=y&buckets=0": "buckets", "runs=x&metric=y&from_step=2&to_step=1": "to_step",
		"metric=y&runs=" + strings.Repeat("x,", 100) + "x": "runs", "metric=y&buckets=5000&runs=" + strings.Repeat("x,", 30) + "x": "buckets"} {
		w.get("/api/v1/runs/metrics?"+query).problem(400, field)
	}
}
