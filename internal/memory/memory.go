// Package memory says how much memory a piece of work takes, and how much there is.
package memory

import (
	"bytes"
	"os"
	"runtime/metrics"
	"strconv"
	"sync"
	"time"
)

// every is how often memory is looked at.
const every = 20 * time.Millisecond

// Held is what the process has from the system for Go, in bytes.
func Held() uint64 {
	s := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64() - s[1].Value.Uint64()
}

// Watch watches until the function that it returns is called: that gives the most that was held
// meanwhile, and what was held at first.
func Watch() func() (most, first uint64) {
	first := Held()
	most := first
	stop := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() {
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		for {
			select {
			case <-stop:
				most = max(most, Held())
				return
			case <-ticker.C:
				most = max(most, Held())
			}
		}
	})
	return func() (uint64, uint64) {
		close(stop)
		watching.Wait()
		return most, first
	}
}

// Free is how much more memory the system, or the control group that the process is in, has to give, in bytes; false where neither tells.
func Free() (uint64, bool) {
	free, ok := available()
	if left, limited := groupLeft("/sys/fs/cgroup"); limited && (!ok || left < free) {
		return left, true
	}
	return free, ok
}

// groupLeft is what the limit of a control group of version 2 leaves; false where there is none. Within a container it is at the root.
func groupLeft(dir string) (uint64, bool) {
	number := func(file string) (uint64, bool) {
		b, err := os.ReadFile(dir + "/" + file)
		if err != nil {
			return 0, false
		}
		n, err := strconv.ParseUint(string(bytes.TrimSpace(b)), 10, 64) // "max" is no limit
		return n, err == nil
	}
	most, limited := number("memory.max")
	used, known := number("memory.current")
	return most - min(used, most), limited && known
}

func available() (uint64, bool) {
	b, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, false
	}
	for line := range bytes.Lines(b) {
		if rest, ok := bytes.CutPrefix(line, []byte("MemAvailable:")); ok {
			kib, err := strconv.ParseUint(string(bytes.TrimSpace(bytes.TrimSuffix(bytes.TrimSpace(rest), []byte("kB")))), 10, 64)
			return kib << 10, err == nil
		}
	}
	return 0, false
}
