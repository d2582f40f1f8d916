package blob

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/projectionist/projectionist/internal/fault"
)

func TestPutGet(t *testing.T) {
	s, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	hash, size, err := s.Put(strings.NewReader("abc"))
	if err != nil || size != 3 || hash != "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" {
		t.Fatal(hash, size, err)
	}
	if again, _, err := s.Put(strings.NewReader("abc")); err != nil || again != hash {
		t.Fatal(again, err)
	}
	if b, err := s.Get(hash); err != nil || !bytes.Equal(b, []byte("abc")) {
		t.Fatal(b, err)
	}
	if _, err := s.Get(strings.Repeat("0", 64)); !fault.Is(err, fault.NotFound) {
		t.Fatal(err)
	}
	if _, err := s.Get("../../etc/passwd"); !fault.Is(err, fault.Invalid) {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.path(hash), []byte("abd"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Get(hash); !fault.Is(err, fault.Corrupt) {
		t.Fatal(err)
	}
}

func TestSweep(t *testing.T) {
	s, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	kept, _, _ := s.Put(strings.NewReader("kept"))
	orphan, _, _ := s.Put(strings.NewReader("orphan"))
	named := func(h string) bool { return h == kept }
	if n, _, err := s.Sweep(named, time.Now(), time.Hour); err != nil || n != 0 {
		t.Fatal("swept within the grace period", n, err)
	}
	if n, b, err := s.Sweep(named, time.Now().Add(2*time.Hour), time.Hour); err != nil || n != 1 || b != 6 {
		t.Fatal(n, b, err)
	}
	if !s.Has(kept) || s.Has(orphan) {
		t.Fatal("wrong blob swept")
	}
}
