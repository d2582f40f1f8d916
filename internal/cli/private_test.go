//go:build unix

package cli

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The program makes a data folder, and a backup of one, that nobody but its owner can read, whatever the user's umask
// is. A folder that others could enter is closed to them, and that is said once.
func TestFolderIsPrivate(t *testing.T) {
	t.Chdir(t.TempDir())
	dir, backup := filepath.Join(t.TempDir(), "data"), filepath.Join(t.TempDir(), "backup")
	run := func(args ...string) string {
		t.Helper()
		cmd := exec.Command("sh", append([]string{"-c", `umask 022; exec "$0" "$@"`, os.Args[0]}, append(args, "--dir", dir)...)...)
		cmd.Env = append(os.Environ(), childVariable+"=1")
		var said strings.Builder
		cmd.Stderr = &said
		if out, err := cmd.Output(); err != nil {
			t.Fatalf("%v: %v: %s%s", args, err, out, said.String())
		}
		return said.String()
	}
	private := func(dir string) {
		t.Helper()
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := d.Info()
			if err != nil {
				return err
			}
			if info.Mode().Perm()&0o077 != 0 {
				t.Errorf("%s has mode %v", path, info.Mode())
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	run("simulate", "--users", "3", "--movies", "2", "--events", "9")
	run("workflows", "run", "movie_training_pipeline", "--follow")
	run("backup", "--to", backup)
	private(dir)
	private(backup)
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if said := run("log", "topics"); !strings.Contains(said, "closed to them") || !strings.Contains(said, dir) {
		t.Errorf("it says %q", said)
	}
	private(dir)
	if said := run("log", "topics"); strings.Contains(said, "closed to them") {
		t.Errorf("it says again %q", said)
	}
}
