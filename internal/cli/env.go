package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"

	"github.com/hashicorp/go-envparse"
)

// readEnvFile sets what a .env file assigns and the environment does not have yet.
func readEnvFile(path string) error {
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() { // a pipe would be waited for for ever
		return nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil // not ours to read
	}
	defer f.Close()
	values, err := readEnv(f)
	if err != nil {
		return err
	}
	for name, value := range values {
		if _, set := os.LookupEnv(name); !set {
			if err := os.Setenv(name, value); err != nil {
				return fmt.Errorf(".env: %s: %w", name, err)
			}
		}
	}
	return nil
}

// readEnv reads the assignments of a .env file: NAME=value, one a line, with an optional "export ", comments
// after # (in an unquoted value after a blank), and values in single quotes (as they are) or double quotes
// (with JSON's escapes). It expands no variables: a password may hold a $. The last assignment wins.
//
// Errors name the line but never its text, which may be a secret.
func readEnv(r io.Reader) (map[string]string, error) {
	const bytesMax = 1 << 20 // a file of settings, not of data
	raw, err := io.ReadAll(io.LimitReader(r, bytesMax+1))
	if err != nil {
		return nil, fmt.Errorf(".env: %w", err)
	}
	if len(raw) > bytesMax {
		return nil, fmt.Errorf(".env: more than %d bytes", bytesMax)
	}
	lines := strings.Split(strings.TrimPrefix(string(raw), "\ufeff"), "\n")
	for i, line := range lines {
		if afterQuote.MatchString(line) {
			return nil, fmt.Errorf(".env, line %d: expected nothing but a comment after the closing quote", i+1)
		}
		lines[i] = quoteSigns(line)
	}
	values, err := envparse.Parse(strings.NewReader(strings.Join(lines, "\n")))
	var parse *envparse.ParseError
	if errors.As(err, &parse) {
		return nil, fmt.Errorf(".env, line %d: expected NAME=value: %w", parse.Line, parse.Err)
	}
	return values, err
}

// afterQuote matches a line that goes on after its quoted value, which the parser would append.
var afterQuote = regexp.MustCompile(`^[^#=]*=\s*(?:'[^']*'|"(?:\\.|[^"\\])*")\s*[^#\s]`)

// quoteSigns puts into quotes what is no comment: the parser takes every # of an unquoted value for the
// beginning of one, and a password would end there.
func quoteSigns(line string) string {
	name, value, ok := strings.Cut(line, "=")
	if !ok {
		return line
	}
	comment := ""
	if at := comments.FindStringIndex(value); at != nil {
		value, comment = value[:at[0]], value[at[0]:]
	}
	if strings.ContainsAny(value, `'"`) {
		return line
	}
	return name + "=" + strings.ReplaceAll(value, "#", "'#'") + comment
}

// comments matches where one begins, in a value without quotes.
var comments = regexp.MustCompile(`(^|[ \t])#`)
