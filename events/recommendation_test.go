package events

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// A propensity is above 0 and at most 1, by whichever way a list comes; one that is not said is that of a list without chance.
func TestPropensity(t *testing.T) {
	topic, _ := TopicOf(RecommendationsTopic)
	for said, want := range map[string]float64{
		"": 1, `,"propensity":null`: 1, `,"propensity":1`: 1, `,"propensity":0.25`: .25, `,"propensity":1e-300`: 1e-300,
		`,"propensity":0`: -1, `,"propensity":-0.5`: -1, `,"propensity":1.0001`: -1, `,"propensity":1e300`: -1, `,"propensity":-0.0`: -1,
	} {
		raw := []byte(fmt.Sprintf(`{"request_id":"r","user_id":"7","strategy":"x","timestamp":"2024-01-15T10:30:00Z","items":[{"movie_id":"1","propensity":1},{"movie_id":"2"%s}]}`, said))
		data, err := DecodeFact("recommendation.served", 2, raw, time.Unix(1705314600, 0), nil)
		var plain Event
		again := DecodePlain(topic, raw, &plain, nil)
		if want < 0 {
			var field *FieldError
			for _, err := range []error{err, again} {
				if !errors.As(err, &field) || field.Field != "items[1].propensity" || !strings.Contains(field.Message, "above 0, at most 1") {
					t.Errorf("%s: %v", said, err)
				}
			}
			continue
		}
		if err != nil || again != nil {
			t.Errorf("%s: %v, %v", said, err, again)
			continue
		}
		list := data.(*RecommendationServed)
		if got := list.Items[1].Likelihood(); got != want || plain.Data.(*RecommendationServed).Items[1].Likelihood() != want {
			t.Errorf("%s: %v, want %v", said, got, want)
		}
		list.Complete()
		if got := list.Items[1].Propensity; got == nil || *got != want {
			t.Errorf("%s: completed to %v, want %v", said, got, want)
		}
	}
}
