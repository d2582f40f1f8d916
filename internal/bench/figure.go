package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"gonum.org/v1/gonum/stat"
)

// figure is one row of the table. Values are per run, in seconds, per second, bytes or shares.
type figure struct {
	name     string
	unit     unit
	ours     []float64
	peer     []float64 // of the peer or limit, measured in turns with ours; none: nothing to compare with
	peerName string
	aim      aim
	missing  string // why there are no values
}

type unit int

const (
	seconds unit = iota
	perSecond
	mebibytes
	share // of 1
)

// aim is where the figure is to be; the zero value is none.
type aim struct {
	of    aimed
	most  bool // at most the bound, else at least
	bound float64
}

type aimed int

const (
	aimNone  aimed = iota
	aimValue       // of ours
	aimRatio       // of ours / peer
)

func atMost(bound float64) aim       { return aim{aimValue, true, bound} }
func atLeast(bound float64) aim      { return aim{aimValue, false, bound} }
func ratioAtMost(bound float64) aim  { return aim{aimRatio, true, bound} }
func ratioAtLeast(bound float64) aim { return aim{aimRatio, false, bound} }

// quantile is the nearest rank; NaN of nothing.
func quantile(p float64, values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(values))
	return stat.Quantile(p, stat.Empirical, sorted, nil)
}

func median(values []float64) float64 { return quantile(.5, values) }

func (f *figure) ratio() float64 { return median(f.ours) / median(f.peer) }

func (u unit) format(v float64) string {
	switch u {
	case seconds:
		return significant(time.Duration(math.Round(v * 1e9)))
	case perSecond:
		return thousands(int64(math.Round(v))) + "/s"
	case mebibytes:
		return fmt.Sprintf("%.1f MiB", v/(1<<20))
	}
	return fmt.Sprintf("%.4f", v)
}

// significant is a duration in three digits.
func significant(d time.Duration) string {
	unit, name := time.Second, "s"
	switch {
	case d < time.Microsecond:
		return fmt.Sprintf("%d ns", d)
	case d < time.Millisecond:
		unit, name = time.Microsecond, "µs"
	case d < time.Second:
		unit, name = time.Millisecond, "ms"
	}
	v := float64(d) / float64(unit)
	return strconv.FormatFloat(v, 'f', max(0, 2-int(math.Log10(max(v, 1)))), 64) + " " + name
}

func thousands(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// spread is the median with the least and the most.
func (f *figure) spread(values []float64) string {
	if len(values) == 0 {
		return "–"
	}
	s := f.unit.format(median(values))
	if len(values) > 1 {
		s += " (" + f.unit.format(slices.Min(values)) + "–" + f.unit.format(slices.Max(values)) + ")"
	}
	return s
}

func (f *figure) cells() []string {
	peer, ratio, aimed, met := "–", "–", "–", "–"
	if len(f.peer) > 0 {
		peer = f.peerName + ": " + f.spread(f.peer)
		ratio = fmt.Sprintf("%.2f", f.ratio())
	}
	sign := "≥"
	if f.aim.most {
		sign = "≤"
	}
	value := math.NaN()
	switch f.aim.of {
	case aimValue:
		aimed = sign + " " + f.unit.format(f.aim.bound)
		value = median(f.ours)
	case aimRatio:
		aimed = fmt.Sprintf("ratio %s %.2g", sign, f.aim.bound)
		value = f.ratio()
	}
	if f.aim.of != aimNone && !math.IsNaN(value) {
		met = "no"
		if f.aim.most && value <= f.aim.bound || !f.aim.most && value >= f.aim.bound {
			met = "yes"
		}
	}
	ours := f.spread(f.ours)
	if f.missing != "" {
		ours, _, _ = strings.Cut(f.missing, "\n") // the rest was told when it happened
	}
	return []string{f.name, ours, peer, ratio, aimed, met}
}

var heading = []string{"figure", "ours", "peer or limit", "ours / it", "aim", "met"}

func printTable(out io.Writer, figures []figure, markdown bool) {
	if markdown {
		fmt.Fprintf(out, "| %s |\n|---|---|---|---|---|---|\n", strings.Join(heading, " | "))
		for i := range figures {
			cells := figures[i].cells()
			for k := range cells {
				cells[k] = strings.ReplaceAll(cells[k], "|", "\\|")
			}
			fmt.Fprintf(out, "| %s |\n", strings.Join(cells, " | "))
		}
		return
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, strings.Join(heading, "\t"))
	for i := range figures {
		fmt.Fprintln(w, strings.Join(figures[i].cells(), "\t"))
	}
	w.Flush()
}
