package eval

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/projectionist/projectionist/ml/online"
	"github.com/projectionist/projectionist/ml/recipe"
	"github.com/projectionist/projectionist/ml/recipe/all"
)

// world is people who mostly like films of their own half, at times that never repeat for one person.
func world(people, films, acts int) *Data {
	rng := rand.New(rand.NewPCG(3, 4))
	var b Builder
	met := map[[2]int]bool{}
	for i := range acts {
		u := rng.IntN(people)
		f := int(float64(films/2)*rng.Float64()*rng.Float64()) + films/2*(u%2)
		if rng.IntN(5) == 0 {
			f = rng.IntN(films)
		}
		if met[[2]int{u, f}] {
			continue
		}
		met[[2]int{u, f}] = true
		stars := 3 + float64(rng.IntN(5))/2
		if (f >= films/2) != (u%2 == 1) {
			stars = 1 + float64(rng.IntN(4))/2
		}
		b.Add(Act{fmt.Sprintf("u%03d", u), fmt.Sprintf("f%03d", f), int64(i+1) * 3_600_000, stars})
	}
	return b.Data(noContent)
}

func noContent(string) recipe.Content { return recipe.Content{} }

func options() Options {
	return Options{Protocols: Protocols(), Seed: 7, TopStars: 5}
}

func run1(t *testing.T, d *Data, o Options) []Row {
	t.Helper()
	var rows []Row
	o.Row = func(r Row) error { rows = append(rows, r); return nil }
	if err := Run(context.Background(), d, o); err != nil {
		t.Fatal(err)
	}
	return rows
}

func find(t *testing.T, rows []Row, protocol, algorithm string) Row {
	t.Helper()
	for _, r := range rows {
		if r.Protocol == protocol && r.Algorithm == algorithm {
			return r
		}
	}
	t.Fatalf("no row of %s by %s", algorithm, protocol)
	return Row{}
}

func (r Row) value(name string) float64 {
	for _, m := range r.Metrics {
		if m.Name == name {
			return m.Value
		}
	}
	return math.NaN()
}

func near(a, b float64) bool { return math.Abs(a-b) < 1e-12 }

