package features_test

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/ml/features"
)

// TestCoerce: each type has one form, whatever a client's JSON of it looks like.
func TestCoerce(t *testing.T) {
	for _, c := range []struct{ typ, raw, want string }{
		{"float64", "2", "2.0"}, {"float64", `"NaN"`, `"NaN"`}, {"float64", "1e300", "1e+300"}, {"float64", "0.1", "0.1"}, {"float64", "1e999", ""}, {"float64", "true", ""},
		{"float32", "0.1", "0.1"}, {"float32", "16777217", "16777216.0"}, {"float32", "1e300", ""},
		{"int64", "9007199254740993", "9007199254740993"}, {"int64", "3.0", "3"}, {"int64", "3.5", ""}, {"int64", `"12"`, "12"}, {"int64", "0x10", ""},
		{"int32", "2147483648", ""}, {"int32", "-5", "-5"}, {"bool", "true", "true"}, {"bool", "1", ""},
		{"string", `"a\u0041"`, `"aA"`}, {"string", "1", ""}, {"bytes", `"AQI="`, `"AQI="`}, {"bytes", `"*"`, ""},
		{"timestamp", "1700000000", "1700000000"}, {"timestamp", `"2023-11-14T22:13:20Z"`, "1700000000"}, {"timestamp", `"soon"`, ""},
		{"timestamp", "253402300799", "253402300799"}, {"timestamp", "253402300800", ""}, {"timestamp", "-62167219200", "-62167219200"}, {"timestamp", "-62167219201", ""},
		{"timestamp", "1700000000000", ""}, {"timestamp", `"1700000000000000000"`, ""}, {"timestamp", `"9999-12-31T23:59:59-01:00"`, ""}, {"timestamp_list", "[0,1700000000000]", ""},
		{"string_list", `[ "a", "b" ]`, `["a","b"]`}, {"float64_list", "[1,2.5]", "[1.0,2.5]"}, {"int64_list", "[1,null]", ""}, {"int64_list", "1", ""}, {"int64_list", "[]", "[]"},
		{"int64", "null", "null"}, {"string_list", "null", "null"},
	} {
		got, err := features.Coerce(c.typ, json.RawMessage(c.raw))
		if c.want == "" && err == nil || c.want != "" && string(got) != c.want {
			t.Errorf("%s %s: %s, %v; want %q", c.typ, c.raw, got, err, c.want)
		}
		if features.Canonical(c.typ, json.RawMessage(c.raw)) && c.raw != c.want {
			t.Errorf("%s %s is said to be canonical", c.typ, c.raw)
		}
		if is := c.want != "" && c.want != "null" && c.want[0] != '"' && (c.typ == "float64" || c.typ == "float32" || c.typ == "int64"); is != features.Canonical(c.typ, got) {
			t.Errorf("%s %s: canonical is not %t", c.typ, got, is)
		}
	}
}

// What is said to be canonical is what Coerce makes of it, of whatever digits.
func TestCanonicalIsWhatIsMade(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 9))
	said := map[string]int{}
	for range 200_000 {
		raw := []byte(strconv.FormatFloat(float64(rng.IntN(1_000_000_000))/math.Pow10(rng.IntN(12)), 'f', rng.IntN(12), 64))
		for range rng.IntN(3) {
			raw[rng.IntN(len(raw))] = "0123456789.-e+"[rng.IntN(14)]
		}
		for _, typ := range []string{"float64", "float32", "int64"} {
			if !features.Canonical(typ, raw) {
				continue
			}
			said[typ]++
			if made, err := features.Coerce(typ, raw); err != nil || string(made) != string(raw) {
				t.Fatalf("%s %s is said to be canonical; it is %s, %v", typ, raw, made, err)
			}
		}
	}
	if said["float64"] < 10_000 || said["float32"] < 1000 || said["int64"] < 1000 {
		t.Errorf("said of too few: %v", said)
	}
}

