package features_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/ml/features"
)

// TestPushedValues: a value in its one form is the same in JSON, and a cell of a table has it for people.
func TestPushedValues(t *testing.T) {
	for _, c := range []struct{ typ, form, json, text string }{
		{"float64", "2.0", "2", "2"}, {"float64", `"NaN"`, `"NaN"`, "NaN"}, {"float64", `"-Infinity"`, `"-Infinity"`, "-Inf"}, {"float32", "0.1", "0.1", "0.1"}, {"float32", `"NaN"`, `"NaN"`, "NaN"},
		{"int64", "9007199254740993", "9007199254740993", "9007199254740993"}, {"int32", "-5", "-5", "-5"}, {"bool", "true", "true", "true"}, {"string", `"a|\n"`, `"a|\n"`, "a|\n"},
		{"bytes", `"AQI="`, `"AQI="`, "AQI="}, {"timestamp", "1700000000", "1700000000", "2023-11-14T22:13:20Z"}, {"timestamp", "-62167219200", "-62167219200", "0000-01-01T00:00:00Z"},
		{"timestamp", "253402300799", "253402300799", "9999-12-31T23:59:59Z"},
		{"string_list", `["a","b|c"]`, `["a","b|c"]`, "a|b|c"}, {"string_list", "[]", "[]", ""}, {"float64_list", `[1.0,"NaN"]`, `[1.0,"NaN"]`, "1.0|NaN"}, {"timestamp_list", "[0]", "[0]", "1970-01-01T00:00:00Z"},
	} {
		form, err := features.Coerce(c.typ, json.RawMessage(c.form))
		if err != nil || string(form) != c.form {
			t.Fatalf("%s %s is not its one form: %s, %v", c.typ, c.form, form, err)
		}
		v := features.ValueOf(&events.FeatureField{Name: "x", Type: c.typ}, form)
		if got := string(v.AppendJSON(nil)); v.Status != features.Present || v.Name != "x" || got != c.json {
			t.Errorf("%s %s in JSON: %s", c.typ, c.form, got)
		}
		if got := string(v.AppendText(nil)); got != c.text {
			t.Errorf("%s %s as text: %q, want %q", c.typ, c.form, got, c.text)
		}
	}
}

// TestEntityValues: the join keys' values are read again from the key that they made; what others push of another form is not.
func TestEntityValues(t *testing.T) {
	x := &features.External{JoinKeys: []events.FeatureField{{Name: "movie_id", Type: "int64"}, {Name: "a=b", Type: "string"}}}
	key, err := x.EntityKey(func(k string) json.RawMessage {
		return map[string]json.RawMessage{"movie_id": json.RawMessage("42"), "a=b": json.RawMessage(`"100%&=x%3D"`)}[k]
	})
	if err != nil {
		t.Fatal(err)
	}
	if got, ok := x.EntityValues(key); !ok || strings.Join(got, " ") != "42 100%&=x%3D" {
		t.Errorf("%q: %q, %v", key, got, ok)
	}
	for _, key := range []string{"", "movie_id=42", "a%3Db=x&movie_id=first", "a%3Db=x&movie_id=042", "a%3Db=&movie_id=1", "a%3Db=x&movie_id=1&more=1", "other=x&movie_id=1", "x"} {
		if got, ok := x.EntityValues(key); ok {
			t.Errorf("%q is read as %q", key, got)
		}
	}
	id, city := &x.JoinKeys[0], &x.JoinKeys[1]
	for cell, want := range map[string][2]string{"5.0": {`"5"`, `"5.0"`}, "NaN": {"", `"NaN"`}, "": {"", `""`}, " 7 ": {`"7"`, `" 7 "`}, "1.5": {`"1.5"`, `"1.5"`}} {
		if a, b := string(features.KeyCell(id, cell)), string(features.KeyCell(city, cell)); a != want[0] || b != want[1] {
			t.Errorf("%q: %s and %s, want %v", cell, a, b, want)
		}
	}
}
