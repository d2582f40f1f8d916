package ml

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
)

// Rating is what a user gave an item.
type Rating struct {
	User, Item int32
	Stars      float32
}

// RatingSet is ratings for training: of a user and item the last one alone, ordered by user and item. Users and items are
// those that have any, sorted.
type RatingSet struct {
	Users, Items []string
	Ratings      []Rating
}

// RatingsOf are the ratings of a data set; of several of one user and item the last counts.
func RatingsOf(d *Dataset) (RatingSet, error) {
	d = usersInOrder(d)
	var list []Rating
	user, item := make([]int32, len(d.Users)), make([]int32, len(d.Items))
	for i, s := range d.Samples {
		if s.User < 0 || int(s.User) >= len(user) || s.Item < 0 || int(s.Item) >= len(item) {
			return RatingSet{}, fmt.Errorf("ml: Samples[%d]: user %d, item %d outside the dataset's %d users and %d items", i, s.User, s.Item, len(user), len(item))
		}
		if s.Rating > 0 && finite(s.Rating) {
			list = append(list, Rating{s.User, s.Item, s.Rating})
			user[s.User], item[s.Item] = 1, 1
		}
	}
	r := RatingSet{Users: number(d.Users, user), Items: number(d.Items, item)}
	for i := range list {
		list[i].User, list[i].Item = user[list[i].User], item[list[i].Item]
	}
	slices.SortStableFunc(list, func(a, b Rating) int {
		if a.User != b.User {
			return int(a.User) - int(b.User)
		}
		return int(a.Item) - int(b.Item)
	})
	for i, x := range list {
		if i+1 == len(list) || list[i+1].User != x.User || list[i+1].Item != x.Item {
			r.Ratings = append(r.Ratings, x)
		}
	}
	return r, nil
}

// usersInOrder is d with its users sorted.
func usersInOrder(d *Dataset) *Dataset {
	if slices.IsSorted(d.Users) {
		return d
	}
	order := make([]int32, len(d.Users))
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortFunc(order, func(a, b int32) int { return strings.Compare(d.Users[a], d.Users[b]) })
	sorted := &Dataset{Users: make([]string, len(order)), Items: d.Items, Samples: slices.Clone(d.Samples)}
	place := make([]int32, len(order))
	for at, i := range order {
		sorted.Users[at], place[i] = d.Users[i], int32(at)
	}
	for i := range sorted.Samples {
		if s := &sorted.Samples[i]; s.User >= 0 && int(s.User) < len(place) {
			s.User = place[s.User]
		}
	}
	return sorted
}

// number lists the ids that are marked 1, and puts the place of each in the list in place of its mark.
func number(ids []string, mark []int32) (list []string) {
	for i, id := range ids {
		if mark[i] == 1 {
			mark[i] = int32(len(list))
			list = append(list, id)
		} else {
			mark[i] = -1
		}
	}
	return list
}

// Factors is a model in which user u and item i have Mean + bᵤ + bᵢ + xᵤ·yᵢ. Users and Items are sorted.
type Factors struct {
	Users, Items       []string
	Dim                int
	Mean               float32
	Low, High          float32 // the scale of ratings; both 0 where the model predicts none
	UserBias, ItemBias []float32
	User, Item         []float32 // rows of Dim values
}

// Tensors are the model's numbers as an [Artifact] has them.
func (m *Factors) Tensors() []Tensor {
	return []Tensor{{"mean", []int{1}, []float32{m.Mean}}, {"input.scale", []int{2}, []float32{m.Low, m.High}}, {"user_bias", []int{len(m.Users)}, m.UserBias}, {"item_bias", []int{len(m.Items)}, m.ItemBias},
		{"user_factors", []int{len(m.Users), m.Dim}, m.User}, {"item_factors", []int{len(m.Items), m.Dim}, m.Item}}
}