// What the figures are, by the plainest way to reach them.
func TestCountingByHand(t *testing.T) {
	d := world(60, 30, 1400)
	rows := run1(t, d, options())
	o := options()

	p, err := leaveLastOut(d, d.Acts, &o)
	if err != nil {
		t.Fatal(err)
	}
	popular := map[int32]int{}
	met := map[pair]bool{}
	for _, s := range p.train.Data.Samples {
		popular[s.Item]++
		met[pair{s.User, s.Item}] = true
	}
	rank := func(user, film int32, popular map[int32]int, met map[pair]bool, among []int32) int {
		r := 1
		for _, i := range among {
			if i != film && !met[pair{user, i}] && popular[i] >= popular[film] {
				r++
			}
		}
		return r
	}
	var every []int32
	for i := range d.Items {
		every = append(every, int32(i))
	}
	var hr, ndcg, hrOf, ndcgOf, mrr float64
	for _, a := range p.asks {
		full, some := rank(a.user, a.relevant[0], popular, met, every), rank(a.user, a.relevant[0], popular, nil, a.negatives)
		mrr += 1 / float64(full)
		if full <= 10 {
			hr++
			ndcg += 1 / math.Log2(float64(full+1))
		}
		if some <= 10 {
			hrOf++
			ndcgOf += 1 / math.Log2(float64(some+1))
		}
	}
	n := float64(len(p.asks))
	row := find(t, rows, LeaveOneOut, "online:popularity")
	for name, want := range map[string]float64{HR10: hr / n, NDCG10: ndcg / n, MRR: mrr / n, HR10Of100: hrOf / n, NDCG10Of100: ndcgOf / n} {
		if !near(row.value(name), want) {
			t.Errorf("leave-one-out %s %v, want %v", name, row.value(name), want)
		}
	}
	if row.People != len(p.asks) || hr == 0 || hr == n {
		t.Errorf("%d people, %v hits of %v", row.People, hr, n)
	}

	// Test, then learn.
	popular, met = map[int32]int{}, map[pair]bool{}
	hits, moments := 0., 0.
	from := cut(d.Acts, retrained[0])
	for at, s := range d.Acts {
		if at >= from && s.Rating >= 3.5 {
			moments++
			if rank(s.User, s.Item, popular, met, every) <= 10 {
				hits++
			}
		}
		met[pair{s.User, s.Item}] = true
		if s.Rating > 2 {
			popular[s.Item]++
		}
	}
	row = find(t, rows, Prequential, "online:popularity")
	if row.Asks != int(moments) || !near(row.value(HR10), hits/moments) || hits == 0 {
		t.Errorf("prequential %v of %d, want %v of %v", row.value(HR10), row.Asks, hits/moments, moments)
	}
	top := find(t, rows, PrequentialOf, "online:popularity")
	if top.Asks == 0 || top.Asks >= row.Asks {
		t.Errorf("%d moments of top ratings, %d of all", top.Asks, row.Asks)
	}

	// The mean of four folds predicts the fifth.
	f := folds(d, d.Acts, 5, &o)
	var square, absolute float64
	for k := range 5 {
		x := f.of(k)
		var sum float64
		for _, s := range x.train {
			sum += float64(s.Rating)
		}
		mean := float64(float32(sum / float64(len(x.train))))
		for _, s := range x.test {
			square += (float64(s.Rating) - mean) * (float64(s.Rating) - mean)
			absolute += math.Abs(float64(s.Rating) - mean)
		}
	}
	row = find(t, rows, Rating, "mean")
	if all := float64(len(d.Acts)); math.Abs(row.value(RMSE)-math.Sqrt(square/all)) > 1e-9 || math.Abs(row.value(MAE)-absolute/all) > 1e-9 {
		t.Errorf("the mean has %v and %v, want %v and %v", row.value(RMSE), row.value(MAE), math.Sqrt(square/all), absolute/all)
	}
}

// memory is a recipe that knows by heart what it was trained on, and ranks that first.
type memory struct{ knows map[[2]string]bool }

func (m *memory) recipe(trained *[]recipe.Input) *recipe.Recipe {
	return &recipe.Recipe{Name: "memory", Code: "memory/1", Predicts: true,
		Train: func(_ context.Context, in recipe.Input, _ recipe.Params, _ recipe.Hooks) (recipe.Model, error) {
			m := &memory{knows: map[[2]string]bool{}}
			*trained = append(*trained, in)
			for _, s := range in.Data.Samples {
				m.knows[[2]string{in.Data.Users[s.User], in.Data.Items[s.Item]}] = true
			}
			return m, nil
		}}
}

func (m *memory) Encode() ([]byte, error)        { return nil, nil }
func (m *memory) Figures() map[string]float64    { return nil }
func (m *memory) Near(string, int) []recipe.Near { return nil }
func (m *memory) Ranker(films *recipe.Films, _ recipe.Ranker) recipe.Ranker {
	return &byHeart{m, films}
}
func (m *memory) Predict(user string, films []string) recipe.Prediction {
	p := recipe.Prediction{Ratings: make([]float32, len(films))}
	for i, f := range films {
		if p.Ratings[i] = 3; m.knows[[2]string{user, f}] {
			p.Ratings[i] = 100
		}
	}
	return p
}

type byHeart struct {
	*memory
	films *recipe.Films
}

func (r *byHeart) Films() *recipe.Films                            { return r.films }
func (r *byHeart) Rank(*online.Model, recipe.Query) recipe.Ranking { return recipe.Ranking{} }
func (r *byHeart) Score(_ *online.Model, user string, _ int64, f func(string, []float32)) {
	score := make([]float32, r.films.Len())
	for i := range score {
		if r.knows[[2]string{user, r.films.At(i).ID}] {
			score[i] = 1
		}
	}
	f("", score)
}

