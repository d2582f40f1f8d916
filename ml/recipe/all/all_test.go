package all_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/ml"
	"github.com/projectionist/projectionist/ml/online"
	"github.com/projectionist/projectionist/ml/recipe"
	"github.com/projectionist/projectionist/ml/recipe/all"
	"github.com/projectionist/projectionist/ml/signal"
)

// tastes is people of two tastes who like films of their own half, in order of time.
func tastes(events int) recipe.Input {
	rng := rand.New(rand.NewPCG(1, 2))
	in := recipe.Input{Data: &ml.Dataset{}, FeaturesHash: "f00d", Content: func(id string) recipe.Content {
		if id < "20" {
			return recipe.Content{Genres: []string{"Drama"}, Year: 1999}
		}
		return recipe.Content{Genres: []string{"Comedy"}}
	}}
	for i := range 20 {
		in.Data.Users = append(in.Data.Users, fmt.Sprintf("u%02d", i))
	}
	for i := range 40 {
		in.Data.Items = append(in.Data.Items, fmt.Sprintf("%02d", i))
	}
	for i := range events {
		u := int32(rng.IntN(20))
		sig := signal.Default().Of("rating", []float64{4.5, 5, 1, 3}[rng.IntN(4)])
		in.Data.Samples = append(in.Data.Samples, ml.Sample{User: u, Item: int32(rng.IntN(20)) + 20*(u%2), Time: int64(i) * 600_000,
			Rating: float32(sig.Rating()), Weight: sig.Weight()})
		in.Signals = append(in.Signals, sig)
	}
	return in
}

func learned(in recipe.Input) *online.Model {
	m := online.New()
	for i, s := range in.Data.Samples {
		m.Add(in.Data.Users[s.User], in.Data.Items[s.Item], s.Time, uint64(i), in.Signals[i])
	}
	return m
}

func parse(t *testing.T, r *recipe.Recipe, given map[string]string) recipe.Params {
	t.Helper()
	p, err := r.Parse(given)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func made(t *testing.T, r *recipe.Recipe, in recipe.Input, h recipe.Hooks) *recipe.Trained {
	t.Helper()
	trained, err := r.Make(context.Background(), in, parse(t, r, nil), h)
	if err != nil {
		t.Fatal(err)
	}
	return trained
}

// weights are those of a recipe on 400 acts of two tastes, made once.
func weights(t *testing.T, r *recipe.Recipe) []byte {
	t.Helper()
	if b, ok := madeOnce[r.Name]; ok {
		return b
	}
	madeOnce[r.Name] = made(t, r, tastes(400), recipe.Hooks{}).Bytes
	return madeOnce[r.Name]
}

var madeOnce = map[string][]byte{}

// Every recipe keeps the law of package recipe.
func TestRecipes(t *testing.T) {
	for _, r := range all.Recipes() {
		t.Run(r.Name, func(t *testing.T) {
			t.Run("declared", func(t *testing.T) { declared(t, r) })
			t.Run("the same bytes", func(t *testing.T) { sameBytes(t, r) })
			t.Run("read again", func(t *testing.T) { readAgain(t, r) })
			t.Run("ranks", func(t *testing.T) { ranks(t, r) })
			t.Run("ranks again", func(t *testing.T) { ranksAgain(t, r) })
			t.Run("predicts", func(t *testing.T) { predicts(t, r) })
			t.Run("scores as it ranks", func(t *testing.T) { scores(t, r) })
			t.Run("films change", func(t *testing.T) { filmsChange(t, r) })
			t.Run("is judged", func(t *testing.T) { judged(t, r) })
			t.Run("fits are kept", func(t *testing.T) { fitsKept(t, r) })
			t.Run("a world of one", func(t *testing.T) { worldOfOne(t, r) })
		})
	}
}

func declared(t *testing.T, r *recipe.Recipe) {
	code, generation, ok := strings.Cut(r.Code, "/")
	if r.Description == "" || code == "" || generation == "" || !ok || strings.ContainsAny(r.Code, " ") {
		t.Errorf("description %q, code %q", r.Description, r.Code)
	}
	p := parse(t, r, nil)
	for _, d := range r.Declared() {
		if d.Meaning == "" {
			t.Errorf("%s says nothing of its meaning", d.Name)
		}
		if p[d.Name] != d.Default {
			t.Errorf("the default of %s is spelled %q; it is %q", d.Name, d.Default, p[d.Name])
		}
		if _, err := r.Parse(map[string]string{d.Name: "no value of any"}); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s takes anything: %v", d.Name, err)
		}
	}
}

