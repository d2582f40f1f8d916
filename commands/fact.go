package commands

import "github.com/projectionist/projectionist/events"

// FactOf is the command to publish a payload that was read; false for one of the ledger.
func FactOf(d events.Data) (Fact, bool) {
	switch x := d.(type) {
	case *events.Interaction:
		return &RecordInteraction{*x}, true
	case *events.RecommendationServed:
		return &PublishRecommendation{*x}, true
	case *events.ModelDrift:
		return &PublishDrift{*x}, true
	case *events.SystemHealth:
		return &PublishHealth{*x}, true
	case *events.FeatureValues:
		return &PushFeatureValues{*x}, true
	}
	return nil, false
}
