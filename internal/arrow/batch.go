package arrow

import (
	"math/bits"

	"github.com/projectionist/projectionist/internal/fault"
)

// Array is a column of a record batch: of a field, some values. Buffers are as the format has them, the one that says which values there
// are first, empty where none is missing.
type Array struct {
	Field    *Field
	Len      int
	Nulls    int
	Buffers  [][]byte
	Children []*Array
}

// ReadBatch reads the message of a record batch with its body, whose memory the arrays share.
func (s *Schema) ReadBatch(header, body []byte) (rows int, columns []*Array, err error) {
	defer recovered(&err)
	t := message(header, kindBatch)
	if _, ok := t.table(3); ok {
		return 0, nil, fault.New(fault.Invalid, "a record batch is compressed").WithHint("send it as it is")
	}
	r := &batchReader{t: t, body: reading{body}}
	r.node, r.nodes = t.vector(1, 16)
	r.buffer, r.buffers = t.vector(2, 16)
	n := t.int64(0)
	for _, f := range s.Fields {
		a := r.array(f)
		if int64(a.Len) != n {
			panic(damaged("column %s has %d rows of %d", f.Name, a.Len, n))
		}
		columns = append(columns, a)
	}
	if r.nodes > 0 || r.buffers > 0 || n < 0 || len(columns) == 0 && n > 0 {
		panic(damaged("a record batch has other columns than its schema"))
	}
	return int(n), columns, nil
}

type batchReader struct {
	t               tableAt
	body            reading
	node, nodes     int // where the next is, and how many are left
	buffer, buffers int
}

func (r *batchReader) next() []byte {
	if r.buffers--; r.buffers < 0 {
		panic(damaged("a record batch has too few buffers"))
	}
	at, n := int64(le.Uint64(r.t.bytes(r.buffer, 8))), int64(le.Uint64(r.t.bytes(r.buffer+8, 8)))
	r.buffer += 16
	if size := int64(len(r.body.b)); at < 0 || n < 0 || at > size || n > size-at {
		panic(damaged("a buffer is not in its record batch"))
	}
	return r.body.b[at : at+n]
}

func (r *batchReader) array(f *Field) *Array {
	if r.nodes--; r.nodes < 0 {
		panic(damaged("a record batch has too few columns"))
	}
	n, nulls := int64(le.Uint64(r.t.bytes(r.node, 8))), int64(le.Uint64(r.t.bytes(r.node+8, 8)))
	r.node += 16
	if n < 0 || n >= 1<<31 || nulls < 0 || nulls > n {
		panic(damaged("column %s has %d rows", f.Name, n))
	}
	a := &Array{Field: f, Len: int(n), Nulls: int(nulls)}
	if f.Type.ID == Null {
		a.Nulls = a.Len
		return a
	}
	enough := func(b []byte, want int) []byte {
		if len(b) < want {
			panic(damaged("a buffer of column %s has %d bytes, not %d", f.Name, len(b), want))
		}
		return b
	}
	valid := r.next()
	if a.Nulls > 0 || len(valid) > 0 {
		enough(valid, (a.Len+7)/8)
	}
	a.Buffers = append(a.Buffers, valid)
	last := 0 // what the offsets reach to
	if w := f.Type.offsets(); w > 0 {
		b := r.next()
		if a.Len > 0 || len(b) > 0 {
			enough(b, (a.Len+1)*w)
		}
		a.Buffers = append(a.Buffers, b)
		for i := 0; i <= a.Len && len(b) > 0; i++ {
			off := a.offset(i)
			if off < last {
				panic(damaged("the offsets of column %s go back", f.Name))
			}
			last = off
		}
		if f.Type.text() {
			a.Buffers = append(a.Buffers, enough(r.next(), last))
		}
	} else if w := f.Type.width(); w > 0 || f.Type.ID == FixedSizeBinary {
		a.Buffers = append(a.Buffers, enough(r.next(), (a.Len*w+7)/8))
	}
	for _, c := range f.Children {
		child := r.array(c)
		switch f.Type.ID {
		case FixedSizeList:
			last = a.Len * f.Type.Size
		case Struct:
			last = a.Len
		}
		if child.Len < last {
			panic(damaged("column %s has fewer parts than it says", f.Name))
		}
		a.Children = append(a.Children, child)
	}
	return a
}

// offset is where the value of a row begins.
func (a *Array) offset(i int) int {
	b := a.Buffers[1]
	if a.Field.Type.offsets() == 4 {
		return int(int32(le.Uint32(b[4*i:])))
	}
	return int(le.Uint64(b[8*i:]))
}

// Valid says whether a row has a value.
func (a *Array) Valid(i int) bool {
	if a.Field.Type.ID == Null {
		return false
	}
	v := a.Buffers[0]
	return len(v) == 0 || v[i/8]>>(i%8)&1 == 1
}

