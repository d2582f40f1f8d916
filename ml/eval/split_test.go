package eval

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/projectionist/projectionist/ml/online"
	"github.com/projectionist/projectionist/ml/recipe"
)

func TestRanks(t *testing.T) {
	nan := float32(math.NaN())
	out := online.Excluded
	for _, c := range []struct {
		score    []float32
		relevant []int32
		want     []int
	}{
		{[]float32{.5, .9, .1}, []int32{0}, []int{2}},
		{[]float32{.5, .9, .5, .5}, []int32{0}, []int{4}},         // of equals the last
		{[]float32{0, 0, 0}, []int32{1}, []int{3}},                // a model that says nothing gets nothing
		{[]float32{.5, out, nan, .4}, []int32{3}, []int{2}},       // what was met, and what has no score, is in nobody's way
		{[]float32{.5, .9, nan}, []int32{2}, []int{3}},            // what is judged without a score is last
		{[]float32{.5, .9, .1, .7}, []int32{0, 1}, []int{1, 3}},   // one relevant film is not in the other's way
		{[]float32{.5, .5, .5, .9}, []int32{0, 2}, []int{3, 4}},   // ties with a film that does not count
		{[]float32{nan, .2, .3, nan}, []int32{0, 1}, []int{2, 4}}, // film 3, without a score, comes before 0, which has none either
	} {
		if got := ranksOf(c.score, c.relevant, nil); !slices.Equal(got, c.want) {
			t.Errorf("%v of %v: %v, want %v", c.relevant, c.score, got, c.want)
		}
	}
	if r := rankAmong([]float32{.5, .9, .5, .1}, 0, []int32{0, 1, 2, 3}); r != 3 {
		t.Errorf("rank %d among others of which one is better and one equal", r)
	}
}

// The ranks of several films, beside the plainest way to count them.
func TestRanksAtRandom(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for range 2000 {
		score := make([]float32, 1+rng.IntN(12))
		for i := range score {
			switch score[i] = float32(rng.IntN(5)); rng.IntN(8) {
			case 0:
				score[i] = online.Excluded
			case 1:
				score[i] = float32(math.NaN())
			}
		}
		var relevant []int32
		for i := range score {
			if score[i] != online.Excluded && rng.IntN(3) == 0 {
				relevant = append(relevant, int32(i))
			}
		}
		// A list in which, of equal scores, films that count come last, and those without a score behind all.
		var list []int32
		for i := range score {
			if score[i] != online.Excluded {
				list = append(list, int32(i))
			}
		}
		counts := func(i int32) int { return map[bool]int{true: 1}[slices.Contains(relevant, i)] }
		value := func(i int32) float32 {
			if score[i] != score[i] {
				return -1
			}
			return score[i]
		}
		slices.SortFunc(list, func(a, b int32) int {
			return cmp.Or(cmp.Compare(value(b), value(a)), counts(a)-counts(b), int(a-b))
		})
		var want []int
		for at, i := range list {
			if slices.Contains(relevant, i) {
				want = append(want, at+1)
			}
		}
		if got := ranksOf(score, relevant, nil); !slices.Equal(got, want) && len(want) > 0 {
			t.Fatalf("%v of %v: %v, want %v", relevant, score, got, want)
		}
	}
}

