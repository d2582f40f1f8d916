package v1

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"mime"
	"net/http"
	"slices"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/internal/spill"
	"github.com/projectionist/projectionist/ml/features"
	"github.com/projectionist/projectionist/projections/featurestore"
	"github.com/projectionist/projectionist/projections/fold"
)

// historical asks for a point-in-time join.
type historical struct {
	KnownAt    string `json:"known_at"`
	KnownAtRow bool   `json:"known_at_row"` // leave out what was recorded after the row's time
	Exclusive  bool   `json:"exclusive"`    // look back to just before the row's time
	choice
}

// table is a body of entity rows. It is read twice, so that it need not fit memory, and so that whatever is wrong
// with any row is answered before the first is.
type table interface {
	// check reads the body, keeps the person, the film and the time of each row, and says what is asked for, and the columns.
	check(in io.Reader, keep func(featurestore.Row) error) (historical, []string, error)
	// fits says whether the selection can be joined to the rows that were checked.
	fits(*featurestore.Selection) error
	// keyed reads the rows again and keeps them with whom they are about by the join keys of pushed values.
	keyed(in io.Reader, sel *featurestore.Selection, keep func(featurestore.Row) error) error
	// join reads the rows again and writes them with their values.
	join(in io.Reader, out io.Writer, sel *featurestore.Selection, hash string, values iter.Seq2[[]features.Value, error]) error
	mediaType() string
}

// historicalFeatures joins rows with features as they were at each row's own time: JSON in and out, or CSV or Parquet in and out
// with the choice in the query. The answer is written as it is made.
func (s *Surface) historicalFeatures(w http.ResponseWriter, r *http.Request) error {
	body := spill.NewFile(s.ScratchDir, spoolMemoryBytes)
	defer body.Close() //nolint:errcheck // scratch is emptied at start
	t, err := tableOf(r, body)
	if err != nil {
		return err
	}
	if s.Draining() {
		return fault.New(fault.Unavailable, "the server is shutting down")
	}
	done, err := s.Features.BeginJoin()
	if err != nil {
		return err
	}
	defer done()
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(s.Work(), cancel)()

	if err := api.ReceiveBody(w, r, historicalBytesMax, body); err != nil {
		return err
	}
	rows := &joinRows{Keys: s.keys()}
	defer func() { rows.File.Close() }() //nolint:errcheck
	asked, columns, err := t.check(api.Interrupted(ctx, body.Open()), rows.Add)
	if err != nil {
		return err
	}
	m, err := s.MomentOf(ctx, "", asked.KnownAt)
	if err != nil {
		return err
	}
	reg, err := s.registryFor(m.At, &asked.choice)
	if err != nil {
		return err
	}
	sel, err := s.selected(ctx, t, body, rows, reg, asked, columns)
	if err != nil {
		return err
	}
	values := s.Features.Historical(ctx, featurestore.Historical{Selection: sel, At: m.At, AtRow: asked.KnownAtRow, Exclusive: asked.Exclusive,
		Scratch: s.ScratchDir}, rows.All())
	out := api.NewAnswer(ctx, w, r, t.mediaType())
	return out.End(t.join(body.Open(), out, sel, reg.HashOf(sel), values))
}

// joinRows is what a join needs of the rows that were read.
type joinRows struct{ featurestore.Keys }

func (s *Surface) keys() featurestore.Keys {
	return featurestore.Keys{File: spill.NewFile(s.ScratchDir, spoolMemoryBytes)}
}

// selected resolves what is asked for, and adds to the rows that were read what the join needs of them beside people and films.
func (s *Surface) selected(ctx context.Context, t table, body *spill.File, rows *joinRows, reg *featurestore.Registry, asked historical, columns []string) (*featurestore.Selection, error) {
	if len(reg.Views) == 0 && len(reg.External) == 0 {
		if _, err := s.Features.Definitions(fold.At{}); err != nil { // there are none
			return nil, err
		}
	}
	sel, err := joinSelection(reg, asked.choice, columns)
	if err == nil {
		err = t.fits(sel)
	}
	if err != nil || !sel.Pushed() && len(sel.Request()) == 0 {
		return sel, err
	}
	keyed := s.keys()
	before := rows.File
	rows.Keys = keyed
	if err := before.Close(); err != nil {
		return nil, err
	}
	return sel, t.keyed(api.Interrupted(ctx, body.Open()), sel, keyed.Add)
}

