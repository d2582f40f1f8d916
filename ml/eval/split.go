package eval

import (
	"cmp"
	"errors"
	"fmt"
	"math/bits"
	"slices"

	"github.com/projectionist/projectionist/ml"
	"github.com/projectionist/projectionist/ml/recipe"
)

// Shares and numbers of the protocols.
const (
	sampled       = 100 // films that one is ranked among
	testShare     = .1  // last in time, of a time split; of people, of strong generalisation
	knownShare    = .8  // of a held-out person's films, by which they are known
	filmsMin      = 5   // that a person has to have liked, of strong generalisation
	likedStars    = 4   // from which films count as liked there
	heldPeopleMax = 10_000
)

// ask is a person whom films are ranked for.
type ask struct {
	user      int32
	at        int64   // as of when
	relevant  []int32 // films that count, in order
	negatives []int32 // films that the one relevant is ranked among too; nil for no such ranking
	stranger  bool    // nothing is known of the person
}

// part is what a recipe is trained on, what its ranking sees, and who is asked.
type part struct {
	train, known recipe.Input
	asks         []ask
}

// splitter makes a part of acts; of the training part of another it makes what parameters are chosen on.
type splitter func(d *Data, acts []ml.Sample, o *Options) (*part, error)

// pair is a person and a film.
type pair struct{ user, item int32 }

// sealed checks that nothing which is judged can be known.
func (p *part) sealed() error {
	judged := map[pair]bool{}
	for i := range p.asks {
		for _, item := range p.asks[i].relevant {
			judged[pair{p.asks[i].user, item}] = true
		}
	}
	for _, in := range []recipe.Input{p.train, p.known} {
		for _, s := range in.Data.Samples {
			if judged[pair{s.User, s.Item}] {
				return fmt.Errorf("film %s of person %s is judged and was trained on: the split is wrong", in.Data.Items[s.Item], in.Data.Users[s.User])
			}
		}
	}
	return nil
}

// some are at most Options.People of the asks, drawn by the seed, in their order.
func (p *part) some(o *Options) {
	if o.People <= 0 || len(p.asks) <= o.People {
		return
	}
	key := func(a ask) uint64 { return draw(o.Seed, 1, uint64(a.user)) }
	slices.SortFunc(p.asks, func(a, b ask) int { return cmp.Or(cmp.Compare(key(a), key(b)), cmp.Compare(a.user, b.user)) })
	p.asks = p.asks[:o.People]
	slices.SortFunc(p.asks, func(a, b ask) int { return cmp.Compare(a.user, b.user) })
}

// finished is the part, checked and cut to size.
func (p *part) finished(o *Options) (*part, error) {
	p.some(o)
	return p, p.sealed()
}

// leaveLastOut holds out the last film that each person met first, and all that they did after it. Of films of one
// moment the seed draws one. Who has met a single film is not asked.
func leaveLastOut(d *Data, acts []ml.Sample, o *Options) (*part, error) {
	g := groupByUser(d, acts)
	target := make([]int32, len(d.Users)) // the act, -1 for nobody who is asked
	stamp := make([]int32, len(d.Items))  // person, + 1, whose acts have met the film
	for u := range target {
		target[u] = -1
		films := 0
		key := func(i int32) uint64 { return draw(o.Seed, uint64(u)<<1, uint64(acts[i].Item)) }
		for _, i := range g.of(int32(u)) {
			if stamp[acts[i].Item] == int32(u)+1 {
				continue
			}
			stamp[acts[i].Item] = int32(u) + 1
			films++
			if was := target[u]; was < 0 || acts[was].Time < acts[i].Time || key(was) < key(i) {
				target[u] = i
			}
		}
		if films < 2 {
			target[u] = -1
		}
	}
	var train []ml.Sample
	for _, s := range acts {
		if at := target[s.User]; at < 0 || s.Item != acts[at].Item && s.Time <= acts[at].Time {
			train = append(train, s)
		}
	}
	end := endOf(train)
	in := d.input(train, asLiking)
	p := &part{train: in, known: in}
	for u, at := range target {
		if at >= 0 {
			p.asks = append(p.asks, ask{user: int32(u), at: end, relevant: []int32{acts[at].Item}})
		}
	}
	p.some(o)
	var met []int32
	for i := range p.asks {
		a := &p.asks[i]
		met = met[:0]
		for _, at := range g.of(a.user) {
			met = append(met, acts[at].Item)
		}
		a.negatives = unmet(o.Seed, a.user, len(d.Items), met, sampled)
	}
	return p, p.sealed()
}

// asOf moves every ask to the moment when its film was met.
func (p *part) asOf(acts []ml.Sample) error {
	at := map[pair]int64{}
	for i := range p.asks {
		at[pair{p.asks[i].user, p.asks[i].relevant[0]}] = -1
	}
	for _, s := range acts {
		if t, ok := at[pair{s.User, s.Item}]; ok && t < 0 {
			at[pair{s.User, s.Item}] = s.Time
		}
	}
	for i := range p.asks {
		a := &p.asks[i]
		a.negatives = nil
		if a.at = at[pair{a.user, a.relevant[0]}]; a.at < 0 {
			return fmt.Errorf("person %d has not met the film that they are asked about: the split is wrong", a.user)
		}
	}
	return nil
}

