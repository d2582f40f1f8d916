package prometheus

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/procfs"
)

var (
	descCPU          = desc("system_cpu_usage_percent", "Share of this machine's processors in use since the last scrape, in percent.")
	descMemory       = desc("system_memory_total_bytes", "Memory of this machine.")
	descMemoryFree   = desc("system_memory_available_bytes", "Memory of this machine that programs can have without swapping.")
	descMemoryShare  = desc("system_memory_usage_percent", "Share of this machine's memory that is not available, in percent.")
	descDisk         = desc("system_disk_size_bytes", "Size of the disk that the data folder is on.")
	descDiskFree     = desc("system_disk_free_bytes", "Free space of the disk that the data folder is on.")
	descDiskShare    = desc("system_disk_usage_percent", "Share of the disk that the data folder is on which is not free, in percent.")
	descNetworkTaken = desc("system_network_receive_bytes_total", "Bytes this machine has received, over its loopback interface and over all others.", "interface")
	descNetworkSent  = desc("system_network_transmit_bytes_total", "Bytes this machine has sent, over its loopback interface and over all others.", "interface")
)

// systemCollector reads the machine's own figures at the scrape. What the system does not tell (proc(5)) has no metric.
type systemCollector struct {
	cpu  cpuMeter
	disk func() (size, free uint64, err error) // of the data folder; nil where there is none
}

func newSystemCollector(disk func() (size, free uint64, err error)) *systemCollector {
	c := &systemCollector{disk: disk}
	c.cpu.last, _ = cpuTimes()
	return c
}

func (c *systemCollector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descCPU, descMemory, descMemoryFree, descMemoryShare, descDisk, descDiskFree, descDiskShare, descNetworkTaken, descNetworkSent} {
		out <- d
	}
}

func (c *systemCollector) Collect(out chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64) { out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v) }
	if percent, ok := c.cpu.percent(); ok {
		gauge(descCPU, percent)
	}
	if c.disk != nil {
		if size, free, err := c.disk(); err == nil && size > 0 {
			gauge(descDisk, float64(size))
			gauge(descDiskFree, float64(free))
			gauge(descDiskShare, 100*(1-float64(min(free, size))/float64(size)))
		}
	}
	fs, err := procfs.NewDefaultFS()
	if err != nil {
		return
	}
	if m, err := fs.Meminfo(); err == nil && m.MemTotalBytes != nil && m.MemAvailableBytes != nil && *m.MemTotalBytes > 0 {
		all, free := *m.MemTotalBytes, min(*m.MemAvailableBytes, *m.MemTotalBytes)
		gauge(descMemory, float64(all))
		gauge(descMemoryFree, float64(free))
		gauge(descMemoryShare, 100*(1-float64(free)/float64(all)))
	}
	if devices, err := fs.NetDev(); err == nil {
		for name, over := range map[string]func(device string) bool{"loopback": loopback, "other": func(device string) bool { return !loopback(device) }} {
			var taken, sent uint64
			for _, d := range devices {
				if over(d.Name) {
					taken, sent = taken+d.RxBytes, sent+d.TxBytes
				}
			}
			out <- prometheus.MustNewConstMetric(descNetworkTaken, prometheus.CounterValue, float64(taken), name)
			out <- prometheus.MustNewConstMetric(descNetworkSent, prometheus.CounterValue, float64(sent), name)
		}
	}
}

func loopback(device string) bool { return device == "lo" }

// cpuMeter compares the machine's processor times with what they were at the last scrape.
type cpuMeter struct {
	mu     sync.Mutex
	last   procfs.CPUStat
	figure float64
}

func (c *cpuMeter) percent() (figure float64, ok bool) {
	now, err := cpuTimes()
	if err != nil {
		return 0, false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if total := all(now) - all(c.last); total > 0 { // two scrapes within a tick: the last figure stands
		c.figure = 100 * max(0, total-(idle(now)-idle(c.last))) / total
		c.last = now
	}
	return min(c.figure, 100), true
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
