package all_test

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/ml/online"
	"github.com/projectionist/projectionist/ml/recipe"
	"github.com/projectionist/projectionist/ml/recipe/all"
	"github.com/projectionist/projectionist/ml/signal"
)

// Whatever explains a score gives every film and source that speaks for it and against it: the reasons add up to it, of each
// recipe that explains, whoever is ranked for, and whether films are ranked that they have met.
func TestReasonsAddUp(t *testing.T) {
	in := tastes(400)
	m := learned(in)
	now := in.Data.Samples[399].Time
	films := in.Films().With([]*recipe.Film{{ID: "new", Content: recipe.Content{Genres: []string{"Comedy"}}}})
	for k := range 30 { // somebody who has met few films, some of them again and again
		m.Add("again", in.Data.Items[k%3], now-int64(30-k), uint64(k), in.Signals[0])
	}
	guest := m.Guest([]string{"01", "25", "01", "07"}, now, signal.Chosen())
	explaining := []string{}
	for _, r := range all.Recipes() {
		model, err := r.Decode(weights(t, r))
		if err != nil {
			t.Fatal(err)
		}
		ranker := model.Ranker(films, nil)
		member, explains := ranker.(recipe.Member)
		if explains {
			explaining = append(explaining, r.Name)
		}
		explained, fromFilms := 0, 0
		for _, user := range append([]string{"", "stranger", "again"}, in.Data.Users...) {
			m := m
			if user == "" {
				m = guest
			}
			for _, again := range []bool{true, false} {
				q := recipe.Query{User: user, NowMillis: now, K: 41, Explain: recipe.Fully, Again: again}
				list := ranker.Rank(m, q)
				var places []int
				for _, it := range list.Items {
					places = append(places, it.Place)
				}
				var alone [][]recipe.Reason
				known := false // of whom it does not know, counts give the reasons
				if explains {
					var answer recipe.Answer
					if answer, known = member.Ask(m, user, now, again); known {
						alone = answer.Because(places, recipe.Fully)
						for _, it := range list.Items {
							if score := answer.Score()[it.Place]; score != it.Score {
								t.Errorf("%s, %q, again %v: %s has %v; %v is answered", r.Name, user, again, films.At(it.Place).ID, it.Score, score)
							}
						}
						answer.Release()
					}
				}
				for i, it := range list.Items {
					if !explains && it.Because == nil {
						continue // it is what was learned of the person, and no film's
					}
					var sum float64
					for k, why := range it.Because {
						sum += float64(why.Score)
						if why.ID != "" {
							fromFilms++
						}
						if known && why != alone[i][k] {
							t.Errorf("%s, %s: %+v is explained as %+v alone", r.Name, user, why, alone[i][k])
						}
					}
					if explained += len(it.Because); math.Abs(sum-float64(it.Score)) > 1e-6 {
						t.Errorf("%s, %q, again %v: the reasons for %s add up to %v of %v: %v", r.Name, user, again, films.At(it.Place).ID, sum, it.Score, it.Because)
					}
				}
			}
		}
		if explains && (explained < 500 || fromFilms < 500 && r.Name != "popularity") {
			t.Errorf("%s: only %d reasons, %d of them films", r.Name, explained, fromFilms)
		}
	}
	if want := []string{"als", "popularity", "ease", "itemknn", "nextitem", "blend"}; !slices.Equal(explaining, want) {
		t.Errorf("%v explain; want %v", explaining, want)
	}
}

