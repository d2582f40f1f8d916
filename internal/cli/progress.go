package cli

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
)

// bar shows how far something is: one line that is written over on a terminal, else a line every few
// seconds. It says nothing of what is over at once.
type bar struct {
	out      io.Writer
	terminal bool
	name     string
	now      func() time.Time

	mu      sync.Mutex
	stage   string
	started time.Time // of the stage
	shown   time.Time
	from    int64 // where the stage started
	wrote   bool  // a line stands on the terminal that is not ended
}

const (
	barTerminalEvery = 100 * time.Millisecond
	barPlainEvery    = 3 * time.Second
	barWidth         = 24
)

// isTerminal says whether people look at w.
func isTerminal(w io.Writer) bool {
	if s, ok := w.(*shared); ok {
		w = s.to
	}
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("TERM") != "dumb"
}

func (p *program) bar(name string) *bar {
	if p.json {
		return &bar{out: io.Discard, name: name, now: time.Now}
	}
	return &bar{out: p.err, terminal: isTerminal(p.err), name: name, now: time.Now}
}

// quietBar shows nothing.
func (p *program) quietBar() *bar { return &bar{out: io.Discard, now: time.Now} }

// show tells of done out of total (0: unknown) in a stage. It may be called as often as one likes.
func (b *bar) show(stage string, done, total int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	if stage != b.stage || b.started.IsZero() {
		b.stage, b.started, b.shown, b.from = stage, now, now, done
		return
	}
	every := barPlainEvery
	if b.terminal {
		every = barTerminalEvery
	}
	if now.Sub(b.shown) < every {
		return
	}
	b.shown = now
	line := b.line(done, total, now.Sub(b.started))
	if b.terminal {
		fmt.Fprintf(b.out, "\r\x1b[K%s", line)
		b.wrote = true
	} else {
		fmt.Fprintln(b.out, line)
	}
}

func (b *bar) line(done, total int64, took time.Duration) string {
	text := b.name
	if b.stage != "" && b.stage != b.name {
		text = strings.TrimPrefix(text+": "+b.stage, ": ")
	}
	rate := float64(done-b.from) / took.Seconds()
	if total > 0 {
		full := int(float64(barWidth) * float64(min(done, total)) / float64(total))
		text += fmt.Sprintf("  [%s%s] %3d%%  %s of %s", strings.Repeat("#", full), strings.Repeat(".", barWidth-full),
			100*min(done, total)/total, thousands(done), thousands(total))
	} else if done > 0 {
		text += "  " + thousands(done)
	}
	if rate >= 1 {
		text += fmt.Sprintf("  %s/s", thousands(int64(rate)))
		if total > done {
			text += fmt.Sprintf("  %s left", time.Duration(float64(total-done)/rate*float64(time.Second)).Round(time.Second))
		}
	}
	return text
}

// end takes the line off the terminal.
func (b *bar) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.wrote {
		fmt.Fprint(b.out, "\r\x1b[K")
		b.wrote = false
	}
}

// count is a number with its noun.
func count(n int64, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return thousands(n) + " " + noun
}

// thousands writes 1234567 as 1,234,567.
func thousands(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
