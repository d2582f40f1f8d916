package arrow

import "math"

// Fields of the columns that are made here; [ListOf] makes one of lists of any.
func Float64(name string) *Field {
	return &Field{Name: name, Nullable: true, Type: Type{ID: FloatingPoint, Bits: 64}}
}

func Int64(name string) *Field {
	return &Field{Name: name, Nullable: true, Type: Type{ID: Int, Bits: 64, Signed: true}}
}

func Text(name string) *Field { return &Field{Name: name, Nullable: true, Type: Type{ID: Utf8}} }

func Texts(name string) *Field { return ListOf(name, Text("item")) }

func Float32(name string) *Field {
	return &Field{Name: name, Nullable: true, Type: Type{ID: FloatingPoint, Bits: 32}}
}

func Int32(name string) *Field {
	return &Field{Name: name, Nullable: true, Type: Type{ID: Int, Bits: 32, Signed: true}}
}

func Truth(name string) *Field { return &Field{Name: name, Nullable: true, Type: Type{ID: Bool}} }

func Blob(name string) *Field { return &Field{Name: name, Nullable: true, Type: Type{ID: Binary}} }

func ListOf(name string, item *Field) *Field {
	return &Field{Name: name, Nullable: true, Type: Type{ID: List}, Children: []*Field{item}}
}

// Millis is a field of times in UTC, to the millisecond.
func Millis(name string) *Field {
	return &Field{Name: name, Nullable: true, Type: Type{ID: Timestamp, Unit: Millisecond, Zone: "UTC"}}
}

// Column is values of one of these fields, added one by one.
type Column struct {
	field  *Field
	n      int
	nulls  int
	valid  []byte
	values []byte // or offsets
	bytes  []byte
	items  *Column
}

// NewColumn makes an empty one.
func NewColumn(f *Field) *Column {
	c := &Column{field: f}
	if len(f.Children) > 0 {
		c.items = NewColumn(f.Children[0])
	}
	c.Reset()
	return c
}

// Field is what it is a column of.
func (c *Column) Field() *Field { return c.field }

// Reset takes all values away. What [Column.Array] gave is not valid any more.
func (c *Column) Reset() {
	c.n, c.nulls, c.valid, c.values, c.bytes = 0, 0, c.valid[:0], c.values[:0], c.bytes[:0]
	if c.field.Type.offsets() > 0 {
		c.values = le.AppendUint32(c.values, 0)
	}
	if c.items != nil {
		c.items.Reset()
	}
}

func (c *Column) add(valid bool) {
	if c.n%8 == 0 {
		c.valid = append(c.valid, 0)
	}
	if valid {
		c.valid[c.n/8] |= 1 << (c.n % 8)
	} else {
		c.nulls++
	}
	c.n++
}

// fixed adds what stands for the value that was added last.
func (c *Column) fixed(x uint64) {
	switch c.field.Type.width() {
	case 1:
		if at := c.n - 1; at%8 == 0 {
			c.values = append(c.values, byte(x))
		} else {
			c.values[at/8] |= byte(x) << (at % 8)
		}
	case 32:
		c.values = le.AppendUint32(c.values, uint32(x))
	default:
		c.values = le.AppendUint64(c.values, x)
	}
}

// Float adds a number to a column of Float64 or Float32.
func (c *Column) Float(x float64) {
	c.add(true)
	if c.field.Type.Bits == 32 {
		c.fixed(uint64(math.Float32bits(float32(x))))
		return
	}
	c.fixed(math.Float64bits(x))
}

// Int adds a number to a column of Int64 or Int32, a time to one of Millis, or 0 or 1 to one of Truth.
func (c *Column) Int(x int64) {
	c.add(true)
	c.fixed(uint64(x))
}

// List adds a list to a column of lists: items adds its items to their column.
func (c *Column) List(items func(*Column)) {
	c.add(true)
	items(c.items)
	c.values = le.AppendUint32(c.values, uint32(c.items.n))
}

// Text adds a text to a column of Text, or bytes to one of Blob.
func (c *Column) Text(s string) {
	c.add(true)
	c.bytes = append(c.bytes, s...)
	c.values = le.AppendUint32(c.values, uint32(len(c.bytes)))
}

// Texts adds a list to a column of Texts.
func (c *Column) Texts(all []string) {
	c.List(func(items *Column) {
		for _, s := range all {
			items.Text(s)
		}
	})
}

// Null adds a row without a value.
func (c *Column) Null() {
	c.add(false)
	switch {
	case c.items != nil:
		c.values = le.AppendUint32(c.values, uint32(c.items.n))
	case c.field.Type.offsets() > 0:
		c.values = le.AppendUint32(c.values, uint32(len(c.bytes)))
	default:
		c.fixed(0)
	}
}

// Bytes is how much the values take.
func (c *Column) Bytes() int {
	n := len(c.valid) + len(c.values) + len(c.bytes)
	if c.items != nil {
		n += c.items.Bytes()
	}
	return n
}

// Array is the values, valid until more are added or they are reset.
func (c *Column) Array() *Array {
	a := &Array{Field: c.field, Len: c.n, Nulls: c.nulls, Buffers: [][]byte{nil, c.values}}
	if c.nulls > 0 {
		a.Buffers[0] = c.valid
	}
	if c.field.Type.text() {
		a.Buffers = append(a.Buffers, c.bytes)
	}
	if c.items != nil {
		a.Children = []*Array{c.items.Array()}
	}
	return a
}
