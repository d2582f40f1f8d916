package recipe

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"testing"

	"github.com/projectionist/projectionist/ml"
)

func searchable() *Recipe {
	return &Recipe{Name: "s", Params: []Param{
		Param{Name: "rate", Type: Number, Default: "0.1", Min: 0, AboveMin: true, Max: 1}.Within(.001, 4),
		Param{Name: "dim", Type: Integer, Default: "10", Min: 1, Max: 100}.Within(5, 80),
		{Name: "sweeps", Type: Integer, Default: "3", Min: 1, Max: 100},
		Param{Name: "drop", Type: Number, Default: "0.3", Min: 0, Max: .9}.Within(0, .5),
		{Name: "seed", Type: Seed, Default: "1"},
	}}
}

func TestTrials(t *testing.T) {
	r := searchable()
	all, err := r.Trials(nil, 40, 5)
	if err != nil || len(all) != 40 {
		t.Fatalf("%d trials: %v", len(all), err)
	}
	defaults, err := r.Parse(nil)
	if err != nil || !maps.Equal(all[0], defaults) {
		t.Errorf("the first is %v, not the defaults: %v", all[0], err)
	}
	below := 0
	for i, p := range all[1:] {
		if p["sweeps"] != "3" || p["seed"] != "1" {
			t.Errorf("%v varies what declares no range", p)
		}
		if dim, rate := p.Int("dim"), p.Number("rate"); dim < 5 || dim > 80 || rate < .001 || rate > 1 || p.Number("drop") > .5 {
			t.Errorf("%v is out of range", p)
		}
		if p.Number("rate") < .03 { // the middle of the logarithm
			below++
		}
		if slices.ContainsFunc(all[:i+1], func(q Params) bool { return maps.Equal(p, q) }) {
			t.Errorf("%v is there twice", p)
		}
	}
	if below < 8 || below > 32 {
		t.Errorf("%d of 39 rates are below the middle", below)
	}
	fewer, err := r.Trials(nil, 7, 5)
	if err != nil || !slices.EqualFunc(fewer, all[:7], func(a, b Params) bool { return maps.Equal(a, b) }) {
		t.Error("fewer trials are others", err)
	}
	other, err := r.Trials(nil, 7, 6)
	if err != nil || maps.Equal(other[3], all[3]) {
		t.Error("another seed gives the same", err)
	}
	given, err := r.Trials(map[string]string{"dim": "33", "rate": ".5"}, 7, 5)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range given {
		if p["dim"] != "33" || p["rate"] != "0.5" {
			t.Errorf("%v does not keep what is given", p)
		}
	}
	if one, err := r.Trials(map[string]string{"dim": "33", "rate": ".5", "drop": "0"}, 7, 5); err != nil || len(one) != 1 {
		t.Errorf("%d trials of nothing to vary: %v", len(one), err)
	}
	if _, err := r.Trials(map[string]string{"dims": "3"}, 7, 5); err == nil {
		t.Error("a parameter there is not is taken")
	}
	// Without declared ranges, numbers around their defaults.
	r.Params = []Param{{Name: "x", Type: Number, Default: "2", Min: 1, Max: 10}, {Name: "n", Type: Integer, Default: "2", Min: 1, Max: 9}, {Name: "z", Type: Number, Default: "0", Max: 9}}
	all, err = r.Trials(nil, 20, 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range all {
		if v, err := strconv.ParseFloat(p["x"], 64); err != nil || v < 1 || v > 10 || p["n"] != "2" || p["z"] != "0" {
			t.Errorf("%v: %v", p, err)
		}
	}
	// Without numbers, integers.
	r.Params = []Param{{Name: "n", Type: Integer, Default: "8", Min: 1, Max: 20}, {Name: "one", Type: Integer, Default: "1", Max: 9}, {Name: "s", Type: Seed, Default: "9"}}
	if all, err = r.Trials(nil, 12, 1); err != nil || len(all) != 12 {
		t.Errorf("%d trials: %v", len(all), err)
	}
	for _, p := range all {
		if n := p.Int("n"); n < 2 || n > 20 || p["one"] != "1" || p["s"] != "9" {
			t.Errorf("%v", p)
		}
	}
	r.Params = []Param{Param{Name: "n", Type: Integer, Default: "5", Min: 1, Max: 9}.Within(4, 6)}
	if all, err := r.Trials(nil, 20, 1); err != nil || len(all) != 3 {
		t.Errorf("%d trials of three values: %v", len(all), err)
	}
}

func TestRungs(t *testing.T) {
	for _, c := range []struct {
		n, people int
		want      []Rung
	}{
		{1, 5000, []Rung{{1, 1}}}, {2, 5000, []Rung{{2, 1}}}, {3, 5000, []Rung{{3, 1. / 3}, {1, 1}}}, {8, 5000, []Rung{{8, 1. / 3}, {3, 1}}},
		{9, 5000, []Rung{{9, 1. / 9}, {3, 1. / 3}, {1, 1}}}, {100, 5000, []Rung{{100, 1. / 9}, {34, 1. / 3}, {12, 1}}},
		{9, 700, []Rung{{9, 1. / 3}, {3, 1}}}, {9, 500, []Rung{{9, 1}}},
	} {
		if got := Rungs(c.n, c.people); !slices.EqualFunc(got, c.want, func(a, b Rung) bool { return a.Trials == b.Trials && math.Abs(a.Share-b.Share) < 1e-12 }) {
			t.Errorf("%d trials, %d people: %v, want %v", c.n, c.people, got, c.want)
		}
	}
}

func TestFind(t *testing.T) {
	all := make([]Params, 9)
	type call struct {
		rung   int
		trials string
	}
	var calls []call
	score := []float64{.1, .2, .9, .3, math.NaN(), .8, .7, .2, .2}
	judge := func(rung int, trials []int, _ float64) ([]float64, error) {
		calls = append(calls, call{rung, fmt.Sprint(trials)})
		var s []float64
		for _, trial := range trials {
			if rung == 2 && trial == 0 { // the defaults are in every rung, and win the last
				s = append(s, 2)
			} else {
				s = append(s, score[trial])
			}
		}
		return s, nil
	}
	best, err := Find(all, Rungs(9, 5000), judge)
	want := []call{{0, "[0 1 2 3 4 5 6 7 8]"}, {1, "[0 2 5 6]"}, {2, "[0 2]"}}
	if err != nil || best != 0 || !slices.Equal(calls, want) {
		t.Errorf("best %d after %v: %v", best, calls, err)
	}
	if best, err = Find(all, Rungs(9, 100), judge); err != nil || best != 2 {
		t.Errorf("best %d: %v", best, err)
	}
	for i := range score { // of equals, and where nothing can be judged, the first
		score[i] = math.NaN()
	}
	if best, err = Find(all, Rungs(9, 100), judge); err != nil || best != 0 {
		t.Errorf("best %d: %v", best, err)
	}
	stop := errors.New("stop")
	if _, err := Find(all, Rungs(9, 100), func(int, []int, float64) ([]float64, error) { return nil, stop }); !errors.Is(err, stop) {
		t.Error(err)
	}
}

func TestSome(t *testing.T) {
	in := Input{Data: &ml.Dataset{Users: make([]string, 1000), Items: []string{"x"}}}
	for u := range int32(1000) {
		in.Data.Samples = append(in.Data.Samples, ml.Sample{User: u}, ml.Sample{User: u, Time: 1})
		in.Signals = append(in.Signals, 1, 2)
	}
	some := in.Some(1./3, 4)
	if n := len(some.Data.Samples); n < 560 || n > 780 || len(some.Signals) != n || len(some.Data.Users) != 1000 {
		t.Errorf("%d of 2000", n)
	}
	for i, s := range some.Data.Samples {
		if int(some.Signals[i]) != int(s.Time)+1 || i%2 == 0 && s.User != some.Data.Samples[i+1].User {
			t.Fatal("a person is there in part")
		}
	}
	if whole := in.Some(1, 4); len(whole.Data.Samples) != 2000 {
		t.Error("not everybody")
	}
}
