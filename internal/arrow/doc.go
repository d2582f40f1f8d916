// Package arrow reads and writes the messages of Apache Arrow's IPC format, version 5 (https://arrow.apache.org/docs/format/Columnar.html), as
// Arrow Flight carries them: a schema, then record batches. It has what tables of features need. A column of any type that has buffers of a
// fixed number can be read, cut and written again; values are made of numbers, texts, times and lists of them.
//
// Dictionaries, compressed bodies, unions, views and big-endian numbers are refused with the column's name and a remedy.
package arrow

import "github.com/projectionist/projectionist/internal/fault"

// TypeID is a type as the format numbers it.
type TypeID byte

// The types that are read; those without a name here are refused.
const (
	Null TypeID = iota + 1
	Int
	FloatingPoint
	Binary
	Utf8
	Bool
	Decimal
	Date
	Time
	Timestamp
	Interval
	List
	Struct
	union
	FixedSizeBinary
	FixedSizeList
	Map
	Duration
	LargeBinary
	LargeUtf8
	LargeList
)

// Units of a Timestamp, in the order of the format.
const (
	Second = iota
	Millisecond
	Microsecond
	Nanosecond
)

// Type is a type with its parameters; those that it does not have are zero.
type Type struct {
	ID     TypeID
	Bits   int    // of Int, FloatingPoint, Decimal, Time
	Signed bool   // of Int
	Unit   int    // of Date, Time, Timestamp, Interval, Duration
	Zone   string // of Timestamp
	Size   int    // bytes of FixedSizeBinary, items of FixedSizeList, digits of Decimal
	Scale  int    // of Decimal
	Sorted bool   // of Map
}

// Field is a column of a schema, or part of one.
type Field struct {
	Name     string
	Type     Type
	Nullable bool
	Children []*Field
	Metadata []Pair
}

// Pair is a key and a value of metadata.
type Pair struct{ Key, Value string }

// Schema is the columns of a table.
type Schema struct {
	Fields   []*Field
	Metadata []Pair
}

const (
	fieldsMax = 4096 // of a schema, with all that are inside of others
	depthMax  = 32   // of fields inside of fields
)

// widths are the bits of a value by type; 0 where values have no width of their own.
func (t *Type) width() int {
	switch t.ID {
	case Int, FloatingPoint, Decimal, Time:
		return t.Bits
	case Bool:
		return 1
	case Date:
		return 32 + 32*t.Unit // days, milliseconds
	case Timestamp, Duration:
		return 64
	case Interval:
		return [...]int{32, 64, 128}[t.Unit]
	case FixedSizeBinary:
		return 8 * t.Size
	}
	return 0
}

// offsets is the size of the type's offsets in bytes; 0 where it has none.
func (t *Type) offsets() int {
	switch t.ID {
	case Binary, Utf8, List, Map:
		return 4
	case LargeBinary, LargeUtf8, LargeList:
		return 8
	}
	return 0
}

// text says whether values are bytes behind offsets.
func (t *Type) text() bool {
	return t.ID == Binary || t.ID == Utf8 || t.ID == LargeBinary || t.ID == LargeUtf8
}

func damaged(format string, args ...any) error {
	return fault.New(fault.Invalid, "the Arrow data is damaged: "+format, args...)
}

// Bytes is the size of a value; 0 where values are bits, or have no size of their own.
func (t *Type) Bytes() int { return t.width() / 8 }