func sameBytes(t *testing.T, r *recipe.Recipe) {
	in := tastes(400)
	var saved [][]byte
	var stages []string
	want := made(t, r, in, recipe.Hooks{})
	again := made(t, r, tastes(400), recipe.Hooks{
		Save: func(state func() ([]byte, error)) error {
			c, err := state()
			saved = append(saved, bytes.Clone(c))
			return err
		},
		Progress: func(stage string, _, _ int, _ float64) { stages = append(stages, stage) }})
	if again.SHA256 != want.SHA256 || !bytes.Equal(again.Bytes, want.Bytes) {
		t.Fatal("the same input and parameters give other bytes")
	}
	if len(stages) == 0 || stages[len(stages)-1] != recipe.StageFit {
		t.Errorf("stages %v", stages)
	}
	for i := range saved {
		if got := made(t, r, in, recipe.Hooks{Resume: saved[i]}); got.SHA256 != want.SHA256 {
			t.Errorf("resumed from checkpoint %d of %d it gives other bytes", i, len(saved))
		}
	}
	if other := made(t, r, tastes(350), recipe.Hooks{}); other.SHA256 == want.SHA256 {
		t.Error("other input gives the same bytes")
	}
	if len(saved) > 0 {
		stop := errors.New("disk full")
		if _, err := r.Train(context.Background(), in, parse(t, r, nil), recipe.Hooks{Save: func(func() ([]byte, error)) error { return stop }}); !errors.Is(err, stop) {
			t.Error("an error of Save is swallowed:", err)
		}
	}
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := r.Train(ended, in, parse(t, r, nil), recipe.Hooks{}); !errors.Is(err, context.Canceled) {
		t.Error("training does not end with its context:", err)
	}
}

