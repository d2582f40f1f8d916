package parquet

import (
	"encoding/binary"
	"math"

	"github.com/projectionist/projectionist/internal/fault"
)

// What Parquet says of itself is in Thrift's compact protocol: read here into trees, and written field by field.

func damaged(format string, args ...any) error {
	return fault.New(fault.Invalid, "the Parquet file is damaged: "+format, args...)
}

// structure is a struct by its fields' numbers: bool, int64, float64, []byte, []any or structure.
type structure map[int]any

func (s structure) int(field int) int64 {
	n, _ := s[field].(int64)
	return n
}

func (s structure) has(field int) bool { _, ok := s[field]; return ok }

func (s structure) text(field int) string {
	b, _ := s[field].([]byte)
	return string(b)
}

func (s structure) list(field int) []any {
	l, _ := s[field].([]any)
	return l
}

func (s structure) structure(field int) structure {
	t, _ := s[field].(structure)
	return t
}

// Types of the compact protocol.
const (
	tTrue   = 1
	tFalse  = 2
	tByte   = 3
	tI16    = 4
	tI32    = 5
	tI64    = 6
	tDouble = 7
	tBinary = 8
	tList   = 9
	tSet    = 10
	tMap    = 11
	tStruct = 12

	nestMax    = 16
	structsMax = 400_000 // of one thing that is read
)

// thrift reads; what is damaged panics with a fault, which who began the reading recovers.
type thrift struct {
	b       []byte
	at      int
	structs int
}

func (t *thrift) bytes(n uint64) []byte {
	if n > uint64(len(t.b)-t.at) {
		panic(damaged("it says more than it has"))
	}
	t.at += int(n)
	return t.b[t.at-int(n) : t.at]
}

func (t *thrift) uvarint() uint64 {
	v, n := binary.Uvarint(t.b[t.at:])
	if n <= 0 {
		panic(damaged("a number is cut off"))
	}
	t.at += n
	return v
}

func (t *thrift) varint() int64 {
	v := t.uvarint()
	return int64(v>>1) ^ -int64(v&1)
}

func (t *thrift) structure(depth int) structure {
	if t.structs++; depth > nestMax || t.structs > structsMax {
		panic(fault.New(fault.TooLarge, "the Parquet file says too much of itself").WithHint("write it with larger row groups, such as row_group_size=100000"))
	}
	s, field := structure{}, 0
	for {
		head := t.bytes(1)[0]
		if head == 0 {
			return s
		}
		if delta := int(head >> 4); delta > 0 {
			field += delta
		} else {
			field = int(t.varint())
		}
		switch typ := head & 15; typ {
		case tTrue, tFalse:
			s[field] = typ == tTrue
		default:
			s[field] = t.value(typ, depth)
		}
	}
}

func (t *thrift) value(typ byte, depth int) any {
	if depth > nestMax { // of lists in lists, too
		panic(damaged("it says things inside each other, more than %d deep", nestMax))
	}
	switch typ {
	case tTrue, tFalse:
		return t.bytes(1)[0] == tTrue
	case tByte:
		return int64(int8(t.bytes(1)[0]))
	case tI16, tI32, tI64:
		return t.varint()
	case tDouble:
		return math.Float64frombits(binary.LittleEndian.Uint64(t.bytes(8)))
	case tBinary:
		return t.bytes(t.uvarint())
	case tList, tSet:
		head := t.bytes(1)[0]
		n := uint64(head >> 4)
		if n == 15 {
			n = t.uvarint()
		}
		if n > uint64(len(t.b)-t.at) {
			panic(damaged("a list says more than it has"))
		}
		all := make([]any, 0, min(n, 1024))
		for range n {
			all = append(all, t.value(head&15, depth+1))
		}
		return all
	case tMap:
		n := t.uvarint()
		if n == 0 {
			return nil
		}
		types := t.bytes(1)[0]
		for range n {
			t.value(types>>4, depth+1)
			t.value(types&15, depth+1)
		}
		return nil
	case tStruct:
		return t.structure(depth + 1)
	}
	panic(damaged("a field is of type %d", typ))
}

// writing writes a struct's fields, whose numbers go up.
type writing struct {
	b    []byte
	last []int // field, of each struct that is open
}

func (w *writing) begin() { w.last = append(w.last, 0) }

func (w *writing) end() {
	w.b = append(w.b, 0)
	w.last = w.last[:len(w.last)-1]
}

func (w *writing) field(n int, typ byte) {
	last := &w.last[len(w.last)-1]
	if d := n - *last; d > 0 && d < 16 {
		w.b = append(w.b, byte(d)<<4|typ)
	} else {
		w.b = binary.AppendVarint(append(w.b, typ), int64(n))
	}
	*last = n
}

func (w *writing) i32(n int, v int64) {
	w.field(n, tI32)
	w.b = binary.AppendVarint(w.b, v)
}

func (w *writing) i64(n int, v int64) {
	w.field(n, tI64)
	w.b = binary.AppendVarint(w.b, v)
}

func (w *writing) binary(b []byte) { w.b = append(binary.AppendUvarint(w.b, uint64(len(b))), b...) }

func (w *writing) text(n int, s string) {
	w.field(n, tBinary)
	w.binary([]byte(s))
}

func (w *writing) list(n int, typ byte, items int) {
	w.field(n, tList)
	if items < 15 {
		w.b = append(w.b, byte(items)<<4|typ)
	} else {
		w.b = binary.AppendUvarint(append(w.b, 0xf0|typ), uint64(items))
	}
}

func (w *writing) open(n int) {
	w.field(n, tStruct)
	w.begin()
}

func (w *writing) bool(n int, v bool) {
	if typ := byte(tFalse); v {
		w.field(n, tTrue)
	} else {
		w.field(n, typ)
	}
}
