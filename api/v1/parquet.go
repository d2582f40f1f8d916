package v1

import (
	"io"
	"iter"
	"slices"

	"github.com/projectionist/projectionist/api/tables"
	"github.com/projectionist/projectionist/internal/arrow"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/internal/parquet"
	"github.com/projectionist/projectionist/internal/spill"
	"github.com/projectionist/projectionist/ml/features"
	"github.com/projectionist/projectionist/projections/featurestore"
)

// parquetType is the media type of tables in Parquet.
const parquetType = "application/vnd.apache.parquet"

// parquetTable is a table in Parquet; what is asked for is in the query.
type parquetTable struct {
	asked historical
	body  *spill.File // read at places, not from its beginning
	file  *parquet.File
	keys  tables.Keys
}

func (t *parquetTable) mediaType() string { return parquetType }

func (t *parquetTable) open() (err error) {
	if t.file, err = parquet.Open(t.body, t.body.Size()); err != nil {
		return err
	}
	var fields []*arrow.Field
	for i := range t.file.Columns {
		fields = append(fields, t.file.Columns[i].Field)
	}
	t.keys = tables.KeysOf(fields)
	return nil
}

// check reads the columns that the join needs; in is the body, asked whether anybody still waits.
func (t *parquetTable) check(in io.Reader, keep func(featurestore.Row) error) (historical, []string, error) {
	if err := t.open(); err != nil {
		return t.asked, nil, err
	}
	if t.keys.At < 0 || len(t.keys.Named()) == 1 {
		return t.asked, nil, fault.Field("columns", "the file has no column %s, or neither user_id nor movie_id", tables.TimeColumn).
			WithHint("it needs %s, and user_id, movie_id or both", tables.TimeColumn)
	}
	if err := t.keys.Readable(); err != nil {
		return t.asked, nil, err
	}
	return t.asked, t.keys.Named(), t.each(in, func(columns []*arrow.Array, i, number int) error {
		row, err := t.keys.Row(columns, i, "rows", number)
		if err != nil {
			return err
		}
		return keep(featurestore.Row{Row: row})
	})
}

func (t *parquetTable) keyed(in io.Reader, sel *featurestore.Selection, keep func(featurestore.Row) error) error {
	return t.each(in, func(columns []*arrow.Array, i, number int) error {
		row, err := t.keys.Selected(sel, columns, i, "rows", number)
		if err != nil {
			return err
		}
		return keep(row)
	})
}

// each reads the rows of the file, each with its number.
func (t *parquetTable) each(in io.Reader, row func(columns []*arrow.Array, i, number int) error) error {
	number := 0
	for g := range t.file.Groups() {
		if _, err := in.Read(nil); err != nil && err != io.EOF {
			return err
		}
		rows, columns, err := t.file.Group(g)
		if err != nil {
			return err
		}
		for i := range rows {
			if err := row(columns, i, number); err != nil {
				return err
			}
			number++
		}
	}
	return nil
}

func (t *parquetTable) fits(sel *featurestore.Selection) error {
	if f := t.keys.Unsaid(sel); f != nil {
		return unsaid("columns", f)
	}
	return t.keys.Fits(sel.Needs(), sel.Names())
}

// parquetRows are those of a row group of an answer.
const parquetRows = 1 << 16

func (t *parquetTable) join(_ io.Reader, w io.Writer, sel *featurestore.Selection, _ string, values iter.Seq2[[]features.Value, error]) error {
	var made []*arrow.Field
	var columns []*arrow.Column
	for i, v := range sel.Unknown() {
		made = append(made, tables.FieldOf(sel.Names()[i], v.Type))
		columns = append(columns, arrow.NewColumn(made[i]))
	}
	meta := slices.DeleteFunc(slices.Clone(t.file.Metadata), func(p arrow.Pair) bool { return p.Key == "ARROW:schema" }) // of other columns
	out := parquet.NewWriter(w, t.file.Columns, made, meta)
	next, stop := iter.Pull2(values)
	defer stop()
	for g := range t.file.Groups() {
		rows, own, err := t.file.Group(g)
		if err != nil {
			return err
		}
		for from := 0; from < rows; {
			to := from
			for ; to < rows && to-from < parquetRows && tables.Bytes(columns) < groupBytes; to++ { // a value may take a megabyte
				v, err, _ := next()
				if err != nil {
					return err
				}
				for i := range v {
					tables.Add(columns[i], &v[i])
				}
			}
			var all []*arrow.Array
			for _, a := range own {
				all = append(all, a.Slice(from, to))
			}
			for _, c := range columns {
				all = append(all, c.Array())
			}
			if err := out.Group(to-from, all); err != nil {
				return err
			}
			for _, c := range columns {
				c.Reset()
			}
			from = to
		}
	}
	return out.Close()
}