// ofGiven is a split that came with the set: leave-one-out as it is.
func ofGiven(d *Data, g *Given, o *Options) (*part, error) {
	in := d.input(g.Train, asLiking)
	p := &part{train: in, known: in}
	end := endOf(g.Train)
	for _, s := range g.Test {
		a := ask{user: s.User, at: end, relevant: []int32{s.Item}, negatives: g.Negatives[s.User]}
		p.asks = append(p.asks, a)
	}
	slices.SortFunc(p.asks, func(a, b ask) int { return cmp.Compare(a.user, b.user) })
	for _, a := range p.asks {
		if len(g.Negatives) > 0 && len(a.negatives) == 0 {
			return nil, fmt.Errorf("%s: person %s has a film in the test part and none that it is ranked among", g.Name, d.Users[a.user])
		}
	}
	for i := 1; i < len(p.asks); i++ {
		if p.asks[i].user == p.asks[i-1].user {
			return nil, fmt.Errorf("%s: person %s has several films in the test part; one is expected", g.Name, d.Users[p.asks[i].user])
		}
	}
	return p.finished(o)
}

var errOneMoment = errors.New("all acts are of one moment: none comes before another")

// byTime holds out the last tenth.
func byTime(d *Data, acts []ml.Sample, o *Options) (*part, error) {
	n := cut(acts, 1-testShare)
	if n == 0 || n == len(acts) {
		return nil, errOneMoment
	}
	in := d.input(acts[:n], asServed)
	p := &part{train: in, known: in}
	met, known := map[pair]bool{}, make([]bool, len(d.Users))
	tested := make([]bool, len(d.Users))
	for _, s := range acts[n:] {
		tested[s.User] = true
	}
	for _, s := range acts[:n] {
		if known[s.User] = true; tested[s.User] {
			met[pair{s.User, s.Item}] = true
		}
	}
	relevant := make([][]int32, len(d.Users))
	for _, s := range acts[n:] {
		if asServed(float64(s.Rating)).Weight() > 0 && !met[pair{s.User, s.Item}] && !slices.Contains(relevant[s.User], s.Item) {
			relevant[s.User] = append(relevant[s.User], s.Item)
		}
	}
	for u, list := range relevant {
		if len(list) > 0 {
			slices.Sort(list)
			p.asks = append(p.asks, ask{user: int32(u), at: acts[n].Time, relevant: list, stranger: !known[u]})
		}
	}
	return p.finished(o)
}

// cut is the number of acts before the given share, moved back to a change of time.
func cut(acts []ml.Sample, share float64) int {
	return recipe.Input{Data: &ml.Dataset{Samples: acts}}.At(share)
}

// byPeople holds out people.
func byPeople(d *Data, acts []ml.Sample, o *Options) (*part, error) {
	liked := make([][]int32, len(d.Users))
	for _, s := range acts {
		if s.Rating >= likedStars && !slices.Contains(liked[s.User], s.Item) {
			liked[s.User] = append(liked[s.User], s.Item)
		}
	}
	var people []int32
	for u, films := range liked {
		if len(films) >= filmsMin {
			people = append(people, int32(u))
		}
	}
	slices.SortFunc(people, func(a, b int32) int {
		return cmp.Or(cmp.Compare(draw(o.Seed, 2, uint64(a)), draw(o.Seed, 2, uint64(b))), cmp.Compare(a, b))
	})
	held := make([]bool, len(d.Users))
	trained := make([]bool, len(d.Users))
	for i, u := range people {
		held[u] = i < min(int(float64(len(people))*testShare), heldPeopleMax)
		trained[u] = !held[u]
	}
	var train []ml.Sample
	there := make([]bool, len(d.Items)) // films that somebody of the training part has met
	for _, s := range acts {
		if trained[s.User] && s.Rating >= likedStars {
			train = append(train, s)
			there[s.Item] = true
		}
	}
	known := slices.Clone(train)
	p := &part{}
	hidden := map[pair]bool{}
	for u := range held {
		if !held[u] {
			continue
		}
		films := slices.DeleteFunc(slices.Clone(liked[u]), func(i int32) bool { return !there[i] })
		slices.SortFunc(films, func(a, b int32) int {
			x, y := draw(o.Seed, uint64(u)<<1|1, uint64(a)), draw(o.Seed, uint64(u)<<1|1, uint64(b))
			return cmp.Or(cmp.Compare(x, y), cmp.Compare(a, b))
		})
		n := int(float64(len(films)) * knownShare)
		if n == 0 || n == len(films) {
			held[u] = false // too few films that anybody else knows
			continue
		}
		rest := films[n:]
		slices.Sort(rest)
		for _, i := range rest {
			hidden[pair{int32(u), i}] = true
		}
		p.asks = append(p.asks, ask{user: int32(u), relevant: rest})
	}
	for _, s := range acts {
		if held[s.User] && s.Rating >= likedStars && there[s.Item] && !hidden[pair{s.User, s.Item}] {
			known = append(known, s)
		}
	}
	slices.SortStableFunc(known, compareActs)
	end := endOf(known)
	for i := range p.asks {
		p.asks[i].at = end
	}
	p.train, p.known = d.input(train, asLiking), d.input(known, asLiking)
	return p.finished(o)
}

