package mlflow

import (
	"path"
	"strings"
	"unicode"
)

// notInKeys says whether a letter may not stand in the key of a metric, param or tag.
func notInKeys(r rune) bool {
	return !unicode.IsLetter(r) && !unicode.IsMark(r) && !unicode.IsNumber(r) && !strings.ContainsRune("_-.: /", r)
}

// ownPath says whether a name names itself where it is taken for a file's.
func ownPath(name string) bool {
	return name == resolved(name) && name != "." && name[0] != '/' && !strings.HasPrefix(name, "..")
}

// resolved is what a name stands for where it is taken for a file's.
func resolved(name string) string { return path.Clean(name) }

// within says whether a path may be asked for: relative, with forward slashes, and not out of its folder.
func within(name string) bool {
	if strings.ContainsAny(name, "\\\x00") || strings.HasPrefix(name, "/") {
		return false
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == ".." || part == "." {
			return false
		}
	}
	return true
}
