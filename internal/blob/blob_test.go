package blob

import (
	"bytes"
	"context"
	"errors"
	"io"
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
	hash, size, err := s.Put(t.Context(), strings.NewReader("abc"))
	if err != nil || size != 3 || hash != "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" {
		t.Fatal(hash, size, err)
	}
	if again, _, err := s.Put(t.Context(), strings.NewReader("abc")); err != nil || again != hash {
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

// damage puts other bytes in a blob's place.
func damage(t *testing.T, s *Store, hash, content string) {
	t.Helper()
	if err := os.WriteFile(s.path(hash), []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestPut_Damaged(t *testing.T) {
	s, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	hash, _, err := s.Put(t.Context(), strings.NewReader("abc"))
	if err != nil {
		t.Fatal(err)
	}
	for _, content := range []string{"abd", "ab", "abcd", ""} {
		damage(t, s, hash, content)
		if _, err := s.Check(t.Context(), hash); !fault.Is(err, fault.Corrupt) || !strings.Contains(err.Error(), "models rebuild") {
			t.Errorf("%q is not told: %v", content, err)
		}
		if f, err := s.Open(t.Context(), hash); !fault.Is(err, fault.Corrupt) {
			t.Errorf("%q opens: %v, %v", content, f, err)
		}
		if again, size, err := s.Put(t.Context(), strings.NewReader("abc")); err != nil || again != hash || size != 3 {
			t.Fatal(again, size, err)
		}
		if b, err := s.Get(hash); err != nil || string(b) != "abc" {
			t.Errorf("%q was not replaced: %q, %v", content, b, err)
		}
	}
}

func TestCheck(t *testing.T) {
	s, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	content := strings.Repeat("0123456789abcdef", 1<<16) // more than is read at once
	hash, _, err := s.Put(t.Context(), strings.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	if size, err := s.Check(t.Context(), hash); err != nil || size != int64(len(content)) {
		t.Error(size, err)
	}
	f, err := s.Open(t.Context(), hash)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if b, err := io.ReadAll(f); err != nil || string(b) != content {
		t.Errorf("%d bytes, %v", len(b), err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Check(gone, hash); !errors.Is(err, context.Canceled) {
		t.Errorf("a check that nobody waits for: %v", err)
	}
	if _, err := s.Check(t.Context(), strings.Repeat("0", 64)); !fault.Is(err, fault.NotFound) {
		t.Error(err)
	}
}

// TestCopyTo: what is damaged in the other store is replaced; what is damaged here is not handed on.
func TestCopyTo(t *testing.T) {
	from, to := t.TempDir(), t.TempDir()
	s, err := Open(from)
	if err != nil {
		t.Fatal(err)
	}
	other, err := Open(to)
	if err != nil {
		t.Fatal(err)
	}
	var hashes []string
	for _, content := range []string{"one", "two", "three"} {
		hash, _, err := s.Put(t.Context(), strings.NewReader(content))
		if err != nil {
			t.Fatal(err)
		}
		hashes = append(hashes, hash)
	}
	if put, size, err := s.CopyTo(t.Context(), other); err != nil || put != 3 || size != 11 {
		t.Fatal(put, size, err)
	}
	damage(t, other, hashes[2], "thref")
	if put, size, err := s.CopyTo(t.Context(), other); err != nil || put != 1 || size != 5 {
		t.Fatal(put, size, err)
	}
	if b, err := other.Get(hashes[2]); err != nil || string(b) != "three" {
		t.Fatal(string(b), err)
	}
	damage(t, s, hashes[0], "onf")
	damage(t, other, hashes[0], "onf")
	if _, _, err := s.CopyTo(t.Context(), other); !fault.Is(err, fault.Corrupt) {
		t.Fatal(err)
	}
}

func TestSweep(t *testing.T) {
	s, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	kept, _, _ := s.Put(t.Context(), strings.NewReader("kept"))
	orphan, _, _ := s.Put(t.Context(), strings.NewReader("orphan"))
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
