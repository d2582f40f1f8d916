package arrow

import (
	"encoding/binary"
	"math"
	"slices"
)

// The part of FlatBuffers that messages need: a table is an offset back to a list of where its slots are, and the slots; what has no fixed
// size stands behind it, at an offset forward.

var le = binary.LittleEndian

// reading is a buffer that is read; what points out of it panics with a fault, which who began the reading recovers.
type reading struct{ b []byte }

func (r reading) bytes(at, n int) []byte {
	if at < 0 || n < 0 || at > len(r.b) || n > len(r.b)-at {
		panic(damaged("an offset points out of a message"))
	}
	return r.b[at : at+n]
}

func (r reading) u16(at int) int { return int(le.Uint16(r.bytes(at, 2))) }
func (r reading) u32(at int) int { return int(le.Uint32(r.bytes(at, 4))) }

// tableAt is a table of a message.
type tableAt struct {
	reading
	at int
}

func (r reading) root() tableAt { return tableAt{r, r.u32(0)} }

// slot is where a slot's value is; 0 where it has the default.
func (t tableAt) slot(i int) int {
	vtable := t.at - int(int32(t.u32(t.at)))
	if size := t.u16(vtable); 4+2*i+2 > size {
		return 0
	}
	if off := t.u16(vtable + 4 + 2*i); off != 0 {
		return t.at + off
	}
	return 0
}

func (t tableAt) int64(i int) int64 {
	if at := t.slot(i); at != 0 {
		return int64(le.Uint64(t.bytes(at, 8)))
	}
	return 0
}

func (t tableAt) int32(i, other int) int {
	if at := t.slot(i); at != 0 {
		return int(int32(t.u32(at)))
	}
	return other
}

func (t tableAt) int16(i, other int) int {
	if at := t.slot(i); at != 0 {
		return int(int16(t.u16(at)))
	}
	return other
}

func (t tableAt) byte(i int) byte {
	if at := t.slot(i); at != 0 {
		return t.bytes(at, 1)[0]
	}
	return 0
}

func (t tableAt) table(i int) (tableAt, bool) {
	at := t.slot(i)
	if at == 0 {
		return tableAt{}, false
	}
	return tableAt{t.reading, at + t.u32(at)}, true
}

func (t tableAt) text(i int) string {
	at := t.slot(i)
	if at == 0 {
		return ""
	}
	at += t.u32(at)
	return string(t.bytes(at+4, t.u32(at)))
}

// vector is where the items of a vector begin, and how many there are of size bytes each.
func (t tableAt) vector(i, size int) (at, n int) {
	if at = t.slot(i); at == 0 {
		return 0, 0
	}
	at += t.u32(at)
	if n = t.u32(at); n > math.MaxInt32/size {
		panic(damaged("a vector has %d items", n))
	}
	t.bytes(at+4, n*size)
	return at + 4, n
}

func (t tableAt) tables(i int) []tableAt {
	at, n := t.vector(i, 4)
	if n > fieldsMax {
		panic(damaged("a message has more than %d parts", fieldsMax))
	}
	all := make([]tableAt, n)
	for k := range all {
		all[k] = tableAt{t.reading, at + 4*k + t.u32(at+4*k)}
	}
	return all
}

// What is written: a table is its slots' values, nil where a slot has the default, each a bool, byte, int16, int32, int64, string, table,
// []table, or structs.
type table []any

// structs is a vector of pairs of int64.
type structs []int64

// encode writes a message whose root is t.
func encode(t table) []byte {
	w := &writing{b: make([]byte, 4, 256)}
	w.refer(0, t)
	w.align(8)
	return w.b
}

type writing struct{ b []byte }

func (w *writing) align(n int) {
	for len(w.b)%n != 0 {
		w.b = append(w.b, 0)
	}
}

// refer writes a value behind all others and has the offset at a place point to it.
func (w *writing) refer(from int, v any) {
	at := 0
	switch v := v.(type) {
	case string:
		w.align(4)
		at = len(w.b)
		w.b = append(append(le.AppendUint32(w.b, uint32(len(v))), v...), 0)
	case structs:
		for len(w.b)%8 != 4 { // so that the items are aligned
			w.b = append(w.b, 0)
		}
		at = len(w.b)
		w.b = le.AppendUint32(w.b, uint32(len(v)/2))
		for _, x := range v {
			w.b = le.AppendUint64(w.b, uint64(x))
		}
	case []table:
		w.align(4)
		at = len(w.b)
		w.b = le.AppendUint32(w.b, uint32(len(v)))
		w.b = append(w.b, make([]byte, 4*len(v))...)
		for i, t := range v {
			w.refer(at+4+4*i, t)
		}
	case table:
		at = w.table(v)
	}
	le.PutUint32(w.b[from:], uint32(at-from))
}

func sizeOf(v any) int {
	switch v.(type) {
	case bool, byte:
		return 1
	case int16:
		return 2
	case int64:
		return 8
	}
	return 4
}

func (w *writing) table(t table) int {
	w.align(8)
	vtable := 4 + 2*len(t)
	for (len(w.b)+vtable)%8 != 0 { // so that the table is aligned
		w.b = append(w.b, 0, 0)
	}
	from := len(w.b)
	at := from + vtable
	order := make([]int, 0, len(t)) // wide values first, which need no gaps then
	for i, v := range t {
		if v != nil {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return sizeOf(t[b]) - sizeOf(t[a]) })
	places, end := make([]int, len(t)), 4
	for _, i := range order {
		n := sizeOf(t[i])
		end = (end + n - 1) / n * n
		places[i] = end
		end += n
	}
	w.b = le.AppendUint16(w.b, uint16(vtable))
	w.b = le.AppendUint16(w.b, uint16(end))
	for _, p := range places {
		w.b = le.AppendUint16(w.b, uint16(p))
	}
	w.b = append(le.AppendUint32(w.b, uint32(vtable)), make([]byte, end-4)...)
	for i, v := range t {
		switch p := at + places[i]; v := v.(type) {
		case bool:
			if v {
				w.b[p] = 1
			}
		case byte:
			w.b[p] = v
		case int16:
			le.PutUint16(w.b[p:], uint16(v))
		case int32:
			le.PutUint32(w.b[p:], uint32(v))
		case int64:
			le.PutUint64(w.b[p:], uint64(v))
		}
	}
	for i, v := range t {
		switch v.(type) {
		case string, table, []table, structs:
			w.refer(at+places[i], v)
		}
	}
	return at
}