// Whoever knows the training part by heart knows nothing of what is judged, by any protocol, nor where parameters are chosen.
func TestNothingJudgedIsTrainedOn(t *testing.T) {
	d := world(60, 60, 2500)
	var trained []recipe.Input
	o := options()
	o.Recipes = []*recipe.Recipe{(&memory{}).recipe(&trained)}
	rows := run1(t, d, o)
	seen := map[string]bool{}
	for _, r := range rows {
		if r.Algorithm != "memory" {
			continue
		}
		seen[r.Protocol] = true
		if r.Protocol == Rating {
			if r.value(MAE) > 3 { // 100 would be said of what was trained on
				t.Errorf("rating: mae %v", r.value(MAE))
			}
			continue
		}
		for _, m := range r.Metrics {
			if m.Name == HR10 && m.Value > 0 {
				t.Errorf("%s: %s %v", r.Protocol, m.Name, m.Value)
			}
		}
	}
	if len(seen) != len(Protocols())+1 { // time-split has two rows
		t.Errorf("judged by %v", seen)
	}
	if len(trained) != 1+1+1+5+4+4 || len(trained) != Trainings(d, &o) {
		t.Errorf("%d trainings, %d are told", len(trained), Trainings(d, &o))
	}
	p, err := leaveLastOut(d, d.Acts, &o)
	if err != nil {
		t.Fatal(err)
	}
	for _, in := range []*recipe.Input{&p.train, &p.known} {
		was := *in
		*in = d.input(d.Acts, asLiking)
		if p.sealed() == nil {
			t.Error("a part that knows everything is let through")
		}
		*in = was
	}
	if err := p.sealed(); err != nil {
		t.Error(err)
	}
}

