package api

import (
	"math"
	"testing"
	"time"
)

// Quantiles are within a ninth of the true ones, by steps and together, and what is a day old is forgotten.
func TestLatencies(t *testing.T) {
	start := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
	c := &Core{common: &common{latencies: newLatencies(start)}}
	for minute := range 30 {
		for i := range 1000 {
			c.latencies.observe(OperationRank, start.Add(time.Duration(minute)*time.Minute), time.Duration(i+1)*time.Duration(minute+1)*10*time.Microsecond)
		}
	}
	now := start.Add(29*time.Minute + 30*time.Second)
	since, of := c.Latencies(now, 60, 1)
	rank := of[OperationRank]
	if !since.Equal(start) || len(rank.Steps) != 30 || rank.Total.Count != 30_000 || len(of[OperationPredict].Steps) != 0 || of[OperationPredict].Total != (Latency{}) {
		t.Fatalf("%v: %d steps of %+v", since, len(rank.Steps), rank.Total)
	}
	near := func(got, want float64) bool { return got >= want*.999 && got <= want*1.1 }
	for i, s := range rank.Steps {
		unit := float64(i+1) * .01
		if s.TimeMillis != start.Add(time.Duration(i)*time.Minute).UnixMilli() || s.Count != 1000 || !near(s.P50, 500*unit) || !near(s.P95, 950*unit) || !near(s.P99, 990*unit) {
			t.Errorf("step %d: %+v", i, s)
		}
	}
	_, of = c.Latencies(now, 10, 4)
	if got := of[OperationRank]; len(got.Steps) != 3 || got.Total.Count != 10_000 || got.Steps[0].Count != 4000 || got.Steps[0].TimeMillis%240_000 != 0 {
		t.Errorf("ten minutes by four: %+v", got)
	}
	later := start.Add(LatencyKept + 10*time.Minute)
	c.latencies.observe(OperationRank, later, time.Hour)
	_, of = c.Latencies(later, latencyMinutes, 1)
	if got := of[OperationRank]; got.Total.Count != 19_001 || math.IsInf(got.Total.P99, 0) || got.Steps[len(got.Steps)-1].P50 < 60_000 {
		t.Errorf("a day later: %+v", got.Total)
	}
}
