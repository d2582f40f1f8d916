package flight

import (
	"github.com/projectionist/projectionist/api/tables"
	"github.com/projectionist/projectionist/internal/arrow"
	"github.com/projectionist/projectionist/ml/features"
)

// writer writes rows with values, as record batches.
type writer struct {
	a       *answer
	schema  *arrow.Schema
	columns []*arrow.Column
	sent    bool // the schema
	n       int
}

// newWriter begins a table whose first columns are those of a schema, and then those of values, by the names given.
func newWriter(a *answer, schema *arrow.Schema, names []string, values []features.Value) *writer {
	w := &writer{a: a, schema: schema}
	for i, v := range values {
		w.column(tables.FieldOf(names[i], v.Type))
	}
	return w
}

// column adds one.
func (w *writer) column(f *arrow.Field) {
	w.schema.Fields = append(w.schema.Fields, f)
	w.columns = append(w.columns, arrow.NewColumn(f))
}

// add takes the values of a row.
func (w *writer) add(values []features.Value) {
	for i := range values {
		tables.Add(w.columns[i], &values[i])
	}
	w.n++
}

// full says whether a batch is to end after so many rows, with columns of its own or none.
func (w *writer) full(rows int, own ...*arrow.Column) bool {
	return rows >= batchRows || tables.Bytes(w.columns)+tables.Bytes(own) >= batchBytes // a value may take a megabyte
}

// flush sends what was added, behind columns of as many rows.
func (w *writer) flush(own []*arrow.Array) error {
	if err := w.begin(); err != nil {
		return err
	}
	for _, c := range w.columns {
		own = append(own, c.Array())
	}
	err := w.a.sendData(arrow.WriteBatch(w.n, own))
	for _, c := range w.columns {
		c.Reset()
	}
	w.n = 0
	return err
}

func (w *writer) begin() error {
	if w.sent {
		return nil
	}
	w.sent = true
	return w.a.sendData(w.schema.Write(), nil)
}

// end sends the schema at least.
func (w *writer) end() error {
	if w.n > 0 {
		return w.flush(nil)
	}
	return w.begin()
}
