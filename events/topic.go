package events

// Topics of the log. The ledger is one totally ordered sequence; the feeds are partitioned facts.
const (
	LedgerTopic          = "mlops-events"
	UserEventsTopic      = "user-events"
	RecommendationsTopic = "movie-recommendations"
	DriftAlertsTopic     = "model-drift-alerts"
	SystemHealthTopic    = "system-health"
	FeatureValuesTopic   = "feature-values"
)

// Topic is one topic of the log. A name and its number of partitions are fixed once the log has it.
type Topic struct {
	Name       string
	Partitions int32
	Key        string // field of the payload by which records are partitioned, so that those of one stay in order; "" for the ledger, whose keys are streams
	Plain      string // event type of a value that comes without an envelope; "" where none is taken
}

// Topics are all topics of the log, ledger first.
var Topics = [...]Topic{
	{LedgerTopic, 1, "", ""},
	{UserEventsTopic, 3, "user_id", "user.interaction"},
	{RecommendationsTopic, 3, "user_id", "recommendation.served"},
	{DriftAlertsTopic, 1, "model_name", "model.drift"},
	{SystemHealthTopic, 2, "service_name", "system.health"},
	{FeatureValuesTopic, 3, "entity_key", "feature.values_pushed"},
}

// TopicOf finds a topic by its name.
func TopicOf(name string) (Topic, bool) {
	for i := range Topics {
		if Topics[i].Name == name {
			return Topics[i], true
		}
	}
	return Topic{}, false
}
