package events

// The JSON of an interaction, in both directions: an import writes millions of them and a replay reads them
// again, so the common shape has a writer and a reader of its own. Both give what encoding/json gives.

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"strconv"
	"unicode/utf8"
)

// ParseInteraction reads the flat JSON of an interaction into *into, which it overwrites, and makes the
// ids canonical. Ids may be strings or non-negative whole numbers; unknown fields are passed over, as
// clients of the topic add their own. It checks the shape only: call [Interaction.Validate] too.
//
// The strings of the result share one copy of raw, so that a parse costs a single allocation: clone an
// id that outlives the interaction. An error is a [*FieldError] where it can name the field; *into is
// then of no use.
//
// Anything unusual (escapes, letters outside ASCII, null, unknown fields, exponents) is left to encoding/json.
func ParseInteraction(raw []byte, into *Interaction) error {
	if parseInteractionFast(raw, into) {
		return nil
	}
	return parseInteractionSlow(raw, into)
}

// parse lets [Decode] read an interaction by the same rules.
func (i *Interaction) parse(raw json.RawMessage) error { return ParseInteraction(raw, i) }

func parseInteractionFast(raw []byte, into *Interaction) bool {
	s := string(raw)
	*into = Interaction{}
	i := skipSpace(s, 0)
	if i == len(s) || s[i] != '{' {
		return false
	}
	for {
		key, j := plainString(s, skipSpace(s, i+1))
		if j < 0 {
			return false
		}
		if j = skipSpace(s, j); j == len(s) || s[j] != ':' {
			return false
		}
		i = skipSpace(s, j+1)
		switch key {
		case "user_id":
			into.UserID, i = plainID(s, i)
			into.UserID = CanonicalUser(into.UserID)
		case "movie_id":
			into.MovieID, i = plainID(s, i)
			into.MovieID = CanonicalMovie(into.MovieID)
		case "interaction_type":
			into.Kind, i = plainString(s, i)
		case "timestamp":
			into.Timestamp, i = plainString(s, i)
		case "rating":
			into.Rating, i = plainDecimal(s, i)
		case "session_id":
			into.SessionID, i = plainString(s, i)
		default:
			return false
		}
		if i < 0 {
			return false
		}
		if i = skipSpace(s, i); i == len(s) {
			return false
		}
		if s[i] == '}' {
			return skipSpace(s, i+1) == len(s)
		}
		if s[i] != ',' {
			return false
		}
	}
}

func skipSpace(s string, i int) int {
	for i < len(s) && (s[i] == ' ' || s[i] == '\n' || s[i] == '\t' || s[i] == '\r') {
		i++
	}
	return i
}

// plainString reads a string of printable ASCII without escapes at i; it returns the index after it, or -1.
func plainString(s string, i int) (string, int) {
	if i >= len(s) || s[i] != '"' {
		return "", -1
	}
	start := i + 1
	for i = start; i+8 <= len(s); i += 8 {
		// Eight bytes at a time: the lowest byte that is not plain has its highest bit set ("Bit Twiddling
		// Hacks", determine if a word has a byte less than n, or equal to n).
		x := load8(s[i : i+8])
		quote, escape := x^'"'*each, x^'\\'*each
		special := (x | (x-' '*each)&^x | (quote-each)&^quote | (escape-each)&^escape) & (0x80 * each)
		if special != 0 {
			i += bits.TrailingZeros64(special) / 8
			if s[i] != '"' {
				return "", -1
			}
			return s[start:i], i + 1
		}
	}
	for ; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			return s[start:i], i + 1
		case c == '\\' || c < ' ' || c >= 0x80:
			return "", -1
		}
	}
	return "", -1
}

// each times a byte is that byte eight times.
const each uint64 = 0x0101010101010101

