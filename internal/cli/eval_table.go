package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/projectionist/projectionist/internal/app"
	"github.com/projectionist/projectionist/internal/memory"
	"github.com/projectionist/projectionist/ml/eval"
	"github.com/projectionist/projectionist/ml/online"
	"github.com/projectionist/projectionist/ml/recipe/all"
)

// evalTable writes rows as they come, under a heading for each protocol. Where a training is judged by two protocols at once,
// rows of the second wait until those of the first are there.
type evalTable struct {
	out      io.Writer
	protocol string
	waiting  []*eval.Row
}

func heading(r *eval.Row) string { return strings.TrimSpace(r.Protocol + " " + r.Split) }

// add takes a row.
func (t *evalTable) add(r *eval.Row) {
	second := r.Protocol == eval.NextItem || strings.HasSuffix(r.Protocol, eval.Known)
	switch first := len(t.waiting) == 0 || !second && heading(r) == t.protocol; {
	case second && t.protocol != "" && t.protocol != heading(r):
		t.waiting = append(t.waiting, r)
		return
	case !first:
		t.end()
	}
	t.row(r)
}

// end writes what waits.
func (t *evalTable) end() {
	for _, r := range t.waiting {
		t.row(r)
	}
	t.waiting = nil
}

func (t *evalTable) row(r *eval.Row) {
	names := eval.MetricsOf(r.Protocol)
	if heading := heading(r); heading != t.protocol {
		t.protocol = heading
		fmt.Fprintf(t.out, "\n%s\n  %-26s", heading, "")
		for _, name := range names {
			fmt.Fprintf(t.out, "%16s", name)
		}
		fmt.Fprintf(t.out, "%16s%9s%9s%9s%9s  %s\n", "vs decayed", "people", "train s", "judge s", "peak MB", "parameters")
	}
	fmt.Fprintf(t.out, "  %-26s", r.Algorithm)
	if r.Unjudged != "" {
		fmt.Fprintf(t.out, "  not judged: %s\n", oneLine(r.Unjudged))
		return
	}
	for i := range names {
		cell := "-"
		if i < len(r.Metrics) {
			cell = withMargin(&r.Metrics[i])
		}
		fmt.Fprintf(t.out, "%16s", cell)
	}
	fmt.Fprintf(t.out, "%16s%9s%9s%9.1f%9d  %s\n", vsDecayed(r), thousands(int64(r.People)), seconds(r), r.JudgeSecs, r.PeakBytes>>20, r.ParamsFrom)
}

// seconds are those of training, with the search for parameters.
func seconds(r *eval.Row) string {
	if r.Kind != eval.KindRecipe {
		return "-"
	}
	return fmt.Sprintf("%.1f", r.TrainSecs+r.SearchSecs)
}

// withMargin is a figure with half of its interval.
func withMargin(m *eval.Metric) string {
	if m.Low == nil {
		return fmt.Sprintf("%.4f ±?", m.Value)
	}
	return fmt.Sprintf("%.4f ±%s", m.Value, strings.TrimPrefix(fmt.Sprintf("%.4f", max(*m.High-m.Value, m.Value-*m.Low)), "0"))
}

// sureFrom is how many people it takes for a difference to be beyond doubt: few who agree by chance look as sure.
const sureFrom = 10

// vsDecayed is how much better a row is than decayed popularity in its main metric, with a star where that is beyond doubt.
func vsDecayed(r *eval.Row) string {
	for i := range r.Against {
		a := &r.Against[i]
		if a.Algorithm != eval.OfOnline(online.DecayedPopularity) {
			continue
		}
		sure := ""
		if a.Low != nil && r.People >= sureFrom && (*a.Low > 0 || *a.High < 0) {
			sure = "*"
		}
		return fmt.Sprintf("%+.4f%s", a.Value, sure)
	}
	return "-"
}

// report is what --json writes.
type report struct {
	Program    string     `json:"program"`
	Data       about      `json:"data"`
	Seed       uint64     `json:"seed"`
	Cores      int        `json:"cores"`
	People     int        `json:"people_max"`
	Moments    int        `json:"moments_max"`
	Trials     int        `json:"trials"`
	Confidence float64    `json:"confidence"`
	Ties       string     `json:"ties"`
	Finished   bool       `json:"finished"`
	Rows       []eval.Row `json:"rows"`
}

