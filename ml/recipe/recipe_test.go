package recipe

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/ml"
	"github.com/projectionist/projectionist/ml/online"
	"github.com/projectionist/projectionist/ml/signal"
)

var declaring = &Recipe{Name: "test", Code: "test/3", Params: []Param{
	{Name: "size", Type: Integer, Default: "8", Min: 1, Max: 64},
	{Name: "share", Type: Number, Default: "0.5", AboveMin: true, Max: 1},
	{Name: "least", Type: Number, Default: "0", Min: -2, Max: 2},
	{Name: "open", Type: Number, Default: "1", Min: 1, Max: math.MaxFloat64},
	{Name: "solver", Type: Choice, Default: "fast", Choices: []string{"fast", "exact"}},
	{Name: "seed", Type: Seed, Default: "7"},
}, Check: func(p Params) error {
	if p["solver"] == "exact" && p.Int("size") > 16 {
		return fault.Field("size", "is too large to solve exactly")
	}
	return nil
}}

func TestParse(t *testing.T) {
	p, err := declaring.Parse(map[string]string{"size": "+016", "share": "1.0", "open": "1e3", "solver": "exact", "seed": "18446744073709551615"})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"size": "16", "share": "1", "least": "0", "open": "1000", "solver": "exact",
		"seed": "18446744073709551615", HoldoutShare: "0.1", HoldoutEvents: "1000"} {
		if p[name] != want {
			t.Errorf("%s is %q; want %q", name, p[name], want)
		}
	}
	if p.Int("size") != 16 || p.Number("share") != 1 || declaring.Seed(p) != math.MaxUint64 || (&Recipe{}).Seed(p) != 0 {
		t.Error(p)
	}
	again, err := declaring.Parse(p)
	if err != nil || len(again) != len(p) || again["open"] != "1000" {
		t.Errorf("read again as %v: %v", again, err)
	}
}

func TestParseRefuses(t *testing.T) {
	for _, test := range []struct{ name, value, says string }{
		{"size", "0", "an integer from 1 to 64"},
		{"size", "65", "an integer from 1 to 64"},
		{"size", "8.0", "an integer from 1 to 64"},
		{"size", "", "an integer from 1 to 64"},
		{"share", "0", "a number above 0, at most 1"},
		{"share", "1.01", "a number above 0, at most 1"},
		{"share", "NaN", "a number above 0, at most 1"},
		{"least", "-2.1", "a number from -2 to 2"},
		{"open", "0.9", "a number from 1"},
		{"open", "Inf", "a number from 1"},
		{"solver", "slow", "one of fast, exact"},
		{"seed", "-1", "an integer from 0"},
		{"sise", "8", "is no parameter of test; it has holdout_events, holdout_share, least, open, seed, share, size, solver"},
		{HoldoutShare, "0.41", "a number above 0, at most 0.4"},
	} {
		_, err := declaring.Parse(map[string]string{test.name: test.value})
		var f *fault.Error
		if !errors.As(err, &f) || f.Code != fault.Invalid || f.Field != test.name || !strings.Contains(f.Message, test.says) {
			t.Errorf("%s=%q: %v; want it to say %q", test.name, test.value, err, test.says)
		}
	}
	_, err := declaring.Parse(map[string]string{"size": "0", "seed": "x", "other": "1"})
	for _, name := range []string{"size: ", "seed: ", "other: "} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("of three faults %s is not in %v", name, err)
		}
	}
	if _, err := declaring.Parse(map[string]string{"size": "17", "solver": "exact"}); err == nil || !strings.Contains(err.Error(), "too large") {
		t.Error("what is wrong together is taken:", err)
	}
}

func TestSameCode(t *testing.T) {
	for was, want := range map[string]bool{declaring.CodeVersion(): true, "test/3 arm64 go": true, "test/3": true, "test/30 amd64 go": false, "test/2 amd64 go": false, "": false} {
		if declaring.SameCode(was) != want {
			t.Errorf("%q: %v", was, !want)
		}
	}
}

func film(id string, genres ...string) *Film { return &Film{id, Content{Genres: genres}} }

func ids(f *Films) (list []string) {
	for i := range f.Len() {
		list = append(list, f.At(i).ID)
	}
	return list
}

func TestFilms(t *testing.T) {
	newest := film("b", "Drama")
	f := NewFilms([]*Film{film("c"), film("b"), newest, film("a")})
	if got := ids(f); !slices.Equal(got, []string{"a", "b", "c"}) || f.At(1) != newest {
		t.Fatal(got)
	}
	m := online.New()
	for i, id := range []string{"x", "c", "aa"} {
		m.Add("u", id, int64(i), uint64(i), signal.Default().Of("like", 0))
	}
	if got := f.Places(m); !slices.Equal(got, []int32{-1, 2, -1}) {
		t.Fatal(got)
	}
	again := film("c", "War")
	g := f.With([]*Film{film("aa"), again, film("d")})
	if got := ids(g); !slices.Equal(got, []string{"a", "aa", "b", "c", "d"}) || g.At(3) != again || g.At(0) != f.At(0) {
		t.Fatal(got)
	}
	if got := ids(f); !slices.Equal(got, []string{"a", "b", "c"}) {
		t.Fatal("films changed", got)
	}
	m.Add("u", "d", 9, 9, signal.Default().Of("like", 0))
	if got := g.Places(m); !slices.Equal(got, []int32{-1, 3, 1, 4}) {
		t.Fatal(got)
	}
	if got := g.Places(online.New()); len(got) != 0 {
		t.Fatal("places of another model", got)
	}
	if at, ok := g.Place("d"); !ok || at != 4 {
		t.Fatal(at, ok)
	}
	if _, ok := g.Place("e"); ok {
		t.Fatal("a film that is none of them has a place")
	}
}

// A meeting counts if it is the first, and liking follows within a day. To be shown a film is not to meet it.
func TestMoments(t *testing.T) {
	const day = 24 * 60 * 60 * 1000
	in := Input{Data: &ml.Dataset{Users: []string{"a", "b"}}}
	for _, act := range []struct {
		user, item int32
		time       int64
		kind       string
	}{
		{0, 0, 0, "like"},                // before the range
		{0, 0, 1, "like"},                // met again
		{0, 1, 2, "view"},                // met, and liked a day later
		{0, 2, 3, "view"},                // met, and liked after more than a day
		{1, 1, 4, "dislike"},             //
		{0, 3, 5, "impression"},          // shown, and liked long after
		{0, 1, 2 + day, "like"},          //
		{0, 2, 4 + day, "like"},          //
		{1, 0, 5 + day, "like"},          // liked at once
		{0, 3, 9 * day, "like"},          //
		{1, 3, 9*day + 1, "never heard"}, // says nothing
	} {
		s := signal.Default().Of(act.kind, 0)
		in.Data.Samples = append(in.Data.Samples, ml.Sample{User: act.user, Item: act.item, Time: act.time, Weight: s.Weight()})
		in.Signals = append(in.Signals, s)
	}
	if got := in.moments(1, len(in.Signals)); !slices.Equal(got, []int{2, 8, 9}) {
		t.Fatal(got)
	}
	in = in.Before(8)
	if n := in.At(.5); n != 4 {
		t.Fatal(n)
	}
	in.Data.Samples[3].Time = 4
	if n := in.At(.5); n != 3 {
		t.Fatalf("a change of time is at %d", n)
	}
}
