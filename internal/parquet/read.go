// Package parquet reads and writes Parquet files of flat columns (https://parquet.apache.org/docs/file-format/), as pandas, Polars, DuckDB and Spark write
// them by default: plain and dictionary-encoded pages of both versions, with Snappy, gzip, zstd or nothing around them. Columns come as Arrow has them, a row
// group at a time. Written are plain pages with Snappy, and lists of texts too.
//
// Other encodings and codecs, and nested columns, are refused with the column's name and a remedy.
package parquet

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/projectionist/projectionist/internal/arrow"
	"github.com/projectionist/projectionist/internal/fault"
)

const (
	magic        = "PAR1"
	footerMax    = 16 << 20
	columnsMax   = 4096
	groupRowsMax = 1 << 24
	// groupBytesMax bounds a row group, which is held, as it is unpacked.
	groupBytesMax = 256 << 20
)

// Physical types.
const (
	tyBoolean = iota
	tyInt32
	tyInt64
	tyInt96
	tyFloat
	tyDouble
	tyByteArray
	tyFixed
)

// Column is a column of a file.
type Column struct {
	Field    *arrow.Field
	physical int64
	optional bool
	length   int // bytes of tyFixed
	element  structure
}

// File is a file that is read.
type File struct {
	Columns  []Column
	Metadata []arrow.Pair
	in       io.ReaderAt
	size     int64
	groups   []structure
}

// recovered is the fault that reading ended with.
func recovered(err *error) {
	if p := recover(); p != nil {
		e, ok := p.(error)
		var f *fault.Error
		if !ok || !errors.As(e, &f) {
			panic(p)
		}
		*err = e
	}
}

// Open reads what a file says of itself.
func Open(in io.ReaderAt, size int64) (f *File, err error) {
	defer recovered(&err)
	var tail [8]byte
	if size < int64(len(tail)+len(magic)) {
		return nil, fault.New(fault.Invalid, "the body is no Parquet file: it has %d bytes", size)
	}
	if _, err := in.ReadAt(tail[:], size-int64(len(tail))); err != nil {
		return nil, err
	}
	n := int64(binary.LittleEndian.Uint32(tail[:]))
	switch {
	case string(tail[4:]) == "PARE":
		return nil, fault.New(fault.Invalid, "the Parquet file is encrypted").WithHint("send it as it is without")
	case string(tail[4:]) != magic:
		return nil, fault.New(fault.Invalid, "the body is no Parquet file: it does not end as one")
	case n > footerMax:
		return nil, fault.New(fault.TooLarge, "the Parquet file says %d bytes of itself, more than %d", n, footerMax).WithHint("write it with larger row groups, or fewer columns")
	case n > size-12:
		return nil, damaged("its footer is longer than itself")
	}
	b := make([]byte, n)
	if _, err := in.ReadAt(b, size-8-n); err != nil {
		return nil, err
	}
	meta := (&thrift{b: b}).structure(0)
	f = &File{in: in, size: size}
	for _, kv := range meta.list(5) {
		if p, ok := kv.(structure); ok {
			f.Metadata = append(f.Metadata, arrow.Pair{Key: p.text(1), Value: p.text(2)})
		}
	}
	elements := meta.list(2)
	if len(elements) == 0 || len(elements) > columnsMax {
		return nil, fault.New(fault.TooLarge, "the Parquet file has %d columns; the most is %d", len(elements), columnsMax)
	}
	for _, e := range elements[1:] {
		e, ok := e.(structure)
		if !ok {
			return nil, damaged("a column is none")
		}
		c, err := columnOf(e)
		if err != nil {
			return nil, err
		}
		f.Columns = append(f.Columns, c)
	}
	for _, g := range meta.list(4) {
		g, ok := g.(structure)
		if !ok || len(g.list(1)) != len(f.Columns) {
			return nil, damaged("a row group has other columns than the file")
		}
		f.groups = append(f.groups, g)
	}
	return f, nil
}

// Groups is how many row groups there are.
func (f *File) Groups() int { return len(f.groups) }

