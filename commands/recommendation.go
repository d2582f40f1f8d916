package commands

import (
	"fmt"
	"maps"
	"slices"

	"github.com/projectionist/projectionist/events"
)

// PublishRecommendation publishes what a person was shown, by what and why.
type PublishRecommendation struct{ events.RecommendationServed }

func (*PublishRecommendation) FactType() string  { return "recommendation.served" }
func (*PublishRecommendation) Topic() string     { return events.RecommendationsTopic }
func (c *PublishRecommendation) Key() string     { return events.CanonicalUser(c.UserID) }
func (c *PublishRecommendation) Subject() string { return "user/" + c.Key() }
func (c *PublishRecommendation) Time() string    { return c.Timestamp }

func (c *PublishRecommendation) Event(timestamp string) events.Data {
	r := c.RecommendationServed
	r.UserID, r.Timestamp = c.Key(), timestamp
	return &r
}

func (c *PublishRecommendation) Validate() error {
	var f faults
	f.required("request_id", c.RequestID, NameBytesMax)
	f.required("user_id", c.UserID, IDBytesMax)
	f.timestamp("timestamp", c.Timestamp)
	f.line("model_name", c.ModelName, keyBytesMax)
	f.atLeast("model_version", int64(c.ModelVersion), 0)
	f.required("strategy", c.Strategy, NameBytesMax)
	f.text("cut", c.Cut, TextBytesMax)
	if len(c.Items) > BatchMax {
		f.add("items", "has %d entries; the most is %d", len(c.Items), BatchMax)
		return f.err()
	}
	for i, item := range c.Items {
		at := fmt.Sprintf("items[%d]", i)
		f.required(at+".movie_id", item.MovieID, IDBytesMax)
		f.finite(at+".score", item.Score)
		for _, source := range slices.Sorted(maps.Keys(item.Sources)) {
			f.finite(at+".sources."+source, item.Sources[source])
		}
	}
	return f.err()
}
