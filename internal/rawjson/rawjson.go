// Package rawjson takes valid JSON apart without reading what is in it: requests name hundreds of features, and stored rows have as many.
package rawjson

import (
	"bytes"
	"encoding/json"
)

// Each calls each with what a valid array or object has, as it is written: the values, and of an object their names. Both are parts of raw.
// What is not valid may end in a panic.
func Each(raw []byte, each func(name, value []byte)) {
	i := bytes.IndexAny(raw, "[{")
	object := raw[i] == '{'
	i++
	next := func() []byte {
		for raw[i] == ' ' || raw[i] == '\t' || raw[i] == '\n' || raw[i] == '\r' || raw[i] == ',' || raw[i] == ':' {
			i++
		}
		if raw[i] == ']' || raw[i] == '}' {
			return nil
		}
		from := i
		i = endOf(raw, i)
		return raw[from:i:i]
	}
	for value := next(); value != nil; value = next() {
		var name []byte
		if object {
			name, value = value, next()
		}
		each(name, value)
	}
}

// Text is what a valid string says.
func Text(raw []byte) (text string) {
	if bytes.IndexByte(raw, '\\') < 0 { // most are spelt as they are
		return string(raw[1 : len(raw)-1])
	}
	if err := json.Unmarshal(raw, &text); err != nil {
		panic(err) // it is valid, and a string
	}
	return text
}

// between are the bytes that end a number or a word.
var between = [256]bool{' ': true, '\t': true, '\n': true, '\r': true, ',': true, ':': true, ']': true, '}': true}

// endOf is where the valid value ends that begins at i.
func endOf(raw []byte, i int) int {
	depth := 0
	for {
		switch raw[i] {
		case '"':
			for i++; raw[i] != '"'; i++ {
				if raw[i] == '\\' {
					i++
				}
			}
			i++
		case '[', '{':
			depth++
			i++
		case ']', '}':
			depth--
			i++
		case ' ', '\t', '\n', '\r', ',', ':':
			i++ // within a list
		default:
			for i < len(raw) && !between[raw[i]] {
				i++
			}
		}
		if depth == 0 {
			return i
		}
	}
}