func readAgain(t *testing.T, r *recipe.Recipe) {
	trained := made(t, r, tastes(400), recipe.Hooks{})
	m, err := r.Decode(trained.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := m.Encode(); err != nil || !bytes.Equal(b, trained.Bytes) {
		t.Fatal("reading and writing changes the bytes", err)
	}
	for name, v := range m.Figures() {
		if was, ok := trained.Model.Figures()[name]; !ok || was != v || math.IsNaN(v) {
			t.Errorf("figure %s is %v, was %v", name, v, was)
		}
	}
	for cut := 0; cut < len(trained.Bytes); cut += 1 + len(trained.Bytes)/200 {
		if m, err := r.Decode(trained.Bytes[:cut]); err == nil || m != nil {
			t.Fatalf("weights cut to %d bytes are taken", cut)
		}
	}
	for _, other := range all.Recipes() {
		if other != r {
			if _, err := r.Decode(weights(t, other)); err == nil {
				t.Errorf("weights of %s are taken", other.Name)
			}
		}
	}
}

func ranks(t *testing.T, r *recipe.Recipe) {
	in := tastes(400)
	m := learned(in)
	films := in.Films().With([]*recipe.Film{{ID: "new", Content: recipe.Content{Genres: []string{"Comedy"}}}})
	ranker := made(t, r, in, recipe.Hooks{}).Model.Ranker(films, nil)
	now := in.Data.Samples[399].Time + 1
	m.Add("u00", "gone", now, 1, signal.Default().Of("like", 0)) // of no film that is ranked
	for _, user := range []string{"u00", "u07", "stranger"} {
		met := map[string]bool{}
		for e := range m.UserEntries(user) {
			met[m.ItemID(e.Item)] = true
		}
		full := ranker.Rank(m, recipe.Query{User: user, NowMillis: now, K: 100, Explain: recipe.Fully})
		places := map[int]bool{}
		for i, it := range full.Items {
			if id := films.At(it.Place).ID; met[id] || places[it.Place] {
				t.Errorf("%s is recommended %s, again or having met it", user, id)
			}
			places[it.Place] = true
			if i > 0 && it.Score > full.Items[i-1].Score {
				t.Errorf("place %d has %v after %v", i, it.Score, full.Items[i-1].Score)
			}
			var sum float32
			for _, p := range it.Parts {
				if sum += p.Score; p.Source == "" || p.Score == 0 {
					t.Errorf("part %+v", p)
				}
			}
			if off := math.Abs(float64(sum) - float64(it.Score)); off > 1e-6*max(1, math.Abs(float64(it.Score))) {
				t.Errorf("parts add up to %v of %v", sum, it.Score)
			}
			for _, why := range it.Because {
				if why.Source == "" || why.ID != "" && !met[why.ID] {
					t.Errorf("%s is told %+v", user, why)
				}
			}
		}
		if want := 41 - len(met); user == "stranger" && len(full.Items) != want || len(full.Items) < want {
			t.Errorf("%s is offered %d films of %d", user, len(full.Items), want)
		}
		brief := ranker.Rank(m, recipe.Query{User: user, NowMillis: now, K: 3, Explain: recipe.Briefly})
		plain := ranker.Rank(m, recipe.Query{User: user, NowMillis: now, K: 3})
		for i := range 3 {
			if brief.Items[i].Place != full.Items[i].Place || plain.Items[i].Place != full.Items[i].Place || plain.Items[i].Because != nil {
				t.Errorf("place %d depends on how many are asked for, or how they are explained", i)
			}
		}
	}
	if none := ranker.Rank(m, recipe.Query{User: "u00", NowMillis: now}); len(none.Items) != 0 {
		t.Error("none were asked for", none)
	}
}

// Asked for again, films that were met are ranked too, and the others stand in the same order.
func ranksAgain(t *testing.T, r *recipe.Recipe) {
	in := tastes(400)
	m := learned(in)
	ranker := made(t, r, in, recipe.Hooks{}).Model.Ranker(in.Films(), nil)
	q := recipe.Query{User: "u03", NowMillis: in.Data.Samples[399].Time, K: 100}
	fresh := map[int]bool{}
	var want, got []int
	for _, it := range ranker.Rank(m, q).Items {
		fresh[it.Place], want = true, append(want, it.Place)
	}
	q.Again = true
	full := ranker.Rank(m, q).Items
	for _, it := range full {
		if fresh[it.Place] {
			got = append(got, it.Place)
		}
	}
	if len(full) != 40 || len(want) == 40 {
		t.Errorf("%d of 40 films, %d of them new", len(full), len(want))
	}
	if r.Predicts && !slices.Equal(got, want) { // others scale by the best film that is ranked
		t.Errorf("new films are ranked %v, alone %v", got, want)
	}
}

// Who says so predicts ratings on the scale, of anyone and any film.
func predicts(t *testing.T, r *recipe.Recipe) {
	p, ok := made(t, r, tastes(400), recipe.Hooks{}).Model.(recipe.Predictor)
	if ok != r.Predicts {
		t.Fatalf("predicts: %v, says %v", ok, r.Predicts)
	}
	if !ok {
		return
	}
	for _, user := range []string{"u03", "stranger"} {
		got := p.Predict(user, []string{"01", "new", "39"})
		if got.KnowsUser != (user == "u03") || !slices.Equal(got.Knows, []bool{true, false, true}) {
			t.Errorf("%s: %+v", user, got)
		}
		for _, v := range got.Ratings {
			if !(v >= 1 && v <= 5) {
				t.Errorf("%s: %v", user, got.Ratings)
			}
		}
	}
	if near := p.Near("01", 3); len(near) != 3 || near[0].ID == "01" || near[0].Score < near[2].Score {
		t.Error(near)
	}
}

func scores(t *testing.T, r *recipe.Recipe) {
	in := tastes(400)
	m := learned(in)
	ranker := made(t, r, in, recipe.Hooks{}).Model.Ranker(in.Films(), nil)
	now := in.Data.Samples[399].Time + 1
	list := ranker.Rank(m, recipe.Query{User: "u03", NowMillis: now, K: 40}).Items
	calls := 0
	ranker.Score(m, "u03", now, func(part string, score []float32) {
		calls++
		if (calls == 1) != (part == "") || len(score) != 40 {
			t.Fatalf("call %d is of part %q with %d scores", calls, part, len(score))
		}
		if part != "" {
			return
		}
		met := 0
		for _, v := range score {
			if v == online.Excluded {
				met++
			}
		}
		if met+len(list) != 40 {
			t.Errorf("%d films are met, %d are ranked", met, len(list))
		}
		for _, it := range list {
			if score[it.Place] != it.Score {
				t.Errorf("place %d is ranked with %v and scored %v", it.Place, it.Score, score[it.Place])
			}
		}
	})
	if calls == 0 {
		t.Error("nothing was scored")
	}
}

// A ranker made from an earlier one is as one made anew.
func filmsChange(t *testing.T, r *recipe.Recipe) {
	in := tastes(400)
	m := learned(in)
	model := made(t, r, in, recipe.Hooks{}).Model
	all := in.Films()
	var some []*recipe.Film
	for i := 0; i < all.Len(); i += 2 {
		some = append(some, all.At(i))
	}
	before := model.Ranker(recipe.NewFilms(some), nil)
	films := before.Films().With([]*recipe.Film{all.At(3), {ID: "06", Content: recipe.Content{Genres: []string{"Comedy"}}}, {ID: "zz"}})
	if before.Rank(m, recipe.Query{User: "u03", K: 40}); films.Len() != 22 {
		t.Fatal(films.Len())
	}
	q := recipe.Query{User: "u03", NowMillis: in.Data.Samples[399].Time, K: 40, Explain: recipe.Fully}
	got, want := model.Ranker(films, before).Rank(m, q), model.Ranker(films, nil).Rank(m, q)
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%v\nwant %v", got, want)
	}
}

