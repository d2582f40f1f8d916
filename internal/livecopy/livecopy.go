// Package livecopy gives tests a folder of a program as a kill would leave it.
package livecopy

import (
	"errors"
	"io/fs"
	"os"
	"testing"
)

// Copy copies the folder of a program that goes on. A file that is written anew meanwhile has another name by then: the copy is made again.
func Copy(t testing.TB, to, live string) {
	t.Helper()
	var err error
	for range 100 {
		if err = os.CopyFS(to, os.DirFS(live)); err == nil {
			return
		}
		if !errors.Is(err, fs.ErrNotExist) {
			break
		}
		if err := os.RemoveAll(to); err != nil {
			t.Fatal(err)
		}
	}
	t.Fatal(err)
}
