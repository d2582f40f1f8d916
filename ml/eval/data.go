package eval

import (
	"cmp"
	"slices"

	"github.com/projectionist/projectionist/ml"
	"github.com/projectionist/projectionist/ml/recipe"
	"github.com/projectionist/projectionist/ml/signal"
)

// Act is a rating, as data sets have them.
type Act struct {
	User, Item string
	TimeMillis int64
	Stars      float64 // above 0, at most 5
}

// Data is a data set. It does not change.
type Data struct {
	Users, Items []string    // sorted
	Acts         []ml.Sample // by time, person and film; Weight is not set
	Content      func(item string) recipe.Content
	Given        []Given // splits that came with it
}

// Given is a split that came with a data set.
type Given struct {
	Name        string
	Of          *Data // whose people and films the parts are of: the set, or, of one film of each person, a set of its own
	Train, Test []ml.Sample
	// Negatives are the films that each person's one film is ranked among, by person; nil where it is a fold of ratings.
	Negatives map[int32][]int32
}

// Fold says that it is a fold of ratings, not one film of each person.
func (g *Given) Fold() bool { return g.Negatives == nil }

// Builder collects acts.
type Builder struct {
	users, items index
	acts         []ml.Sample
	given        []given
}

// given is a split, with what numbers its people and films where these are not the set's.
type given struct {
	Given
	own *Builder
}

type index struct {
	at    map[string]int32
	names []string
}

func (x *index) of(name string) int32 {
	if i, ok := x.at[name]; ok {
		return i
	}
	if x.at == nil {
		x.at = map[string]int32{}
	}
	i := int32(len(x.names))
	x.at[name] = i
	x.names = append(x.names, name)
	return i
}

// sorted puts the names in order and gives the new place of each.
func (x *index) sorted() []int32 {
	order := make([]int32, len(x.names))
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortFunc(order, func(a, b int32) int { return cmp.Compare(x.names[a], x.names[b]) })
	names, place := make([]string, len(order)), make([]int32, len(order))
	for to, from := range order {
		names[to], place[from] = x.names[from], int32(to)
	}
	x.names = names
	return place
}

func (b *Builder) sample(a Act) ml.Sample {
	return ml.Sample{User: b.users.of(a.User), Item: b.items.of(a.Item), Time: a.TimeMillis, Rating: float32(a.Stars)}
}

// Add takes an act.
func (b *Builder) Add(a Act) { b.acts = append(b.acts, b.sample(a)) }

// Len is how many acts there are.
func (b *Builder) Len() int { return len(b.acts) }

// Give takes a split, with the films that a person's film is ranked among; nil for a fold. A fold has the set's people and films. Other
// splits, as those of He et al. (2017), number theirs anew: the same number is somebody else, and nothing is known of the films.
func (b *Builder) Give(name string, train, test []Act, negatives map[string][]string) {
	if negatives == nil {
		b.give(name, train, test, nil)
		return
	}
	own := &Builder{}
	own.give(name, train, test, negatives)
	b.given = append(b.given, given{own: own})
}

func (b *Builder) give(name string, train, test []Act, negatives map[string][]string) {
	g := Given{Name: name}
	for _, a := range train {
		g.Train = append(g.Train, b.sample(a))
	}
	for _, a := range test {
		g.Test = append(g.Test, b.sample(a))
	}
	if negatives != nil {
		g.Negatives = map[int32][]int32{}
		for user, items := range negatives {
			u := b.users.of(user)
			for _, i := range items {
				g.Negatives[u] = append(g.Negatives[u], b.items.of(i))
			}
		}
	}
	b.given = append(b.given, given{Given: g})
}

// Data is what was collected; the builder is at its end. Without acts of its own the set is what its first given split
// is of. Of several ratings of one person, film and moment the last that was added counts.
func (b *Builder) Data(content func(item string) recipe.Content) *Data {
	if len(b.acts) == 0 && len(b.given) > 0 {
		first := &b.given[0]
		if first.own != nil {
			for _, s := range slices.Concat(first.own.given[0].Train, first.own.given[0].Test) {
				b.Add(Act{first.own.users.names[s.User], first.own.items.names[s.Item], s.Time, float64(s.Rating)})
			}
		} else {
			b.acts = slices.Concat(first.Train, first.Test)
		}
	}
	users, items := b.users.sorted(), b.items.sorted()
	place := func(acts []ml.Sample) []ml.Sample {
		for i := range acts {
			acts[i].User, acts[i].Item = users[acts[i].User], items[acts[i].Item]
		}
		return inOrder(acts)
	}
	d := &Data{Users: b.users.names, Items: b.items.names, Acts: place(b.acts), Content: content}
	for _, of := range b.given {
		if of.own != nil {
			set := of.own.Data(func(string) recipe.Content { return recipe.Content{} })
			d.Given = append(d.Given, set.Given[0])
			continue
		}
		g := of.Given
		g.Of = d
		g.Train, g.Test = place(g.Train), place(g.Test)
		if g.Negatives != nil {
			renamed := make(map[int32][]int32, len(g.Negatives))
			for u, list := range g.Negatives {
				for i := range list {
					list[i] = items[list[i]]
				}
				renamed[users[u]] = list
			}
			g.Negatives = renamed
		}
		d.Given = append(d.Given, g)
	}
	return d
}

func compareActs(a, b ml.Sample) int {
	return cmp.Or(cmp.Compare(a.Time, b.Time), cmp.Compare(a.User, b.User), cmp.Compare(a.Item, b.Item))
}

// inOrder sorts acts, and keeps the last of those of one person, film and moment.
func inOrder(acts []ml.Sample) []ml.Sample {
	slices.SortStableFunc(acts, compareActs)
	kept := acts[:0]
	for _, a := range acts {
		if n := len(kept); n > 0 && compareActs(kept[n-1], a) == 0 {
			kept[n-1] = a
		} else {
			kept = append(kept, a)
		}
	}
	return kept
}

// reading is what a rating means.
type reading func(stars float64) signal.Signal

// asLiking takes every rating for liking, as the literature of implicit feedback does. The stars are kept for those who
// predict them.
func asLiking(stars float64) signal.Signal { return signal.Default().Of("like", 0).WithStars(stars) }

// asServed takes ratings as the program does.
func asServed(stars float64) signal.Signal { return signal.Default().Of("rating", stars) }

// input is what a recipe is trained on.
func (d *Data) input(acts []ml.Sample, read reading) recipe.Input {
	samples, signals := slices.Clone(acts), make([]signal.Signal, len(acts))
	for i := range samples {
		signals[i] = read(float64(samples[i].Rating))
		samples[i].Weight = signals[i].Weight()
	}
	return recipe.Input{Data: &ml.Dataset{Users: d.Users, Items: d.Items, Samples: samples}, Signals: signals, Content: d.Content}
}

// draw is a number that depends on nothing but a seed and two others.
func draw(seed, a, b uint64) uint64 { return ml.Mix64(ml.Mix64(ml.Mix64(seed+1)^(a+1)) ^ (b + 1)) }
