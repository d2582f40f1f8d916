package recipe

import (
	"context"
	"errors"
	"maps"
	"math"
	"slices"
	"testing"

	"github.com/projectionist/projectionist/ml"
	"github.com/projectionist/projectionist/ml/online"
	"github.com/projectionist/projectionist/ml/signal"
)

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
	f("popularity", reverse) // as a part of an ensemble may be called
}

// Four films; the first half of the data has people a to d like film 0, in the second each of them likes film 1.
func firstThenSecond() Input {
	in := Input{Data: &ml.Dataset{Users: []string{"a", "b", "c", "d"}, Items: []string{"0", "1", "2", "3"}}, Content: func(string) Content { return Content{} }}
	like := signal.Default().Of("like", 0)
	for i := range 8 {
		in.Data.Samples = append(in.Data.Samples, ml.Sample{User: int32(i % 4), Item: int32(i / 4), Time: int64(i) * 1000, Weight: 1})
		in.Signals = append(in.Signals, like)
	}
	return in
}

// ranking is a recipe whose models rank by score.
func ranking(t *testing.T, name string, score []float32) Configuration {
	t.Helper()
	r := &Recipe{Name: name, Train: func(_ context.Context, in Input, _ Params, h Hooks) (Model, error) {
		if n := len(in.Data.Samples); n != 4 || len(in.Signals) != n || len(in.Data.Items) != 4 {
			t.Errorf("%s is trained on %d samples, %d signals and %d items; want 4 of each", name, n, len(in.Signals), len(in.Data.Items))
		}
		h.Progress(StageFit, 1, 1, math.NaN())
		return constant{score: score}, nil
	}}
	p, err := r.Parse(map[string]string{HoldoutShare: "0.4", HoldoutEvents: "100"})
	if err != nil {
		t.Fatal(err)
	}
	return Configuration{r, p}
}

