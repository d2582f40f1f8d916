package events

// Anonymous is the person of a list that was asked for without one.
const Anonymous = "anonymous"

// RecommendationServed is what a person was shown, by what and why. Topic "movie-recommendations".
type RecommendationServed struct {
	RequestID    string            `json:"request_id"`
	UserID       string            `json:"user_id"`
	Timestamp    string            `json:"timestamp"` // ISO 8601
	ModelName    string            `json:"model_name,omitempty"`
	ModelVersion int               `json:"model_version,omitempty"`
	Strategy     string            `json:"strategy"` // "online", "cold", or the recipe's word: "blend"
	Cut          string            `json:"cut"`      // what of the log the ranker had folded
	Items        []RecommendedItem `json:"items"`
}

// RecommendedItem is one place of a recommendation.
type RecommendedItem struct {
	MovieID string             `json:"movie_id"`
	Score   float64            `json:"score"`
	Sources map[string]float64 `json:"sources,omitempty"` // parts of the score by source: online, and what the recipe calls its own
	Because []string           `json:"because,omitempty"` // the person's films that contributed most, strongest first
}

func (*RecommendationServed) EventType() string { return "recommendation.served" }
