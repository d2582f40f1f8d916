package dataset

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
)

// Columns say in which column of a csv file stands what a rating needs: by its name in the header, or by its
// number, from 1. A name of digits alone is taken for a number.
type Columns struct {
	User   string `json:"user"`
	Item   string `json:"item"`
	Rating string `json:"rating"` // more than 0, at most 5
	Time   string `json:"time"`   // Unix seconds or milliseconds, or ISO 8601, UTC where it names no zone
}

// roles are the columns with what they are for, in the order of an index.
func (c *Columns) roles() [4]struct{ role, column string } {
	return [...]struct{ role, column string }{{"user", c.User}, {"item", c.Item}, {"rating", c.Rating}, {"time", c.Time}}
}

// Validate reports every column that is not given.
func (c *Columns) Validate() error {
	var errs []error
	for _, r := range c.roles() {
		if strings.TrimSpace(r.column) == "" {
			errs = append(errs, fault.Field("columns."+r.role, "is needed").WithHint("name a column of the header, or give its number from 1"))
		}
	}
	return errors.Join(errs...)
}

// numbered says whether the columns are numbers all, so that there may be no header.
func (c *Columns) numbered() bool {
	for _, r := range c.roles() {
		if !isNumber([]byte(r.column)) {
			return false
		}
	}
	return true
}

// table is how a csv file of one's own is laid out.
type table struct {
	Columns
	sep    byte
	index  [4]int // of the columns, as roles has them
	fields int    // of a record
	headed bool
}

// separators of csv files, the likeliest first: a comma decimal makes others use the semicolon.
var separators = []byte{',', ';', '\t'}

// OpenCSV opens a csv file of ratings (RFC 4180; semicolons and tabs part fields too). Its films are known by
// their ids alone. Errors about the columns are fault.Invalid and name "columns.user" and so on.
//
// Where all columns are numbers, the first line counts as a header if neither its rating nor its time can
// be read.
func OpenCSV(path string, c Columns) (*Set, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, fmt.Errorf("dataset: %w", err)
	case !info.Mode().IsRegular():
		return nil, irregular(path, info)
	}
	dir, base := filepath.Split(filepath.Clean(path))
	if dir == "" {
		dir = "."
	}
	s := &Set{Name: strings.TrimSuffix(base, filepath.Ext(base)), Layout: LayoutTable, files: files{ratings: base}, root: dir, dir: ".",
		fsys: os.DirFS(dir), table: &table{Columns: c}}
	if empty, err := s.empty(base); err != nil || empty {
		if err == nil {
			err = fmt.Errorf("dataset: %s is empty: it has no row", path)
		}
		return nil, err
	}
	var first error
	for _, sep := range separators {
		s.table.sep = sep
		err := s.readHeader()
		if err == nil {
			return s, nil
		}
		if first == nil {
			first = err
		}
	}
	return nil, first
}

// readHeader finds the columns in the file's first record.
func (s *Set) readHeader() error {
	f, _, err := s.open(s.ratings, ratingBytesMax)
	if err != nil {
		return err
	}
	defer f.Close()
	in, split := newRecords(f, s.table.sep), splitter{sep: []byte{s.table.sep}, quotes: true}
	text, err := in.next()
	if err == nil {
		_, err = split.split(text)
	}
	if err != nil && err != io.EOF {
		if passable(err) {
			return s.fault(s.ratings, in.line, "header", string(text), err.Error())
		}
		return fmt.Errorf("dataset: %s: %w", s.file(s.ratings), err)
	}
	s.table.fields = len(split.fields)
	if err := s.table.find(split.fields); err != nil {
		return err
	}
	s.table.headed = true
	if s.table.numbered() {
		_, rating := stars(split.fields[s.table.index[2]])
		_, err := events.MillisOf(string(split.fields[s.table.index[3]]))
		s.table.headed = !rating && err != nil
	}
	return nil
}

// find is the place of every column among the fields of the first record.
func (t *table) find(header [][]byte) error {
	names := make([]string, len(header))
	for i, h := range header {
		names[i] = strings.TrimSpace(string(h))
	}
	var errs []error
	for i, r := range t.roles() {
		place, hint := -1, "the columns are "+strings.Join(names, ", ")
		if isNumber([]byte(r.column)) {
			n, _ := strconv.Atoi(r.column) // at most 18 digits
			if place = n - 1; n < 1 || n > len(names) {
				place, hint = -1, fmt.Sprintf("they are numbered from 1 to %d", len(names))
			}
		} else {
			name := strings.TrimSpace(r.column)
			place = slices.Index(names, name)
			if place >= 0 && slices.Contains(names[place+1:], name) {
				place, hint = -1, "it stands there twice: give its number, from 1"
			}
		}
		switch {
		case place < 0:
			errs = append(errs, fault.Field("columns."+r.role, "%q is no column of the file", excerpt([]byte(r.column))).WithHint("%s", excerpt([]byte(hint))))
		case slices.Contains(t.index[:i], place):
			errs = append(errs, fault.Field("columns."+r.role, "%q is the column of something else too", excerpt([]byte(r.column))))
		}
		t.index[i] = place
	}
	return errors.Join(errs...)
}

