package fold

import (
	"bytes"
	"cmp"
	"slices"
	"strings"
	"testing"
)

var oddIDs = []string{"0", "1", "9", "10", "255", "256", "65536", "9999999999999999999", "18446744073709551615", "99999999999999999999999",
	"", "00", "01", "a", "b", "ab", "a\x00b", "a\x00", "\x00", "\x00\x01", "\x00\xff", "anna", "ann", "tt0114709", "7 ", "-1", "é"}

func TestIDPart(t *testing.T) {
	for _, a := range oddIDs {
		p := KeyParts{b: Key{}.ID(a).Number(77)}
		if got := p.ID(); got != a || p.Number() != 77 || p.Err() != nil || len(p.b) != 0 {
			t.Errorf("ID(%q) reads back as %q (%v)", a, got, p.Err())
		}
		for _, b := range oddIDs {
			if a != b && bytes.HasPrefix(Key{}.ID(b), Key{}.ID(a)) {
				t.Errorf("the key of %q begins that of %q", a, b)
			}
		}
	}
}

func TestNumberPartSorts(t *testing.T) {
	ns := []uint64{0, 1, 255, 256, 65535, 65536, 1 << 40, 1<<64 - 1}
	if !slices.IsSortedFunc(ns, func(a, b uint64) int { return cmp.Or(bytes.Compare(Key{}.Number(a), Key{}.Number(b))) }) {
		t.Error("numbers do not sort by value")
	}
}

func FuzzParts(f *testing.F) {
	for _, s := range append(oddIDs, "00000000-0000-4000-8000-00000000000a", "00000000-0000-4000-8000-00000000000A", "deadbeef", "deadbee", strings.Repeat("0f", 300)) {
		f.Add(s, uint64(len(s)))
	}
	f.Fuzz(func(t *testing.T, s string, n uint64) {
		p := KeyParts{b: Key{}.ID(s).EventID(s).Text(s).Uvarint(n).Number(n).EventID(s)}
		if id, ev, text := p.ID(), p.EventID(), string(p.Text()); id != s || ev != s || text != s {
			t.Fatalf("%q reads back as %q, %q, %q", s, id, ev, text)
		}
		if p.Uvarint() != n || p.Number() != n || p.EventID() != s || p.Err() != nil || len(p.b) != 0 {
			t.Fatalf("%d or %q do not read back", n, s)
		}
		// Arbitrary bytes never panic, and never read past the end.
		q := KeyParts{b: []byte(s)}
		q.ID()
		q.EventID()
		q.Text()
		q.Uvarint()
		q.Number()
		q.Byte()
	})
}

func TestEventIDIsCompact(t *testing.T) {
	for id, size := range map[string]int{"00000000-0000-4000-8000-00000000000a": 17, strings.Repeat("ab", 16): 18, "plain": 7} {
		if got := len(Key{}.EventID(id)); got != size {
			t.Errorf("event id %q takes %d bytes; want %d", id, got, size)
		}
	}
}