func judged(t *testing.T, r *recipe.Recipe) {
	p := parse(t, r, map[string]string{recipe.HoldoutEvents: "50"})
	told := map[string]bool{}
	rep, err := r.Evaluate(context.Background(), tastes(400), p, nil, func(stage string, _, _ int) { told[stage] = true })
	if err != nil {
		t.Fatal(err)
	}
	if rep.Moments == 0 || rep.Moments > 50 || !told["evaluate/"+recipe.StageFit] || !told["evaluate/judge"] {
		t.Fatalf("%d moments, stages %v", rep.Moments, told)
	}
	for _, metric := range []string{"ndcg@10", "hr@10", "mrr", "coverage@10", "novelty@10"} {
		if _, ok := rep.Model[metric]; !ok {
			t.Errorf("no %s", metric)
		}
	}
	for _, name := range []string{"popularity", "decayed_popularity", "online"} {
		if rep.Baselines[name] == nil {
			t.Errorf("no baseline %s", name)
		}
	}
	again, err := r.Evaluate(context.Background(), tastes(400), p, nil, nil)
	if err != nil || fmt.Sprint(again) != fmt.Sprint(rep) {
		t.Errorf("judged again: %v\nwant %v, %v", again, rep, err)
	}
}

// Fits are not told apart: a training and an evaluation that take parts from each other give what they give alone.
func fitsKept(t *testing.T, r *recipe.Recipe) {
	in, p := tastes(400), parse(t, r, nil)
	evaluate := func(in recipe.Input) *recipe.Report {
		report, err := r.Evaluate(context.Background(), in, p, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		return report
	}
	alone := evaluate(in)
	want := made(t, r, in, recipe.Hooks{})
	in.Fits = &recipe.Fits{}
	for _, what := range []string{"first", "again"} {
		if got := made(t, r, in, recipe.Hooks{}); !bytes.Equal(got.Bytes, want.Bytes) {
			t.Errorf("%s, training gives other bytes with fits at hand", what)
		}
		if report := evaluate(in); !reflect.DeepEqual(report, alone) {
			t.Errorf("%s, the evaluation is\n%+v, alone\n%+v", what, report, alone)
		}
	}
	other := tastes(401)
	other.Fits = in.Fits
	got := evaluate(other)
	other.Fits = nil
	if want := evaluate(other); !reflect.DeepEqual(got, want) {
		t.Errorf("of other data, the evaluation is\n%+v, alone\n%+v", got, want)
	}
}

// The smallest world still trains and ranks.
func worldOfOne(t *testing.T, r *recipe.Recipe) {
	in := recipe.Input{Content: func(string) recipe.Content { return recipe.Content{} },
		Data:    &ml.Dataset{Users: []string{"1"}, Items: []string{"1"}, Samples: []ml.Sample{{Time: 1, Rating: 5, Weight: 1}}},
		Signals: []signal.Signal{signal.Default().Of("rating", 5)}}
	trained := made(t, r, in, recipe.Hooks{})
	m, err := r.Decode(trained.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	ranker := m.Ranker(in.Films(), nil)
	if got := ranker.Rank(learned(in), recipe.Query{User: "1", NowMillis: 2, K: 10}); len(got.Items) != 0 {
		t.Error("the only film is recommended to who has met it", got)
	}
	if got := ranker.Rank(learned(in), recipe.Query{User: "2", NowMillis: 2, K: 10}); len(got.Items) != 1 {
		t.Error("a stranger is offered", got)
	}
	if got := m.Ranker(recipe.NewFilms(nil), nil).Rank(learned(in), recipe.Query{User: "2", K: 10}); len(got.Items) != 0 {
		t.Error("of no films are ranked", got)
	}
	if rep, err := r.Evaluate(context.Background(), in, parse(t, r, nil), nil, nil); err != nil || rep.Moments > 1 {
		t.Error(rep, err)
	}
}

func TestFind(t *testing.T) {
	var names []string
	for _, r := range all.Recipes() {
		if slices.Contains(names, r.Name) {
			t.Errorf("two recipes are called %s", r.Name)
		}
		names = append(names, r.Name)
		if got, err := all.Find(r.Name); err != nil || got != r {
			t.Errorf("%s: %v", r.Name, err)
		}
	}
	if got, err := all.Find(""); err != nil || got != all.Default() || got != all.Recipes()[0] {
		t.Error("the default is not the first", err)
	}
	var f *fault.Error
	if _, err := all.Find("magic"); !errors.As(err, &f) || f.Field != "algorithm" || !strings.Contains(f.Message, strings.Join(names, ", ")) {
		t.Error(err)
	}
}
