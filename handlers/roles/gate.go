package roles

import "fmt"

const (
	// gateMetric decides on promotion. Chosen because the product is a short ordered list.
	gateMetric = "ndcg@10"
	// gateTolerance is how far, relatively, a version may be below what the deployed one recorded. The two
	// were judged on different last parts of a growing log, so small differences say nothing, and a fresher
	// model has seen what the older one has not; beyond 5 % the recipe or the data is likely at fault.
	gateTolerance = .05
	// gateMoments is the least a metric is believed from: with fewer, its standard error is as large as what
	// it is compared with.
	gateMoments = 30
)

// gate decides on a version. deployed is nil if there is none, or it has no metric.
func gate(moments int, model, popularity float64, deployed *float64, deployedName string) (promote bool, reason string) {
	switch {
	case moments < gateMoments && deployedName == "":
		return true, fmt.Sprintf("nothing is deployed, and the data has %d moments to judge by, fewer than %d", moments, gateMoments)
	case moments < gateMoments:
		return false, fmt.Sprintf("kept %s: the data has %d moments to judge the new version by, fewer than %d", deployedName, moments, gateMoments)
	case model < popularity:
		return false, fmt.Sprintf("kept %s: %s %.4f is below popularity's %.4f", orNothing(deployedName), gateMetric, model, popularity)
	case deployed != nil && model < *deployed*(1-gateTolerance):
		return false, fmt.Sprintf("kept %s: %s %.4f is more than %.0f %% below the %.4f it recorded", deployedName, gateMetric, model, 100*gateTolerance, *deployed)
	case deployed != nil:
		return true, fmt.Sprintf("%s %.4f, popularity %.4f, %s recorded %.4f", gateMetric, model, popularity, deployedName, *deployed)
	}
	return true, fmt.Sprintf("%s %.4f, popularity %.4f", gateMetric, model, popularity)
}

func orNothing(name string) string {
	if name == "" {
		return "nothing"
	}
	return name
}