// The same on any number of cores, with a search, to the bit; another seed gives other figures.
func TestRunIsDeterministic(t *testing.T) {
	d := world(80, 40, 2500)
	o := options()
	o.Trials, o.People, o.Moments = 3, 50, 60
	o.Recipes = []*recipe.Recipe{all.Recipes()[0], all.Recipes()[1]}
	o.Params = map[string]map[string]string{o.Recipes[0].Name: {"als.sweeps": "2"}}
	text := func() string {
		b, err := json.Marshal(run1(t, d, o))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	want := text()
	for _, cores := range []int{1, 4} {
		was := runtime.GOMAXPROCS(cores)
		if got := text(); got != want {
			t.Errorf("on %d cores:\n%s\nwant\n%s", cores, got, want)
		}
		runtime.GOMAXPROCS(was)
	}
	if !strings.Contains(want, `"params_from":"validation"`) || strings.Contains(want, `"als.sweeps":"16"`) {
		t.Error(want)
	}
	o.Seed++
	if text() == want {
		t.Error("the seed does not matter")
	}
}

func TestGivenSplits(t *testing.T) {
	var b Builder
	train := []Act{{"0", "1", 10, 5}, {"0", "2", 20, 4}, {"1", "2", 30, 3}, {"1", "3", 35, 3}, {"2", "3", 36, 3}, {"2", "1", 36, 3}}
	test := []Act{{"0", "3", 40, 2}, {"1", "1", 50, 5}}
	b.Give("paper", train, test, map[string][]string{"0": {"4", "5"}, "1": {"4"}})
	for k := range 2 {
		b.Give(fmt.Sprint("u", k+1), train[k+1:], train[:k+1], nil)
	}
	d := b.Data(noContent)
	if len(d.Acts) != 8 || len(d.Items) != 3 || len(d.Given[0].Of.Items) != 5 || len(d.Users) != 3 {
		t.Fatalf("%d acts of %d people and %d films, %d of the split", len(d.Acts), len(d.Users), len(d.Items), len(d.Given[0].Of.Items))
	}
	var trained []recipe.Input
	o := options()
	o.Recipes = []*recipe.Recipe{(&memory{}).recipe(&trained)}
	o.Protocols = []string{LeaveOneOut, NextItem, Rating}
	rows := run1(t, d, o)
	if told(d.Given[0].Of, trained[0]) != "01 02 12 13 21 23" {
		t.Errorf("trained on %s", told(d, trained[0]))
	}
	row := find(t, rows, LeaveOneOut, "online:popularity")
	if row.Split != "paper" || row.People != 2 || row.value(HR10Of100) != 1 {
		t.Errorf("%+v", row)
	}
	// Film 3 of person 0 is before 4 and 5, which nobody has met.
	if row.value(NDCG10Of100) != 1 {
		t.Errorf("%+v", row.Metrics)
	}
	if row := find(t, rows, Rating, "mean"); row.Split != "u1…" || row.Asks != 3 {
		t.Errorf("%+v", row)
	}
	if len(trained) != 3 || Trainings(d, &o) != 3 {
		t.Errorf("%d trainings", len(trained))
	}
	g := d.Given[0]
	g.Test = append(slices.Clone(g.Test), g.Train[0])
	if _, err := ofGiven(g.Of, &g, &o); err == nil {
		t.Error("a split whose halves share an act is taken")
	}
	d.Given[0].Negatives[1] = nil // a line that is missing is no hit for nothing
	for _, r := range run1(t, d, o) {
		if r.Protocol == LeaveOneOut && (!strings.Contains(r.Unjudged, "none that it is ranked among") || r.Metrics != nil) {
			t.Errorf("%+v", r)
		}
	}
	d.Given[0].Negatives = map[int32][]int32{} // without any, all films are ranked
	if r := find(t, run1(t, d, o), LeaveOneOut, "online:popularity"); len(r.Metrics) != 3 || math.IsNaN(r.value(HR10)) {
		t.Errorf("%+v", r)
	}
	for i := range d.Given { // files at fault are told, and nothing is judged by them
		d.Given[i].Test = append(slices.Clone(d.Given[i].Test), d.Given[i].Train[0])
	}
	for _, r := range run1(t, d, o) {
		if r.Unjudged == "" || r.Metrics != nil {
			t.Errorf("%+v", r)
		}
	}
}

// A split that numbers people and films anew is not mixed with the set it came with.
func TestGivenSplitsOfTheirOwnNumbers(t *testing.T) {
	var b Builder
	for u := range 4 {
		for i := range 4 {
			b.Add(Act{fmt.Sprint(u), fmt.Sprint(i), int64(u + i), 4})
		}
	}
	b.Give("paper", []Act{{"1", "0", 10, 5}, {"2", "1", 20, 4}, {"2", "0", 21, 4}}, []Act{{"1", "1", 40, 2}}, map[string][]string{"1": {"9"}})
	b.Give("u1", []Act{{"1", "0", 10, 5}}, []Act{{"1", "1", 40, 2}}, nil)
	d := b.Data(func(string) recipe.Content { return recipe.Content{Genres: []string{"Drama"}, Year: 1999} })
	paper, fold := d.Given[0], d.Given[1]
	if got := fmt.Sprint(paper.Of.Users, paper.Of.Items, paper.Of.Content("0")); got != "[1 2] [0 1 9] "+fmt.Sprint(recipe.Content{}) {
		t.Error(got)
	}
	if got := told(paper.Of, paper.Of.input(paper.Train, asLiking)); got != "10 21 20" {
		t.Error(got)
	}
	if fold.Of != d || len(d.Acts) != 16 || len(d.Items) != 4 {
		t.Errorf("%d acts, %d films", len(d.Acts), len(d.Items))
	}
}

// What a recipe cannot do is in its row, and the others are judged.
func TestRecipeThatCannot(t *testing.T) {
	d := world(40, 30, 900)
	o := options()
	o.Recipes = []*recipe.Recipe{{Name: "unable", Code: "unable/1", Predicts: true, Train: func(context.Context, recipe.Input, recipe.Params, recipe.Hooks) (recipe.Model, error) {
		return nil, fmt.Errorf("too many films")
	}}, all.Recipes()[1]}
	rows := run1(t, d, o)
	for _, p := range Protocols() {
		if r := find(t, rows, p, "unable"); r.Unjudged != "too many films" || r.Metrics != nil {
			t.Errorf("%s: %+v", p, r)
		}
		if p != Rating {
			if r := find(t, rows, p, all.Recipes()[1].Name); r.Unjudged != "" || len(r.Metrics) == 0 {
				t.Errorf("%s: %+v", p, r)
			}
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	o.Row = func(Row) error { cancel(); return nil }
	if err := Run(ctx, d, o); err == nil {
		t.Error("it goes on when it is interrupted")
	}
}

// In a search no training begins either when the time is over.
func TestOverInASearch(t *testing.T) {
	d := world(40, 30, 900)
	o := options()
	o.Protocols, o.Trials = []string{LeaveOneOut}, 9
	o.Recipes = []*recipe.Recipe{all.Recipes()[0]}
	asked, trainings := 0, 0
	o.Over = func() bool { asked++; return asked > 3 }
	o.Progress = func(_, _, doing string, _, _ int) {
		if doing == "search" {
			trainings++
		}
	}
	if r := find(t, run1(t, d, o), LeaveOneOut, o.Recipes[0].Name); r.Unjudged != isOver || trainings > 3 {
		t.Errorf("%d trainings of a search, %+v", trainings, r)
	}
}

// Whoever has met every film is no hit among none.
func TestNobodyToBeRankedAmong(t *testing.T) {
	var b Builder
	for u := range 6 {
		for i := range 5 {
			b.Add(Act{fmt.Sprint(u), fmt.Sprint(i), int64(10*u + i), 4})
		}
	}
	o := options()
	o.Protocols, o.Recipes = []string{LeaveOneOut}, nil
	if r := find(t, run1(t, b.Data(noContent), o), LeaveOneOut, "online:popularity"); r.value(HR10Of100) != 0 {
		t.Errorf("%+v", r.Metrics)
	}
}

// wild predicts what is no number, of some films.
type wild struct{ memory }

func (*wild) Predict(user string, films []string) recipe.Prediction {
	p := recipe.Prediction{Ratings: make([]float32, len(films))}
	p.Ratings[len(films)-1] = float32(math.Inf(1))
	return p
}

func TestPredictsNoNumbers(t *testing.T) {
	d := world(40, 30, 900)
	o := options()
	o.Protocols = []string{Rating}
	o.Recipes = []*recipe.Recipe{{Name: "wild", Code: "wild/1", Predicts: true, Train: func(context.Context, recipe.Input, recipe.Params, recipe.Hooks) (recipe.Model, error) {
		return &wild{}, nil
	}}}
	if r := find(t, run1(t, d, o), Rating, "wild"); r.Unjudged == "" || r.Metrics != nil {
		t.Errorf("%+v", r)
	}
}

// When the time is over nothing is trained any more, and what counting has is there.
func TestOver(t *testing.T) {
	d := world(40, 30, 900)
	var trained []recipe.Input
	o := options()
	o.Recipes, o.Trials = []*recipe.Recipe{(&memory{}).recipe(&trained)}, 5
	o.Over = func() bool { return len(trained) == 2 }
	rows := run1(t, d, o)
	if len(trained) != 2 {
		t.Errorf("%d trainings", len(trained))
	}
	if r := find(t, rows, Prequential, "memory"); r.Unjudged != isOver || r.Metrics != nil {
		t.Errorf("%+v", r)
	}
	if r := find(t, rows, Prequential, "online:popularity"); r.Unjudged != "" || r.Metrics == nil {
		t.Errorf("%+v", r)
	}
}

// A set so small that there is nobody to ask says so.
func TestNobodyToAsk(t *testing.T) {
	d := acts(Act{"a", "x", 10, 5})
	for _, r := range run1(t, d, options()) {
		if r.Unjudged == "" && r.Protocol != Rating {
			t.Errorf("%+v", r)
		}
	}
}

// By hand: the mean of 4, 2, 3 is 3. Film x is (1-1)/27 = 0 from it, y 0/26; a's ratings (1+0)/12, b's (-1)/11.
func TestBiases(t *testing.T) {
	d := acts(Act{"a", "x", 1, 4}, Act{"b", "x", 2, 2}, Act{"a", "y", 3, 3})
	b := biasesOf(d, d.Acts)
	if b.mean != 3 || b.film[0] != 0 || b.film[1] != 0 || !near(b.person[0], 1./12) || !near(b.person[1], -1./11) {
		t.Errorf("%+v", b)
	}
	if got := b.predict(d.Acts[0]); got != float32(3+1./12) {
		t.Errorf("predicts %v", got)
	}
	b.person[0] = 9
	if got := b.predict(d.Acts[0]); got != 4 {
		t.Errorf("predicts %v, above what anybody has given", got)
	}
	// A film's distance: 5 and 5, where the mean is 4, is 2/27.
	d = acts(Act{"a", "x", 1, 5}, Act{"b", "x", 2, 5}, Act{"a", "y", 3, 2})
	if b := biasesOf(d, d.Acts); !near(b.film[0], 2./27) || !near(b.film[1], -2./26) || !near(b.person[0], (1-2./27-2+2./26)/12) {
		t.Errorf("%+v", b)
	}
}

// Of next to nothing is said why it is not judged, and every row has a JSON form.
func TestRunOfNextToNothing(t *testing.T) {
	many := []Act{}
	for i := range 60 {
		many = append(many, Act{fmt.Sprint("u", i%12), fmt.Sprint("f", i%7), 1000, 4 + float64(i%2)})
	}
	for _, c := range []struct {
		acts []Act
		want map[string]string // by protocol
	}{
		{[]Act{{"a", "f", 1000, 5}}, map[string]string{Rating: "none is left to learn from", Prequential: "one moment"}},
		{[]Act{{"a", "f", 1000, 5}, {"b", "f", 2000, 1}}, map[string]string{}},
		{many, map[string]string{Prequential: "one moment", TimeSplit: "one moment"}},
	} {
		o := options()
		o.Recipes = all.Recipes()
		rows := run1(t, acts(c.acts...), o)
		if _, err := json.Marshal(rows); err != nil {
			t.Errorf("%d acts: %v", len(c.acts), err)
		}
		for protocol, why := range c.want {
			if i := slices.IndexFunc(rows, func(r Row) bool { return r.Protocol == protocol }); i < 0 || !strings.Contains(rows[i].Unjudged, why) {
				t.Errorf("%d acts by %s: %+v, want %q", len(c.acts), protocol, rows[max(i, 0)], why)
			}
		}
	}
}

// Predictions that are no numbers are said to be none: they are no figures, and have no JSON form.
func TestRows_NotFinite(t *testing.T) {
	for _, bad := range []float64{math.NaN(), math.Inf(1)} {
		var got []Row
		r := &run{Options: &Options{Row: func(x Row) error { got = append(got, x); return nil }}}
		row := Row{Protocol: Rating, Kind: KindRecipe, Algorithm: "mf"}
		if err := r.rows(row, MetricsOf(Rating), []finding{{values: [][]float64{{1, bad}, {1, 1}}}}, nil, []int{0, 1}, 2); err != nil {
			t.Fatal(err)
		}
		if _, err := json.Marshal(got); err != nil || len(got) != 1 || got[0].Metrics != nil || !strings.Contains(got[0].Unjudged, "finite") {
			t.Errorf("%v: %+v, %v", bad, got, err)
		}
	}
}