// write brings the files up to date.
func (e *evaluation) write(finished bool) error {
	if e.json != "" {
		var b bytes.Buffer
		enc := json.NewEncoder(&b)
		enc.SetIndent("", "  ")
		if err := enc.Encode(report{Program: "projectionist " + app.Version, Data: e.about, Seed: e.Seed, Cores: e.cores, People: e.People, Moments: e.Moments,
			Trials: e.Trials, Confidence: .95, Ties: tiesRule, Finished: finished, Rows: append([]eval.Row{}, e.rows...)}); err != nil {
			return err
		}
		if err := replaceFile(e.json, b.Bytes()); err != nil {
			return err
		}
	}
	if e.markdown != "" {
		return replaceFile(e.markdown, e.tables(finished))
	}
	return nil
}

const tiesRule = "of equal scores the judged film comes last"

// replaceFile writes a file whole or not at all.
func replaceFile(path string, content []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Chmod(0o644)
	}
	if again := f.Close(); err == nil {
		err = again
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name()) //nolint:errcheck // what went wrong is said
	}
	return err
}

// tables are the rows as Markdown.
func (e *evaluation) tables(finished bool) []byte {
	var b bytes.Buffer
	a := &e.about
	fmt.Fprintf(&b, "# %s\n\n%s, %s films, %s ratings of %s to %s (%s). Seed %d, %s. Intervals of 95 %% over people; %s.\n", plain(a.Data), people(int64(a.People)),
		thousands(int64(a.Films)), thousands(int64(a.Ratings)), a.From, a.To, a.Layout, e.Seed, count(int64(e.cores), "core"), tiesRule)
	if len(a.Splits) > 0 {
		fmt.Fprintf(&b, "\nSplits that came with the data: %s.\n", plain(strings.Join(a.Splits, ", ")))
	}
	if !finished {
		b.WriteString("\nNot finished: what is here is whole, the rest is missing.\n")
	}
	rows := slices.Clone(e.rows)
	place := map[string]int{} // of a protocol's first row
	for i := range rows {
		if _, ok := place[heading(&rows[i])]; !ok {
			place[heading(&rows[i])] = i
		}
	}
	slices.SortStableFunc(rows, func(a, b eval.Row) int { return place[heading(&a)] - place[heading(&b)] })
	protocol := ""
	for i := range rows {
		r := &rows[i]
		names := eval.MetricsOf(r.Protocol)
		if heading := heading(r); heading != protocol {
			protocol = heading
			fmt.Fprintf(&b, "\n## %s\n\n| algorithm | %s | over decayed popularity | people | asked | train s | judge s | peak MB | parameters |\n|---|%s---|---|---|---|---|---|---|\n",
				plain(heading), strings.Join(names, " | "), strings.Repeat("---|", len(names)))
		}
		fmt.Fprintf(&b, "| %s |", r.Algorithm)
		if r.Unjudged != "" {
			fmt.Fprintf(&b, " not judged: %s |%s\n", plain(oneLine(r.Unjudged)), strings.Repeat(" |", len(names)+6))
			continue
		}
		for i := range names {
			cell := "-"
			if i < len(r.Metrics) {
				cell = withMargin(&r.Metrics[i])
			}
			fmt.Fprintf(&b, " %s |", cell)
		}
		fmt.Fprintf(&b, " %s | %d | %d | %s | %.1f | %d | %s |\n", plain(vsDecayed(r)), r.People, r.Asks, seconds(r), r.JudgeSecs, r.PeakBytes>>20, plain(chosen(r)))
	}
	return b.Bytes()
}

// chosen says where parameters are from, and which were chosen.
func chosen(r *eval.Row) string {
	if r.ParamsFrom != eval.FromValidation {
		return r.ParamsFrom
	}
	var searched, sets []string
	whole, _, _ := strings.Cut(r.Algorithm, ":")
	if rec, err := all.Find(whole); err == nil {
		for _, d := range rec.Searched() {
			searched = append(searched, d.Name)
		}
	}
	for _, p := range r.Params {
		var list []string
		for _, name := range slices.Sorted(maps.Keys(p)) {
			if slices.Contains(searched, name) {
				list = append(list, name+"="+p[name])
			}
		}
		sets = append(sets, strings.Join(list, " "))
	}
	return fmt.Sprintf("%s of %d trials: %s", r.ParamsFrom, r.Trials, strings.Join(sets, "; "))
}

// plain escapes what would end a cell.
func plain(s string) string { return strings.NewReplacer("|", "\\|", "*", "\\*", "\n", " ").Replace(s) }

// measure takes the time of a piece of work, and the most memory that the process has from the system during it.
func measure() func() eval.Cost {
	debug.FreeOSMemory() // of what came before
	end := memory.Watch()
	started := time.Now()
	return func() eval.Cost {
		took := time.Since(started)
		most, _ := end()
		return eval.Cost{Seconds: took.Seconds(), PeakBytes: most}
	}
}
