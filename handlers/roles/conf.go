package roles

import (
	"errors"
	"maps"
	"strconv"

	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/ml/recipe"
	"github.com/projectionist/projectionist/ml/recipe/all"
)

// What the conf of a workflow run may say. Of the training pipeline everything else is a parameter of the
// recipe ("als.dim": "32").
const (
	confAlgorithm = "algorithm" // the recipe's name; the default recipe without it
	confPages     = "pages"     // of each list, of the data collection
)

// pagesMax is TMDB's own limit.
const pagesMax = 500

// CheckConf says what is wrong with the conf of a run, before there is one.
func CheckConf(workflow string, conf map[string]string) error {
	switch workflow {
	case TrainingPipeline:
		_, _, err := recipeOf(nil, conf)
		return err
	case DataCollection:
		_, err := pagesOf(1, conf)
		return err
	}
	return nil
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

// pagesOf is how many pages of a list are fetched.
func pagesOf(configured int, conf map[string]string) (int, error) {
	text, ok := conf[confPages]
	if !ok {
		return configured, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > pagesMax {
		return 0, fault.Field("conf."+confPages, "is %q; want 1 to %d pages of 20 films", text, pagesMax)
	}
	return n, nil
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
