package blob

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"iter"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/projectionist/projectionist/internal/fault"
)

// memory is a remote that can be away.
type memory struct {
	has  map[string][]byte
	away bool
}

var errAway = fault.New(fault.Unavailable, "away")

func (m *memory) String() string { return "memory" }

func (m *memory) Put(_ context.Context, hash string, content *io.SectionReader, size int64) error {
	if m.away {
		return errAway
	}
	b, err := io.ReadAll(content)
	if err != nil || int64(len(b)) != size {
		return errAway
	}
	m.has[hash] = b
	return nil
}

func (m *memory) Get(_ context.Context, hash string) (io.ReadCloser, error) {
	b, ok := m.has[hash]
	switch {
	case m.away:
		return nil, errAway
	case !ok:
		return nil, notHere(hash)
	}
	return io.NopCloser(bytes.NewReader(b)), nil
}

func (m *memory) All(context.Context) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		if m.away {
			yield("", errAway)
			return
		}
		for _, hash := range slices.Sorted(maps.Keys(m.has)) {
			if !yield(hash, nil) {
				return
			}
		}
	}
}

func (m *memory) Remove(_ context.Context, hash string) error { delete(m.has, hash); return nil }

func opened(t *testing.T, r Remote) *Store {
	t.Helper()
	s, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	s.Remote = r
	return s
}

func nameOf(content string) string {
	sum := sha256.Sum256([]byte(content))
	return hex.EncodeToString(sum[:])
}

// TestRemote: what was put is there before it is here, another folder has it from there, and believes only its hash.
func TestRemote(t *testing.T) {
	ctx, there := t.Context(), &memory{has: map[string][]byte{}, away: true}
	s := opened(t, there)
	if _, _, err := s.Put(ctx, strings.NewReader("abc")); !fault.Is(err, fault.Unavailable) {
		t.Fatal("put while the remote is away:", err)
	}
	if s.Has(nameOf("abc")) {
		t.Fatal("it is here, and not there")
	}
	there.away = false
	for range 2 {
		hash, size, err := s.Put(ctx, strings.NewReader("abc"))
		if err != nil || hash != nameOf("abc") || size != 3 || string(there.has[hash]) != "abc" {
			t.Fatal(hash, size, err, there.has)
		}
	}

	second := opened(t, there)
	if err := second.Fetch(ctx, nameOf("abc")); err != nil {
		t.Fatal(err)
	}
	if b, err := second.Get(nameOf("abc")); err != nil || string(b) != "abc" {
		t.Fatal(string(b), err)
	}
	if err := second.Fetch(ctx, nameOf("none")); !fault.Is(err, fault.NotFound) {
		t.Fatal(err)
	}
	there.has[nameOf("true")] = []byte("false")
	if err := second.Fetch(ctx, nameOf("true")); !fault.Is(err, fault.Corrupt) || second.Has(nameOf("true")) || second.Has(nameOf("false")) {
		t.Fatal("what has another hash was believed:", err)
	}
	if err := opened(t, nil).Fetch(ctx, nameOf("abc")); !fault.Is(err, fault.NotFound) {
		t.Fatal(err)
	}
}

// TestMirror: blobs of before there was a remote are given to it, but neither what is not wanted nor what is damaged,
// which holds up nothing.
func TestMirror(t *testing.T) {
	ctx, there := t.Context(), &memory{has: map[string][]byte{}}
	s := opened(t, nil)
	for _, content := range []string{"a", "bb", "ccc", "dddd", "eeeee"} {
		if _, _, err := s.Put(ctx, strings.NewReader(content)); err != nil {
			t.Fatal(err)
		}
	}
	damage(t, s, nameOf("bb"), "b?")
	there.has[nameOf("a")] = []byte("a")
	s.Remote = there
	wanted := func(hash string) bool { return hash != nameOf("ccc") }
	there.away = true
	if put, _, err := s.Mirror(ctx, wanted, func(int, int) {}); put != 0 || !fault.Is(err, fault.Unavailable) {
		t.Fatal(put, err)
	}
	there.away = false
	last := 0
	put, size, err := s.Mirror(ctx, wanted, func(done, total int) {
		if last = done; total != 3 {
			t.Errorf("%d of %d", done, total)
		}
	})
	if put != 2 || size != 9 || last != 3 || !fault.Is(err, fault.Corrupt) {
		t.Fatal(put, size, last, err)
	}
	if want := slices.Sorted(slices.Values([]string{nameOf("a"), nameOf("dddd"), nameOf("eeeee")})); !slices.Equal(slices.Sorted(maps.Keys(there.has)), want) {
		t.Fatal(there.has)
	}
}
