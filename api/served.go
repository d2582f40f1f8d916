package api

import (
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/projectionist/projectionist/commands"
	"github.com/projectionist/projectionist/events"
	"github.com/projectionist/projectionist/handlers"
	"github.com/projectionist/projectionist/internal/fault"
	"github.com/projectionist/projectionist/projections/recommend"
	"github.com/projectionist/projectionist/streams"
)

// Recorded says whether the log has that an answer was given, and where; Unrecorded is why not.
type Recorded struct {
	RequestID  string `json:"request_id,omitempty"`
	Position   string `json:"position,omitempty"`
	Recorded   bool   `json:"recorded"`
	Unrecorded string `json:"unrecorded,omitempty"` // asked, guest, cross_site or unavailable
}

// Why an answer is not in the log.
const (
	unrecordedAsked       = "asked"       // record=false
	unrecordedGuest       = "guest"       // it is for somebody without an id, by films of theirs
	unrecordedCrossSite   = "cross_site"  // a page of another site asked: a person was shown nothing
	unrecordedUnavailable = "unavailable" // the log takes nothing now
)

// Record publishes the fact that a person was shown a ranking; record false leaves no trace, and neither does what
// somebody without an id was shown by films of theirs. That the log takes nothing now does not keep the answer from being
// given.
func (c *Core) Record(r *http.Request, res *recommend.Result, record *bool, now time.Time) (Recorded, error) {
	all, err := c.RecordAll(r, []*recommend.Result{res}, record, now)
	if err != nil {
		return Recorded{}, err
	}
	return all[0], nil
}

// RecordAll is Record for the rankings of one answer.
func (c *Core) RecordAll(r *http.Request, lists []*recommend.Result, record *bool, now time.Time) ([]Recorded, error) {
	out := make([]Recorded, len(lists))
	var facts []commands.Fact
	var at []int // of facts, in lists
	for i, res := range lists {
		c.metrics.served.WithLabelValues(res.Strategy).Inc()
		if out[i].Unrecorded = unrecorded(r, res, record); out[i].Unrecorded == "" {
			id := UniqueID(r) // answers are told apart by its id
			if len(lists) > 1 {
				id = uuid.NewString()
			}
			out[i].RequestID = id
			facts, at = append(facts, served(res, id)), append(at, i)
		}
	}
	if len(facts) > 0 {
		p, err := c.Dispatcher.Publish(r.Context(), facts, handlers.Meta{Actor: "api", Correlation: RequestID(r), Time: now})
		switch {
		case err == nil:
			c.given.Lock()
			for k, i := range at {
				c.given.cut.Include(p.Positions[k])
				out[i].Recorded, out[i].Position = true, p.Positions[k].String()
			}
			c.given.Unlock()
		case fault.Is(err, fault.Unavailable) || fault.Is(err, fault.Unknown): // a full disk does not stop reading
			c.Logger.Warn("a recommendation was given and not recorded", "request_id", RequestID(r), "error", err)
			for _, i := range at {
				out[i] = Recorded{Unrecorded: unrecordedUnavailable}
			}
		default:
			return nil, err
		}
	}
	for i := range out {
		if why := out[i].Unrecorded; why != "" {
			c.metrics.unrecorded.WithLabelValues(why).Inc()
		}
	}
	return out, nil
}

// Given is behind the last rankings that were recorded.
func (c *Core) Given() streams.Cut {
	c.given.Lock()
	defer c.given.Unlock()
	return c.given.cut.Clone()
}

func unrecorded(r *http.Request, res *recommend.Result, record *bool) string {
	switch {
	case record != nil && !*record, r.Method == http.MethodHead:
		return unrecordedAsked
	case res.Guest:
		return unrecordedGuest
	case r.Method == http.MethodGet && CrossSite(r):
		return unrecordedCrossSite
	}
	return ""
}

// becauseMax is how many films that speak for one are recorded with it.
const becauseMax = 5

// certain is the propensity of what no chance was in.
var certain = 1.

// served is the fact that an answer was given.
func served(res *recommend.Result, requestID string) *commands.PublishRecommendation {
	fact := &commands.PublishRecommendation{RecommendationServed: events.RecommendationServed{
		RequestID: requestID, UserID: res.UserID, ModelName: res.ModelKey, ModelVersion: res.ModelVersion, Strategy: res.Strategy,
		Cut: res.Cut, Rules: res.Rules, Items: make([]events.RecommendedItem, len(res.Items)),
	}}
	if fact.UserID == "" {
		fact.UserID = events.Anonymous
	}
	for i := range res.Items {
		it := &res.Items[i]
		item := events.RecommendedItem{MovieID: it.MovieID, Position: it.Position, Score: it.Score, Source: events.MainSource(it.Sources), Sources: it.Sources,
			Propensity: &certain} // no ranking has chance in it
		for k := range it.Because {
			if why := &it.Because[k]; why.MovieID != "" && why.Score > 0 && len(item.Because) < becauseMax {
				item.Because = append(item.Because, why.MovieID)
			}
		}
		fact.Items[i] = item
	}
	return fact
}

// What a model is asked for: a ranking of films for a person, or ratings of some.
const (
	OperationRank    = "rank"
	OperationPredict = "predict"
)

// Predicted counts what a model has computed since start. The strategy is a recipe's word for what it does.
func (c *Core) Predicted(operation, strategy string, start time.Time) {
	c.metrics.predictions.WithLabelValues(operation, strategy).Inc()
	took := time.Since(start)
	c.metrics.predictionSeconds.WithLabelValues(operation).Observe(took.Seconds())
	c.latencies.observe(operation, c.Now(), took)
}
