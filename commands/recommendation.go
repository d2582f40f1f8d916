package commands

import (
	"errors"
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
	r.Complete()
	return &r
}

func (c *PublishRecommendation) Validate() error {
	var f faults
	f.required("request_id", c.RequestID, NameBytesMax)
	f.required("user_id", c.UserID, IDBytesMax)
	f.reachable("user_id", c.UserID)
	f.timestamp("timestamp", c.Timestamp)
	f.line("model_name", c.ModelName, keyBytesMax)
	f.atLeast("model_version", int64(c.ModelVersion), 0)
	f.required("strategy", c.Strategy, NameBytesMax)
	f.text("cut", c.Cut, TextBytesMax)
	f.rules(&c.Rules)
	if len(c.Items) > BatchMax {
		f.add("items", "has %d entries; the most is %d", len(c.Items), BatchMax)
		return f.err()
	}
	for i, item := range c.Items {
		at := fmt.Sprintf("items[%d]", i)
		f.required(at+".movie_id", item.MovieID, IDBytesMax)
		f.finite(at+".score", item.Score)
		f.atLeast(at+".position", int64(item.Position), 0)
		f.line(at+".source", item.Source, NameBytesMax)
		for _, source := range slices.Sorted(maps.Keys(item.Sources)) {
			f.finite(at+".sources."+source, item.Sources[source])
		}
	}
	return errors.Join(f.err(), fieldFaults(c.RecommendationServed.Validate()))
}

func (f *faults) rules(r *events.ListRules) {
	for _, list := range []struct {
		field  string
		values []string
	}{{"exclude", r.Exclude}, {"genres", r.Genres}, {"languages", r.Languages}} {
		if len(list.values) > BatchMax {
			f.add("rules."+list.field, "has %d entries; the most is %d", len(list.values), BatchMax)
			continue
		}
		for i, v := range list.values {
			f.required(fmt.Sprintf("rules.%s[%d]", list.field, i), v, NameBytesMax)
		}
	}
	f.atLeast("rules.year_from", int64(r.YearFrom), 0)
	f.atLeast("rules.year_to", int64(r.YearTo), 0)
	f.share("rules.diversity", r.Diversity)
	f.share("rules.fresh", r.Fresh)
	f.atLeast("rules.offset", int64(r.Offset), 0)
}

// share wants a number from 0 to 1.
func (f *faults) share(field string, v float64) {
	if !(v >= 0 && v <= 1) {
		f.add(field, "is %v; want 0 to 1", v)
	}
}
