package ml

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
)

// parallel calls f for the ranges that [0, n) is cut into, on a number of goroutines, usually [workerCount].
// f gets the number of its worker, for scratch space. What f writes must depend on nothing but its
// own range: then the result does not depend on how many workers there are.
func parallel(ctx context.Context, workers, n, chunk int, f func(worker, lo, hi int)) error {
	var next atomic.Int64
	var wg sync.WaitGroup
	for w := 0; w < workers; w++ {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for ctx.Err() == nil {
				lo := int(next.Add(int64(chunk))) - chunk
				if lo >= n {
					return
				}
				f(w, lo, min(lo+chunk, n))
			}
		}()
	}
	wg.Wait()
	return ctx.Err()
}

func workerCount() int { return runtime.GOMAXPROCS(0) }
