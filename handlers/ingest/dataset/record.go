package dataset

import (
	"bufio"
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
)

const (
	// recordBytesMax bounds a record. Lines of the published sets stay below 1 KiB; a csv of one's own may
	// hold whole reviews.
	recordBytesMax = 1 << 20
	// textBytesMax is how much of a record that cannot be read is kept.
	textBytesMax = 4 << 10
	utf8BOM      = "\xef\xbb\xbf"
)

// LineError says which field of which line is not what the layout has there.
type LineError struct {
	File  string
	Line  int64 // from 1, of a record of several its first; 0 is the file as a whole
	Field string
	Got   string // "" where the whole line is at fault
	Want  string
	Err   error // what is wrong, in place of Got and Want
	// Text is the line as it came, at most 4 KiB of it. A sequence goes on after such an error if its reader
	// does; without Text it is the file that is at fault, and the sequence ends.
	Text []byte
}

func (e *LineError) Error() string {
	place := "dataset: " + e.File
	if e.Line > 0 {
		place = fmt.Sprintf("%s, line %d", place, e.Line)
	}
	return place + ": " + e.Reason()
}

// Reason is what is wrong, without the place.
func (e *LineError) Reason() string {
	switch {
	case e.Err != nil:
		return e.Err.Error()
	case e.Got == "":
		return fmt.Sprintf("%s: expected %s", e.Field, e.Want)
	}
	return fmt.Sprintf("%s is %q: expected %s", e.Field, e.Got, e.Want)
}

func (e *LineError) Unwrap() error { return e.Err }

// of keeps the record that the error is about.
func (e *LineError) of(text []byte) *LineError {
	e.Text = append([]byte{}, text[:min(len(text), textBytesMax)]...)
	return e
}

// excerpt keeps messages short when a line is not text at all.
func excerpt(b []byte) string {
	const max = 80
	if len(b) > max {
		return string(b[:max]) + "…"
	}
	return string(b)
}

var (
	errLong   = fmt.Errorf("at most %d bytes", recordBytesMax)
	errQuotes = errors.New("quoted fields to be closed, and quotes in them doubled")
)

// passable says whether reading goes on after the error, which says what was expected of the record.
func passable(err error) bool { return err == errLong || err == errQuotes }

// records reads a file record by record: a line, or in a csv as many lines as a quoted field spans
// (RFC 4180). Blank lines are passed over, and so is a byte order mark.
type records struct {
	in     *bufio.Reader
	comma  byte   // of a csv, or 0: quotes mean nothing
	line   int64  // of the record, from 1
	lines  int64  // read so far
	read   int64  // bytes so far
	last   bool   // the file ends with this record, without a line end
	joined []byte // the record, where it spans lines
}

func newRecords(r io.Reader, comma byte) *records {
	in := &records{in: bufio.NewReaderSize(r, recordBytesMax), comma: comma}
	if mark, _ := in.in.Peek(len(utf8BOM)); string(mark) == utf8BOM {
		in.in.Discard(len(mark)) //nolint:errcheck // it is in the buffer
		in.read = int64(len(mark))
	}
	return in
}

// next returns the next record without its line end, good until the call after. After a passable error,
// which comes with the beginning of the record, the next line is read; io.EOF follows the last.
func (r *records) next() ([]byte, error) {
	for {
		text, err := r.in.ReadSlice('\n')
		r.read += int64(len(text))
		switch {
		case err == bufio.ErrBufferFull:
			return r.skip(text)
		case err != nil && err != io.EOF:
			return nil, err
		case len(text) == 0:
			return nil, io.EOF
		}
		r.lines++
		r.line, r.last = r.lines, err == io.EOF
		if r.comma != 0 && bytes.IndexByte(text, '"') >= 0 {
			return r.join(text)
		}
		if text = chomp(text); len(text) > 0 {
			return text, nil
		}
	}
}

func chomp(line []byte) []byte {
	return bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))
}

// skip reads to the end of a line that is too long.
func (r *records) skip(head []byte) ([]byte, error) {
	r.lines++
	r.line = r.lines
	head = bytes.Clone(head[:textBytesMax])
	for {
		more, err := r.in.ReadSlice('\n')
		r.read += int64(len(more))
		if err == nil || err == io.EOF {
			return head, errLong
		}
		if err != bufio.ErrBufferFull {
			return nil, err
		}
	}
}

