package roles

import (
	"fmt"

	"github.com/projectionist/projectionist/ml/recipe"
)

const (
	// gateMetric decides on promotion. Chosen because the product is a short ordered list.
	gateMetric = "ndcg@10"
	// gateMoments is the least a metric is believed from: with fewer, its standard error is as large as what
	// it is compared with.
	gateMoments = 30
)

// judgement is what the gate decides on a version by.
type judgement struct {
	moments, people   int
	model, popularity float64 // gateMetric
	vsPopularity      recipe.Difference

	champion   string // what serves when it is decided, "als/1"; "" for nothing
	standing   standing
	judged     string  // compared: what was judged beside the version, of the champion's recipe and parameters
	rival      float64 // compared: its gateMetric
	vsChampion recipe.Difference
	why        string // unjudged, changed: why the champion was not judged
}

// standing is how a version stands to what serves.
type standing int

const (
	// vacant: nothing serves.
	vacant standing = iota
	// alike: what serves is of the same recipe and parameters. There is nothing to compare: what differs is the
	// data, of which the version has all, since runs are worked on one after another.
	alike
	// compared: what serves is of another recipe or other parameters, and these were judged at the same moments.
	compared
	// unjudged: they could not be judged.
	unjudged
	// changed: what serves took the slot after the judgement, and is of what was not judged.
	changed
)

// gate decides on a version. It passes unless it is worse beyond doubt: than what serves, or than popularity.
// Doubt is the 95 % interval of the paired difference. How much worse a version may be and still pass is therefore the
// width of that interval, which the reason states, and not a fixed margin: that would be below the noise of small
// data, or above what large data can tell.
func gate(j judgement) (promote bool, reason string) {
	kept := func(format string, args ...any) (bool, string) {
		name := j.champion
		if name == "" {
			name = "nothing"
		}
		return false, "kept " + name + ": " + fmt.Sprintf(format, args...)
	}
	few := fmt.Sprintf("the data has %d moments to judge by, fewer than %d", j.moments, gateMoments)
	switch {
	case j.standing == changed:
		return kept("%s; run the workflow again", j.why)
	case j.moments < gateMoments && j.standing == vacant:
		return true, "nothing is deployed, and " + few
	case j.moments < gateMoments && j.standing == alike:
		return true, j.beside() + "; " + few
	case j.moments < gateMoments:
		return kept("%s, and the new version is not of the same recipe, parameters and code", few)
	case j.standing == compared && j.vsChampion.Worse():
		return kept("the new version is worse beyond doubt: %s", j.figures())
	case j.vsPopularity.Worse() && !(j.standing == compared && j.vsChampion.Better()):
		return kept("the new version is worse than popularity beyond doubt: %s", j.figures())
	}
	return true, j.figures()
}

// figures are what was measured, in words.
func (j *judgement) figures() string {
	text := fmt.Sprintf("%s %.4f at %d moments of %d people; popularity %.4f, %s", gateMetric, j.model, j.moments, j.people,
		j.popularity, inWords(j.vsPopularity))
	if beside := j.beside(); beside != "" {
		text += "; " + beside
	}
	return text
}

// beside says how the champion was judged, in words; "" where there is none.
func (j *judgement) beside() string {
	switch j.standing {
	case alike:
		return j.champion + " is of the same recipe and parameters, and differs in its data alone"
	case compared:
		return fmt.Sprintf("by the recipe and parameters of %s %.4f at the same moments, %s", j.judged, j.rival, inWords(j.vsChampion))
	case unjudged:
		return fmt.Sprintf("not compared with %s: %s", j.champion, j.why)
	}
	return ""
}

func inWords(d recipe.Difference) string {
	return fmt.Sprintf("difference %+.4f (%.0f %% interval %+.4f to %+.4f)", d.Mean, 100*recipe.Confidence, d.Low, d.High)
}
