package parquet

import (
	"io"

	"github.com/klauspost/compress/snappy"

	"github.com/projectionist/projectionist/internal/arrow"
)

// Writer writes a file, row group by row group.
type Writer struct {
	out    io.Writer
	at     int64
	rows   int64
	given  []Column       // of another file, as they were there
	made   []*arrow.Field // of those that package arrow makes
	meta   []arrow.Pair
	groups [][]chunk
	sizes  []int64 // rows of the groups
	buf    []byte
}

type chunk struct {
	at, unpacked, packed, values int64
	path                         []string
	physical                     int64
}

// NewWriter begins a file with columns of another, and others behind them.
func NewWriter(out io.Writer, given []Column, made []*arrow.Field, meta []arrow.Pair) *Writer {
	return &Writer{out: out, given: given, made: made, meta: meta}
}

func (w *Writer) write(b []byte) error {
	n, err := w.out.Write(b)
	w.at += int64(n)
	return err
}

func (w *Writer) begin() error {
	if w.at > 0 {
		return nil
	}
	return w.write([]byte(magic))
}

// Group writes a row group of as many rows as each column has.
func (w *Writer) Group(rows int, columns []*arrow.Array) error {
	if err := w.begin(); err != nil {
		return err
	}
	var chunks []chunk
	for i, a := range columns {
		var c chunk
		w.buf = w.buf[:0]
		if i < len(w.given) {
			g := &w.given[i]
			c = chunk{path: []string{a.Field.Name}, physical: g.physical, values: int64(rows)}
			if g.optional {
				w.levels(1, a.Len, func(i int) byte { return bit(a.Valid(i)) })
			}
			w.plain(a, g.physical)
		} else {
			c = w.column(a)
		}
		if err := w.chunk(&c); err != nil {
			return err
		}
		chunks = append(chunks, c)
	}
	w.groups, w.sizes = append(w.groups, chunks), append(w.sizes, int64(rows))
	w.rows += int64(rows)
	return nil
}

func bit(is bool) byte {
	if is {
		return 1
	}
	return 0
}

// column fills the page of a column that was made here.
func (w *Writer) column(a *arrow.Array) chunk {
	c := chunk{path: []string{a.Field.Name}, physical: physicalOf(a.Field), values: int64(a.Len)}
	if a.Field.Type.ID != arrow.List {
		w.levels(1, a.Len, func(i int) byte { return bit(a.Valid(i)) })
		w.plain(a, c.physical)
		return c
	}
	c.path = append(c.path, "list", "element")
	var repeated, defined []byte // of each item, or of a row without any
	for i := range a.Len {
		from, to := a.Item(i)
		switch {
		case !a.Valid(i):
			repeated, defined = append(repeated, 0), append(defined, 0)
		case from == to:
			repeated, defined = append(repeated, 0), append(defined, 1)
		}
		for k := from; k < to; k++ {
			repeated, defined = append(repeated, bit(k > from)), append(defined, 2+bit(a.Children[0].Valid(k)))
		}
	}
	c.values = int64(len(defined))
	w.levels(1, len(repeated), func(i int) byte { return repeated[i] })
	w.levels(2, len(defined), func(i int) byte { return defined[i] })
	w.plain(a.Children[0], c.physical)
	return c
}

// physicalOf is how the values of a column that was made here are stored, those in its lists where it has such.
func physicalOf(f *arrow.Field) int64 {
	switch f.Type.ID {
	case arrow.List:
		return physicalOf(f.Children[0])
	case arrow.Bool:
		return tyBoolean
	case arrow.Int:
		if f.Type.Bits == 32 {
			return tyInt32
		}
		return tyInt64
	case arrow.Timestamp:
		return tyInt64
	case arrow.FloatingPoint:
		if f.Type.Bits == 32 {
			return tyFloat
		}
		return tyDouble
	}
	return tyByteArray
}

// levels adds numbers of so many bits, in groups of eight, behind their size.
func (w *Writer) levels(width, n int, level func(i int) byte) {
	at := len(w.buf)
	w.buf = append(w.buf, 0, 0, 0, 0)
	groups := (n + 7) / 8
	w.buf = appendUvarint(w.buf, uint64(groups)<<1|1)
	from := len(w.buf)
	w.buf = append(w.buf, make([]byte, groups*width)...)
	for i := range n {
		b := i * width
		w.buf[from+b/8] |= level(i) << (b % 8)
	}
	le.PutUint32(w.buf[at:], uint32(len(w.buf)-at-4))
}

func appendUvarint(b []byte, v uint64) []byte {
	for ; v >= 0x80; v >>= 7 {
		b = append(b, byte(v)|0x80)
	}
	return append(b, byte(v))
}

// plain adds the values that there are.
func (w *Writer) plain(a *arrow.Array, physical int64) {
	switch physical {
	case tyBoolean:
		n, from := 0, len(w.buf)
		for i := range a.Len {
			if !a.Valid(i) {
				continue
			}
			if n%8 == 0 {
				w.buf = append(w.buf, 0)
			}
			w.buf[from+n/8] |= a.Buffers[1][i/8] >> (i % 8) & 1 << (n % 8)
			n++
		}
	case tyByteArray:
		for i := range a.Len {
			if a.Valid(i) {
				b := a.Bytes(i)
				w.buf = append(le.AppendUint32(w.buf, uint32(len(b))), b...)
			}
		}
	default:
		size := a.Field.Type.Bytes()
		if a.Nulls == 0 {
			w.buf = append(w.buf, a.Buffers[1][:a.Len*size]...)
			return
		}
		for i := range a.Len {
			if a.Valid(i) {
				w.buf = append(w.buf, a.Buffers[1][i*size:(i+1)*size]...)
			}
		}
	}
}

