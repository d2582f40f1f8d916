package main

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"
)

// table tells how the rows went, a line each as they end.
type table struct {
	out     io.Writer
	ci      bool
	standIn bool // TMDB's
	start   time.Time

	passed, failed, missed, elsewhere int
	failures                          []string
}

func (t *table) line(id, result, seconds, command, checked string) {
	fmt.Fprintf(t.out, "%-5s %-9s %6s  %s  %s\n", id, result, seconds, pad(command, 64), checked)
}

func (t *table) head() { t.line("ROW", "RESULT", "SEC", "COMMAND", "CHECKED") }

// ran tells of a row that was run; err is what does not hold.
func (t *table) ran(r *Row, res *Result, err error, took time.Duration) {
	result, checked := "ok", r.checked()
	for _, n := range r.Needs {
		if n == "tmdb" && t.standIn {
			checked = "(a stand-in for TMDB, of invented films) " + checked
		}
	}
	if err == nil {
		t.passed++
	} else {
		result = "FAILED"
		t.failed++
		printed := ""
		if res != nil {
			printed = res.shown()
		}
		t.failures = append(t.failures, fmt.Sprintf("row %s, line %d: %s\n%s%s\n--- printed:\n%s", r.ID, r.Line, r.Title, r.Code, indent(err.Error()), indent(printed)))
	}
	t.line(r.ID, result, fmt.Sprintf("%.1f", took.Seconds()), r.short(), checked)
}

// skipped tells of a row whose needs are not met.
func (t *table) skipped(r *Row, missing []string) {
	why := "needs " + strings.Join(missing, ", ")
	if r.Instead != "" {
		t.elsewhere++
		t.line(r.ID, "SKIPPED", "", r.short(), why+"; instead: "+r.Instead)
		return
	}
	t.missed++
	t.line(r.ID, "SKIPPED", "", r.short(), why)
}

func (t *table) stopped(n int) {
	t.missed += n
	fmt.Fprintf(t.out, "%d rows after it cannot be run\n", n)
}

// end tells of the failures and gives their number. In CI a row that could not be run is one, unless it says what is run
// instead.
func (t *table) end() int {
	for _, f := range t.failures {
		fmt.Fprintf(t.out, "\nFAILED: %s\n", f)
	}
	failed, skipped := t.failed, t.missed+t.elsewhere
	if t.ci {
		failed += t.missed
		skipped -= t.missed
	}
	fmt.Fprintf(t.out, "\nthe guide took %.0f s\n%d passed, %d failed, %d skipped\n", time.Since(t.start).Seconds(), t.passed, failed, skipped)
	return failed
}

// checked is what was checked of a row, in a line.
func (r *Row) checked() string {
	var all []string
	for _, c := range r.Checks {
		all = append(all, c.Key+" "+c.Value)
	}
	return strings.Join(all, " · ")
}

// short is the row's code in a line of some length.
func (r *Row) short() string {
	lines := strings.Fields(r.Code)
	return cut(strings.Join(lines, " "), 64)
}

func cut(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	return string([]rune(s)[:n-1]) + "…"
}

func pad(s string, n int) string { return s + strings.Repeat(" ", max(0, n-utf8.RuneCountInString(s))) }

func indent(s string) string { return "  " + strings.ReplaceAll(strings.TrimSpace(s), "\n", "\n  ") }
