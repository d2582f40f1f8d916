package varint_test

import (
	"bytes"
	"encoding/binary"
	"math"
	"testing"

	"github.com/projectionist/projectionist/streams/internal/varint"
)

func FuzzVarint(f *testing.F) {
	for _, v := range []int64{0, 1, -1, 63, 64, -64, -65, 300, math.MaxInt64, math.MinInt64} {
		f.Add(v, []byte{0x80, 0x00})
	}
	f.Add(int64(7), []byte{0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x02})
	f.Add(int64(7), []byte{0x80})
	f.Fuzz(func(t *testing.T, v int64, raw []byte) {
		b := append(binary.AppendVarint(nil, v), raw...)
		for name, cut := range map[string]func([]byte) (int64, []byte, bool){"Cut": varint.Cut, "CutShortest": varint.CutShortest} {
			if got, rest, ok := cut(b); !ok || got != v || !bytes.Equal(rest, raw) {
				t.Fatalf("%s(%x) is %d, %x, %v; want %d, %x", name, b, got, rest, ok, v, raw)
			}
		}
		if got, rest, ok := varint.CutShortest(raw); ok && !bytes.Equal(append(binary.AppendVarint(nil, got), rest...), raw) {
			t.Fatalf("%x is read as %d and written otherwise", raw, got)
		}
		if want, n := binary.Varint(raw); n > 0 {
			if got, rest, ok := varint.Cut(raw); !ok || got != want || len(rest) != len(raw)-n {
				t.Fatalf("Cut(%x) is %d, %x, %v; want %d", raw, got, rest, ok, want)
			}
		} else if _, _, ok := varint.Cut(raw); ok {
			t.Fatalf("Cut takes %x", raw)
		}

		v &= math.MaxInt64
		b = append(binary.AppendUvarint(nil, uint64(v)), raw...)
		if varint.CountSize(uint64(v)) != len(b)-len(raw) {
			t.Fatalf("CountSize(%d) is %d; want %d", v, varint.CountSize(uint64(v)), len(b)-len(raw))
		}
		if got, rest, ok := varint.CutCount(b); !ok || got != v || !bytes.Equal(rest, raw) {
			t.Fatalf("CutCount(%x) is %d, %x, %v; want %d, %x", b, got, rest, ok, v, raw)
		}
		if got, rest, ok := varint.CutCount(raw); ok && !bytes.Equal(append(binary.AppendUvarint(nil, uint64(got)), rest...), raw) {
			t.Fatalf("%x is read as %d and written otherwise", raw, got)
		}
	})
}