func evaluated(t *testing.T, score []float32) *Report {
	t.Helper()
	c := ranking(t, "constant", score)
	rep, err := c.Recipe.Evaluate(context.Background(), firstThenSecond(), c.Params, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if rep.Moments != 4 || rep.People != 4 {
		t.Fatalf("judged by %d moments of %d people; want 4 and 4", rep.Moments, rep.People)
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
	if got, want := best.VsPopularity.Mean-worst.VsPopularity.Mean, best.Model["ndcg@10"]-worst.Model["ndcg@10"]; math.Abs(got-want) > 1e-9 {
		t.Errorf("from popularity they are %v and %v; they are %v apart", best.VsPopularity, worst.VsPopularity, want)
	}
	if apart := best.Model["ndcg@10"] - best.Baselines["popularity"]["ndcg@10"]; math.Abs(best.VsPopularity.Mean-apart) > 1e-9 {
		t.Errorf("popularity is said to be %v behind, and is %v", best.VsPopularity.Mean, apart)
	}
	if best.Champion != nil || best.VsChampion != (Difference{0, -1, 1}) {
		t.Errorf("without a champion: %v %v", best.Champion, best.VsChampion)
	}
}

// The champion is trained on the same part and ranks at the same moments; there the figures of both are taken.
func TestEvaluateAgainstChampion(t *testing.T) {
	best, worst := ranking(t, "best", []float32{9, 3, 2, 1}), ranking(t, "worst", []float32{9, 1, 2, 3})
	told := map[string]bool{}
	rep, err := worst.Recipe.Evaluate(context.Background(), firstThenSecond(), worst.Params, &best, func(stage string, _, _ int) { told[stage] = true })
	if err != nil {
		t.Fatal(err)
	}
	if rep.Model["mrr"] >= .5 || rep.Champion["mrr"] != 1 || rep.Moments != 4 || rep.ChampionError != nil {
		t.Errorf("%+v", rep)
	}
	// Everybody differs alike, so that nothing is left to doubt.
	apart := .5 - 1
	if d := rep.VsChampion; math.Abs(d.Mean-apart) > 1e-9 || math.Abs(d.Low-apart) > 1e-9 || !d.Worse() {
		t.Errorf("%+v; want %v", d, apart)
	}
	for _, stage := range []string{"evaluate/fit", "evaluate/champion/fit", "evaluate/learn", "evaluate/judge"} {
		if !told[stage] {
			t.Errorf("nothing is said of %s", stage)
		}
	}
	alone, err := worst.Recipe.Evaluate(context.Background(), firstThenSecond(), worst.Params, nil, nil)
	if err != nil || !maps.Equal(alone.Model, rep.Model) || alone.VsPopularity != rep.VsPopularity {
		t.Errorf("beside a champion %v, alone %v, %v", rep.Model, alone.Model, err)
	}
}

// A champion that cannot be trained does not keep the model from being judged; an end of the work does.
func TestEvaluateChampionFails(t *testing.T) {
	broken := errors.New("diverged")
	ctx, cancel := context.WithCancel(context.Background())
	c := ranking(t, "constant", []float32{9, 3, 2, 1})
	champion := &Configuration{&Recipe{Name: "broken", Train: func(context.Context, Input, Params, Hooks) (Model, error) { return nil, broken }}, nil}
	rep, err := c.Recipe.Evaluate(ctx, firstThenSecond(), c.Params, champion, nil)
	if err != nil || rep.ChampionError != broken || rep.Champion != nil || rep.Model["mrr"] != 1 {
		t.Errorf("%+v %v", rep, err)
	}
	champion.Recipe.Train = func(ctx context.Context, _ Input, _ Params, _ Hooks) (Model, error) { cancel(); return nil, ctx.Err() }
	if rep, err := c.Recipe.Evaluate(ctx, firstThenSecond(), c.Params, champion, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("%+v %v", rep, err)
	}
}

// Acts of one person at one time stand in whatever order their ids have, and are judged in one.
func TestByAct(t *testing.T) {
	in := Input{Data: &ml.Dataset{Users: []string{"a", "b"}, Items: []string{"0", "1", "2"}}}
	like, dislike := signal.Default().Of("like", 0), signal.Default().Of("dislike", 0)
	add := func(user, item int32, time int64, s signal.Signal) {
		in.Data.Samples = append(in.Data.Samples, ml.Sample{User: user, Item: item, Time: time, Weight: s.Weight()})
		in.Signals = append(in.Signals, s)
	}
	add(0, 2, 1, like)
	add(0, 1, 1, max(like, dislike))
	add(0, 1, 1, min(like, dislike))
	add(1, 0, 1, like) // somebody else's
	add(1, 2, 2, like)
	add(1, 0, 3, like) // at another time
	before := slices.Clone(in.Data.Samples)
	got := in.byAct()
	var order []int32
	for i, s := range got.Data.Samples {
		order = append(order, s.Item)
		if s.Weight != got.Signals[i].Weight() {
			t.Errorf("sample %d is parted from its signal", i)
		}
	}
	if !slices.Equal(order, []int32{1, 1, 2, 0, 2, 0}) || got.Signals[0] > got.Signals[1] {
		t.Errorf("films %v, signals %v", order, got.Signals)
	}
	if !slices.Equal(in.Data.Samples, before) {
		t.Error("the input was changed")
	}
	if again := got.byAct(); &again.Data.Samples[0] != &got.Data.Samples[0] || &again.Signals[0] != &got.Signals[0] {
		t.Error("what is in order is copied")
	}
	if empty := (Input{Data: &ml.Dataset{}}).byAct(); len(empty.Data.Samples) != 0 {
		t.Error(empty)
	}
}

func TestEvaluateStops(t *testing.T) {
	stop := errors.New("broken")
	r := &Recipe{Train: func(context.Context, Input, Params, Hooks) (Model, error) { return nil, stop }}
	p, _ := r.Parse(nil)
	if _, err := r.Evaluate(context.Background(), Input{Data: &ml.Dataset{}}, p, nil, nil); !errors.Is(err, stop) {
		t.Fatal(err)
	}
}
