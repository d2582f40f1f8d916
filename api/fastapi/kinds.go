package fastapi

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// Text reads a text of at most so many characters, 0 for any number; given is false where it is absent or null.
func (b *Values) Text(name string, most int) (text string, given bool) {
	v, ok := b.Take(name)
	if !ok || v == nil {
		return "", false
	}
	text, ok = v.(string)
	switch {
	case !ok:
		b.Flaw("string_type", "Input should be a valid string", v, nil, name)
	case most > 0 && utf8.RuneCountInString(text) > most:
		b.Flaw("string_too_long", "String should have at most "+strconv.Itoa(most)+" characters", v, map[string]any{"max_length": most}, name)
	}
	return text, ok
}

// OneOf is Text that must be one of some, as "'a', 'b' or 'c'" says it in the refusal, of a kind such as "enum".
func (b *Values) OneOf(kind, name string, all ...string) (text string, given bool) {
	v, ok := b.Take(name)
	if !ok || v == nil {
		return "", false
	}
	return b.oneOf(kind, v, all, name), true
}

func (b *Values) oneOf(kind string, v any, all []string, loc ...any) string {
	text, _ := v.(string)
	for _, one := range all {
		if text == one {
			return text
		}
	}
	want := Alternatives(all)
	b.Flaw(kind, "Input should be "+want, v, map[string]any{"expected": want}, loc...)
	return ""
}

// Alternatives says some words as pydantic does: 'a', 'b' or 'c'.
func Alternatives(all []string) string {
	quoted := make([]string, len(all))
	for i, one := range all {
		quoted[i] = "'" + one + "'"
	}
	if n := len(quoted) - 1; n > 0 {
		return strings.Join(quoted[:n], ", ") + " or " + quoted[n]
	}
	return strings.Join(quoted, "")
}

// Texts reads a list of texts; nil where it is absent or null.
func (b *Values) Texts(name string) []string {
	var all []string
	b.each(name, func(i int, v any) {
		text, ok := v.(string)
		if !ok {
			b.Flaw("string_type", "Input should be a valid string", v, nil, name, i)
		}
		all = append(all, text)
	})
	return all
}

// Each reads a list of which each is one of some, or null, which stands as "".
func (b *Values) Each(name string, of ...string) []string {
	var all []string
	b.each(name, func(i int, v any) {
		if v == nil {
			all = append(all, "")
			return
		}
		all = append(all, b.oneOf("enum", v, of, name, i))
	})
	return all
}

func (b *Values) each(name string, read func(i int, v any)) {
	v, ok := b.Take(name)
	if !ok || v == nil {
		return
	}
	list, ok := v.([]any)
	if !ok {
		b.Flaw("list_type", "Input should be a valid list", v, nil, name)
	}
	for i, v := range list {
		read(i, v)
	}
}

// Number reads a finite number; given is false where it is absent or null.
func (b *Values) Number(name string) (x float64, given bool) {
	v, ok := b.Take(name)
	if !ok || v == nil {
		return 0, false
	}
	text, isText := v.(string)
	if n, is := v.(json.Number); is {
		text, isText = n.String(), true
	}
	if !isText {
		b.Flaw("float_type", "Input should be a valid number", v, nil, name)
		return 0, true
	}
	x, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
	if err != nil {
		b.Flaw("float_parsing", "Input should be a valid number, unable to parse string as a number", v, nil, name)
	} else if x-x != 0 {
		b.Flaw("finite_number", "Input should be a finite number", v, nil, name)
	}
	return x, true
}

// Time reads a time with or without its offset from UTC, or a date; zero where it is absent or null. Aware wants the
// offset.
func (b *Values) Time(name string, aware bool) time.Time {
	v, ok := b.Take(name)
	if !ok || v == nil {
		return time.Time{}
	}
	text, ok := v.(string)
	if !ok {
		b.Flaw("datetime_type", "Input should be a valid datetime", v, nil, name)
		return time.Time{}
	}
	t, zoned, wrong := ParseTime(text)
	switch {
	case wrong != "":
		b.Flaw("datetime_from_date_parsing", "Input should be a valid datetime or date, "+wrong, v, map[string]any{"error": wrong}, name)
	case aware && !zoned:
		b.Flaw("timezone_aware", "Input should have timezone info", v, nil, name)
	}
	return t
}

// ParseTime reads a time as pydantic does, without an offset as of UTC; wrong says in its words what is wrong, if anything.
func ParseTime(text string) (t time.Time, zoned bool, wrong string) {
	if len(text) < len(time.DateOnly) {
		return t, false, "input is too short"
	}
	date, rest := text[:len(time.DateOnly)], text[len(time.DateOnly):]
	if strings.HasPrefix(rest, " ") {
		rest = "T" + rest[1:]
	}
	whole := date + strings.Replace(rest, " ", "+", 1) // of an offset, which was read as a space
	for _, form := range []string{"2006-01-02T15:04:05Z07:00", "2006-01-02T15:04:05Z0700", "2006-01-02T15:04Z07:00"} {
		if t, err := time.Parse(form, strings.ToUpper(whole)); err == nil {
			return t, true, ""
		}
	}
	for _, form := range []string{"2006-01-02T15:04:05", "2006-01-02T15:04", time.DateOnly} {
		if t, err := time.Parse(form, strings.ToUpper(whole)); err == nil {
			return t, false, ""
		}
	}
	return t, false, "invalid datetime"
}
