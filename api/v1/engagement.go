package v1

import (
	"net/http"
	"strconv"
	"time"

	"github.com/projectionist/projectionist/api"
	"github.com/projectionist/projectionist/projections"
	"github.com/projectionist/projectionist/projections/fold"
)

func (s *Surface) engagementRoutes(r *api.Routes) {
	s.then(r, "GET /api/v1/engagement", (*Surface).engagement, "engagement", "registry")
}

const (
	engagementDays    = 30 // without a from
	engagementDaysMax = 366
	engagementRowsMax = 10_000
)

// engaged is counts with the shares they make; one of nothing is left out.
type engaged struct {
	projections.EngagementCounts
	ClickRate    *float64    `json:"click_rate,omitempty"`   // of the lists, those with a film that was taken up
	Satisfaction *float64    `json:"satisfaction,omitempty"` // of the films that were liked or disliked, those liked
	MeanRating   *float64    `json:"mean_rating,omitempty"`  // stars of the films that were rated after they were shown
	HitRate      *hitRateAtK `json:"hit_rate_at,omitempty"`  // of the films that people met, those among the first k of the last list
}

type hitRateAtK struct {
	One    *float64 `json:"1"`
	Five   *float64 `json:"5"`
	Ten    *float64 `json:"10"`
	Twenty *float64 `json:"20"`
}

func withShares(c projections.EngagementCounts) engaged {
	e := engaged{EngagementCounts: c, ClickRate: share(c.ListsTaken, c.Lists), Satisfaction: share(c.FilmsLiked, c.FilmsLiked+c.FilmsDisliked), MeanRating: share(c.StarsCenti, 100*c.FilmsRated)}
	if c.Met > 0 {
		e.HitRate = &hitRateAtK{share(c.Hits1, c.Met), share(c.Hits5, c.Met), share(c.Hits10, c.Met), share(c.Hits20, c.Met)}
	}
	return e
}

// engagedFilms is counts of films alone.
type engagedFilms struct {
	Films         uint64   `json:"films"`
	FilmsTaken    uint64   `json:"films_taken_up"`
	FilmsLiked    uint64   `json:"films_liked"`
	FilmsDisliked uint64   `json:"films_disliked"`
	FilmsRated    uint64   `json:"films_rated"`
	ClickRate     *float64 `json:"click_rate,omitempty"` // of the films, those that were taken up
	Satisfaction  *float64 `json:"satisfaction,omitempty"`
	MeanRating    *float64 `json:"mean_rating,omitempty"`
}

func filmShares(c projections.EngagementCounts) engagedFilms {
	return engagedFilms{c.Films, c.FilmsTaken, c.FilmsLiked, c.FilmsDisliked, c.FilmsRated,
		share(c.FilmsTaken, c.Films), share(c.FilmsLiked, c.FilmsLiked+c.FilmsDisliked), share(c.StarsCenti, 100*c.FilmsRated)}
}

func share(part, of uint64) *float64 {
	if of == 0 {
		return nil
	}
	v := float64(part) / float64(of)
	return &v
}

// engagementKey is what a row is of: a day, what made the lists and, with by, what else.
type engagementKey struct {
	Day          string  `json:"day"` // UTC
	ModelName    string  `json:"model_name,omitempty"`
	ModelVersion int     `json:"model_version,omitempty"`
	Strategy     string  `json:"strategy,omitempty"`
	Source       *string `json:"source,omitempty"`
	Position     any     `json:"position,omitempty"` // a number, or "21+" for all places from there on
}

type engagedRow struct {
	engagementKey
	engaged
}

type engagedFilmsRow struct {
	engagementKey
	engagedFilms
}

// breakdowns are what by takes; "" is none.
var breakdowns = map[string]projections.Breakdown{"": projections.ByVersion, "strategy": projections.ByStrategy, "source": projections.BySource, "position": projections.ByPosition}

// engagement is what came of recommendations by day and model version, and together: see [projections.Engagement]. from and to are moments; all
// days that begin in between are told, today until now. by tells each row's lists apart by strategy, or its films by source or position.
func (s *Surface) engagement(w http.ResponseWriter, r *http.Request) error {
	const day = 24 * time.Hour
	q := api.QueryOf(r, "from", "to", "by")
	from, to := q.Millis("from"), q.Millis("to")
	if to == 0 {
		to = s.today().UnixMilli() + 1
	}
	if from == 0 {
		from = time.UnixMilli(to - 1).Truncate(day).Add(-(engagementDays - 1) * day).UnixMilli()
	}
	by, ok := breakdowns[q.Str("by")]
	if !ok {
		q.Fault("by", "is %q; want strategy, source or position", api.Short(q.Str("by")))
	}
	switch {
	case q.Err() != nil:
	case from >= to:
		q.Fault("from", "is not before to")
	case to-from > engagementDaysMax*day.Milliseconds():
		q.Fault("from", "is more than %d days before to; ask for a year at a time", engagementDaysMax)
	}
	if err := q.Err(); err != nil {
		return err
	}
	view := fold.Of[*projections.Engagement](s.Views)
	days, err := view.Days(by, from, to, engagementRowsMax)
	if err != nil {
		return err
	}
	versions := days
	if by != projections.ByVersion {
		if versions, err = view.Days(projections.ByVersion, from, to, engagementRowsMax); err != nil {
			return err
		}
	}
	out := struct {
		Days  []any   `json:"days"`
		Total engaged `json:"total"`
	}{Days: make([]any, len(days))}
	var total projections.EngagementCounts
	for i := range versions {
		total.Add(&versions[i].EngagementCounts)
	}
	for i := range days {
		if out.Days[i], err = s.engagementDay(by, &days[i]); err != nil {
			return err
		}
	}
	total.People = 0 // somebody may come on several days
	out.Total = withShares(total)
	return api.WriteJSON(w, http.StatusOK, out)
}

func (s *Surface) engagementDay(by projections.Breakdown, d *projections.EngagementDay) (any, error) {
	name, err := s.registry().NameOf(d.ModelName)
	key := engagementKey{Day: time.UnixMilli(d.DayMillis).UTC().Format(time.DateOnly), ModelName: name, ModelVersion: d.ModelVersion, Strategy: d.Strategy}
	switch {
	case by == projections.ByVersion || by == projections.ByStrategy:
		return engagedRow{key, withShares(d.EngagementCounts)}, err
	case by == projections.BySource:
		key.Source = &d.Source
	case d.Position > projections.EngagementPositions:
		key.Position = strconv.Itoa(d.Position) + "+"
	default:
		key.Position = d.Position
	}
	return engagedFilmsRow{key, filmShares(d.EngagementCounts)}, err
}
