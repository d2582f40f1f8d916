package parquet

import (
	"bytes"
	"encoding/binary"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"

	"github.com/projectionist/projectionist/internal/arrow"
	"github.com/projectionist/projectionist/internal/fault"
)

var le = binary.LittleEndian

// Codecs, encodings and kinds of pages.
const (
	codecNone   = 0
	codecSnappy = 1
	codecGzip   = 2
	codecZstd   = 6

	encPlain           = 0
	encPlainDictionary = 2
	encRLE             = 3
	encDictionary      = 8

	pageData       = 0
	pageDictionary = 2
	pageData2      = 3
)

// decoder decodes the pages of a column.
type decoder struct {
	c          *Column
	rows       int
	budget     *int64
	codec      int64
	dictionary *values
	out        *builder
}

func (d *decoder) page(head structure, b []byte) {
	size := head.int(2)
	switch head.int(1) {
	case pageDictionary:
		h := head.structure(7)
		if e := h.int(2); e != encPlain && e != encPlainDictionary {
			panic(d.encoding(e))
		}
		d.dictionary = d.plain(d.unpack(b, size), int(h.int(1)))
	case pageData:
		h := head.structure(5)
		b = d.unpack(b, size)
		n := d.count(h.int(1))
		var valid []bool
		if d.c.optional {
			if len(b) < 4 || int64(le.Uint32(b)) > int64(len(b)-4) {
				panic(damaged("a page of column %s is cut off", d.c.Field.Name))
			}
			end := 4 + int(le.Uint32(b))
			valid = d.levels(b[4:end], n)
			b = b[end:]
		}
		d.values(b, h.int(2), n, valid)
	case pageData2:
		h := head.structure(8)
		n := d.count(h.int(1))
		levels := h.int(5) + h.int(6)
		if h.int(5) < 0 || h.int(6) < 0 || levels > int64(len(b)) {
			panic(damaged("a page of column %s is cut off", d.c.Field.Name))
		}
		var valid []bool
		if d.c.optional {
			valid = d.levels(b[h.int(6):levels], n)
		}
		b = b[levels:]
		if packed, said := h[7]; !said || packed == true {
			b = d.unpack(b, size-levels)
		}
		d.values(b, h.int(4), n, valid)
	}
}

func (d *decoder) count(n int64) int {
	if n < 0 || n > int64(d.rows-d.out.n) {
		panic(damaged("a page of column %s has %d rows", d.c.Field.Name, n))
	}
	return int(n)
}

func (d *decoder) encoding(e int64) error {
	names := map[int64]string{4: "BIT_PACKED", 5: "DELTA_BINARY_PACKED", 6: "DELTA_LENGTH_BYTE_ARRAY", 7: "DELTA_BYTE_ARRAY", 9: "BYTE_STREAM_SPLIT"}
	return fault.Field(d.c.Field.Name, "is encoded as %s (%d), which is not read here", names[e], e).WithHint("write it with the default encodings")
}

// unpack unpacks a page.
func (d *decoder) unpack(b []byte, size int64) (out []byte) {
	take(d.budget, size)
	wrong := func(err error) {
		if err != nil || int64(len(out)) != size {
			panic(damaged("a page of column %s does not unpack", d.c.Field.Name))
		}
	}
	var err error
	switch d.codec {
	case codecNone:
		out = b
	case codecSnappy:
		var n int
		if n, err = snappy.DecodedLen(b); err == nil && int64(n) == size {
			out, err = snappy.Decode(nil, b)
		}
	case codecGzip:
		var in *gzip.Reader
		if in, err = gzip.NewReader(bytes.NewReader(b)); err == nil {
			out, err = io.ReadAll(io.LimitReader(in, size+1))
		}
	case codecZstd:
		var in *zstd.Decoder
		if in, err = zstd.NewReader(bytes.NewReader(b), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(groupBytesMax)); err == nil {
			out, err = io.ReadAll(io.LimitReader(in, size+1))
			in.Close()
		}
	default:
		panic(fault.Field(d.c.Field.Name, "is packed by codec %d, which is not read here", d.codec).WithHint("write it with compression snappy, gzip, zstd or none"))
	}
	wrong(err)
	return out
}

// levels says of each row whether it has a value.
func (d *decoder) levels(b []byte, n int) []bool {
	valid := make([]bool, 0, n)
	d.hybrid(b, 1, n, func(v uint32) { valid = append(valid, v == 1) })
	return valid
}

// hybrid decodes n numbers of so many bits: runs of one, and groups of eight.
func (d *decoder) hybrid(b []byte, width, n int, each func(uint32)) {
	t := &thrift{b: b}
	size := (width + 7) / 8
	for n > 0 {
		head := t.uvarint()
		if head&1 == 0 {
			v := uint32(0)
			for i, x := range t.bytes(uint64(size)) {
				v |= uint32(x) << (8 * i)
			}
			run := int(min(head>>1, uint64(n)))
			if run == 0 {
				panic(damaged("a run of column %s is empty", d.c.Field.Name))
			}
			for range run {
				each(v)
			}
			n -= run
			continue
		}
		groups := head >> 1
		if groups == 0 || groups > uint64(len(b)) && width > 0 {
			panic(damaged("a run of column %s is cut off", d.c.Field.Name))
		}
		if width == 0 {
			groups = min(groups, uint64(n))
		}
		packed := t.bytes(min(groups*uint64(width), uint64(len(b)-t.at))) // the last may be cut off where nothing follows
		for i := 0; i < int(groups)*8 && n > 0; i++ {
			v := uint32(0)
			for k := range width {
				bit := i*width + k
				if bit/8 >= len(packed) {
					panic(damaged("a run of column %s is cut off", d.c.Field.Name))
				}
				v |= uint32(packed[bit/8]>>(bit%8)&1) << k
			}
			each(v)
			n--
		}
	}
}