func tableOf(r *http.Request, body *spill.File) (table, error) {
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if kind != "text/csv" && kind != parquetType { // unreadable: JSON
		return &jsonTable{named: map[string]int{}}, nil
	}
	q := api.QueryOf(r, append(slices.Clone(choiceParams), api.KnownAtParam, "known_at_row", "exclusive")...)
	asked := historical{choice: choiceOf(q), KnownAt: q.Str(api.KnownAtParam), KnownAtRow: q.Flag("known_at_row"), Exclusive: q.Flag("exclusive")}
	if kind == parquetType {
		return &parquetTable{asked: asked, body: body}, q.Err()
	}
	return &csvTable{asked: asked}, q.Err()
}

// unsaid says that rows have no column of what expressions want of each.
func unsaid(where string, f *features.RequestField) error {
	return fault.Field(where, "there is no column %s, which the on-demand view %s wants of each row", f.Name, f.View).
		WithHint("add it, of type %s, or ask for no features of %s", f.Type, f.View)
}

// csvTable is a table in CSV; what is asked for is in the query.
type csvTable struct {
	asked historical
	rows  *features.RowReader
}

func (t *csvTable) mediaType() string { return "text/csv; charset=utf-8" }

// each reads the rows of a body.
func (t *csvTable) each(in io.Reader, row func(rows *features.RowReader, cells []string) error) (err error) {
	limit := &rowLimit{in: in}
	if t.rows, err = features.NewRowReader(limit, keyOf); err != nil {
		return err
	}
	for {
		limit.begun = t.rows.Offset()
		cells, err := t.rows.Next()
		if err == io.EOF {
			return nil
		}
		if err == nil {
			err = row(t.rows, cells)
		}
		if err != nil {
			return err
		}
	}
}

func (t *csvTable) check(in io.Reader, keep func(featurestore.Row) error) (historical, []string, error) {
	err := t.each(in, func(rows *features.RowReader, _ []string) error {
		row, err := rows.Row()
		if err != nil {
			return err
		}
		return keep(featurestore.Row{Row: row})
	})
	if err != nil {
		return t.asked, nil, err
	}
	return t.asked, t.rows.Header(), nil
}

func (t *csvTable) fits(sel *featurestore.Selection) error {
	if f := sel.Unsaid(func(name string) bool { return slices.Contains(t.rows.Header(), name) }); f != nil {
		return unsaid("line 1", f)
	}
	return t.rows.Check(sel.Needs(), sel.Names())
}

func (t *csvTable) keyed(in io.Reader, sel *featurestore.Selection, keep func(featurestore.Row) error) error {
	column := map[string]int{}
	for i, name := range t.rows.Header() {
		column[name] = i
	}
	return t.each(in, func(rows *features.RowReader, cells []string) error {
		row, err := rows.Row()
		if err != nil {
			return err
		}
		keys, err := sel.EntityKeys(nil, func(k *events.FeatureField) json.RawMessage { return features.KeyCell(k, cells[column[k.Name]]) })
		var said []byte
		if err == nil {
			said, err = sel.Said(nil, func(f *events.FeatureField) (json.RawMessage, error) {
				return features.RequestCell(f, cells[column[f.Name]]), nil
			})
		}
		var f *fault.Error
		if errors.As(err, &f) {
			return rows.Wrong(column[f.Field], errors.New(f.Message)).WithHint("%s", cmp.Or(f.Hint, "give an id, or leave the cell empty"))
		}
		return keep(featurestore.Row{Row: row, Keys: keys, Said: said})
	})
}

func (t *csvTable) join(in io.Reader, w io.Writer, sel *featurestore.Selection, _ string, values iter.Seq2[[]features.Value, error]) error {
	out, err := features.NewRowWriter(w, t.rows.Header(), sel.Names())
	if err != nil {
		return err
	}
	next, stop := iter.Pull2(values)
	defer stop()
	err = t.each(in, func(_ *features.RowReader, cells []string) error {
		v, err, _ := next()
		if err != nil {
			return err
		}
		return out.Write(cells, v)
	})
	if err != nil {
		return err
	}
	return out.Flush()
}

// jsonTable is a table in JSON, with what is asked for beside the rows.
type jsonTable struct {
	named  map[string]int // the fields that rows have, by the first row that has them
	naming int            // bytes of their names
}

func (t *jsonTable) mediaType() string { return "application/json" }

// faultsShown is how many of the faults of rows are answered at once.
const faultsShown = 20