// FactorsFromArtifact reads the model of an artifact with [Factors.Tensors] and the lists "users" and "items". Errors: what
// does not fit together, factors so large that a score may not be finite.
func FactorsFromArtifact(a *Artifact, dim int) (*Factors, error) {
	if dim < 1 {
		return nil, fmt.Errorf("ml: factors of length %d", dim)
	}
	m := &Factors{Dim: dim}
	var err error
	if m.Users, err = a.List("users"); err != nil {
		return nil, err
	}
	if m.Items, err = a.List("items"); err != nil {
		return nil, err
	}
	for _, list := range [][]string{m.Users, m.Items} {
		for i := 1; i < len(list); i++ {
			if list[i-1] >= list[i] {
				return nil, errors.New("ml: the artifact's users or items are not in order, each once")
			}
		}
	}
	mean, err := a.Tensor("mean", 1)
	if err != nil {
		return nil, err
	}
	scale, err := a.Tensor("input.scale", 2)
	if err != nil {
		return nil, err
	}
	m.Mean, m.Low, m.High = mean[0], scale[0], scale[1]
	if m.Low > m.High {
		return nil, fmt.Errorf("ml: a scale from %v to %v", m.Low, m.High)
	}
	for _, t := range []struct {
		name  string
		to    *[]float32
		shape []int
	}{{"user_bias", &m.UserBias, []int{len(m.Users)}}, {"item_bias", &m.ItemBias, []int{len(m.Items)}},
		{"user_factors", &m.User, []int{len(m.Users), dim}}, {"item_factors", &m.Item, []int{len(m.Items), dim}}} {
		if *t.to, err = a.Tensor(t.name, t.shape...); err != nil {
			return nil, err
		}
	}
	vector := max(farthest(m.User), farthest(m.Item))
	most := math.Abs(float64(m.Mean)) + farthest(m.UserBias) + farthest(m.ItemBias) + float64(float64(m.Dim)*float64(vector*vector))
	if most > math.MaxFloat32 {
		return nil, fmt.Errorf("ml: factors so large that scores may reach %.3g: they are to stay below %.3g", most, math.MaxFloat32)
	}
	return m, nil
}

// Parameters is how many numbers the model has.
func (m *Factors) Parameters() int {
	return 1 + len(m.UserBias) + len(m.ItemBias) + len(m.User) + len(m.Item)
}

// UserRow is where a user stands; -1 for one that was not learned.
func (m *Factors) UserRow(id string) int { return rowOf(m.Users, id) }

// ItemRow is where an item stands; -1 for one that was not learned.
func (m *Factors) ItemRow(id string) int { return rowOf(m.Items, id) }

func rowOf(list []string, id string) int {
	if at, ok := slices.BinarySearch(list, id); ok {
		return at
	}
	return -1
}

// Of is a user's number for an item, by their rows; what is not learned of a row of -1 is 0.
func (m *Factors) Of(user, item int) float32 {
	v := float64(m.Mean)
	if user >= 0 {
		v += float64(m.UserBias[user])
	}
	if item >= 0 {
		v += float64(m.ItemBias[item])
	}
	if user >= 0 && item >= 0 {
		x, y := m.User[user*m.Dim:(user+1)*m.Dim], m.Item[item*m.Dim:(item+1)*m.Dim]
		for c, a := range x {
			v += float64(float64(a) * float64(y[c]))
		}
	}
	return float32(v)
}

// Cut is a rating cut to the scale.
func (m *Factors) Cut(v float32) float32 { return min(max(v, m.Low), m.High) }

// Near gives the k items whose factors point most nearly where an item's do, itself left out: by cosine.
func (m *Factors) Near(item, k int) []Scored {
	length := func(i int) float64 {
		var sum float64
		for _, v := range m.Item[i*m.Dim : (i+1)*m.Dim] {
			sum += float64(float64(v) * float64(v))
		}
		return math.Sqrt(sum)
	}
	scores := make([]float32, len(m.Items))
	ScoreAll(scores, m.Item[item*m.Dim:(item+1)*m.Dim], m.Item, m.Dim)
	mine := length(item)
	for i := range scores {
		if l := float64(mine * length(i)); l > 0 {
			scores[i] = float32(float64(scores[i]) / l)
		} else {
			scores[i] = 0
		}
	}
	return TopKScores(scores, k, func(i int32) bool { return int(i) == item })
}
