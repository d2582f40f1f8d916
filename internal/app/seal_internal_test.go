package app

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/projectionist/projectionist/internal/fault"
	store "github.com/projectionist/projectionist/internal/secret"
)

// TestSeals: a secret comes back only to who has the key, for what it was sealed for, and is not to be read in what is stored.
func TestSeals(t *testing.T) {
	dir := t.TempDir()
	const secret = "a secret of somebody"
	one := &seals{dir: dir, secrets: &store.Store{}}
	sealed, err := one.Seal("w1", secret)
	if err != nil || strings.Contains(sealed, "secret") {
		t.Fatal(sealed, err)
	}
	if again, err := one.Seal("w1", secret); err != nil || again != sealed {
		t.Error("the same is sealed otherwise", err)
	}
	if other, err := one.Seal("w2", secret); err != nil || other[:20] == sealed[:20] {
		t.Error("of two things the same nonce", err)
	}
	next := &seals{dir: dir, secrets: &store.Store{}} // after a restart
	if got, err := next.Unseal("w1", sealed); got != secret || err != nil {
		t.Error(got, err)
	}
	info, err := os.Stat(filepath.Join(dir, sealFile))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Error(info.Mode(), err)
	}
	for name, s := range map[string]struct {
		by         *seals
		of, sealed string
	}{"of another": {next, "w2", sealed}, "by another key": {&seals{dir: t.TempDir(), secrets: &store.Store{}}, "w1", sealed}, "cut": {next, "w1", sealed[:20]}, "none": {next, "w1", secret}, "changed": {next, "w1", sealed[:30] + "AAAA" + sealed[34:]}} {
		if got, err := s.by.Unseal(s.of, s.sealed); !fault.Is(err, fault.Unavailable) || got != "" {
			t.Errorf("%s: %q %v", name, got, err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, sealFile), []byte("short\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := (&seals{dir: dir, secrets: &store.Store{}}).Seal("w1", secret); !fault.Is(err, fault.Corrupt) {
		t.Error("a key that is cut seals:", err)
	}
	t.Setenv(SealVariable, "given")
	a, err := (&seals{dir: dir, secrets: &store.Store{}}).Seal("w1", secret)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := (&seals{dir: t.TempDir(), secrets: &store.Store{}}).Unseal("w1", a); got != secret || err != nil {
		t.Error("another node with the same key:", got, err)
	}
}
