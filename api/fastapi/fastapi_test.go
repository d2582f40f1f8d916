package fastapi_test

import (
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/projectionist/projectionist/api/fastapi"
)

// TestParseTime: the texts that pydantic takes for times, and what it says of others.
func TestParseTime(t *testing.T) {
	want := time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC)
	for text, zoned := range map[string]bool{
		"2024-01-02T03:04:05Z": true, "2024-01-02T03:04:05+00:00": true, "2024-01-02T03:04:05 00:00": true, "2024-01-02 05:04:05+02:00": true,
		"2024-01-02T03:04:05.000000z": true, "2024-01-02T03:04:05": false, "2024-01-02 03:04:05": false,
	} {
		got, is, wrong := fastapi.ParseTime(text)
		if !got.Equal(want) || is != zoned || wrong != "" {
			t.Errorf("%s: %v, %v, %q; want %v, %v", text, got, is, wrong, want, zoned)
		}
	}
	if day, zoned, wrong := fastapi.ParseTime("2024-01-02"); !day.Equal(want.Truncate(24*time.Hour)) || zoned || wrong != "" {
		t.Errorf("a day: %v, %v, %q", day, zoned, wrong)
	}
	for text, want := range map[string]string{"": "input is too short", "x": "input is too short", "2024-13-02T03:04:05Z": "invalid datetime", "yesterday at noon": "invalid datetime"} {
		if _, _, wrong := fastapi.ParseTime(text); wrong != want {
			t.Errorf("%q: %q; want %q", text, wrong, want)
		}
	}
}

// TestFlaws: each kind of value says what is wrong with it in pydantic's words, all of them at once.
func TestFlaws(t *testing.T) {
	const sent = `{"text": 1, "long": "abcd", "one": "x", "each": ["a", null, "x"], "texts": [1], "list": {}, "number": "x", "whole": 1.5, "time": "x", "naive": "2024-01-02T03:04:05", "more": 1}`
	b, err := fastapi.Body(httptest.NewRecorder(), httptest.NewRequest("POST", "/", strings.NewReader(sent)))
	if err != nil {
		t.Fatal(err)
	}
	b.Text("text", 0)
	b.Text("long", 3)
	b.OneOf("enum", "one", "a", "b", "c")
	if got := b.Each("each", "a", "b"); len(got) != 3 || got[0] != "a" || got[1] != "" {
		t.Errorf("%q", got)
	}
	b.Texts("texts")
	b.Texts("list")
	b.Number("number")
	b.Integer("whole", 0, 0, 9)
	b.Time("time", true)
	b.Time("naive", true)
	b.Need("missing")
	refused, ok := b.Done().(*fastapi.Refusal)
	if !ok || refused.Status != 422 {
		t.Fatalf("%v", refused)
	}
	var got []string
	for _, f := range refused.Detail.([]fastapi.Flaw) {
		where, _ := json.Marshal(f.Loc[1:])
		got = append(got, f.Type+string(where)+f.Msg)
	}
	want := []string{
		`string_type["text"]Input should be a valid string`, `string_too_long["long"]String should have at most 3 characters`,
		`enum["one"]Input should be 'a', 'b' or 'c'`, `enum["each",2]Input should be 'a' or 'b'`, `string_type["texts",0]Input should be a valid string`,
		`list_type["list"]Input should be a valid list`, `float_parsing["number"]Input should be a valid number, unable to parse string as a number`,
		`int_from_float["whole"]Input should be a valid integer, got a number with a fractional part`,
		`datetime_from_date_parsing["time"]Input should be a valid datetime or date, input is too short`, `timezone_aware["naive"]Input should have timezone info`,
		`missing["missing"]Field required`, `extra_forbidden["more"]Extra inputs are not permitted`,
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
