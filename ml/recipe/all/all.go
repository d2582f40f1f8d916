// Package all is the list of recipes.
package all

import (
	"slices"
	"strings"

	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/ml/recipe"
	"github.com/projectionist/projectionist/ml/recipe/als"
	"github.com/projectionist/projectionist/ml/recipe/blend"
	"github.com/projectionist/projectionist/ml/recipe/bpr"
	"github.com/projectionist/projectionist/ml/recipe/ease"
	"github.com/projectionist/projectionist/ml/recipe/itemknn"
	"github.com/projectionist/projectionist/ml/recipe/mf"
	"github.com/projectionist/projectionist/ml/recipe/neuralcf"
	"github.com/projectionist/projectionist/ml/recipe/nextitem"
	"github.com/projectionist/projectionist/ml/recipe/popularity"
	"github.com/projectionist/projectionist/ml/recipe/svdpp"
)

// recipes are all there are. The first is used where none is named: by versions registered before they
// stated their algorithm, and by runs that name none.
var recipes = []*recipe.Recipe{
	als.Recipe,
	popularity.Recipe,
	neuralcf.Recipe,
	ease.Recipe,
	itemknn.Recipe,
	nextitem.Recipe,
	bpr.Recipe,
	mf.Recipe,
	svdpp.Recipe,
	blend.Of(als.Recipe, ease.Recipe, nextitem.Recipe, itemknn.Recipe, popularity.Recipe),
}

// Recipes are all recipes, the default first. They are the caller's to keep.
func Recipes() []*recipe.Recipe { return slices.Clone(recipes) }

// Default is the recipe used where none is named.
func Default() *recipe.Recipe { return recipes[0] }

// Find is the recipe of that name, or the default for "". Error: a fault that names those there are.
func Find(algorithm string) (*recipe.Recipe, error) {
	var names []string
	for _, r := range recipes {
		if r.Name == algorithm || algorithm == "" {
			return r, nil
		}
		names = append(names, r.Name)
	}
	return nil, fault.Field("algorithm", "is %q; want one of %s", algorithm, strings.Join(names, ", "))
}