// join adds the lines to a record that its quotes hold together. Where they never close, the first line
// alone is at fault.
func (r *records) join(first []byte) ([]byte, error) {
	end, state := endOf(first, fieldStart, r.comma)
	if end >= 0 || state != quoted {
		return chomp(first), nil
	}
	r.joined = append(r.joined[:0], first...)
	most := recordBytesMax - len(first)
	for size := min(4<<10, most); ; size = min(8*size, most) {
		ahead, err := r.in.Peek(size)
		if err != nil && err != io.EOF {
			return nil, err
		}
		end, state := endOf(ahead, quoted, r.comma)
		if end < 0 && err == io.EOF && state != quoted {
			end, r.last = len(ahead), true
		}
		if end >= 0 {
			r.joined = append(r.joined, ahead[:end]...)
			r.lines += int64(bytes.Count(ahead[:end], []byte("\n")))
			r.read += int64(end)
			r.in.Discard(end) //nolint:errcheck // it is in the buffer
			return chomp(r.joined), nil
		}
		if err == io.EOF || size == most {
			return chomp(r.joined), errQuotes
		}
	}
}

// quoting is where in a csv's record a byte stands.
type quoting byte

const (
	fieldStart quoting = iota
	bare               // in a field without quotes
	quoted
	quoteInQuoted // it ends the field, or is the first of two
)

// endOf goes on from a state to the line end that ends the record: the index after it, or -1, and the
// state then.
func endOf(b []byte, state quoting, comma byte) (int, quoting) {
	for i, c := range b {
		switch {
		case state == quoted:
			if c == '"' {
				state = quoteInQuoted
			}
		case c == '\n':
			return i + 1, fieldStart
		case c == comma:
			state = fieldStart
		case c == '"' && state != bare: // at the start of a field, or the second of two
			state = quoted
		case c != '\r':
			state = bare
		}
	}
	return -1, state
}

// splitter parts records into fields; those of the last record are good until the next.
type splitter struct {
	sep    []byte
	quotes bool
	fields [][]byte
	text   []byte // of fields that had quotes
	src    *bytes.Reader
	csv    *csv.Reader
}

func (s *splitter) split(record []byte) ([][]byte, error) {
	s.fields = s.fields[:0]
	if s.quotes && bytes.IndexByte(record, '"') >= 0 {
		return s.unquote(record)
	}
	for {
		end := bytes.IndexByte(record, s.sep[0])
		if len(s.sep) > 1 {
			end = bytes.Index(record, s.sep)
		}
		if end < 0 {
			s.fields = append(s.fields, record)
			return s.fields, nil
		}
		s.fields, record = append(s.fields, record[:end]), record[end+len(s.sep):]
	}
}

func (s *splitter) unquote(record []byte) ([][]byte, error) {
	if s.csv == nil {
		s.src = bytes.NewReader(nil)
		s.csv = csv.NewReader(s.src)
		s.csv.Comma, s.csv.FieldsPerRecord, s.csv.ReuseRecord = rune(s.sep[0]), -1, true
	}
	s.src.Reset(record)
	fields, err := s.csv.Read()
	if err != nil || s.src.Len() > 0 {
		s.csv = nil // it may hold the rest of this record
		return nil, errQuotes
	}
	s.text = s.text[:0]
	for _, f := range fields {
		s.text = append(s.text, f...)
	}
	rest := s.text
	for _, f := range fields {
		s.fields, rest = append(s.fields, rest[:len(f)]), rest[len(f):]
	}
	return s.fields, nil
}

// eachRecord reads a file of the set until each says to stop. A record that cannot be read comes with what
// is wrong with it.
func (s *Set) eachRecord(ctx context.Context, name string, bytesMax int64, each func(in *records, text []byte, bad *LineError) bool) error {
	f, _, err := s.open(name, bytesMax)
	if err != nil {
		return err
	}
	defer f.Close()
	in := newRecords(contextReader{ctx, f}, s.comma())
	for {
		text, err := in.next()
		var bad *LineError
		switch {
		case err == io.EOF:
			return ctx.Err()
		case passable(err):
			bad = s.fault(name, in.line, "record", string(text), err.Error())
		case err != nil:
			return fmt.Errorf("dataset: %s, after line %d: %w", s.file(name), in.lines, err)
		}
		if !each(in, text, bad) {
			return nil
		}
	}
}

func (s *Set) fault(name string, line int64, field, got, want string) *LineError {
	return &LineError{File: s.file(name), Line: line, Field: field, Got: excerpt([]byte(got)), Want: want}
}
