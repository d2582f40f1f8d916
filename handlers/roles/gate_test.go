package roles

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers/ingest/world"
	"github.com/projectionist/projectionist/ml"
	"github.com/projectionist/projectionist/ml/recipe"
	"github.com/projectionist/projectionist/ml/recipe/all"
	"github.com/projectionist/projectionist/ml/signal"
)

func TestGate(t *testing.T) {
	worse, equal, better := recipe.Difference{Mean: -.02, Low: -.03, High: -.01}, recipe.Difference{Mean: -.01, Low: -.03, High: .01}, recipe.Difference{Mean: .02, Low: .01, High: .03}
	for _, test := range []struct {
		moments      int
		standing     standing
		vsPopularity recipe.Difference
		vsChampion   recipe.Difference
		promote      bool
		says         []string
	}{
		{0, vacant, worse, equal, true, []string{"nothing is deployed", "0 moments", "fewer than 30"}},
		{29, vacant, worse, equal, true, []string{"29 moments"}},
		{30, vacant, worse, equal, false, []string{"kept nothing: ", "worse than popularity beyond doubt", "30 moments of 7 people", "-0.0200 (95 % interval -0.0300 to -0.0100)"}},
		{30, vacant, equal, equal, true, []string{"ndcg@10 0.2000 at 30 moments of 7 people; popularity 0.1000, difference -0.0100 (95 % interval -0.0300 to +0.0100)"}},
		{29, alike, worse, equal, true, []string{"als/1 is of the same recipe and parameters", "29 moments"}},
		{30, alike, equal, worse, true, []string{"als/1 is of the same recipe and parameters", "popularity 0.1000"}},
		{30, alike, worse, better, false, []string{"kept als/1: ", "worse than popularity"}},
		{29, compared, better, better, false, []string{"kept als/1: ", "29 moments"}},
		{30, compared, better, worse, false, []string{"kept als/1: the new version is worse beyond doubt: ", "of als/0 0.3000 at the same moments, difference -0.0200 (95 % interval -0.0300 to -0.0100)"}},
		{30, compared, better, equal, true, []string{"of als/0 0.3000 at the same moments, difference -0.0100 (95 % interval -0.0300 to +0.0100)"}},
		{30, compared, worse, equal, false, []string{"kept als/1: the new version is worse than popularity beyond doubt: "}},
		{30, compared, worse, better, true, []string{"difference +0.0200"}}, // both are; the new one less so
		{29, unjudged, better, equal, false, []string{"kept als/1: ", "29 moments"}},
		{30, unjudged, equal, worse, true, []string{"popularity 0.1000", "not compared with als/1: its recipe is unknown"}},
		{30, unjudged, worse, better, false, []string{"worse than popularity", "not compared with als/1: its recipe is unknown"}},
		{1000, changed, better, better, false, []string{"kept als/1: its recipe is unknown; run the workflow again"}},
	} {
		j := judgement{moments: test.moments, people: 7, model: .2, popularity: .1, vsPopularity: test.vsPopularity, champion: "als/1",
			standing: test.standing, judged: "als/0", rival: .3, vsChampion: test.vsChampion, why: "its recipe is unknown"}
		if test.standing == vacant {
			j.champion = ""
		}
		promote, reason := gate(j)
		if promote != test.promote {
			t.Errorf("%+v: promoted %v: %s", test, promote, reason)
		}
		for _, says := range test.says {
			if !strings.Contains(reason, says) {
				t.Errorf("%+v: the reason does not say %q: %s", test, says, reason)
			}
		}
	}
}

// choices are what people of a simulated world chose.
func choices(t *testing.T, seed uint64) recipe.Input {
	t.Helper()
	w, err := world.New(world.Params{Seed: seed, Users: 120, Movies: 150, Events: 40_000, End: time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)})
	if err != nil {
		t.Fatal(err)
	}
	in := recipe.Input{Data: &ml.Dataset{}, Content: func(string) recipe.Content { return recipe.Content{} }}
	for _, m := range w.Movies() {
		in.Data.Items = append(in.Data.Items, m.ID)
	}
	slices.Sort(in.Data.Items)
	people := map[string]int32{}
	for x := range w.Interactions() {
		if x.Kind == "view" || x.Kind == "click" {
			continue // people first meet a film by choosing it
		}
		if len(in.Signals) == 6000 {
			break
		}
		person, ok := people[x.UserID]
		if !ok {
			person = int32(len(people))
			people[x.UserID] = person
			in.Data.Users = append(in.Data.Users, x.UserID)
		}
		film, _ := slices.BinarySearch(in.Data.Items, x.MovieID)
		s := signal.Default().Of(x.Kind, x.Rating)
		in.Data.Samples = append(in.Data.Samples, ml.Sample{User: person, Item: int32(film), Time: x.TimeMillis, Weight: s.Weight()})
		in.Signals = append(in.Signals, s)
	}
	return in
}

