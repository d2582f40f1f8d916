package signal

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/internal/fault"
)

const day = dayMillis

// What acts mean by the definition that the program comes with.
func TestDefault(t *testing.T) {
	for _, c := range []struct {
		kind    string
		stars   float64
		weight  float32
		counted bool
		seen    Days
		centi   int
	}{
		{"rating", 5, 1, true, Forever, 500},
		{"rating", 3.5, .4, true, Forever, 350},
		{"rating", 3.49, 0, true, Forever, 349},
		{"rating", 2.01, 0, true, Forever, 201},
		{"rating", 2, -.2, false, Forever, 200},
		{"impression", 4, .6, true, Forever, 400}, // stars outrank the kind they come with
		{"like", .5, -.8, false, Forever, 50},
		{"view", .001, -.996, false, Forever, 1},
		{"like", 0, 1, true, Forever, 0},
		{"wishlist", 0, 1, true, 30, 0},
		{"watchlist", 0, 1, true, 30, 0},
		{"dislike", 0, -1, false, Forever, 0},
		{"click", math.NaN(), 0, true, 30, 0},
		{"click", 5.01, 0, true, 30, 0},
		{"click", -1, 0, true, 30, 0},
		{"impression", 0, 0, false, 0, 0},
		{"search", 0, 0, false, 0, 0},
		{"hum", 0, 0, false, 0, 0}, // nobody has said what it means
	} {
		s := Default().Of(c.kind, c.stars)
		if s.Weight() != c.weight || s.Counted() != c.counted || s.Seen() != c.seen || s.RatingCenti() != c.centi || !s.Valid() {
			t.Errorf("%s with %v stars: weight %v, counted %v, seen %v, centi %d, valid %v; want %+v", c.kind, c.stars, s.Weight(), s.Counted(), s.Seen(), s.RatingCenti(), s.Valid(), c)
		}
	}
}

// The kinds that have a name of their own in what is stored and counted all have a meaning too.
func TestEveryKindIsDefined(t *testing.T) {
	for _, kind := range events.Kinds {
		if _, ok := Default().Kinds[kind]; !ok {
			t.Errorf("%s is not among the kinds of signals.yaml", kind)
		}
	}
}

func TestHides(t *testing.T) {
	like, click, shown := Default().Of("like", 0), Default().Of("click", 0), Default().Of("impression", 0)
	for _, c := range []struct {
		s       Signal
		at, now int64
		want    bool
	}{
		{like, 0, 0, true}, {like, 0, math.MaxInt64, true},
		{click, 5, 5, true}, {click, 5, 4 + 30*day, true}, {click, 5, 5 + 30*day, false}, {click, 99 * day, 5, true},
		{shown, 5, 5, false}, {shown, 99, 5, false},
	} {
		if got := c.s.Hides(c.at, c.now); got != c.want {
			t.Errorf("seen %v at %d hides at %d: %v", c.s.Seen(), c.at, c.now, got)
		}
	}
	if !like.Meets() || !click.Meets() || shown.Meets() || !Default().Of("dislike", 0).Meets() {
		t.Error("to be shown a film is not to meet it; all else here is")
	}
}

// Every meaning that a definition can give comes back from the signal.
func TestSignalHoldsItsMeaning(t *testing.T) {
	for weight := -100; weight <= 100; weight++ {
		for _, seen := range []Days{0, 1, 30, DaysMax, Forever} {
			for _, counted := range []bool{false, true} {
				s := Meaning{float64(weight) / 100, counted, seen}.signal()
				if s.Weight() != float32(weight)/100 || s.Seen() != seen || s.Counted() != counted || s.RatingCenti() != 0 || !s.Valid() || !math.IsNaN(s.Rating()) {
					t.Fatalf("weight %d counted %v seen %v came back as %v %v %v", weight, counted, seen, s.Weight(), s.Counted(), s.Seen())
				}
			}
		}
	}
	for centi := 1; centi <= RatingCentiMax; centi++ {
		s := Default().Of("rating", float64(centi)/100)
		want := float32(centi-250) / 250
		if centi > 200 && centi < 350 {
			want = 0
		}
		if s.RatingCenti() != centi || s.Rating() != float64(centi)/100 || s.Weight() != want || s.Counted() != (centi > 200) {
			t.Fatalf("%d hundredths came back as %d with the weight %v", centi, s.RatingCenti(), s.Weight())
		}
	}
	for _, s := range []Signal{501, 1 << 31, ^Signal(0)} {
		if s.RatingCenti() <= RatingCentiMax && (s.Seen() <= DaysMax || s.Seen() == Forever) && s.Valid() != (s>>weightAt&1023 <= 1000) || s == 501 && s.Valid() {
			t.Errorf("%#x is valid: %v", uint32(s), s.Valid())
		}
	}
}

const small = "rating: {liked: 4, disliked: 1.5, seen: forever}\nkinds:\n  view: {weight: 0.25, popularity: true, seen: 7d}\nother: {seen: 1d}\n"

