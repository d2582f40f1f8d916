package recipe

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/projectionist/projectionist/ml"
	"github.com/projectionist/projectionist/ml/signal"
)

// Where what is popular changes every week, it is forgotten faster than usual, and where it stays seldom any faster, by chance.
func TestForgetting(t *testing.T) {
	stream := func(seed uint64, weekly bool) Input {
		rng := rand.New(rand.NewPCG(seed, 2))
		in := Input{Data: &ml.Dataset{}, Content: func(string) Content { return Content{} }}
		for i := range 60 {
			in.Data.Items = append(in.Data.Items, fmt.Sprintf("%02d", i))
		}
		const day = 24 * 60 * 60 * 1000
		for i := range 3000 { // ten a day, of people who come once
			film := int(60 * rng.Float64() * rng.Float64())
			if weekly && rng.IntN(4) > 0 {
				film = (i/70*7 + rng.IntN(3)) % 60
			}
			in.Data.Users = append(in.Data.Users, fmt.Sprintf("u%04d", i))
			in.Data.Samples = append(in.Data.Samples, ml.Sample{User: int32(i), Item: int32(film), Time: int64(i) * day / 10, Weight: 1})
			in.Signals = append(in.Signals, signal.Default().Of("like", 0))
		}
		return in
	}
	faster, changing := 0, 0
	for seed := range uint64(10) {
		in := stream(seed, true)
		if f, err := in.Forgetting(t.Context(), in.Films(), in.At(.9), 1000); err != nil || f < 1 {
			t.Errorf("seed %d: of what changes every week %v times as fast, %v", seed, f, err)
		} else if f == 2 {
			changing++
		}
		in = stream(seed, false)
		f, err := in.Forgetting(t.Context(), in.Films(), in.At(.9), 1000)
		if err != nil {
			t.Fatal(err)
		}
		if f > 1 {
			faster++
		}
	}
	if changing < 8 {
		t.Errorf("of ten streams of what changes every week %d are forgotten faster than usual", changing)
	}
	if faster > 3 {
		t.Errorf("of ten streams of what stays %d are forgotten faster than usual", faster)
	}
	if f, err := stream(1, true).Before(0).Forgetting(t.Context(), NewFilms(nil), 0, 10); f != 1 || err != nil {
		t.Error("of nothing:", f, err)
	}
}

// The first stays unless another is better beyond doubt, which is over people; of those that are, the first that is not worse than the
// best of them beyond doubt is taken.
func TestBeyondDoubt(t *testing.T) {
	four := []int{0, 1, 2, 3}
	for _, c := range []struct {
		gains  [][]float64
		person []int
		want   int
	}{
		{[][]float64{{0, 0, 0, 0}, {.1, .1, .1, .2}}, four, 1},              // better for everybody
		{[][]float64{{.5, 0, 0, 0}, {0, .2, .2, .2}}, four, 0},              // a lead of .025, and one person has all of it
		{[][]float64{{0, 0, 0, 0}, {.1, .2, .1, .2}}, []int{0, 0, 0, 0}, 0}, // for one person
		{[][]float64{{0, 0, 0, 0}, {.5, .5, .5, .4}, {.5, .5, .5, .5}}, four, 1},
		{[][]float64{{0, 0, 0, 0}, {.4, 0, 0, 0}, {.1, .1, .1, .2}}, four, 2}, // nothing speaks for the second
		{[][]float64{{0, 0, 0, 0}, {.1, .1, .1, .2}, {1, 0, 0, 0}}, four, 1},  // the most, of one person, is in doubt
		{[][]float64{nil, nil}, nil, 0},
	} {
		people := 0
		for _, p := range c.person {
			people = max(people, p+1)
		}
		if got := beyondDoubt(c.gains, c.person, people); got != c.want {
			t.Errorf("%v of %v: %d", c.gains, c.person, got)
		}
	}
}
