package events

// RecommendationServed is what a person was shown, by what and why. Topic "movie-recommendations".
type RecommendationServed struct {
	RequestID    string            `json:"request_id"`
	UserID       string            `json:"user_id"`
	Timestamp    string            `json:"timestamp"` // ISO 8601
	ModelName    string            `json:"model_name,omitempty"`
	ModelVersion int               `json:"model_version,omitempty"`
	Strategy     string            `json:"strategy"` // "blend" or "cold"
	Cut          string            `json:"cut"`      // what of the log the ranker had folded
	Items        []RecommendedItem `json:"items"`
}

// RecommendedItem is one place of a recommendation.
type RecommendedItem struct {
	MovieID string             `json:"movie_id"`
	Score   float64            `json:"score"`
	Sources map[string]float64 `json:"sources,omitempty"` // share of the score by source: als, cocounts, popularity, content
	Because []string           `json:"because,omitempty"` // the person's films that contributed most, strongest first
}

func (*RecommendationServed) EventType() string { return "recommendation.served" }