func (t *jsonTable) check(in io.Reader, keep func(featurestore.Row) error) (v historical, columns []string, err error) {
	q, body, rows := &api.Query{}, newJSONReader(in), 0
	err = body.read(func(i int, fields map[string]json.RawMessage) error {
		if rows++; q.Faults() >= faultsShown {
			return q.Err()
		}
		if err := t.name(i, fields); err != nil {
			return err
		}
		row := rowOf(i, fields, q)
		if q.Faults() > 0 {
			return nil
		}
		return keep(featurestore.Row{Row: row})
	})
	if err == nil {
		err = api.Unmarshal(body.others, &v)
	}
	if err == nil && rows == 0 {
		err = fault.Field("rows", "must not be empty")
	}
	for name := range t.named {
		columns = append(columns, name)
	}
	if err == nil && len(columns) < 2 { // beside the time
		err = fault.Field("rows[0]", "has neither user_id nor movie_id, nor another join key")
	}
	if err == nil {
		err = q.Err()
	}
	return v, columns, err
}

func (t *jsonTable) keyed(in io.Reader, sel *featurestore.Selection, keep func(featurestore.Row) error) error {
	return newJSONReader(in).read(func(i int, fields map[string]json.RawMessage) error {
		row := rowOf(i, fields, &api.Query{}) // which was checked
		keys, err := sel.EntityKeys(nil, func(k *events.FeatureField) json.RawMessage { return keyOfJSON(k, fields[k.Name]) })
		var said []byte
		if err == nil {
			said, err = sel.Said(nil, func(f *events.FeatureField) (json.RawMessage, error) { return fields[f.Name], nil })
		}
		var f *fault.Error
		if errors.As(err, &f) {
			return fault.Field(fmt.Sprintf("rows[%d].%s", i, f.Field), "%s", f.Message).WithHint("%s", cmp.Or(f.Hint, "give an id, or null"))
		}
		return keep(featurestore.Row{Row: row, Keys: keys, Said: said})
	})
}

// name notes the fields of a row.
func (t *jsonTable) name(i int, fields map[string]json.RawMessage) error {
	for name := range fields {
		if _, ok := t.named[name]; ok {
			continue
		}
		t.named[name] = i
		if t.naming += len(name) + 1; t.naming > fieldNamesBytesMax {
			return fault.New(fault.TooLarge, "the names of the rows' fields have more than %d bytes together", fieldNamesBytesMax).
				WithHint("give every row the same fields")
		}
	}
	return nil
}

func (t *jsonTable) fits(sel *featurestore.Selection) error {
	if f := sel.Unsaid(func(name string) bool { _, ok := t.named[name]; return ok }); f != nil {
		return unsaid("rows", f)
	}
	row, taken := -1, ""
	for _, name := range sel.Names() {
		if i, ok := t.named[name]; ok && (row < 0 || i < row) {
			row, taken = i, name
		}
	}
	if row < 0 {
		return nil
	}
	return fault.Field(fmt.Sprintf("rows[%d].%s", row, taken), "has the name of a feature").WithHint("rename it, or ask for full_feature_names")
}

func (t *jsonTable) join(in io.Reader, w io.Writer, sel *featurestore.Selection, hash string, values iter.Seq2[[]features.Value, error]) error {
	var labels []string
	for _, name := range sel.Names() {
		labels = append(labels, ","+string(appendJSONText(nil, name))+":")
	}
	next, stop := iter.Pull2(values)
	defer stop()
	var names []string
	out := []byte(`{"rows":[`)
	err := newJSONReader(in).read(func(i int, fields map[string]json.RawMessage) error {
		v, err, _ := next()
		if err != nil {
			return err
		}
		if i > 0 {
			out = append(out, ',')
		}
		names = names[:0]
		for name := range fields {
			names = append(names, name)
		}
		slices.Sort(names)
		out = append(out, '{')
		for k, name := range names {
			if k > 0 {
				out = append(out, ',')
			}
			out = append(append(appendJSONText(out, name), ':'), fields[name]...)
		}
		for k := range v {
			out = v[k].AppendJSON(append(out, labels[k]...))
		}
		_, err = w.Write(append(out, '}'))
		out = out[:0]
		return err
	})
	if err != nil {
		return err
	}
	out = appendJSONText(append(out, `],"definitions_hash":`...), hash)
	_, err = w.Write(append(out, "}\n"...))
	return err
}