func TestMeasures(t *testing.T) {
	l := func(rank float64) float64 { return 1 / math.Log2(rank+1) }
	for _, c := range []struct {
		name  string
		ranks []int
		among int
		want  float64
	}{
		{HR10, []int{10}, 0, 1}, {HR10, []int{11}, 0, 0}, {HR10, []int{3, 90}, 0, 1},
		{NDCG10, []int{1}, 0, 1}, {NDCG10, []int{3}, 0, .5}, {NDCG10, []int{11}, 0, 0},
		{NDCG10, []int{2, 4, 30}, 0, (l(2) + l(4)) / (l(1) + l(2) + l(3))},
		{MRR, []int{4, 5}, 0, .25},
		{HR10Of100, []int{500}, 10, 1}, {HR10Of100, []int{500}, 11, 0}, {NDCG10Of100, []int{500}, 3, .5},
		{Recall20, []int{1, 20, 21, 22}, 0, .5}, {Recall50, []int{1, 20, 21, 51}, 0, .75},
		{NDCG100, []int{100, 101}, 0, l(100) / (l(1) + l(2))},
	} {
		if got := measureOf(c.name).of(c.ranks, c.among); !near(got, c.want) {
			t.Errorf("%s of %v, %d: %v, want %v", c.name, c.ranks, c.among, got, c.want)
		}
	}
	// More films that count than places: the best list has 20 of them.
	ranks := make([]int, 40)
	for i := range ranks {
		ranks[i] = i + 1
	}
	if r, g := measureOf(Recall20).of(ranks, 0), measureOf(NDCG10).of(ranks, 0); r != 1 || !near(g, 1) {
		t.Errorf("the best list has recall %v, gain %v", r, g)
	}
}

func acts(list ...Act) *Data {
	var b Builder
	for _, a := range list {
		b.Add(a)
	}
	return b.Data(noContent)
}

func told(d *Data, in recipe.Input) string {
	var s []string
	for _, x := range in.Data.Samples {
		s = append(s, d.Users[x.User]+d.Items[x.Item])
	}
	return strings.Join(s, " ")
}

func (p *part) told(d *Data) string {
	var s []string
	for _, a := range p.asks {
		text := d.Users[a.user] + "@" + fmt.Sprint(a.at)
		for _, i := range a.relevant {
			text += " " + d.Items[i]
		}
		s = append(s, text)
	}
	return strings.Join(s, ", ")
}

func TestLeaveLastOut(t *testing.T) {
	d := acts(Act{"a", "x", 10, 5}, Act{"a", "y", 20, 1}, Act{"a", "z", 30, 4}, Act{"a", "x", 40, 4}, Act{"a", "z", 50, 2},
		Act{"b", "x", 15, 5}, Act{"b", "z", 25, 5}, Act{"c", "y", 60, 3}, Act{"c", "y", 70, 3})
	o := options()
	p, err := leaveLastOut(d, d.Acts, &o)
	if err != nil {
		t.Fatal(err)
	}
	// a met z last; that they saw x again after it lies in its future. c has met one film.
	if got := told(d, p.train); got != "ax bx ay cy cy" {
		t.Errorf("trained on %s", got)
	}
	if got := p.told(d); got != "a@70 z, b@70 z" {
		t.Errorf("asked %s", got)
	}
	if err := p.asOf(d.Acts); err != nil || p.told(d) != "a@30 z, b@25 z" {
		t.Errorf("asked %s: %v", p.told(d), err)
	}
	for _, a := range p.asks {
		if len(a.negatives) != 0 {
			t.Errorf("next item has samples")
		}
	}
	for _, s := range p.train.Signals {
		if s.Weight() != 1 || s.RatingCenti() == 0 {
			t.Errorf("an act reads %v: every one is a like, and has its stars", s)
		}
	}
}

func TestUnmet(t *testing.T) {
	seen := map[int32]int{}
	for user := range int32(300) {
		list := unmet(1, user, 400, []int32{3, 3, 9}, 100)
		if len(list) != 100 || !slices.IsSorted(list) || slices.Contains(list, 3) || slices.Contains(list, 9) {
			t.Fatalf("%v", list)
		}
		if len(slices.Compact(slices.Clone(list))) != 100 {
			t.Fatalf("a film is there twice: %v", list)
		}
		for _, i := range list {
			seen[i]++
		}
	}
	if len(seen) != 398 { // each in a quarter of 300 samples: none at all has odds of 10⁻³⁷
		t.Errorf("%d films of 398 are ever drawn", len(seen))
	}
	if all := unmet(1, 0, 5, []int32{1}, 100); !slices.Equal(all, []int32{0, 2, 3, 4}) {
		t.Errorf("of 5 films %v", all)
	}
	few := map[int32]int{}
	for user := range int32(300) {
		for _, i := range unmet(1, user, 12, []int32{1}, 6) {
			few[i]++
		}
	}
	if len(few) != 11 {
		t.Errorf("%d films of 11 are ever drawn", len(few))
	}
}

