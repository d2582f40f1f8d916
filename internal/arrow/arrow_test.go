package arrow

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/projectionist/projectionist/internal/fault"
)

// messages reads a stream that pyarrow wrote: headers and bodies.
func messages(t testing.TB, name string) (all [][2][]byte) {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	for len(b) > 8 {
		n := int(le.Uint32(b[4:])) // behind the mark that a stream has
		if n == 0 {
			break
		}
		header := b[8 : 8+n]
		size := int(reading{header}.root().int64(3))
		all = append(all, [2][]byte{header, b[8+n : 8+n+size]})
		b = b[8+n+size:]
	}
	return all
}

// shown is an array's rows for people.
func shown(a *Array) (rows []string) {
	for i := range a.Len {
		rows = append(rows, show(a, i))
	}
	return rows
}

func show(a *Array, i int) string {
	if !a.Valid(i) {
		return "-"
	}
	part := func(from, to int) string {
		var parts []string
		for k := from; k < to; k++ {
			parts = append(parts, show(a.Children[0], k))
		}
		return fmt.Sprint(parts)
	}
	switch t := a.Field.Type; t.ID {
	case FloatingPoint:
		if t.Bits == 16 {
			return fmt.Sprintf("%x", a.Buffers[1][2*i:2*i+2])
		}
		if t.Bits == 32 {
			return fmt.Sprint(math.Float32frombits(uint32(a.Bits(i))))
		}
		return fmt.Sprint(math.Float64frombits(a.Bits(i)))
	case Bool:
		return fmt.Sprint(a.Buffers[1][i/8]>>(i%8)&1 == 1)
	case Utf8, LargeUtf8, Binary:
		return fmt.Sprintf("%q", a.Text(i))
	case FixedSizeBinary, Decimal:
		n := t.width() / 8
		return fmt.Sprintf("%x", a.Buffers[1][i*n:(i+1)*n])
	case List, LargeList, Map:
		return part(a.offset(i), a.offset(i+1))
	case FixedSizeList:
		return part(i*t.Size, (i+1)*t.Size)
	case Struct:
		var parts []string
		for _, c := range a.Children {
			parts = append(parts, show(c, i))
		}
		return fmt.Sprint(parts)
	}
	return fmt.Sprint(a.Int64(i))
}

// TestOfPyarrow: what pyarrow writes is read, cut at any place, written, and read again as the same.
func TestOfPyarrow(t *testing.T) {
	m := messages(t, "all.arrows")
	s, err := ReadSchema(m[0][0])
	if err != nil {
		t.Fatal(err)
	}
	if s.Metadata[0] != (Pair{"k", "v"}) || len(s.Fields) != 22 {
		t.Fatalf("%+v", s)
	}
	n, columns, err := s.ReadBatch(m[1][0], m[1][1])
	if err != nil || n != 19 {
		t.Fatal(n, err)
	}
	by := map[string]*Array{}
	for _, c := range columns {
		by[c.Field.Name] = c
	}
	for name, want := range map[string][]string{"i8": {"0", "-1", "-2", "-"}, "u16": {"0", "1000", "2000", "-", "4000"}, "i32": {"0", "-100000"}, "f32": {"0", "0.5"}, "b": {"true", "false", "true", "-"},
		"s": {`""`, `"é"`, `"éé"`, "-", `"éééé"`}, "ls": {`""`, `"x"`, `"xx"`, "-"}, "ts": {"1767225600000000000", "1767225601000000000"}, "day": {"20454", "20455"}, "nul": {"-", "-"},
		"l": {"[]", "[0]", "[0 1]", "-", "[]", "[0]"}, "ll": {"[[] -]", `[["a"] -]`, `[["a" "a"] -]`, "-"}, "fl": {"[0 -]", "[1 -]", "[2 -]", "-"}, "st": {"[0 []]", `[1 ["z"]]`}, "m": {"[]", `[["k" 1]]`},
		"fb": {"000000", "010101"}, "dec": {"00000000000000000000000000000000", "19000000000000000000000000000000"}} {
		if got := shown(by[name])[:len(want)]; !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	for from := range n + 1 {
		for to := from; to <= n; to++ {
			var cut []*Array
			for _, c := range columns {
				cut = append(cut, c.Slice(from, to))
			}
			header, body := WriteBatch(to-from, cut)
			again, err := ReadSchema(s.Write())
			if err != nil || !reflect.DeepEqual(again, s) {
				t.Fatalf("schema: %+v, %v", again, err)
			}
			rows, read, err := again.ReadBatch(header, body)
			if err != nil || rows != to-from {
				t.Fatalf("%d to %d: %d rows, %v", from, to, rows, err)
			}
			for i, c := range read {
				if got, want := shown(c), shown(columns[i])[from:to]; !slices.Equal(got, want) && len(want) > 0 {
					t.Fatalf("%s, %d to %d: %q, want %q", c.Field.Name, from, to, got, want)
				}
			}
		}
	}
}

// TestColumns: what is added is what is read.
func TestColumns(t *testing.T) {
	f, i, s, l := NewColumn(Float64("f")), NewColumn(Int64("i")), NewColumn(Text("s")), NewColumn(Texts("l"))
	for range 2 { // again after Reset
		for k := range 10 {
			if k == 3 {
				f.Null()
				i.Null()
				s.Null()
				l.Null()
				continue
			}
			f.Float(float64(k) / 2)
			i.Int(int64(-k))
			s.Text(strings.Repeat("é", k))
			l.Texts(slices.Repeat([]string{"a"}, k%3))
		}
		schema := &Schema{Fields: []*Field{Float64("f"), Int64("i"), Text("s"), Texts("l")}}
		header, body := WriteBatch(10, []*Array{f.Array(), i.Array(), s.Array(), l.Array()})
		_, got, err := schema.ReadBatch(header, body)
		if err != nil {
			t.Fatal(err)
		}
		for k, want := range []string{"[0 0.5 1 - 2 2.5 3 3.5 4 4.5]", "[0 -1 -2 - -4 -5 -6 -7 -8 -9]",
			`["" "é" "éé" - "éééé" "ééééé" "éééééé" "ééééééé" "éééééééé" "ééééééééé"]`, `[[] ["a"] ["a" "a"] - ["a"] ["a" "a"] [] ["a"] ["a" "a"] []]`} {
			if text := fmt.Sprint(shown(got[k])); text != want {
				t.Errorf("%s, want %s", text, want)
			}
		}
		for _, c := range []*Column{f, i, s, l} {
			c.Reset()
		}
	}
}

func TestRefused(t *testing.T) {
	m := messages(t, "dictionary.arrows")
	if _, err := ReadSchema(m[0][0]); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "c: is encoded by a dictionary") {
		t.Error(err)
	}
	if _, err := ReadSchema(nil); !fault.Is(err, fault.Invalid) {
		t.Error(err)
	}
}

