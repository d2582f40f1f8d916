// Package damage puts into people's words what Pebble says when it cannot open or read its files.
package damage

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"

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

// Of gives an error of Pebble a text of one line that names the damaged file, where Pebble knows it, and has
// nothing of Pebble's inside. nil stays nil, and so does what errors.Is and pebble.IsCorruptionError say.
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

// linesMax bounds what is said of many files at once.
const linesMax = 3

// Text is a message of Pebble's in one line, without what it has for its own use.
func Text(message string) string {
	lines := strings.Split(strings.ReplaceAll(message, carrier, ""), "\n")
	kept := lines[:0]
	for _, l := range lines {
		if l = strings.TrimSpace(l); l != "" {
			kept = append(kept, l)
		}
	}
	if more := len(kept) - linesMax; more > 0 {
		kept = append(kept[:linesMax], fmt.Sprintf("and %d more", more))
	}
	return strings.Join(kept, "; ")
}

// Unreadable says whether files could not be read for what the operating system says of them, other than that
// one is not there. What else makes a database that nobody has open fail to open is damage.
func Unreadable(err error) bool {
	var path *fs.PathError
	var number syscall.Errno
	return (errors.As(err, &path) || errors.As(err, &number)) && !errors.Is(err, fs.ErrNotExist)
}

// Permission says whether a file could not be opened for want of permission. A lock that another process holds
// is not that, although some systems have the same number for both.
func Permission(err error) bool {
	var path *fs.PathError
	return errors.As(err, &path) && errors.Is(path, fs.ErrPermission)
}