func load8(s string) uint64 {
	_ = s[7]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

// plainID reads an id at i: a plain string or a non-negative whole number.
func plainID(s string, i int) (string, int) {
	if i < len(s) && s[i] == '"' {
		return plainString(s, i)
	}
	start := i
	for i < len(s) && s[i]-'0' <= 9 {
		i++
	}
	if i == start || s[start] == '0' && i > start+1 || i < len(s) && isNumberByte(s[i]) {
		return "", -1
	}
	return s[start:i], i
}

func isNumberByte(c byte) bool { return c == '.' || c == 'e' || c == 'E' || c == '+' || c == '-' }

// plainDecimal reads a non-negative decimal without exponent at i. Up to 15 digits the whole number and
// the power of ten are both exact, so their quotient is the correctly rounded value.
func plainDecimal(s string, i int) (float64, int) {
	start, whole, digits := i, int64(0), 0
	for ; i < len(s) && s[i]-'0' <= 9; i++ {
		whole = whole*10 + int64(s[i]-'0')
		if digits++; digits > 15 {
			return 0, -1
		}
	}
	if digits == 0 || s[start] == '0' && digits > 1 {
		return 0, -1
	}
	scale := 1.0
	if i < len(s) && s[i] == '.' {
		point := i
		for i++; i < len(s) && s[i]-'0' <= 9; i++ {
			whole = whole*10 + int64(s[i]-'0')
			scale *= 10
			if digits++; digits > 15 {
				return 0, -1
			}
		}
		if i == point+1 {
			return 0, -1
		}
	}
	if i < len(s) && isNumberByte(s[i]) {
		return 0, -1
	}
	return float64(whole) / scale, i
}

func parseInteractionSlow(raw []byte, into *Interaction) error {
	*into = Interaction{}
	if !utf8.Valid(raw) {
		return errors.New("interaction is not valid UTF-8")
	}
	if trimmed := bytes.TrimLeft(raw, " \t\r\n"); len(trimmed) == 0 || trimmed[0] != '{' {
		return errors.New("interaction must be a JSON object")
	}
	var v struct {
		UserID    json.RawMessage `json:"user_id"`
		MovieID   json.RawMessage `json:"movie_id"`
		Kind      string          `json:"interaction_type"`
		Timestamp string          `json:"timestamp"`
		Rating    float64         `json:"rating"`
		SessionID string          `json:"session_id"`
	}
	if err := json.Unmarshal(raw, &v); err != nil {
		var wrong *json.UnmarshalTypeError
		if errors.As(err, &wrong) && wrong.Field != "" {
			return &FieldError{wrong.Field, fmt.Sprintf("must be a %s, not a %s", jsonName(wrong.Field), wrong.Value)}
		}
		return fmt.Errorf("interaction is not JSON: %w", err)
	}
	user, err := slowID("user_id", v.UserID)
	if err != nil {
		return err
	}
	movie, err := slowID("movie_id", v.MovieID)
	if err != nil {
		return err
	}
	*into = Interaction{CanonicalUser(user), CanonicalMovie(movie), v.Kind, v.Timestamp, v.Rating, v.SessionID}
	return nil
}

func jsonName(field string) string {
	if field == "rating" {
		return "number"
	}
	return "string"
}

func slowID(field string, raw json.RawMessage) (string, error) {
	text := string(raw)
	switch {
	case text == "" || text == "null":
		return "", nil
	case text[0] == '"':
		var id string
		err := json.Unmarshal(raw, &id)
		return id, err
	}
	for k := 0; k < len(text); k++ {
		if text[k]-'0' > 9 {
			return "", &FieldError{field, "must be a string or a non-negative whole number"}
		}
	}
	return text, nil
}

func appendInteraction(b []byte, i *Interaction) ([]byte, error) {
	b = append(b, `{"user_id":`...)
	b = appendString(b, i.UserID)
	b = append(b, `,"movie_id":`...)
	b = appendString(b, i.MovieID)
	b = append(b, `,"interaction_type":`...)
	b = appendString(b, i.Kind)
	b = append(b, `,"timestamp":`...)
	b = appendString(b, i.Timestamp)
	if i.Rating != 0 {
		if math.IsNaN(i.Rating) || math.IsInf(i.Rating, 0) {
			return b, &FieldError{"rating", fmt.Sprintf("%v is no number", i.Rating)}
		}
		b = append(b, `,"rating":`...)
		b = appendFloat(b, i.Rating)
	}
	if i.SessionID != "" {
		b = append(b, `,"session_id":`...)
		b = appendString(b, i.SessionID)
	}
	return append(b, '}'), nil
}

// interactionBytesMax is what appendInteraction needs at most: a byte of a string becomes six.
func interactionBytesMax(i *Interaction) int {
	return 6*(len(i.UserID)+len(i.MovieID)+len(i.Kind)+len(i.Timestamp)+len(i.SessionID)) + 160
}

func appendString(b []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			quoted, _ := json.Marshal(s) // a string always has a JSON form
			return append(b, quoted...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}

// appendFloat is ES6's number format, as encoding/json has it.
func appendFloat(b []byte, f float64) []byte {
	format := byte('f')
	if abs := math.Abs(f); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		format = 'e'
	}
	b = strconv.AppendFloat(b, f, format, -1, 64)
	if n := len(b); format == 'e' && n >= 4 && b[n-4] == 'e' && (b[n-3] == '-' || b[n-3] == '+') && b[n-2] == '0' {
		b[n-2] = b[n-1]
		b = b[:n-1]
	}
	return b
}
