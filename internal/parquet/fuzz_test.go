package parquet

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/projectionist/projectionist/internal/arrow"
	"github.com/projectionist/projectionist/internal/fault"
)

// FuzzRows: whatever a file says, it is read to its last cell or refused.
func FuzzRows(f *testing.F) {
	names, err := filepath.Glob("testdata/*.parquet")
	if err != nil || len(names) == 0 {
		f.Fatal(names, err)
	}
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, _, err := rows(b); err != nil && fault.CodeOf(err) == fault.Internal {
			t.Fatal(err)
		}
	})
}

// TestDeep: a footer that nests lists in lists, each a byte, is refused; it was the end of the process.
func TestDeep(t *testing.T) {
	for _, head := range []byte{0x19, 0x1b, 0x1a} { // a list of one list, a list of one map, a list of one set
		footer := append([]byte{0x19}, bytes.Repeat([]byte{head}, 4<<20)...)
		b := append(append([]byte(magic), footer...), byte(len(footer)), byte(len(footer)>>8), byte(len(footer)>>16), byte(len(footer)>>24))
		b = append(b, magic...)
		if _, err := Open(bytes.NewReader(b), int64(len(b))); err == nil || fault.CodeOf(err) != fault.Invalid {
			t.Errorf("%x: %v", head, err)
		}
	}
}

// TestVast: a dictionary that says more values than can be counted is refused.
func TestVast(t *testing.T) {
	for _, physical := range []int64{tyInt64, tyByteArray, tyBoolean} {
		c := Column{Field: &arrow.Field{Name: "x"}, physical: physical}
		for _, n := range []int{-1, 9, 1 << 61, 1 << 62, 1<<63 - 1} {
			budget := int64(groupBytesMax)
			err := func() (err error) {
				defer recovered(&err)
				(&decoder{c: &c, budget: &budget}).plain([]byte{0}, n)
				return nil
			}()
			if err == nil {
				t.Errorf("type %d: %d values of one byte", physical, n)
			}
		}
	}
}
