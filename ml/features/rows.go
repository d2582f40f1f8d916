package features

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
)

// Columns of a file of rows to be joined. Any further columns are passed through.
const (
	userColumn  = "user_id"
	movieColumn = "movie_id"
	timeColumn  = "event_timestamp"
)

// KeyOf reads the id of an entity from a cell: its one spelling, "" for a cell that holds none (nothing, NaN,
// null), or what is wrong with it.
type KeyOf func(e Entity, cell string) (id string, err error)

// RowReader reads a CSV file of entity rows, row by row.
type RowReader struct {
	header          []string
	in              *csv.Reader
	key             KeyOf
	user, movie, at int // columns; negative where there is none
	record          []string
}

// NewRowReader reads the header of a CSV file with the columns event_timestamp (see [events.MillisOf]) and user_id,
// movie_id, or other join keys; further columns are kept. Errors are fault.Invalid and name line and column; those of r that are
// faults are passed on.
func NewRowReader(r io.Reader, key KeyOf) (*RowReader, error) {
	in := csv.NewReader(r)
	header, err := in.Read()
	if err == io.EOF {
		return nil, fault.Field("line 1", "the file is empty").WithHint("start with a header: user_id,movie_id,event_timestamp")
	}
	if err != nil {
		return nil, csvError(err)
	}
	in.ReuseRecord = true
	header[0] = strings.TrimPrefix(header[0], "\ufeff") // some spreadsheets write a byte order mark
	for i, name := range header {
		if name == "" || slices.Index(header, name) != i {
			line, col := in.FieldPos(i)
			return nil, position(line, col, name, "column name %q is empty or repeated", name).WithHint("give each column a name of its own")
		}
	}
	f := &RowReader{header: header, in: in, key: key, user: slices.Index(header, userColumn), movie: slices.Index(header, movieColumn),
		at: slices.Index(header, timeColumn)}
	if f.at < 0 || len(header) == 1 {
		return nil, fault.Field("line 1", "the header is %s", strings.Join(header, ",")).
			WithHint("it needs %s, and %s, %s or both", timeColumn, userColumn, movieColumn)
	}
	return f, nil
}

// Header are the names of the columns.
func (f *RowReader) Header() []string { return f.header }

// Entities are those whose ids the file has.
func (f *RowReader) Entities() (entities []Entity) {
	if f.user >= 0 {
		entities = append(entities, User)
	}
	if f.movie >= 0 {
		entities = append(entities, Movie)
	}
	return entities
}

// Offset is how many bytes of the file the rows until now have taken.
func (f *RowReader) Offset() int64 { return f.in.InputOffset() }

// Next reads the next row's cells, valid until the one after it; io.EOF behind the last.
func (f *RowReader) Next() ([]string, error) {
	record, err := f.in.Read()
	if err == io.EOF {
		return nil, io.EOF
	}
	if err != nil {
		return nil, csvError(err)
	}
	f.record = record
	return record, nil
}

// Row is what the join needs of the row that was read last. Its ids are valid until the next one.
func (f *RowReader) Row() (row Row, err error) {
	for _, c := range []struct {
		index  int
		entity Entity
		id     *string
	}{{f.user, User, &row.UserID}, {f.movie, Movie, &row.MovieID}} {
		if c.index < 0 {
			continue
		}
		if *c.id, err = f.key(c.entity, f.record[c.index]); err != nil {
			return row, f.Wrong(c.index, err).WithHint("give the id of a %s, or leave the cell empty", c.entity)
		}
	}
	if row.TimeMillis, err = events.MillisOf(f.record[f.at]); err != nil {
		return row, f.Wrong(f.at, err)
	}
	return row, nil
}

// Wrong says what is wrong with a cell of the row that was read last.
func (f *RowReader) Wrong(column int, err error) *fault.Error {
	line, col := f.in.FieldPos(column)
	return position(line, col, f.header[column], "%v", err)
}

func position(line, col int, name, format string, args ...any) *fault.Error {
	return fault.Field(fmt.Sprintf("line %d, column %d (%s)", line, col, name), format, args...)
}

func csvError(err error) error {
	var f *fault.Error
	if errors.As(err, &f) {
		return f
	}
	var p *csv.ParseError
	if errors.As(err, &p) {
		e := fault.Field(fmt.Sprintf("line %d, column %d", p.Line, p.Column), "%v", p.Err)
		if errors.Is(err, csv.ErrFieldCount) {
			return e.WithHint("give every line as many fields as the header; quote a field that holds a comma")
		}
		return e.WithHint("write a quote inside a quoted field twice")
	}
	return fault.Wrap(fault.Internal, err, "reading the rows")
}

// Check says whether the file can be joined: it has the ids that are needed, and no column of the name of a feature.
func (f *RowReader) Check(needed, names []string) error {
	for _, key := range needed {
		if !slices.Contains(f.header, key) {
			return fault.Field("line 1", "there is no column %s", key).WithHint("add it, or ask for no features of a %s", strings.TrimSuffix(key, "_id"))
		}
	}
	for _, name := range names {
		if slices.Contains(f.header, name) {
			return fault.Field("line 1", "column %s has the name of a feature", name).
				WithHint("rename the column, or ask for full feature names")
		}
	}
	return nil
}

// RowWriter writes rows with their features as a CSV file.
type RowWriter struct {
	out    *csv.Writer
	record []string
	text   []byte
	ends   []int
}

// NewRowWriter writes the header: the columns of a file that was read, then the selected features by name. Writing is
// buffered until [RowWriter.Flush].
func NewRowWriter(w io.Writer, header, names []string) (*RowWriter, error) {
	out := csv.NewWriter(w)
	return &RowWriter{out: out}, out.Write(append(slices.Clone(header), names...))
}

// Write writes a row's cells as they were read, then its values, as [Value.AppendText] has them.
func (f *RowWriter) Write(cells []string, values []Value) error {
	f.text, f.ends = f.text[:0], f.ends[:0]
	for i := range values {
		f.text = values[i].AppendText(f.text)
		f.ends = append(f.ends, len(f.text))
	}
	f.record = append(f.record[:0], cells...)
	text, from := string(f.text), 0 // one piece of memory for all of them
	for _, end := range f.ends {
		f.record = append(f.record, text[from:end])
		from = end
	}
	return f.out.Write(f.record)
}

// Flush writes what is buffered.
func (f *RowWriter) Flush() error {
	f.out.Flush()
	return f.out.Error()
}
