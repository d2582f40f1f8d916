package projections

import "github.com/projectionist/projectionist/projections/fold"

// All are all views, in the order they are listed.
func All() []fold.Factory {
	return []fold.Factory{
		func() fold.View { return NewCatalogue() },
		func() fold.View { return NewHistories() },
		func() fold.View { return NewOnline() },
		func() fold.View { return NewUsers() },
		func() fold.View { return NewDefinitions() },
		func() fold.View { return NewFeatureRegistry() },
		func() fold.View { return NewFeatureValues() },
		func() fold.View { return NewFeatureFreshness() },
		func() fold.View { return NewRuns() },
		func() fold.View { return NewLoggedModels() },
		func() fold.View { return NewArtifacts() },
		func() fold.View { return NewRegistry() },
		func() fold.View { return NewDeployments() },
		func() fold.View { return NewWebhooks() },
		func() fold.View { return NewWorkflows() },
		func() fold.View { return NewVariables() },
		func() fold.View { return NewDatasets() },
		func() fold.View { return NewTrainingSets() },
		func() fold.View { return NewImports() },
		func() fold.View { return NewLineage() },
		func() fold.View { return NewAudit() },
		func() fold.View { return NewServed() },
		func() fold.View { return NewEngagement() },
		func() fold.View { return NewQuality() },
		func() fold.View { return NewHealth() },
		func() fold.View { return NewDrift() },
		func() fold.View { return NewQuarantine() },
		func() fold.View { return NewIdempotency() },
		func() fold.View { return NewDeadLetters() },
		func() fold.View { return NewOperations() },
	}
}