// values are values one after the other.
type values struct {
	bits  []byte // of booleans
	fixed []byte
	texts [][]byte
	n     int
}

// plain reads n values that stand as they are.
func (d *decoder) plain(b []byte, n int) *values {
	v := &values{n: n}
	enough := func(want int64) {
		if n < 0 || n > 8*len(b) || want > int64(len(b)) { // a byte has eight booleans
			panic(damaged("a page of column %s is cut off", d.c.Field.Name))
		}
	}
	switch w := d.c.width(); {
	case d.c.physical == tyBoolean:
		enough(int64(n+7) / 8)
		v.bits = b
	case w > 0:
		enough(int64(n) * int64(w))
		v.fixed = b
	default:
		enough(4 * int64(n))
		take(d.budget, 24*int64(n))
		for range n {
			if len(b) < 4 || int64(le.Uint32(b)) > int64(len(b)-4) {
				panic(damaged("a page of column %s is cut off", d.c.Field.Name))
			}
			end := 4 + int(le.Uint32(b))
			v.texts = append(v.texts, b[4:end])
			b = b[end:]
		}
	}
	return v
}

// values decodes the values of a page.
func (d *decoder) values(b []byte, encoding int64, n int, valid []bool) {
	present := n
	for _, ok := range valid {
		if !ok {
			present--
		}
	}
	var from *values
	var at []uint32
	switch {
	case encoding == encPlain:
		from = d.plain(b, present)
	case encoding == encRLE && d.c.physical == tyBoolean:
		if len(b) < 4 {
			panic(damaged("a page of column %s is cut off", d.c.Field.Name))
		}
		from = &values{n: 2, bits: []byte{2}} // false, true
		d.hybrid(b[4:], 1, present, func(v uint32) { at = append(at, v) })
	case (encoding == encPlainDictionary || encoding == encDictionary) && d.dictionary != nil:
		from = d.dictionary
		take(d.budget, 4*int64(present))
		if present > 0 {
			if len(b) == 0 || b[0] > 32 {
				panic(damaged("a page of column %s is cut off", d.c.Field.Name))
			}
			d.hybrid(b[1:], int(b[0]), present, func(v uint32) { at = append(at, v) })
		}
	default:
		panic(d.encoding(encoding))
	}
	next := 0
	for i := range n {
		if valid != nil && !valid[i] {
			d.out.null()
			continue
		}
		k := next
		if next++; at != nil {
			k = int(at[k])
		}
		if k >= from.n {
			panic(damaged("a value of column %s is not in its dictionary", d.c.Field.Name))
		}
		d.out.add(from, k)
	}
}

// builder makes an array.
type builder struct {
	c       *Column
	n       int
	nulls   int
	budget  *int64
	valid   []byte
	fixed   []byte
	offsets []byte
	bytes   []byte
}

func newBuilder(c *Column, rows int, budget *int64) *builder {
	b := &builder{c: c, budget: budget}
	take(budget, int64(rows)/8+int64(rows)*int64(max(c.width(), 1)))
	if c.physical == tyByteArray {
		take(budget, 4*int64(rows))
		b.offsets = make([]byte, 4, 4*(rows+1))
	}
	return b
}

func (b *builder) row(valid bool) {
	if b.n%8 == 0 {
		b.valid = append(b.valid, 0)
		if b.c.physical == tyBoolean {
			b.fixed = append(b.fixed, 0)
		}
	}
	if valid {
		b.valid[b.n/8] |= 1 << (b.n % 8)
	} else {
		b.nulls++
	}
	b.n++
}

func (b *builder) null() {
	b.row(false)
	if b.offsets != nil {
		b.offsets = le.AppendUint32(b.offsets, uint32(len(b.bytes)))
	} else if w := b.c.width(); w > 0 {
		b.fixed = append(b.fixed, make([]byte, w)...)
	}
}

func (b *builder) add(from *values, k int) {
	b.row(true)
	switch w := b.c.width(); {
	case b.offsets != nil:
		take(b.budget, int64(len(from.texts[k])))
		b.bytes = append(b.bytes, from.texts[k]...)
		b.offsets = le.AppendUint32(b.offsets, uint32(len(b.bytes)))
	case w > 0:
		b.fixed = append(b.fixed, from.fixed[k*w:(k+1)*w]...)
	default:
		i := b.n - 1
		b.fixed[i/8] |= from.bits[k/8] >> (k % 8) & 1 << (i % 8)
	}
}

func (b *builder) array() *arrow.Array {
	a := &arrow.Array{Field: b.c.Field, Len: b.n, Nulls: b.nulls, Buffers: [][]byte{nil}}
	if b.nulls > 0 {
		a.Buffers[0] = b.valid
	}
	if b.offsets != nil {
		a.Buffers = append(a.Buffers, b.offsets, b.bytes)
	} else {
		a.Buffers = append(a.Buffers, b.fixed)
	}
	return a
}