// String is the layout as the digest of a set states it.
func (t *table) String() string {
	return fmt.Sprintf("csv user=%q item=%q rating=%q time=%q", t.User, t.Item, t.Rating, t.Time)
}

// items yields the films that the ratings name, known by their ids alone. Lines that cannot be read are left
// to [Set.Ratings].
func (s *Set) items(ctx context.Context, yield func(Movie, error) bool) {
	users, movies := newInterner(events.CanonicalUser), newInterner(events.CanonicalMovie)
	if _, err := s.eachRow(ctx, nil, users, movies, func(row, *LineError) bool { return true }); err != nil {
		yield(Movie{}, err)
		return
	}
	for _, id := range movies.ids {
		if !yield(Movie{ID: id, Title: id, Source: s.kind()}, nil) {
			return
		}
	}
}

// tableParser reads the rows of a csv file of one's own.
type tableParser struct {
	*rowParser
	*table
}

func (p *tableParser) parse(text []byte, err error) (row, *LineError) {
	var fields [][]byte
	if err == nil {
		fields, err = p.split.split(text)
	}
	switch {
	case err != nil:
		return row{}, p.fault("line", text, err.Error())
	case len(fields) != p.fields:
		return row{}, p.fault("line", text, fmt.Sprintf("%d fields, as the first line has", p.fields))
	}
	r := row{line: uint32(p.line)}
	user, item, rating, time := fields[p.index[0]], fields[p.index[1]], fields[p.index[2]], fields[p.index[3]]
	var bad *LineError
	if r.user, bad = p.id(p.users, p.User, user, userFault); bad != nil {
		return row{}, bad
	}
	if r.movie, bad = p.id(p.movies, p.Item, item, movieFault); bad != nil {
		return row{}, bad
	}
	var ok bool
	if r.units, ok = stars(rating); !ok {
		return row{}, p.cell(p.Rating, rating, "a number above 0 and at most 5")
	}
	millis, err := events.MillisOf(string(time))
	if err != nil {
		return row{}, p.broken(p.Time, err)
	}
	if millis > p.latest {
		return row{}, p.ahead("column "+excerpt([]byte(p.Time)), time)
	}
	r.seconds, r.millis = uint32(millis/1000), uint16(millis%1000)
	return r, nil
}

func (p *tableParser) cell(column string, got []byte, want string) *LineError {
	return p.fault("column "+excerpt([]byte(column)), got, want)
}

func (p *tableParser) broken(column string, err error) *LineError {
	bad := p.cell(column, nil, "")
	bad.Err = fmt.Errorf("%s: %w", bad.Field, err)
	return bad
}

// id is the number of an id; fault says what the log has against it.
func (p *tableParser) id(in *interner, column string, cell []byte, faultOf func(id string) error) (uint32, *LineError) {
	if isNumber(cell) {
		return in.index(cell), nil
	}
	if i, ok := in.bySpelling[string(cell)]; ok {
		return i, nil
	}
	id, ok, err := events.KeyOf(string(cell))
	if err == nil && ok {
		err = faultOf(id)
	}
	switch {
	case err != nil:
		return 0, p.broken(column, err)
	case !ok:
		return 0, p.cell(column, cell, "an id")
	}
	return in.add(string(cell), in.canonical(id)), nil
}

// userFault and movieFault are what the log has against an id.
func userFault(id string) error {
	return (&events.Interaction{UserID: id, MovieID: "1", Kind: "view", Timestamp: "2000-01-01T00:00:00Z"}).Validate()
}

func movieFault(id string) error {
	return (&commands.ListMovie{Movie: events.Movie{MovieID: id, Title: "1"}, Dataset: "1"}).Validate()
}

// stars reads a rating, in ten-thousandths of a star.
func stars(cell []byte) (uint16, bool) {
	x, err := strconv.ParseFloat(string(bytes.TrimSpace(cell)), 64)
	if err != nil || !(x > 0 && x <= events.RatingMax) {
		return 0, false
	}
	return uint16(max(math.Round(x*ratingUnits), 1)), true
}
