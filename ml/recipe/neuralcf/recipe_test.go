package neuralcf_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/projectionist/projectionist/ml"
	"github.com/projectionist/projectionist/ml/recipe"
	"github.com/projectionist/projectionist/ml/recipe/neuralcf"
	"github.com/projectionist/projectionist/ml/signal"
)

// rated is three people: a rated ten films, b five, c two; and d has clicked only.
func rated() recipe.Input {
	in := recipe.Input{Data: &ml.Dataset{Users: []string{"a", "b", "c", "d"}}, Content: func(string) recipe.Content { return recipe.Content{} }}
	for i := range 12 {
		in.Data.Items = append(in.Data.Items, fmt.Sprintf("%02d", i))
	}
	act := func(user, item int32, kind string, stars float64) {
		sig := signal.Default().Of(kind, stars)
		in.Signals = append(in.Signals, sig)
		in.Data.Samples = append(in.Data.Samples, ml.Sample{User: user, Item: item, Time: int64(len(in.Signals)), Rating: float32(sig.Rating()), Weight: sig.Weight()})
	}
	for user, n := range []int32{10, 5, 2} {
		for item := range n {
			act(int32(user), item, "rating", 3.5)
		}
	}
	act(3, 11, "click", 0)
	return in
}

func params(t *testing.T, given map[string]string) recipe.Params {
	t.Helper()
	p, err := neuralcf.Recipe.Parse(given)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// The most active have rows, as many as there are ratings of; and rows that nobody needs are nobody's.
func TestData(t *testing.T) {
	for _, c := range []struct {
		users, movies string
		who           []string
		films         int
		ratings       int
	}{
		{"0", "0", []string{"a", "b", "c"}, 10, 17},
		{"2", "3", []string{"a", "b"}, 3, 6},
		{"1", "0", []string{"a"}, 10, 10},
		{"5", "4", []string{"a", "b", "c", "", ""}, 4, 10},
	} {
		d := neuralcf.Data(rated(), params(t, map[string]string{neuralcf.Users: c.users, neuralcf.Movies: c.movies}))
		if !slices.Equal(d.Users, c.who) || len(d.Movies) != c.films || len(d.Ratings) != c.ratings || d.Validation != c.ratings/10 {
			t.Errorf("%s people, %s films: %+v", c.users, c.movies, d)
		}
	}
}

func TestFigures(t *testing.T) {
	m, err := neuralcf.Recipe.Train(context.Background(), rated(), params(t, map[string]string{neuralcf.Users: "100", neuralcf.Movies: "1000", neuralcf.Epochs: "1"}), recipe.Hooks{})
	if err != nil {
		t.Fatal(err)
	}
	if f := m.Figures(); f["parameters"] != 97_281 || f["epoch"] != 1 {
		t.Error(f)
	}
}

// A file goes in as this program's, with its own ids or none.
func TestImport(t *testing.T) {
	m, err := neuralcf.Recipe.Train(context.Background(), rated(), params(t, nil), recipe.Hooks{})
	if err != nil {
		t.Fatal(err)
	}
	weights, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	a, err := ml.DecodeArtifact(weights)
	if err != nil {
		t.Fatal(err)
	}
	f, err := a.Safetensors()
	if err != nil {
		t.Fatal(err)
	}
	made, err := f.File()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if _, err := made.WriteTo(&out); err != nil {
		t.Fatal(err)
	}
	file := out.Bytes()
	same := func(id string) (string, error) { return id, nil }
	got, err := neuralcf.Recipe.Import(file, same, same)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := got.Encode(); err != nil || !bytes.Equal(b, weights) {
		t.Error("it comes back as another", err)
	}
	bad := func(id string) (string, error) {
		if id == "b" {
			return "", errors.New("it is odd")
		}
		return id, nil
	}
	if _, err := neuralcf.Recipe.Import(file, bad, same); err == nil || !strings.Contains(err.Error(), "user_ids, entry 1: it is odd") {
		t.Error(err)
	}
	one := func(string) (string, error) { return "1", nil }
	if _, err := neuralcf.Recipe.Import(file, same, one); err == nil || !strings.Contains(err.Error(), `film "1" has the rows`) {
		t.Error("two films become one:", err)
	}
}
