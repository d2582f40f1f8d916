package events

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
)

const documented = `{"user_id":"user_007","movie_id":"movie_042","interaction_type":"rating","rating":4.5,"timestamp":"2024-01-15T10:30:00","session_id":"session_123"}`

func TestParseInteraction(t *testing.T) {
	want := Interaction{UserID: "7", MovieID: "42", Kind: "rating", Rating: 4.5, Timestamp: "2024-01-15T10:30:00", SessionID: "session_123"}
	for _, c := range []struct {
		name, raw string
		fast      bool
		want      Interaction
	}{
		{"documented", documented, true, want},
		{"spaces", strings.NewReplacer(`:"`, " : \n\"", `,"`, ",\t\"").Replace(documented) + "\r\n ", true, want},
		{"numeric ids", `{"user_id":7,"movie_id":42,"interaction_type":"view","timestamp":"x"}`, true, Interaction{UserID: "7", MovieID: "42", Kind: "view", Timestamp: "x"}},
		{"id zero", `{"user_id":0,"movie_id":"000"}`, true, Interaction{UserID: "0", MovieID: "0"}},
		{"missing fields", `{"user_id":"anna"}`, true, Interaction{UserID: "anna"}},
		{"empty", `{}`, false, Interaction{}},
		{"unknown field", `{"user_id":"user_1","device":{"os":"x"}}`, false, Interaction{UserID: "1"}},
		{"null", `{"user_id":null,"movie_id":"5","rating":null}`, false, Interaction{MovieID: "5"}},
		{"escape", `{"user_id":"a\u0062","movie_id":"5"}`, false, Interaction{UserID: "ab", MovieID: "5"}},
		{"letters outside ASCII", `{"user_id":"名前","movie_id":"5"}`, false, Interaction{UserID: "名前", MovieID: "5"}},
		{"exponent", `{"user_id":"a","rating":45e-1}`, false, Interaction{UserID: "a", Rating: 4.5}},
		{"many digits", `{"rating":4.12345678901234567890}`, false, Interaction{Rating: 4.12345678901234567890}},
		{"many whole digits", `{"rating":98765432109876543210}`, false, Interaction{Rating: 98765432109876543210}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := Interaction{UserID: "stale", Rating: 9}
			if fast := parseInteractionFast([]byte(c.raw), &got); fast != c.fast {
				t.Errorf("fast path took it: %v, want %v", fast, c.fast)
			}
			if err := ParseInteraction([]byte(c.raw), &got); err != nil || got != c.want {
				t.Errorf("%+v %v, want %+v", got, err, c.want)
			}
			data, err := Decode("user.interaction", 1, json.RawMessage(c.raw))
			if err != nil || *data.(*Interaction) != c.want {
				t.Errorf("Decode: %+v %v", data, err)
			}
		})
	}
}

func TestParseInteractionErrors(t *testing.T) {
	for _, c := range []struct{ raw, field, want string }{
		{``, "", "JSON object"},
		{`null`, "", "JSON object"},
		{`[]`, "", "JSON object"},
		{`"x"`, "", "JSON object"},
		{`{"user_id":"a"`, "", "not JSON"},
		{`{"user_id":"a",}`, "", "not JSON"},
		{`{"user_id":"a"}{}`, "", "not JSON"},
		{`{"user_id":"a"} x`, "", "not JSON"},
		{`{"user_id":01}`, "", "not JSON"},
		{"{\"user_id\":\"a\nb\"}", "", "not JSON"},
		{"{\"user_id\":\"a\xff\"}", "", "UTF-8"},
		{`{"user_id":1.5}`, "user_id", "whole number"},
		{`{"user_id":-1}`, "user_id", "whole number"},
		{`{"movie_id":[1]}`, "movie_id", "whole number"},
		{`{"movie_id":true}`, "movie_id", "whole number"},
		{`{"rating":"4"}`, "rating", "must be a number, not a string"},
		{`{"timestamp":1705314600}`, "timestamp", "must be a string, not a number"},
		{`{"session_id":{}}`, "session_id", "must be a string"},
		{`{"rating":1e999}`, "rating", "must be a number"},
	} {
		var i Interaction
		err := ParseInteraction([]byte(c.raw), &i)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %q", c.raw, err, c.want)
			continue
		}
		var at *FieldError
		if errors.As(err, &at) != (c.field != "") || at != nil && at.Field != c.field {
			t.Errorf("%s: error %v should name field %q", c.raw, err, c.field)
		}
	}
}

