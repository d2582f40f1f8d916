// Package damage puts into people's words what Pebble says when it cannot open or read its files.
package damage

import (
	"errors"
	"io/fs"
	"strings"

	"github.com/cockroachdb/pebble/v2"
)

// carrier is what Pebble appends to the message of an error in which it carries the damaged file's name.
const carrier = "<corruption detail carrier>"

// said is an error with another text.
type said struct {
	text string
	err  error
}

func (e *said) Error() string { return e.text }

func (e *said) Unwrap() error { return e.err }

// Of gives an error of Pebble a text that names the damaged file, where Pebble knows it, and has nothing of
// Pebble's inside. nil stays nil, and so does what errors.Is and pebble.IsCorruptionError say.
func Of(err error) error {
	if err == nil {
		return nil
	}
	text := Text(err.Error())
	if info := pebble.ExtractDataCorruptionInfo(err); info != nil && info.Path != "" && !strings.Contains(text, info.Path) {
		text = info.Path + ": " + text
	}
	if text == err.Error() {
		return err
	}
	return &said{text, err}
}

// Text is a message of Pebble's without what it has for its own use.
func Text(message string) string {
	if !strings.Contains(message, carrier) {
		return message
	}
	lines := strings.Split(strings.ReplaceAll(message, carrier, ""), "\n")
	kept := lines[:0]
	for _, l := range lines {
		if strings.TrimSpace(l) != "" {
			kept = append(kept, l)
		}
	}
	return strings.Join(kept, "; ")
}

// Permission says whether a file could not be opened for want of permission. A lock that another process holds
// is not that, although some systems have the same number for both.
func Permission(err error) bool {
	var path *fs.PathError
	return errors.As(err, &path) && errors.Is(path, fs.ErrPermission)
}
