package arrow

import (
	"errors"

	"github.com/projectionist/projectionist/internal/fault"
)

// Kinds of messages.
const (
	kindSchema = 1
	kindBatch  = 3
	version    = 4 // V5, which all since Arrow 1.0 write
)

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

// message is the header of one, of the kind that is wanted.
func message(header []byte, kind byte) tableAt {
	m := reading{header}.root()
	if got := m.byte(1); got != kind {
		if got == 2 {
			panic(fault.New(fault.Invalid, "the Arrow data has a dictionary").WithHint("give plain columns: of a pandas category, astype(str)"))
		}
		panic(damaged("a message is of kind %d, not %d", got, kind))
	}
	h, ok := m.table(2)
	if !ok {
		panic(damaged("a message has no header"))
	}
	return h
}

// IsBatch says whether a message is a record batch.
func IsBatch(header []byte) (is bool, err error) {
	defer recovered(&err)
	return reading{header}.root().byte(1) == kindBatch, nil
}

// ReadSchema reads the message of a schema.
func ReadSchema(header []byte) (s *Schema, err error) {
	defer recovered(&err)
	t := message(header, kindSchema)
	if t.int16(0, 0) != 0 {
		return nil, fault.New(fault.Invalid, "the Arrow data is big-endian").WithHint("send it little-endian")
	}
	n := 0
	s = &Schema{Metadata: pairs(t, 2)}
	for _, f := range t.tables(1) {
		s.Fields = append(s.Fields, readField(f, 0, &n))
	}
	return s, nil
}

func pairs(t tableAt, slot int) (all []Pair) {
	for _, p := range t.tables(slot) {
		all = append(all, Pair{p.text(0), p.text(1)})
	}
	return all
}

func readField(t tableAt, depth int, n *int) *Field {
	if *n++; *n > fieldsMax || depth > depthMax {
		panic(fault.New(fault.TooLarge, "the Arrow data has more than %d columns, or %d inside each other", fieldsMax, depthMax))
	}
	f := &Field{Name: t.text(0), Nullable: t.byte(1) != 0, Metadata: pairs(t, 6)}
	if _, ok := t.table(4); ok {
		panic(fault.Field(f.Name, "is encoded by a dictionary").WithHint("give a plain column: of a pandas category, astype(str)"))
	}
	of, ok := t.table(3)
	if !ok {
		panic(damaged("column %s has no type", f.Name))
	}
	f.Type = readType(f.Name, TypeID(t.byte(2)), of)
	for _, c := range t.tables(5) {
		f.Children = append(f.Children, readField(c, depth+1, n))
	}
	want := -1
	switch f.Type.ID {
	case List, LargeList, FixedSizeList, Map:
		want = 1
	case Struct:
		return f
	}
	if want = max(want, 0); len(f.Children) != want {
		panic(damaged("column %s has %d parts", f.Name, len(f.Children)))
	}
	return f
}

func readType(name string, id TypeID, t tableAt) Type {
	typ := Type{ID: id}
	good := true
	switch id {
	case Null, Binary, Utf8, Bool, List, Struct, LargeBinary, LargeUtf8, LargeList:
	case Int:
		typ.Bits, typ.Signed = t.int32(0, 0), t.byte(1) != 0
		good = typ.Bits == 8 || typ.Bits == 16 || typ.Bits == 32 || typ.Bits == 64
	case FloatingPoint:
		precision := t.int16(0, 0)
		good = precision >= 0 && precision <= 2
		typ.Bits = 16 << max(precision, 0)
	case Decimal:
		typ.Size, typ.Scale, typ.Bits = t.int32(0, 0), t.int32(1, 0), t.int32(2, 128)
		good = typ.Bits == 32 || typ.Bits == 64 || typ.Bits == 128 || typ.Bits == 256
	case Date:
		typ.Unit = t.int16(0, 1)
		good = typ.Unit == 0 || typ.Unit == 1
	case Time:
		typ.Unit, typ.Bits = t.int16(0, Millisecond), t.int32(1, 32)
		good = typ.Bits == 32 || typ.Bits == 64
	case Timestamp:
		typ.Unit, typ.Zone = t.int16(0, Second), t.text(1)
		good = typ.Unit >= Second && typ.Unit <= Nanosecond
	case Interval:
		typ.Unit = t.int16(0, 0)
		good = typ.Unit >= 0 && typ.Unit <= 2
	case FixedSizeBinary, FixedSizeList:
		typ.Size = t.int32(0, 0)
		good = typ.Size >= 0 && typ.Size < 1<<20
	case Map:
		typ.Sorted = t.byte(0) != 0
	case Duration:
		typ.Unit = t.int16(0, Millisecond)
	default:
		panic(fault.Field(name, "is of an Arrow type that is not read here, number %d", id).WithHint("give a column of numbers, texts, times, or lists of them"))
	}
	if !good {
		panic(damaged("column %s is of no type", name))
	}
	return typ
}

// Write is the message of the schema.
func (s *Schema) Write() []byte {
	var fields []table
	for _, f := range s.Fields {
		fields = append(fields, f.table())
	}
	return encode(table{int16(version), byte(kindSchema), table{nil, fields, pairTables(s.Metadata)}})
}

func pairTables(all []Pair) any {
	if len(all) == 0 {
		return nil
	}
	var tables []table
	for _, p := range all {
		tables = append(tables, table{p.Key, p.Value})
	}
	return tables
}

func (f *Field) table() table {
	children := []table{} // there, and empty, as C++ wants it
	for _, c := range f.Children {
		children = append(children, c.table())
	}
	return table{f.Name, f.Nullable, byte(f.Type.ID), f.Type.table(), nil, children, pairTables(f.Metadata)}
}

func (t *Type) table() table {
	switch t.ID {
	case Int:
		return table{int32(t.Bits), t.Signed}
	case FloatingPoint:
		return table{int16(t.Bits / 32)} // 16, 32, 64: 0, 1, 2
	case Decimal:
		return table{int32(t.Size), int32(t.Scale), int32(t.Bits)}
	case Date, Interval, Duration:
		return table{int16(t.Unit)}
	case Time:
		return table{int16(t.Unit), int32(t.Bits)}
	case Timestamp:
		if t.Zone == "" {
			return table{int16(t.Unit)}
		}
		return table{int16(t.Unit), t.Zone}
	case FixedSizeBinary, FixedSizeList:
		return table{int32(t.Size)}
	case Map:
		return table{t.Sorted}
	}
	return table{}
}
