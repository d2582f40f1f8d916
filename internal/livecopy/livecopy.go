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
	for {
		err := os.CopyFS(to, os.DirFS(live))
		switch {
		case err == nil:
			return
		case !errors.Is(err, fs.ErrNotExist) || t.Context().Err() != nil:
			t.Fatal(err)
		}
		if err := os.RemoveAll(to); err != nil {
			t.Fatal(err)
		}
	}
}
