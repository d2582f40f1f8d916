package api

import (
	"os"
	"path/filepath"

	"github.com/projectionist/projectionist/internal/fault"
)

// NewFolder looks at a folder of this machine that a request wants something written into: it is empty or not there,
// and apart from the data folder, whatever links lead there. Errors are fault.Invalid and name the field.
func NewFolder(field, path, data string) error {
	if !filepath.IsAbs(path) {
		return fault.Field(field, "%q is not absolute: it would be under the server's own folder", Short(path))
	}
	if err := Apart(field, path, data); err != nil {
		return err
	}
	entries, err := os.ReadDir(path)
	switch {
	case os.IsNotExist(err):
		return nil
	case err != nil:
		return fault.Field(field, "%v", err)
	case len(entries) > 0:
		return fault.Field(field, "%s is not empty", Short(path)).WithHint("give a new folder")
	}
	return nil
}

// Apart refuses a folder that is the data folder, is in it, or holds it: what copies the one would copy what it has
// copied, and what empties a part of it would empty the other. A program without a data folder has none to refuse.
func Apart(field, path, data string) error {
	if data == "" {
		return nil
	}
	target, err := resolved(path)
	if err != nil {
		return fault.Field(field, "%v", err)
	}
	if data, err = resolved(data); err != nil {
		return fault.Wrap(fault.Unavailable, err, "the data folder cannot be found")
	}
	switch {
	case within(target, data):
		return fault.Field(field, "%s is the data folder %s, or in it", Short(path), data).WithHint("give one that is elsewhere")
	case within(data, target):
		return fault.Field(field, "%s holds the data folder %s", Short(path), data).WithHint("give one that is elsewhere")
	}
	return nil
}

// resolved is a path without links, as far as there is anything at it.
func resolved(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	rest := ""
	for {
		real, err := filepath.EvalSymlinks(path)
		if err == nil {
			return filepath.Join(real, rest), nil
		}
		if _, lerr := os.Lstat(path); lerr == nil || !os.IsNotExist(err) || filepath.Dir(path) == path {
			return "", err // such as a link that leads nowhere: what is made behind it may be anywhere
		}
		path, rest = filepath.Dir(path), filepath.Join(filepath.Base(path), rest)
	}
}

// within says whether a folder is another one or below it, by what they are and not only by their names.
func within(path, folder string) bool {
	is, err := os.Stat(folder)
	for {
		if path == folder {
			return true
		}
		if at, serr := os.Stat(path); err == nil && serr == nil && os.SameFile(at, is) {
			return true
		}
		up := filepath.Dir(path)
		if up == path {
			return false
		}
		path = up
	}
}
