package roles

import (
	"errors"
	"maps"

	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/ml/recipe"
	"github.com/projectionist/projectionist/ml/recipe/all"
)

// What the conf of a workflow run may say. Of the training pipeline everything else is a parameter of the
// recipe ("als.dim": "32").
const (
	confAlgorithm = "algorithm" // the recipe's name; the default recipe without it
)

// argPages is how many pages of each list are fetched.
const argPages = "pages"

// pagesMax is TMDB's own limit.
const pagesMax = 500

// checkRecipe says what is wrong with the entries of a run's conf that are not declared.
func checkRecipe(conf map[string]string) error {
	_, _, err := recipeOf(nil, conf)
	return err
}

// recipeOf is the recipe that a run's conf names, with the configured parameters, by recipe, but for those
// that conf names.
func recipeOf(configured map[string]map[string]string, conf map[string]string) (*recipe.Recipe, recipe.Params, error) {
	r, err := all.Find(conf[confAlgorithm])
	if err != nil {
		return nil, nil, inConf(err)
	}
	given := map[string]string{}
	maps.Copy(given, configured[r.Name])
	maps.Copy(given, conf)
	delete(given, confAlgorithm)
	p, err := r.Parse(given)
	return r, p, inConf(err)
}

// inConf says of faults that the fields they name are entries of conf.
func inConf(err error) error {
	if several, ok := err.(interface{ Unwrap() []error }); ok {
		var errs []error
		for _, e := range several.Unwrap() {
			errs = append(errs, inConf(e))
		}
		return errors.Join(errs...)
	}
	if f, ok := err.(*fault.Error); ok && f.Field != "" {
		named := *f
		named.Field = "conf." + f.Field
		return &named
	}
	return err
}