// TestDamaged: whatever bytes come, what is read is refused, or can be cut and written.
func TestDamaged(t *testing.T) {
	m := messages(t, "all.arrows")
	rng := rand.New(rand.NewPCG(1, 2))
	refused := 0
	for range 30_000 {
		head, batch, body := bytes.Clone(m[0][0]), bytes.Clone(m[1][0]), bytes.Clone(m[1][1])
		for range 1 + rng.IntN(3) {
			b := [][]byte{head, batch, body}[rng.IntN(3)]
			b[rng.IntN(len(b))] = byte(rng.Uint32() >> (rng.IntN(4) * 8))
		}
		batch = batch[:len(batch)-rng.IntN(2)*rng.IntN(40)]
		s, err := ReadSchema(head)
		if err == nil {
			var columns []*Array
			var n int
			if n, columns, err = s.ReadBatch(batch, body); err == nil {
				for _, c := range columns {
					c.Slice(n/3, n)
				}
			}
		}
		if err != nil {
			if refused++; fault.CodeOf(err) != fault.Invalid && fault.CodeOf(err) != fault.TooLarge {
				t.Fatal(err)
			}
		}
	}
	if refused < 1000 {
		t.Errorf("%d were refused", refused)
	}
}

// TestMadeColumns: what is made of a value of each type is read again from the message.
func TestMadeColumns(t *testing.T) {
	add := map[*Field]func(c *Column, i int64){
		Int32("i32"):               func(c *Column, i int64) { c.Int(-i) },
		Int64("i64"):               func(c *Column, i int64) { c.Int(i << 40) },
		Float32("f32"):             func(c *Column, i int64) { c.Float(float64(i) / 8) },
		Float64("f64"):             func(c *Column, i int64) { c.Float(float64(i) / 3) },
		Truth("yes"):               func(c *Column, i int64) { c.Int(i % 3 % 2) },
		Blob("raw"):                func(c *Column, i int64) { c.Text(string([]byte{byte(i), 0})) },
		ListOf("l", Truth("item")): func(c *Column, i int64) { c.List(func(items *Column) { items.Int(i % 2); items.Int(1) }) },
	}
	read := map[string]func(a *Array, i int) any{
		"i32": func(a *Array, i int) any { return -a.Int64(i) == int64(i) },
		"i64": func(a *Array, i int) any { return a.Int64(i) == int64(i)<<40 },
		"f32": func(a *Array, i int) any { return math.Float32frombits(uint32(a.Bits(i))) == float32(i)/8 },
		"f64": func(a *Array, i int) any { return math.Float64frombits(a.Bits(i)) == float64(i)/3 },
		"yes": func(a *Array, i int) any { return int(a.Buffers[1][i/8]>>(i%8)&1) == i%3%2 },
		"raw": func(a *Array, i int) any { return a.Text(i) == string([]byte{byte(i), 0}) },
		"l": func(a *Array, i int) any {
			from, to := a.Item(i)
			return to-from == 2 && int(a.Children[0].Buffers[1][from/8]>>(from%8)&1) == i%2
		},
	}
	for f, fill := range add {
		c := NewColumn(f)
		for range 2 { // also one that was used before
			c.Reset()
			for i := range int64(50) {
				if i%7 == 3 {
					c.Null()
				} else {
					fill(c, i)
				}
			}
		}
		s := &Schema{Fields: []*Field{f}}
		again, err := ReadSchema(s.Write())
		if err != nil {
			t.Fatal(err)
		}
		header, body := WriteBatch(50, []*Array{c.Array()})
		n, columns, err := again.ReadBatch(header, body)
		if err != nil || n != 50 {
			t.Fatalf("%s: %d rows, %v", f.Name, n, err)
		}
		for i := range n {
			if valid := columns[0].Valid(i); valid != (i%7 != 3) || valid && read[f.Name](columns[0], i) != true {
				t.Errorf("%s: row %d is not what was added", f.Name, i)
			}
		}
	}
}
