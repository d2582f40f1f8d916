package local

import (
	"time"

	"github.com/projectionist/projectionist/internal/fault"
)

// guard refuses appends before the disk is full: Pebble cannot take back what a full disk made it fail
// at. It belongs to the leader (see group.go).
type guard struct {
	opts    *Options
	dir     string
	sampled time.Time
	written int64 // since the sample
	free    int64 // at the sample; -1 when the file system does not say
	reserve int64 // to be left free
}

func (g *guard) init(opts *Options, dir string) { g.opts, g.dir = opts, dir }

// admit says whether n more bytes may be written. The error is fault.Unavailable.
func (g *guard) admit(n int64) error {
	if g.opts.ReserveBytes < 0 {
		return nil
	}
	// The wall clock's steps do not matter here: time.Since uses the monotonic one.
	if g.sampled.IsZero() || time.Since(g.sampled) >= guardInterval || g.written >= guardBytes || g.free >= 0 && g.free-g.written < g.reserve {
		g.sampled, g.written, g.free = time.Now(), 0, -1
		if usage, err := g.opts.FS.GetDiskUsage(g.dir); err == nil {
			g.free = int64(min(usage.AvailBytes, 1<<62))
			if g.reserve = g.opts.ReserveBytes; g.reserve == 0 {
				g.reserve = int64(min(max(usage.TotalBytes/10, reserveBytesMin), reserveBytesMax))
			}
		}
	}
	g.written += n
	if g.free >= 0 && g.free-g.written < g.reserve {
		return fault.New(fault.Unavailable, "disk full: %s has %d MiB free and %d MiB are held in reserve", g.dir, g.free>>20, g.reserve>>20).
			WithHint("free space on that disk; nothing else is needed")
	}
	return nil
}

// Writable is nil while the disk has room for appends; otherwise the error that they get.
func (l *Log) Writable() error {
	var g guard
	g.init(&l.opts, l.guard.dir)
	return g.admit(0)
}
