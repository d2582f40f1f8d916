package all_test

import (
	"context"
	"math"
	"testing"

	"github.com/projectionist/projectionist/ml/recipe"
	"github.com/projectionist/projectionist/ml/recipe/all"
)

// Every recipe has something to search, in the range of what it takes, and can be judged for it, to the bit.
func TestEveryRecipeIsSearched(t *testing.T) {
	in := tastes(500)
	for _, r := range all.Recipes() {
		searched := r.Searched()
		if len(searched) == 0 {
			t.Errorf("%s: nothing is searched", r.Name)
		}
		for _, d := range searched {
			if !(d.Search.Low < d.Search.High) || d.Type != recipe.Number && d.Type != recipe.Integer || d.Search.Low < d.Min && d.Search.High > d.Max {
				t.Errorf("%s: %s is searched from %v to %v", r.Name, d.Name, d.Search.Low, d.Search.High)
			}
		}
		trials, err := r.Trials(nil, 12, 1)
		if err != nil || len(trials) != 12 {
			t.Errorf("%s: %d trials: %v", r.Name, len(trials), err)
			continue
		}
		p := trials[0]
		a, err := r.Score(context.Background(), in, p, nil)
		if err != nil {
			t.Errorf("%s: %v", r.Name, err)
			continue
		}
		b, err := r.Score(context.Background(), in, p, nil)
		if err != nil || a.Value != b.Value || math.IsNaN(a.Value) || len(a.Figures) == 0 || r.Predicts != (a.Value < 0) {
			t.Errorf("%s: %v, then %v: %v", r.Name, a, b, err)
		}
		if _, err := r.Score(context.Background(), in.Before(0), p, nil); err == nil {
			t.Errorf("%s: nothing is judged", r.Name)
		}
	}
}