func endOf(acts []ml.Sample) int64 {
	if len(acts) == 0 {
		return 0
	}
	return acts[len(acts)-1].Time
}

// groups are acts by person, as their places in order.
type groups struct{ start, acts []int32 }

func (g *groups) of(user int32) []int32 { return g.acts[g.start[user]:g.start[user+1]] }

func groupByUser(d *Data, acts []ml.Sample) *groups {
	g := &groups{make([]int32, len(d.Users)+1), make([]int32, len(acts))}
	for i := range acts {
		g.start[acts[i].User+1]++
	}
	for u := range d.Users {
		g.start[u+1] += g.start[u]
	}
	next := slices.Clone(g.start)
	for i := range acts {
		g.acts[next[acts[i].User]] = int32(i)
		next[acts[i].User]++
	}
	return g
}

// unmet draws n films that are not among met, or gives all of them where there are no more, in order.
func unmet(seed uint64, user int32, items int, met []int32, n int) []int32 {
	taken, free := ml.NewBitset(items), items
	for _, i := range met {
		if !taken.Has(i) {
			taken.Add(i)
			free--
		}
	}
	list := make([]int32, 0, min(n, free))
	if free <= 2*n { // few: all of them, in the order of their draws
		for i := range int32(items) {
			if !taken.Has(i) {
				list = append(list, i)
			}
		}
		key := func(i int32) uint64 { return draw(seed, uint64(user)<<1, uint64(i)) }
		slices.SortFunc(list, func(a, b int32) int { return cmp.Or(cmp.Compare(key(a), key(b)), cmp.Compare(a, b)) })
		list = list[:min(n, len(list))]
	}
	for try := uint64(0); len(list) < min(n, free); try++ {
		hi, _ := bits.Mul64(draw(seed, uint64(user)<<1, try), uint64(items))
		if i := int32(hi); !taken.Has(i) {
			taken.Add(i)
			list = append(list, i)
		}
	}
	slices.Sort(list)
	return list
}

// fold is ratings to train on and to predict.
type fold struct {
	name        string
	train, test []ml.Sample
}

// folding cuts ratings in folds, one at a time.
type folding struct {
	n     int
	of    func(k int) fold
	given bool // with the set
}

// folds cuts ratings in n by the seed. Of several ratings of a person and film the last counts, so that no film that is
// predicted for a person was rated by them in the training part. Every rating is in one test part.
func folds(d *Data, acts []ml.Sample, n int, o *Options) folding {
	g, stamp := groupByUser(d, acts), make([]int32, len(d.Items))
	order := make([]int32, 0, len(acts))
	for u := range d.Users {
		list := g.of(int32(u))
		for k := len(list) - 1; k >= 0; k-- {
			if i := list[k]; stamp[acts[i].Item] != int32(u)+1 {
				stamp[acts[i].Item] = int32(u) + 1
				order = append(order, i)
			}
		}
	}
	slices.SortFunc(order, func(a, b int32) int {
		return cmp.Or(cmp.Compare(draw(o.Seed, 3, uint64(a)), draw(o.Seed, 3, uint64(b))), cmp.Compare(a, b))
	})
	of := make([]int8, len(acts)) // 1 + the fold
	for at, i := range order {
		of[i] = int8(at%n) + 1
	}
	return folding{n: n, of: func(k int) fold {
		f := fold{name: fmt.Sprint(k + 1)}
		for i, s := range acts {
			switch of[i] {
			case 0:
			case int8(k + 1):
				f.test = append(f.test, s)
			default:
				f.train = append(f.train, s)
			}
		}
		return f
	}}
}

// sealed checks that nobody is asked about a film that they have rated in the training part.
func (f *fold) sealed(d *Data) error {
	trained := make(map[pair]bool, len(f.train))
	for _, s := range f.train {
		trained[pair{s.User, s.Item}] = true
	}
	for _, s := range f.test {
		if trained[pair{s.User, s.Item}] {
			return fmt.Errorf("%s: film %s of person %s is in both parts", f.name, d.Items[s.Item], d.Users[s.User])
		}
	}
	return nil
}

// foldsFor is how many folds there are.
func foldsFor(d *Data) int {
	n := 0
	for i := range d.Given {
		if d.Given[i].Fold() {
			n++
		}
	}
	if n == 0 {
		return foldCount
	}
	return n
}

// foldsOf are the folds that came with the set, or n cut by the seed.
func foldsOf(d *Data, o *Options) folding {
	var given []*Given
	for i := range d.Given {
		if g := &d.Given[i]; g.Fold() {
			given = append(given, g)
		}
	}
	if given != nil {
		return folding{len(given), func(k int) fold { return fold{given[k].Name, given[k].Train, given[k].Test} }, true}
	}
	return folds(d, d.Acts, foldCount, o)
}

const foldCount = 5