func configured(t *testing.T, conf map[string]string) recipe.Configuration {
	t.Helper()
	r, p, err := recipeOf(map[string]map[string]string{
		"als": {"als.dim": "4", "als.sweeps": "3", recipe.HoldoutShare: "0.3", recipe.HoldoutEvents: "1000"}, "popularity": {recipe.HoldoutShare: "0.3", recipe.HoldoutEvents: "1000"}}, conf)
	if err != nil {
		t.Fatal(err)
	}
	return recipe.Configuration{Recipe: r, Params: p}
}

// Over many worlds the gate lets in what is as good as what serves, and hardly ever what is clearly worse. Both are judged
// at the same moments: what each scores in worlds of the same kind differs by more than the 5 % that the gate once went by.
func TestGateIsNoLottery(t *testing.T) {
	const worlds = 20
	als, twin, popularity := configured(t, nil), configured(t, map[string]string{"als.seed": "77"}), configured(t, map[string]string{"algorithm": all.Recipes()[1].Name})
	decide := func(in recipe.Input, c, champion recipe.Configuration) (bool, *recipe.Report) {
		rep, err := c.Recipe.Evaluate(context.Background(), in, c.Params, &champion, nil)
		if err != nil || rep.ChampionError != nil {
			t.Fatal(err, rep.ChampionError)
		}
		promoted, _ := gate(judgement{moments: rep.Moments, people: rep.People, model: rep.Model[gateMetric], popularity: rep.Baselines["popularity"][gateMetric],
			vsPopularity: rep.VsPopularity, champion: "als/1", standing: compared, rival: rep.Champion[gateMetric], vsChampion: rep.VsChampion})
		return promoted, rep
	}
	var asGood, better, worse, apart, belowBefore int
	before := 0.
	for seed := range uint64(worlds) {
		in := choices(t, seed)
		promoted, rep := decide(in, twin, als)
		if promoted {
			asGood++
		}
		if rep.VsChampion.Mean != 0 {
			apart++
		}
		if rep.Model[gateMetric] < .95*before {
			belowBefore++
		}
		before = rep.Model[gateMetric]
		if promoted, _ := decide(in, als, popularity); promoted {
			better++
		}
		if promoted, _ := decide(in, popularity, als); promoted {
			worse++
		}
	}
	t.Logf("of %d worlds promoted: as good %d, better %d, clearly worse %d; in %d the equals scored apart, in %d they scored 5 %% below the world before", worlds, asGood, better, worse, apart, belowBefore)
	if asGood < worlds-1 || better < worlds || worse > 0 {
		t.Errorf("as good %d, better %d, clearly worse %d", asGood, better, worse)
	}
	if apart < worlds/2 || belowBefore < worlds/4 {
		t.Errorf("the equals score apart in %d worlds, and below the world before in %d: the test tells nothing", apart, belowBefore)
	}
}

func TestMadeBy(t *testing.T) {
	r := all.Default()
	p, err := r.Parse(nil)
	if err != nil {
		t.Fatal(err)
	}
	v := func(change func(*events.ModelVersionRegistered)) *events.ModelVersionRegistered {
		v := &events.ModelVersionRegistered{Name: r.Name, Algorithm: r.Name, Params: map[string]string(p), CodeVersion: r.CodeVersion()}
		change(v)
		return v
	}
	by, why := madeBy(v(func(*events.ModelVersionRegistered) {}))
	if by == nil || !by.Equal(recipe.Configuration{Recipe: r, Params: p}) || why != "" {
		t.Errorf("%+v, %q", by, why)
	}
	if by, why := madeBy(v(func(v *events.ModelVersionRegistered) { v.Params = nil })); by == nil || configurationID(by) != configurationID(&recipe.Configuration{Recipe: r, Params: p}) {
		t.Errorf("by defaults: %+v, %q", by, why)
	}
	for says, change := range map[string]func(*events.ModelVersionRegistered){
		`"magic"`:              func(v *events.ModelVersionRegistered) { v.Algorithm = "magic" },
		`trained by code "x`:   func(v *events.ModelVersionRegistered) { v.CodeVersion = "x/1 amd64 go" },
		"als.dims":             func(v *events.ModelVersionRegistered) { v.Params = map[string]string{"als.dims": "4"} },
		"als.dim: is \"much\"": func(v *events.ModelVersionRegistered) { v.Params = map[string]string{"als.dim": "much"} },
	} {
		if by, why := madeBy(v(change)); by != nil || !strings.Contains(why, says) || strings.Contains(why, "\n") {
			t.Errorf("%+v, %q; want it to say %s", by, why, says)
		}
	}
	many := map[string]string{}
	for i := range 100 {
		many[strings.Repeat("x", 200)+string(rune('0'+i))] = "1"
	}
	if _, why := madeBy(v(func(v *events.ModelVersionRegistered) { v.Params = many })); len(why) > 2*briefBytesMax {
		t.Errorf("why it cannot be made again takes %d bytes", len(why))
	}
}