func TestParse(t *testing.T) {
	d, err := Parse([]byte(small))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		kind   string
		stars  float64
		weight float32
		seen   Days
	}{{"view", 0, .25, 7}, {"like", 0, 0, 1}, {"view", 3.9, 0, Forever}, {"rating", 4, .6, Forever}, {"rating", 1.5, -.4, Forever}, {"rating", 2, 0, Forever}} {
		if s := d.Of(c.kind, c.stars); s.Weight() != c.weight || s.Seen() != c.seen {
			t.Errorf("%s %v: weight %v, seen %v; want %+v", c.kind, c.stars, s.Weight(), s.Seen(), c)
		}
	}
	same, err := Parse([]byte("# the same\nother:\n  seen: 1d\nkinds: {view: {popularity: true, seen: 7d, weight: .25}}\nrating: {disliked: 1.5, seen: forever, liked: 4.0}\n"))
	if err != nil || same.Hash() != d.Hash() {
		t.Errorf("order and comments change the hash: %v", err)
	}
	other, err := Parse([]byte(strings.Replace(small, "7d", "8d", 1)))
	if err != nil || other.Hash() == d.Hash() || len(d.Hash()) != 64 {
		t.Errorf("another meaning has the same hash: %v", err)
	}
}

func TestParseRefuses(t *testing.T) {
	many := "rating: {liked: 4, disliked: 1, seen: never}\nkinds:\n"
	for i := range kindsMax + 1 {
		many += "  k" + strings.Repeat("a", i%26+1) + string(rune('a'+i/676)) + string(rune('a'+i/26%26)) + ": {}\n"
	}
	for name, c := range map[string]struct{ text, says string }{
		"nothing":              {"", "rating"},
		"no rating":            {"kinds: {}\n", "rating"},
		"half a rating":        {"rating: {liked: 4}\n", "rating"},
		"bounds":               {strings.Replace(small, "disliked: 1.5", "disliked: 4.5", 1), "rating"},
		"bounds past middle":   {strings.Replace(small, "disliked: 1.5", "disliked: 2.5", 1), "rating"},
		"liked NaN":            {strings.Replace(small, "liked: 4", "liked: .nan", 1), "rating"},
		"weight":               {strings.Replace(small, "0.25", "1.5", 1), "kinds.view.weight"},
		"weight NaN":           {strings.Replace(small, "0.25", ".nan", 1), "kinds.view.weight"},
		"weight text":          {strings.Replace(small, "0.25", "much", 1), "signals"},
		"popular dislike":      {strings.Replace(small, "0.25", "-1", 1), "kinds.view.popularity"},
		"days":                 {strings.Replace(small, "7d", "7", 1), "kinds.view.seen"},
		"days below":           {strings.Replace(small, "7d", "0d", 1), "kinds.view.seen"},
		"days above":           {strings.Replace(small, "7d", "3651d", 1), "kinds.view.seen"},
		"other":                {strings.Replace(small, "1d", "yes", 1), "other.seen"},
		"rating seen":          {strings.Replace(small, "seen: forever", "seen: 1w", 1), "rating.seen"},
		"unknown field":        {strings.Replace(small, "weight", "wieght", 1), "wieght"},
		"a kind's form":        {strings.Replace(small, "view", "View", 1), "kinds.View"},
		"a kind twice":         {small + "kinds: {}\n", "kinds"},
		"many kinds":           {many, "kinds"},
		"not YAML":             {"rating: [", "signals"},
		"a list":               {"- 1\n", "signals"},
		"long":                 {small + strings.Repeat("#", documentBytesMax), "signals"},
		"billion laughs":       {"a: &a [x,x]\nb: &b [*a,*a]\nkinds: *b\n", "signals"},
		"rating as text":       {"rating: stars\n", "signals"},
		"a kind that is a num": {strings.Replace(small, "view:", "3:", 1), "kinds.3"},
	} {
		_, err := Parse([]byte(c.text))
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v; want it to name %s", name, err, c.says)
		}
		var all []error
		if joined, ok := err.(interface{ Unwrap() []error }); ok {
			all = joined.Unwrap()
		} else {
			all = []error{err}
		}
		if slices.ContainsFunc(all, func(err error) bool { return !fault.Is(err, fault.Invalid) }) {
			t.Errorf("%s: %v is not refused as invalid", name, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(small, "view", 3.0)
	f.Add(DefaultYAML(), "hum", 0.0)
	f.Fuzz(func(t *testing.T, text, kind string, stars float64) {
		d, err := Parse([]byte(text))
		if err != nil {
			return
		}
		if s := d.Of(kind, stars); !s.Valid() || s.Weight() < 0 && s.Counted() {
			t.Fatalf("%s with %v stars is %#x", kind, stars, uint32(s))
		}
	})
}

// Stars that are added change nothing of what an act means.
func TestWithStars(t *testing.T) {
	like := Default().Of("like", 0)
	for stars, want := range map[float64]int{4.5: 450, .001: 1, 5: 500, 0: 0, 5.1: 0, -1: 0} {
		s := Default().Of("rating", 2).WithStars(stars)
		if s.RatingCenti() != want || !s.Valid() || s.Weight() != Default().Of("rating", 2).Weight() {
			t.Errorf("%v stars: %v", stars, s)
		}
		if s := like.WithStars(stars); s.RatingCenti() != want || s.Weight() != 1 || !s.Counted() || s.Seen() != Forever {
			t.Errorf("a like of %v stars: %v", stars, s)
		}
	}
}
