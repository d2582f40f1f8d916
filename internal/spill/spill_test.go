package spill

import (
	"bytes"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/projectionist/projectionist/internal/fault"
)

func left(t *testing.T, dir string) int {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return len(entries)
}

func TestFile(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, c := range []struct{ memory, size int }{{1 << 20, 0}, {1 << 20, 1000}, {1000, 1000}, {1000, 1001}, {1, 300}, {1000, 1 << 20}} {
		dir := filepath.Join(t.TempDir(), "scratch")
		f := NewFile(dir, c.memory)
		want := make([]byte, c.size)
		for i := range want {
			want[i] = byte(rng.Uint32())
		}
		for rest := want; len(rest) > 0; {
			n := min(len(rest), rng.IntN(3000))
			if written, err := f.Write(rest[:n]); err != nil || written != n {
				t.Fatal(written, err)
			}
			rest = rest[n:]
		}
		for range 2 {
			if got, err := io.ReadAll(f.Open()); err != nil || !bytes.Equal(got, want) || f.Size() != int64(c.size) {
				t.Errorf("%+v: %d bytes, %v", c, len(got), err)
			}
		}
		for range 100 {
			at, b := rng.IntN(c.size+2), make([]byte, rng.IntN(2000))
			n, err := f.ReadAt(b, int64(at))
			rest := want[min(at, c.size):]
			if whole := len(b) <= len(rest); n != min(len(b), len(rest)) || !bytes.Equal(b[:n], rest[:n]) || whole != (err == nil) || !whole && err != io.EOF {
				t.Fatalf("%+v: %d of %d bytes at %d: %v", c, n, len(b), at, err)
			}
		}
		if onDisk := left(t, dir) > 0; onDisk != (c.size > c.memory) {
			t.Errorf("%+v: on the disk: %v", c, onDisk)
		}
		if err := f.Close(); err != nil || left(t, dir) > 0 {
			t.Errorf("%+v: %v, %d files left", c, err, left(t, dir))
		}
	}
}

func TestSorter(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for _, c := range []struct {
		memory, records, size int
		spills                bool
	}{{1 << 20, 0, 0, false}, {1 << 20, 1000, 30, false}, {0, 100_000, 30, true}, {3 * blockBytes, 100_000, 30, true}, {0, 5, blockBytes + 1, true}, {0, 100_000, 0, true}} {
		dir := filepath.Join(t.TempDir(), "scratch")
		s := NewSorter(dir, c.memory)
		var want [][]byte
		for range c.records {
			record := make([]byte, rng.IntN(c.size+1))
			for i := range record {
				record[i] = byte(rng.IntN(3)) // many share their first bytes
			}
			want = append(want, bytes.Clone(record))
			if err := s.Add(record); err != nil {
				t.Fatal(err)
			}
			clear(record)
		}
		slices.SortFunc(want, bytes.Compare)
		for i := range want {
			if got, err := s.Next(); err != nil || !bytes.Equal(got, want[i]) {
				t.Fatalf("%+v: record %d is %x, %v; want %x", c, i, got, err, want[i])
			}
		}
		for range 2 {
			if _, err := s.Next(); err != io.EOF {
				t.Errorf("%+v: behind the last: %v", c, err)
			}
		}
		if spilled := s.Bytes() > 0; spilled != c.spills || spilled != (left(t, dir) > 0) {
			t.Errorf("%+v: %d bytes on the disk in %d files", c, s.Bytes(), left(t, dir))
		}
		if err := s.Close(); err != nil || left(t, dir) > 0 {
			t.Errorf("%+v: %v, %d files left", c, err, left(t, dir))
		}
	}
}

// TestUnwritable: a scratch folder that cannot be had is told.
func TestUnwritable(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(dir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	f, s := NewFile(dir, 10), NewSorter(dir, 0)
	if n, err := f.Write(make([]byte, 20)); n != 10 || !fault.Is(err, fault.Unavailable) {
		t.Error(n, err)
	}
	var err error
	for i := uint64(0); err == nil && i < 10_000_000; i++ {
		err = s.Add(binary.BigEndian.AppendUint64(nil, i))
	}
	if !fault.Is(err, fault.Unavailable) {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func BenchmarkSorter(b *testing.B) {
	rng := rand.New(rand.NewPCG(5, 6))
	record := make([]byte, 500)
	for b.Loop() {
		s := NewSorter(b.TempDir(), 16<<20)
		for range 200_000 {
			binary.BigEndian.PutUint64(record, rng.Uint64())
			if err := s.Add(record); err != nil {
				b.Fatal(err)
			}
		}
		for {
			if _, err := s.Next(); err != nil {
				break
			}
		}
		s.Close()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/200_000, "ns/record")
}
