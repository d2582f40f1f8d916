package v1

import (
	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/handlers/react"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/featurestore"
	"github.com/projectionist/projectionist/projections/recommend"
)

// Answers are examples of the types that this surface answers with, by the names that clients in other languages give them: of these the console's types are
// made. Items of lists stand for themselves.
func Answers() map[string]any {
	return map[string]any{
		"AuditEntry": projections.AuditEntry{}, "Chain": projections.Chain{}, "Link": projections.Link{}, "LogRecord": record{}, "Topic": topicInfo{}, "ConsumerGroup": api.Group{},
		"Deployment": projections.Deployment{}, "ModelVersion": projections.ModelVersion{}, "Model": projections.Model{},
		"WorkflowRun": projections.WorkflowRun{}, "ViewStatus": viewStatus{}, "Reactor": react.Stat{}, "Progress": react.Task{}, "Nodes": nodesAnswer{}, "Node": node{}, "Lease": lease{},
		"Operation": operationAnswer{}, "OperationProgress": api.Progress{}, "DeadLetter": projections.DeadLetter{}, "Quarantined": projections.QuarantinedFact{},
		"Recommended": recommend.Item{}, "Fact": titledFact{}, "HistoryTimes": projections.HistoryTimes{}, "Film": projections.Movie{}, "Given": shown{}, "FilmRef": filmRef{}, "GivenItem": shownItem{},
		"QualityCurve": qualityAnswer{}, "QualityWindow": qualityWindow{}, "Foreseen": foreseen{}, "DeployedMark": deployedMark{}, "JudgedAct": judgedAct{},
		"Run": projections.Run{}, "Experiment": projections.Experiment{}, "Person": projections.Person{}, "TrainingSet": projections.TrainingSet{}, "DriftAlert": projections.DriftAlert{}, "Recommendations": recommended{},
		"FeatureStatistics": statistics{}, "FeatureFigures": featurestore.Statistics{}, "Cause": featurestore.Cause{}, "Changed": featurestore.Changed{}, "Late": featurestore.Late{},
	}
}
