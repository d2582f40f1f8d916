package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/goccy/go-yaml"
)

// column is a heading and where its cells are in an item: "name", "current.version", or several names of
// which the first that is there counts, as in "timestamp|time".
type column struct{ heading, path string }

// columns reads "HEADING path, HEADING path".
func columns(text string) []column {
	var all []column
	for _, part := range strings.Split(text, ",") {
		heading, path, _ := strings.Cut(strings.TrimSpace(part), " ")
		all = append(all, column{heading, strings.TrimSpace(path)})
	}
	return all
}

// cellWidthMax keeps a table readable where a cell holds a whole document.
const cellWidthMax = 100

// table writes items as aligned columns.
func table(w io.Writer, cols []column, items []map[string]any) error {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	row := make([]string, len(cols))
	for i, c := range cols {
		row[i] = c.heading
	}
	fmt.Fprintln(t, strings.Join(row, "\t"))
	for _, item := range items {
		for i, c := range cols {
			row[i] = clip(cell(lookUp(item, c.path)), cellWidthMax)
		}
		fmt.Fprintln(t, strings.TrimRight(strings.Join(row, "\t"), "\t"))
	}
	return t.Flush()
}

func clip(s string, width int) string {
	if r := []rune(s); len(r) > width {
		return string(r[:width-1]) + "…"
	}
	return s
}

// lookUp follows a path. Milliseconds come back as a time.
func lookUp(item map[string]any, path string) any {
	for _, name := range strings.Split(path, "|") {
		var v any = item
		for _, key := range strings.Split(name, ".") {
			m, ok := v.(map[string]any)
			if !ok {
				v = nil
				break
			}
			v = m[key]
		}
		if n, ok := v.(json.Number); ok && strings.HasSuffix(name, "_millis") {
			ms, err := n.Int64()
			if err != nil || ms == 0 {
				continue
			}
			return time.UnixMilli(ms)
		}
		if v != nil && v != "" {
			return v
		}
	}
	return nil
}

// cell is a value on one line, without control characters: what comes from outside must not move the cursor.
func cell(v any) string {
	switch v := v.(type) {
	case nil:
		return "-"
	case string:
		return oneLine(v)
	case bool:
		return map[bool]string{true: "yes", false: "no"}[v]
	case time.Time:
		return isoTime(v)
	case json.Number:
		if strings.ContainsAny(v.String(), ".eE") {
			if f, err := v.Float64(); err == nil {
				return strconv.FormatFloat(f, 'g', 5, 64)
			}
		}
		return v.String()
	case []any:
		parts := make([]string, len(v))
		for i := range v {
			parts[i] = cell(v[i])
		}
		return strings.Join(parts, ", ")
	case map[string]any:
		var parts []string
		for _, k := range slices.Sorted(maps.Keys(v)) {
			parts = append(parts, oneLine(k)+"="+cell(v[k]))
		}
		return strings.Join(parts, " ")
	}
	return fmt.Sprint(v)
}

// oneLine is text on one line that cannot move the cursor or turn what stands after it around.
func oneLine(s string) string {
	return visible(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s))
}

// visible spells out, as JSON does, the characters that change how others are shown: those that turn the
// direction of text (UAX #9), break lines, or show nothing.
func visible(s string) string {
	if !strings.ContainsFunc(s, unseen) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if unseen(r) {
			fmt.Fprintf(&b, `\u%04x`, r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

func unseen(r rune) bool {
	switch {
	case r == 0x061c, r == 0x200b, r == 0x200e, r == 0x200f, r >= 0x2028 && r <= 0x202e, r >= 0x2060 && r <= 0x206f, r == 0xfeff:
		return true
	}
	return false
}

// isoTime is a time in UTC, always of one width.
func isoTime(t time.Time) string {
	return t.UTC().Format("2006-01-02T15:04:05.000Z")
}

// decode reads JSON and keeps numbers as they are written.
func decode(raw []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("the answer cannot be read: %w", err)
	}
	return nil
}

// printRaw writes an answer as it came.
func (p *program) printRaw(raw []byte) error {
	_, err := p.out.Write(append(bytes.TrimRight(raw, "\n"), '\n'))
	return err
}

var millisLine = regexp.MustCompile(`(?m)^(\s*(?:- )?\w+)_millis: (\d{12,13})$`)

// document writes an answer for people, field by field in the order it has them.
func (p *program) document(raw []byte) error {
	if p.json {
		return p.printRaw(raw)
	}
	text, err := yaml.JSONToYAML(raw)
	if err != nil {
		return fmt.Errorf("the answer cannot be read: %w", err)
	}
	text = millisLine.ReplaceAllFunc(text, func(line []byte) []byte {
		m := millisLine.FindSubmatch(line)
		ms, _ := strconv.ParseInt(string(m[2]), 10, 64)
		return fmt.Appendf(nil, "%s: %s", m[1], isoTime(time.UnixMilli(ms)))
	})
	_, err = p.out.Write(text)
	return err
}

// list writes the items of an answer (under key) as a table, or says that there are none.
func (p *program) list(raw []byte, key, cols, none string) error {
	if p.json {
		return p.printRaw(raw)
	}
	items, more, err := itemsOf(raw, key)
	if err != nil {
		return err
	}
	return p.rows(items, more, cols, none)
}

// rows writes items as a table, or says that there are none. A page without any may have others behind it.
func (p *program) rows(items []map[string]any, more, cols, none string) error {
	switch {
	case len(items) > 0:
		if err := table(p.out, columns(cols), items); err != nil {
			return err
		}
	case more == "":
		fmt.Fprintln(p.err, none)
	default:
		fmt.Fprint(p.err, "nothing so far; ")
	}
	if more != "" {
		fmt.Fprintf(p.err, "there are more: add --cursor %s\n", more)
	}
	return nil
}

// itemsOf reads the list under a key ("" for an answer that is a list) and the cursor of the next page.
func itemsOf(raw []byte, key string) (items []map[string]any, next string, err error) {
	if key == "" {
		return items, "", decode(raw, &items)
	}
	var m map[string]any
	if err := decode(raw, &m); err != nil {
		return nil, "", err
	}
	all, _ := m[key].([]any)
	for _, v := range all {
		item, ok := v.(map[string]any)
		if !ok {
			item = map[string]any{"value": v}
		}
		items = append(items, item)
	}
	next, _ = m["next_cursor"].(string)
	return items, next, nil
}