func TestInteractionValidate(t *testing.T) {
	ok := Interaction{UserID: "7", MovieID: "42", Kind: "rating", Rating: 5, Timestamp: "2024-01-15T10:30:00Z"}
	if err := ok.Validate(); err != nil {
		t.Fatal(err)
	}
	set := func(f func(*Interaction)) Interaction { i := ok; f(&i); return i }
	for _, i := range []Interaction{
		set(func(i *Interaction) { i.Kind, i.Rating = "added_to_list", 0 }), // the set of kinds is open
		set(func(i *Interaction) { i.UserID = strings.Repeat("x", IDBytesMax) }),
		set(func(i *Interaction) { i.UserID = "名前" }),
		set(func(i *Interaction) { i.Rating = 0.1 }),
		set(func(i *Interaction) { i.Timestamp = "1970-01-01T00:00:00" }),
		set(func(i *Interaction) { i.Timestamp = "2099-12-31T23:59:59.999Z" }),
	} {
		if err := i.Validate(); err != nil {
			t.Errorf("%+v: %v", i, err)
		}
	}
	for _, c := range []struct {
		i     Interaction
		field string
	}{
		{set(func(i *Interaction) { i.UserID = "" }), "user_id"},
		{set(func(i *Interaction) { i.UserID = strings.Repeat("x", IDBytesMax+1) }), "user_id"},
		{set(func(i *Interaction) { i.UserID = "a\x00" }), "user_id"},
		{set(func(i *Interaction) { i.UserID = "a\x7f" }), "user_id"},
		{set(func(i *Interaction) { i.MovieID = "" }), "movie_id"},
		{set(func(i *Interaction) { i.MovieID = "\xff" }), "movie_id"},
		{set(func(i *Interaction) { i.MovieID = "a\u0085" }), "movie_id"},
		{set(func(i *Interaction) { i.Kind = "" }), "interaction_type"},
		{set(func(i *Interaction) { i.Kind = "Rating" }), "interaction_type"},
		{set(func(i *Interaction) { i.Kind = "_x" }), "interaction_type"},
		{set(func(i *Interaction) { i.Kind = strings.Repeat("x", 33) }), "interaction_type"},
		{set(func(i *Interaction) { i.Rating = 0 }), "rating"},
		{set(func(i *Interaction) { i.Rating = 5.01 }), "rating"},
		{set(func(i *Interaction) { i.Rating = -1 }), "rating"},
		{set(func(i *Interaction) { i.Timestamp = "" }), "timestamp"},
		{set(func(i *Interaction) { i.Timestamp = "yesterday" }), "timestamp"},
		{set(func(i *Interaction) { i.Timestamp = "1705314600" }), "timestamp"},
		{set(func(i *Interaction) { i.Timestamp = "9999-01-01T00:00:00Z" }), "timestamp"},
		{set(func(i *Interaction) { i.Timestamp = "2100-01-01T00:00:00Z" }), "timestamp"},
		{set(func(i *Interaction) { i.Timestamp = "1969-12-31T23:59:59Z" }), "timestamp"},
		{set(func(i *Interaction) { i.SessionID = strings.Repeat("x", IDBytesMax+1) }), "session_id"},
	} {
		var at *FieldError
		if err := c.i.Validate(); !errors.As(err, &at) || at.Field != c.field {
			t.Errorf("%+v: error %v should name %s", c.i, err, c.field)
		}
	}
	all := (&Interaction{Rating: 9}).Validate()
	for _, field := range []string{"user_id", "movie_id", "interaction_type", "timestamp", "rating"} {
		if all == nil || !strings.Contains(all.Error(), field+": ") {
			t.Errorf("%v does not name %s", all, field)
		}
	}
}

