package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
)

// copyRepository makes a clone of the repository at root as it stands: what is changed or new and not ignored comes
// along, what was deleted does not.
func copyRepository(root, to string) error {
	if out, err := exec.Command("git", "clone", "-q", root, to).CombinedOutput(); err != nil {
		return fmt.Errorf("git clone: %w: %s", err, bytes.TrimSpace(out))
	}
	for _, list := range [][]string{
		{"diff", "-z", "--name-only", "--no-renames", "HEAD"}, // staged or not
		{"ls-files", "-z", "--others", "--exclude-standard"},
	} {
		cmd := exec.Command("git", list...)
		cmd.Dir = root
		names, err := cmd.Output()
		if err != nil {
			return fmt.Errorf("git %s: %w", list[0], err)
		}
		for name := range bytes.SplitSeq(names, []byte{0}) {
			if len(name) == 0 {
				continue
			}
			if err := copyFile(filepath.Join(root, string(name)), filepath.Join(to, string(name))); err != nil {
				return err
			}
		}
	}
	return nil
}

// copyFile copies a file and its mode; one that is not there is deleted at the other end.
func copyFile(from, to string) (err error) {
	info, err := os.Lstat(from)
	switch {
	case errors.Is(err, os.ErrNotExist):
		if err := os.Remove(to); !errors.Is(err, os.ErrNotExist) {
			return err
		}
		return nil
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return nil
	}
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, info.Mode().Perm())
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