func TestByTime(t *testing.T) {
	var list []Act
	for i := range 18 {
		list = append(list, Act{"a", fmt.Sprintf("f%02d", i), int64(i) * 10, 4})
	}
	// The cut is before time 180. b has met nothing before; a meets one film again, likes one, dislikes one.
	list = append(list, Act{"a", "f00", 180, 5}, Act{"b", "f01", 185, 5}, Act{"a", "g", 190, 5}, Act{"a", "h", 195, 1})
	d := acts(list...)
	o := options()
	p, err := byTime(d, d.Acts, &o)
	if err != nil || len(p.train.Data.Samples) != 19 { // 22 · .9, at a change of time
		t.Fatalf("%d trained on: %v", len(p.train.Data.Samples), err)
	}
	if got := p.told(d); got != "a@185 g, b@185 f01" || p.asks[0].stranger || !p.asks[1].stranger {
		t.Errorf("asked %s", got)
	}
	if _, err := byTime(d, d.Acts[:1], &o); err == nil {
		t.Error("one moment is split by time")
	}
}

func TestByPeople(t *testing.T) {
	d := world(120, 40, 6000)
	o := options()
	p, err := byPeople(d, d.Acts, &o)
	if err != nil {
		t.Fatal(err)
	}
	held := map[int32]*ask{}
	for i := range p.asks {
		held[p.asks[i].user] = &p.asks[i]
	}
	if len(held) < 8 || len(held) > 12 {
		t.Errorf("%d of 120 people are held out", len(held))
	}
	for _, s := range p.train.Data.Samples {
		if held[s.User] != nil || s.Rating < 4 {
			t.Fatalf("trained on %+v", s)
		}
	}
	folded := map[int32]int{}
	for _, s := range p.known.Data.Samples {
		if a := held[s.User]; a != nil {
			folded[s.User]++
			if slices.Contains(a.relevant, s.Item) {
				t.Fatalf("%+v is judged and known", s)
			}
		}
	}
	liked := map[int32]int{}
	for _, s := range d.Acts {
		if s.Rating >= 4 {
			liked[s.User]++
		}
	}
	for u, a := range held {
		if n := folded[u]; n != int(float64(liked[u])*.8) || n+len(a.relevant) != liked[u] {
			t.Errorf("person %d is known by %d films and asked of %d, of %d", u, n, len(a.relevant), liked[u])
		}
	}
}

func TestFolds(t *testing.T) {
	d := world(30, 40, 900)
	o := options()
	f := folds(d, d.Acts, 5, &o)
	tested := map[pair]int{}
	for k := range f.n {
		x := f.of(k)
		if n := len(x.train) + len(x.test); n != len(d.Acts) || len(x.test) < n/5 {
			t.Fatalf("fold %d has %d and %d of %d", k, len(x.train), len(x.test), len(d.Acts))
		}
		trained := map[pair]bool{}
		for _, s := range x.train {
			trained[pair{s.User, s.Item}] = true
		}
		for _, s := range x.test {
			tested[pair{s.User, s.Item}]++
			if trained[pair{s.User, s.Item}] {
				t.Fatalf("%+v is in both halves", s)
			}
		}
	}
	for p, n := range tested {
		if n != 1 {
			t.Fatalf("%v is tested %d times", p, n)
		}
	}
	if len(tested) != len(d.Acts) {
		t.Errorf("%d of %d are tested", len(tested), len(d.Acts))
	}
	twice := acts(Act{"a", "x", 1, 1}, Act{"a", "x", 2, 5}, Act{"a", "y", 3, 2})
	for k := range 5 {
		x := folds(twice, twice.Acts, 5, &o).of(k)
		for _, s := range slices.Concat(x.train, x.test) {
			if s.Rating == 1 {
				t.Error("the first of two ratings of a film counts")
			}
		}
	}
}