// chunk writes a column's page.
func (w *Writer) chunk(c *chunk) error {
	packed := snappy.Encode(nil, w.buf)
	h := &writing{}
	h.begin()
	h.i32(1, pageData)
	h.i32(2, int64(len(w.buf)))
	h.i32(3, int64(len(packed)))
	h.open(5)
	h.i32(1, c.values)
	h.i32(2, encPlain)
	h.i32(3, encRLE)
	h.i32(4, encRLE)
	h.end()
	h.end()
	c.at, c.unpacked, c.packed = w.at, int64(len(h.b)+len(w.buf)), int64(len(h.b)+len(packed))
	if err := w.write(h.b); err != nil {
		return err
	}
	return w.write(packed)
}

// Close writes what the file says of itself.
func (w *Writer) Close() error {
	if err := w.begin(); err != nil {
		return err
	}
	f := &writing{}
	f.begin()
	f.i32(1, 2)
	elements := 1 + len(w.given) + len(w.made)
	for _, m := range w.made {
		if m.Type.ID == arrow.List {
			elements += 2
		}
	}
	f.list(2, tStruct, elements)
	f.begin()
	f.text(4, "schema")
	f.i32(5, int64(len(w.given)+len(w.made)))
	f.end()
	for i := range w.given {
		f.element(w.given[i].element)
	}
	for _, m := range w.made {
		f.made(m)
	}
	f.i64(3, w.rows)
	f.list(4, tStruct, len(w.groups))
	for i, chunks := range w.groups {
		w.group(f, chunks, w.sizes[i])
	}
	if len(w.meta) > 0 {
		f.list(5, tStruct, len(w.meta))
		for _, p := range w.meta {
			f.begin()
			f.text(1, p.Key)
			f.text(2, p.Value)
			f.end()
		}
	}
	f.text(6, "projectionist")
	f.end()
	return w.write(append(le.AppendUint32(f.b, uint32(len(f.b))), magic...))
}

func (w *Writer) group(f *writing, chunks []chunk, rows int64) {
	f.begin()
	f.list(1, tStruct, len(chunks))
	total := int64(0)
	for i := range chunks {
		c := &chunks[i]
		total += c.unpacked
		f.begin()
		f.i64(2, c.at)
		f.open(3)
		f.i32(1, c.physical)
		f.list(2, tI32, 2)
		f.b = append(f.b, encPlain<<1, encRLE<<1)
		f.list(3, tBinary, len(c.path))
		for _, p := range c.path {
			f.binary([]byte(p))
		}
		f.i32(4, codecSnappy)
		f.i64(5, c.values)
		f.i64(6, c.unpacked)
		f.i64(7, c.packed)
		f.i64(9, c.at)
		f.end()
		f.end()
	}
	f.i64(2, total)
	f.i64(3, rows)
	f.end()
}

// element writes a column's element of the schema as it was read.
func (w *writing) element(e structure) {
	w.begin()
	for _, n := range []int{1, 2, 3} {
		if e.has(n) {
			w.i32(n, e.int(n))
		}
	}
	w.text(4, e.text(4))
	for n := 6; n <= 9; n++ {
		if e.has(n) {
			w.i32(n, e.int(n))
		}
	}
	if t := e.structure(10); t != nil {
		w.open(10)
		w.logical(t)
		w.end()
	}
	w.end()
}

// logical writes a logical type: its one field, with that one's own.
func (w *writing) logical(t structure) {
	for kind := range 20 {
		s := t.structure(kind)
		if s == nil {
			continue
		}
		w.open(kind)
		switch kind {
		case 5: // decimal: scale, precision
			w.i32(1, s.int(1))
			w.i32(2, s.int(2))
		case 7, 8: // time, timestamp: in UTC, and the unit
			w.bool(1, s[1] == true)
			w.open(2)
			for unit := 1; unit <= 3; unit++ {
				if s.structure(2).has(unit) {
					w.open(unit)
					w.end()
				}
			}
			w.end()
		case 10: // integer: bits, signed
			w.field(1, tByte)
			w.b = append(w.b, byte(s.int(1)))
			w.bool(2, s[2] == true)
		}
		w.end()
		return
	}
}

// made writes the elements of a column that was made here.
func (w *writing) made(m *arrow.Field) {
	const list, optional, repeated = 3, 1, 2
	if m.Type.ID != arrow.List {
		w.leaf(m.Name, m)
		return
	}
	w.begin()
	w.i32(3, optional)
	w.text(4, m.Name)
	w.i32(5, 1)
	w.i32(6, 3) // LIST
	w.open(10)
	w.open(list)
	w.end()
	w.end()
	w.end()
	w.begin()
	w.i32(3, repeated)
	w.text(4, "list")
	w.i32(5, 1)
	w.end()
	w.leaf("element", m.Children[0])
}

func (w *writing) leaf(name string, f *arrow.Field) {
	w.begin()
	w.i32(1, physicalOf(f))
	w.i32(3, 1) // optional
	w.text(4, name)
	switch f.Type.ID {
	case arrow.Utf8:
		w.i32(6, 0) // UTF8
		w.open(10)
		w.open(1)
		w.end()
		w.end()
	case arrow.Timestamp: // in milliseconds
		w.i32(6, 9)
		w.open(10)
		w.open(8)
		w.bool(1, true)
		w.open(2)
		w.open(1)
		w.end()
		w.end()
		w.end()
		w.end()
	}
	w.end()
}