// Weights from film to film are bounded, whatever films there are: who asks for more is told what to set, and with that is served.
func TestWeightsAreBounded(t *testing.T) {
	for name, given := range map[string][]map[string]string{
		"ease":     {{"ease.films": "20000", "ease.keep": "5001"}, {"ease.films": "20000", "ease.keep": "20000"}},
		"nextitem": {{"nextitem.films": "12501", "nextitem.keep": "8000"}},
		"blend":    {{"ease.films": "20000", "ease.keep": "20000"}, {"blend.ease": "no", "nextitem.films": "20000", "nextitem.keep": "20000"}},
	} {
		r, err := all.Find(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range given {
			_, err := r.Parse(p)
			var refused *fault.Error
			if !errors.As(err, &refused) || refused.Code != fault.Invalid || !strings.HasSuffix(refused.Field, ".keep") {
				t.Errorf("%s %v: %v", name, p, err)
				continue
			}
			if _, err := r.Stated(p); err != nil { // a version that was trained by it is as good as it was
				t.Errorf("%s %v, stated: %v", name, p, err)
			}
			said := regexp.MustCompile(`^set (\S+) to (\d+) or less, or (\S+) to (\d+) or less$`).FindStringSubmatch(refused.Hint)
			if said == nil {
				t.Errorf("%s %v: the hint is %q", name, p, refused.Hint)
				continue
			}
			for i := 1; i < len(said); i += 2 { // either helps, and no more is asked than has to be
				helps := maps.Clone(p)
				helps[said[i]] = said[i+1]
				if _, err := r.Parse(helps); err != nil {
					t.Errorf("%s %v: with what the hint says: %v", name, helps, err)
				}
				n, _ := strconv.Atoi(said[i+1])
				helps[said[i]] = strconv.Itoa(n + 1)
				if _, err := r.Parse(helps); err == nil {
					t.Errorf("%s %v: the hint asks for more than has to be", name, helps)
				}
			}
		}
	}
	r, err := all.Find("itemknn")
	if err != nil {
		t.Fatal(err)
	}
	in := tastes(400)
	in.Data.Items = make([]string, 20_000)
	for i := range in.Data.Items {
		in.Data.Items[i] = fmt.Sprintf("%05d", i)
	}
	p := parse(t, r, map[string]string{"itemknn.k": "5001"})
	_, err = r.Train(t.Context(), in, p, recipe.Hooks{})
	var refused *fault.Error
	if !errors.As(err, &refused) || refused.Field != "itemknn.k" || refused.Hint != "set itemknn.k to 5000 or less" {
		t.Errorf("5,001 neighbours of 20,000 films: %v", err)
	}
}

// mixOf is the mix of counts that a model's figures say.
func mixOf(figures map[string]float64) online.Mix {
	var w [len(online.MixSources)]float32
	for i, source := range online.MixSources {
		w[i] = float32(figures["online_weight."+source])
	}
	mix := online.MixOf(w)
	mix.Forget = float32(figures["online_forget"])
	return mix
}

// A blend has each part's say by its weight, and its parts' parameters.
func TestBlend(t *testing.T) {
	r, err := all.Find("blend")
	if err != nil {
		t.Fatal(err)
	}
	in := tastes(400)
	m := learned(in)
	none := map[string]string{}
	for _, d := range r.Params {
		if d.Type == recipe.Choice && len(d.Choices) == 2 && d.Choices[1] == "no" {
			none[d.Name] = "no"
		}
	}
	if _, err := r.Parse(none); !fault.Is(err, fault.Invalid) || len(none) < 4 {
		t.Errorf("a blend of nothing: %v", err)
	}
	if _, err := r.Parse(map[string]string{"als.cg_steps": "0"}); !fault.Is(err, fault.Invalid) {
		t.Error("what a part refuses is taken", err)
	}
	none["blend.ease"] = "yes"
	for _, given := range []map[string]string{nil, none} {
		model, err := r.Train(t.Context(), in, parse(t, r, given), recipe.Hooks{})
		if err != nil {
			t.Fatal(err)
		}
		var sum float64
		figures := model.Figures()
		for name, v := range figures {
			if len(name) > 7 && name[:7] == "weight." {
				sum += v
			}
		}
		if math.Abs(sum-1) > 1e-6 {
			t.Errorf("weights %v", figures)
		}
		t.Log(figures)
		ranker := model.Ranker(in.Films(), nil)
		parts := map[string][]float32{}
		var whole []float32
		ranker.Score(m, "u03", in.Data.Samples[399].Time, func(name string, score []float32) {
			if name == "" {
				whole = append(whole, score...)
			} else {
				parts[name] = append([]float32(nil), score...)
			}
		})
		recipe.NewMixRanker(in.Films(), mixOf(figures)).Score(m, "u03", in.Data.Samples[399].Time, func(_ string, score []float32) {
			parts[recipe.SourceOnline] = append([]float32(nil), score...)
		})
		for i, v := range whole {
			if v == online.Excluded {
				continue
			}
			var want float64
			for name, score := range parts {
				want += figures["weight."+name] * float64(score[i])
			}
			if math.Abs(want-float64(v)) > 1e-5 {
				t.Errorf("place %d has %v; its parts give %v", i, v, want)
			}
		}
	}
}

// A part that has counts of the online model in its scores is one without them in a blend, which has them as a part of its own.
func TestBlendCountsOnce(t *testing.T) {
	r, err := all.Find("blend")
	if err != nil {
		t.Fatal(err)
	}
	in := tastes(400)
	m, millis := learned(in), in.Data.Samples[399].Time
	only := map[string]string{}
	for _, d := range r.Params {
		if name, ok := strings.CutPrefix(d.Name, "blend."); ok && name != "als" {
			only[d.Name] = "no"
		}
	}
	blend, err := r.Train(t.Context(), in, parse(t, r, only), recipe.Hooks{})
	if err != nil {
		t.Fatal(err)
	}
	b, err := blend.Encode()
	if err != nil {
		t.Fatal(err)
	}
	read, err := r.Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	factors, err := all.Default().Train(t.Context(), in, parse(t, all.Default(), nil), recipe.Hooks{})
	if err != nil {
		t.Fatal(err)
	}
	compared := 0
	for _, user := range in.Data.Users {
		said := map[recipe.Model][]float32{}
		for _, model := range []recipe.Model{factors, blend, read} {
			model.Ranker(in.Films(), nil).Score(m, user, millis, func(part string, score []float32) {
				if part == "als" {
					said[model] = slices.Clone(score)
				}
			})
		}
		for _, model := range []recipe.Model{blend, read} {
			for i, v := range said[model] {
				if compared++; v != said[factors][i] {
					t.Fatalf("%s, place %d: %v in the blend, %v by factors alone", user, i, v, said[factors][i])
				}
			}
		}
	}
	if compared == 0 {
		t.Error("the blend has no use for factors: ", blend.Figures())
	}
}

// A part of a blend that does not know a person has no say in what they are shown: its weight goes to those that do, and no source, position or
// reason has its name. Whom no part knows is ranked for by counts.
func TestBlendAsksWhoKnows(t *testing.T) {
	in := tastes(400)
	m, millis := learned(in), in.Data.Samples[399].Time
	films := in.Films().With([]*recipe.Film{{ID: "new"}})
	m.Add("early", "new", millis, 1, in.Signals[0]) // has met what no part has learned
	m.Add("early", in.Data.Items[3], millis, 2, signal.Default().Of("rating", .5))
	blend, err := all.Find("blend")
	if err != nil {
		t.Fatal(err)
	}
	for _, given := range []map[string]string{nil, {"blend.popularity": "no"}} {
		model, err := blend.Train(t.Context(), in, parse(t, blend, given), recipe.Hooks{})
		if err != nil {
			t.Fatal(err)
		}
		figures := model.Figures()
		members := map[string]recipe.Member{recipe.SourceOnline: recipe.NewMixRanker(films, mixOf(figures))}
		for _, r := range all.Recipes() {
			if figures["weight."+r.Name] > 0 {
				alone, err := r.Train(t.Context(), in, parse(t, r, nil), recipe.Hooks{})
				if err != nil {
					t.Fatal(err)
				}
				if c, ok := alone.(recipe.Counted); ok {
					alone = c.Uncounted()
				}
				members[r.Name] = alone.Ranker(films, nil).(recipe.Member)
			}
		}
		if len(members) < 3 {
			t.Fatalf("the blend has use for %v alone", figures)
		}
		ranker, silent := model.Ranker(films, nil), 0
		for _, user := range []string{"stranger", "early", "u03"} {
			want, known, said := make([]float64, films.Len()), 0., map[string]bool{}
			for name, member := range members {
				w := figures["weight."+name]
				a, ok := member.Ask(m, user, millis, false)
				if !ok {
					silent++
					continue
				}
				if w > 0 {
					known, said[name] = known+w, true
				}
				for i, v := range a.Score() {
					want[i] += w * float64(v)
				}
				a.Release()
			}
			if known == 0 {
				t.Fatalf("%v: the counts have no weight", figures)
			}
			list := ranker.Rank(m, recipe.Query{User: user, NowMillis: millis, K: films.Len(), Explain: recipe.Fully})
			if trained := len(said) > 1; trained != (list.Strategy == "blend") {
				t.Errorf("%s: the strategy is %q, and %v know them", user, list.Strategy, said)
			}
			for _, it := range list.Items {
				if w := want[it.Place] / known; math.Abs(float64(it.Score)-w) > 1e-6 {
					t.Errorf("%s: %s has %v; those who know them say %v", user, films.At(it.Place).ID, it.Score, w)
				}
				for _, part := range it.Parts {
					if !said[part.Source] {
						t.Errorf("%s: %+v is of who does not know them", user, part)
					}
				}
				var sum float64
				for _, why := range it.Because {
					if sum += float64(why.Score); members[why.Source] != nil && !said[why.Source] {
						t.Errorf("%s: the reason %+v is of who does not know them", user, why)
					}
				}
				if math.Abs(sum-float64(it.Score)) > 1e-6 {
					t.Errorf("%s: the reasons for %s add up to %v of %v", user, films.At(it.Place).ID, sum, it.Score)
				}
			}
			var names []string
			ranker.Score(m, user, millis, func(part string, score []float32) {
				names = append(names, part)
				if part == "" || said[part] {
					return
				}
				for i, v := range score {
					if v != 0 && v != online.Excluded {
						t.Errorf("%s, who does not know %s, is judged by %v for %s", part, user, v, films.At(i).ID)
					}
				}
			})
			if weighted := len(members); figures["weight.online"] > 0 && len(names) != weighted {
				t.Errorf("%s is judged by %v; want the whole and %d parts", user, names, weighted-1)
			}
		}
		if silent < 2 {
			t.Errorf("%d answers are missing", silent)
		}
	}
}

// What several parts of a blend say of a film by the same source is one reason.
func TestBlendReasons(t *testing.T) {
	r, err := all.Find("blend")
	if err != nil {
		t.Fatal(err)
	}
	model, err := r.Decode(weights(t, r))
	if err != nil {
		t.Fatal(err)
	}
	in := tastes(400)
	reasons := 0
	for _, user := range in.Data.Users {
		for _, it := range model.Ranker(in.Films(), nil).Rank(learned(in), recipe.Query{User: user, NowMillis: in.Data.Samples[399].Time, K: 5, Explain: recipe.Fully}).Items {
			seen := map[[2]string]bool{}
			for _, why := range it.Because {
				key := [2]string{why.ID, why.Source}
				if reasons++; seen[key] {
					t.Fatalf("%s is told %v twice: %v", user, key, it.Because)
				}
				seen[key] = true
			}
		}
	}
	if reasons < 100 {
		t.Error(reasons, "reasons")
	}
}