func columnOf(e structure) (c Column, err error) {
	name := e.text(4)
	c = Column{Field: &arrow.Field{Name: name, Nullable: true}, physical: e.int(1), optional: e.int(3) == 1, length: int(e.int(2)), element: e}
	if e.has(5) && e.int(5) > 0 || e.int(3) == 2 {
		return c, fault.Field(name, "is a nested column").WithHint("leave it out, and find it again by an id of your own")
	}
	logical := e.structure(10)
	typ := &c.Field.Type
	switch c.physical {
	case tyBoolean:
		typ.ID = arrow.Bool
	case tyInt32:
		*typ = arrow.Type{ID: arrow.Int, Bits: 32, Signed: !unsigned(e)}
		if logical.has(6) || e.has(6) && e.int(6) == 6 {
			*typ = arrow.Type{ID: arrow.Date}
		}
	case tyInt64:
		*typ = arrow.Type{ID: arrow.Int, Bits: 64, Signed: !unsigned(e)}
		if t := logical.structure(8); t != nil {
			*typ = arrow.Type{ID: arrow.Timestamp, Unit: arrow.Millisecond}
			if t[1] == true {
				typ.Zone = "UTC"
			}
			switch unit := t.structure(2); {
			case unit.has(2):
				typ.Unit = arrow.Microsecond
			case unit.has(3):
				typ.Unit = arrow.Nanosecond
			}
		} else if k := e.int(6); e.has(6) && (k == 9 || k == 10) {
			*typ = arrow.Type{ID: arrow.Timestamp, Unit: arrow.Millisecond + int(k-9), Zone: "UTC"}
		}
	case tyInt96:
		*typ, c.length = arrow.Type{ID: arrow.FixedSizeBinary, Size: 12}, 12
	case tyFloat:
		*typ = arrow.Type{ID: arrow.FloatingPoint, Bits: 32}
	case tyDouble:
		*typ = arrow.Type{ID: arrow.FloatingPoint, Bits: 64}
	case tyByteArray:
		typ.ID = arrow.Binary
		if logical.has(1) || e.has(6) && e.int(6) == 0 {
			typ.ID = arrow.Utf8
		}
	case tyFixed:
		*typ = arrow.Type{ID: arrow.FixedSizeBinary, Size: c.length}
		if c.length < 1 || c.length > 1<<20 {
			return c, damaged("values of column %s have %d bytes", name, c.length)
		}
	default:
		return c, damaged("column %s is of type %d", name, c.physical)
	}
	return c, nil
}

// unsigned says whether an integer is.
func unsigned(e structure) bool {
	if t := e.structure(10).structure(10); t != nil {
		return t[2] == false
	}
	k := e.int(6)
	return e.has(6) && k >= 11 && k <= 14
}

// width is the bytes of a value; 0 of bits and of bytes of any length.
func (c *Column) width() int {
	switch c.physical {
	case tyInt32, tyFloat:
		return 4
	case tyInt64, tyDouble:
		return 8
	case tyInt96, tyFixed:
		return c.length
	}
	return 0
}

// Group reads a row group.
func (f *File) Group(i int) (rows int, columns []*arrow.Array, err error) {
	defer recovered(&err)
	g := f.groups[i]
	n := g.int(3)
	if n < 0 || n > groupRowsMax {
		return 0, nil, tooLarge(fmt.Sprintf("%d rows", n), fmt.Sprint(groupRowsMax))
	}
	budget := int64(groupBytesMax)
	for k := range f.Columns {
		chunk, _ := g.list(1)[k].(structure)
		a, err := f.chunk(&f.Columns[k], chunk.structure(3), int(n), &budget)
		if err != nil {
			return 0, nil, err
		}
		columns = append(columns, a)
	}
	return int(n), columns, nil
}

func tooLarge(what, most string) error {
	return fault.New(fault.TooLarge, "a row group of the Parquet file has %s; the most is %s", what, most).WithHint("write it with row_group_size=100000")
}

// take takes some of what may still be unpacked.
func take(budget *int64, n int64) {
	if *budget -= n; n < 0 || *budget < 0 {
		panic(tooLarge(fmt.Sprintf("more than %d bytes unpacked", groupBytesMax), "that"))
	}
}

// chunk reads a column of a row group.
func (f *File) chunk(c *Column, meta structure, rows int, budget *int64) (*arrow.Array, error) {
	if rows == 0 { // and no page
		return newBuilder(c, 0, budget).array(), nil
	}
	from, size := meta.int(9), meta.int(7)
	if d := meta.int(11); d > 0 && d < from {
		from = d
	}
	if from < 4 || size < 0 || from > f.size || size > f.size-from {
		return nil, damaged("column %s is not in it", c.Field.Name)
	}
	take(budget, size)
	b := make([]byte, size)
	if _, err := f.in.ReadAt(b, from); err != nil {
		return nil, err
	}
	d := &decoder{c: c, rows: rows, budget: budget, codec: meta.int(4), out: newBuilder(c, rows, budget)}
	for t := (&thrift{b: b}); d.out.n < rows; {
		if t.at >= len(b) {
			return nil, damaged("column %s has %d rows of %d", c.Field.Name, d.out.n, rows)
		}
		head := t.structure(0)
		d.page(head, t.bytes(uint64(max(head.int(3), 0))))
	}
	return d.out.array(), nil
}
