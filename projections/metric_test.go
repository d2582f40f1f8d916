package projections_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
	"github.com/projectionist/projectionist/projections/fold/foldtest"
)

// metricsView is a run whose metric "loss" has those values.
func metricsView(t *testing.T, all ...events.Metric) *projections.Runs {
	t.Helper()
	s := foldtest.NewScript()
	s.Commit("run/r1", 0, 0, &events.RunStarted{RunID: "r1", ExperimentID: "x1"})
	s.Commit("run/r2", 0, 0, &events.RunMetricsLogged{RunID: "r2", Metrics: []events.Metric{{Key: "loss", Value: 9}}})
	s.Commit("run/r1", 1, 1, &events.RunMetricsLogged{RunID: "r1", Metrics: all})
	return foldtest.Opened(t, projections.NewRuns(), s.In)
}

func values(all []events.Metric) (out []string) {
	for _, m := range all {
		out = append(out, fmt.Sprint(m.Step, "/", m.TimestampMillis, "=", m.Value))
	}
	return out
}

// TestMetricOrder: NaN is a value like others, right behind 0; one logged twice is one.
func TestMetricOrder(t *testing.T) {
	nan, inf := events.Number(math.NaN()), events.Number(math.Inf(1))
	v := metricsView(t, events.Metric{Key: "loss", Value: nan, Step: 1, TimestampMillis: 5}, events.Metric{Key: "loss", Value: 5e-324, Step: 1, TimestampMillis: 5},
		events.Metric{Key: "loss", Value: 0, Step: 1, TimestampMillis: 5}, events.Metric{Key: "loss", Value: nan, Step: 1, TimestampMillis: 5}, events.Metric{Key: "loss", Value: -inf, Step: 1, TimestampMillis: 5},
		events.Metric{Key: "loss", Value: inf, Step: 2, TimestampMillis: 4}, events.Metric{Key: "los", Value: 7, Step: 1, TimestampMillis: 5}, events.Metric{Key: "loss", Value: 1, Step: -1, TimestampMillis: 9})
	history := foldtest.Pages(t, 2, func(q fold.PageQuery) (fold.Page[events.Metric], error) { return v.MetricHistory("r1", "loss", q) })
	equal(t, "by step", values(history), []string{"-1/9=1", "1/5=-Inf", "1/5=0", "1/5=NaN", "1/5=5e-324", "2/4=+Inf"})
	timeline := foldtest.Pages(t, 2, func(q fold.PageQuery) (fold.Page[events.Metric], error) { return v.MetricTimeline("r1", "loss", q) })
	equal(t, "by time", values(timeline), []string{"2/4=+Inf", "1/5=-Inf", "1/5=0", "1/5=NaN", "1/5=5e-324", "-1/9=1"})
	equal(t, "the latest", found[projections.Run](t)(v.Run("r1")).Metrics["loss"].Value, inf)
}

// TestMetricTimeline: in whatever order values come, all are listed once, in the order of time.
func TestMetricTimeline(t *testing.T) {
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 7))
		disorder, n := r.IntN(4), 1+r.IntN(60) // from none to much
		var all []events.Metric
		known := map[events.Metric]bool{}
		s := foldtest.NewScript()
		s.Commit("run/r1", 0, 0, &events.RunStarted{RunID: "r1", ExperimentID: "x1"})
		log := func(i int) {
			m := events.Metric{Key: "loss", Step: int64(i), TimestampMillis: int64(i / 3), Value: events.Number(r.IntN(3))}
			if disorder > 0 && r.IntN(6) < disorder {
				m.Step, m.TimestampMillis = int64(r.IntN(n)), int64(r.IntN(n))
			}
			if len(all) > 0 && r.IntN(5) == 0 {
				m = all[r.IntN(len(all))]
			}
			if m.Value == 2 {
				m.Value = events.Number(math.NaN())
			}
			s.Commit("run/r1", 0, i+1, &events.RunMetricsLogged{RunID: "r1", Metrics: []events.Metric{m}})
			if math.IsNaN(float64(m.Value)) {
				m.Value = 2 // a NaN is no key of a map; none is 2
			}
			if !known[m] {
				known[m] = true
				all = append(all, m)
			}
		}
		for i := range n {
			log(i)
		}
		v := foldtest.Opened(t, projections.NewRuns(), s.In)
		place := func(m events.Metric) []int64 {
			value := int64(m.Value) * 2
			if m.Value == 2 {
				value = 1 // right behind 0
			}
			return []int64{m.TimestampMillis, m.Step, value}
		}
		slices.SortFunc(all, func(a, b events.Metric) int { return slices.Compare(place(a), place(b)) })
		for i := range all {
			if all[i].Value == 2 {
				all[i].Value = events.Number(math.NaN())
			}
		}
		for _, limit := range []int{1, 3, 1000} {
			got := foldtest.Pages(t, limit, func(q fold.PageQuery) (fold.Page[events.Metric], error) { return v.MetricTimeline("r1", "loss", q) })
			equal(t, fmt.Sprint("seed ", seed, ", pages of ", limit), values(got), values(all))
		}
	}
}

// TestLatestMetric: of one step and moment the greatest value is the latest, NaN counting as 0.
func TestLatestMetric(t *testing.T) {
	nan := events.Number(math.NaN())
	for _, c := range []struct {
		logged []events.Number
		want   events.Number
	}{{[]events.Number{-1, nan}, nan}, {[]events.Number{nan, -1}, nan}, {[]events.Number{1, nan}, 1}, {[]events.Number{nan, 1}, 1}, {[]events.Number{0, nan}, 0}, {[]events.Number{nan, 0}, nan}} {
		var all []events.Metric
		for _, n := range c.logged {
			all = append(all, events.Metric{Key: "loss", Value: n})
		}
		got := found[projections.Run](t)(metricsView(t, all...).Run("r1")).Metrics["loss"].Value
		equal(t, fmt.Sprint(c.logged), fmt.Sprint(got), fmt.Sprint(c.want))
	}
}

// TestMetricSample: pieces of equal length, the longer ones first, of each its first value, and the last value of all.
func TestMetricSample(t *testing.T) {
	sample := func(total, n int, from, to int64) (steps []int64) {
		var all []events.Metric
		for i := range total {
			all = append(all, events.Metric{Key: "loss", Value: events.Number(i), Step: int64(i)})
		}
		for _, m := range must[[]events.Metric](t)(metricsView(t, all...).MetricSample(t.Context(), "r1", "loss", from, to, n)) {
			steps = append(steps, m.Step)
		}
		return steps
	}
	const least, most = math.MinInt64, math.MaxInt64
	equal(t, "10 in 4", sample(10, 4, least, most), []int64{0, 3, 6, 9})
	equal(t, "11 in 4", sample(11, 4, least, most), []int64{0, 3, 6, 10})
	equal(t, "fewer than asked for", sample(3, 4, least, most), []int64{0, 1, 2})
	equal(t, "as many", sample(4, 4, least, most), []int64{0, 1, 2, 3})
	equal(t, "one", sample(9, 1, least, most), []int64{8})
	equal(t, "some steps", sample(10, 2, 3, 7), []int64{3, 7})
	equal(t, "no step", sample(10, 2, 30, 70), nil)
	equal(t, "none", sample(0, 2, least, most), nil)
}