// FuzzParseInteraction: what the fast path takes, encoding/json takes too, with the same result; and
// what was parsed survives being written and parsed again.
func FuzzParseInteraction(f *testing.F) {
	f.Add([]byte(documented))
	for _, seed := range []string{`{"user_id":7,"movie_id":0,"rating":0.5}`, `{"rating":4.50000000000001}`, `{"rating":10.}`, `{"user_id":1e3}`,
		`{"user_id":"a","user_id":"b"}`, `{"USER_ID":"a"}`, `{"rating":123456789012345}`, `{"rating":-0}`, `{ }`, `{"user_id":"\u0000"}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var fast, slow Interaction
		err := parseInteractionSlow(raw, &slow)
		if parseInteractionFast(raw, &fast) && (err != nil || fast != slow) {
			t.Fatalf("%q\nfast %+v\nslow %+v %v", raw, fast, slow, err)
		}
		if err != nil {
			return
		}
		written, err := json.Marshal(&slow)
		if err != nil {
			t.Fatal(err)
		}
		var again Interaction
		if err := ParseInteraction(written, &again); err != nil || !reflect.DeepEqual(again, slow) {
			t.Fatalf("%s: %+v %v, want %+v", written, again, err, slow)
		}
	})
}

// FuzzAppendInteraction holds the hand-written encoding to encoding/json's, byte by byte.
func FuzzAppendInteraction(f *testing.F) {
	f.Add("7", "42", "rating", "2013-05-01T02:03:04.056Z", 4.5, "")
	f.Add("a\"b\\c", "<&>", "\u2028\u2029\x7f", "\x00\b\f\n\r\t", 1e21, "é\xff")
	for _, r := range []float64{0, math.Copysign(0, -1), 1e-6, 9.99e-7, 1e-7, 1e20, 1e21, 1e100, -1e-9, 0.1 + 0.2, 3, math.MaxFloat64, math.SmallestNonzeroFloat64, math.Inf(1), math.NaN()} {
		f.Add("7", "42", "rating", "t", r, "s")
	}
	f.Fuzz(func(t *testing.T, user, movie, kind, stamp string, rating float64, session string) {
		i := Interaction{UserID: user, MovieID: movie, Kind: kind, Timestamp: stamp, Rating: rating, SessionID: session}
		want, wantErr := json.Marshal(&i)
		got, err := appendInteraction(nil, &i)
		if (err != nil) != (wantErr != nil) || err == nil && !bytes.Equal(got, want) {
			t.Fatalf("got %s, %v; want %s, %v", got, err, want, wantErr)
		}
		if len(got) > interactionBytesMax(&i) {
			t.Fatalf("%d bytes; the bound is %d", len(got), interactionBytesMax(&i))
		}
	})
}

func BenchmarkParseInteraction(b *testing.B) {
	raw := []byte(documented)
	var i Interaction
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		if err := ParseInteraction(raw, &i); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseInteractionJSON(b *testing.B) {
	raw := []byte(documented)
	b.ReportAllocs()
	for b.Loop() {
		var i Interaction
		if err := json.Unmarshal(raw, &i); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkInteractionValidate(b *testing.B) {
	var i Interaction
	if err := ParseInteraction([]byte(documented), &i); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := i.Validate(); err != nil {
			b.Fatal(err)
		}
	}
}

func ExampleParseInteraction() {
	var i Interaction
	err := ParseInteraction([]byte(`{"user_id":"user_007","movie_id":42,"interaction_type":"view","timestamp":"2024-01-15T19:30:00+09:00"}`), &i)
	millis, _ := TimeMillis(i.Timestamp)
	fmt.Println(i.UserID, i.MovieID, i.Kind, FormatTime(TimeOf(millis)), err)
	// Output: 7 42 view 2024-01-15T10:30:00.000Z <nil>
}
