// Package types writes the types that the console's sources have of what /api/v1 answers, from the Go types of the answers: a field that is called
// otherwise there fails the check of types. The program does not link it.
package types

import (
	"bytes"
	"encoding"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	v1 "github.com/projectionist/projectionist/api/v1"
)

// file is the name of what is written, in the folder that has src/.
const file = "src/api.gen.ts"

// Make gives the source. An interface has the fields that the JSON form has: those that may be left out with a question mark, and what may be null, but
// for lists, maps and texts in base64, which answers give empty rather than null; where one does not, types.ts says so.
func Make() ([]byte, error) {
	w := writer{names: map[reflect.Type]string{}, taken: map[string]reflect.Type{}}
	answers := v1.Answers()
	for _, name := range slices.Sorted(maps.Keys(answers)) {
		t := reflect.TypeOf(answers[name])
		if t.Kind() != reflect.Struct {
			return nil, fmt.Errorf("the answer %s is no struct", name)
		}
		if err := w.name(t, name); err != nil {
			return nil, err
		}
	}
	w.out.WriteString("// Made by build/ of the Go types that /api/v1 answers with: make console. It is not to be changed by hand.\n\n")
	for i := 0; i < len(w.order); i++ {
		if err := w.write(w.order[i]); err != nil {
			return nil, err
		}
	}
	return w.out.Bytes(), nil
}

// Write makes the file in the folder that has src/.
func Write(dir string) error {
	b, err := Make()
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, file), b, 0o644)
}

type writer struct {
	out   bytes.Buffer
	names map[reflect.Type]string
	taken map[string]reflect.Type
	order []reflect.Type // to be written
}

// name gives a type its name; two of one name are a mistake.
func (w *writer) name(t reflect.Type, name string) error {
	if other, ok := w.taken[name]; ok && other != t {
		return fmt.Errorf("both %s and %s are called %s: name one of them among the answers", other, t, name)
	}
	if _, ok := w.names[t]; !ok {
		w.names[t], w.taken[name] = name, t
		w.order = append(w.order, t)
	}
	return nil
}

// field is one of an answer, as encoding/json has it.
type field struct {
	name     string
	of       reflect.Type
	optional bool
	depth    int
	tagged   bool
	order    int
}

// fields are those of a struct and of what is embedded in it: of several of one name the outermost, of these the one that says its name, and else none.
func fields(t reflect.Type, depth int, optional bool, all []field) []field {
	for i := range t.NumField() {
		f := t.Field(i)
		tag, given := f.Tag.Lookup("json")
		name, more, _ := strings.Cut(tag, ",")
		if tag == "-" {
			continue
		}
		inner := f.Type
		if inner.Kind() == reflect.Pointer {
			inner = inner.Elem()
		}
		if f.Anonymous && name == "" && inner.Kind() == reflect.Struct {
			all = fields(inner, depth+1, optional || f.Type.Kind() == reflect.Pointer, all)
			continue
		}
		if !f.IsExported() {
			continue
		}
		if name == "" {
			name = f.Name
		}
		left := strings.Contains(more, "omitempty") || strings.Contains(more, "omitzero")
		of := f.Type
		if left && of.Kind() == reflect.Pointer {
			of = of.Elem()
		}
		all = append(all, field{name, of, left || optional, depth, given && !strings.HasPrefix(tag, ","), len(all)})
	}
	return all
}

func visible(t reflect.Type) (out []field) {
	byName := map[string][]field{}
	for _, f := range fields(t, 0, false, nil) {
		byName[f.name] = append(byName[f.name], f)
	}
	for _, all := range byName {
		least := slices.MinFunc(all, func(a, b field) int { return a.depth - b.depth }).depth
		all = slices.DeleteFunc(all, func(f field) bool { return f.depth != least })
		if len(all) > 1 {
			all = slices.DeleteFunc(all, func(f field) bool { return !f.tagged })
		}
		if len(all) == 1 {
			out = append(out, all[0])
		}
	}
	slices.SortFunc(out, func(a, b field) int { return a.order - b.order })
	return out
}

var identifier = regexp.MustCompile(`^[A-Za-z_$][A-Za-z0-9_$]*$`)

func (w *writer) write(t reflect.Type) error {
	fmt.Fprintf(&w.out, "export interface %s {\n", w.names[t])
	for _, f := range visible(t) {
		of, err := w.form(f.of)
		if err != nil {
			return fmt.Errorf("%s.%s: %w", w.names[t], f.name, err)
		}
		name, mark := f.name, ""
		if !identifier.MatchString(name) {
			name = "'" + name + "'"
		}
		if f.optional {
			mark = "?"
		}
		fmt.Fprintf(&w.out, "\t%s%s: %s\n", name, mark, of)
	}
	w.out.WriteString("}\n\n")
	return nil
}

var (
	marshaler = reflect.TypeFor[json.Marshaler]()
	texts     = reflect.TypeFor[encoding.TextMarshaler]()
)

// form is a type as TypeScript writes it.
func (w *writer) form(t reflect.Type) (string, error) {
	switch t {
	case reflect.TypeFor[time.Time]():
		return "string", nil
	case reflect.TypeFor[json.RawMessage]():
		return "unknown", nil
	}
	has := func(i reflect.Type) bool { return t.Implements(i) || reflect.PointerTo(t).Implements(i) }
	if t.Kind() != reflect.Pointer && t.Kind() != reflect.Interface {
		switch {
		case has(marshaler):
			return "unknown", nil // it writes itself
		case has(texts):
			return "string", nil
		}
	}
	switch t.Kind() {
	case reflect.Bool:
		return "boolean", nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64, reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Float32, reflect.Float64:
		return "number", nil
	case reflect.String:
		return "string", nil
	case reflect.Interface:
		return "unknown", nil
	case reflect.Pointer:
		of, err := w.form(t.Elem())
		if err != nil || of == "unknown" {
			return of, err
		}
		return of + " | null", nil
	case reflect.Slice, reflect.Array:
		if t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8 {
			return "string", nil
		}
		of, err := w.form(held(t.Elem()))
		if strings.Contains(of, " ") {
			of = "(" + of + ")"
		}
		return of + "[]", err
	case reflect.Map:
		of, err := w.form(held(t.Elem()))
		return "Record<string, " + of + ">", err
	case reflect.Struct:
		return w.structure(t)
	}
	return "", fmt.Errorf("%s has no form in JSON", t)
}

// held is what a list or a map holds: of pointers, what they point at.
func held(t reflect.Type) reflect.Type {
	if t.Kind() == reflect.Pointer {
		return t.Elem()
	}
	return t
}

// structure is the name of a struct, or its fields where it has none.
func (w *writer) structure(t reflect.Type) (string, error) {
	if name, ok := w.names[t]; ok {
		return name, nil
	}
	if t.Name() != "" {
		name, _, _ := strings.Cut(t.Name(), "[")
		name = strings.ToUpper(name[:1]) + name[1:]
		return name, w.name(t, name)
	}
	var parts []string
	for _, f := range visible(t) {
		of, err := w.form(f.of)
		if err != nil {
			return "", err
		}
		mark := ""
		if f.optional {
			mark = "?"
		}
		parts = append(parts, f.name+mark+": "+of)
	}
	return "{ " + strings.Join(parts, "; ") + " }", nil
}
