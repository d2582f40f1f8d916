package events

import (
	"errors"
	"fmt"
	"unicode"
	"unicode/utf8"
)

// Interaction is one act of a person towards a film: topic "user-events", type "user.interaction".
// Its JSON is the flat shape documented for that topic, which any Kafka client may publish.
type Interaction struct {
	UserID    string  `json:"user_id"`
	MovieID   string  `json:"movie_id"`
	Kind      string  `json:"interaction_type"`     // see [Kinds]
	Timestamp string  `json:"timestamp"`            // ISO 8601 event time, see TimeMillis
	Rating    float64 `json:"rating,omitempty"`     // 0 < rating ≤ 5; 0 is none
	SessionID string  `json:"session_id,omitempty"` // optional
}

func (*Interaction) EventType() string { return interactionType }

// RatingMax is the top of the rating scale. Data sets with another scale are converted on import.
const RatingMax = 5.0

// IDBytesMax bounds the ids of people, films and sessions: every one is a key of several views.
const IDBytesMax = 128

// Validate reports every fault of the interaction at once, each a [*FieldError]. Ids are expected to be
// canonical, as [ParseInteraction] makes them.
func (i *Interaction) Validate() error {
	_, err := i.check(true)
	return err
}

// check is Validate, and gives the timestamp in Unix milliseconds. One without a time is left unjudged there.
func (i *Interaction) check(timed bool) (millis int64, err error) {
	// The common case allocates nothing.
	user, movie := idFault(i.UserID), idFault(i.MovieID)
	session := ""
	if i.SessionID != "" {
		session = idFault(i.SessionID)
	}
	kind, rating, when := kindFault(i.Kind), i.ratingFault(), ""
	if timed {
		millis, when = timestampFault(i.Timestamp)
	}
	if user == "" && movie == "" && kind == "" && when == "" && rating == "" && session == "" {
		return millis, nil
	}
	return millis, errors.Join(fieldError("user_id", user), fieldError("movie_id", movie), fieldError("interaction_type", kind),
		fieldError("timestamp", when), fieldError("rating", rating), fieldError("session_id", session))
}

func fieldError(field, message string) error {
	if message == "" {
		return nil
	}
	return &FieldError{field, message}
}

func idFault(id string) string {
	switch {
	case id == "":
		return "must not be empty"
	case len(id) > IDBytesMax:
		return fmt.Sprintf("has %d bytes; the most is %d", len(id), IDBytesMax)
	}
	for k := 0; k < len(id); k++ {
		if id[k] < 0x20 || id[k] >= 0x7f {
			return unusualIDFault(id)
		}
	}
	return ""
}

func unusualIDFault(id string) string {
	if !utf8.ValidString(id) {
		return "must be valid UTF-8"
	}
	for _, r := range id {
		if unicode.IsControl(r) {
			return fmt.Sprintf("must not hold the control character %U", r)
		}
	}
	return ""
}

func (i *Interaction) ratingFault() string {
	switch {
	case i.Rating == 0 && i.Kind == KindRating:
		return "is required for interaction_type rating: above 0, at most 5"
	case i.Rating != 0 && !(i.Rating > 0 && i.Rating <= RatingMax): // NaN too
		return fmt.Sprintf("is %v; want above 0, at most 5", i.Rating)
	}
	return ""
}

// timestampFault gives the time in Unix milliseconds, or says what is wrong with it.
func timestampFault(s string) (millis int64, fault string) {
	if s == "" {
		return 0, "must not be empty: want ISO 8601, such as 2024-01-15T10:30:00Z"
	}
	millis, err := TimeMillis(s)
	switch {
	case err != nil:
		return 0, err.Error()
	case millis < TimeMillisMin || millis >= TimeMillisEnd:
		return 0, fmt.Sprintf("%s is outside 1970 to 2100", s)
	}
	return millis, ""
}
