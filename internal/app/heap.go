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
	garbageLeast = 24 << 20
	garbageShare = 4 // of what is live, beside the least
)

// garbagePercent is the value for [debug.SetGCPercent] with so many bytes live.
func garbagePercent(live uint64) int {
	if live <= garbageLeast {
		return 100
	}
	return int(min(100, 100*garbageLeast/live+100/garbageShare))
}

const (
	// heapEvery is how often the heap is looked at.
	heapEvery = time.Second
	// heapStill is for how many looks nothing was collected, when what could be is given back: no work goes on that would want
	// it again at once.
	heapStill = 20
)

// heap is what is read of it.
type heap struct {
	live    uint64 // at the last collection
	objects uint64 // live ones and garbage
	free    uint64 // of Go's, not given back
	cycles  uint64 // of collection
}

func readHeap() heap {
	s := []metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/free:bytes"}, {Name: "/gc/cycles/total:gc-cycles"}}
	metrics.Read(s)
	return heap{s[0].Value.Uint64(), s[1].Value.Uint64(), s[2].Value.Uint64(), s[3].Value.Uint64()}
}

// idle says whether much is held for nothing.
func (h *heap) idle() bool { return h.objects+h.free > h.live+garbageLeast/2 }

// tuneHeap keeps to that until ctx ends; where GOGC is set, that holds.
func tuneHeap(ctx context.Context) {
	if os.Getenv("GOGC") != "" {
		return
	}
	t := time.NewTicker(heapEvery)
	defer t.Stop()
	defer debug.SetGCPercent(debug.SetGCPercent(100))
	percent, cycles, still := 100, uint64(0), 0
	for {
		h := readHeap()
		if p := garbagePercent(h.live); p != percent {
			debug.SetGCPercent(p)
			percent = p
		}
		if still++; h.cycles != cycles {
			cycles, still = h.cycles, 0
		}
		if still == heapStill && h.idle() {
			debug.FreeOSMemory()
			cycles = readHeap().cycles // still goes on: once is enough
		}
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}
