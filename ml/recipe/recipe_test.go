package recipe

import (
	"context"
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

// constant ranks by the same scores for everybody, and has a part that scores the other way round.
type constant struct {
	films *Films
	score []float32
}

func (c constant) Encode() ([]byte, error)               { return []byte("constant"), nil }
func (c constant) Figures() map[string]float64           { return map[string]float64{"found": 42} }
func (c constant) Ranker(films *Films, _ Ranker) Ranker  { c.films = films; return c }
func (c constant) Films() *Films                         { return c.films }
func (constant) Rank(*online.Model, Query) (out Ranking) { return out }

func (c constant) Score(m *online.Model, user string, _ int64, f func(string, []float32)) {
	score, reverse := slices.Clone(c.score), make([]float32, len(c.score))
	for i, v := range score {
		reverse[i] = -v
	}
	for e := range m.UserEntries(user) {
		if p := c.films.Places(m)[e.Item]; p >= 0 {
			score[p], reverse[p] = online.Excluded, online.Excluded
		}
	}
	f("", score)
	f("reverse", reverse)
}

// Four films; the first half of the data has people a to d like film 0, in the second each of them likes film 1.
func evaluated(t *testing.T, score []float32) *Report {
	t.Helper()
	in := Input{Data: &ml.Dataset{Users: []string{"a", "b", "c", "d"}, Items: []string{"0", "1", "2", "3"}}, Content: func(string) Content { return Content{} }}
	like := signal.Default().Of("like", 0)
	for i := range 8 {
		in.Data.Samples = append(in.Data.Samples, ml.Sample{User: int32(i % 4), Item: int32(i / 4), Time: int64(i) * 1000, Weight: 1})
		in.Signals = append(in.Signals, like)
	}
	trained := 0
	r := &Recipe{Name: "constant", Train: func(_ context.Context, in Input, _ Params, _ Hooks) (Model, error) {
		trained = len(in.Data.Samples)
		if len(in.Signals) != trained || len(in.Data.Items) != 4 {
			t.Errorf("trained on %d signals and %d items", len(in.Signals), len(in.Data.Items))
		}
		return constant{score: score}, nil
	}}
	p, err := r.Parse(map[string]string{HoldoutShare: "0.4", HoldoutEvents: "100"})
	if err != nil {
		t.Fatal(err)
	}
	rep, err := r.Evaluate(context.Background(), in, p, nil)
	if err != nil {
		t.Fatal(err)
	}
	if trained != 4 || rep.Moments != 4 {
		t.Fatalf("trained on %d samples, judged by %d moments; want 4 and 4", trained, rep.Moments)
	}
	return rep
}

func TestEvaluate(t *testing.T) {
	best := evaluated(t, []float32{9, 3, 2, 1}) // film 0 has been met
	if best.Model["mrr"] != 1 || best.Model["ndcg@10"] != 1 || best.Model["hr@10"] != 1 || best.Figures["found"] != 42 {
		t.Errorf("a model that puts the right film first has %v, figures %v", best.Model, best.Figures)
	}
	if got := best.Baselines["reverse"]["mrr"]; math.Abs(got-1./3) > 1e-9 {
		t.Errorf("its reverse has a reciprocal rank of %v; the film is the last of three", got)
	}
	worst := evaluated(t, []float32{9, 1, 1, 1})
	if got := worst.Model["mrr"]; math.Abs(got-1./3) > 1e-9 {
		t.Errorf("of films with one score the right one counts as the last; reciprocal rank %v", got)
	}
	for _, name := range []string{"popularity", "decayed_popularity", "online"} {
		if b := best.Baselines[name]; b["ndcg@10"] <= 0 || b["ndcg@10"] > 1 {
			t.Errorf("baseline %s has %v", name, b)
		}
	}
	if worst.Gain >= best.Gain {
		t.Errorf("gains %v and %v", worst.Gain, best.Gain)
	}
}

func TestEvaluateStops(t *testing.T) {
	stop := errors.New("broken")
	r := &Recipe{Train: func(context.Context, Input, Params, Hooks) (Model, error) { return nil, stop }}
	p, _ := r.Parse(nil)
	if _, err := r.Evaluate(context.Background(), Input{Data: &ml.Dataset{}}, p, nil); !errors.Is(err, stop) {
		t.Fatal(err)
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

func TestPaired(t *testing.T) {
	if mean, p := paired([]float64{0, 1, 2, 3}); mean != 1.5 || math.Abs(p-.0514) > .0005 {
		t.Fatalf("mean %v p %v; by hand 1.5 and P(t₃ > 1.5/(1.29099/2)) = .0514", mean, p)
	}
	if _, p := paired([]float64{1}); p != 1 {
		t.Fatal(p)
	}
	if _, p := paired([]float64{0, 0, 0}); p != 1 {
		t.Fatal(p)
	}
}
