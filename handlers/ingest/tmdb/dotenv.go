package tmdb

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"strings"
)

// ReadEnv reads the assignments of a .env file: NAME=value, one a line, with an optional "export ",
// comments after # (in an unquoted value after a blank), and values in single quotes (as they are) or
// double quotes (with \n, \t, \", \\ and \$). It expands no variables. The last assignment wins.
//
// Errors name the line but never its text, which may be a secret.
func ReadEnv(r io.Reader) (map[string]string, error) {
	const bytesMax = 1 << 20 // a file of settings, not of data
	raw, err := io.ReadAll(io.LimitReader(r, bytesMax+1))
	if err != nil {
		return nil, fmt.Errorf(".env: %w", err)
	}
	if len(raw) > bytesMax {
		return nil, fmt.Errorf(".env: more than %d bytes", bytesMax)
	}
	values := map[string]string{}
	lines := bufio.NewScanner(bytes.NewReader(bytes.TrimPrefix(raw, []byte("\xef\xbb\xbf"))))
	lines.Buffer(nil, bytesMax+1)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		if rest, ok := strings.CutPrefix(line, "export"); ok && rest != "" && (rest[0] == ' ' || rest[0] == '\t') {
			line = strings.TrimSpace(rest)
		}
		name, text, ok := strings.Cut(line, "=")
		name = strings.TrimSpace(name)
		if !ok || !isName(name) {
			return nil, fmt.Errorf(".env, line %d: expected NAME=value", n)
		}
		value, err := envValue(strings.TrimSpace(text))
		if err != nil {
			return nil, fmt.Errorf(".env, line %d, %s: %w", n, name, err)
		}
		values[name] = value
	}
	return values, lines.Err()
}

func isName(s string) bool {
	for i, c := range s {
		letter := c == '_' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != ""
}

func envValue(text string) (string, error) {
	if text == "" || text[0] == '#' {
		return "", nil
	}
	quote := text[0]
	if quote != '"' && quote != '\'' {
		for i := 1; i < len(text); i++ {
			if text[i] == '#' && (text[i-1] == ' ' || text[i-1] == '\t') {
				return strings.TrimSpace(text[:i]), nil
			}
		}
		return text, nil
	}
	var value strings.Builder
	for i := 1; i < len(text); i++ {
		c := text[i]
		switch {
		case c == quote:
			if rest := strings.TrimSpace(text[i+1:]); rest != "" && rest[0] != '#' {
				return "", fmt.Errorf("expected nothing but a comment after the closing %c", quote)
			}
			return value.String(), nil
		case c == '\\' && quote == '"' && i+1 < len(text):
			i++
			switch text[i] {
			case 'n':
				value.WriteByte('\n')
			case 't':
				value.WriteByte('\t')
			case '"', '\\', '$':
				value.WriteByte(text[i])
			default:
				value.WriteByte('\\')
				value.WriteByte(text[i])
			}
		default:
			value.WriteByte(c)
		}
	}
	return "", fmt.Errorf("expected a closing %c", quote)
}
