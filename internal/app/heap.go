package app

import (
	"context"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// Garbage is collected when the heap has grown by so much beside what was live at the last collection: as Go does it while
// that is little, and by less of it the more there is. Most of a large heap are counts and events without a pointer, which cost
// the collector nothing.
const (
	garbageLeast = 128 << 20
	garbageShare = 4 // of what is live, beside the least
)

// garbagePercent is the value for [debug.SetGCPercent] with so many bytes live.
func garbagePercent(live uint64) int {
	if live <= garbageLeast {
		return 100
	}
	return int(min(100, 100*garbageLeast/live+100/garbageShare))
}

// heapEvery is how often the live heap is looked at.
const heapEvery = time.Second

// tuneHeap keeps to that until ctx ends; where GOGC is set, that holds.
func tuneHeap(ctx context.Context) {
	if os.Getenv("GOGC") != "" {
		return
	}
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	t := time.NewTicker(heapEvery)
	defer t.Stop()
	defer debug.SetGCPercent(debug.SetGCPercent(100))
	for last := 100; ; {
		metrics.Read(live)
		if percent := garbagePercent(live[0].Value.Uint64()); percent != last {
			debug.SetGCPercent(percent)
			last = percent
		}
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}
