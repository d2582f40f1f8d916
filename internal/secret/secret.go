// Package secret gives secrets by name, from the environment, a file or a directory, and masks their values in texts.
package secret

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/projectionist/projectionist/internal/fault"
)

const (
	// VariablePrefix begins the names of environment variables that hold secrets for workflows: PROJECTIONIST_SECRET_NAME. No other
	// variable can be named in a definition, so that one cannot send the program's own away.
	VariablePrefix = "PROJECTIONIST_SECRET_"
	// ownPrefix begins the program's own settings, which the file may have too, and no definition.
	ownPrefix = "PROJECTIONIST_"

	// bytesMin is the shortest secret: a shorter one would mask half of what is said.
	bytesMin = 4
	// BytesMax is the longest: a key with its certificates.
	BytesMax = 16 << 10
	// Masked is what stands in a text for a secret.
	Masked = "***"
)

// Name is what a secret may be called.
var Name = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]{0,99}$`)

// Store knows the secrets of a program. It is safe for concurrent use; its zero value has those of the environment.
type Store struct {
	path  string
	parse func(io.Reader) (map[string]string, error)

	mu     sync.Mutex
	hidden map[string]bool
	mask   *strings.Replacer // of hidden; nil when there are others
}

// Open reads the secrets at a path: a directory with a file for each, as containers mount them, or a file that parse reads;
// "" for none. They are read again whenever one is asked for. Errors: fault.Invalid for a path that cannot be read.
func Open(path string, parse func(io.Reader) (map[string]string, error)) (*Store, error) {
	s := &Store{path: path, parse: parse}
	all, err := s.read()
	if err != nil {
		return nil, err
	}
	for _, value := range all {
		s.Hide(value)
	}
	for _, v := range os.Environ() {
		if name, value, _ := strings.Cut(v, "="); strings.HasPrefix(name, VariablePrefix) {
			s.Hide(value)
		}
	}
	return s, nil
}

// Get gives the secret that definitions call so: of the environment variable with [VariablePrefix] before its name, else of the
// file or directory. Errors: fault.Invalid where there is none, or one that is too short or long; none holds a value.
func (s *Store) Get(name string) (string, error) {
	if !Name.MatchString(name) || strings.HasPrefix(name, ownPrefix) {
		return "", fault.New(fault.Invalid, "no secret can be called %q", name).WithHint("use letters, digits, _, - and ., not with %s before them", ownPrefix)
	}
	value, err := s.find(name, VariablePrefix+name)
	switch {
	case err != nil:
		return "", err
	case value == "":
		return "", fault.New(fault.Invalid, "there is no secret %s", name).
			WithHint("set %s%s, or start with --secrets and a file or directory that has it", VariablePrefix, name)
	case len(value) < bytesMin || len(value) > BytesMax:
		return "", fault.New(fault.Invalid, "the secret %s has %d bytes; want %d to %d, so that it can be masked", name, len(value), bytesMin, BytesMax)
	}
	return value, nil
}

// Setting gives a setting of the program's own that is a secret: of the environment variable of its name, else as [Store.Get]
// does; "" where there is none.
func (s *Store) Setting(name string) (string, error) { return s.find(name, name) }

func (s *Store) find(name, variable string) (string, error) {
	value := os.Getenv(variable)
	if value == "" {
		all, err := s.read()
		if err != nil {
			return "", err
		}
		value = all[name]
	}
	s.Hide(value)
	return value, nil
}

// read reads the file or directory.
func (s *Store) read() (map[string]string, error) {
	if s.path == "" {
		return nil, nil
	}
	info, err := os.Stat(s.path)
	if err != nil {
		return nil, unreadable(err)
	}
	if info.IsDir() {
		return readDir(s.path)
	}
	if info.Size() > 1<<20 {
		return nil, fault.New(fault.Invalid, "the file of secrets has %d bytes; the most is a MiB", info.Size())
	}
	f, err := os.Open(s.path)
	if err != nil {
		return nil, unreadable(err)
	}
	defer f.Close() //nolint:errcheck // read only
	all, err := s.parse(f)
	if err != nil {
		return nil, fault.New(fault.Invalid, "the file of secrets: %v", err)
	}
	return all, nil
}

func unreadable(err error) error {
	return fault.Wrap(fault.Invalid, err, "the secrets cannot be read")
}

// readDir reads a directory with a file for each secret. An end of line after one is not part of it.
func readDir(path string) (map[string]string, error) {
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, unreadable(err)
	}
	all := map[string]string{}
	var errs []error
	for _, e := range entries {
		file := filepath.Join(path, e.Name())
		info, err := os.Stat(file) // of what a link leads to
		if err != nil || !info.Mode().IsRegular() || !Name.MatchString(e.Name()) {
			continue
		}
		if info.Size() > BytesMax+2 {
			errs = append(errs, fault.New(fault.Invalid, "the secret %s has %d bytes; the most is %d", e.Name(), info.Size(), BytesMax))
			continue
		}
		b, err := os.ReadFile(file)
		if err != nil {
			errs = append(errs, unreadable(err))
			continue
		}
		all[e.Name()] = strings.TrimSuffix(strings.TrimSuffix(string(b), "\n"), "\r")
	}
	return all, errors.Join(errs...)
}

// Hide has a value masked from now on, also when its place has another by then; one that is too short is not.
func (s *Store) Hide(value string) {
	if len(value) < bytesMin {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.hidden[value] {
		return
	}
	if s.hidden == nil {
		s.hidden = map[string]bool{}
	}
	s.hidden[value], s.mask = true, nil
}

// Mask is a text with [Masked] in place of each value that is hidden, as it is, as it stands in an address, in JSON or in base64;
// of one of several lines each line too.
func (s *Store) Mask(text string) string {
	s.mu.Lock()
	if s.mask == nil {
		s.mask = replacer(s.hidden)
	}
	mask := s.mask
	s.mu.Unlock()
	return mask.Replace(text)
}

func replacer(hidden map[string]bool) *strings.Replacer {
	forms := map[string]bool{}
	for value := range hidden {
		parts := []string{value, strings.TrimSpace(value)}
		if lines := strings.FieldsFunc(value, func(r rune) bool { return r == '\n' || r == '\r' }); len(lines) > 1 {
			parts = append(parts, lines...)
		}
		for _, part := range parts {
			if len(part) < bytesMin {
				continue
			}
			quoted, err := json.Marshal(part)
			if err == nil {
				forms[string(quoted[1:len(quoted)-1])] = true
			}
			for _, form := range []string{part, url.QueryEscape(part), url.PathEscape(part), strings.TrimRight(base64.StdEncoding.EncodeToString([]byte(part)), "=")} {
				forms[form] = true
			}
		}
	}
	longest := slices.SortedFunc(maps.Keys(forms), func(a, b string) int { return cmp.Or(len(b)-len(a), strings.Compare(a, b)) })
	var pairs []string
	for _, form := range longest {
		pairs = append(pairs, form, Masked)
	}
	return strings.NewReplacer(pairs...)
}
