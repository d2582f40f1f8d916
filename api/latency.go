package api

import (
	"math"
	"sync"
	"time"
)

// How long the computing of rankings and ratings took, minute by minute, of this process and for as long as it lives: what /metrics counts without end, told apart by time.
const (
	// LatencyKept is for how long it is kept.
	LatencyKept = 24 * time.Hour
	// A time is told within a ninth part: buckets are eighths of a doubling, from a microsecond to 2^26 of them, a minute.
	latencySteps   = 8
	latencyBuckets = 26 * latencySteps
	latencyMinutes = int(LatencyKept / time.Minute)
)

type latencyMinute struct {
	minute int64 // Unix; the slot is of it alone
	counts [latencyBuckets]uint32
}

// latencies are by the minute, in a ring of which those are made that something fell into.
type latencies struct {
	mu    sync.Mutex
	since time.Time
	of    map[string]*[latencyMinutes]*latencyMinute // by operation
}

func newLatencies(now time.Time) *latencies {
	return &latencies{since: now, of: map[string]*[latencyMinutes]*latencyMinute{OperationRank: {}, OperationPredict: {}}}
}

func latencyBucket(took time.Duration) int {
	micros := float64(took) / float64(time.Microsecond)
	if micros <= 1 {
		return 0
	}
	return min(latencyBuckets-1, int(math.Log2(micros)*latencySteps))
}

func (l *latencies) observe(operation string, at time.Time, took time.Duration) {
	minute := at.Unix() / 60
	l.mu.Lock()
	defer l.mu.Unlock()
	ring := l.of[operation]
	if ring == nil || minute < 0 {
		return
	}
	slot := &ring[minute%int64(latencyMinutes)]
	if *slot == nil {
		*slot = &latencyMinute{minute: minute}
	}
	if m := *slot; m.minute != minute {
		*m = latencyMinute{minute: minute}
	}
	(*slot).counts[latencyBucket(took)]++
}

// Latency is how long some computations took: of half of them at most P50, in milliseconds, and so on; 0 of none.
type Latency struct {
	Count uint64  `json:"count"`
	P50   float64 `json:"p50"`
	P95   float64 `json:"p95"`
	P99   float64 `json:"p99"`
}

// LatencyStep is that of the computations that ended within a step of time.
type LatencyStep struct {
	TimeMillis int64 `json:"time_millis"` // when the step begins
	Latency
}

// LatencyHistory is that of an operation: together, and by steps that something fell into, the oldest first.
type LatencyHistory struct {
	Total Latency       `json:"total"`
	Steps []LatencyStep `json:"steps"`
}

// Latencies are those of rankings (rank) and ratings (predict) that ended within so many minutes before now, in steps of minutes that begin at multiples of their length; since is
// when this process began to count.
func (c *Core) Latencies(now time.Time, minutes, step int) (since time.Time, of map[string]LatencyHistory) {
	l := c.latencies
	last := now.Unix() / 60
	first := last - int64(minutes) + 1
	l.mu.Lock()
	defer l.mu.Unlock()
	of = map[string]LatencyHistory{}
	for operation, ring := range l.of {
		h := LatencyHistory{Steps: []LatencyStep{}}
		var total, part [latencyBuckets]uint64
		for minute := first; minute <= last; minute++ {
			if m := ring[(minute%int64(latencyMinutes)+int64(latencyMinutes))%int64(latencyMinutes)]; m != nil && m.minute == minute {
				for i, n := range m.counts {
					total[i] += uint64(n)
					part[i] += uint64(n)
				}
			}
			begin := minute - minute%int64(step)
			if minute != last && (minute+1)%int64(step) != 0 {
				continue
			}
			if told := latencyOf(&part); told.Count > 0 {
				h.Steps = append(h.Steps, LatencyStep{begin * 60_000, told})
			}
			part = [latencyBuckets]uint64{}
		}
		h.Total = latencyOf(&total)
		of[operation] = h
	}
	return l.since, of
}

// latencyOf reads quantiles as the upper ends of buckets.
func latencyOf(counts *[latencyBuckets]uint64) (out Latency) {
	for _, n := range counts {
		out.Count += n
	}
	if out.Count == 0 {
		return out
	}
	for q, into := range map[float64]*float64{.5: &out.P50, .95: &out.P95, .99: &out.P99} {
		want, seen := uint64(math.Ceil(q*float64(out.Count))), uint64(0)
		for i, n := range counts {
			if seen += n; seen >= want {
				*into = math.Exp2(float64(i+1)/latencySteps) / 1000
				break
			}
		}
	}
	return out
}