func TestEntityKey(t *testing.T) {
	x := &features.External{JoinKeys: []events.FeatureField{{Name: "movie_id", Type: "int64"}, {Name: "city", Type: "string"}}}
	for _, c := range []struct{ movie, city, want string }{
		{"42", `"a=b&c"`, "city=a%3Db%26c&movie_id=42"}, {`"42"`, `"x"`, "city=x&movie_id=42"}, {"42.0", `"7"`, "city=7&movie_id=42"}, {"42", "7", "city=7&movie_id=42"},
		{"null", `"x"`, ""}, {`"abc"`, `"x"`, "!movie_id"}, {"[1]", `"x"`, "!movie_id"}, {"1", "1.5", "!city"}, {"1", `"u\u0000lm"`, "!city"}, {"1", "\"u\xff\"", "!city"}, {"1", `"u\nlm"`, "!city"}, {"1", `"u\u0085lm"`, "!city"}, {`"\u00001"`, `"ulm"`, "!movie_id"}, {"1", `"ülm "`, "city=ülm &movie_id=1"},
	} {
		got, err := x.EntityKey(func(k string) json.RawMessage {
			return json.RawMessage(map[string]string{"movie_id": c.movie, "city": c.city}[k])
		})
		if want, wrong := strings.CutPrefix(c.want, "!"); wrong && (err == nil || !strings.Contains(err.Error(), want)) || !wrong && (err != nil || got != want) {
			t.Errorf("%s, %s: %q, %v; want %q", c.movie, c.city, got, err, c.want)
		}
	}
}

// TestEntityKeyOfNobody: a view of no entity has one row.
func TestEntityKeyOfNobody(t *testing.T) {
	x := &features.External{JoinKeys: []events.FeatureField{{Name: features.NobodysKey, Type: "string"}}}
	if got, err := x.EntityKey(func(string) json.RawMessage { return nil }); got != "__dummy_id=" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
}

// TestExternalViews: views of pushed values in a definitions file, and what is wrong with one.
func TestExternalViews(t *testing.T) {
	const file = `
entities: [{name: user, join_key: user_id}, {name: movie, join_key: movie_id}]
feature_views: [{name: v, entity: user, features: [{name: n, type: int64, aggregation: count}]}]
external_views:
  - {name: critics, entity: movie, ttl: 7d, features: [{name: score, type: float64}, {name: words, type: string_list, description: of reviews}]}
`
	d, err := features.Parse([]byte(file))
	if err != nil {
		t.Fatal(err)
	}
	x := d.ExternalView("critics")
	if x == nil || x.PushSource != "critics_push" || x.TTLMillis != 7*86400*1000 || x.JoinKeys[0].Name != "movie_id" || x.Feature("words").Type != "string_list" || x.Feature("none") != nil {
		t.Fatalf("%+v", x)
	}
	same, err := features.Parse([]byte(strings.ReplaceAll(file, "of reviews", "of others")))
	if err != nil || same.Hash() != d.Hash() {
		t.Errorf("a description counts: %v", err)
	}
	other, err := features.Parse([]byte(strings.ReplaceAll(file, "7d", "8d")))
	if err != nil || other.Hash() == d.Hash() {
		t.Errorf("a ttl does not count: %v", err)
	}
	if lines := other.Changes(d); len(lines) != 1 || !strings.Contains(lines[0], "updated external view critics: of a movie, ttl 192h0m0s") {
		t.Errorf("changes %q", lines)
	}
	none, err := features.Parse([]byte(strings.Split(file, "external_views")[0]))
	if err != nil || none.Hash() == d.Hash() {
		t.Errorf("the view does not count: %v", err)
	}
	for want, change := range map[string][2]string{
		"external_views[0].name": {"name: critics", "name: v"}, "external_views[0].entity": {"entity: movie, ttl", "entity: actor, ttl"},
		"external_views[0].features[0].type": {"float64", "number"}, "external_views[0].features[1].name": {"name: words", "name: score"}, "external_views[0].ttl": {"7d", "soon"},
	} {
		if _, err := features.Parse([]byte(strings.Replace(file, change[0], change[1], 1))); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}
