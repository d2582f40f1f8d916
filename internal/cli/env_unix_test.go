//go:build unix

package cli

import (
	"path/filepath"
	"syscall"
	"testing"
)

// A .env that is no file is none, and nobody waits for it.
func TestEnvPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), ".env")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := readEnvFile(path); err != nil {
		t.Error(err)
	}
}
