package prometheus

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/procfs"
)

var descCPU = desc("system_cpu_usage_percent", "Share of this machine's processors in use since the last scrape, in percent.")

// cpuCollector compares the machine's processor times with what they were at the last scrape. Where the
// system does not tell them (proc(5)) it has no metric.
type cpuCollector struct {
	mu      sync.Mutex
	last    procfs.CPUStat
	percent float64
}

func newCPUCollector() *cpuCollector {
	c := &cpuCollector{}
	c.last, _ = cpuTimes()
	return c
}

func (c *cpuCollector) Describe(out chan<- *prometheus.Desc) { out <- descCPU }

func (c *cpuCollector) Collect(out chan<- prometheus.Metric) {
	now, err := cpuTimes()
	if err != nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if total := all(now) - all(c.last); total > 0 { // two scrapes within a tick: the last figure stands
		c.percent = 100 * max(0, total-(idle(now)-idle(c.last))) / total
		c.last = now
	}
	out <- prometheus.MustNewConstMetric(descCPU, prometheus.GaugeValue, min(c.percent, 100))
}

func cpuTimes() (procfs.CPUStat, error) {
	fs, err := procfs.NewDefaultFS()
	if err != nil {
		return procfs.CPUStat{}, err
	}
	s, err := fs.Stat()
	return s.CPUTotal, err
}

// all is every second but those of guests, which are in user already.
func all(s procfs.CPUStat) float64 {
	return s.User + s.Nice + s.System + idle(s) + s.IRQ + s.SoftIRQ + s.Steal
}

func idle(s procfs.CPUStat) float64 { return s.Idle + s.Iowait }