// Int64 is the value of a row of integers, times or dates, as it stands there.
func (a *Array) Int64(i int) int64 {
	b := a.Buffers[1]
	unsigned := a.Field.Type.ID == Int && !a.Field.Type.Signed
	switch a.Field.Type.width() {
	case 8:
		if unsigned {
			return int64(b[i])
		}
		return int64(int8(b[i]))
	case 16:
		if x := le.Uint16(b[2*i:]); unsigned {
			return int64(x)
		} else {
			return int64(int16(x))
		}
	case 32:
		if x := le.Uint32(b[4*i:]); unsigned {
			return int64(x)
		} else {
			return int64(int32(x))
		}
	}
	return int64(le.Uint64(b[8*i:]))
}

// Bits is the value of a row of 32 or 64 bits, as it stands there.
func (a *Array) Bits(i int) uint64 {
	if a.Field.Type.width() == 32 {
		return uint64(le.Uint32(a.Buffers[1][4*i:]))
	}
	return le.Uint64(a.Buffers[1][8*i:])
}

// Text is the value of a row of texts or bytes.
func (a *Array) Text(i int) string { return string(a.Buffers[2][a.offset(i):a.offset(i+1)]) }

// Slice is the rows from from to to, in buffers that begin with them.
func (a *Array) Slice(from, to int) *Array {
	s := &Array{Field: a.Field, Len: to - from}
	if a.Field.Type.ID == Null {
		s.Nulls = s.Len
		return s
	}
	valid := []byte(nil)
	if len(a.Buffers[0]) > 0 {
		valid = cutBits(a.Buffers[0], from, to)
		s.Nulls = s.Len
		for _, b := range valid {
			s.Nulls -= bits.OnesCount8(b)
		}
	}
	s.Buffers = [][]byte{valid}
	first, last := from, to // of the parts
	if w := a.Field.Type.offsets(); w > 0 {
		offsets := make([]byte, w*(s.Len+1))
		if first, last = 0, 0; len(a.Buffers[1]) > 0 {
			first, last = a.offset(from), a.offset(to)
			for i := range s.Len + 1 {
				if off := a.offset(from+i) - first; w == 4 {
					le.PutUint32(offsets[4*i:], uint32(off))
				} else {
					le.PutUint64(offsets[8*i:], uint64(off))
				}
			}
		}
		s.Buffers = append(s.Buffers, offsets)
		if a.Field.Type.text() {
			s.Buffers = append(s.Buffers, a.Buffers[2][first:last])
		}
	} else if w := a.Field.Type.width(); w == 1 {
		s.Buffers = append(s.Buffers, cutBits(a.Buffers[1], from, to))
	} else if len(a.Buffers) > 1 {
		s.Buffers = append(s.Buffers, a.Buffers[1][from*w/8:to*w/8])
	} else if a.Field.Type.ID == FixedSizeList {
		first, last = from*a.Field.Type.Size, to*a.Field.Type.Size
	}
	for _, c := range a.Children {
		s.Children = append(s.Children, c.Slice(first, last))
	}
	return s
}

// cutBits is a range of bits, those behind it in the last byte zero.
func cutBits(b []byte, from, to int) []byte {
	out := make([]byte, (to-from+7)/8)
	shift := from % 8
	for i := range out {
		at := from/8 + i
		out[i] = b[at] >> shift
		if shift > 0 && at+1 < len(b) {
			out[i] |= b[at+1] << (8 - shift)
		}
	}
	if rest := (to - from) % 8; rest > 0 {
		out[len(out)-1] &= 1<<rest - 1
	}
	return out
}

// WriteBatch is the message of a record batch, and its body.
func WriteBatch(rows int, columns []*Array) (header, body []byte) {
	var nodes, buffers structs
	size := 0
	var walk func(a *Array, each func(*Array))
	walk = func(a *Array, each func(*Array)) {
		each(a)
		for _, c := range a.Children {
			walk(c, each)
		}
	}
	for _, a := range columns {
		walk(a, func(a *Array) {
			nodes = append(nodes, int64(a.Len), int64(a.Nulls))
			for _, b := range a.Buffers {
				buffers = append(buffers, int64(size), int64(len(b)))
				size += (len(b) + 7) / 8 * 8
			}
		})
	}
	body = make([]byte, 0, size)
	for _, a := range columns {
		walk(a, func(a *Array) {
			for _, b := range a.Buffers {
				body = append(body, b...)
				for len(body)%8 != 0 {
					body = append(body, 0)
				}
			}
		})
	}
	return encode(table{int16(version), byte(kindBatch), table{int64(rows), nodes, buffers}, int64(len(body))}), body
}

// Bytes is the value of a row of texts or bytes, not to be changed.
func (a *Array) Bytes(i int) []byte { return a.Buffers[2][a.offset(i):a.offset(i+1)] }

// Item is where the items of a row of lists are, among those of all rows.
func (a *Array) Item(i int) (from, to int) { return a.offset(i), a.offset(i + 1) }
