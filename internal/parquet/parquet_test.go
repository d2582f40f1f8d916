package parquet

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/projectionist/projectionist/internal/arrow"
	"github.com/projectionist/projectionist/internal/fault"
)

func file(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name + ".parquet")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// rows are all of a file, for people, by column.
func rows(b []byte) (*File, [][]string, error) {
	f, err := Open(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return nil, nil, err
	}
	all := make([][]string, len(f.Columns))
	for g := range f.Groups() {
		n, columns, err := f.Group(g)
		if err != nil {
			return nil, nil, err
		}
		for k, a := range columns {
			for i := range n {
				all[k] = append(all[k], cell(&f.Columns[k], a, i))
			}
		}
	}
	return f, all, nil
}

func cell(c *Column, a *arrow.Array, i int) string {
	switch {
	case !a.Valid(i):
		return "-"
	case c.physical == tyBoolean:
		return fmt.Sprint(a.Buffers[1][i/8]>>(i%8)&1 == 1)
	case c.physical == tyFloat:
		return fmt.Sprint(math.Float32frombits(uint32(a.Bits(i))))
	case c.physical == tyDouble:
		return fmt.Sprint(math.Float64frombits(a.Bits(i)))
	case c.physical == tyByteArray:
		return a.Text(i)
	case c.width() == 4 || c.width() == 8:
		return fmt.Sprint(a.Int64(i))
	}
	w := c.width()
	return fmt.Sprintf("%x", a.Buffers[1][i*w:(i+1)*w])
}

// TestOfPyarrow: what pyarrow writes, in one way and another, is read, and read again from what is written of it.
func TestOfPyarrow(t *testing.T) {
	for _, name := range []string{"default", "plain2", "gzip", "none2"} {
		f, got, err := rows(file(t, name))
		if err != nil {
			t.Fatal(name, err)
		}
		by := map[string][]string{}
		for k := range f.Columns {
			by[f.Columns[k].Field.Name] = got[k]
		}
		for i := range 100 {
			some := func(v any) string {
				if i%5 == 3 {
					return "-"
				}
				return fmt.Sprint(v)
			}
			for column, want := range map[string]string{"i32": some(-i), "u64": fmt.Sprint(i % 7), "f": fmt.Sprint(float32(i) / 2), "d": some(float64(i) / 3), "b": some(i%3 == 0), "s": some(strings.Repeat("é", i%4)),
				"by": string([]byte{byte(i)}), "fx": strings.Repeat(fmt.Sprintf("%02x", i), 3), "ts": fmt.Sprint(i), "naive": fmt.Sprint(i), "day": fmt.Sprint(i), "dec": fmt.Sprintf("%010x", 100*i), "tm": fmt.Sprint(i)} {
				if by[column][i] != want {
					t.Fatalf("%s: row %d of %s is %q, want %q", name, i, column, by[column][i], want)
				}
			}
		}
		if at := f.Columns[8].Field.Type; at.ID != arrow.Timestamp || at.Unit != arrow.Microsecond || at.Zone != "UTC" || f.Columns[9].Field.Type.Zone != "" || f.Columns[10].Field.Type.ID != arrow.Date {
			t.Errorf("%s: times are %+v", name, at)
		}

		made := []*arrow.Field{arrow.Int64("n"), arrow.Texts("l")}
		var out bytes.Buffer
		w := NewWriter(&out, f.Columns, nil, f.Metadata)
		withMade := NewWriter(&bytes.Buffer{}, f.Columns, made, nil)
		for g := range f.Groups() {
			n, columns, err := f.Group(g)
			if err == nil {
				err = w.Group(n, columns)
			}
			a, b := arrow.NewColumn(made[0]), arrow.NewColumn(made[1])
			for i := range n {
				a.Int(int64(i))
				b.Texts(slices.Repeat([]string{"x"}, i%3))
			}
			if err == nil {
				err = withMade.Group(n, append(columns, a.Array(), b.Array()))
			}
			if err != nil {
				t.Fatal(name, err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		again, same, err := rows(out.Bytes())
		if err != nil || fmt.Sprint(same) != fmt.Sprint(got) || len(again.Columns) != len(f.Columns) {
			t.Fatalf("%s, written: %v", name, err)
		}
		for k := range again.Columns {
			if again.Columns[k].Field.Type != f.Columns[k].Field.Type {
				t.Errorf("%s: column %d is %+v", name, k, again.Columns[k].Field.Type)
			}
		}
	}
}

func TestRefused(t *testing.T) {
	for name, want := range map[string]string{"nested": "l: is a nested column", "delta": "i32: is encoded as DELTA_BINARY_PACKED"} {
		if _, _, err := rows(file(t, name)); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, b := range [][]byte{nil, []byte("PAR1PAR1PAR1"), bytes.Repeat([]byte("PAR1"), 100)} {
		if _, _, err := rows(b); err == nil {
			t.Errorf("%q is read", b)
		}
	}
}

// TestDamaged: whatever bytes come, they are refused or read, and nothing else happens.
func TestDamaged(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	refused := 0
	for _, name := range []string{"default", "plain2", "gzip", "none2"} {
		whole := file(t, name)
		for range 500 {
			b := bytes.Clone(whole)
			for range 1 + rng.IntN(4) {
				at := rng.IntN(len(b) - 8)
				if rng.IntN(2) == 0 { // in what the file says of itself
					at = len(b) - 9 - rng.IntN(min(len(b)-9, 4000))
				}
				b[at] = byte(rng.Uint32())
			}
			if _, _, err := rows(b); err != nil {
				if refused++; fault.CodeOf(err) != fault.Invalid && fault.CodeOf(err) != fault.TooLarge {
					t.Fatal(err)
				}
			}
		}
	}
	if refused < 400 {
		t.Errorf("%d were refused", refused)
	}
}
