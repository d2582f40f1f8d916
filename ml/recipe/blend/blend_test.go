package blend

import (
	"math"
	"testing"

	"github.com/projectionist/projectionist/ml/recipe"
)

// One person with many moments does not outvote two with one each: the weights are chosen by people.
func TestMeanIsOverPeople(t *testing.T) {
	first, second := moment{{1, 0}, {0, 1}}, moment{{0, 1}, {1, 0}} // the first part is right, or the second
	moments := []moment{first, first, first, first, second, second}
	shares := recipe.Shares([]string{"a", "a", "a", "a", "b", "c"})
	one, other := mean(moments, shares, []int{1, 0}), mean(moments, shares, []int{0, 1})
	right, wrong := recipe.Gain(1), recipe.Gain(2)
	for _, c := range []struct{ got, want float64 }{{one, (right + 2*wrong) / 3}, {other, (wrong + 2*right) / 3}} {
		if math.Abs(c.got-c.want) > 1e-12 {
			t.Errorf("a mean gain of %v, want %v", c.got, c.want)
		}
	}
	if one >= other {
		t.Errorf("%v by the part that is right for one person, %v by the one that is right for two", one, other)
	}
}
