package popularity

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"testing"

	"github.com/projectionist/projectionist/ml"
	"github.com/projectionist/projectionist/ml/online"
	"github.com/projectionist/projectionist/ml/recipe"
	"github.com/projectionist/projectionist/ml/signal"
)

const day = 24 * 60 * 60 * 1000

// Film a was liked four times long ago, b twice today, c once today and disliked once.
func trained(t *testing.T, halfLifeDays string) recipe.Model {
	t.Helper()
	in := recipe.Input{Data: &ml.Dataset{Users: []string{"u"}, Items: []string{"a", "b", "c"}}, Content: func(string) recipe.Content { return recipe.Content{} }}
	for _, s := range []ml.Sample{{Item: 0, Time: 0, Weight: 1}, {Item: 0, Time: 1, Weight: 1}, {Item: 0, Time: 2, Weight: .5}, {Item: 0, Time: 3, Weight: 1},
		{Item: 1, Time: 20 * day, Weight: 1}, {Item: 1, Time: 20*day + 1, Weight: 1}, {Item: 2, Time: 20*day + 2, Weight: 1}, {Item: 2, Time: 20*day + 3, Weight: -1}} {
		in.Data.Samples = append(in.Data.Samples, s)
		in.Signals = append(in.Signals, signal.Default().Of("like", 0))
	}
	p, err := Recipe.Parse(map[string]string{halfLife: halfLifeDays})
	if err != nil {
		t.Fatal(err)
	}
	m, err := Recipe.Train(context.Background(), in, p, recipe.Hooks{})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestHalfLife(t *testing.T) {
	for halfLifeDays, want := range map[string][3]float32{"10": {1, 2, 1}, "20": {2, 2, 1}, "5": {.25, 2, 1}} {
		if got := trained(t, halfLifeDays).(*model).scores; [3]float32(got) != want {
			t.Errorf("half-life %s days: %v; want %v", halfLifeDays, got, want)
		}
	}
}

// Everyone is ranked what they have not met by what is popular lately, films nobody has met last.
func TestRank(t *testing.T) {
	films := recipe.NewFilms([]*recipe.Film{{ID: "a"}, {ID: "b"}, {ID: "c"}, {ID: "new"}})
	r := trained(t, "10").Ranker(films, nil)
	m := online.New()
	m.Add("u", "b", 1, 1, signal.Default().Of("dislike", 0))
	got := r.Rank(m, recipe.Query{User: "u", K: 10, Explain: recipe.Briefly})
	if len(got.Items) != 3 || got.Strategy != "popularity" {
		t.Fatal(got)
	}
	for i, want := range []struct {
		id    string
		score float32
	}{{"a", 1}, {"c", 1}, {"new", 0}} {
		it := got.Items[i]
		if films.At(it.Place).ID != want.id || it.Score != want.score {
			t.Errorf("place %d is %s with %v; want %+v", i, films.At(it.Place).ID, it.Score, want)
		}
		if want.score > 0 && (len(it.Because) != 1 || it.Because[0] != recipe.Reason{Score: 1, Source: "popular lately"}) {
			t.Errorf("because %v", it.Because)
		}
	}
	if first := r.Rank(m, recipe.Query{User: "stranger", K: 1}).Items[0]; films.At(first.Place).ID != "b" {
		t.Error("a stranger is shown", first)
	}
}

// What is registered is trained again to the same bytes.
func TestGolden(t *testing.T) {
	b, err := trained(t, "10").Encode()
	if err != nil {
		t.Fatal(err)
	}
	a, err := ml.DecodeArtifact(b)
	if err != nil {
		t.Fatal(err)
	}
	a.Kernel = "amd64-avx2" // all kernels give the same bits, and write their name
	if b, err = a.Encode(); err != nil {
		t.Fatal(err)
	}
	const want = "a03e39e616b107d89e8f10c454f4085fdef2252333278065600e0047a6b54dda"
	if sum := sha256.Sum256(b); hex.EncodeToString(sum[:]) != want {
		t.Errorf("%d bytes with the SHA-256 %x; want %s", len(b), sum, want)
	}
}

func TestDecodeRefuses(t *testing.T) {
	for name, change := range map[string]func(*model){
		"order": func(m *model) { m.items[0], m.items[1] = m.items[1], m.items[0] },
		"below": func(m *model) { m.scores[1] = -1 },
	} {
		m := trained(t, "10").(*model)
		change(m)
		b, err := m.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Recipe.Decode(b); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}
