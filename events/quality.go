package events

// QualityJudged is where the films that people met stood, just before the online model learned of it, in the ranking of all films that the person had not met: by what
// served then, by each of its parts, and by popularity. The acts are of one hour, and were ranked by one version. Stream "quality/HOUR".
type QualityJudged struct {
	Hour         string      `json:"hour"`                 // of the acts' event time, UTC: "2024-01-15T10"
	ModelName    string      `json:"model_name,omitempty"` // the model's key; "" where counting alone served
	ModelVersion int         `json:"model_version,omitempty"`
	Sources      []string    `json:"sources"` // what ranked: "served" first
	Acts         []JudgedAct `json:"acts"`    // in the order of the log, of each partition
}

// JudgedAct is an act and the ranks of its film.
type JudgedAct struct {
	Position   string `json:"position"` // of the act: "user-events/1@4711"
	TimeMillis int64  `json:"time_millis"`
	Of         int    `json:"of"`    // acts that it stands for: itself, and those that were passed over since the one before
	Films      int    `json:"films"` // there were
	Ranks      []int  `json:"ranks"` // by each source, from 1; of equal scores the film is the last. 0: it was none of the films
}

// SourceServed is what served as a whole, among the sources of [QualityJudged].
const SourceServed = "served"

// HourLayout is the form of an hour in [QualityJudged].
const HourLayout = "2006-01-02T15"

func (*QualityJudged) EventType() string { return "quality.judged" }
