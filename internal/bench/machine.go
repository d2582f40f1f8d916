package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/projectionist/projectionist/ml"
)

// machine is where the figures are from. What /proc does not tell is "unknown".
type machine struct {
	cpu, kernel, load string
	fsync             float64 // seconds, p50
	busy              []string
}

const (
	// loadMax is from which on other work on the machine makes its figures doubtful.
	loadMax = 1
	// busyFor is how long it is looked at before each group.
	busyFor   = 500 * time.Millisecond
	syncBytes = 200
)

func (b *bench) describeMachine() (*machine, error) {
	m := &machine{cpu: "unknown processor", kernel: procLine("/proc/sys/kernel/osrelease"), load: procLine("/proc/loadavg")}
	if f, err := os.Open("/proc/cpuinfo"); err == nil {
		defer f.Close()
		for in := bufio.NewScanner(f); in.Scan(); {
			if name, value, ok := strings.Cut(in.Text(), ":"); ok && strings.TrimSpace(name) == "model name" {
				m.cpu = strings.TrimSpace(value)
				break
			}
		}
	}
	if first, _, _ := strings.Cut(m.load, " "); first != "" {
		if one, err := strconv.ParseFloat(first, 64); err == nil && one > loadMax {
			m.busy = append(m.busy, fmt.Sprintf("the load average at the start was %s", first))
		}
	}
	d, err := newDisk(b.dir, syncBytes)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	var took []float64
	for range b.size(2000, 300) {
		s, err := d.appendSync()
		if err != nil {
			return nil, err
		}
		took = append(took, s)
	}
	m.fsync = median(took)
	return m, os.Remove(filepath.Join(b.dir, appendedFile))
}

func procLine(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return "unknown"
	}
	return string(bytes.TrimSpace(b))
}

// disturbed notes when others keep the machine busy; this process and its children rest at the moment.
func (m *machine) disturbed(group string) {
	idle, total, ok := processorTime()
	time.Sleep(busyFor)
	idleThen, totalThen, okThen := processorTime()
	if !ok || !okThen || totalThen <= total {
		return
	}
	cores := float64(runtime.NumCPU()) * (1 - (idleThen-idle)/(totalThen-total))
	if cores > loadMax/2. {
		m.busy = append(m.busy, fmt.Sprintf("%.1f cores were busy with other work before %q", cores, group))
	}
}

// processorTime is the time of all cores since boot, in ticks, and the idle part of it.
func processorTime() (idle, total float64, ok bool) {
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, 0, false
	}
	line, _, _ := bytes.Cut(b, []byte{'\n'})
	fields := strings.Fields(string(line))
	const idleAt, waitAt, guestAt = 3, 4, 8 // guest time is counted as user time already
	for i, f := range fields[min(1, len(fields)):] {
		ticks, err := strconv.ParseFloat(f, 64)
		if err != nil || i >= guestAt {
			break
		}
		total += ticks
		if i == idleAt || i == waitAt {
			idle += ticks
		}
	}
	return idle, total, total > 0
}

func (m *machine) print(out io.Writer, b *bench) {
	fmt.Fprintf(out, "machine: %s, %d cores, kernel %s %s; fsync of %d appended bytes p50 %s; %s, %s kernel; load average %s\n",
		m.cpu, runtime.NumCPU(), runtime.GOOS, m.kernel, syncBytes, seconds.format(m.fsync), runtime.Version(), ml.Kernel(), m.load)
	if b.quick {
		fmt.Fprintln(out, "QUICK: one run of smaller sizes. These figures only show that the bench works.")
	} else {
		fmt.Fprintf(out, "each figure: the median of its runs (least–most); runs: %d\n", b.runs)
	}
	for _, s := range m.busy {
		fmt.Fprintln(out, "WARNING: do not trust these figures:", s)
	}
	fmt.Fprintln(out)
}
