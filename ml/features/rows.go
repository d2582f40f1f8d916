package features

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
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

// RowFile is a CSV file of entity rows, as read: Records holds every column's text, Rows what the
// join needs of them.
type RowFile struct {
	Header  []string
	Records [][]string
	Rows    []Row
}

// KeyOf reads the id of an entity from a cell: its one spelling, "" for a cell that holds none (nothing, NaN,
// null), or what is wrong with it.
type KeyOf func(e Entity, cell string) (id string, err error)

// ReadRows reads a CSV file with the columns event_timestamp (see [events.MillisOf]) and user_id, movie_id or both;
// further columns are kept. Errors are fault.Invalid and name line and column.
func ReadRows(r io.Reader, key KeyOf) (*RowFile, error) {
	in := csv.NewReader(r)
	header, err := in.Read()
	if err == io.EOF {
		return nil, fault.Field("line 1", "the file is empty").WithHint("start with a header: user_id,movie_id,event_timestamp")
	}
	if err != nil {
		return nil, csvError(err)
	}
	header[0] = strings.TrimPrefix(header[0], "\ufeff") // some spreadsheets write a byte order mark
	f := &RowFile{Header: header}
	for i, name := range header {
		if name == "" || slices.Index(header, name) != i {
			line, col := in.FieldPos(i)
			return nil, position(line, col, name, "column name %q is empty or repeated", name).WithHint("give each column a name of its own")
		}
	}
	user, movie, at := slices.Index(header, userColumn), slices.Index(header, movieColumn), slices.Index(header, timeColumn)
	if at < 0 || user < 0 && movie < 0 {
		return nil, fault.Field("line 1", "the header is %s", strings.Join(header, ",")).
			WithHint("it needs %s, and %s, %s or both", timeColumn, userColumn, movieColumn)
	}
	for {
		record, err := in.Read()
		if err == io.EOF {
			return f, nil
		}
		if err != nil {
			return nil, csvError(err)
		}
		var row Row
		for _, c := range []struct {
			index  int
			entity Entity
			id     *string
		}{{user, User, &row.UserID}, {movie, Movie, &row.MovieID}} {
			if c.index < 0 {
				continue
			}
			if *c.id, err = key(c.entity, record[c.index]); err != nil {
				line, col := in.FieldPos(c.index)
				return nil, position(line, col, header[c.index], "%v", err).WithHint("give the id of a %s, or leave the cell empty", c.entity)
			}
		}
		if row.TimeMillis, err = events.MillisOf(record[at]); err != nil {
			line, col := in.FieldPos(at)
			return nil, position(line, col, timeColumn, "%v", err)
		}
		f.Records, f.Rows = append(f.Records, record), append(f.Rows, row)
	}
}

func position(line, col int, name, format string, args ...any) *fault.Error {
	return fault.Field(fmt.Sprintf("line %d, column %d (%s)", line, col, name), format, args...)
}

func csvError(err error) error {
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

// Check says whether the file can be joined with the selection: it has the ids that are needed, and
// no column of the name of a feature.
func (f *RowFile) Check(s *Selection) error {
	for _, e := range []Entity{User, Movie} {
		if key := string(e) + "_id"; s.Needs(e) && !slices.Contains(f.Header, key) {
			return fault.Field("line 1", "there is no column %s", key).WithHint("add it, or ask for no features of a %s", e)
		}
	}
	for _, name := range s.Names() {
		if slices.Contains(f.Header, name) {
			return fault.Field("line 1", "column %s has the name of a feature", name).
				WithHint("rename the column, or ask for full feature names")
		}
	}
	return nil
}

// WriteRows writes the file's columns as they were read, then the joined ones. A value that is not
// present is empty; a list is joined with "|".
func (f *RowFile) WriteRows(w io.Writer, columns []Column) error {
	out := csv.NewWriter(w)
	record := slices.Clone(f.Header)
	for i := range columns {
		record = append(record, columns[i].Name)
	}
	if err := out.Write(record); err != nil {
		return err
	}
	for row := range f.Records {
		record = append(record[:0], f.Records[row]...)
		for i := range columns {
			record = append(record, columns[i].text(row))
		}
		if err := out.Write(record); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

func (c *Column) text(row int) string {
	if c.Statuses[row] != Present {
		return ""
	}
	switch c.Type {
	case Float64:
		return strconv.FormatFloat(c.Floats[row], 'g', -1, 64)
	case Int64:
		return strconv.FormatInt(c.Ints[row], 10)
	case String:
		return c.Strings[row]
	}
	return strings.Join(c.Lists[row], "|")
}
